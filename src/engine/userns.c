#include "userns.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "util/fs.h"
#include "util/num.h"

static bool parse_marker(const char *text, uint32_t *ret_uid, uint32_t *ret_gid)
{
	struct cairn_err err;
	uint64_t uid, gid;
	str a, b;

	if (!str_cut(str_of(text), ':', &a, &b) || num_u64(a, UINT32_MAX, &uid, &err) < 0 ||
	    num_u64(b, UINT32_MAX, &gid, &err) < 0)
		return false;
	*ret_uid = (uint32_t)uid;
	*ret_gid = (uint32_t)gid;
	return true;
}

/* Is root of this namespace that user outside? Whoever exports the variable by himself, or is
 * root of a container, is not taken for our inner process. */
static bool map_says(uint32_t uid, uint32_t gid)
{
	struct userns_map *m = xcalloc(1, sizeof(*m));
	struct cairn_err ignored;
	bool ok = userns_read_map(m, &ignored) == 0 && userns_map_root(m, uid, gid);

	free(m);
	return ok;
}

bool userns_inside(uint32_t *ret_uid, uint32_t *ret_gid)
{
	const char *text = getenv(USERNS_ENV);
	uint32_t uid, gid;

	if (!text || geteuid() != 0 || !parse_marker(text, &uid, &gid) || !map_says(uid, gid))
		return false;
	if (ret_uid)
		*ret_uid = uid;
	if (ret_gid)
		*ret_gid = gid;
	return true;
}

bool userns_needed(void)
{
	return geteuid() != 0;
}

/* Run newuidmap or newgidmap for pid; 0 when it succeeded. */
static int run_mapper(const char *program, pid_t pid, const struct userns_range *map, unsigned n)
{
	size_t argc = 0;
	char **argv = xcalloc(3 * (size_t)n + 3, sizeof(*argv));
	posix_spawn_file_actions_t fa;
	pid_t child;
	int status = -1, r;

	argv[argc++] = xstrdup(program);
	argv[argc++] = xasprintf("%d", pid);
	for (unsigned i = 0; i < n; i++) {
		argv[argc++] = xasprintf("%u", map[i].inside);
		argv[argc++] = xasprintf("%u", map[i].outside);
		argv[argc++] = xasprintf("%u", map[i].count);
	}
	(void)posix_spawn_file_actions_init(&fa);
	(void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
	r = posix_spawnp(&child, program, &fa, NULL, argv, environ);
	(void)posix_spawn_file_actions_destroy(&fa);
	while (r == 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	for (size_t i = 0; i < argc; i++)
		free(argv[i]);
	free(argv);
	return r == 0 && status == 0 ? 0 : -1;
}

static bool put(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* In the child, when nobody else could do it: root alone exists inside. */
static bool map_single(uid_t uid, gid_t gid)
{
	char uids[32], gids[32];

	(void)snprintf(uids, sizeof(uids), "0 %u 1\n", uid);
	(void)snprintf(gids, sizeof(gids), "0 %u 1\n", gid);
	return put("/proc/self/setgroups", "deny") && put("/proc/self/gid_map", gids) &&
	       put("/proc/self/uid_map", uids);
}

/* The words of parent and child over their pipes. */
enum {
	WORD_READY = 'r',   /* child: the namespace exists */
	WORD_REFUSED = 'x', /* child: it does not, or cannot be used */
	WORD_MAPPED = 'm',  /* parent: the map is written; execute */
	WORD_SINGLE = 's',  /* parent: write one with a single id, execute */
};

static char listen_to(int fd)
{
	char c = 0;
	ssize_t n;

	do
		n = read(fd, &c, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? c : 0;
}

static char **environment(uid_t uid, gid_t gid, const char *more)
{
	size_t n = 0, out = 0;
	char **env;

	while (environ[n])
		n++;
	env = xcalloc(n + 3, sizeof(*env));
	for (size_t i = 0; i < n; i++)
		if (!str_starts(str_of(environ[i]), S(USERNS_ENV "=")))
			env[out++] = environ[i];
	env[out++] = xasprintf(USERNS_ENV "=%u:%u", uid, gid);
	if (more)
		env[out] = xstrdup(more);
	return env;
}

/* The child: never returns. in: words of the parent, who is the only one left to write them, so
 * that his death ends the waiting; out: ours. */
static void become_inner(char **argv, const char *more, int in, int out, const sigset_t *mask,
                         pid_t parent)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char word = unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? WORD_READY : WORD_REFUSED;
	char **env;

	(void)write(out, &word, 1);
	word = word == WORD_READY ? listen_to(in) : 0;
	if (word == 0 || (word == WORD_SINGLE && !map_single(uid, gid)))
		_exit(125);
	(void)sigprocmask(SIG_SETMASK, mask, NULL);
	/* After the last change of credentials; killed with the outer process. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(125);
	env = environment(uid, gid, more);
	(void)execve("/proc/self/exe", argv, env);
	_exit(125);
}

/* Forward signals until the child ends. Those of the terminal (SI_KERNEL) reach it anyway:
 * it is in the same process group. */
static int wait_forwarding(pid_t child, const sigset_t *ours)
{
	int status;

	for (;;) {
		siginfo_t si;
		int sig = sigwaitinfo(ours, &si);

		if (sig == SIGCHLD || sig < 0) {
			if (waitpid(child, &status, WNOHANG) == child)
				break;
		} else if (si.si_code != SI_KERNEL) {
			(void)kill(child, sig);
		}
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static char write_maps(pid_t child, const struct userns_map *map, char *warning)
{
	static const char lost[] =
		"files of others than root cannot be made: most images need more "
		"(usermod --add-subuids 100000-165535 --add-subgids "
		"100000-165535 USER)";
	bool ranges = map->n_uid > 1 && map->n_gid > 1;

	warning[0] = 0;
	if (ranges && run_mapper("newuidmap", child, map->uid, map->n_uid) == 0 &&
	    run_mapper("newgidmap", child, map->gid, map->n_gid) == 0)
		return WORD_MAPPED;
	(void)snprintf(warning, 256, "%s: %s",
	               ranges ? "newuidmap failed (package uidmap)"
	                      : "no ranges for this user in /etc/subuid and /etc/subgid",
	               lost);
	return WORD_SINGLE;
}

static void fill_signals(sigset_t *set)
{
	static const int forwarded[] = { SIGCHLD, SIGINT,  SIGTERM, SIGHUP,
		                         SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH };

	(void)sigemptyset(set);
	for (size_t i = 0; i < ARRAY_SIZE(forwarded); i++)
		(void)sigaddset(set, forwarded[i]);
}

int userns_reexec(char **argv, const char *more, char *warning, int *ret_status,
                  struct cairn_err *err)
{
	struct userns_map *map = xcalloc(1, sizeof(*map));
	int to[2] = { -1, -1 }, from[2] = { -1, -1 }, r;
	sigset_t ours, before;
	pid_t child = -1, self = getpid();
	char word;

	r = userns_caller_map(map, err);
	if (r == 0 && (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0))
		r = cairn_fail_sys(err, "user namespace: pipe");
	fill_signals(&ours);
	(void)sigprocmask(SIG_BLOCK, &ours, &before);
	if (r == 0)
		child = fork();
	if (child == 0) {
		fs_close_p_(&to[1]);
		fs_close_p_(&from[0]);
		become_inner(argv, more, to[0], from[1], &before, self);
	}
	if (r == 0 && child < 0)
		r = cairn_fail_sys(err, "user namespace: fork");
	fs_close_p_(&to[0]);
	fs_close_p_(&from[1]);
	if (r == 0 && listen_to(from[0]) != WORD_READY) {
		(void)waitpid(child, NULL, 0);
		r = cairn_fail(err, CAIRN_E_DENIED,
		               "user namespaces are not allowed here: run cairn as root, or see "
		               "`cairn doctor` for the setting that forbids them");
	}
	if (r == 0) {
		word = write_maps(child, map, warning);
		(void)write(to[1], &word, 1);
		*ret_status = wait_forwarding(child, &ours);
	}
	fs_close_p_(&to[1]);
	fs_close_p_(&from[0]);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	free(map);
	return r;
}
