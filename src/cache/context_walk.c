#include "context_walk.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "util/fs.h"
#include "util/vec.h"

#define LINKS_MAX 40 /* followed in one needed path, as the kernel's limit */

struct dir;

struct child {
	size_t name; /* offset into the directory's names */
	size_t len;
	struct stat_id id;
	mode_t mode;
	bool excluded;   /* a directory that counts only when something below it does */
	char *target;    /* of a link; owned */
	struct dir *dir; /* of a directory; owned */
};

struct dir {
	str path; /* owned; "" for the root */
	struct strbuf names;
	VEC(struct child) children; /* sorted by name */
};

struct walk {
	int fd;
	const struct context_opts *opts;
	VEC(char *) needed; /* clean paths, owned; sorted, none below another; empty: everything */
	bool some;          /* only what is needed */
	VEC(struct dir *) level;
};

/* Is the path needed, or on the way to something that is? What is below it follows it. */
static bool wanted(const struct walk *w, str path, bool is_dir)
{
	size_t lo = 0, hi = w->needed.len; /* the first one after path */

	if (!w->some)
		return true;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (layer_path_cmp(str_of(w->needed.ptr[mid]), path) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo > 0 && layer_path_below(path, str_of(w->needed.ptr[lo - 1])))
		return true;
	return is_dir && lo < w->needed.len && layer_path_below(str_of(w->needed.ptr[lo]), path);
}

static bool left_out(const struct walk *w, str path, bool is_dir, bool *ret_excluded)
{
	const struct context_filter *f = &w->opts->filter;

	*ret_excluded = false;
	if (!wanted(w, path, is_dir))
		return true;
	if (!f->excluded || !f->excluded(f->ctx, path, is_dir))
		return false;
	*ret_excluded = true;
	return !is_dir || !f->may_skip_dir || f->may_skip_dir(f->ctx, path);
}

static int fail_dir(const struct walk *w, str path, struct cairn_err *err)
{
	return cairn_fail_sys(err,
	                      "cannot read the directory '%.*s' of %s; make it readable or list it "
	                      "in .dockerignore",
	                      STR(path.len ? path : S(".")), w->opts->name);
}

/* One name of a directory; nothing is pushed when it is left out or gone. */
static int add_child(const struct walk *w, struct dir *d, int fd, const struct dirent *de,
                     struct cairn_err *err)
{
	size_t len = strlen(de->d_name);
	cleanup_free char *path =
		d->path.len ? xasprintf("%.*s/%s", STR(d->path), de->d_name) : xstrdup(de->d_name);
	struct child c = { .name = d->names.len, .len = len };
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	/* The type of the name is enough for most of what is left out. */
	if (de->d_type != DT_UNKNOWN &&
	    left_out(w, str_of(path), de->d_type == DT_DIR, &c.excluded))
		return 0;
	if (fstatat(fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT
		               ? 0
		               : cairn_fail_sys(err, "stat '%s' in %s", path, w->opts->name);
	if (left_out(w, str_of(path), S_ISDIR(st.st_mode), &c.excluded))
		return 0;
	if (strlen(path) > LAYER_PATH_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "a path in %s is longer than %u bytes: '%.60s...'", w->opts->name,
		                  LAYER_PATH_MAX, path);
	if (S_ISLNK(st.st_mode)) {
		n = readlinkat(fd, de->d_name, target, sizeof(target));
		if (n < 0)
			return errno == ENOENT || errno == EINVAL
			               ? 0
			               : cairn_fail_sys(err, "read the link '%s'", path);
		c.target = xstrndup(target, (size_t)n);
	}
	c.id = stat_id_of(&st);
	c.mode = st.st_mode;
	if (S_ISDIR(st.st_mode)) {
		c.dir = xcalloc(1, sizeof(*c.dir));
		c.dir->path = str_of(steal_ptr(&path));
	}
	strbuf_add(&d->names, de->d_name, len);
	vec_push(&d->children, c);
	return 0;
}

static int by_name(const void *a, const void *b, void *names)
{
	const struct child *x = a, *y = b;
	const char *base = names;

	return str_cmp(str_n(base + x->name, x->len), str_n(base + y->name, y->len));
}

/* In the pool: read one directory of the level. */
static int read_dir(void *ctx, size_t i, struct cairn_err *err)
{
	const struct walk *w = ctx;
	struct dir *d = w->level.ptr[i];
	int fd = fs_open_beneath(w->fd, d->path.ptr, O_RDONLY | O_DIRECTORY);
	const struct dirent *de;
	DIR *stream;
	int r = 0;

	strbuf_init(&d->names, SIZE_MAX / 4);
	if (fd < 0) /* gone, or not a directory any more */
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
		               ? 0
		               : fail_dir(w, d->path, err);
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return fail_dir(w, d->path, err);
	}
	while (r == 0 && (errno = 0, de = readdir(stream))) {
		if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
			r = add_child(w, d, fd, de, err);
	}
	if (r == 0 && errno)
		r = fail_dir(w, d->path, err);
	closedir(stream);
	if (d->children.len)
		qsort_r(d->children.ptr, d->children.len, sizeof(*d->children.ptr), by_name,
		        d->names.ptr);
	return r;
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
	if (d->names.max)
		strbuf_done(&d->names);
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
		vec_foreach (d, &w->level)
			vec_foreach (c, &(*d)->children)
				if (c->dir)
					vec_push(&next, c->dir);
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

struct emit {
	int (*file)(void *ctx, const struct walk_file *f, struct cairn_err *err);
	void *ctx;
};

static int emit(const struct emit *e, const struct dir *d, struct cairn_err *err)
{
	struct strbuf path;
	int r = 0;

	strbuf_init(&path, LAYER_PATH_MAX + 1);
	for (size_t i = 0; r == 0 && i < d->children.len; i++) {
		const struct child *c = &d->children.ptr[i];
		struct walk_file f = { .target = str_of(c->target), .id = c->id, .mode = c->mode };

		if (!counts(c))
			continue;
		strbuf_clear(&path);
		strbuf_str(&path, d->path);
		if (d->path.len)
			strbuf_char(&path, '/');
		strbuf_add(&path, d->names.ptr + c->name, c->len);
		f.path = strbuf_view(&path);
		r = e->file(e->ctx, &f, err);
		if (r == 0 && c->dir)
			r = emit(e, c->dir, err);
	}
	strbuf_done(&path);
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

int context_walk(int fd, const struct context_opts *opts,
                 int (*file)(void *ctx, const struct walk_file *f, struct cairn_err *err),
                 void *ctx, struct cairn_err *err)
{
	struct walk w = { .fd = fd, .opts = opts, .some = opts->n_needed > 0 };
	struct emit e = { file, ctx };
	struct dir *root = xcalloc(1, sizeof(*root));
	int r;

	root->path = str_of(xstrdup(""));
	for (size_t i = 0; i < opts->n_needed; i++)
		need(&w, opts->needed[i]);
	sort_needed(&w);
	r = read_levels(&w, root, err);
	if (r == 0)
		r = emit(&e, root, err);
	dir_free(root);
	vec_foreach (p, &w.needed)
		free(*p);
	vec_free(&w.needed);
	return r;
}
