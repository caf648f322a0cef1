#include "util/proc.h"

#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/clock.h"
#include "util/fs.h"

#define MAX_ERRORS   4096u
#define EXIT_POLL_MS 5

extern char **environ;

void proc_result_init(struct proc_result *r, size_t max_output)
{
	r->exit_code = 0;
	strbuf_init(&r->output, max_output);
	strbuf_init(&r->errors, MAX_ERRORS);
}

void proc_result_done(struct proc_result *r)
{
	if (r->output.cap)
		explicit_bzero(r->output.ptr, r->output.cap);
	strbuf_done(&r->output);
	strbuf_done(&r->errors);
}

/* What the child's descriptors 0, 1 and 2 are made from, and our ends. */
struct pipes {
	int in, out[2], errs[2];
};

static void pipes_done(struct pipes *p)
{
	fs_close_p_(&p->in);
	fs_close_p_(&p->out[0]);
	fs_close_p_(&p->out[1]);
	fs_close_p_(&p->errs[0]);
	fs_close_p_(&p->errs[1]);
}

/* Input is a memory file: nothing to feed, and no SIGPIPE when the child does not read it. */
static int pipes_open(struct pipes *p, str input, struct cairn_err *err)
{
	p->in = memfd_create("input", MFD_CLOEXEC);
	if (p->in < 0)
		return cairn_fail_sys(err, "cannot make a memory file");
	TRY(fs_write_all(p->in, input.ptr, input.len, "memory file", err));
	if (lseek(p->in, 0, SEEK_SET) < 0)
		return cairn_fail_sys(err, "memory file");
	if (pipe2(p->out, O_CLOEXEC | O_NONBLOCK) < 0 || pipe2(p->errs, O_CLOEXEC | O_NONBLOCK) < 0)
		return cairn_fail_sys(err, "cannot make a pipe");
	/* Our ends stay non-blocking; the child must not notice. */
	if (fcntl(p->out[1], F_SETFL, 0) < 0 || fcntl(p->errs[1], F_SETFL, 0) < 0)
		return cairn_fail_sys(err, "cannot set up a pipe");
	return 0;
}

static int spawn(const struct proc_opts *o, const struct pipes *p, pid_t *ret_pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;
	sigset_t none, defaults;
	int r;

	(void)sigemptyset(&none);
	(void)sigfillset(&defaults);
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawnattr_init(&at);
	(void)posix_spawn_file_actions_adddup2(&fa, p->in, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, p->out[1], 1);
	(void)posix_spawn_file_actions_adddup2(&fa, p->errs[1], 2);
	(void)posix_spawnattr_setsigmask(&at, &none);
	(void)posix_spawnattr_setsigdefault(&at, &defaults);
	(void)posix_spawnattr_setpgroup(&at, 0); /* so that a timeout reaches its children */
	(void)posix_spawnattr_setflags(&at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                            POSIX_SPAWN_SETPGROUP);
	r = posix_spawnp(ret_pid, o->argv[0], &fa, &at, (char *const *)(uintptr_t)o->argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	(void)posix_spawnattr_destroy(&at);
	return r;
}

/* Move what is there into b; closes the descriptor at its end. */
static int drain(int *fd, struct strbuf *b, struct cairn_err *err)
{
	char buf[4096];
	ssize_t n;

	for (;;) {
		n = read(*fd, buf, sizeof(buf));
		if (n > 0) {
			strbuf_add(b, buf, (size_t)n);
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return cairn_fail_sys(err, "reading from a helper");
		if (n == 0)
			fs_close_p_(fd);
		explicit_bzero(buf, sizeof(buf));
		return 0;
	}
}

static int milliseconds_left(int64_t deadline)
{
	int64_t ms = (deadline - clock_monotonic()) / (CLOCK_SEC / 1000);

	return ms < 0 ? 0 : ms > 60000 ? 60000 : (int)ms;
}

/* Until both pipes are at their end. */
static int collect(struct pipes *p, struct proc_result *r, int64_t deadline, struct cairn_err *err)
{
	while (p->out[0] >= 0 || p->errs[0] >= 0) {
		struct pollfd fds[] = { { .fd = p->out[0], .events = POLLIN },
			                { .fd = p->errs[0], .events = POLLIN } };

		if (clock_monotonic() >= deadline)
			return cairn_fail(err, CAIRN_E_TIMEOUT, "it took too long");
		if (poll(fds, 2, milliseconds_left(deadline)) < 0 && errno != EINTR)
			return cairn_fail_sys(err, "poll");
		if (p->out[0] >= 0)
			TRY(drain(&p->out[0], &r->output, err));
		if (p->errs[0] >= 0)
			TRY(drain(&p->errs[0], &r->errors, err));
	}
	return 0;
}

/* It has closed its output; it should end now. */
static int await(pid_t pid, int64_t deadline, int *ret_exit, struct cairn_err *err)
{
	int status = 0;
	pid_t got;

	for (;;) {
		got = waitpid(pid, &status, WNOHANG);
		if (got == pid)
			break;
		if (got < 0 && errno != EINTR)
			return cairn_fail_sys(err, "waiting for a helper");
		if (clock_monotonic() >= deadline)
			return cairn_fail(err, CAIRN_E_TIMEOUT, "it took too long");
		(void)poll(NULL, 0, EXIT_POLL_MS);
	}
	*ret_exit = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	return 0;
}

static int run(const struct proc_opts *o, struct pipes *p, struct proc_result *r,
               struct cairn_err *err)
{
	int64_t deadline = clock_monotonic() + (int64_t)o->timeout_ns;
	pid_t pid = -1;
	int rc;

	TRY(pipes_open(p, o->input, err));
	errno = spawn(o, p, &pid);
	if (errno == ENOENT)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "there is no such program");
	if (errno)
		return cairn_fail_sys(err, "cannot start it");
	fs_close_p_(&p->out[1]);
	fs_close_p_(&p->errs[1]);
	rc = collect(p, r, deadline, err);
	if (rc == 0)
		rc = await(pid, deadline, &r->exit_code, err);
	if (rc < 0) {
		(void)kill(-pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return rc;
	}
	return strbuf_check(&r->output, "its output", err);
}

int proc_run(const struct proc_opts *o, struct proc_result *r, struct cairn_err *err)
{
	struct pipes p = { -1, { -1, -1 }, { -1, -1 } };
	int rc = run(o, &p, r, err);

	pipes_done(&p);
	return rc < 0 ? cairn_wrap(err, "running %s", o->argv[0]) : 0;
}
