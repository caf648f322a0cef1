#include "harness.h"

#include "cache/cache.h"

static struct cairn_err err;

void test_base_fact__round_trip(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct base_fact f = { .seen = 1700000000123456789,
		               .index = { { 1 } },
		               .manifest = { { 2 } } };
	struct base_fact g = { 0 };
	cleanup_strbuf struct strbuf b;

	(void)state;
	strbuf_init(&b, 4096);
	f.config = S("{\"a\" : \"\\u00e9 \xc3\xa9\\n\",\n \"b\": 1.0}"); /* to the byte */
	base_fact_encode(&f, &b);
	assert_ok(base_fact_decode(strbuf_view(&b), a, &g, &err));
	assert_int_equal(g.seen, f.seen);
	assert_true(digest_eq(&g.index, &f.index));
	assert_true(digest_eq(&g.manifest, &f.manifest));
	assert_str(g.config, "{\"a\" : \"\\u00e9 \xc3\xa9\\n\",\n \"b\": 1.0}");
	strbuf_clear(&b);
	f.config = S("\xff");
	base_fact_encode(&f, &b);
	assert_int_equal(b.len, 0);
}

void test_base_fact__what_is_damaged_is_none(void **state)
{
#define D "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	static const char *const texts[] = {
		"",
		"[]",
		"{}",
		"{\"version\":2,\"seen\":\"2026-01-01T00:00:00Z\",\"index\":\"" D
		"\",\"manifest\":\"" D "\",\"config\":\"{}\"}",
		"{\"version\":1,\"seen\":\"yesterday\",\"index\":\"" D "\",\"manifest\":\"" D
		"\",\"config\":\"{}\"}",
		"{\"version\":1,\"seen\":\"2026-01-01T00:00:00Z\",\"index\":\"x\",\"manifest\":\"" D
		"\",\"config\":\"{}\"}",
		"{\"version\":1,\"seen\":\"2026-01-01T00:00:00Z\",\"index\":\"" D
		"\",\"manifest\":\"" D "\"}",
		"{\"version\":1,\"seen\":\"2026-01-01T00:00:00Z\",\"index\":\"" D
		"\",\"manifest\":\"" D "\",\"config\":{}}",
	};
	cleanup_arena struct arena *a = arena_new();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct base_fact f;

		assert_int_equal(base_fact_decode(str_of(texts[i]), a, &f, &err), CAIRN_E_DIGEST);
	}
}

void test_base_fact__names(void **state)
{
	const struct platform amd = { .os = "linux", .arch = "amd64" },
			      arm = { .os = "linux", .arch = "arm64" };
	struct digest one = base_fact_name(S("docker.io/library/a:1"), &amd);
	struct digest two = base_fact_name(S("docker.io/library/a:1"), &arm);
	struct digest three = base_fact_name(S("docker.io/library/a:2"), &amd);

	(void)state;
	assert_false(digest_eq(&one, &two));
	assert_false(digest_eq(&one, &three));
}
