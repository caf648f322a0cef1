#include "sandbox_stub.h"

#include <sys/xattr.h>

#include "sandbox_path.h"
#include "util/clock.h"
#include "util/fs.h"

void stub_log_done(struct stub_log *l)
{
	vec_free(&l->made);
	vec_free(&l->parents);
}

void stub_log_write(const struct stub_log *l, struct strbuf *out)
{
	vec_foreach (e, &l->made) {
		strbuf_char(out, e->dir ? 'd' : 'f');
		strbuf_add(out, e->path, strlen(e->path) + 1);
	}
	vec_foreach (p, &l->parents) {
		strbuf_char(out, 'p');
		strbuf_add(out, p->path, strlen(p->path) + 1);
		strbuf_u64le(out, (uint64_t)p->atime);
		strbuf_u64le(out, (uint64_t)p->mtime);
		strbuf_u64le(out, (uint64_t)p->after);
	}
}

static int64_t take_i64(str *s)
{
	uint64_t v = 0;

	for (size_t i = 8; i-- > 0;)
		v = v << 8 | (uint8_t)s->ptr[i];
	*s = str_skip(*s, 8);
	return (int64_t)v;
}

int stub_log_read(str bytes, struct arena *a, struct stub_log *ret, struct cairn_err *err)
{
	while (bytes.len > 0) {
		char kind = bytes.ptr[0];
		str path;
		bool whole = str_cut(str_skip(bytes, 1), 0, &path, &bytes);

		if (!whole || (kind == 'p' && bytes.len < 24))
			return cairn_fail(err, CAIRN_E_BUG, "log of mount points is cut off");
		if (kind == 'p') {
			struct stub_parent p = { .path = arena_cstr(a, path) };

			p.atime = take_i64(&bytes);
			p.mtime = take_i64(&bytes);
			p.after = take_i64(&bytes);
			vec_push(&ret->parents, p);
		} else {
			vec_push(&ret->made, (struct stub_entry){ .path = arena_cstr(a, path),
			                                          .dir = kind == 'd' });
		}
	}
	return 0;
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * CLOCK_SEC + t.tv_nsec;
}

static struct timespec timespec_of(int64_t ns)
{
	int64_t s = ns / CLOCK_SEC, rest = ns % CLOCK_SEC;

	if (rest < 0) {
		rest += CLOCK_SEC;
		s--;
	}
	return (struct timespec){ .tv_sec = s, .tv_nsec = rest };
}

/* O_PATH to a path of real directories, no link followed. */
static int open_real(int rootfd, const char *path)
{
	cleanup_fd int fd = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	str rest = str_of(path), name;

	while (fd >= 0 && str_next(&rest, '/', &name)) {
		char buf[NAME_MAX + 1];
		int next;

		if (name.len == 0 || str_is(name, "."))
			continue;
		if (name.len > NAME_MAX)
			return -1;
		memcpy(buf, name.ptr, name.len);
		buf[name.len] = 0;
		next = openat(fd, buf, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	return steal_fd(&fd);
}

/* Copy owner, mode and default attributes of a directory onto another. Times follow at the end
 * (finish_times), when nothing is made below any more. */
static int copy_metadata(int from, int todir, const char *name, struct cairn_err *err)
{
	static const char *const acls[] = { "system.posix_acl_access", "system.posix_acl_default" };
	cleanup_fd int to = openat(todir, name, O_RDONLY | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
	char path[32], value[4096];
	struct stat st;

	if (to < 0 || fstat(from, &st) < 0 || fchown(to, st.st_uid, st.st_gid) < 0 ||
	    fchmod(to, st.st_mode & 07777) < 0)
		return cairn_fail_sys(err, "copying the metadata of directory '%s'", name);
	/* O_PATH descriptors have no fgetxattr; through /proc the path form works. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", from);
	for (size_t i = 0; i < ARRAY_SIZE(acls); i++) {
		ssize_t n = getxattr(path, acls[i], value, sizeof(value));

		if (n > 0)
			(void)fsetxattr(to, acls[i], value, (size_t)n, 0);
	}
	return 0;
}

/* The maker of stubs for one tree. */
struct maker {
	int tree, out; /* out == tree when stubs go into the tree itself */
	struct arena *a;
	struct stub_log *log;
};

/* Remember the times of directory `path` (open as fd in the tree) once. */
static int note_parent(struct maker *m, int fd, const char *path, struct cairn_err *err)
{
	struct stat st;

	vec_foreach (p, &m->log->parents)
		if (strcmp(p->path, path) == 0)
			return 0;
	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "directory '%s'", path);
	vec_push(&m->log->parents, (struct stub_parent){ .path = arena_cstr(m->a, str_of(path)),
	                                                 .atime = ns_of(st.st_atim),
	                                                 .mtime = ns_of(st.st_mtim) });
	return 0;
}

/* Make the directories of `real` in the stub layer with the metadata of the tree's; returns an
 * O_PATH descriptor of the last. */
static int mirror(struct maker *m, const char *real, int *ret_fd, struct cairn_err *err)
{
	cleanup_fd int out = openat(m->out, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int in = openat(m->tree, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	str rest = str_of(real), name;
	char sofar[PATH_MAX] = ".";

	if (in < 0 || out < 0)
		return cairn_fail_sys(err, "opening the tree");
	TRY(note_parent(m, in, ".", err));
	while (str_next(&rest, '/', &name)) {
		char buf[NAME_MAX + 1];
		size_t at = strcmp(sofar, ".") == 0 ? 0 : strlen(sofar);
		bool made;
		int next;

		if (name.len == 0)
			continue;
		(void)snprintf(buf, sizeof(buf), "%.*s", STR(name));
		(void)snprintf(sofar + at, sizeof(sofar) - at, at ? "/%s" : "%s", buf);
		next = openat(in, buf, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return cairn_fail_sys(err, "'%s' in the tree", sofar);
		close(in);
		in = next;
		made = mkdirat(out, buf, 0700) == 0;
		if (!made && errno != EEXIST)
			return cairn_fail_sys(err, "stub for '%s'", sofar);
		if (made)
			TRY(copy_metadata(in, out, buf, err));
		TRY(note_parent(m, in, sofar, err));
		next = openat(out, buf, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return cairn_fail_sys(err, "stub for '%s'", sofar);
		close(out);
		out = next;
	}
	*ret_fd = steal_fd(&out);
	return 0;
}

/* One component of a stub; umask-independent. */
static int make_one(int dirfd, const char *name, bool dir, struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	int r = dir ? mkdirat(dirfd, name, 0755) : 0;

	if (dir && r == 0)
		r = fchmodat(dirfd, name, 0755, 0);
	if (!dir) {
		fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		            0644);
		r = fd < 0 ? -1 : fchmod(fd, 0644);
	}
	if (r < 0 && errno != EEXIST)
		return cairn_fail_sys(err, "making the mount point '%s'", name);
	return 0;
}

/* make_rest with a log; base is the path of dirfd in the tree ("" = root). */
static int make_rest(int dirfd, const char *base, const char *rest, bool dir, struct maker *m,
                     struct cairn_err *err)
{
	cleanup_fd int fd = openat(dirfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	str left = str_of(rest), name;
	char sofar[PATH_MAX];

	if (fd < 0)
		return cairn_fail_sys(err, "mount point below '/%s'", base);
	(void)snprintf(sofar, sizeof(sofar), "%s", base);
	while (str_next(&left, '/', &name)) {
		bool last = left.ptr == NULL || left.len == 0;
		size_t at = strlen(sofar);
		char buf[NAME_MAX + 1];
		int next;

		(void)snprintf(buf, sizeof(buf), "%.*s", STR(name));
		(void)snprintf(sofar + at, sizeof(sofar) - at, at ? "/%s" : "%s", buf);
		TRY(make_one(fd, buf, dir || !last, err));
		if (m)
			vec_push(&m->log->made,
			         (struct stub_entry){ .path = arena_cstr(m->a, str_of(sofar)),
			                              .dir = dir || !last });
		if (last)
			return 0;
		next = openat(fd, buf, O_PATH | O_NOFOLLOW | O_DIRECTORY | O_CLOEXEC);
		if (next < 0)
			return cairn_fail_sys(err, "mount point '/%s'", sofar);
		close(fd);
		fd = next;
	}
	return 0;
}

int stub_make_rest(int dirfd, const char *rest, bool dir, struct cairn_err *err)
{
	return make_rest(dirfd, "", rest, dir, NULL, err);
}

/* Is `full` at or below one of the earlier mounts? */
static bool covered(const char *full, char *const *earlier, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(earlier[i]);

		if (strncmp(full, earlier[i], len) == 0 && (full[len] == '/' || full[len] == 0))
			return true;
	}
	return false;
}

static int make_want(struct maker *m, const struct stub_want *want, const struct sandbox_path *p,
                     struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	const char *base = p->real + 1; /* "" for the root */
	struct stat st;

	if (fstat(p->fd, &st) < 0)
		return cairn_fail_sys(err, "'%s'", p->real);
	if (!S_ISDIR(st.st_mode))
		return cairn_fail(err, CAIRN_E_SYNTAX, "mount point '%s': '%s' is a file",
		                  want->dest, p->real);
	if (m->out == m->tree) {
		TRY(note_parent(m, p->fd, base[0] ? base : ".", err));
		return make_rest(p->fd, base, p->rest, want->dir, m, err);
	}
	TRY(mirror(m, p->real, &fd, err));
	return make_rest(fd, base, p->rest, want->dir, m, err);
}

/* Directories of the stub layer get the times of the tree's; those of the tree itself
 * are remembered as they are now. */
static void finish_times(struct maker *m)
{
	vec_foreach (p, &m->log->parents) {
		struct timespec t[2] = { timespec_of(p->atime), timespec_of(p->mtime) };
		cleanup_fd int fd = open_real(m->out, p->path);
		char proc[32];
		struct stat st;

		if (fd < 0)
			continue;
		(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		if (m->out != m->tree)
			(void)utimensat(AT_FDCWD, proc, t, 0);
		else if (fstat(fd, &st) == 0)
			p->after = ns_of(st.st_mtim);
	}
}

int stub_make(int treefd, int outfd, const struct stub_want *wants, size_t n, struct arena *a,
              struct stub_log *log, struct cairn_err *err)
{
	struct maker m = { .tree = treefd, .out = outfd < 0 ? treefd : outfd, .a = a, .log = log };
	char **mounted = arena_array(a, char *, n + 1);
	struct sandbox_path p;

	for (size_t i = 0; i < n; i++) {
		int r = 0;

		if (sandbox_path_find(treefd, wants[i].dest, &p, err) < 0)
			return cairn_wrap(err, "mount at '%s'", wants[i].dest);
		mounted[i] = arena_printf(a, "%s%s%s", strcmp(p.real, "/") ? p.real : "",
		                          p.rest[0] ? "/" : "", p.rest);
		if (p.rest[0] && !covered(mounted[i], mounted, i))
			r = make_want(&m, &wants[i], &p, err);
		close(p.fd);
		TRY(r);
	}
	finish_times(&m);
	return 0;
}

/* The directory part of a path of the log, opened; *ret_name points to the last component. */
static int open_parent(int treefd, const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	cleanup_free char *dir = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");

	*ret_name = slash ? slash + 1 : path;
	return open_real(treefd, dir);
}

static void remove_one(int treefd, const struct stub_entry *e)
{
	const char *name;
	cleanup_fd int fd = open_parent(treefd, e->path, &name);
	struct stat st;

	if (fd < 0 || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	/* A file the step wrote into after unmounting cannot be: it had a mount on it. Only
	 * what is still the stub goes. */
	if (e->dir && S_ISDIR(st.st_mode))
		(void)unlinkat(fd, name, AT_REMOVEDIR);
	else if (!e->dir && S_ISREG(st.st_mode) && st.st_size == 0)
		(void)unlinkat(fd, name, 0);
}

void stub_undo(int treefd, const struct stub_log *log)
{
	bool *same = xcalloc(log->parents.len + 1, sizeof(*same));
	struct stat st;

	for (size_t i = 0; i < log->parents.len; i++) {
		cleanup_fd int fd = open_real(treefd, log->parents.ptr[i].path);

		same[i] = fd >= 0 && fstat(fd, &st) == 0 &&
		          ns_of(st.st_mtim) == log->parents.ptr[i].after;
	}
	for (size_t i = log->made.len; i-- > 0;)
		remove_one(treefd, &log->made.ptr[i]);
	for (size_t i = 0; i < log->parents.len; i++) {
		const struct stub_parent *p = &log->parents.ptr[i];
		struct timespec t[2] = { timespec_of(p->atime), timespec_of(p->mtime) };
		cleanup_fd int fd = same[i] ? open_real(treefd, p->path) : -1;
		char proc[32];

		if (fd < 0)
			continue;
		(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		(void)utimensat(AT_FDCWD, proc, t, 0);
	}
	free(same);
}
