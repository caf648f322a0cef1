#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "sandbox_exe.h"
#include "sandbox_seccomp.h"
#include "sandbox_wire.h"
#include "util/clock.h"
#include "util/fs.h"

struct sandbox_host {
	const struct machine *machine;
	char *scratch, *exe; /* exe NULL = this program */
	int exe_fd;          /* the sealed copy, -1 until the first start */
	uint64_t filter_caps;
	struct strbuf filter; /* compiled for filter_caps; empty until the first start */
};

int sandbox_host_new(const struct sandbox_host_opts *opts, struct sandbox_host **ret,
                     struct cairn_err *err)
{
	struct sandbox_host *h;
	struct stat st;

	if (stat(opts->scratch, &st) < 0)
		return cairn_fail_sys(err, "sandbox: directory '%s'", opts->scratch);
	h = xcalloc(1, sizeof(*h));
	h->machine = opts->machine;
	h->scratch = xstrdup(opts->scratch);
	h->exe = opts->exe ? xstrdup(opts->exe) : NULL;
	h->exe_fd = -1;
	strbuf_init(&h->filter, SECCOMP_PROGRAM_MAX);
	*ret = h;
	return 0;
}

void sandbox_host_free(struct sandbox_host *h)
{
	if (!h)
		return;
	if (h->exe_fd >= 0)
		close(h->exe_fd);
	strbuf_done(&h->filter);
	free(h->scratch);
	free(h->exe);
	free(h);
}

/* What is made once: the copy of the program and the filter. */
static int host_ready(struct sandbox_host *h, const struct sandbox_spec *s, struct cairn_err *err)
{
	if (h->exe_fd < 0) {
		cleanup_fd int fd = -1;

		TRY(sandbox_exe_open(h->exe, h->scratch, &fd, err));
		h->exe_fd = fcntl(fd, F_DUPFD_CLOEXEC, SANDBOX_FD_N); /* see make_pipe() */
		if (h->exe_fd < 0)
			return cairn_fail_sys(err, "sandbox: descriptor");
	}
	if (!s->seccomp || !h->machine->seccomp || (h->filter.len && h->filter_caps == s->caps))
		return 0;
	strbuf_clear(&h->filter);
	h->filter_caps = s->caps;
	return seccomp_program(s->caps, &h->filter, err);
}

/* Write the job to a memory file, positioned at its start. */
static int write_job(const struct sandbox_host *h, const struct sandbox_spec *s, const char *group,
                     int *ret_fd, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf b;
	cleanup_fd int fd = memfd_create("cairn-job", MFD_CLOEXEC);
	struct sandbox_job job = {
		.spec = *s,
		.scratch = h->scratch,
		.filter = s->seccomp && h->machine->seccomp ? strbuf_view(&h->filter) : S(""),
		.cgroup = h->machine->cgroup,
		.cgroup_memory = h->machine->cgroup_memory,
		.cgroup_cpu = h->machine->cgroup_cpu,
		.cgroup_name = group,
	};

	strbuf_init(&b, SANDBOX_SPEC_MAX);
	if (fd < 0)
		return cairn_fail_sys(err, "sandbox: memory file");
	sandbox_job_write(&job, &b);
	TRY(strbuf_check(&b, "the step with its secrets and environment", err));
	TRY(fs_write_all(fd, b.ptr, b.len, "sandbox job", err));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return cairn_fail_sys(err, "sandbox: memory file");
	*ret_fd = steal_fd(&fd);
	return 0;
}

/* A pipe whose ends do not collide with the helper's fixed descriptors, which are
 * filled one after the other. ends[0] is the reading one. */
static int make_pipe(int ends[2], struct cairn_err *err)
{
	cleanup_fd int a = -1;
	cleanup_fd int b = -1;
	int low[2];

	if (pipe2(low, O_CLOEXEC) < 0)
		return cairn_fail_sys(err,
		                      "sandbox: pipe (raise the limit of open files, ulimit -n)");
	a = low[0];
	b = low[1];
	ends[0] = fcntl(a, F_DUPFD_CLOEXEC, SANDBOX_FD_N);
	ends[1] = fcntl(b, F_DUPFD_CLOEXEC, SANDBOX_FD_N);
	if (ends[0] < 0 || ends[1] < 0)
		return cairn_fail_sys(err,
		                      "sandbox: pipe (raise the limit of open files, ulimit -n)");
	return 0;
}

/* The descriptors of one start; -1 where there is none. */
struct ends {
	int job, null;
	int out[2], err[2], status[2], death[2];
};

static void ends_done(struct ends *e)
{
	int *all[] = { &e->job,    &e->null,      &e->out[0],    &e->out[1],   &e->err[0],
		       &e->err[1], &e->status[0], &e->status[1], &e->death[0], &e->death[1] };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		fs_close_p_(all[i]);
}

static int open_ends(const struct sandbox_host *h, const struct sandbox_spec *s, const char *group,
                     struct ends *e, struct cairn_err *err)
{
	cleanup_fd int job = -1;

	TRY(write_job(h, s, group, &job, err));
	e->job = fcntl(job, F_DUPFD_CLOEXEC, SANDBOX_FD_N);
	if (e->job < 0)
		return cairn_fail_sys(err, "sandbox: descriptor");
	TRY(make_pipe(e->status, err));
	TRY(make_pipe(e->death, err));
	if (s->stdio == SANDBOX_STDIO_INHERIT)
		return 0;
	TRY(make_pipe(e->out, err));
	TRY(make_pipe(e->err, err));
	cleanup_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	e->null = null < 0 ? -1 : fcntl(null, F_DUPFD_CLOEXEC, SANDBOX_FD_N);
	if (e->null < 0)
		return cairn_fail_sys(err, "sandbox: /dev/null");
	return 0;
}

/* posix_spawn's functions return the error; only lack of memory can make these fail. */
static int plan_fds(posix_spawn_file_actions_t *fa, const struct ends *e)
{
	const struct {
		int from, to;
	} map[] = {
		{ e->null, 0 },
		{ e->out[1], 1 },
		{ e->err[1], 2 },
		{ e->job, SANDBOX_FD_JOB },
		{ e->status[1], SANDBOX_FD_STATUS },
		{ e->death[0], SANDBOX_FD_DEATH },
	};

	for (size_t i = 0; i < ARRAY_SIZE(map); i++) {
		int r = map[i].from < 0
		                ? 0
		                : posix_spawn_file_actions_adddup2(fa, map[i].from, map[i].to);

		if (r != 0)
			return r;
	}
	return 0;
}

/* Start the helper with vfork semantics: threads of the pool do not matter. */
static int spawn(const struct sandbox_host *h, const struct ends *e, pid_t *ret,
                 struct cairn_err *err)
{
	char exe[32], name[] = "cairn", arg[] = SANDBOX_HELPER_ARG;
	char *argv[] = { name, arg, NULL };
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	(void)snprintf(exe, sizeof(exe), "/proc/self/fd/%d", h->exe_fd);
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawnattr_init(&attr);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setsigdefault(&attr, &all);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = plan_fds(&fa, e);
	if (r == 0)
		r = posix_spawn(ret, exe, &fa, &attr, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&attr);
	if (r == 0)
		return 0;
	errno = r;
	return cairn_fail_sys(err, "sandbox: executing the helper");
}

int sandbox_start(struct sandbox_host *h, const struct sandbox_spec *s, struct sandbox_proc **ret,
                  struct cairn_err *err)
{
	__attribute__((cleanup(ends_done))) struct ends e = { -1,         -1,         { -1, -1 },
		                                              { -1, -1 }, { -1, -1 }, { -1, -1 } };
	cleanup_free char *group = fs_random_name("cairn-");
	struct sandbox_proc *p;
	pid_t pid = -1;
	int64_t start;

	TRY(sandbox_spec_check(s, err));
	TRY(host_ready(h, s, err));
	TRY(open_ends(h, s, group, &e, err));
	start = clock_monotonic(); /* before it: a short command may end before we go on */
	TRY(spawn(h, &e, &pid, err));
	p = xcalloc(1, sizeof(*p));
	*p = (struct sandbox_proc){
		.pid = pid,
		.out_fd = steal_fd(&e.out[0]),
		.err_fd = steal_fd(&e.err[0]),
		.done_fd = steal_fd(&e.status[0]),
		.death_fd = steal_fd(&e.death[1]),
		.start_ns = start,
		.group = xcalloc(1, sizeof(*p->group)),
	};
	cgroup_name(h->machine->cgroup, h->machine->cgroup_memory, h->machine->cgroup_cpu, group,
	            p->group);
	int read_ends[] = { p->out_fd, p->err_fd, p->done_fd };

	for (size_t i = 0; i < ARRAY_SIZE(read_ends); i++)
		if (read_ends[i] >= 0)
			(void)fcntl(read_ends[i], F_SETFL, O_NONBLOCK);
	*ret = p;
	return 0;
}

void sandbox_kill(struct sandbox_proc *p)
{
	p->killed = true;
	fs_close_p_(&p->death_fd);
}

/* All that the status pipe says until the helper has ended. */
struct report {
	bool failed, ended;
	struct sandbox_status error, result; /* valid when failed, ended */
	char warning[256];
};

/* The next record; false at the end of the pipe. */
static bool read_status(int fd, struct sandbox_status *ret)
{
	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		ssize_t n = read(fd, ret, sizeof(*ret));

		if (n == (ssize_t)sizeof(*ret) && ret->magic == SANDBOX_WIRE_MAGIC &&
		    ret->version == SANDBOX_WIRE_VERSION)
			return true;
		if (n >= 0 || (errno != EINTR && errno != EAGAIN))
			return false;
		(void)poll(&pfd, 1, -1);
	}
}

static void read_report(int fd, struct report *ret)
{
	struct sandbox_status st = { 0 };

	*ret = (struct report){ 0 };
	while (read_status(fd, &st)) {
		st.text[sizeof(st.text) - 1] = 0;
		switch (st.kind) {
		case SANDBOX_STATUS_ERROR:
			if (!ret->failed)
				ret->error = st;
			ret->failed = true;
			break;
		case SANDBOX_STATUS_WARNING:
			(void)snprintf(ret->warning, sizeof(ret->warning), "%.*s",
			               (int)sizeof(ret->warning) - 1, st.text);
			break;
		case SANDBOX_STATUS_RESULT:
			ret->result = st;
			ret->ended = true;
			break;
		}
	}
}

static void fill_result(const struct sandbox_proc *p, const struct report *r,
                        struct sandbox_result *ret)
{
	const struct sandbox_status *st = &r->result;
	int ws = st->wait_status;

	*ret = (struct sandbox_result){
		.killed = p->killed,
		.cost = {
			.wall_ns = (uint64_t)(st->end_ns - p->start_ns),
			.cpu_ns = st->cpu_ns,
			.peak_bytes = st->peak_bytes,
		},
	};
	if (WIFSIGNALED(ws))
		ret->signal = WTERMSIG(ws);
	ret->exit_code = ret->signal ? 128 + ret->signal : WEXITSTATUS(ws);
	ret->oom = st->oom && ret->exit_code != 0 && !p->killed;
	(void)snprintf(ret->warning, sizeof(ret->warning), "%s", r->warning);
}

static void proc_free(struct sandbox_proc *p)
{
	fs_close_p_(&p->out_fd);
	fs_close_p_(&p->err_fd);
	fs_close_p_(&p->done_fd);
	fs_close_p_(&p->death_fd);
	free(p->group);
	free(p);
}

int sandbox_finish(struct sandbox_proc *p, struct sandbox_result *ret, struct cairn_err *err)
{
	struct report report;
	int status = 0, r = 0;

	read_report(p->done_fd, &report);
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (report.failed) {
		errno = report.error.sys;
		r = cairn_fail(err, (enum cairn_code)report.error.code, "%s", report.error.text);
		err->sys = report.error.sys;
	} else if (report.ended) {
		fill_result(p, &report, ret);
	} else if (p->killed) {
		r = cairn_fail(err, CAIRN_E_CANCELLED, "sandbox: stopped before the command ran");
	} else if (WIFSIGNALED(status)) {
		cgroup_remove(p->group);
		r = cairn_fail(err, CAIRN_E_SYSTEM,
		               "sandbox: the helper was killed by signal %d (out of memory?)",
		               WTERMSIG(status));
	} else {
		r = cairn_fail(err, CAIRN_E_BUG, "sandbox: the helper ended with %d and no word",
		               WEXITSTATUS(status));
	}
	proc_free(p);
	return r;
}
