#include "harness.h"

#include "cache/cache.h"
#include "util/map.h"

static struct layer_entry files[] = {
	{ .path = { "a", 1 }, .type = LAYER_DIR, .mode = 0755 },
	{ .path = { "a/f.c", 5 }, .type = LAYER_FILE, .mode = 0644, .digest = { { 1 } } },
	{ .path = { "x.c", 3 }, .type = LAYER_FILE, .mode = 0644, .digest = { { 4 } } },
};

static int no_base(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                   struct graph_base *ret, struct cairn_err *err)
{
	(void)ctx, (void)arena, (void)platform, (void)ret;
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "no image '%.*s'", STR(ref));
}

/* A Dockerfile's graph; freed with keep_done(). */
struct keep {
	struct dockerfile *df;
	struct graph *g;
};

static void lower(const char *text, struct keep *k)
{
	static const struct map none;
	struct graph_opts o = { .build_args = &none, .contexts = &none, .resolve_base = no_base };
	struct cairn_err err;

	assert_int_equal(platform_parse(S("linux/amd64"), &o.platform, &err), 0);
	assert_int_equal(dockerfile_parse(str_of(text), "Dockerfile", &k->df, &err), 0);
	if (graph_lower(k->df, "Dockerfile", &o, &k->g, &err) < 0)
		fail_msg("%s", err.msg);
}

static void keep_done(struct keep *k)
{
	graph_free(k->g);
	dockerfile_free(k->df);
}

static const struct key_env env = { .network = GRAPH_NET_HOST };

static struct define_step *keys_of(const struct graph *g, struct arena *a)
{
	struct view_file vf[ARRAY_SIZE(files)] = { 0 };
	struct view v = { vf, ARRAY_SIZE(files), false, S("the build context") };
	struct define_step *steps = define_steps(g, a);
	struct cairn_err err;

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		vf[i].entry = &files[i];
	for (size_t i = 0; i < g->n_nodes; i++)
		for (size_t k = 0; k < steps[i].n_operands; k++) {
			if (define_source(steps[i].node, k)->kind != GRAPH_FROM_CONTEXT)
				continue;
			steps[i].views[k] = v;
			assert_int_equal(define_select(&steps[i], k, "Dockerfile", a, &err), 0);
			define_digest(&steps[i], k);
		}
	define_keys(g, &env, steps);
	return steps;
}

static struct digest input_of(const char *text)
{
	cleanup_arena struct arena *a = arena_new();
	struct keep k = { 0 };
	struct define_step *steps;
	struct digest d;

	lower(text, &k);
	steps = keys_of(k.g, a);
	d = define_input(k.g, &env, steps, NULL);
	keep_done(&k);
	return d;
}

#define TEXT                                                                                \
	"FROM scratch AS one\nCOPY a /s\nFROM scratch\nWORKDIR /w\nCOPY --from=one /s /t\n" \
	"RUN --mount=type=bind,from=one,source=/s,target=/n --mount=type=bind,target=/m x\n"

/* Keys in the world's caches: they change when somebody means it, and raises a version. */
void test_define__golden(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct keep k = { 0 };
	struct define_step *steps;

	(void)state;
	lower(TEXT, &k);
	steps = keys_of(k.g, a);
	assert_string_equal(digest_hex(&steps[k.g->target->last->id].key).s,
	                    "82e321f0c9ccc3c368fa205c6fc7e3d409bb558fbf9015820e453f317613f003");
	keep_done(&k);
}

void test_define__input(void **state)
{
	static const struct {
		const char *text;
		bool same;
	} cases[] = {
		{ TEXT, true },
		{ "# comment\n" TEXT "\n# end\n", true },
		{ "FROM scratch AS unused\nCOPY x.c /\n" TEXT, true },
		{ TEXT "CMD [\"x\"]\n", false },
		{ TEXT "LABEL a=b\n", false },
		{ TEXT "ENV a=b\n", false },
		{ TEXT "COPY x.c /\n", false },
	};
	struct digest want = input_of(TEXT);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct digest got = input_of(cases[i].text);

		if (digest_eq(&got, &want) != cases[i].same)
			fail_msg("case %zu", i);
	}
}

void test_define__needed(void **state)
{
	static const struct {
		const char *steps, *want; /* "-": nothing, "*": everything */
	} cases[] = {
		{ "RUN x\n", "-" },
		{ "COPY a/b c /\n", "a/b c " },
		{ "COPY ./a/*.c /\n", "a " },
		{ "COPY *.c /\n", "*" },
		{ "COPY a /\nCOPY . /\n", "*" },
		{ "COPY a/../b /\n", "a " },
		{ "RUN --mount=type=bind,source=/q,target=/q x\n", "q " },
		{ "COPY <<EOF /x\nEOF\n", "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf got;
		struct keep k = { 0 };
		str *paths = NULL;
		size_t n = 0;

		strbuf_init(&got, 1000);
		lower(arena_printf(a, "FROM scratch\n%s", cases[i].steps), &k);
		if (!define_needed(k.g, S(""), a, &paths, &n))
			strbuf_cstr(&got, "-");
		else if (!n)
			strbuf_cstr(&got, "*");
		for (size_t p = 0; p < n; p++)
			strbuf_printf(&got, "%.*s ", STR(paths[p]));
		assert_string_equal(got.ptr, cases[i].want);
		keep_done(&k);
	}
}
