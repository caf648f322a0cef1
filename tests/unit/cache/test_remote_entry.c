#include "harness.h"

#include "cache/cache.h"

#define DIFF  "sha256:abababababababababababababababababababababababababababababababab"
#define BLOB  "sha256:cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
#define ZERO  "sha256:0000000000000000000000000000000000000000000000000000000000000000"
#define LAYER "application/vnd.oci.image.layer.v1.tar+zstd"

/* An entry with one layer that has these members beside its diff_id. */
#define ENTRY(members) \
	"{\"version\":1,\"record\":{\"a\":1},\"layers\":[{\"diff_id\":\"" DIFF "\"" members "}]}"
#define DESCRIPTOR(name, type, digest, size) \
	",\"" name "\":{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size "}"

#define ABC "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define INDEX(size, digest, data)                                                          \
	",\"index\":{\"mediaType\":\"" LAYER "\",\"digest\":\"" digest "\",\"size\":" size \
	",\"data\":\"" data "\"}"

/* A small index stands in the entry itself. */
void test_remote_entry__index_bytes(void **state)
{
	static const char bytes[REMOTE_INDEX_BYTES] = "index";
	cleanup_arena struct arena *a = arena_new();

	(void)state;
	for (size_t n = 1; n <= sizeof(bytes); n += n < 5 ? 1 : 254) {
		struct remote_layer layer = { .index_bytes = str_n(bytes, n) };
		struct remote_entry e = { S("{}"), &layer, 1 }, back;
		struct strbuf b cleanup_strbuf;
		struct cairn_err err;

		assert_ok(digest_parse(S(DIFF), &layer.diff_id, &err));
		layer.index = (struct descriptor){ .media_type = S(LAYER),
			                           .digest = digest_of(bytes, n),
			                           .size = n };
		strbuf_init(&b, REMOTE_ENTRY_MAX);
		remote_entry_encode(&e, &b);
		assert_ok(remote_entry_decode(strbuf_view(&b), a, &back, &err));
		assert_true(str_eq(back.layers[0].index_bytes, layer.index_bytes));
	}
}

void test_remote_entry__round_trip(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct remote_layer layers[2] = { { .from = S("registry.example:5000/a/b") } };
	struct remote_entry e = { S("{\"text\":\"RUN \\\"x\\\"\"}"), layers, 2 }, back;
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	assert_ok(digest_parse(S(DIFF), &layers[0].diff_id, &err));
	assert_ok(digest_parse(S(BLOB), &layers[1].diff_id, &err));
	layers[0].blob = (struct descriptor){ .media_type = S(LAYER),
		                              .digest = layers[1].diff_id,
		                              .size = 1ull << 40 };
	layers[0].index = layers[0].blob;
	layers[0].index.size = 77;
	image_kvs_set(a, &layers[0].index.annotations, S(REMOTE_INDEX_ANNOTATION), S("1"));
	strbuf_init(&b, REMOTE_ENTRY_MAX);
	remote_entry_encode(&e, &b);
	assert_ok(remote_entry_decode(strbuf_view(&b), a, &back, &err));
	assert_true(str_eq(back.record, e.record));
	assert_int_equal(back.n_layers, 2);
	assert_true(digest_eq(&back.layers[0].diff_id, &layers[0].diff_id));
	assert_true(digest_eq(&back.layers[0].blob.digest, &layers[0].blob.digest));
	assert_true(back.layers[0].blob.size == 1ull << 40);
	assert_int_equal(back.layers[0].index.size, 77);
	assert_non_null(
		image_kvs_get(&back.layers[0].index.annotations, S(REMOTE_INDEX_ANNOTATION)));
	assert_str(back.layers[0].from, "registry.example:5000/a/b");
	assert_true(digest_none(&back.layers[1].blob.digest));
	assert_true(digest_none(&back.layers[1].index.digest));
	assert_int_equal(back.layers[1].from.len, 0);
	/* Every cut is an error. */
	for (size_t i = 0; i < b.len; i++)
		assert_fails(remote_entry_decode(str_n(b.ptr, i), a, &back, &err), CAIRN_E_DIGEST);
}

void test_remote_entry__refused(void **state)
{
	static const struct {
		const char *text, *message; /* NULL: accepted */
	} cases[] = {
		{ ENTRY(""), NULL },
		{ ENTRY(",\"unknown\":[1]"), NULL },
		{ ENTRY(DESCRIPTOR("blob", LAYER, BLOB, "5")), NULL },
		{ ENTRY(DESCRIPTOR("index", "application/x", BLOB, "1073741824")), NULL },
		{ ENTRY(",\"from\":\"\""), NULL },
		{ ENTRY(",\"from\":\"docker.io/library/debian\""), NULL },
		{ "{\"version\":2,\"record\":{},\"layers\":[]}", "version 2" },
		{ "{\"version\":1,\"layers\":[]}", "no record" },
		{ "{\"version\":1,\"record\":\"x\",\"layers\":[]}", "'record'" },
		{ "{\"version\":1,\"record\":{},\"layers\":[5]}", "layer 0: it is not an object" },
		{ "{\"version\":1,\"record\":{},\"layers\":[{}]}", "layer 0" },
		{ "[]", "not an object" },
		{ "{\"version\":1,\"record\":{},\"layers\":[{\"diff_id\":\"" ZERO "\"}]}",
		  "no digest" },
		{ ENTRY(DESCRIPTOR("blob", LAYER, ZERO, "5")), "'blob' has no digest" },
		{ ENTRY(DESCRIPTOR("blob", LAYER, BLOB, "-1")), "size" },
		{ ENTRY(DESCRIPTOR("blob", LAYER, BLOB, "1099511627777")), "larger than" },
		{ ENTRY(DESCRIPTOR("index", LAYER, BLOB, "1073741825")), "larger than" },
		{ ENTRY(DESCRIPTOR("blob", MEDIA_OCI_INDEX, BLOB, "5")),
		  "not the media type of a layer" },
		{ ENTRY(",\"from\":\"debian\""), "not the name of a repository" },
		{ ENTRY(",\"from\":\"r.example/a:tag\""), "not the name of a repository" },
		{ ENTRY(",\"from\":\"r.example/a@" BLOB "\""), "not the name of a repository" },
		{ ENTRY(",\"from\":\"http://r.example/a\""), "'from'" },
		{ ENTRY(",\"from\":7"), "'from'" },
		{ ENTRY(INDEX("3", ABC, "YWJj")), NULL },
		{ ENTRY(INDEX("3", ABC, "YWJk")), "other data" },
		{ ENTRY(INDEX("3", BLOB, "YWJj")), "other data" },
		{ ENTRY(INDEX("2", ABC, "YWJj")), "other data" },
		{ ENTRY(INDEX("4", ABC, "YWJj")), "senseless data" },
		{ ENTRY(INDEX("1025", ABC, "YWJj")), "senseless data" },
		{ ENTRY(INDEX("0", ABC, "")), "senseless data" },
		{ ENTRY(INDEX("3", ABC, "YW-j")), "senseless data" },
	};
	cleanup_arena struct arena *a = arena_new();
	struct remote_entry e;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int rc = remote_entry_decode(str_of(cases[i].text), a, &e, &err);

		if (rc != (cases[i].message ? CAIRN_E_DIGEST : 0))
			fail_msg("%s: %d", cases[i].text, rc);
		if (rc < 0 && !strstr(err.msg, cases[i].message))
			fail_msg("%s: %s", cases[i].text, err.msg);
	}
}

/* Bounds on what is many or long. */
void test_remote_entry__bounds(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct remote_layer layers[RECORD_LAYERS_MAX + 1] = { 0 };
	struct remote_entry e = { S("{}"), layers, RECORD_LAYERS_MAX }, back;
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layers); i++)
		layers[i].diff_id = digest_of(&i, sizeof(i));
	strbuf_init(&b, 2 * REMOTE_ENTRY_MAX);
	remote_entry_encode(&e, &b);
	assert_ok(remote_entry_decode(strbuf_view(&b), a, &back, &err));
	strbuf_clear(&b);
	e.n_layers++;
	remote_entry_encode(&e, &b);
	assert_fails(remote_entry_decode(strbuf_view(&b), a, &back, &err), CAIRN_E_DIGEST);
	strbuf_clear(&b);
	strbuf_cstr(&b, "{\"version\":1,\"layers\":[],\"record\":{\"text\":\"");
	while (b.len <= RECORD_MAX + 100)
		strbuf_cstr(&b, "0123456789abcdef");
	strbuf_cstr(&b, "\"}}");
	assert_fails(remote_entry_decode(strbuf_view(&b), a, &back, &err), CAIRN_E_DIGEST);
	while (b.len <= REMOTE_ENTRY_MAX)
		strbuf_char(&b, ' ');
	assert_fails(remote_entry_decode(strbuf_view(&b), a, &back, &err), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "larger than"));
}
