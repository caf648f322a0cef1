/* Digests that a BuildKit gave for these steps (moby 20.10.24, which knew no
 * removeMountStubsRecursive: one of the forms). */
#include "harness.h"

#include <fcntl.h>

#include "cache/buildkit_key.h"
#include "util/map.h"

static int resolve(void *ctx, struct arena *a, str ref, const struct platform *p,
                   struct graph_base *ret, struct cairn_err *err)
{
	struct image_config *c = arena_new_of(a, struct image_config);
	struct digest layer = digest_of("layer", 5);

	(void)ctx;
	(void)err;
	image_config_init(c, a, p);
	image_config_env_set(c, S("PATH"), S("/usr/bin:/bin"));
	image_config_env_set(c, S("LANG"), S("C"));
	image_config_layer_add(c, &layer);
	*ret = (struct graph_base){ ref, c, digest_of(ref.ptr, ref.len) };
	return 0;
}

/* A context of three files, and one directory with a file in it. */
static const struct layer_entry files[] = {
	{ .path = { "one.txt", 7 }, .mode = 0644, .size = 5, .type = LAYER_FILE },
	{ .path = { "src", 3 }, .mode = 0755, .type = LAYER_DIR },
	{ .path = { "src/a.txt", 9 }, .mode = 0644, .size = 2, .type = LAYER_FILE },
	{ .path = { "src/b.txt", 9 }, .mode = 0600, .size = 2, .type = LAYER_FILE },
	{ .path = { "src/c", 5 }, .mode = 0777, .target = { "a.txt", 5 }, .type = LAYER_SYMLINK },
};

struct fixture {
	struct dockerfile *df;
	struct graph *g;
	struct map args, contexts;
	struct view_file view_files[ARRAY_SIZE(files)];
	struct view view;
	struct buildkit_tree *tree;
	unsigned opened;
};

static int open_file(void *ctx, const struct view_file *f, int *ret_fd, struct cairn_err *err)
{
	struct fixture *x = ctx;

	x->opened++;
	*ret_fd = openat(harness_dirfd(), f->entry->path.ptr, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? cairn_fail_sys(err, "open") : 0;
}

static int tree(void *ctx, str context, struct buildkit_tree **ret, struct cairn_err *err)
{
	(void)context;
	(void)err;
	*ret = ((struct fixture *)ctx)->tree;
	return 0;
}

static void setup(struct fixture *x, const char *dockerfile)
{
	struct graph_opts opts = { .build_args = &x->args,
		                   .contexts = &x->contexts,
		                   .resolve_base = resolve };
	struct cairn_err err;

	assert_ok(platform_make(S("linux"), S("amd64"), S(""), &opts.platform, &err));
	assert_ok(dockerfile_parse(str_of(dockerfile), "Dockerfile", &x->df, &err));
	assert_ok(graph_lower(x->df, "Dockerfile", &opts, &x->g, &err));
	harness_write("one.txt", S("data0"));
	harness_write("src/a.txt", S("aa"));
	harness_write("src/b.txt", S("bb"));
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		x->view_files[i].entry = &files[i];
	x->view = (struct view){ x->view_files, ARRAY_SIZE(files), false, S("the context") };
	x->tree = buildkit_tree_new(&x->view, open_file, x);
}

static void teardown(struct fixture *x)
{
	buildkit_tree_free(x->tree);
	graph_free(x->g);
	dockerfile_free(x->df);
	map_done(&x->args);
	map_done(&x->contexts);
}

static struct buildkit_op *op(struct fixture *x, const struct graph_node *n,
                              const struct key_env *env)
{
	struct buildkit_contexts contexts = { tree, x };
	struct buildkit_op *ret = NULL;
	struct cairn_err err;

	assert_ok(buildkit_op_new(x->g->arena, n, env, &contexts, &ret, &err));
	assert_non_null(ret);
	return ret;
}

static bool has(const struct digest *list, size_t n, const char *want)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(digest_text(&list[i]).s, want) == 0)
			return true;
	return false;
}

/* The step, made of one line, has a record of this digest among its forms. */
static void assert_form(const char *line, const char *want)
{
	static const struct key_env env = { .network = GRAPH_NET_NONE };
	struct fixture x = { 0 };
	struct buildkit_op *o;
	char *text = xasprintf("FROM base\nENV FOO=bar\n%s\n", line);

	setup(&x, text);
	o = op(&x, x.g->target->last, &env);
	if (!has(o->forms, o->n_forms, want))
		fail_msg("'%s' has not the digest %s", line, want);
	assert_int_equal(o->deps[0].node->kind, GRAPH_BASE);
	free(text);
	teardown(&x);
}

void test_buildkit_key__operations_have_the_digests_of_a_real_buildkit(void **state)
{
	(void)state;
	assert_form("RUN echo \"a & b\" > /x && true <z>",
	            "sha256:eb3bce5046a8ad642089448538e0aa8f8c69da3d51195cfad98a34bf7229c79a");
	assert_form("WORKDIR /w",
	            "sha256:f6515d8afd8f2d2ce6612a1d4492f88887feb327524d76cfd0f4c19c328711c2");
	assert_form("COPY src /dst/",
	            "sha256:e28df4a98f65258554ae4549651a5780d7101496831b5a4010cdc88a7f6812c3");
	assert_form("COPY . /all/",
	            "sha256:1cfcfba199445c888b85b588c3f01b3e582704da5531dcf2a253eb962c98a9a8");
}

void test_buildkit_key__a_file_has_the_digest_of_a_real_buildkit(void **state)
{
	static const struct key_env env;
	struct fixture x = { 0 };
	struct buildkit_op *o;

	(void)state;
	setup(&x, "FROM base\nCOPY one.txt /\nCOPY ./one.txt /two\n");
	o = op(&x, x.g->nodes[1], &env);
	assert_int_equal(o->n_deps, 2);
	assert_int_equal(o->deps[1].n_selectors, 0);
	assert_int_equal(o->deps[1].n_contents, 1);
	assert_string_equal(
		digest_text(&o->deps[1].contents[0]).s,
		"sha256:b88a9c4243282beb112eb41ce8173ef66efdfac809f808f826115cb460439689");
	o = op(&x, x.g->nodes[2], &env);
	assert_true(has(o->deps[1].contents, 1,
	                "sha256:b88a9c4243282beb112eb41ce8173ef66efdfac809f808f826115cb460439689"));
	assert_int_equal(x.opened, 1); /* read once */
	teardown(&x);
}

void test_buildkit_key__contents(void **state)
{
	static const struct {
		const char *copy;
		size_t forms;
	} cases[] = {
		{ "COPY src /x", 1 },
		{ "COPY . /x", 1 },
		{ "COPY src/c /x", 1 },
		{ "COPY src/*.txt /x/", 3 },
		{ "COPY on?.txt /x", 3 },
		{ "COPY none* /x/", 1 },
		{ "COPY one.txt src/a.txt /x/", 1 },
	};
	static const struct key_env env;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture x = { 0 };
		char *text = xasprintf("FROM base\n%s\n", cases[i].copy);
		struct buildkit_op *o;

		setup(&x, text);
		o = op(&x, x.g->nodes[1], &env);
		if (o->deps[1].n_contents != cases[i].forms)
			fail_msg("%s has %zu contents", cases[i].copy, o->deps[1].n_contents);
		free(text);
		teardown(&x);
	}
}

/* A link is what it leads to; names below a directory count. */
void test_buildkit_key__links_are_followed_at_the_end(void **state)
{
	static const struct key_env env;
	struct fixture x = { 0 };
	struct buildkit_op *link, *file;

	(void)state;
	setup(&x, "FROM base\nCOPY src/c /x\nCOPY src/a.txt /x\n");
	link = op(&x, x.g->nodes[1], &env);
	file = op(&x, x.g->nodes[2], &env);
	assert_true(digest_eq(&link->deps[1].contents[0], &file->deps[1].contents[0]));
	assert_false(digest_eq(&link->forms[0], &file->forms[0]));
	teardown(&x);
}

void test_buildkit_key__variables_in_the_order_they_were_set_last(void **state)
{
	struct fixture x = { 0 };
	const struct graph_node *n;

	(void)state;
	setup(&x, "FROM base AS a\nARG A=1\nENV LANG=x B=2\nFROM a\nARG B=3\nRUN true\n");
	n = x.g->target->last;
	assert_int_equal(n->set_env.n, 4);
	assert_str(n->set_env.vars[0], "A=1");
	assert_str(n->set_env.vars[1], "PATH=/usr/bin:/bin");
	assert_str(n->set_env.vars[2], "LANG=x");
	assert_str(n->set_env.vars[3], "B=3");
	assert_str(n->env.vars[0], "PATH=/usr/bin:/bin");
	teardown(&x);
}

void test_buildkit_key__strings_as_go_writes_them(void **state)
{
	static const struct {
		str in;
		const char *out;
	} cases[] = {
		{ { "a<b>&\"\\\n\r\t\b\f\x01/\x7f", 15 },
		  "\"a\\u003cb\\u003e\\u0026\\\"\\\\\\n\\r\\t\\b\\f\\u0001/\x7f\"" },
		{ { "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9 },
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"" },
		{ { "\xe2\x80\xa8\xe2\x80\xa9", 6 }, "\"\\u2028\\u2029\"" },
		{ { "\xff\xc3(\xed\xa0\x80\xc0\x80\xe2\x82", 10 },
		  "\"\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;

		strbuf_init(&out, 1000);
		buildkit_json_string(&out, cases[i].in);
		assert_string_equal(out.ptr, cases[i].out);
	}
}

/* Mounts: what makes a difference and what does not. */
void test_buildkit_key__mounts(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{ "RUN true", "RUN --mount=type=tmpfs,target=/t true", false },
		{ "RUN --mount=type=cache,target=/c,id=x true",
		  "RUN --mount=type=cache,target=/c,id=y true", true },
		{ "RUN --mount=type=cache,target=/c true",
		  "RUN --mount=type=cache,target=/c,id=/c true", true },
		{ "RUN --mount=type=cache,target=/c true",
		  "RUN --mount=type=cache,target=/c,id=y true", false },
		{ "RUN --mount=type=cache,target=/c true",
		  "RUN --mount=type=cache,target=/c,uid=7 true", false },
		{ "RUN --mount=type=bind,source=src,target=/b true",
		  "RUN --mount=type=bind,source=one.txt,target=/b true", true },
		{ "RUN --mount=type=secret,id=a true", "RUN --mount=type=secret,id=b true", false },
		{ "RUN --mount=type=secret,id=a,env=A true", "RUN --mount=type=secret,id=a true",
		  false },
		{ "RUN --mount=type=ssh true", "RUN true", false },
		{ "RUN --network=none true", "RUN true", false },
		{ "USER a\nRUN true", "RUN true", false },
		{ "ENV A=1\nRUN true", "RUN true", false },
		{ "LABEL A=1\nRUN true", "RUN true", true },
	};
	static const struct key_env env;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture x = { 0 }, y = { 0 };
		char *a = xasprintf("FROM base\n%s\n", cases[i].a);
		char *b = xasprintf("FROM base\n%s\n", cases[i].b);

		setup(&x, a);
		setup(&y, b);
		if (digest_eq(&op(&x, x.g->target->last, &env)->forms[0],
		              &op(&y, y.g->target->last, &env)->forms[0]) != cases[i].same)
			fail_msg("%s: %s", cases[i].a, cases[i].b);
		teardown(&x);
		teardown(&y);
		free(a);
		free(b);
	}
}
