#include "harness.h"

#include "cli/ctx.h"
#include "util/mem.h"

void test_home__order(void **state)
{
	static const struct {
		const char *env[4];
		uid_t uid;
		const char *want; /* NULL: fails */
	} cases[] = {
		{ { "CAIRN_HOME=/c", "XDG_DATA_HOME=/x", "HOME=/h" }, 0, "/c" },
		{ { "XDG_DATA_HOME=/x", "HOME=/h" }, 0, "/var/lib/cairn" },
		{ { "XDG_DATA_HOME=/x", "HOME=/h" }, 7, "/x/cairn" },
		{ { "HOME=/h" }, 7, "/h/.local/share/cairn" },
		{ { "XDG_DATA_HOME=rel", "HOME=/h" }, 7, "/h/.local/share/cairn" },
		{ { "CAIRN_HOME=", "HOME=/h" }, 7, "/h/.local/share/cairn" },
		{ { "CAIRN_HOME=rel", "HOME=/h" }, 7, NULL },
		{ { "CAIRN_HOMES=/no" }, 7, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *env[5] = { NULL };
		cleanup_free char *dir = NULL;
		struct cairn_err err;

		for (size_t k = 0; k < 4 && cases[i].env[k]; k++)
			env[k] = xstrdup(cases[i].env[k]);
		if (cases[i].want) {
			assert_ok(ctx_home(env, cases[i].uid, &dir, &err));
			assert_string_equal(dir, cases[i].want);
		} else {
			assert_fails(ctx_home(env, cases[i].uid, &dir, &err), CAIRN_E_USAGE);
		}
		for (size_t k = 0; k < 4; k++)
			free(env[k]);
	}
}

void test_color__only_on_terminals_that_want_it(void **state)
{
	char no_color[] = "NO_COLOR=1", empty[] = "NO_COLOR=", dumb[] = "TERM=dumb";

	(void)state;
	assert_true(ctx_color((char *[]){ NULL }, true));
	assert_false(ctx_color((char *[]){ NULL }, false));
	assert_false(ctx_color((char *[]){ no_color, NULL }, true));
	assert_true(ctx_color((char *[]){ empty, NULL }, true));
	assert_false(ctx_color((char *[]){ dumb, NULL }, true));
}
