/* A build as a process of this machine, with a process group of its own. */
#include "driver.h"

#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/fs.h"

#define READ_SIZE    16384
#define LINE_LONG    65536            /* bytes of a line that is told before it ends */
#define READ_MAX     (1u << 20)       /* bytes a look: the pipe waits */
#define KILLED_AFTER (10 * CLOCK_SEC) /* what does not end when it is asked to is killed */

struct local_run {
	struct driver_run base;
	pid_t pid;          /* of the process, and its group */
	bool reaped;        /* pid is no more */
	int status;         /* as waitpid() says, once reaped */
	int out;            /* what it prints; -1 once it was closed */
	int64_t asked;      /* monotonic; when it was asked to end; 0 = not */
	struct strbuf line; /* printed, and not yet ended */
};

static int request(const struct driver_env *env, const struct driver_task *t, struct strbuf *out,
                   struct cairn_err *err)
{
	(void)env;
	(void)err;
	strbuf_cstr(out, "RUN");
	for (char *const *p = t->argv; *p; p++) {
		bool plain = **p && !strpbrk(*p, " \t\n\"'$&|;<>()*?\\");

		strbuf_printf(out, plain ? " %s" : " '%s'", *p);
	}
	strbuf_char(out, '\n');
	return 0;
}

/* --- start ------------------------------------------------------------------------------ */

static bool is_variable(const struct driver_task *t, const char *entry)
{
	static const char *const own[] = { "CAIRN_IMAGE=", "CAIRN_RUNNER=", "CAIRN_FALLBACK=" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (str_starts(str_of(entry), str_of(own[i])))
			return true;
	for (size_t i = 0; i < t->n_variables; i++) {
		size_t n = strlen(t->variables[i].name);

		if (strncmp(entry, t->variables[i].name, n) == 0 && entry[n] == '=')
			return true;
	}
	return false;
}

static char **environment(const struct driver_env *env, const struct driver_task *t,
                          struct arena *a)
{
	char *const *from = env->envp;
	size_t n = 0, k = 0;
	char **to;

	while (from[n])
		n++;
	to = arena_array(a, char *, n + t->n_variables + 4);
	for (size_t i = 0; i < n; i++)
		if (!is_variable(t, from[i]))
			to[k++] = from[i];
	to[k++] = arena_printf(a, "CAIRN_IMAGE=%.*s", STR(t->image));
	to[k++] = arena_printf(a, "CAIRN_RUNNER=%.*s", STR(t->runner->c.name));
	if (t->fallback.len)
		to[k++] = arena_printf(a, "CAIRN_FALLBACK=%.*s", STR(t->fallback));
	for (size_t i = 0; i < t->n_variables; i++)
		to[k++] = arena_printf(a, "%s=%s", t->variables[i].name, t->variables[i].value);
	return to;
}

static int spawn(struct local_run *r, int out, struct cairn_err *err)
{
	const struct driver_env *env = r->base.env;
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, stops;
	int rc;

	if (posix_spawn_file_actions_init(&fa) != 0 || posix_spawnattr_init(&attr) != 0)
		CAIRN_BUG("no memory for a process");
	sigemptyset(&none); /* this program's are blocked */
	sigemptyset(&stops);
	sigaddset(&stops, SIGINT);
	sigaddset(&stops, SIGTERM);
	(void)posix_spawnattr_setsigdefault(&attr, &stops);
	(void)posix_spawnattr_setsigmask(&attr, &none);
	(void)posix_spawnattr_setpgroup(&attr, 0);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
	                                              POSIX_SPAWN_SETPGROUP);
	(void)posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_adddup2(&fa, out, 1);
	(void)posix_spawn_file_actions_adddup2(&fa, out, 2);
	(void)posix_spawn_file_actions_addchdir_np(&fa, env->root);
	rc = posix_spawn(&r->pid, "/proc/self/exe", &fa, &attr, r->base.task->argv,
	                 environment(env, r->base.task, r->base.a));
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	errno = rc;
	return rc ? cairn_fail_sys(err, "start a build") : 0;
}

static void free_run(struct driver_run *base)
{
	struct local_run *r = (struct local_run *)base;

	if (!r)
		return;
	if (!r->reaped && r->pid > 0)
		(void)kill(-r->pid, SIGKILL);
	if (r->out >= 0)
		close(r->out);
	strbuf_done(&r->line);
	driver_run_free(base);
}

static int start(const struct driver_env *env, const struct driver_task *t, struct driver_run **ret,
                 struct cairn_err *err)
{
	struct local_run *r;
	cleanup_fd int in = -1, out = -1;
	int fds[2], rc;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return cairn_fail_sys(err, "pipe");
	in = fds[0];
	out = fds[1];
	if (fcntl(in, F_SETFL, O_NONBLOCK) < 0)
		return cairn_fail_sys(err, "pipe");
	/* What its children leave behind becomes ours: stopping it waits for all of them. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L) < 0)
		return cairn_fail_sys(err, "prctl");
	r = driver_run_new(sizeof(*r), &driver_local, env, t);
	r->out = steal_fd(&in);
	strbuf_init(&r->line, LINE_LONG + READ_SIZE);
	rc = spawn(r, out, err);
	if (rc < 0) {
		free_run(&r->base);
		return rc;
	}
	r->base.id = str_of(arena_printf(r->base.a, "process %ld", (long)r->pid));
	*ret = &r->base;
	return 0;
}

/* --- look ------------------------------------------------------------------------------- */

/* Whole lines are told, so that a mark in one is seen; of a very long one what there is. */
static void add_output(struct local_run *r, const char *buf, size_t n, struct strbuf *log)
{
	ptrdiff_t end = str_rfind(str_n(buf, n), '\n');

	if (end >= 0 || r->line.len > LINE_LONG) {
		size_t told = end < 0 ? 0 : (size_t)end + 1;

		strbuf_add(log, r->line.ptr, r->line.len);
		strbuf_clear(&r->line);
		strbuf_add(log, buf, told);
		buf += told;
		n -= told;
	}
	strbuf_add(&r->line, buf, n);
}

static void read_output(struct local_run *r, struct strbuf *log)
{
	char buf[READ_SIZE];
	size_t total = 0;

	while (r->out >= 0 && total < READ_MAX) {
		ssize_t n = read(r->out, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			strbuf_add(log, r->line.ptr, r->line.len);
			strbuf_clear(&r->line);
			close(r->out);
			r->out = -1;
			return;
		}
		add_output(r, buf, (size_t)n, log);
		total += (size_t)n;
	}
}

/* Has it ended, and all that it started? */
static bool all_gone(struct local_run *r)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-r->pid, &status, WNOHANG)) > 0)
		if (pid == r->pid) {
			r->reaped = true;
			r->status = status;
		}
	return r->reaped && pid < 0;
}

/* What codes of `cairn build` and `cairn up` (cli/exit.h) mean for an attempt. */
static const struct {
	int code;
	enum history_outcome outcome;
} codes[] = {
	{ 0, HISTORY_OK },
	{ 11, HISTORY_UNAVAILABLE },
	{ 12, HISTORY_DISK },
	{ 75, HISTORY_INTERRUPTED },
	{ 128 + SIGKILL, HISTORY_MEMORY }, /* by the kernel, most likely */
	{ 128 + SIGTERM, HISTORY_INTERRUPTED },
	{ 128 + SIGINT, HISTORY_INTERRUPTED },
};

static void set_outcome(const struct local_run *r, struct driver_state *ret)
{
	int code = WIFEXITED(r->status) ? WEXITSTATUS(r->status) : 128 + WTERMSIG(r->status);

	ret->outcome = r->asked ? HISTORY_INTERRUPTED : r->base.marked;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (codes[i].code == code && !r->asked)
			ret->outcome = codes[i].outcome;
	if (code)
		ret->why = str_of(arena_printf(r->base.scratch, "exit code %d", code));
}

static int look(struct driver_run *base, struct driver_state *ret, struct strbuf *log,
                struct cairn_err *err)
{
	struct local_run *r = (struct local_run *)base;
	bool gone = all_gone(r); /* first: what it printed before is then in the pipe */

	(void)err;
	(void)driver_look(base);
	*ret = (struct driver_state){ .phase = DRIVER_RUNNING };
	read_output(r, log);
	driver_marks(strbuf_view(log), &base->marked);
	if (r->asked && !gone && clock_monotonic() - r->asked > KILLED_AFTER)
		(void)kill(-r->pid, SIGKILL);
	if (!gone || r->out >= 0)
		return 0;
	ret->phase = DRIVER_ENDED;
	set_outcome(r, ret);
	return 0;
}

static int stop(struct driver_run *base, struct cairn_err *err)
{
	struct local_run *r = (struct local_run *)base;

	(void)err;
	if (!r->asked && kill(-r->pid, SIGINT) == 0)
		r->asked = clock_monotonic();
	return 0;
}

const struct driver_ops driver_local = {
	.name = "local",
	.request = request,
	.start = start,
	.poll = look,
	.stop = stop,
	.free = free_run,
};
