#include "harness.h"

#include <stdio.h>

#include "util/arena.h"
#include "util/map.h"
#include "util/strbuf.h"

void test_str__next_keeps_empty_pieces(void **state)
{
	str rest = S("a::b"), piece;

	(void)state;
	assert_true(str_next(&rest, ':', &piece));
	assert_str(piece, "a");
	assert_true(str_next(&rest, ':', &piece));
	assert_str(piece, "");
	assert_true(str_next(&rest, ':', &piece));
	assert_str(piece, "b");
	assert_false(str_next(&rest, ':', &piece));
}

void test_str__suggest(void **state)
{
	static const char *const names[] = { "RUN", "COPY", "WORKDIR", "HEALTHCHECK", NULL };
	char hint[STR_HINT_MAX];

	(void)state;
	assert_string_equal(str_suggest(S("RUNN"), names), "RUN");
	assert_string_equal(str_suggest(S("WORKDRI"), names), "WORKDIR");
	assert_string_equal(str_suggest(S("RNU"), names), "RUN");
	assert_string_equal(str_suggest(S("cpoy"), names), "COPY");
	assert_null(str_suggest(S("FLY"), names));
	assert_string_equal(str_did_you_mean(S("RUNN"), names, hint), "; did you mean 'RUN'?");
	assert_string_equal(str_did_you_mean(S("FLY"), names, hint), "");
}

void test_strbuf__maximum(void **state)
{
	struct strbuf b;
	struct cairn_err err;

	(void)state;
	strbuf_init(&b, 4);
	strbuf_cstr(&b, "abcd");
	assert_ok(strbuf_check(&b, "text", &err));
	strbuf_char(&b, 'e');
	assert_fails(strbuf_check(&b, "text", &err), CAIRN_E_SYNTAX);
	assert_str(strbuf_view(&b), "abcd");
	strbuf_done(&b);
}

void test_map__order_and_growth(void **state)
{
	struct map m = { 0 };
	char key[16];
	static int values[500];
	size_t i = 0;

	(void)state;
	for (int k = 0; k < 500; k++) {
		(void)snprintf(key, sizeof(key), "k%d", k * 7);
		assert_null(map_put(&m, str_of(key), &values[k]));
	}
	map_foreach (e, &m)
		assert_ptr_equal(e->value, &values[i++]);
	assert_ptr_equal(map_get(&m, S("k7")), &values[1]);
	assert_null(map_get(&m, S("k8")));
	map_done(&m);
}

void test_arena__clean_path(void **state)
{
	static const char *const cases[][2] = {
		{ "", "/" },
		{ "/", "/" },
		{ "a", "/a" },
		{ "/a//b/./c", "/a/b/c" },
		{ "/a/../b", "/b" },
		{ "/../../a", "/a" },
		{ "a/b/..", "/a" },
		{ "/a/..", "/" },
		{ "/..a/b..", "/..a/b.." },
	};
	struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_str(arena_clean_path(a, str_of(cases[i][0])), cases[i][1]);
	arena_free(a);
}

void test_arena__aligned_and_zeroed(void **state)
{
	struct arena *a = arena_new();

	(void)state;
	for (size_t n = 0; n < 5000; n += 37) {
		char *p = arena_alloc(a, n);

		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
	}
	arena_free(a);
}
