#include "engine/sandbox_wire.h"
#include "harness.h"
#include "util/arena.h"

/* A spec that is well formed; tests change one thing of it. */
static void make_good(struct sandbox_spec *s)
{
	static const char *const argv[] = { "/bin/sh", "-c", "echo \xff\n'" };
	static const char *const env[] = { "PATH=/bin", "EMPTY=" };
	static const char *const lowers[] = { "/store/b", "/store/a" };
	static const gid_t groups[] = { 4, 27 };
	static const struct sandbox_limit limits[] = { { 7, 1024, 4096 }, { 4, 0, UINT64_MAX } };
	struct sandbox_overlay tree = { .lowers = lowers, .n_lowers = 2 };

	sandbox_spec_init(s);
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_ROOT_OVERLAY,
	                                     .flags = SANDBOX_VOLATILE,
	                                     .overlay = { .lowers = lowers,
	                                                  .n_lowers = 2,
	                                                  .upper = "/store/u",
	                                                  .work = "/store/w",
	                                                  .stubs = "/store/s" } });
	sandbox_add_defaults(s, 1 << 20);
	sandbox_add_tree_bind(s, sandbox_add_tree(s, &tree, 0), "x/y", "/in", SANDBOX_READ_ONLY);
	sandbox_add_bind(s, "/host", "", "/cache", 0);
	sandbox_add_file(s, "/run/secrets/key", str_n("a\0b", 3), 0400, 7, 8);
	sandbox_add_tmpfs(s, "/tmp", 01777, 12345);
	s->argv = argv;
	s->n_argv = 3;
	s->env = env;
	s->n_env = 2;
	s->groups = groups;
	s->n_groups = 2;
	s->limits = limits;
	s->n_limits = 2;
	s->uid = 1000;
	s->gid = 4294967294u;
	s->cwd = "/work";
	s->network = SANDBOX_NET_NONE;
	s->memory_max = 1 << 30;
}

void test_spec__good_one_passes(void **state)
{
	cleanup_sandbox_spec struct sandbox_spec s;
	struct cairn_err err;

	(void)state;
	make_good(&s);
	assert_ok(sandbox_spec_check(&s, &err));
}

/* What each case adds or changes, and what the message must say. */
static void no_argv(struct sandbox_spec *s)
{
	s->n_argv = 0;
}
static void relative_dest(struct sandbox_spec *s)
{
	sandbox_add_tmpfs(s, "tmp", 0755, 0);
}
static void root_dest(struct sandbox_spec *s)
{
	sandbox_add_tmpfs(s, "/", 0755, 0);
}
static void nul_in_dest(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_TMPFS, .dest = str_n("/a\0b", 4) });
}
static void two_roots(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_ROOT_DIR, .src = S("/x") });
}
static void bind_without_source(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_BIND, .dest = S("/x") });
}
static void bind_two_sources(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){
			       .kind = SANDBOX_BIND, .dest = S("/x"), .src = S("/y"), .tree = 1 });
}
static void unknown_tree(struct sandbox_spec *s)
{
	sandbox_add_tree_bind(s, 2, "", "/x", 0);
}
static void foreign_field(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_PROC, .dest = S("/p"), .size = 1 });
}
static void foreign_flag(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){
			       .kind = SANDBOX_PROC, .dest = S("/p"), .flags = SANDBOX_READ_ONLY });
}
static void unknown_kind(struct sandbox_spec *s)
{
	sandbox_add(s, &(struct sandbox_op){ .kind = SANDBOX_OP_N_, .dest = S("/p") });
}
static void bad_env(struct sandbox_spec *s)
{
	static const char *const env[] = { "=x" };

	s->env = env;
	s->n_env = 1;
}
static void relative_cwd(struct sandbox_spec *s)
{
	s->cwd = "work";
}
static void long_hostname(struct sandbox_spec *s)
{
	s->hostname = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
}
static void soft_above_hard(struct sandbox_spec *s)
{
	static const struct sandbox_limit limits[] = { { 7, 2, 1 } };

	s->limits = limits;
	s->n_limits = 1;
}
static void uid_no_change(struct sandbox_spec *s)
{
	s->uid = (uid_t)-1;
}
static void too_many_layers(struct sandbox_spec *s)
{
	const char *lowers[SANDBOX_LOWERS_MAX];
	struct sandbox_overlay o = { .lowers = lowers, .n_lowers = SANDBOX_LOWERS_MAX };

	for (size_t i = 0; i < SANDBOX_LOWERS_MAX; i++)
		lowers[i] = arena_printf(s->arena, "/l%zu", i);
	(void)sandbox_add_tree(s, &o, 0);
}
static void upper_without_work(struct sandbox_spec *s)
{
	static const char *const lowers[] = { "/l" };
	struct sandbox_overlay o = { .lowers = lowers, .n_lowers = 1, .upper = "/u" };

	(void)sandbox_add_tree(s, &o, 0);
}

void test_spec__repeated_layer_is_taken_once_at_its_upper_place(void **state)
{
	static const char *const lowers[] = { "/c", "/a", "/b", "/a", "/c" };
	struct sandbox_overlay o = { .lowers = lowers, .n_lowers = 5 };
	cleanup_sandbox_spec struct sandbox_spec s;

	(void)state;
	sandbox_spec_init(&s);
	(void)sandbox_add_tree(&s, &o, 0);
	assert_int_equal(s.ops.ptr[0].overlay.n_lowers, 3);
	assert_string_equal(s.ops.ptr[0].overlay.lowers[0], "/c");
	assert_string_equal(s.ops.ptr[0].overlay.lowers[2], "/b");
}

void test_spec__bad_ones_fail(void **state)
{
	static const struct {
		void (*spoil)(struct sandbox_spec *s);
		int code;
		const char *says;
	} cases[] = {
		{ no_argv, CAIRN_E_SYNTAX, "no command" },
		{ relative_dest, CAIRN_E_SYNTAX, "tmpfs 'tmp'" },
		{ root_dest, CAIRN_E_SYNTAX, "below /" },
		{ nul_in_dest, CAIRN_E_SYNTAX, "absolute path" },
		{ two_roots, CAIRN_E_BUG, "one root" },
		{ bind_without_source, CAIRN_E_BUG, "no or two sources" },
		{ bind_two_sources, CAIRN_E_BUG, "no or two sources" },
		{ unknown_tree, CAIRN_E_BUG, "tree 2 of 1" },
		{ foreign_field, CAIRN_E_BUG, "do not fit" },
		{ foreign_flag, CAIRN_E_BUG, "do not fit" },
		{ unknown_kind, CAIRN_E_BUG, "no operation" },
		{ bad_env, CAIRN_E_SYNTAX, "NAME=value" },
		{ relative_cwd, CAIRN_E_SYNTAX, "working directory" },
		{ long_hostname, CAIRN_E_SYNTAX, "host name" },
		{ soft_above_hard, CAIRN_E_SYNTAX, "soft limit" },
		{ uid_no_change, CAIRN_E_SYNTAX, "4294967295" },
		{ too_many_layers, CAIRN_E_SYNTAX, "at most 499" },
		{ upper_without_work, CAIRN_E_BUG, "both or none" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_sandbox_spec struct sandbox_spec s;
		struct cairn_err err;

		make_good(&s);
		cases[i].spoil(&s);
		assert_fails(sandbox_spec_check(&s, &err), cases[i].code);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, err.msg, cases[i].says);
	}
}

static struct sandbox_job job_of(const struct sandbox_spec *s)
{
	return (struct sandbox_job){
		.spec = *s,
		.scratch = "/store/mnt",
		.filter = S("12345678abcdefgh"),
		.cgroup = CGROUP_V1,
		.cgroup_memory = "/sys/fs/cgroup/memory",
		.cgroup_cpu = "",
		.cgroup_name = "cairn-x",
	};
}

void test_wire__round_trip_is_the_same_bytes(void **state)
{
	cleanup_sandbox_spec struct sandbox_spec s;
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf one;
	cleanup_strbuf struct strbuf two;
	struct sandbox_job job, back;
	struct cairn_err err;

	(void)state;
	make_good(&s);
	job = job_of(&s);
	strbuf_init(&one, SANDBOX_SPEC_MAX);
	strbuf_init(&two, SANDBOX_SPEC_MAX);
	sandbox_job_write(&job, &one);
	assert_ok(sandbox_job_read(strbuf_view(&one), a, &back, &err));
	sandbox_job_write(&back, &two);
	assert_true(str_eq(strbuf_view(&one), strbuf_view(&two)));
	assert_string_equal(back.spec.argv[2], "echo \xff\n'");
	assert_int_equal(back.spec.gid, 4294967294u);
	assert_null(back.spec.hostname);
	assert_int_equal(back.spec.groups[1], 27);
	assert_true(back.spec.limits[1].hard == UINT64_MAX);
	assert_true(str_eq(back.spec.ops.ptr[back.spec.ops.len - 2].bytes, str_n("a\0b", 3)));
	vec_free(&back.spec.ops);
}

/* Cut anywhere, or with any byte changed: an error or a job, never a crash. */
void test_wire__damage_is_an_error(void **state)
{
	cleanup_sandbox_spec struct sandbox_spec s;
	cleanup_strbuf struct strbuf b;
	struct sandbox_job job, back;
	struct cairn_err err;

	(void)state;
	make_good(&s);
	job = job_of(&s);
	strbuf_init(&b, SANDBOX_SPEC_MAX);
	sandbox_job_write(&job, &b);
	for (size_t n = 0; n < b.len; n++) {
		cleanup_arena struct arena *a = arena_new();
		char *copy = xmalloc(n); /* of exactly n bytes, for the sanitizer */

		memcpy(copy, b.ptr, n);
		assert_fails(sandbox_job_read(str_n(copy, n), a, &back, &err), CAIRN_E_DIGEST);
		free(copy);
	}
	for (size_t i = 0; i < b.len; i++) {
		cleanup_arena struct arena *a = arena_new();

		b.ptr[i] = (char)(b.ptr[i] ^ 0x81);
		if (sandbox_job_read(strbuf_view(&b), a, &back, &err) == 0)
			vec_free(&back.spec.ops);
		b.ptr[i] = (char)(b.ptr[i] ^ 0x81);
	}
	b.ptr[4]++; /* a newer version */
	cleanup_arena struct arena *a = arena_new();

	assert_fails(sandbox_job_read(strbuf_view(&b), a, &back, &err), CAIRN_E_DIGEST);
}
