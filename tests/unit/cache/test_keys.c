/* Keys of steps: what is in them, what is not, and that nobody changes either unawares. */
#include "harness.h"

#include "cache/cache.h"

/* The same code once more, of an engine whose steps all are of a version `raised` higher. */
static uint32_t raised;
#define digest_fields_begin(f, domain, version) digest_fields_begin(f, domain, (version) + raised)
#define key_definition                          raised_definition
#define key_content                             raised_content
#define key_link                                raised_link
#include "cache/keys.c"
#undef digest_fields_begin
#undef key_definition
#undef key_content
#undef key_link

/* One step of each kind, with every field that a key may hold set. */
struct steps {
	struct graph_stage stage;
	struct graph_node nodes[GRAPH_N_];
	struct graph_mount mounts[2];
	struct key_env env;
	struct digest parent;
	struct key_operand operand;
	str argv[3], vars[2], sources[2], excludes[1], hosts[1], limits[1];
	struct graph_inline inlines[1];
};

static void fill_run(struct steps *s)
{
	struct graph_node *n = &s->nodes[GRAPH_RUN];

	s->argv[0] = S("/bin/sh");
	s->argv[1] = S("-c");
	s->argv[2] = S("make");
	s->vars[0] = S("PATH=/bin");
	s->vars[1] = S("V=1");
	s->mounts[0] = (struct graph_mount){ .type = RUN_MOUNT_BIND,
		                             .from = { .kind = GRAPH_FROM_NODE,
		                                       .node = &s->nodes[GRAPH_BASE] },
		                             .source = S("/src"),
		                             .target = S("/a") };
	s->mounts[1] = (struct graph_mount){ .type = RUN_MOUNT_CACHE,
		                             .from = { .kind = GRAPH_FROM_NONE },
		                             .target = S("/c"),
		                             .id = S("one"),
		                             .mode = 0755,
		                             .uid = 1,
		                             .gid = 2,
		                             .writable = true };
	n->user = S("app");
	n->cwd = S("/w");
	n->env = (struct graph_env){ s->vars, 2 };
	n->run = (struct graph_run){ .argv = s->argv,
		                     .n_argv = 3,
		                     .script = S("echo\n"),
		                     .script_name = S("EOF"),
		                     .mounts = s->mounts,
		                     .n_mounts = 2 };
	s->hosts[0] = S("h=10.0.0.1");
	s->limits[0] = S("nofile=10:20");
	s->env = (struct key_env){ .add_hosts = s->hosts,
		                   .n_add_hosts = 1,
		                   .ulimits = s->limits,
		                   .n_ulimits = 1,
		                   .shm_size = 1 << 20,
		                   .network = GRAPH_NET_HOST };
}

static void fill_copy(struct steps *s)
{
	s->sources[0] = S("a*");
	s->sources[1] = S("b");
	s->excludes[0] = S("*.o");
	s->inlines[0] = (struct graph_inline){ S("EOF"), S("text\n") };
	s->nodes[GRAPH_COPY].copy = (struct graph_copy){
		.from = { .kind = GRAPH_FROM_NODE, .node = &s->nodes[GRAPH_BASE] },
		.sources = s->sources,
		.n_sources = 2,
		.inlines = s->inlines,
		.n_inlines = 1,
		.dest = S("/d/"),
		.chown = S("app:app"),
		.chmod = S("0640"),
		.excludes = s->excludes,
		.n_excludes = 1,
	};
}

static void fill(struct steps *s)
{
	struct cairn_err err;

	memset(s, 0, sizeof(*s));
	assert_ok(platform_make(S("linux"), S("arm"), S("v7"), &s->stage.platform, &err));
	for (size_t i = 0; i < GRAPH_N_; i++) {
		s->nodes[i].kind = (enum graph_kind)i;
		s->nodes[i].stage = &s->stage;
	}
	s->nodes[GRAPH_BASE].base.config_digest = digest_of("config", 6);
	s->nodes[GRAPH_WORKDIR].workdir.path = S("/w");
	s->nodes[GRAPH_WORKDIR].user = S("app");
	s->parent = digest_of("parent", 6);
	s->operand = (struct key_operand){ .node = &s->nodes[GRAPH_BASE],
		                           .base = digest_of("base", 4),
		                           .selection = digest_of("selection", 9) };
	fill_run(s);
	fill_copy(s);
}

static size_t n_operands(enum graph_kind kind)
{
	return kind == GRAPH_RUN || kind == GRAPH_COPY;
}

static struct digest definition(const struct steps *s, enum graph_kind kind)
{
	return key_definition(&s->nodes[kind], &s->env, &s->parent, &s->operand, n_operands(kind));
}

static struct digest content(const struct steps *s, enum graph_kind kind)
{
	return key_content(&s->nodes[kind], &s->env, &s->parent, &s->operand, n_operands(kind));
}

/* What an older or a newer engine left under its keys is not found under today's. */
void test_keys__version_of_every_kind(void **state)
{
	struct steps s;

	(void)state;
	fill(&s);
	for (size_t i = 0; i < GRAPH_N_; i++) {
		const struct graph_node *n = &s.nodes[i];
		size_t k = n_operands(n->kind);
		struct digest def = definition(&s, n->kind), con = content(&s, n->kind);
		struct digest link = key_link(n, &s.operand, k), other;

		for (raised = 0; raised <= 1; raised++) {
			bool same = raised == 0;

			other = raised_definition(n, &s.env, &s.parent, &s.operand, k);
			assert_int_equal(digest_eq(&def, &other), same);
			other = raised_content(n, &s.env, &s.parent, &s.operand, k);
			assert_int_equal(digest_eq(&con, &other), same);
			other = raised_link(n, &s.operand, k);
			assert_int_equal(digest_eq(&link, &other), same);
		}
	}
}

/* A key that changes here makes every cache of every user worthless once. Where a step's
 * result has changed that is meant: raise its version in cache/keys.c, and put the new key here. */
void test_keys__are_what_they_were(void **state)
{
	static const struct {
		enum graph_kind kind;
		const char *definition, *content;
	} known[] = {
		{ GRAPH_BASE, "00704264a7aac4120aacda7f0926ce275b0a4a02c2e5efcced1ee110a3f2f09c",
		  "e1f6637a1e8f550701d770a3afca187597899abb24c6dac75589abc38a1c2fb1" },
		{ GRAPH_RUN, "968574053462bd36b9b49c05b39e102099ac781ab584c135670b0f5656d18438",
		  "1d435999f8b6e7290bbee5b923d21e84a0250c63cc6bc69eb206e2499a8da158" },
		{ GRAPH_COPY, "38cb9d6e100dac06e7b956ae71bd36634ce8329cfde59028a79286ae14e6d18a",
		  "f959d818a559a69790210a2172069aa8c324a39e2a7795ad015909012595572a" },
		{ GRAPH_WORKDIR, "a284567ce49a2ecfb83199e07fbabff315b106cac85e9aa58295b3b37ee62f40",
		  "8588fcd8228506827ce7026dbdd6ded943444c59a4e12e5273ce0e2e54856f42" },
	};
	struct steps s;

	(void)state;
	fill(&s);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		struct digest def = definition(&s, known[i].kind), con = content(&s, known[i].kind);

		assert_str(str_of(digest_hex(&def).s), known[i].definition);
		assert_str(str_of(digest_hex(&con).s), known[i].content);
	}
}

void test_keys__platform(void **state)
{
	static const char *const others[][3] = {
		{ "linux", "arm", "v6" },
		{ "linux", "arm64", "" },
		{ "windows", "arm", "v7" },
	};
	struct steps s;
	struct cairn_err err;

	(void)state;
	for (size_t kind = 0; kind < GRAPH_N_; kind++)
		for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
			struct digest before, after;

			fill(&s);
			before = definition(&s, (enum graph_kind)kind);
			assert_ok(platform_make(str_of(others[i][0]), str_of(others[i][1]),
			                        str_of(others[i][2]), &s.stage.platform, &err));
			after = definition(&s, (enum graph_kind)kind);
			assert_false(digest_eq(&before, &after));
		}
}

/* Fields of a RUN and of a COPY, changed one by one. */
static void change_argv(struct steps *s)
{
	s->argv[2] = S("make all");
}

static void change_variable(struct steps *s)
{
	s->vars[1] = S("V=2");
}

static void change_user(struct steps *s)
{
	s->nodes[GRAPH_RUN].user = S("root");
}

static void change_directory(struct steps *s)
{
	s->nodes[GRAPH_RUN].cwd = S("/x");
}

static void change_script(struct steps *s)
{
	s->nodes[GRAPH_RUN].run.script = S("true\n");
}

static void change_network(struct steps *s)
{
	s->nodes[GRAPH_RUN].run.network = GRAPH_NET_NONE;
}

static void change_target(struct steps *s)
{
	s->mounts[0].target = S("/b");
}

static void change_source(struct steps *s)
{
	s->mounts[0].source = S("/other");
}

static void change_host(struct steps *s)
{
	s->hosts[0] = S("h=10.0.0.2");
}

static void change_limit(struct steps *s)
{
	s->limits[0] = S("nofile=10:30");
}

static void change_parent(struct steps *s)
{
	s->parent = digest_of("other", 5);
}

static void change_proxy(struct steps *s)
{
	static str proxy = { "HTTP_PROXY=x", 12 };

	s->nodes[GRAPH_RUN].proxy_env = (struct graph_env){ &proxy, 1 };
}

static void change_cache_id(struct steps *s)
{
	s->mounts[1].id = S("two");
}

static void change_place(struct steps *s)
{
	s->nodes[GRAPH_RUN].line = 7;
	s->nodes[GRAPH_RUN].name = S("[2/3] RUN make");
}

void test_keys__of_run(void **state)
{
	static const struct {
		const char *what;
		void (*change)(struct steps *s);
		bool same;
	} cases[] = {
		{ "argv", change_argv, false },
		{ "variable", change_variable, false },
		{ "user", change_user, false },
		{ "directory", change_directory, false },
		{ "script", change_script, false },
		{ "network", change_network, false },
		{ "target", change_target, false },
		{ "source", change_source, false },
		{ "host", change_host, false },
		{ "limit", change_limit, false },
		{ "parent", change_parent, false },
		{ "proxy", change_proxy, true },
		{ "id of a cache", change_cache_id, true },
		{ "place", change_place, true },
	};
	struct steps s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct digest before, after;

		fill(&s);
		before = definition(&s, GRAPH_RUN);
		cases[i].change(&s);
		after = definition(&s, GRAPH_RUN);
		if (digest_eq(&before, &after) != cases[i].same)
			fail_msg("%s: %s", cases[i].what,
			         cases[i].same ? "in the key" : "not in it");
	}
}
