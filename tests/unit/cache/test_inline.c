#include "harness.h"

#include "cache/cache.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"

#define CONFIG                                          \
	"{\"architecture\":\"amd64\",\"os\":\"linux\"," \
	"\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 "\"]}}"

static struct digest digest(const char *s)
{
	struct digest d;
	struct cairn_err err;

	assert_ok(digest_parse(str_of(s), &d, &err));
	return d;
}

/* A record of a chain of these layers. */
static str record(struct arena *a, const char *const *ids, size_t n)
{
	static const struct chain nothing;
	struct record r = { .created = 7, .text = S("RUN x"), .own = true };
	const struct chain *c = &nothing;
	struct strbuf text;
	str kept;

	for (size_t i = 0; i < n; i++)
		c = chain_push(a, c,
		               &(struct chain_layer){ .diff_id = digest(ids[i]),
		                                      .content = digest(D3),
		                                      .created = (int64_t)i });
	r.chain = *c;
	r.parent_tree = digest(D3);
	strbuf_init(&text, RECORD_MAX);
	record_encode(&r, &text);
	kept = arena_str(a, strbuf_view(&text));
	strbuf_done(&text);
	return kept;
}

static str add(struct arena *a, const struct inline_entry *e, size_t n)
{
	struct strbuf out;
	struct cairn_err err;
	str kept;

	strbuf_init(&out, IMAGE_CONFIG_MAX);
	assert_ok(inline_add(S(CONFIG), e, n, &out, &err));
	kept = arena_str(a, strbuf_view(&out));
	strbuf_done(&out);
	return kept;
}

void test_inline__what_goes_in_comes_out(void **state)
{
	static const char *const ids[] = { D1, D2 }, *const other[] = { D2 };
	cleanup_arena struct arena *a = arena_new();
	struct inline_entry in[] = { { digest(D2), record(a, ids, 2) },
		                     { digest(D1), record(a, ids, 1) },
		                     { digest(D3), record(a, other, 1) }, /* another image's */
		                     { digest(D1), record(a, ids, 2) } }; /* there already */
	struct inline_entry turned[] = { in[1], in[0] }, *out = NULL;
	struct image_config config;
	struct record back;
	struct cairn_err err;
	size_t n = 0;
	str bytes;

	(void)state;
	bytes = add(a, in, ARRAY_SIZE(in));
	assert_ok(inline_entries(bytes, a, &out, &n, &err));
	assert_int_equal(n, 2);
	assert_true(digest_eq(&out[0].key, &in[1].key));
	for (size_t i = 0; i < n; i++) {
		assert_ok(record_decode(out[i].record, a, &back, &err));
		assert_int_equal(back.chain.n, i + 1);
	}
	assert_true(str_eq(bytes, add(a, out, n)));             /* taken over into another image */
	assert_true(str_eq(bytes, add(a, turned, 2)));          /* in any order */
	assert_ok(image_config_parse(a, bytes, &config, &err)); /* others read the image */
	assert_int_equal(config.n_diff_ids, 2);
}

void test_inline__configs_without_a_cache_and_malformed_ones(void **state)
{
	static const struct {
		const char *config;
		int result;
	} cases[] = {
		{ CONFIG, 0 },
		{ "{\"cairn.cache.v1\":{}}", 0 },
		{ "{\"cairn.cache.v1\":[]}", CAIRN_E_SYNTAX },
		{ "{\"cairn.cache.v1\":{\"entries\":[1]}}", CAIRN_E_SYNTAX },
		{ "{\"cairn.cache.v1\":{\"entries\":[{}]}}", CAIRN_E_SYNTAX },
		{ "{\"cairn.cache.v1\":{\"layers\":[],\"entries\":[{\"key\":\"" D1
		  "\",\"n\":1,\"record\":{}}]}}",
		  CAIRN_E_SYNTAX },
		{ "{\"cairn.cache.v1\":{\"layers\":[{}],\"entries\":[{\"key\":\"x\",\"n\":1,"
		  "\"record\":{}}]}}",
		  CAIRN_E_SYNTAX },
		{ "{\"cairn.cache.v1\":{\"layers\":[{}],\"entries\":[{\"key\":\"" D1
		  "\",\"n\":-1,\"record\":{}}]}}",
		  CAIRN_E_SYNTAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		struct inline_entry *out = NULL;
		struct cairn_err err;
		size_t n = 9;
		int r = inline_entries(str_of(cases[i].config), a, &out, &n, &err);

		assert_int_equal(r, cases[i].result);
		if (r == 0)
			assert_int_equal(n, 0);
	}
}
