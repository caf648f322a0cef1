#include "harness.h"

#include "image/image.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

/* In the form BuildKit writes. */
#define FULL                                                                                    \
	"{\"architecture\":\"arm\",\"author\":\"A <a@b.c>\",\"config\":{\"User\":\"app\","      \
	"\"ExposedPorts\":{\"443/tcp\":{},\"80/tcp\":{}},\"Env\":[\"PATH=/usr/bin\",\"B=\"],"   \
	"\"Entrypoint\":[\"/bin/e\"],\"Cmd\":[\"a\",\"b\"],\"Volumes\":{\"/data\":{}},"         \
	"\"WorkingDir\":\"/w\",\"Labels\":{\"a\":\"1\",\"b\":\"2\"},\"StopSignal\":\"SIGINT\"," \
	"\"ArgsEscaped\":true,\"Healthcheck\":{\"Test\":[\"CMD-SHELL\",\"true\"],"              \
	"\"Interval\":30000000000,\"Timeout\":1,\"StartPeriod\":2,\"StartInterval\":3,"         \
	"\"Retries\":4},\"OnBuild\":[\"RUN x\"],\"Shell\":[\"/bin/bash\",\"-c\"]},"             \
	"\"created\":\"2026-11-22T15:01:02.5Z\",\"history\":[{\"created\":"                     \
	"\"2026-11-22T15:01:02.5Z\",\"created_by\":\"RUN a && b\",\"author\":\"x\","            \
	"\"comment\":\"buildkit.dockerfile.v0\"},{\"created_by\":\"ENV B=\","                   \
	"\"empty_layer\":true}],\"os\":\"linux\",\"os.features\":[\"f\"],"                      \
	"\"os.version\":\"1.2\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D1 "\",\"" D2 \
	"\"]},\"variant\":\"v7\"}"

static char *with_go_escapes(const char *s)
{
	static const struct {
		char c;
		const char *text;
	} escapes[] = { { '<', "\\u003c" }, { '>', "\\u003e" }, { '&', "\\u0026" } };
	struct strbuf b;

	strbuf_init(&b, 1u << 20);
	for (; *s; s++) {
		const char *text = NULL;

		for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
			if (escapes[i].c == *s)
				text = escapes[i].text;
		if (text)
			strbuf_cstr(&b, text);
		else
			strbuf_char(&b, *s);
	}
	return strbuf_steal(&b);
}

static void check_encoding(const struct image_config *c, const char *want)
{
	cleanup_free char *escaped = with_go_escapes(want);
	struct strbuf b cleanup_strbuf;
	struct digest got = image_config_digest(c), expected = digest_of(escaped, strlen(escaped));

	strbuf_init(&b, IMAGE_CONFIG_MAX);
	image_config_encode(c, &b);
	assert_str(strbuf_view(&b), escaped);
	assert_true(digest_eq(&got, &expected));
}

void test_config__round_trip(void **state)
{
	struct arena *a = arena_new(), *second = arena_new();
	struct image_config c, copy;
	struct cairn_err err;

	(void)state;
	assert_ok(image_config_parse(a, S(FULL), &c, &err));
	assert_true(c.created.set);
	assert_int_equal(c.healthcheck.retries, 4);
	assert_false(c.history[1].created.set);
	assert_true(c.history[1].empty_layer);
	assert_string_equal(c.platform.variant, "v7");
	check_encoding(&c, FULL);
	image_config_copy(second, &c, &copy);
	arena_free(a); /* the copy shares nothing */
	check_encoding(&copy, FULL);
	arena_free(second);
}

void test_config__empty(void **state)
{
	struct arena *a = arena_new();
	struct platform p;
	struct image_config c;
	struct cairn_err err;

	(void)state;
	assert_ok(platform_parse(S("linux/amd64"), &p, &err));
	image_config_init(&c, a, &p);
	check_encoding(&c, "{\"architecture\":\"amd64\",\"config\":{},\"os\":\"linux\",\"rootfs\":"
	                   "{\"type\":\"layers\",\"diff_ids\":[]}}");
	arena_free(a);
}

/* Go's nil slices and zero times, and Docker's leftovers, are not passed on. */
void test_config__null_and_unknown(void **state)
{
	struct arena *a = arena_new();
	struct image_config c;
	struct cairn_err err;

	(void)state;
	assert_ok(image_config_parse(
		a,
		S("{\"container_config\":{\"Cmd\":[\"x\"]},\"docker_version\":\"20\",\"id\":\"x\","
	          "\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"0001-01-01T00:00:00Z\","
	          "\"config\":{\"Hostname\":\"h\",\"Env\":null,\"Cmd\":null,\"Labels\":null,"
	          "\"Volumes\":null,\"OnBuild\":null},\"rootfs\":{\"type\":\"layers\","
	          "\"diff_ids\":null},\"history\":null}"),
		&c, &err));
	check_encoding(&c, "{\"architecture\":\"amd64\",\"config\":{},\"os\":\"linux\",\"rootfs\":"
	                   "{\"type\":\"layers\",\"diff_ids\":[]}}");
	arena_free(a);
}

void test_config__refuses(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "", "not JSON" },
		{ "[]", "not an object" },
		{ "{\"config\":[]}", "'config'" },
		{ "{\"config\":{\"Env\":\"a\"}}", "'Env'" },
		{ "{\"config\":{\"Env\":[1]}}", "member 0 of 'Env'" },
		{ "{\"config\":{\"Labels\":{\"a\":1}}}", "'Labels'" },
		{ "{\"config\":{\"Volumes\":[]}}", "'Volumes'" },
		{ "{\"config\":{\"Healthcheck\":{\"Retries\":\"1\"}}}", "'Retries'" },
		{ "{\"created\":\"yesterday\"}", "'created'" },
		{ "{\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}", "diff_ids[0]" },
		{ "{\"history\":[1]}", "history[0]" },
		{ "{\"os\":\"a/b\"}", "operating system" },
	};
	struct arena *a = arena_new();
	struct image_config c;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(image_config_parse(a, str_of(cases[i].text), &c, &err),
		             CAIRN_E_SYNTAX);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("'%s' says '%s'", cases[i].text, err.msg);
	}
	arena_free(a);
}

void test_config__mutators(void **state)
{
	struct arena *a = arena_new();
	struct platform p = platform_host();
	struct image_config c;
	str v;

	(void)state;
	image_config_init(&c, a, &p);
	image_config_env_set(&c, S("A"), S("1"));
	image_config_env_set(&c, S("AB"), S("2"));
	image_config_env_set(&c, S("A"), S("3=4")); /* keeps its place */
	assert_int_equal(c.env.len, 2);
	assert_str(c.env.ptr[0], "A=3=4");
	assert_true(image_config_env_get(&c, S("A"), &v));
	assert_str(v, "3=4");
	assert_false(image_config_env_get(&c, S("B"), &v));
	image_config_label_set(&c, S("b"), S("2"));
	image_config_label_set(&c, S("a"), S("1"));
	image_config_label_set(&c, S("b"), S("3"));
	assert_int_equal(c.labels.len, 2);
	assert_str(c.labels.ptr[0].key, "a");
	assert_str(*image_kvs_get(&c.labels, S("b")), "3");
	assert_null(image_kvs_get(&c.labels, S("c")));
	image_config_port_add(&c, S("80/tcp"));
	image_config_port_add(&c, S("443/tcp"));
	image_config_port_add(&c, S("80/tcp"));
	assert_int_equal(c.ports.len, 2);
	assert_str(c.ports.ptr[0], "443/tcp");
	image_config_onbuild_add(&c, S("RUN a"));
	image_config_onbuild_clear(&c);
	assert_int_equal(c.onbuild.len, 0);
	arena_free(a);
}

/* Not UTF-8 in a Dockerfile: the JSON stays valid. */
void test_config__not_utf8(void **state)
{
	struct arena *a = arena_new();
	struct platform p = platform_host();
	struct image_config c, again;
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	strbuf_init(&b, IMAGE_CONFIG_MAX);
	image_config_init(&c, a, &p);
	image_config_label_set(&c, S("k\xff"), S("v\xff"));
	image_config_volume_add(&c, S("/\xfe"));
	image_config_env_set(&c, S("E"), S("\xe2\x80\xa8"));
	image_config_encode(&c, &b);
	assert_true(str_search(strbuf_view(&b), S("\\u2028")) > 0);
	assert_ok(image_config_parse(a, strbuf_view(&b), &again, &err));
	assert_int_equal(again.labels.len, 1);
	assert_int_equal(again.volumes.len, 1);
	arena_free(a);
}

/* The identity of the first layer is its diff id; of more, a digest over the text of both. */
void test_config__chain_id(void **state)
{
	struct arena *a = arena_new();
	struct image_config c;
	struct cairn_err err;
	struct digest id, want = digest_of(D1 " " D2, 2 * DIGEST_STR_LEN + 1);

	(void)state;
	assert_ok(image_config_parse(a, S(FULL), &c, &err));
	id = image_config_chain_id(&c, 1);
	assert_string_equal(digest_text(&id).s, D1);
	id = image_config_chain_id(&c, 2);
	assert_true(digest_eq(&id, &want));
	arena_free(a);
}
