/* The helper: outside the new pid namespace, single-threaded. It starts the process that becomes
 * the command, watches over it, measures it, cleans up after it and reports. */
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "cgroup.h"
#include "sandbox_setup.h"
#include "util/clock.h"
#include "util/fs.h"

struct helper {
	struct sandbox_job job;
	struct arena *arena;
	int stub_log; /* memory file that the child fills; -1 when its root is no directory */
	pid_t child;
	int wait_status;
	struct rusage usage; /* of the child and all it waited for */
};

static void send_status(struct sandbox_status *st)
{
	st->magic = SANDBOX_WIRE_MAGIC;
	st->version = SANDBOX_WIRE_VERSION;
	while (write(SANDBOX_FD_STATUS, st, sizeof(*st)) < 0 && errno == EINTR)
		;
}

static void send_error(const struct cairn_err *err)
{
	struct sandbox_status st = {
		.kind = SANDBOX_STATUS_ERROR,
		.code = err->code,
		.sys = err->sys,
	};

	(void)snprintf(st.text, sizeof(st.text), "%s", err->msg);
	send_status(&st);
}

void setup_warn(const char *fmt, ...)
{
	struct sandbox_status st = { .kind = SANDBOX_STATUS_WARNING };
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(st.text, sizeof(st.text), fmt, ap);
	va_end(ap);
	send_status(&st);
}

/* In the child: until the command is executed. alive is the read end of a pipe that the helper
 * holds; a byte comes when the cgroup is ready. */
static int child_run(const struct helper *h, int alive, struct cairn_err *err)
{
	struct setup s = {
		.job = &h->job,
		.a = h->arena,
		.staging = -1,
		.root = -1,
		.stub_log = h->stub_log,
	};
	cleanup_fd int oom = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	sigset_t none;
	char byte;

	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)umask(0);
	/* When memory runs out the step goes, not cairn: all other work is kept. */
	if (oom >= 0)
		(void)write(oom, "500", 3);
	while (read(alive, &byte, 1) < 0 && errno == EINTR)
		;
	/* After the move into the cgroup, which becomes the root of the view. */
	(void)unshare(CLONE_NEWCGROUP);
	TRY(setup_mounts(&s, err));
	/* What stays open: 0, 1, 2; the status pipe and `alive`, closed by execve. */
	if ((alive != SANDBOX_FD_JOB && dup3(alive, SANDBOX_FD_JOB, O_CLOEXEC) < 0) ||
	    fcntl(SANDBOX_FD_STATUS, F_SETFD, FD_CLOEXEC) < 0)
		return cairn_fail_sys(err, "descriptors of the command");
	setup_close_from(SANDBOX_FD_STATUS + 1);
	return setup_exec(&h->job, SANDBOX_FD_JOB, err);
}

/* fork() with namespaces; process 1 of the new pid namespace is the command to be. */
static int start_child(struct helper *h, int alive[2], struct cairn_err *err)
{
	unsigned long flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD;
	struct cairn_err why;

	if (h->job.spec.network == SANDBOX_NET_NONE)
		flags |= CLONE_NEWNET;
	h->child = (pid_t)syscall(SYS_clone, flags, 0, 0, 0, 0);
	if (h->child < 0)
		return cairn_fail_sys(err, "sandbox: making namespaces");
	if (h->child > 0)
		return 0;
	close(alive[1]);
	(void)child_run(h, alive[0], &why);
	send_error(&why);
	_exit(125);
}

/* Wait for the child; kill it when whoever started us is gone or wants it. */
static void watch(struct helper *h, int signals)
{
	struct pollfd pfd[] = {
		{ .fd = SANDBOX_FD_DEATH, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	struct signalfd_siginfo si;

	for (;;) {
		if (wait4(h->child, &h->wait_status, WNOHANG, &h->usage) == h->child)
			return;
		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0)
			continue;
		if (pfd[1].revents) {
			(void)read(signals, &si, sizeof(si));
			if (si.ssi_signo == SIGCHLD)
				continue;
		}
		/* End of file, or the signal that PDEATHSIG sends. */
		if (pfd[0].revents || pfd[1].revents) {
			(void)kill(h->child, SIGKILL);
			pfd[0].fd = -1;
		}
	}
}

/* Take out of a plain root what was put in to mount on. */
static void undo_stubs(const struct helper *h)
{
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_strbuf struct strbuf bytes;
	struct cairn_err err;
	char path[32];

	strbuf_init(&bytes, STUB_LOG_MAX);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", h->stub_log);
	if (h->stub_log < 0 || fs_read_file(AT_FDCWD, path, &bytes, &err) < 0 ||
	    stub_log_read(strbuf_view(&bytes), h->arena, &log, &err) < 0)
		return;
	for (size_t i = 0; i < h->job.spec.ops.len; i++) {
		const struct sandbox_op *op = &h->job.spec.ops.ptr[i];
		cleanup_fd int fd = -1;

		if (op->kind == SANDBOX_ROOT_DIR)
			fd = open(op->src.ptr, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0)
			stub_undo(fd, &log);
	}
}

static void report(const struct helper *h, const struct cgroup *group)
{
	struct sandbox_status st = {
		.kind = SANDBOX_STATUS_RESULT,
		.wait_status = h->wait_status,
		.end_ns = clock_monotonic(),
	};
	const struct timeval *u = &h->usage.ru_utime, *k = &h->usage.ru_stime;
	struct cgroup_stat cs;

	cgroup_read(group, &cs);
	st.cpu_ns = cs.cpu_ns ? cs.cpu_ns
	                      : (uint64_t)(u->tv_sec + k->tv_sec) * CLOCK_SEC +
	                                (uint64_t)(u->tv_usec + k->tv_usec) * 1000;
	st.peak_bytes = cs.peak_bytes ? cs.peak_bytes : (uint64_t)h->usage.ru_maxrss * 1024;
	st.oom = cs.oom;
	send_status(&st);
}

static int helper_run(struct helper *h, int signals, struct cairn_err *err)
{
	const struct sandbox_job *job = &h->job;
	struct cgroup group;
	int alive[2];

	if (pipe2(alive, O_CLOEXEC) < 0)
		return cairn_fail_sys(err, "sandbox: pipe");
	h->stub_log = memfd_create("cairn-stubs", MFD_CLOEXEC);
	TRY(start_child(h, alive, err));
	close(alive[0]);
	cgroup_name(job->cgroup, job->cgroup_memory, job->cgroup_cpu, job->cgroup_name, &group);
	if (!cgroup_enter(&group, h->child, job->spec.memory_max))
		setup_warn("the memory limit cannot be set: no control group for steps here");
	(void)write(alive[1], "", 1);
	watch(h, signals);
	undo_stubs(h);
	report(h, &group);
	cgroup_remove(&group);
	return 0;
}

static int read_job(struct helper *h, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;
	char path[32];

	strbuf_init(&bytes, SANDBOX_SPEC_MAX);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", SANDBOX_FD_JOB);
	TRY(fs_read_file(AT_FDCWD, path, &bytes, err));
	close(SANDBOX_FD_JOB);
	return sandbox_job_read(strbuf_view(&bytes), h->arena, &h->job, err);
}

/* Signals come through a descriptor: SIGCHLD, and what PDEATHSIG sends. All others wait. */
static int catch_signals(struct cairn_err *err)
{
	sigset_t all, ours;
	int fd;

	(void)sigfillset(&all);
	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGCHLD);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	fd = signalfd(-1, &ours, SFD_CLOEXEC);
	return fd < 0 ? cairn_fail_sys(err, "sandbox: signals") : fd;
}

/* May the command share cairn's terminal? Not where it could type into it (TIOCSTI), for cairn's
 * shell to read: before Linux 6.2, or where a setting brings that back. */
static bool keeps_terminal(const struct sandbox_spec *s)
{
	cleanup_strbuf struct strbuf b;
	struct cairn_err err;

	strbuf_init(&b, 16);
	return s->stdio == SANDBOX_STDIO_INHERIT &&
	       fs_read_file(AT_FDCWD, "/proc/sys/dev/tty/legacy_tiocsti", &b, &err) == 0 &&
	       str_is(str_trim(strbuf_view(&b)), "0");
}

int sandbox_main(int argc, char **argv)
{
	struct helper h = { .stub_log = -1 };
	struct cairn_err err;
	int signals, r;

	(void)argv;
	if (argc != 2 || fcntl(SANDBOX_FD_DEATH, F_GETFD) < 0) {
		static const char usage[] =
			"cairn: " SANDBOX_HELPER_ARG " is for cairn's own use\n";

		(void)write(2, usage, sizeof(usage) - 1);
		return 2;
	}
	setup_close_from(SANDBOX_FD_N);
	/* Both: the pipe tells of the process, the signal of the thread that started us. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	h.arena = arena_new();
	r = signals = catch_signals(&err);
	if (r >= 0)
		r = read_job(&h, &err);
	if (r >= 0 && !keeps_terminal(&h.job.spec))
		(void)setsid();
	if (r >= 0)
		r = helper_run(&h, signals, &err);
	if (r < 0)
		send_error(&err);
	vec_free(&h.job.spec.ops);
	arena_free(h.arena);
	return r < 0 ? 1 : 0;
}
