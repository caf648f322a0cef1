#include "harness.h"

#include "image/image.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"
#define D3 "sha256:3333333333333333333333333333333333333333333333333333333333333333"

#define DESC(type, digest, size) \
	"{\"mediaType\":\"" type "\",\"digest\":\"" digest "\",\"size\":" size "}"

#define OCI_IMAGE                                                                        \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_MANIFEST                       \
	"\",\"config\":" DESC(MEDIA_OCI_CONFIG, D1, "7") ",\"layers\":[" DESC(           \
		MEDIA_OCI_LAYER "+gzip", D2, "10") "," DESC(MEDIA_OCI_LAYER "+zstd", D3, \
	                                                    "4294967296") "]}"

#define ENTRY(digest, platform)                                                          \
	"{\"mediaType\":\"" MEDIA_OCI_MANIFEST "\",\"digest\":\"" digest "\",\"size\":5" \
	",\"platform\":{" platform "}}"

#define OCI_INDEX(entries) \
	"{\"schemaVersion\":2,\"mediaType\":\"" MEDIA_OCI_INDEX "\",\"manifests\":[" entries "]}"

#define AMD64   "\"architecture\":\"amd64\",\"os\":\"linux\""
#define ARM64   "\"architecture\":\"arm64\",\"os\":\"linux\",\"variant\":\"v8\""
#define ARMV6   "\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v6\""
#define ATTEST  "\"architecture\":\"unknown\",\"os\":\"unknown\""
#define WINDOWS "\"architecture\":\"amd64\",\"os\":\"windows\",\"os.version\":\"10.0.17763.6532\""

static struct arena *arena;

static int parse(const char *text, const char *type, struct manifest *m, struct cairn_err *err)
{
	return manifest_parse(arena, str_of(text), str_of(type), m, err);
}

void test_manifest__image(void **state)
{
	struct cairn_err err;
	struct manifest m;
	struct strbuf b cleanup_strbuf;

	(void)state;
	arena = arena_new();
	strbuf_init(&b, MANIFEST_MAX);
	assert_ok(parse(OCI_IMAGE, "", &m, &err));
	assert_int_equal(m.kind, MANIFEST_IMAGE);
	assert_false(m.docker);
	assert_int_equal(m.n_layers, 2);
	assert_int_equal(m.layers[1].size, 4294967296u);
	assert_string_equal(digest_text(&m.config.digest).s, D1);
	assert_int_equal(media_type_find(m.layers[0].media_type)->compression, LAYER_COMPRESS_GZIP);
	assert_int_equal(media_type_find(m.layers[1].media_type)->compression, LAYER_COMPRESS_ZSTD);
	manifest_encode(&m, &b);
	assert_str(strbuf_view(&b), OCI_IMAGE);
	arena_free(arena);
}

void test_manifest__index(void **state)
{
	static const struct {
		const char *want, *digest; /* NULL = none fits */
	} cases[] = {
		{ "linux/amd64", D1 },  { "linux/amd64/v4", D1 }, { "linux/arm64", D2 },
		{ "linux/arm/v7", D3 }, { "linux/s390x", NULL },
	};
	const char *text = OCI_INDEX(ENTRY(D1, AMD64) "," ENTRY(D2, ARM64) "," ENTRY(
		D2, ATTEST) "," ENTRY(D3, ARMV6) "," ENTRY(D3, WINDOWS));
	struct strbuf b cleanup_strbuf;
	const struct descriptor *d;
	struct cairn_err err;
	struct manifest m;
	struct platform p;

	(void)state;
	arena = arena_new();
	strbuf_init(&b, MANIFEST_MAX);
	assert_ok(parse(text, MEDIA_OCI_INDEX, &m, &err));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_ok(platform_parse(str_of(cases[i].want), &p, &err));
		if (!cases[i].digest) {
			assert_fails(manifest_choose(&m, &p, &d, &err), CAIRN_E_NOT_FOUND);
			assert_non_null(strstr(err.msg, "linux/amd64, linux/arm64, linux/arm/v6"));
			continue;
		}
		assert_ok(manifest_choose(&m, &p, &d, &err));
		assert_string_equal(digest_text(&d->digest).s, cases[i].digest);
	}
	manifest_encode(&m, &b);
	assert_ok(manifest_parse(arena, strbuf_view(&b), S(""), &m, &err));
	assert_int_equal(m.n_manifests, 5);
	assert_string_equal(m.manifests[4].platform.os_version, "10.0.17763.6532");
	arena_free(arena);
}

void test_manifest__index_of_one_without_platform(void **state)
{
	struct platform p = platform_host();
	const struct descriptor *d;
	struct cairn_err err;
	struct manifest m;

	(void)state;
	arena = arena_new();
	assert_ok(parse(OCI_INDEX(DESC(MEDIA_OCI_MANIFEST, D1, "5")), "", &m, &err));
	assert_ok(manifest_choose(&m, &p, &d, &err));
	assert_ok(parse(
		OCI_INDEX(DESC(MEDIA_OCI_MANIFEST, D1, "5") "," DESC(MEDIA_OCI_MANIFEST, D2, "5")),
		"", &m, &err));
	assert_fails(manifest_choose(&m, &p, &d, &err), CAIRN_E_NOT_FOUND);
	arena_free(arena);
}

void test_manifest__refuses(void **state)
{
	static const struct {
		const char *text, *type, *message;
		int code;
	} cases[] = {
		{ "", "", "not JSON", CAIRN_E_SYNTAX },
		{ "[]", "", "not an object", CAIRN_E_SYNTAX },
		{ "{}", "", "schemaVersion", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":1}", "", "schema 1", CAIRN_E_UNSUPPORTED },
		{ "{\"schemaVersion\":2}", "", "neither", CAIRN_E_SYNTAX },
		{ OCI_IMAGE, MEDIA_DOCKER_MANIFEST, "was served as", CAIRN_E_SYNTAX },
		{ OCI_IMAGE, "application/vnd.docker.distribution.manifest.v1+prettyjws",
		  "schema 1", CAIRN_E_UNSUPPORTED },
		{ "{\"schemaVersion\":2,\"config\":{},\"manifests\":[]}", "",
		  "of a manifest and of an index", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"manifests\":[]}", MEDIA_OCI_MANIFEST, "contradict",
		  CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"mediaType\":\"text/html\",\"manifests\":[]}", "",
		  "not the media type", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"layers\":[]}", "", "config: descriptor", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"config\":" DESC("x", "sha256:1", "1") "}", "", "config",
		  CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"config\":" DESC("x", D1, "-1") "}", "", "size",
		  CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"config\":" DESC("x", D1, "99999999999999999999") "}", "",
		  "not JSON", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"config\":" DESC("x", D1, "1") ",\"layers\":[1]}", "",
		  "layers[0]", CAIRN_E_SYNTAX },
		{ "{\"schemaVersion\":2,\"schemaVersion\":2}", "", "not JSON", CAIRN_E_SYNTAX },
	};
	struct cairn_err err;
	struct manifest m;

	(void)state;
	arena = arena_new();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(parse(cases[i].text, cases[i].type, &m, &err), cases[i].code);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' says '%s'", cases[i].text, err.msg);
	}
	arena_free(arena);
}

void test_manifest__deep_and_large(void **state)
{
	cleanup_free char *big = xmalloc(MANIFEST_MAX + 1);
	struct cairn_err err;
	struct manifest m;

	(void)state;
	arena = arena_new();
	memset(big, '[', MANIFEST_MAX + 1);
	assert_fails(manifest_parse(arena, str_n(big, MANIFEST_MAX + 1), S(""), &m, &err),
	             CAIRN_E_SYNTAX);
	assert_fails(manifest_parse(arena, str_n(big, MANIFEST_MAX), S(""), &m, &err),
	             CAIRN_E_SYNTAX);
	arena_free(arena);
}

void test_media_types__table(void **state)
{
	(void)state;
	assert_int_equal(media_type_find(S(MEDIA_OCI_INDEX "; charset=utf-8"))->kind, MEDIA_INDEX);
	assert_int_equal(media_type_find(S("text/plain"))->kind, MEDIA_OTHER);
	for (int docker = 0; docker < 2; docker++)
		for (int c = 0; c < LAYER_COMPRESS_N_; c++) {
			const struct media_type *t = media_type_find(
				str_of(media_type_layer((enum layer_compression)c, docker)));

			assert_int_equal(t->kind, MEDIA_LAYER);
			assert_int_equal(t->compression, c);
		}
}
