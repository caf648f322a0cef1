#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "sandbox_path.h"
#include "sandbox_seccomp.h"
#include "sandbox_setup.h"
#include "util/fs.h"
#include "util/num.h"

#define DEFAULT_HOSTNAME "buildkitsandbox"
#define DEFAULT_PATH     "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void setup_close_from(unsigned first)
{
	DIR *d;

	if (syscall(SYS_close_range, first, ~0u, 0) == 0)
		return;
	d = opendir("/proc/self/fd"); /* before Linux 5.9 */
	if (!d)
		return;
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		struct cairn_err err;
		uint64_t fd;

		if (num_u64(str_of(e->d_name), INT32_MAX, &fd, &err) == 0 && fd >= first &&
		    (int)fd != dirfd(d))
			close((int)fd);
	}
	closedir(d);
}

/* Loopback of a new network namespace starts down. */
static int raise_loopback(struct cairn_err *err)
{
	cleanup_fd int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return cairn_fail_sys(err, "network: raising the loopback interface");
	return 0;
}

/* As asked; where the hard limit may not be raised (no CAP_SYS_RESOURCE) as near as
 * possible, and said so. */
static int set_limit(const struct sandbox_limit *l, struct cairn_err *err)
{
	struct rlimit now, want = { .rlim_cur = l->soft, .rlim_max = l->hard };
	__rlimit_resource_t which = (__rlimit_resource_t)l->resource;

	if (setrlimit(which, &want) == 0)
		return 0;
	if (errno != EPERM || getrlimit(which, &now) < 0)
		return cairn_fail_sys(err, "ulimit %d", l->resource);
	want.rlim_max = want.rlim_max < now.rlim_max ? want.rlim_max : now.rlim_max;
	want.rlim_cur = want.rlim_cur < want.rlim_max ? want.rlim_cur : want.rlim_max;
	if (setrlimit(which, &want) < 0)
		return cairn_fail_sys(err, "ulimit %d", l->resource);
	setup_warn("ulimit %d is limited to %llu: this machine lets cairn not raise it further",
	           l->resource, (unsigned long long)want.rlim_max);
	return 0;
}

/* Standard input and output become the command's: the null device of the sandbox instead of the
 * host's, whose mode a root inside could change; pipes that the user may open again through
 * /dev/stdout. */
static void adopt_stdio(const struct sandbox_spec *s)
{
	cleanup_fd int null = -1;
	struct stat st;

	if (s->stdio == SANDBOX_STDIO_INHERIT)
		return;
	null = open("/dev/null", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (null >= 0 && fstat(null, &st) == 0 && S_ISCHR(st.st_mode) &&
	    st.st_rdev == makedev(1, 3))
		(void)dup2(null, 0);
	(void)fchown(1, s->uid, (gid_t)-1);
	(void)fchown(2, s->uid, (gid_t)-1);
}

/* What an image names as its working directory need not be in its layers: Buildah's are not. It is
 * made as runc makes it; no link leads that out of the root. */
static int make_cwd(const char *cwd, struct cairn_err *err)
{
	cleanup_fd int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct sandbox_path p;
	int r = 0;

	if (root < 0)
		return cairn_fail_sys(err, "the root");
	TRY(sandbox_path_find(root, cwd, &p, err));
	if (p.rest[0])
		r = fs_mkdir_p(p.fd, p.rest, 0755, err);
	close(p.fd);
	return r;
}

/* The working directory, and proof that it is inside: a descriptor of the host left
 * open could have led the path out (CVE-2024-21626). */
static int enter_cwd(const struct sandbox_spec *s, struct cairn_err *err)
{
	const char *cwd = s->cwd ? s->cwd : "/";
	char real[PATH_MAX];

	if (chdir(cwd) < 0 && errno == ENOENT && make_cwd(cwd, err) < 0)
		return cairn_wrap(err, "working directory '%s'", cwd);
	if (chdir(cwd) < 0)
		return cairn_fail_sys(err, "working directory '%s'", cwd);
	/* Not getcwd(3): it would search for a name when the kernel says "(unreachable)". */
	if (syscall(SYS_getcwd, real, sizeof(real)) < 0 || real[0] != '/')
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "working directory '%s' is outside of the root", cwd);
	return 0;
}

static int drop_bounding(uint64_t keep, struct cairn_err *err)
{
	for (int cap = 0; cap < 64 && prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return cairn_fail_sys(err, "dropping capability %d", cap);
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return 0;
}

/* Effective and permitted become caps, as far as we have them; inheritable empty, as in Docker
 * since CVE-2022-24769. */
static int set_caps(uint64_t caps, struct cairn_err *err)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct now[2] = { 0 }, data[2] = { 0 };

	if (syscall(SYS_capget, &head, now) < 0)
		return cairn_fail_sys(err, "reading the capabilities");
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted = now[i].permitted & (uint32_t)(caps >> (32 * i));
		data[i].effective = data[i].permitted;
	}
	if (syscall(SYS_capset, &head, data) < 0)
		return cairn_fail_sys(err, "setting the capabilities");
	return 0;
}

static int set_user(const struct sandbox_spec *s, struct cairn_err *err)
{
	/* In a user namespace with a single id groups cannot be set: more than that id is lost. */
	bool other = s->n_groups > 1 || (s->n_groups == 1 && s->groups[0] != s->gid);

	if (setgroups(s->n_groups, s->groups) < 0 && (errno != EPERM || other))
		return cairn_fail_sys(err, "supplementary groups");
	if (setresgid(s->gid, s->gid, s->gid) < 0)
		return cairn_fail_sys(err, "group %u%s", s->gid,
		                      errno == EINVAL ? " has no place in this user namespace"
		                                      : "");
	if (setresuid(s->uid, s->uid, s->uid) < 0)
		return cairn_fail_sys(err, "user %u%s", s->uid,
		                      errno == EINVAL ? " has no place in this user namespace"
		                                      : "");
	return 0;
}

/* Die with the helper. Set when credentials do not change any more, which clears it; then
 * look whether the helper died before. */
static int follow_helper(int alive, struct cairn_err *err)
{
	struct pollfd pfd = { .fd = alive, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return cairn_fail_sys(err, "tying the command to cairn");
	if (poll(&pfd, 1, 0) != 0)
		return cairn_fail(err, CAIRN_E_CANCELLED, "sandbox: the helper is gone");
	return 0;
}

/* PATH as the command's environment has it. */
static str search_path(const struct sandbox_spec *s)
{
	for (size_t i = 0; i < s->n_env; i++)
		if (str_starts(str_of(s->env[i]), S("PATH=")))
			return str_of(s->env[i] + 5);
	return S(DEFAULT_PATH);
}

/* Execute argv[0]; unlike execvp() not through a shell when it is no program. */
static int execute(const struct sandbox_spec *s, struct cairn_err *err)
{
	char *const *argv = (char *const *)(uintptr_t)s->argv; /* execve only reads them */
	char *const *env = (char *const *)(uintptr_t)s->env;
	const char *name = s->argv[0];
	int why = ENOENT;
	str rest, dir;

	if (strchr(name, '/')) {
		(void)execve(name, argv, env);
		why = errno;
	}
	rest = strchr(name, '/') ? (str){ 0 } : search_path(s);
	while (str_next(&rest, ':', &dir)) {
		cleanup_free char *path =
			xasprintf("%.*s%s%s", STR(dir), dir.len ? "/" : "./", name);

		(void)execve(path, argv, env);
		if (errno != ENOENT && errno != ENOTDIR)
			why = errno;
	}
	errno = why;
	(void)cairn_fail_sys(err, "cannot execute '%s'", name);
	return err->code = CAIRN_E_STEP;
}

int setup_exec(const struct sandbox_job *job, int alive, struct cairn_err *err)
{
	const struct sandbox_spec *s = &job->spec;
	const char *hostname = s->hostname ? s->hostname : DEFAULT_HOSTNAME;

	if (sethostname(hostname, strlen(hostname)) < 0)
		return cairn_fail_sys(err, "host name '%s'", hostname);
	if (s->network == SANDBOX_NET_NONE)
		TRY(raise_loopback(err));
	for (size_t i = 0; i < s->n_limits; i++)
		TRY(set_limit(&s->limits[i], err));
	adopt_stdio(s);
	(void)umask(022);
	TRY(enter_cwd(s, err));
	/* A session keyring of its own: not the host's user's keys. ENOSYS, EDQUOT: none. */
	(void)syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
	TRY(drop_bounding(s->caps, err));
	/* While CAP_SYS_ADMIN is there: without no_new_privs a filter needs it. What
	 * follows is on its list. */
	if (job->filter.len > 0 && seccomp_apply(job->filter.ptr, job->filter.len) < 0)
		return cairn_fail_sys(err, "seccomp: installing the filter");
	TRY(set_user(s, err));
	TRY(set_caps(s->caps, err));
	TRY(follow_helper(alive, err));
	return execute(s, err);
}
