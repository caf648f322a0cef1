#include "sandbox_path.h"

#include "util/fs.h"
#include "util/str.h"

#define LINKS_MAX 40 /* as the kernel */

/* A walk: open directories from the root down, and what is still to be walked. */
struct walk {
	int fds[SANDBOX_DEPTH_MAX];     /* fds[0] = the root; all O_PATH, owned */
	size_t ends[SANDBOX_DEPTH_MAX]; /* length of `real` up to each */
	size_t n;
	char *real; /* PATH_MAX; "" is the root while walking */
	char *rest; /* PATH_MAX; what is left */
	unsigned links;
	const char *path; /* for messages */
};

static void walk_done(struct walk *w)
{
	for (size_t i = 0; i < w->n; i++)
		fs_close_p_(&w->fds[i]);
}

/* Put a link's target in front of the rest. */
static int expand(struct walk *w, int link, struct cairn_err *err)
{
	char target[PATH_MAX], joined[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n < 0)
		return cairn_fail_sys(err, "reading a symbolic link in '%s'", w->path);
	target[n] = 0;
	if (++w->links > LINKS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': too many symbolic links", w->path);
	if (snprintf(joined, sizeof(joined), "%s/%s", target, w->rest) >= (int)sizeof(joined))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': path is too long", w->path);
	memcpy(w->rest, joined, strlen(joined) + 1);
	if (target[0] == '/') {
		while (w->n > 1)
			fs_close_p_(&w->fds[--w->n]);
		w->real[0] = 0;
	}
	return 0;
}

static int descend(struct walk *w, int fd, const char *name, struct cairn_err *err)
{
	size_t end = strlen(w->real);

	if (w->n == SANDBOX_DEPTH_MAX ||
	    snprintf(w->real + end, PATH_MAX - end, "/%s", name) >= (int)(PATH_MAX - end)) {
		w->real[end] = 0;
		close(fd);
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': path is too deep", w->path);
	}
	w->ends[w->n] = end;
	w->fds[w->n++] = fd;
	return 0;
}

static void ascend(struct walk *w)
{
	if (w->n == 1)
		return;
	fs_close_p_(&w->fds[--w->n]);
	w->real[w->ends[w->n]] = 0;
}

/* Cut the next component off w->rest into name (NAME_MAX + 1); false at the end. */
static bool next_name(struct walk *w, char *name, struct cairn_err *err, int *ret_r)
{
	const char *p = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(p, "/");

	*ret_r = 0;
	if (n == 0)
		return false;
	if (n > NAME_MAX) {
		*ret_r = cairn_fail(err, CAIRN_E_SYNTAX, "'%s': name is too long", w->path);
		return false;
	}
	memcpy(name, p, n);
	name[n] = 0;
	memmove(w->rest, p + n, strlen(p + n) + 1);
	return true;
}

/* name does not exist: the rest is to be made; it may not climb. */
static int missing(struct walk *w, const char *name, struct cairn_err *err)
{
	char out[PATH_MAX];
	size_t at = 0;
	char next[NAME_MAX + 1];
	int r;

	at += (size_t)snprintf(out, sizeof(out), "%s", name);
	while (next_name(w, next, err, &r)) {
		if (strcmp(next, ".") == 0)
			continue;
		if (strcmp(next, "..") == 0)
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "'%s': '..' below a directory that does not exist",
			                  w->path);
		if (at + strlen(next) + 2 > sizeof(out))
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': path is too long", w->path);
		at += (size_t)snprintf(out + at, sizeof(out) - at, "/%s", next);
	}
	TRY(r);
	memcpy(w->rest, out, at + 1);
	return 0;
}

/* One component; *ret_stop when the walk ends because it does not exist. */
static int step(struct walk *w, const char *name, bool *ret_stop, struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0) {
		ascend(w);
		return 0;
	}
	fd = openat(w->fds[w->n - 1], name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret_stop = true;
		return missing(w, name, err);
	}
	if (fd < 0 && errno == ENOTDIR)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': '%s' is a file, not a directory",
		                  w->path, w->real);
	if (fd < 0 || fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "'%s': opening '%s'", w->path, name);
	if (S_ISLNK(st.st_mode))
		return expand(w, fd, err);
	return descend(w, steal_fd(&fd), name, err);
}

static int walk(struct walk *w, struct cairn_err *err)
{
	char name[NAME_MAX + 1];
	bool stop = false;
	int r;

	while (!stop && next_name(w, name, err, &r)) {
		r = step(w, name, &stop, err);
		if (r < 0)
			return r;
	}
	if (!stop)
		w->rest[0] = 0;
	return r;
}

int sandbox_path_find(int rootfd, const char *path, struct sandbox_path *ret, struct cairn_err *err)
{
	__attribute__((cleanup(walk_done))) struct walk w = { .path = path };

	ret->real[0] = 0;
	w.real = ret->real;
	w.rest = ret->rest;
	if (snprintf(ret->rest, sizeof(ret->rest), "%s", path) >= (int)sizeof(ret->rest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.60s...': path is too long", path);
	w.fds[0] = openat(rootfd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.fds[0] < 0)
		return cairn_fail_sys(err, "'%s': opening the root of its tree", path);
	w.n = 1;
	TRY(walk(&w, err));
	ret->fd = steal_fd(&w.fds[w.n - 1]);
	if (!ret->real[0])
		memcpy(ret->real, "/", 2);
	return 0;
}

int sandbox_path_open(int rootfd, const char *path, const char *what, int *ret_fd,
                      struct cairn_err *err)
{
	struct sandbox_path p;

	TRY(sandbox_path_find(rootfd, path, &p, err));
	if (p.rest[0]) {
		close(p.fd);
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "%s '%s' does not exist ('%s' is missing)", what, path, p.rest);
	}
	*ret_fd = p.fd;
	return 0;
}
