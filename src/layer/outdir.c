#include "outdir.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "util/clock.h"
#include "util/fs.h"
#include "xattr.h"

void outdir_init(struct outdir *o, int root, enum layer_xattr_ns ns)
{
	*o = (struct outdir){ .root = root, .fd = -1, .ns = ns };
}

void outdir_forget(struct outdir *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

void outdir_done(struct outdir *o)
{
	outdir_forget(o);
}

int outdir_parent(struct outdir *o, str path, int *ret_fd, struct cairn_err *err)
{
	str parent = layer_path_parent(path), name = layer_path_name(path);

	if (!layer_path_valid(path) || path.len == 0)
		CAIRN_BUG("'%.*s' is not the path of an entry", STR(path));
	memcpy(o->name, name.ptr, name.len);
	o->name[name.len] = '\0';
	if (o->fd < 0 || !str_eq(str_n(o->parent, o->parent_len), parent)) {
		outdir_forget(o);
		if (parent.len)
			memcpy(o->parent, parent.ptr, parent.len);
		o->parent[parent.len] = '\0';
		o->parent_len = parent.len;
		o->fd = fs_open_beneath(o->root, o->parent, O_PATH | O_DIRECTORY);
		if (o->fd < 0)
			return cairn_fail_sys(err, "open directory '/%s' of a layer", o->parent);
	}
	*ret_fd = o->fd;
	return 0;
}

/* ---- metadata ---- */

static int fail_owner(const struct layer_entry *e, struct cairn_err *err)
{
	cairn_fail_sys(err, "give '/%.*s' to owner %u:%u", STR(e->path), e->uid, e->gid);
	if (err->sys != EINVAL && err->sys != EPERM)
		return err->code;
	err->code = CAIRN_E_DENIED;
	return cairn_wrap(err,
	                  "this user may not use that owner (see /etc/subuid and /etc/subgid)");
}

static struct timespec timespec_of(int64_t ns)
{
	int64_t s = layer_whole_seconds(ns) / CLOCK_SEC;

	return (struct timespec){ .tv_sec = s, .tv_nsec = ns - s * CLOCK_SEC };
}

/* user.* may be refused by the file system or by the kind of file: such an attribute is
 * a comment.  Capabilities change what a program may do and must be there. */
static int set_xattrs(int fd, const struct layer_entry *e, struct cairn_err *err)
{
	char name[LAYER_XATTR_NAME_MAX + 1];

	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		str n = e->xattrs[i].name, v = e->xattrs[i].value;

		memcpy(name, n.ptr, n.len);
		name[n.len] = '\0';
		if (fsetxattr(fd, name, v.ptr, v.len, 0) == 0 || str_starts(n, S("user.")))
			continue;
		return cairn_fail_sys(err, "set %s of '/%.*s'", name, STR(e->path));
	}
	return 0;
}

int outdir_set_file(int fd, const struct layer_entry *e, struct cairn_err *err)
{
	const struct timespec times[2] = { timespec_of(e->mtime), timespec_of(e->mtime) };
	struct stat st;

	/* A look costs a tenth of a change, which few files need. */
	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "look at '/%.*s'", STR(e->path));
	if (st.st_uid != e->uid || st.st_gid != e->gid) {
		if (fchown(fd, e->uid, e->gid) < 0)
			return fail_owner(e, err);
		st.st_mode &= 0777u; /* chown takes setuid, setgid and capabilities away */
	}
	if ((st.st_mode & 07777u) != e->mode && fchmod(fd, e->mode) < 0)
		return cairn_fail_sys(err, "set the mode of '/%.*s'", STR(e->path));
	TRY(set_xattrs(fd, e, err));
	if (futimens(fd, times) < 0)
		return cairn_fail_sys(err, "set the time of '/%.*s'", STR(e->path));
	return 0;
}

/* ---- directories ---- */

int outdir_mkdir(struct outdir *o, str path, struct cairn_err *err)
{
	struct stat st;
	int fd;

	TRY(outdir_parent(o, path, &fd, err));
	if (mkdirat(fd, o->name, 0700) == 0)
		return 0;
	if (errno == EEXIST && fstatat(fd, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		return 0;
	return cairn_fail_sys(err, "create directory '/%.*s'", STR(path));
}

int outdir_set_dir(struct outdir *o, const struct layer_entry *e, struct cairn_err *err)
{
	cleanup_fd int dir = -1;
	int fd = o->root;

	o->name[0] = '.';
	o->name[1] = '\0';
	if (e->path.len)
		TRY(outdir_parent(o, e->path, &fd, err));
	dir = openat(fd, o->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		return cairn_fail_sys(err, "open directory '/%.*s'", STR(e->path));
	if (e->opaque && fsetxattr(dir, xattr_overlay_opaque(o->ns), "y", 1, 0) < 0)
		return cairn_fail_sys(err, "mark directory '/%.*s' as opaque", STR(e->path));
	return outdir_set_file(dir, e, err);
}

/* ---- files and the rest ---- */

int outdir_create(struct outdir *o, const struct layer_entry *e, int *ret_fd, struct cairn_err *err)
{
	int fd, file;

	TRY(outdir_parent(o, e->path, &fd, err));
	file = openat(fd, o->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	              e->mode & 0777u);
	if (file < 0)
		return cairn_fail_sys(err, "create '/%.*s'", STR(e->path));
	*ret_fd = file;
	return 0;
}

static int make_node(int fd, const char *name, const struct layer_entry *e)
{
	char target[LAYER_PATH_MAX + 1];
	mode_t kind = e->type == LAYER_CHAR ? S_IFCHR : e->type == LAYER_BLOCK ? S_IFBLK : S_IFIFO;

	if (e->type != LAYER_SYMLINK)
		return mknodat(fd, name, kind | 0600, makedev(e->major, e->minor));
	memcpy(target, e->target.ptr, e->target.len);
	target[e->target.len] = '\0';
	return symlinkat(target, fd, name);
}

int outdir_make(struct outdir *o, const struct layer_entry *e, bool *ret_absent,
                struct cairn_err *err)
{
	const struct timespec times[2] = { timespec_of(e->mtime), timespec_of(e->mtime) };
	int fd;

	TRY(outdir_parent(o, e->path, &fd, err));
	*ret_absent = false;
	if (make_node(fd, o->name, e) < 0) {
		if (errno == EPERM && (e->type == LAYER_CHAR || e->type == LAYER_BLOCK)) {
			*ret_absent = true;
			return 0;
		}
		return cairn_fail_sys(err, "create %s '/%.*s'", layer_type_name(e->type),
		                      STR(e->path));
	}
	if (fchownat(fd, o->name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
		return fail_owner(e, err);
	/* Nobody else writes here: the name is still the node made above. */
	if (e->type != LAYER_SYMLINK && fchmodat(fd, o->name, e->mode, 0) < 0)
		return cairn_fail_sys(err, "set the mode of '/%.*s'", STR(e->path));
	if (utimensat(fd, o->name, times, AT_SYMLINK_NOFOLLOW) < 0)
		return cairn_fail_sys(err, "set the time of '/%.*s'", STR(e->path));
	return 0;
}

int outdir_link(struct outdir *o, str target, str path, struct cairn_err *err)
{
	cleanup_fd int from = -1;
	char name[LAYER_NAME_MAX + 1];
	int fd;

	TRY(outdir_parent(o, target, &fd, err));
	memcpy(name, o->name, sizeof(name));
	from = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (from < 0)
		return cairn_fail_sys(err, "duplicate a descriptor");
	TRY(outdir_parent(o, path, &fd, err));
	if (linkat(from, name, fd, o->name, 0) < 0)
		return cairn_fail_sys(err, "link '/%.*s' to '/%.*s'", STR(path), STR(target));
	return 0;
}

int outdir_whiteout(struct outdir *o, str path, struct cairn_err *err)
{
	int fd;

	TRY(outdir_parent(o, path, &fd, err));
	if (mknodat(fd, o->name, S_IFCHR, makedev(0, 0)) < 0)
		return cairn_fail_sys(err, "mark '/%.*s' as removed", STR(path));
	return 0;
}

int outdir_remove(struct outdir *o, str path, struct cairn_err *err)
{
	char name[LAYER_NAME_MAX + 1];
	cleanup_fd int dir = -1;
	int fd;

	TRY(outdir_parent(o, path, &fd, err));
	if (unlinkat(fd, o->name, 0) == 0 || errno == ENOENT)
		return 0;
	memcpy(name, o->name, sizeof(name));
	dir = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	outdir_forget(o); /* the parent held open may lie in what goes */
	if (dir < 0)
		return cairn_fail_sys(err, "duplicate a descriptor");
	return fs_remove_tree(dir, name, err);
}
