/* A batch over machines: nothing starts before its parents, no runner has too much at a time. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

#define N 24

struct batch {
	struct runner runners[2];
	struct route_option options[N];
	struct route_decision decisions[N];
	struct route_work works[N];
	size_t after[N][N];
};

static unsigned next(uint64_t *seed, unsigned n)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(*seed >> 33) % n;
}

static void fill(struct batch *b, uint64_t *seed)
{
	memset(b, 0, sizeof(*b));
	b->runners[0].c.concurrency = 1 + next(seed, 3);
	b->runners[1].c.concurrency = 1 + next(seed, 3);
	for (size_t i = 0; i < N; i++) {
		b->options[i] = (struct route_option){ .runner = &b->runners[next(seed, 2)],
			                               .time = 1 + next(seed, 100),
			                               .cost = 3 };
		b->decisions[i].chosen = next(seed, 20) ? &b->options[i] : NULL;
		b->works[i].after = b->after[i];
		for (size_t k = 0; k < i; k++)
			if (!next(seed, 8))
				b->after[i][b->works[i].n_after++] = k;
	}
}

static void check_one(const struct batch *b, const struct schedule *s, size_t i)
{
	const struct schedule_slot *slot = &s->slots[i];
	uint64_t running = 0;

	if (!slot->end)
		return;
	assert_int_equal(slot->end - slot->start, b->options[i].time);
	for (size_t k = 0; k < b->works[i].n_after; k++) {
		assert_true(s->slots[b->after[i][k]].end > 0);
		assert_true(s->slots[b->after[i][k]].end <= slot->start);
	}
	for (size_t k = 0; k < N; k++)
		running += b->options[k].runner == b->options[i].runner &&
		           s->slots[k].start <= slot->start && s->slots[k].end > slot->start;
	assert_true(running <= b->options[i].runner->c.concurrency);
	assert_true(slot->end <= s->time);
}

void test_schedule__properties(void **state)
{
	uint64_t seed = 11;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		cleanup_arena struct arena *a = arena_new();
		struct schedule s;
		struct batch b;
		size_t nowhere = 0;

		fill(&b, &seed);
		route_schedule(b.works, b.decisions, N, a, &s);
		for (size_t i = 0; i < N; i++) {
			check_one(&b, &s, i);
			nowhere += !s.slots[i].end;
			if (!b.decisions[i].chosen)
				assert_int_equal(s.slots[i].end, 0);
		}
		assert_int_equal(s.unplaced, nowhere);
		assert_int_equal(s.cost, 3 * (N - nowhere));
	}
}

/* The long way goes first: 0 -> 1 and 2, 3, on one machine of two places. */
void test_schedule__long_way_first(void **state)
{
	static const size_t parent[] = { 0 };
	struct runner r = { .c = { .concurrency = 2 } };
	struct route_option o[4] = { { .runner = &r, .time = 10 },
		                     { .runner = &r, .time = 10 },
		                     { .runner = &r, .time = 5 },
		                     { .runner = &r, .time = 5 } };
	struct route_decision d[4] = {
		{ .chosen = &o[0] }, { .chosen = &o[1] }, { .chosen = &o[2] }, { .chosen = &o[3] }
	};
	struct route_work w[4] = { [1] = { .after = parent, .n_after = 1 } };
	cleanup_arena struct arena *a = arena_new();
	struct schedule s;

	(void)state;
	route_schedule(w, d, 4, a, &s);
	assert_int_equal(s.time, 20);
	assert_int_equal(s.slots[1].start, 10);
	assert_int_equal(s.unplaced, 0);
}

void test_schedule__cycle(void **state)
{
	static const size_t first[] = { 1 }, second[] = { 0 };
	struct runner r = { .c = { .concurrency = 1 } };
	struct route_option o = { .runner = &r, .time = 10 };
	struct route_decision d[2] = { { .chosen = &o }, { .chosen = &o } };
	struct route_work w[2] = { { .after = first, .n_after = 1 },
		                   { .after = second, .n_after = 1 } };
	cleanup_arena struct arena *a = arena_new();
	struct schedule s;

	(void)state;
	route_schedule(w, d, 2, a, &s);
	assert_int_equal(s.unplaced, 2);
}
