/* Mounts of all kinds, by descriptor. */
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "sandbox_path.h"
#include "sandbox_setup.h"
#include "util/fs.h"

int setup_mount_fd(int fd, const char *source, const char *type, unsigned long flags,
                   const char *data)
{
	char target[32];

	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	return mount(source, target, type, flags, data);
}

/* mount(2)'s form of what statvfs says, so that a remount keeps what is locked. */
static unsigned long kept_flags(int fd)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {
		{ ST_RDONLY, MS_RDONLY },     { ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },       { ST_NOEXEC, MS_NOEXEC },
		{ ST_NOATIME, MS_NOATIME },   { ST_NODIRATIME, MS_NODIRATIME },
		{ ST_RELATIME, MS_RELATIME },
	};
	struct statvfs sv;
	unsigned long flags = 0;

	if (fstatvfs(fd, &sv) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		flags |= sv.f_flag & map[i].st ? map[i].ms : 0;
	return flags;
}

int setup_remount(int fd, unsigned long add)
{
	return setup_mount_fd(fd, NULL, NULL, MS_REMOUNT | MS_BIND | kept_flags(fd) | add, NULL);
}

/* Open what is to be mounted on, making it when it lies in another mount of the sandbox
 * (what lies in the root itself has a stub). */
static int open_target(const struct setup *s, const char *dest, bool dir, int *ret_fd,
                       struct cairn_err *err)
{
	struct sandbox_path p;
	int r;

	TRY(sandbox_path_find(s->root, dest, &p, err));
	if (!p.rest[0]) {
		*ret_fd = p.fd;
		return 0;
	}
	r = stub_make_rest(p.fd, p.rest, dir, err);
	close(p.fd);
	TRY(r);
	return sandbox_path_open(s->root, dest, "mount point", ret_fd, err);
}

bool setup_is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int setup_bind(const struct setup *s, int source, const char *dest, bool read_only, bool devices,
               struct cairn_err *err)
{
	cleanup_fd int target = -1;
	cleanup_fd int mounted = -1;
	char from[32];

	TRY(open_target(s, dest, setup_is_dir(source), &target, err));
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	if (setup_mount_fd(target, from, NULL, MS_BIND, NULL) < 0)
		return cairn_fail_sys(err, "binding to '%s'", dest);
	TRY(sandbox_path_open(s->root, dest, "mount point", &mounted, err));
	if (setup_remount(mounted, (devices ? MS_NOSUID : MS_NODEV) | (read_only ? MS_RDONLY : 0)) <
	    0)
		return cairn_fail_sys(err, "binding to '%s' %s", dest,
		                      read_only ? "read-only" : "without devices");
	return 0;
}

/* Undo the \ooo of mountinfo, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* Remount everything mounted at or below `path`, one by one. */
static int remount_below(const char *path, unsigned long add, struct cairn_err *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0, len = strlen(path);
	int r = 0;

	if (!f)
		return cairn_fail_sys(err, "reading the mount table");
	while (r == 0 && getline(&line, &cap, f) > 0) {
		str rest = str_of(line), field = { 0 };

		for (int i = 0; i < 5; i++)
			(void)str_next(&rest, ' ', &field);
		cleanup_free char *at = str_dup(field);

		unescape(at);
		if (strncmp(at, path, len) != 0 || (at[len] && at[len] != '/'))
			continue;
		cleanup_fd int fd = open(at, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && setup_remount(fd, add) < 0)
			r = cairn_fail_sys(err, "remounting '%s'", at);
	}
	free(line);
	(void)fclose(f);
	return r;
}

/* Set flags on a mount and all below it: in one call, or one by one before Linux 5.12. */
static int set_recursive(int fd, unsigned long ms, uint64_t attr, struct cairn_err *err)
{
	struct mount_attr ma = { .attr_set = attr };
	char proc[32], path[PATH_MAX];
	ssize_t n;

	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &ma, sizeof(ma)) == 0)
		return 0;
	if (errno != ENOSYS)
		return cairn_fail_sys(err, "changing a tree of mounts");
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n <= 0)
		return cairn_fail_sys(err, "mount point");
	path[n] = 0;
	return remount_below(path, ms, err);
}

int setup_bind_recursive(const struct setup *s, int source, const char *dest, bool read_only,
                         struct cairn_err *err)
{
	cleanup_fd int target = -1;
	cleanup_fd int mounted = -1;
	char from[32];

	TRY(open_target(s, dest, setup_is_dir(source), &target, err));
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	if (setup_mount_fd(target, from, NULL, MS_BIND | MS_REC, NULL) < 0)
		return cairn_fail_sys(err, "binding to '%s'", dest);
	TRY(sandbox_path_open(s->root, dest, "mount point", &mounted, err));
	return set_recursive(mounted, MS_NODEV | (read_only ? MS_RDONLY : 0),
	                     MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0), err);
}

int setup_fs(const struct setup *s, const char *type, const char *dest, unsigned long flags,
             const char *data, int *ret_fd, struct cairn_err *err)
{
	cleanup_fd int target = -1;

	TRY(open_target(s, dest, true, &target, err));
	if (setup_mount_fd(target, type, type, flags, data) < 0)
		return cairn_fail_sys(err, "mounting %s on '%s'", type, dest);
	return ret_fd ? sandbox_path_open(s->root, dest, "mount point", ret_fd, err) : 0;
}
