#include "scan_walk.h"

#include <dirent.h>
#include <limits.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "util/clock.h"
#include "util/fs.h"
#include "xattr.h"

/* Directories that are still to be read, as paths: descriptors would run out in a deep
 * tree. */
struct walk {
	int root;
	int (*fn)(void *ctx, const struct walk_item *item, struct cairn_err *err);
	void *ctx;
	VEC(char *) todo; /* owned */
};

static int walk_entry(struct walk *w, int fd, const char *dir, const char *name,
                      struct cairn_err *err)
{
	struct walk_item item = { .root = w->root, .parent = fd, .name = name };
	cleanup_free char *path = xasprintf("%s%s%s", dir, *dir ? "/" : "", name);

	if (strlen(path) > LAYER_PATH_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "a path below '/%.100s' is longer than %u bytes", dir,
		                  LAYER_PATH_MAX);
	item.path = path;
	if (fstatat(fd, name, &item.st, AT_SYMLINK_NOFOLLOW) < 0)
		return cairn_fail_sys(err, "stat '/%s'", path);
	TRY(w->fn(w->ctx, &item, err));
	if (S_ISDIR(item.st.st_mode))
		vec_push(&w->todo, steal_ptr(&path));
	return 0;
}

static int walk_one_dir(struct walk *w, const char *path, struct cairn_err *err)
{
	int fd = openat(w->root, *path ? path : ".",
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	const struct dirent *de;
	DIR *d;
	int r = 0;

	if (fd < 0)
		return cairn_fail_sys(err, "open directory '/%s'", path);
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return cairn_fail_sys(err, "read directory '/%s'", path);
	}
	while (r == 0 && (errno = 0, de = readdir(d)))
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = walk_entry(w, fd, path, de->d_name, err);
	if (r == 0 && errno)
		r = cairn_fail_sys(err, "read directory '/%s'", path);
	closedir(d);
	return r;
}

int walk_dir(int root, int (*fn)(void *ctx, const struct walk_item *item, struct cairn_err *err),
             void *ctx, struct cairn_err *err)
{
	struct walk w = { .root = root, .fn = fn, .ctx = ctx };
	struct walk_item item = { .root = root, .path = "", .parent = root, .name = "." };
	int r;

	if (fstat(root, &item.st) < 0)
		return cairn_fail_sys(err, "stat the root of a layer");
	TRY(fn(ctx, &item, err));
	r = walk_one_dir(&w, "", err);
	while (r == 0 && w.todo.len) {
		char *path = w.todo.ptr[--w.todo.len];

		r = walk_one_dir(&w, path, err);
		free(path);
	}
	vec_foreach (path, &w.todo)
		free(*path);
	vec_free(&w.todo);
	return r;
}

/* ---- extended attributes ---- */

static int read_caps(int fd, const struct walk_item *item, struct arena *a, str *ret,
                     struct cairn_err *err)
{
	char buf[256];
	ssize_t n = fgetxattr(fd, XATTR_CAPS, buf, sizeof(buf));

	if (n < 0 && errno == ENODATA)
		return 0;
	if (n < 0)
		return cairn_fail_sys(err, "read " XATTR_CAPS " of '/%s'", item->path);
	*ret = xattr_caps_v2(a, arena_str(a, str_n(buf, (size_t)n)));
	return 0;
}

static void note_overlay(int fd, const char *full, const char *name, struct walk_xattrs *x)
{
	char value[2] = "";

	if (strcmp(name, "redirect") == 0)
		x->redirect = true;
	else if (strcmp(name, "metacopy") == 0)
		x->metacopy = true;
	else if (strcmp(name, "whiteout") == 0)
		x->whiteout = true;
	else if (strcmp(name, "opaque") == 0)
		x->opaque = fgetxattr(fd, full, value, sizeof(value)) == 1 && value[0] == 'y';
}

/* A step's own attribute of overlayfs's name comes escaped, as "overlay.overlay.redirect":
 * that is no mark of the overlay below it (DECISIONS.md 11). */
static void note_all(int fd, enum layer_xattr_ns ns, str list, struct walk_xattrs *x)
{
	static const char *const prefixes[] = {
		[LAYER_XATTR_TRUSTED] = "trusted.overlay.", [LAYER_XATTR_USER] = "user.overlay."
	};
	size_t len = strlen(prefixes[ns]);

	for (const char *n = list.ptr; n < list.ptr + list.len; n += strlen(n) + 1)
		if (strncmp(n, prefixes[ns], len) == 0)
			note_overlay(fd, n, n + len, x);
}

static bool has_caps(str list)
{
	for (const char *n = list.ptr; n < list.ptr + list.len; n += strlen(n) + 1)
		if (strcmp(n, XATTR_CAPS) == 0)
			return true;
	return false;
}

int walk_read_xattrs(const struct walk_item *item, const enum layer_xattr_ns *ns, struct arena *a,
                     struct walk_xattrs *ret, struct cairn_err *err)
{
	cleanup_free char *names = NULL;
	cleanup_fd int fd = -1;
	char small[512];
	str list = { .ptr = small };
	ssize_t n;

	*ret = (struct walk_xattrs){ 0 };
	if (!S_ISREG(item->st.st_mode) && !S_ISDIR(item->st.st_mode))
		return 0;
	fd = openat(item->parent, item->name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open '/%s'", item->path);
	n = flistxattr(fd, small, sizeof(small) - 1);
	if (n < 0 && errno == ERANGE) {
		list.ptr = names = xmalloc(XATTR_LIST_MAX + 1);
		n = flistxattr(fd, names, XATTR_LIST_MAX);
	}
	if (n < 0 && errno == ENOTSUP)
		return 0;
	if (n < 0)
		return cairn_fail_sys(err, "list extended attributes of '/%s'", item->path);
	list.len = (size_t)n;
	if (ns)
		note_all(fd, *ns, list, ret);
	return has_caps(list) ? read_caps(fd, item, a, &ret->caps, err) : 0;
}

/* ---- entries ---- */

static int read_target(const struct walk_item *item, struct arena *a, str *ret,
                       struct cairn_err *err)
{
	char buf[LAYER_PATH_MAX + 1];
	ssize_t n = readlinkat(item->parent, item->name, buf, sizeof(buf));

	if (n < 0)
		return cairn_fail_sys(err, "read symbolic link '/%s'", item->path);
	if (n > LAYER_PATH_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "symbolic link '/%s' is too long",
		                  item->path);
	*ret = arena_str(a, str_n(buf, (size_t)n));
	return 0;
}

static bool type_of(mode_t mode, enum layer_type *ret)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		*ret = LAYER_FILE;
		return true;
	case S_IFDIR:
		*ret = LAYER_DIR;
		return true;
	case S_IFLNK:
		*ret = LAYER_SYMLINK;
		return true;
	case S_IFCHR:
		*ret = LAYER_CHAR;
		return true;
	case S_IFBLK:
		*ret = LAYER_BLOCK;
		return true;
	case S_IFIFO:
		*ret = LAYER_FIFO;
		return true;
	default:
		return false;
	}
}

int walk_add(struct layer_plan *plan, const struct walk_item *item, const struct walk_xattrs *x,
             struct cairn_err *err)
{
	const struct stat *st = &item->st;
	const struct layer_xattr caps = { S(XATTR_CAPS), x->caps };
	struct layer_entry e = { .path = str_of(item->path),
		                 .mode = st->st_mode & 07777,
		                 .uid = st->st_uid,
		                 .gid = st->st_gid,
		                 .mtime = st->st_mtim.tv_sec * CLOCK_SEC + st->st_mtim.tv_nsec,
		                 .opaque = x->opaque };
	struct layer_source src = { .kind = LAYER_SOURCE_NONE };
	uint64_t link = 0;

	if (!type_of(st->st_mode, &e.type)) {
		layer_plan_remove(plan, e.path); /* a socket: it hides what was there */
		return 0;
	}
	if (e.type == LAYER_SYMLINK)
		TRY(read_target(item, plan->arena, &e.target, err));
	if (e.type == LAYER_CHAR || e.type == LAYER_BLOCK) {
		e.major = major(st->st_rdev);
		e.minor = minor(st->st_rdev);
	}
	if (x->caps.ptr) {
		e.xattrs = &caps;
		e.n_xattrs = 1;
	}
	if (e.type == LAYER_FILE) {
		e.size = (uint64_t)st->st_size;
		src = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
			                     .dirfd = item->root,
			                     .path = e.path };
		/* Everything lies on one file system. */
		link = st->st_nlink > 1 ? (uint64_t)st->st_ino : 0;
	}
	layer_plan_add(plan, &e, &src, link);
	return 0;
}
