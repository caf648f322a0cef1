#include "harness.h"

#include "util/clock.h"
#include "util/proc.h"

/* Longer than a machine can be busy. */
#define PATIENCE (60 * CLOCK_SEC)

static int run(const char *script, str input, uint64_t timeout_ns, struct proc_result *r,
               struct cairn_err *err)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	struct proc_opts o = { .argv = argv, .input = input, .timeout_ns = timeout_ns };

	return proc_run(&o, r, err);
}

void test_proc__output_and_exit_code(void **state)
{
	static const struct {
		const char *script, *output, *errors;
		int exit_code;
	} cases[] = {
		{ "cat", "hello", "", 0 },
		{ "true", "", "", 0 },
		{ "echo no >&2; exit 3", "", "no\n", 3 },
		{ "kill -9 $$", "", "", 137 },
		{ "exec >&- 2>&-; sleep 0.05; exit 4", "", "", 4 },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct proc_result r cleanup_proc_result;

		proc_result_init(&r, 100);
		assert_ok(run(cases[i].script, S("hello"), PATIENCE, &r, &err));
		assert_str(strbuf_view(&r.output), cases[i].output);
		assert_str(strbuf_view(&r.errors), cases[i].errors);
		assert_int_equal(r.exit_code, cases[i].exit_code);
	}
}

void test_proc__fails(void **state)
{
	static const struct {
		const char *script;
		uint64_t timeout_ns;
		int code;
	} cases[] = {
		{ "sleep 30", CLOCK_SEC / 5, CAIRN_E_TIMEOUT },
		{ "exec >&- 2>&-; sleep 30", CLOCK_SEC / 5, CAIRN_E_TIMEOUT },
		{ "sleep 30 & sleep 30", CLOCK_SEC / 5, CAIRN_E_TIMEOUT },
		{ "yes | head -n 100", PATIENCE, CAIRN_E_SYNTAX },
	};
	const char *missing[] = { "cairn-no-such-program", NULL };
	struct proc_opts o = { .argv = missing, .timeout_ns = CLOCK_SEC };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(cases); i++) {
		struct proc_result r cleanup_proc_result;

		proc_result_init(&r, 100);
		if (i == ARRAY_SIZE(cases))
			assert_fails(proc_run(&o, &r, &err), CAIRN_E_NOT_FOUND);
		else
			assert_fails(run(cases[i].script, S(""), cases[i].timeout_ns, &r, &err),
			             cases[i].code);
	}
}
