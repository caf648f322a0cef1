#include "probe_try.h"

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fs.h"

static int put(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* Become root of a new user namespace with one id, and see whether that is worth anything: some
 * systems let one make it and take its rights away (AppArmor). Returns 0 or errno. */
static int enter_userns(uid_t uid, gid_t gid)
{
	char map[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return errno;
	(void)put("/proc/self/setgroups", "deny");
	(void)snprintf(map, sizeof(map), "0 %u 1\n", gid);
	if (put("/proc/self/gid_map", map) < 0)
		return errno;
	(void)snprintf(map, sizeof(map), "0 %u 1\n", uid);
	if (put("/proc/self/uid_map", map) < 0)
		return errno;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("cairn", "/tmp", "tmpfs", 0, NULL) < 0 || umount2("/tmp", MNT_DETACH) < 0)
		return errno;
	return 0;
}

static int try_namespaces(struct probe_try *t)
{
	static const struct {
		int flag;
		const char *name;
	} kinds[] = {
		{ CLONE_NEWNS, "mount namespace" }, { CLONE_NEWPID, "pid namespace" },
		{ CLONE_NEWIPC, "ipc namespace" },  { CLONE_NEWUTS, "uts namespace" },
		{ CLONE_NEWNET, "net namespace" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (unshare(kinds[i].flag) == 0)
			continue;
		(void)snprintf(t->namespaces_step, sizeof(t->namespaces_step), "%s", kinds[i].name);
		return errno;
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
		return 0;
	(void)snprintf(t->namespaces_step, sizeof(t->namespaces_step), "private mounts");
	return errno;
}

/* A process of the new pid namespace mounts its /proc. In a user namespace the kernel refuses that
 * where a part of the outer /proc is covered, as container engines do. */
static int try_proc(void)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
		              ? errno & 127
		              : 0);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
}

static int touch(const char *path)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : 0;
}

/* Volatile, as steps mount theirs: the kernel would write the whole file system below out when it
 * unmounts another one. Linux before 5.10 knows no such option. */
static int mount_overlay(bool userxattr)
{
	static const char options[] = "lowerdir=l,upperdir=u,workdir=w,redirect_dir=nofollow,"
				      "metacopy=off,index=off,nfs_export=off";
	char data[256];

	(void)snprintf(data, sizeof(data), "%s%s,volatile", options, userxattr ? ",userxattr" : "");
	if (mount("overlay", "m", "overlay", 0, data) == 0)
		return 0;
	data[strlen(data) - strlen(",volatile")] = '\0';
	return mount("overlay", "m", "overlay", 0, data);
}

/* One try of overlayfs, in a scratch directory that is the working directory: mount it,
 * copy up, remove (whiteout), replace a directory (opaque mark). */
static int try_overlay(struct probe_try *t, bool userxattr)
{
	const char *step = NULL;
	struct stat st;

	if (mkdir("l", 0755) < 0 || mkdir("l/d", 0755) < 0 || touch("l/d/f") < 0 ||
	    touch("l/g") < 0 || mkdir("u", 0755) < 0 || mkdir("w", 0755) < 0 ||
	    mkdir("m", 0755) < 0)
		step = "making directories";
	if (!step && mount_overlay(userxattr) < 0)
		step = "mount";
	if (!step && chmod("m/g", 0600) < 0)
		step = "changing a lower file";
	if (!step && (unlink("m/g") < 0 || lstat("u/g", &st) < 0 || !S_ISCHR(st.st_mode)))
		step = "removing a lower file";
	if (!step && (unlink("m/d/f") < 0 || rmdir("m/d") < 0 || mkdir("m/d", 0755) < 0 ||
	              access("m/d/f", F_OK) == 0))
		step = "replacing a directory";
	if (!step)
		return 0;
	(void)snprintf(t->overlay_step, sizeof(t->overlay_step), "%s", step);
	return errno ? errno : EINVAL;
}

static void try_all(const char *scratch, bool userxattr, struct probe_try *t)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (uid != 0) {
		t->userns = enter_userns(uid, gid);
	} else {
		pid_t pid = fork();
		int status = 0;

		if (pid == 0)
			_exit(enter_userns(uid, gid) & 127);
		t->userns = pid < 0 ? errno : 0;
		if (pid > 0 && waitpid(pid, &status, 0) == pid)
			t->userns = WIFEXITED(status) ? WEXITSTATUS(status) : EINVAL;
	}
	t->namespaces = uid != 0 && t->userns ? t->userns : try_namespaces(t);
	t->proc = t->namespaces ? t->namespaces : try_proc();
	if (t->namespaces) {
		t->overlay = t->namespaces;
		(void)snprintf(t->overlay_step, sizeof(t->overlay_step), "namespaces");
		return;
	}
	if (chdir(scratch) < 0) {
		t->overlay = errno;
		return;
	}
	errno = 0;
	t->overlay = try_overlay(t, userxattr);
}

static void run_child(const char *scratch, bool userxattr, int out)
{
	struct probe_try t = { 0 };

	try_all(scratch, userxattr, &t);
	(void)write(out, &t, sizeof(t));
	_exit(0);
}

int probe_try(const char *store, bool userxattr, struct probe_try *ret, struct cairn_err *err)
{
	cleanup_free char *name = fs_random_name("/.probe-");
	cleanup_free char *scratch = xasprintf("%s%s", store, name);
	struct cairn_err ignored;
	size_t n = 0;
	int fds[2], r;
	pid_t pid;

	if (mkdir(scratch, 0700) < 0)
		return cairn_fail_sys(err, "the store '%s' cannot be written to", store);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return cairn_fail_sys(err, "probing the machine");
	pid = fork();
	if (pid == 0)
		run_child(scratch, userxattr, fds[1]);
	close(fds[1]);
	r = pid < 0 ? cairn_fail_sys(err, "probing the machine")
	            : fs_read_full(fds[0], ret, sizeof(*ret), &n, "probe", err);
	close(fds[0]);
	if (pid > 0)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	(void)fs_remove_tree(AT_FDCWD, scratch, &ignored);
	if (r == 0 && n != sizeof(*ret))
		r = cairn_fail(err, CAIRN_E_SYSTEM, "probing the machine: the child died");
	return r;
}
