/* cairn.yaml: what is read, and what is said about mistakes. */
#include "harness.h"

#include "util/fs.h"
#include "workspace/workspace.h"

static struct workspace_config *parse(const char *text)
{
	struct workspace_config *c = NULL;
	struct cairn_err err;

	assert_ok(workspace_config_parse(str_of(text), "cairn.yaml", "/repo", &c, &err));
	return c;
}

void test_config__defaults(void **state)
{
	static const char *const empty[] = { "", "# nothing\n", "---\n", "version: 1\n",
		                             "cache:\nmirrors:\nbase:\ncache_mounts: ~\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
		cleanup_workspace_config struct workspace_config *c = parse(empty[i]);

		assert_int_equal(c->caches.len, 0);
		assert_int_equal(c->mirrors.len, 0);
		assert_true(c->cache_mounts.enabled);
		assert_int_equal(c->cache_mounts.max_size, 2ull << 30);
		assert_int_equal(c->cache_mounts.ttl, 30 * 86400 * 1000000000ull);
		assert_str(c->base.lock, "/repo/cairn.lock");
		assert_str(c->base.registry, "");
		assert_int_equal(c->sandbox_network, WORKSPACE_NETWORK_HOST);
		assert_string_equal(c->root, "/repo");
	}
}

void test_config__every_key(void **state)
{
	cleanup_workspace_config struct workspace_config *c =
		parse("version: 1\n"
	              "cache: [\"local:cache\", {url: s3://bucket/p, read_only: true}]\n"
	              "cache_mounts: {enabled: false, max_size: 2g, ttl: 12h}\n"
	              "mirrors:\n"
	              "  docker.io:\n"
	              "    - 123.dkr.ecr.eu-central-1.amazonaws.com/docker-hub/\n"
	              "    - registry-1.docker.io\n"
	              "  quay.io: mirror.example:5000\n"
	              "registries:\n"
	              "  \"reg.example:5000\": {http: true, insecure_skip_verify: true}\n"
	              "  other.example: {ca: certs/ca.pem, cert: /c.pem, key: k.pem}\n"
	              "base:\n  registry: reg.example:5000/base\n  lock: build/cairn.lock\n"
	              "sandbox_network: none\n");

	(void)state;
	assert_int_equal(c->caches.len, 2);
	assert_str(c->caches.ptr[0].type, "local");
	assert_true(c->caches.ptr[1].read_only);
	assert_int_equal(c->caches.ptr[1].line, 2);
	assert_false(c->cache_mounts.enabled);
	assert_int_equal(c->cache_mounts.max_size, 2ull << 30);
	assert_int_equal(c->cache_mounts.ttl, 12 * 3600 * 1000000000ull);
	assert_int_equal(c->mirrors.len, 2);
	assert_str(c->mirrors.ptr[0].domain, "docker.io");
	assert_int_equal(c->mirrors.ptr[0].locations.len, 2);
	assert_str(c->mirrors.ptr[0].locations.ptr[0],
	           "123.dkr.ecr.eu-central-1.amazonaws.com/docker-hub");
	assert_str(c->mirrors.ptr[1].locations.ptr[0], "mirror.example:5000");
	assert_int_equal(c->registries.len, 2);
	assert_true(c->registries.ptr[0].http && c->registries.ptr[0].insecure_skip_verify);
	assert_str(c->registries.ptr[1].ca, "/repo/certs/ca.pem");
	assert_str(c->registries.ptr[1].cert, "/c.pem");
	assert_str(c->registries.ptr[1].key, "/repo/k.pem");
	assert_str(c->base.registry, "reg.example:5000/base");
	assert_str(c->base.lock, "/repo/build/cairn.lock");
	assert_int_equal(c->sandbox_network, WORKSPACE_NETWORK_NONE);
}

void test_config__images(void **state)
{
	cleanup_workspace_config struct workspace_config *c = parse(
		"images:\n"
		"  a: {context: x, args: [V=1, W], tags: r.io/a, category: gpu, deadline: 5m}\n"
		"  b-${v}:\n    args: {V: 2, W: , X: \"\"}\n    matrix: {v: [1, 2]}\n"
		"  c:\n"
		"defaults: {platforms: linux/arm64, runner: big}\ngroups: {g: [a, c]}\n");
	const struct workspace_image *i = c->images.ptr;

	(void)state;
	assert_int_equal(c->images.len, 3);
	assert_str(i[0].name, "a");
	assert_int_equal(i[0].line, 2);
	assert_int_equal(i[0].col, 3);
	assert_int_equal(i[0].args.len, 2);
	assert_str(i[0].args.ptr[0].value, "1");
	assert_null(i[0].args.ptr[1].value.ptr);
	assert_int_equal(i[0].category, IMAGE_GPU);
	assert_int_equal(i[0].deadline, 300 * 1000000000ull);
	assert_str(i[1].args.ptr[0].value, "2");
	assert_null(i[1].args.ptr[1].value.ptr);
	assert_non_null(i[1].args.ptr[2].value.ptr);
	assert_int_equal(i[1].matrix.len, 1);
	assert_int_equal(i[1].matrix.ptr[0].values.len, 2);
	assert_int_equal(i[2].line, 6);
	assert_str(c->defaults.platforms.ptr[0], "linux/arm64");
	assert_str(c->defaults.runner, "big");
	assert_int_equal(c->groups.ptr[0].members.len, 2);
}

struct bad {
	const char *text;
	unsigned line, col;
	const char *say; /* a part of the message */
};

static void check_bad(const struct bad *b)
{
	struct workspace_config *c = NULL;
	struct cairn_err err = { 0 };

	assert_fails(workspace_config_parse(str_of(b->text), "cairn.yaml", "/repo", &c, &err),
	             CAIRN_E_SYNTAX);
	assert_string_equal(err.path, "cairn.yaml");
	if (err.line != b->line || err.col != b->col || !strstr(err.msg, b->say))
		fail_msg("'%s' gave %u:%u: %s", b->text, err.line, err.col, err.msg);
}

void test_config__mistakes(void **state)
{
	static const struct bad bad[] = {
		{ "cahce: x\n", 1, 1, "unknown key 'cahce'; did you mean 'cache'?" },
		{ "\n\nbase:\n  regsitry: a.b/c\n", 4, 3, "did you mean 'registry'?" },
		{ "wholly_new: 1\n", 1, 1, "unknown key 'wholly_new'; known here: version, " },
		{ "- a\n", 1, 1, "expected a mapping of keys, not a list" },
		{ "text\n", 1, 1, "expected a mapping of keys, not text" },
		{ "version: 2\n", 1, 10, "version: expected a number from 1 to 1, not '2'" },
		{ "version: one\n", 1, 10, "version: expected a number" },
		{ "base: {registry: plain}\n", 1, 18, "does not begin with the host" },
		{ "base: {registry: reg.example}\n", 1, 18, "has no repository" },
		{ "base: {registry: https://reg.example/x}\n", 1, 18, "is a URL" },
		{ "base: {registry: reg.example/Up}\n", 1, 18, "lower-case" },
		{ "base: [a]\n", 1, 7, "expected a mapping of keys, not a list" },
		{ "sandbox_network: bridge\n", 1, 18, "expected host or none, not 'bridge'" },
		{ "runners: {r: {driver: unknown}}\n", 1, 23,
		  "expected local, github, codebuild or" },
		{ "cache_mounts: {enabled: yes}\n", 1, 25, "enabled: expected true or false" },
		{ "cache_mounts: {enabled: \"true\"}\n", 1, 25, "expected true or false" },
		{ "cache_mounts: {max_size: big}\n", 1, 26, "expected a size like" },
		{ "cache_mounts: {ttl: 3 days}\n", 1, 21, "expected a time like" },
		{ "mirrors: {docker.io/library: a.b}\n", 1, 11, "more than the host" },
		{ "mirrors: {library: a.b}\n", 1, 11, "does not begin with the host" },
		{ "mirrors: {docker.io: {a: b}}\n", 1, 22, "expected a text or a list" },
		{ "mirrors: {docker.io: [a.b, \"\"]}\n", 1, 28, "empty text" },
		{ "mirrors: {docker.io: [a.b, c]}\n", 1, 28, "does not begin with the host" },
		{ "mirrors: [a.b]\n", 1, 10, "expected a mapping of names" },
		{ "registries: {a.b: {htpt: true}}\n", 1, 20, "did you mean 'http'?" },
		{ "version: 1\nversion: 1\n", 2, 1, "stands here for the second time" },
		{ "base: &x {registry: a.b/c}\n", 1, 7, "anchors (&x)" },
		{ "base: {registry: *x}\n", 1, 18, "aliases (*x)" },
		{ "version: !!int 1\n", 1, 10, "tags" },
		{ "? [a]\n: b\n", 1, 3, "a key has to be a word" },
		{ "version: 1\n---\nversion: 1\n", 2, 1, "second document" },
		{ "version: \"\\0\"\n", 1, 10, "NUL" },
		{ "base: {registry: a.b/c\n", 2, 1, "expected" },
		{ "\tversion: 1\n", 1, 1, "cannot start any token" },
		{ "images: [a]\n", 1, 9, "expected a mapping of names" },
		{ "images: {a b: {}}\n", 1, 10, "no name of an image" },
		{ "images: {a: {contxt: x}}\n", 1, 14, "did you mean 'context'?" },
		{ "images:\n  a:\n    args: 3\n", 3, 11, "args: expected a mapping of names" },
		{ "images: {a: {args: {X: [1]}}}\n", 1, 24, "expected a text, not a list" },
		{ "images: {a: {args: [=1]}}\n", 1, 21, "has no name" },
		{ "images: {a: {category: big}}\n", 1, 24,
		  "expected auto, light, heavy or gpu, not 'big'" },
		{ "images: {a: {platforms: [linux/amd64, \"l x\"]}}\n", 1, 39, "platform" },
		{ "images: {a: {matrix: {name: [x]}}}\n", 1, 23, "cannot be the name" },
		{ "images: {a: {matrix: {v: [x, y, x]}}}\n", 1, 33, "second time" },
		{ "images: {a: {matrix: {v: []}}}\n", 1, 26, "the list is empty" },
		{ "images: {a: {matrix: {v: }}}\n", 1, 23, "has no values" },
		{ "images: {a: {deadline: soon}}\n", 1, 24, "expected a time like" },
		{ "defaults: {context: x}\n", 1, 12,
		  "unknown key 'context'; did you mean 'contexts'?" },
		{ "groups: {g: {a: b}}\n", 1, 13, "expected a text or a list" },
		{ "a: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", 1, 19, "more than 16" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		check_bad(&bad[i]);
}

void test_config__no_text(void **state)
{
	struct workspace_config *c = NULL;
	struct cairn_err err = { 0 };

	(void)state;
	assert_fails(workspace_config_parse(S("version: \xff\n"), "cairn.yaml", "/r", &c, &err),
	             CAIRN_E_SYNTAX);
	assert_non_null(strstr(err.msg, "UTF-8"));
}

/* The schema names the keys that the reader takes: what it says of each is tried. */
static void check_properties(const json_t *schema, const char *prefix, unsigned *count)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(schema, "properties"), key, v)
	{
		cleanup_free char *text = xasprintf("%s%s:\n", prefix, key);
		struct workspace_config *c = NULL;
		struct cairn_err err = { 0 };

		(*count)++;
		if (workspace_config_parse(str_of(text), "f", "/r", &c, &err) < 0)
			fail_msg("the reader does not take '%s': %s", text, err.msg);
		workspace_config_free(c);
		if (strcmp(json_string_value(json_object_get(v, "type")) ?: "", "object") == 0 &&
		    json_object_get(v, "properties") && !*prefix) {
			cleanup_free char *below = xasprintf("%s:\n  ", key);

			check_properties(v, below, count);
		}
	}
}

/* Every key of the schema stands in the text. */
static void check_keys_in(const json_t *schema, str text)
{
	const char *key;
	json_t *v;

	json_object_foreach(json_object_get(schema, "properties"), key, v)
	{
		cleanup_free char *want = xasprintf("%s:", key);

		if (str_search(text, str_of(want)) < 0)
			fail_msg("'%s' is not in the example", key);
		check_keys_in(v, text);
	}
	if (json_object_get(schema, "oneOf"))
		check_keys_in(json_array_get(json_object_get(schema, "oneOf"), 1), text);
	if (json_is_object(json_object_get(schema, "items")))
		check_keys_in(json_object_get(schema, "items"), text);
	if (json_is_object(json_object_get(schema, "additionalProperties")))
		check_keys_in(json_object_get(schema, "additionalProperties"), text);
}

static void check_documented(str text)
{
	cleanup_strbuf struct strbuf schema_text;
	cleanup_json json_t *schema = NULL;
	struct cairn_err err;

	strbuf_init(&schema_text, 1u << 20);
	workspace_config_schema(&schema_text);
	assert_ok(json_parse(strbuf_view(&schema_text), "schema", &schema, &err));
	check_keys_in(schema, text);
}

void test_config__schema_and_reader_agree(void **state)
{
	cleanup_strbuf struct strbuf text;
	cleanup_json json_t *schema = NULL;
	struct cairn_err err;
	unsigned count = 0;

	(void)state;
	strbuf_init(&text, 1u << 20);
	workspace_config_schema(&text);
	assert_ok(json_parse(strbuf_view(&text), "schema", &schema, &err));
	assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
	check_properties(schema, "", &count);
	assert_true(count >= 12);
}

/* The example of docs/configuration.md has every key, and is read. */
void test_config__example_of_the_docs(void **state)
{
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_strbuf struct strbuf text;
	struct cairn_err err;
	str example;
	ptrdiff_t at;

	(void)state;
	strbuf_init(&text, 1u << 20);
	assert_ok(fs_read_file(AT_FDCWD, TEST_ASSETS "/../../docs/configuration.md", &text, &err));
	at = str_search(strbuf_view(&text), S("```yaml\n"));
	assert_true(at >= 0);
	example = str_skip(strbuf_view(&text), (size_t)at + 8);
	at = str_search(example, S("```"));
	assert_true(at >= 0);
	assert_ok(workspace_config_parse(str_n(example.ptr, (size_t)at), "configuration.md", "/r",
	                                 &c, &err));
	assert_int_equal(c->caches.len, 5);
	assert_int_equal(c->mirrors.len, 2);
	assert_int_equal(c->registries.len, 2);
	check_documented(example);
}

/* docs/cairn.schema.json is what the tables make; `ninja update-docs` writes it. */
void test_config__schema_file_is_current(void **state)
{
	cleanup_strbuf struct strbuf want, have;
	struct cairn_err err;

	(void)state;
	strbuf_init(&want, 1u << 20);
	strbuf_init(&have, 1u << 20);
	workspace_config_schema(&want);
	assert_ok(fs_read_file(AT_FDCWD, TEST_ASSETS "/../../docs/cairn.schema.json", &have, &err));
	assert_str(strbuf_view(&have), want.ptr);
}
