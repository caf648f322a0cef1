#include "rootfs_copy.h"

#include <dirent.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/xattr.h>

#include "util/fs.h"
#include "util/map.h"

#define XATTR_CAPS "security.capability"

/* Where one copy stands. */
struct copy {
	int tree;           /* root of the tree */
	struct map links;   /* "dev:ino" of a file with several names -> path in the tree (owned) */
	struct strbuf path; /* of the entry in work, relative to the tree */
};

static int fail_at(const struct copy *c, const char *what, struct cairn_err *err)
{
	return cairn_fail_sys(err, "working tree: %s '/%s'", what, c->path.ptr);
}

static bool is_opaque(int fd)
{
	static const char *const names[] = { "trusted.overlay.opaque", "user.overlay.opaque" };
	char value[4];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (fgetxattr(fd, names[i], value, sizeof(value)) > 0 && value[0] == 'y')
			return true;
	return false;
}

/* Owner, mode, times; chmod after chown, which takes set-id bits away. */
static int set_metadata(int dirfd, const char *name, const struct stat *st)
{
	struct timespec t[2] = { st->st_atim, st->st_mtim };

	if (fchownat(dirfd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISLNK(st->st_mode) && fchmodat(dirfd, name, st->st_mode & 07777, 0) < 0)
		return -1;
	return utimensat(dirfd, name, t, AT_SYMLINK_NOFOLLOW);
}

static int copy_bytes(int from, int to, off_t size)
{
	off_t at = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	while (at < size) {
		ssize_t n = copy_file_range(from, &at, to, NULL, (size_t)(size - at), 0);

		if (n < 0 && errno != EINTR)
			n = sendfile(to, from, &at, (size_t)(size - at));
		if (n < 0 && errno != EINTR)
			return -1;
		if (n == 0)
			break;
	}
	return 0;
}

static int copy_file(struct copy *c, int from, int to, const char *name, const struct stat *st,
                     struct cairn_err *err)
{
	cleanup_fd int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	char caps[64];
	ssize_t n;

	if (in < 0 || out < 0 || copy_bytes(in, out, st->st_size) < 0)
		return fail_at(c, "copying", err);
	n = fgetxattr(in, XATTR_CAPS, caps, sizeof(caps));
	if (set_metadata(to, name, st) < 0)
		return fail_at(c, "owner and mode of", err);
	if (n > 0 && fsetxattr(out, XATTR_CAPS, caps, (size_t)n, 0) < 0)
		return fail_at(c, "capabilities of", err);
	return 0;
}

/* A second name of a file that was copied: link inside the tree. 1 = done, 0 = first name. */
static int link_known(struct copy *c, int to, const char *name, const struct stat *st)
{
	cleanup_free char *key = NULL;
	const char *first;

	if (st->st_nlink < 2 || S_ISDIR(st->st_mode))
		return 0;
	key = xasprintf("%ju:%ju", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
	first = map_get(&c->links, str_of(key));
	if (first && linkat(c->tree, first, to, name, 0) == 0)
		return 1;
	if (!first)
		(void)map_put(&c->links, str_of(key), xstrdup(c->path.ptr));
	return 0;
}

static int copy_special(struct copy *c, int from, int to, const char *name, const struct stat *st,
                        struct cairn_err *err)
{
	char target[PATH_MAX];

	if (S_ISLNK(st->st_mode)) {
		ssize_t n = readlinkat(from, name, target, sizeof(target) - 1);

		target[n > 0 ? n : 0] = 0;
		if (n < 0 || symlinkat(target, to, name) < 0)
			return fail_at(c, "linking", err);
	} else if (mknodat(to, name, st->st_mode, st->st_rdev) < 0) {
		/* A device node that cannot be made here is left out. */
		if (errno == EPERM && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)))
			return 0;
		return fail_at(c, "making", err);
	}
	return set_metadata(to, name, st) < 0 ? fail_at(c, "owner and mode of", err) : 0;
}

static int copy_dir(struct copy *c, int from, int to, struct cairn_err *err);

/* A directory merges with the one that is there, unless it is opaque. */
static int copy_subdir(struct copy *c, int from, int to, const char *name, const struct stat *st,
                       struct cairn_err *err)
{
	cleanup_fd int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int out = -1;
	struct stat there;
	bool exists = fstatat(to, name, &there, AT_SYMLINK_NOFOLLOW) == 0;

	if (in < 0)
		return fail_at(c, "opening", err);
	if (exists && (!S_ISDIR(there.st_mode) || is_opaque(in))) {
		TRY(fs_remove_tree(to, name, err));
		exists = false;
	}
	if (!exists && mkdirat(to, name, 0700) < 0)
		return fail_at(c, "making", err);
	out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (out < 0)
		return fail_at(c, "opening", err);
	TRY(copy_dir(c, in, out, err));
	return set_metadata(to, name, st) < 0 ? fail_at(c, "owner and mode of", err) : 0;
}

static int copy_entry(struct copy *c, int from, int to, const char *name, struct cairn_err *err)
{
	struct stat st;

	if (fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_at(c, "reading", err);
	if (S_ISDIR(st.st_mode))
		return copy_subdir(c, from, to, name, &st, err);
	TRY(fs_remove_tree(to, name, err));
	if (S_ISCHR(st.st_mode) && st.st_rdev == 0)
		return 0; /* a whiteout */
	if (link_known(c, to, name, &st) == 1)
		return 0;
	if (S_ISREG(st.st_mode))
		return copy_file(c, from, to, name, &st, err);
	return copy_special(c, from, to, name, &st, err);
}

static int copy_dir(struct copy *c, int from, int to, struct cairn_err *err)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int r = 0;

	if (!d) {
		fs_close_p_(&fd);
		return fail_at(c, "listing", err);
	}
	for (struct dirent *e = readdir(d); e && r == 0; e = readdir(d)) {
		size_t len = c->path.len;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		strbuf_printf(&c->path, "%s%s", len ? "/" : "", e->d_name);
		r = strbuf_check(&c->path, "a path of the working tree", err);
		if (r == 0)
			r = copy_entry(c, from, to, e->d_name, err);
		c->path.ptr[c->path.len = len] = 0;
	}
	closedir(d);
	return r;
}

int rootfs_copy(const char *layer, const char *tree, struct cairn_err *err)
{
	cleanup_fd int from = -1;
	cleanup_fd int to = -1;
	struct copy c = { 0 };
	struct stat st;
	int r;

	TRY(fs_open_dir(AT_FDCWD, layer, &from, err));
	TRY(fs_open_dir(AT_FDCWD, tree, &to, err));
	c.tree = to;
	strbuf_init(&c.path, PATH_MAX - 1);
	strbuf_char(&c.path, 'x'); /* so that ptr is writable */
	c.path.ptr[c.path.len = 0] = 0;
	r = copy_dir(&c, from, to, err);
	if (r == 0 && (fstat(from, &st) < 0 || set_metadata(to, ".", &st) < 0))
		r = cairn_fail_sys(err, "working tree '%s'", tree);
	map_foreach (e, &c.links)
		free(e->value);
	map_done(&c.links);
	strbuf_done(&c.path);
	return r;
}
