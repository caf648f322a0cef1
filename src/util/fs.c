#include "util/fs.h"

#include <dirent.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/syscall.h>

int fs_write_all(int fd, const void *p, size_t n, const char *path, struct cairn_err *err)
{
	const char *c = p;

	while (n) {
		ssize_t w = write(fd, c, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return cairn_fail_sys(err, "write '%s'", path);
		c += w;
		n -= (size_t)w;
	}
	return 0;
}

int fs_read_full(int fd, void *p, size_t n, size_t *ret_n, const char *path, struct cairn_err *err)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, (char *)p + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return cairn_fail_sys(err, "read '%s'", path);
		if (r == 0)
			break;
		got += (size_t)r;
	}
	*ret_n = got;
	return 0;
}

static int fail_open(const char *path, struct cairn_err *err)
{
	if (errno == ENOENT || errno == ENOTDIR) {
		cairn_fail_sys(err, "open '%s'", path);
		return err->code = CAIRN_E_NOT_FOUND;
	}
	return cairn_fail_sys(err, "open '%s'", path);
}

int fs_read_file(int dirfd, const char *path, struct strbuf *buf, struct cairn_err *err)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	cleanup_free char *chunk = NULL;
	const size_t size = 65536;
	size_t n;

	if (fd < 0)
		return fail_open(path, err);
	chunk = xmalloc(size);
	do {
		TRY(fs_read_full(fd, chunk, size, &n, path, err));
		strbuf_add(buf, chunk, n);
	} while (n == size && !buf->overflow);
	return strbuf_check(buf, path, err);
}

int fs_write_file(int dirfd, const char *path, str bytes, mode_t mode, struct cairn_err *err)
{
	cleanup_free char *prefix = xasprintf("%s.tmp-", path);
	cleanup_free char *tmp = fs_random_name(prefix);
	cleanup_fd int fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	int r;

	if (fd < 0)
		return cairn_fail_sys(err, "create '%s'", tmp);
	r = fs_write_all(fd, bytes.ptr, bytes.len, path, err);
	if (r == 0 && renameat(dirfd, tmp, dirfd, path) < 0)
		r = cairn_fail_sys(err, "rename '%s' to '%s'", tmp, path);
	if (r < 0)
		(void)unlinkat(dirfd, tmp, 0);
	return r;
}

int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct cairn_err *err)
{
	int fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return fail_open(path, err);
	*ret_fd = fd;
	return 0;
}

/* Component by component, for kernels and containers without openat2. */
static int open_by_steps(int dirfd, const char *path, int flags)
{
	cleanup_free char *p = xstrdup(path);
	cleanup_fd int at = -1;
	char *part = p, *slash;

	while ((slash = strchr(part, '/'))) {
		int next;

		*slash = '\0';
		if (strcmp(part, "..") == 0) {
			errno = EXDEV;
			return -1;
		}
		next = openat(at >= 0 ? at : dirfd, *part ? part : ".",
		              O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -1;
		fs_close_p_(&at);
		at = next;
		part = slash + 1;
	}
	if (strcmp(part, "..") == 0) {
		errno = EXDEV;
		return -1;
	}
	return openat(at >= 0 ? at : dirfd, *part ? part : ".", flags | O_NOFOLLOW | O_CLOEXEC);
}

int fs_open_beneath(int dirfd, const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
		                           RESOLVE_NO_MAGICLINKS };
	long fd = syscall(SYS_openat2, dirfd, *path ? path : ".", &how, sizeof(how));

	if (fd < 0 && path[0] == '/') {
		errno = EXDEV;
		return -1;
	}
	/* EPERM: a container's system call filter that is older than openat2. */
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_by_steps(dirfd, path, flags);
	return (int)fd;
}

int fs_mkdir_p(int dirfd, const char *path, mode_t mode, struct cairn_err *err)
{
	cleanup_free char *p = xstrdup(path);

	for (char *s = p + (*p == '/');; s++) {
		char c = *s;

		if (c && c != '/')
			continue;
		*s = '\0';
		if (*p && mkdirat(dirfd, p, mode) < 0 && errno != EEXIST && errno != EISDIR) {
			struct stat st;
			int saved = errno;

			if (fstatat(dirfd, p, &st, 0) < 0 || !S_ISDIR(st.st_mode)) {
				errno = saved;
				return cairn_fail_sys(err, "create directory '%s'", p);
			}
		}
		*s = c;
		if (!c)
			return 0;
	}
}

static int remove_at(int dirfd, const char *name, dev_t dev, struct cairn_err *err);

static int remove_children(int dirfd, const char *name, dev_t dev, struct cairn_err *err)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *de;
	DIR *d;
	int r = 0;

	if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
		fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open directory '%s'", name);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return cairn_fail_sys(err, "read directory '%s'", name);
	}
	while (r == 0 && (errno = 0, de = readdir(d))) {
		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		if (de->d_type != DT_DIR && de->d_type != DT_UNKNOWN &&
		    unlinkat(fd, de->d_name, 0) == 0)
			continue;
		r = remove_at(fd, de->d_name, dev, err);
	}
	closedir(d);
	return r;
}

static int remove_at(int dirfd, const char *name, dev_t dev, struct cairn_err *err)
{
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : cairn_fail_sys(err, "stat '%s'", name);
	if (!S_ISDIR(st.st_mode)) {
		if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
			return 0;
		if (errno != EACCES || fchmod(dirfd, 0700) < 0 || unlinkat(dirfd, name, 0) < 0)
			return cairn_fail_sys(err, "remove '%s'", name);
		return 0;
	}
	if (st.st_dev != dev)
		return cairn_fail(err, CAIRN_E_DENIED, "'%s' is a mount point; not removed", name);
	TRY(remove_children(dirfd, name, dev, err));
	if (unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return cairn_fail_sys(err, "remove directory '%s'", name);
	return 0;
}

int fs_remove_tree(int dirfd, const char *path, struct cairn_err *err)
{
	struct stat st;

	if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : cairn_fail_sys(err, "stat '%s'", path);
	return remove_at(dirfd, path, st.st_dev, err);
}

char *fs_random_name(const char *prefix)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz012345";
	unsigned char r[16];
	char name[sizeof(r) + 1];

	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		CAIRN_BUG("getrandom failed");
	for (size_t i = 0; i < sizeof(r); i++)
		name[i] = alphabet[r[i] & 31];
	name[sizeof(r)] = '\0';
	return xasprintf("%s%s", prefix, name);
}
