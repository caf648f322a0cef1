#include "context_walk.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "util/dir.h"
#include "util/fs.h"
#include "util/vec.h"

#define LINKS_MAX 40 /* followed in one needed path, as the kernel's limit */

struct dir;

struct child {
	size_t path; /* offset into the directory's paths */
	size_t len;
	struct stat_id id;
	mode_t mode;
	bool excluded;   /* a directory that counts only when something below it does */
	char *target;    /* of a link; owned */
	struct dir *dir; /* of a directory; owned */
};

struct dir {
	str path;                   /* owned; "" for the root */
	bool whole;                 /* everything in it is needed */
	struct strbuf paths;        /* of the children, each ended by a NUL */
	VEC(struct child) children; /* sorted by name */
};

struct walk {
	int fd;
	const struct context_opts *opts;
	VEC(char *) needed; /* clean paths, owned; sorted, none below another; empty: everything */
	bool some;          /* only what is needed */
	VEC(struct dir *) level;
	size_t found; /* children of all directories */
};

/* Is the path needed (then everything below it is: *ret_whole), or on the way to something that
 * is? What is below it follows it. */
static bool wanted(const struct walk *w, str path, bool is_dir, bool *ret_whole)
{
	size_t lo = 0, hi = w->needed.len; /* the first one after path */

	*ret_whole = !w->some;
	if (*ret_whole)
		return true;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (layer_path_cmp(str_of(w->needed.ptr[mid]), path) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*ret_whole = lo > 0 && layer_path_below(path, str_of(w->needed.ptr[lo - 1]));
	if (*ret_whole)
		return true;
	return is_dir && lo < w->needed.len && layer_path_below(str_of(w->needed.ptr[lo]), path);
}

/* A name of a directory that is looked at. */
struct seen {
	const struct dir *in;
	str path;
	bool excluded, whole;
};

static bool left_out(const struct walk *w, struct seen *s, bool is_dir)
{
	const struct context_filter *f = &w->opts->filter;

	s->excluded = false;
	s->whole = s->in->whole;
	if (!s->whole && !wanted(w, s->path, is_dir, &s->whole))
		return true;
	if (!f->excluded || !f->excluded(f->ctx, s->path, is_dir))
		return false;
	s->excluded = true;
	return !is_dir || !f->may_skip_dir || f->may_skip_dir(f->ctx, s->path);
}

static int fail_dir(const struct walk *w, str path, struct cairn_err *err)
{
	return cairn_fail_sys(err,
	                      "cannot read the directory '%.*s' of %s; make it readable or list it "
	                      "in .dockerignore",
	                      STR(path.len ? path : S(".")), w->opts->name);
}

static struct dir *dir_new(char *path, bool whole)
{
	struct dir *d = xcalloc(1, sizeof(*d));

	d->path = str_of(path);
	d->whole = whole;
	strbuf_init(&d->paths, SIZE_MAX / 4);
	return d;
}

/* The target of the link, owned; NULL when it is gone. */
static int read_target(int fd, const char *name, str path, char **ret, struct cairn_err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(fd, name, target, sizeof(target));

	if (n < 0 && errno != ENOENT && errno != EINVAL)
		return cairn_fail_sys(err, "read the link '%.*s'", STR(path));
	*ret = n < 0 ? NULL : xstrndup(target, (size_t)n);
	return 0;
}

/* Look at one name of a directory; *ret_there is false when it is left out or gone. */
static int look_at(const struct walk *w, int fd, const struct dir_name *n, struct seen *s,
                   struct child *c, bool *ret_there, struct cairn_err *err)
{
	bool known = n->type != DT_UNKNOWN, was_dir = n->type == DT_DIR;
	struct stat st;

	/* The type of the name is enough for most of what is left out. */
	if (known && left_out(w, s, was_dir))
		return 0;
	if (fstatat(fd, n->name.ptr, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0
		                       : cairn_fail_sys(err, "stat '%.*s' in %s", STR(s->path),
		                                        w->opts->name);
	if ((!known || S_ISDIR(st.st_mode) != was_dir) && left_out(w, s, S_ISDIR(st.st_mode)))
		return 0;
	if (s->path.len > LAYER_PATH_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "a path in %s is longer than %u bytes: '%.60s...'", w->opts->name,
		                  LAYER_PATH_MAX, s->path.ptr);
	if (S_ISLNK(st.st_mode)) {
		TRY(read_target(fd, n->name.ptr, s->path, &c->target, err));
		if (!c->target)
			return 0;
	}
	c->id = stat_id_of(&st);
	c->mode = st.st_mode;
	c->excluded = s->excluded;
	if (S_ISDIR(st.st_mode))
		c->dir = dir_new(xstrndup(s->path.ptr, s->path.len), s->whole);
	*ret_there = true;
	return 0;
}

static int add_child(const struct walk *w, struct dir *d, int fd, const struct dir_name *n,
                     struct cairn_err *err)
{
	struct child c = { .path = d->paths.len };
	struct seen s = { .in = d };
	bool there = false;
	int r;

	strbuf_str(&d->paths, d->path);
	if (d->path.len)
		strbuf_char(&d->paths, '/');
	strbuf_str(&d->paths, n->name);
	c.len = d->paths.len - c.path;
	strbuf_char(&d->paths, '\0');
	s.path = str_n(d->paths.ptr + c.path, c.len);
	r = look_at(w, fd, n, &s, &c, &there, err);
	if (there)
		vec_push(&d->children, c);
	else
		d->paths.len = c.path;
	return r;
}

/* All paths of a directory begin alike. */
static int by_name(const void *a, const void *b, void *dir)
{
	const struct child *x = a, *y = b;
	const struct dir *d = dir;

	return str_cmp(str_n(d->paths.ptr + x->path + d->path.len, x->len - d->path.len),
	               str_n(d->paths.ptr + y->path + d->path.len, y->len - d->path.len));
}

/* In the pool: read one directory of the level. */
static int read_dir(void *ctx, size_t i, struct cairn_err *err)
{
	const struct walk *w = ctx;
	struct dir *d = w->level.ptr[i];
	cleanup_fd int fd = fs_open_beneath(w->fd, d->path.ptr, O_RDONLY | O_DIRECTORY);
	struct dir_reader reader;
	struct dir_name name;
	int got;

	if (fd < 0) /* gone, or not a directory any more */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
		               ? 0
		               : fail_dir(w, d->path, err);
	dir_begin(&reader, fd);
	while ((got = dir_next(&reader, &name)) > 0)
		TRY(add_child(w, d, fd, &name, err));
	if (got < 0)
		return fail_dir(w, d->path, err);
	if (d->children.len)
		qsort_r(d->children.ptr, d->children.len, sizeof(*d->children.ptr), by_name, d);
	return 0;
}

static void dir_free(struct dir *d)
{
	if (!d)
		return;
	vec_foreach (c, &d->children) {
		dir_free(c->dir);
		free(c->target);
	}
	vec_free(&d->children);
	strbuf_done(&d->paths);
	free((void *)(uintptr_t)d->path.ptr);
	free(d);
}

/* All directories, one level of the tree after the other. */
static int read_levels(struct walk *w, struct dir *root, struct cairn_err *err)
{
	int r = 0;

	vec_push(&w->level, root);
	while (r == 0 && w->level.len) {
		VEC(struct dir *) next = { 0 };

		r = pool_map(w->opts->pool, w->level.len, read_dir, w, err);
		vec_foreach (d, &w->level) {
			w->found += (*d)->children.len;
			vec_foreach (c, &(*d)->children)
				if (c->dir)
					vec_push(&next, c->dir);
		}
		vec_free(&w->level);
		w->level.ptr = next.ptr;
		w->level.len = next.len;
		w->level.cap = next.cap;
	}
	vec_free(&w->level);
	return r;
}

/* Does anything below count? A directory that does not itself is needed for what is in it. */
static bool counts(const struct child *c)
{
	if (!c->excluded)
		return true;
	vec_foreach (sub, &c->dir->children)
		if (counts(sub))
			return true;
	return false;
}

static int emit(const struct walk_sink *to, const struct dir *d, struct cairn_err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < d->children.len; i++) {
		const struct child *c = &d->children.ptr[i];
		struct walk_file f = { .path = str_n(d->paths.ptr + c->path, c->len),
			               .target = str_of(c->target),
			               .id = c->id,
			               .mode = c->mode };

		if (!counts(c))
			continue;
		r = to->file(to->ctx, &f, err);
		if (r == 0 && c->dir)
			r = emit(to, c->dir, err);
	}
	return r;
}

/* The target of the link dir/name, or NULL when it is none. */
static char *read_link(const struct walk *w, const char *dir, const char *name)
{
	cleanup_fd int fd = fs_open_beneath(w->fd, dir, O_PATH | O_DIRECTORY);
	char target[PATH_MAX];
	ssize_t n = fd < 0 ? -1 : readlinkat(fd, name, target, sizeof(target));

	return n < 0 ? NULL : xstrndup(target, (size_t)n);
}

/* Add a needed path, cleaned, and what the links in it lead to. */
static void need(struct walk *w, str path)
{
	char *at = xstrdup(""); /* clean, without links */
	char *rest = str_dup(path);
	unsigned links = 0;
	str part, left = str_of(rest);

	while (str_next(&left, '/', &part)) {
		cleanup_free char *name = str_dup(part), *next = NULL, *target = NULL, *more = NULL;

		if (!part.len || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			at[layer_path_parent(str_of(at)).len] = '\0';
			continue;
		}
		next = *at ? xasprintf("%s/%s", at, name) : xstrdup(name);
		target = read_link(w, at, name);
		if (!target || ++links > LINKS_MAX) {
			free(at);
			at = steal_ptr(&next);
			continue;
		}
		vec_push(&w->needed, steal_ptr(&next));
		if (target[0] == '/')
			at[0] = '\0';
		more = xasprintf("%s/%.*s", target, STR(left));
		free(rest);
		rest = steal_ptr(&more);
		left = str_of(rest);
	}
	vec_push(&w->needed, at);
	free(rest);
}

static int by_path(const void *a, const void *b)
{
	return layer_path_cmp(str_of(*(char *const *)a), str_of(*(char *const *)b));
}

/* Sorted, and without what is below another one. */
static void sort_needed(struct walk *w)
{
	size_t kept = 0;

	if (w->needed.len)
		qsort(w->needed.ptr, w->needed.len, sizeof(*w->needed.ptr), by_path);
	for (size_t i = 0; i < w->needed.len; i++) {
		char *p = w->needed.ptr[i];

		if (kept && layer_path_below(str_of(p), str_of(w->needed.ptr[kept - 1])))
			free(p);
		else
			w->needed.ptr[kept++] = p;
	}
	w->needed.len = kept;
}

int context_walk(int fd, const struct context_opts *opts, const struct walk_sink *to,
                 struct cairn_err *err)
{
	struct walk w = { .fd = fd, .opts = opts, .some = opts->n_needed > 0 };
	struct dir *root = dir_new(xstrdup(""), !w.some);
	int r;

	for (size_t i = 0; i < opts->n_needed; i++)
		need(&w, opts->needed[i]);
	sort_needed(&w);
	r = read_levels(&w, root, err);
	if (r == 0) {
		to->begin(to->ctx, w.found);
		r = emit(to, root, err);
	}
	dir_free(root);
	vec_foreach (p, &w.needed)
		free(*p);
	vec_free(&w.needed);
	return r;
}
