/* What comes after an attempt, for every order of outcomes. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

static const struct fallback_limits limits = FALLBACK_LIMITS_INIT;

#define GIB (1ull << 30)

static const struct runner spot = { .c = { .spot = true, .memory = 8 * GIB, .disk = 50 * GIB } };
static const struct runner steady = { .c = { .memory = 16 * GIB, .disk = 90 * GIB } };

void test_fallback__sequences(void **state)
{
	static const struct {
		const struct runner *runner;
		enum history_outcome outcomes[6];
		size_t n;
		const char *want; /* the actions */
	} cases[] = {
		{ &steady, { HISTORY_OK }, 1, "done " },
		{ &steady, { HISTORY_FAILED }, 1, "stop " },
		{ &steady, { HISTORY_MEMORY, HISTORY_OK }, 2, "bigger done " },
		{ &steady, { HISTORY_DISK }, 1, "bigger " },
		{ &steady, { HISTORY_INTERRUPTED }, 1, "stop " },
		{ &spot,
		  { HISTORY_INTERRUPTED, HISTORY_INTERRUPTED, HISTORY_OK },
		  3,
		  "again on-demand done " },
		{ &steady,
		  { HISTORY_UNAVAILABLE, HISTORY_UNAVAILABLE, HISTORY_UNAVAILABLE },
		  3,
		  "wait wait other " },
		{ &steady,
		  { HISTORY_UNAVAILABLE, HISTORY_UNAVAILABLE, HISTORY_MEMORY, HISTORY_UNAVAILABLE },
		  4,
		  "wait wait bigger wait " },
		{ &steady,
		  { HISTORY_MEMORY, HISTORY_MEMORY, HISTORY_MEMORY, HISTORY_MEMORY, HISTORY_MEMORY,
		    HISTORY_MEMORY },
		  6,
		  "bigger bigger bigger bigger bigger stop " },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fallback_state s = { 0 };
		struct fallback_next next;
		char got[256] = "";

		for (size_t k = 0; k < cases[i].n; k++) {
			size_t n = strlen(got);

			fallback_next(&limits, cases[i].runner, cases[i].outcomes[k], &s, &next);
			(void)snprintf(got + n, sizeof(got) - n, "%s ",
			               fallback_action_name(next.action));
		}
		assert_string_equal(got, cases[i].want);
	}
}

/* Of all sequences: they end, waits are bounded and grow, floors never fall. */
void test_fallback__every_sequence(void **state)
{
	const unsigned total = HISTORY_OUTCOMES_ * HISTORY_OUTCOMES_ * HISTORY_OUTCOMES_ *
	                       HISTORY_OUTCOMES_ * HISTORY_OUTCOMES_ * HISTORY_OUTCOMES_;

	(void)state;
	for (unsigned seq = 0; seq < 2 * total; seq++) {
		const struct runner *r = seq < total ? &spot : &steady;
		struct fallback_state s = { 0 }, before;
		struct fallback_next next = { 0 };
		unsigned rest = seq % total, attempts = 0;

		do {
			before = s;
			fallback_next(&limits, r, (enum history_outcome)(rest % HISTORY_OUTCOMES_),
			              &s, &next);
			rest /= HISTORY_OUTCOMES_;
			attempts++;
			assert_true(next.why && *next.why);
			assert_true(s.memory_floor >= before.memory_floor);
			assert_true(s.disk_floor >= before.disk_floor);
			assert_true(next.wait_ns <= limits.back_off_max);
			assert_true((next.action == FALLBACK_WAIT) == (next.wait_ns > 0));
		} while (next.action != FALLBACK_DONE && next.action != FALLBACK_STOP);
		assert_true(attempts <= limits.attempts);
	}
}
