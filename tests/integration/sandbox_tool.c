/* sandbox_tool - drive the engine's sandbox from a shell script.
 *
 *	sandbox_tool probe DIR
 *	sandbox_tool remove DIR
 *	sandbox_tool run [OPTION VALUE]... -- COMMAND...
 *
 * run makes DIR/upper and DIR/work below --dir, runs the command over the lowers, passes its
 * output on and exits with its status; 99 with "error: ..." when the sandbox failed.
 */
#include <errno.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine/probe.h"
#include "engine/rootfs.h"
#include "engine/sandbox.h"
#include "engine/userns.h"
#include "layer/layer.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/num.h"
#include "util/pool.h"

struct args {
	VEC(const char *) lowers, env, binds, trees, tmpfs, files, deny;
	VEC(struct sandbox_limit) limits;
	const char *dir, *driver, *cwd, *cgroup;
	const char *const *argv;
	uint64_t uid, gid, memory, count, kill_ms, threads;
	bool net_none, userns, result, no_seccomp, bare;
};

static _Noreturn void die(const char *text)
{
	(void)fprintf(stderr, "error: %s\n", text);
	exit(99);
}

static uint64_t number(const char *text)
{
	struct cairn_err err;
	uint64_t v;

	if (num_u64(str_of(text), UINT64_MAX, &v, &err) < 0)
		die(err.msg);
	return v;
}

/* The n-th piece between colons, owned by nobody: the tool is short-lived. */
static const char *piece(const char *text, int n)
{
	str rest = str_of(text), one = { 0 };

	for (int i = 0; i <= n; i++)
		if (!str_next(&rest, ':', &one))
			return "";
	return str_dup(one);
}

static void parse_option(struct args *a, const char *name, const char *value)
{
	if (strcmp(name, "--lower") == 0)
		vec_push(&a->lowers, value);
	else if (strcmp(name, "--env") == 0)
		vec_push(&a->env, value);
	else if (strcmp(name, "--bind") == 0) /* SRC:SUB:DEST[:ro][:rec] */
		vec_push(&a->binds, value);
	else if (strcmp(name, "--tree") == 0) /* LOWER:SUB:DEST */
		vec_push(&a->trees, value);
	else if (strcmp(name, "--tmpfs") == 0)
		vec_push(&a->tmpfs, value);
	else if (strcmp(name, "--file") == 0) /* DEST:TEXT */
		vec_push(&a->files, value);
	else if (strcmp(name, "--deny") == 0) /* system call that fails with ENOSYS */
		vec_push(&a->deny, value);
	else if (strcmp(name, "--ulimit") == 0) /* NUMBER:SOFT:HARD */
		vec_push(&a->limits,
		         (struct sandbox_limit){ .resource = (int)number(piece(value, 0)),
		                                 .soft = number(piece(value, 1)),
		                                 .hard = number(piece(value, 2)) });
	else if (strcmp(name, "--dir") == 0)
		a->dir = value;
	else if (strcmp(name, "--driver") == 0)
		a->driver = value;
	else if (strcmp(name, "--cwd") == 0)
		a->cwd = value;
	else if (strcmp(name, "--cgroup") == 0) /* none: as on a machine without */
		a->cgroup = value;
	else if (strcmp(name, "--user") == 0) {
		a->uid = number(piece(value, 0));
		a->gid = number(piece(value, 1));
	} else if (strcmp(name, "--memory") == 0)
		a->memory = number(value);
	else if (strcmp(name, "--count") == 0)
		a->count = number(value);
	else if (strcmp(name, "--kill-after") == 0)
		a->kill_ms = number(value);
	else if (strcmp(name, "--threads") == 0)
		a->threads = number(value);
	else
		die(name);
}

static void parse(struct args *a, int argc, char **argv)
{
	static const char *const flags[] = { "--net-none", "--userns", "--result", "--no-seccomp",
		                             "--bare" };
	bool *const values[] = { &a->net_none, &a->userns, &a->result, &a->no_seccomp, &a->bare };
	int i;

	for (i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
		size_t f;

		for (f = 0; f < ARRAY_SIZE(flags) && strcmp(flags[f], argv[i]) != 0; f++)
			;
		if (f < ARRAY_SIZE(flags))
			*values[f] = true;
		else if (i + 1 < argc) {
			parse_option(a, argv[i], argv[i + 1]);
			i++;
		} else
			die(argv[i]);
	}
	if (i + 1 >= argc || !a->dir)
		die("usage: run --dir DIR --lower DIR... -- COMMAND...");
	a->argv = (const char *const *)(argv + i + 1);
}

/* Make system calls fail with ENOSYS from here on, in children too. */
static void deny(const struct args *a)
{
	scmp_filter_ctx ctx;

	if (a->deny.len == 0)
		return;
	ctx = seccomp_init(SCMP_ACT_ALLOW);
	(void)seccomp_attr_set(ctx, SCMP_FLTATR_CTL_NNP, 0);
	vec_foreach (name, &a->deny)
		if (seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS),
		                     seccomp_syscall_resolve_name(*name), 0) < 0)
			die(*name);
	if (seccomp_load(ctx) < 0)
		die("cannot install the filter");
	seccomp_release(ctx);
}

static enum rootfs_kind kind_of(const char *name)
{
	for (int k = ROOTFS_AUTO; name && k < ROOTFS_N_; k++)
		if (strcmp(rootfs_kind_name((enum rootfs_kind)k), name) == 0)
			return (enum rootfs_kind)k;
	return ROOTFS_AUTO;
}

static void fill_spec(const struct args *a, struct sandbox_spec *s)
{
	if (!a->bare)
		sandbox_add_defaults(s, 0);
	vec_foreach (b, &a->binds) {
		unsigned ro = strstr(*b, ":ro") ? SANDBOX_READ_ONLY : 0;
		unsigned rec = strstr(*b, ":rec") ? SANDBOX_RECURSIVE : 0;

		sandbox_add_bind(s, piece(*b, 0), piece(*b, 1), piece(*b, 2), ro | rec);
	}
	vec_foreach (t, &a->trees) {
		const char *lower = piece(*t, 0);
		struct sandbox_overlay o = { .lowers = &lower, .n_lowers = 1 };

		sandbox_add_tree_bind(s, sandbox_add_tree(s, &o, 0), piece(*t, 1), piece(*t, 2),
		                      SANDBOX_READ_ONLY);
	}
	vec_foreach (t, &a->tmpfs)
		sandbox_add_tmpfs(s, *t, 01777, 0);
	vec_foreach (f, &a->files)
		sandbox_add_file(s, piece(*f, 0), str_of(piece(*f, 1)), 0600, 0, 0);
	s->argv = a->argv;
	while (a->argv[s->n_argv])
		s->n_argv++;
	s->env = a->env.ptr;
	s->n_env = a->env.len;
	s->cwd = a->cwd;
	s->uid = (uid_t)a->uid;
	s->gid = (gid_t)a->gid;
	s->seccomp = !a->no_seccomp;
	s->network = a->net_none ? SANDBOX_NET_NONE : SANDBOX_NET_HOST;
	s->limits = a->limits.ptr;
	s->n_limits = a->limits.len;
	s->memory_max = a->memory;
}

/* One sandbox of --count. */
struct running {
	struct sandbox_spec spec;
	struct rootfs_step *step;
	struct sandbox_proc *proc;
};

static void start(const struct args *a, struct rootfs *root, struct sandbox_host *host, size_t i,
                  struct running *r)
{
	const char *upper =
		a->count > 1 ? xasprintf("%s/upper%zu", a->dir, i) : xasprintf("%s/upper", a->dir);
	const char *work =
		a->count > 1 ? xasprintf("%s/work%zu", a->dir, i) : xasprintf("%s/work", a->dir);
	struct rootfs_request req = { .lowers = a->lowers.ptr,
		                      .n_lowers = a->lowers.len,
		                      .upper = upper,
		                      .work = work,
		                      .volatile_ = true };
	struct cairn_err err;

	if (fs_remove_tree(AT_FDCWD, upper, &err) < 0 || fs_remove_tree(AT_FDCWD, work, &err) < 0)
		die(err.msg);
	if (fs_mkdir_p(AT_FDCWD, upper, 0700, &err) < 0 ||
	    fs_mkdir_p(AT_FDCWD, work, 0700, &err) < 0)
		die(err.msg);
	sandbox_spec_init(&r->spec);
	fill_spec(a, &r->spec);
	if (rootfs_prepare(root, &req, &r->spec, &r->step, &err) < 0 ||
	    sandbox_start(host, &r->spec, &r->proc, &err) < 0)
		die(err.msg);
}

static void pass_on(int from, int to)
{
	char buf[4096];

	for (;;) {
		struct pollfd pfd = { .fd = from, .events = POLLIN };
		ssize_t n = read(from, buf, sizeof(buf));

		if (n == 0 || (n < 0 && errno != EAGAIN))
			return;
		if (n > 0)
			(void)write(to, buf, (size_t)n);
		else
			(void)poll(&pfd, 1, -1);
	}
}

static int finish(const struct args *a, struct running *r)
{
	struct rootfs_changes changes;
	struct sandbox_result result;
	struct cairn_err err;
	int code;

	if (a->kill_ms > 0) {
		(void)usleep((useconds_t)a->kill_ms * 1000);
		sandbox_kill(r->proc);
	}
	pass_on(r->proc->out_fd, 1);
	pass_on(r->proc->err_fd, 2);
	code = sandbox_finish(r->proc, &result, &err);
	if (code < 0)
		(void)fprintf(stderr, "error: %d: %s\n", code, err.msg);
	else if (a->result)
		(void)printf("exit=%d signal=%d oom=%d killed=%d cpu=%llu peak=%llu wall=%llu "
		             "warning=%s\n",
		             result.exit_code, result.signal, result.oom, result.killed,
		             (unsigned long long)result.cost.cpu_ns / 1000000,
		             (unsigned long long)result.cost.peak_bytes,
		             (unsigned long long)result.cost.wall_ns / 1000000, result.warning);
	if (code == 0 && rootfs_changes(r->step, &changes, &err) == 0 &&
	    changes.form == ROOTFS_FORM_TREE) {
		struct layer_plan *plan = NULL;
		int fd = open(changes.tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (layer_scan_plain(fd, changes.before, &plan, &err) < 0)
			die(err.msg);
		(void)printf("changes:");
		vec_foreach (item, &plan->items)
			(void)printf(" %.*s", STR(item->entry.path));
		(void)printf("\n");
		layer_plan_free(plan);
		close(fd);
	}
	rootfs_step_free(r->step, NULL);
	sandbox_spec_done(&r->spec);
	return code < 0 ? 99 : result.exit_code;
}

static int nothing(void *ctx, struct cairn_err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

static int run(struct args *a)
{
	struct rootfs_opts ro = { .kind = kind_of(a->driver) };
	struct sandbox_host_opts ho = { 0 };
	struct running *all;
	struct sandbox_host *host;
	struct rootfs *root;
	struct machine m;
	struct cairn_err err;
	struct pool *pool = NULL;
	int code = 0;

	ro.trees = xasprintf("%s/trees", a->dir);
	ho.scratch = xasprintf("%s/mnt", a->dir);
	if (fs_mkdir_p(AT_FDCWD, ro.trees, 0700, &err) < 0 ||
	    fs_mkdir_p(AT_FDCWD, ho.scratch, 0700, &err) < 0 || probe_machine(a->dir, &m, &err) < 0)
		die(err.msg);
	if (a->cgroup)
		m.cgroup_memory[0] = m.cgroup_cpu[0] = 0;
	ro.machine = ho.machine = &m;
	if (rootfs_open(&ro, &root, &err) < 0 || sandbox_host_new(&ho, &host, &err) < 0)
		die(err.msg);
	if (a->threads > 0) {
		pool = pool_new((unsigned)a->threads);
		for (uint64_t i = 0; i < 4 * a->threads; i++)
			pool_add(pool, (struct pool_task){ .run = nothing });
	}
	deny(a);
	if (a->count == 0)
		a->count = 1;
	all = xcalloc(a->count, sizeof(*all));
	int64_t t0 = clock_monotonic();

	for (size_t i = 0; i < a->count; i++)
		start(a, root, host, i, &all[i]);
	for (size_t i = 0; i < a->count; i++)
		code |= finish(a, &all[i]);
	if (a->count > 1)
		(void)printf("elapsed=%lld\n", (long long)(clock_monotonic() - t0) / 1000000);
	pool_free(pool);
	free(all);
	sandbox_host_free(host);
	rootfs_close(root);
	return code;
}

static int probe(const char *dir)
{
	static const char *const states[] = { "ok", "degraded", "broken" };
	struct machine m;
	struct cairn_err err;

	if (probe_machine(dir, &m, &err) < 0)
		die(err.msg);
	for (size_t i = 0; i < PROBE_N_; i++)
		(void)printf("%-16s %-9s %s%s%s\n", m.rows[i].name, states[m.rows[i].state],
		             m.rows[i].found, m.rows[i].instead[0] ? " -> " : "",
		             m.rows[i].instead);
	return 0;
}

static int remove_tree(char **argv)
{
	char warning[256];
	struct cairn_err err;
	int status;

	if (userns_needed() && userns_reexec(argv, NULL, warning, &status, &err) == 0)
		return status;
	return fs_remove_tree(AT_FDCWD, argv[2], &err) < 0;
}

int main(int argc, char **argv)
{
	struct args a = { 0 };
	char warning[256] = "";
	struct cairn_err err;
	int status;

	if (argc >= 2 && strcmp(argv[1], SANDBOX_HELPER_ARG) == 0)
		return sandbox_main(argc, argv);
	if (argc >= 3 && strcmp(argv[1], "probe") == 0)
		return probe(argv[2]);
	if (argc >= 3 && strcmp(argv[1], "remove") == 0)
		return remove_tree(argv);
	if (argc < 3 || strcmp(argv[1], "run") != 0)
		die("usage: sandbox_tool probe|run ...");
	parse(&a, argc - 2, argv + 2);
	if (a.userns && userns_needed()) {
		if (userns_reexec(argv, NULL, warning, &status, &err) < 0)
			die(err.msg);
		if (warning[0])
			(void)fprintf(stderr, "warning: %s\n", warning);
		return status;
	}
	return run(&a);
}
