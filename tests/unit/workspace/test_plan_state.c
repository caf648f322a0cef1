#include "harness.h"

#include "workspace/workspace.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

void test_plan_state__round_trip(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct plan_known k = { .config = digest_of("c", 1),
		                .manifest = digest_of("m", 1),
		                .repository = S("registry.example/app"),
		                .time = 1700000000000000000,
		                .commit = S("abc") },
			  got = { 0 };
	cleanup_strbuf struct strbuf text;
	struct cairn_err err;

	(void)state;
	strbuf_init(&text, 4096);
	plan_known_encode(&k, &text);
	assert_int_equal(plan_known_decode(strbuf_view(&text), a, &got, &err), 0);
	assert_true(digest_eq(&got.config, &k.config) && digest_eq(&got.manifest, &k.manifest));
	assert_true(str_eq(got.repository, k.repository) && str_eq(got.commit, k.commit));
	assert_true(got.time == k.time);
}

void test_plan_state__decode(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "{\"version\":1,\"config\":\"sha256:" HEX "\",\"time\":\"2026-01-01T00:00:00Z\"}",
		  true },
		{ "{\"version\":2,\"config\":\"sha256:" HEX "\",\"time\":\"2026-01-01T00:00:00Z\"}",
		  false },
		{ "{\"version\":1,\"time\":\"2026-01-01T00:00:00Z\"}", false },
		{ "{\"version\":1,\"config\":\"sha256:" HEX "\"}", false },
		{ "{\"version\":1,\"config\":\"sha256:0\",\"time\":\"2026-01-01T00:00:00Z\"}",
		  false },
		{ "{\"version\":1,\"config\":7,\"time\":\"2026-01-01T00:00:00Z\"}", false },
		{ "[]", false },
		{ "", false },
		{ "{", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct plan_known k = { 0 };
		struct cairn_err err;
		int r = plan_known_decode(str_of(cases[i].text), a, &k, &err);

		if ((r == 0) != cases[i].good || (r < 0 && r != CAIRN_E_DIGEST))
			fail_msg("case %zu: %d", i, r);
	}
}
