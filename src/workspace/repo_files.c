#include "repo_files.h"

#include "util/dir.h"
#include "util/fs.h"

/* Folders that are not the repository's own. */
static const char *const foreign[] = {
	".git",   ".hg",     ".svn",       ".jj",         "node_modules", "bower_components",
	"vendor", ".venv",   "venv",       "__pycache__", ".tox",         "site-packages",
	".cache", ".direnv", ".terraform",
};

static bool is_foreign(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (str_is(name, foreign[i]))
			return true;
	return false;
}

struct search {
	const struct repo_filter *filter;
	struct arena *a;
	struct repo_files *found;
};

static void add(struct search *s, str path)
{
	if (s->found->paths.len < REPO_FILES_MAX)
		vec_push(&s->found->paths, arena_str(s->a, path));
}

static void walk(struct search *s, int dirfd, const char *prefix, unsigned depth);

static void visit(struct search *s, int dirfd, const char *prefix, const char *name, unsigned depth)
{
	cleanup_free char *path = xasprintf("%s%s", prefix, name);
	struct stat st;

	if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (S_ISREG(st.st_mode)) {
		if (s->filter->wanted(str_of(path)))
			add(s, str_of(path));
	} else if (S_ISDIR(st.st_mode) && depth < REPO_FILES_DEPTH_MAX &&
	           !is_foreign(str_of(name))) {
		cleanup_free char *below = xasprintf("%s/", path);
		cleanup_fd int fd = fs_open_beneath(dirfd, name, O_RDONLY | O_DIRECTORY);

		if (fd >= 0)
			walk(s, fd, below, depth + 1);
	}
}

static void walk(struct search *s, int dirfd, const char *prefix, unsigned depth)
{
	struct dir_reader r;
	struct dir_name n;

	dir_begin(&r, dirfd);
	while (dir_next(&r, &n) > 0)
		visit(s, dirfd, prefix, n.name.ptr, depth);
}

/* --- what git knows -------------------------------------------------------------- */

static bool has_foreign_part(str path)
{
	str part;

	while (str_next(&path, '/', &part))
		if (is_foreign(part))
			return true;
	return false;
}

static void add_listed(struct search *s, int dirfd, str path)
{
	cleanup_free char *name = NULL;
	cleanup_fd int fd = -1;
	struct stat st;

	if (!s->filter->wanted(path) || has_foreign_part(path))
		return;
	name = str_dup(path);
	fd = fs_open_beneath(dirfd, name, O_PATH | O_NOFOLLOW); /* no links on the way */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		add(s, path);
}

/* A folder in which git follows something, and what was found in it. */
struct folder {
	str path;       /* "" or with '/' at its end */
	VEC(str) below; /* folders in it that are to be read, too; owned, as all here */
	VEC(str)
	asked; /* wanted files that git does not follow, folders of which it knows nothing
	        */
};

struct round {
	struct search *s;
	int dirfd;
	const struct repo_git *git;
	VEC(struct folder) level;
};

/* One name of a folder; path is its whole one. */
static void see_name(const struct round *r, struct folder *f, str path, const struct dir_name *n,
                     int fd)
{
	unsigned char type = n->type;
	struct stat st;

	if (type == DT_UNKNOWN && fstatat(fd, n->name.ptr, &st, AT_SYMLINK_NOFOLLOW) == 0)
		type = S_ISDIR(st.st_mode) ? DT_DIR : S_ISREG(st.st_mode) ? DT_REG : DT_LNK;
	if (type == DT_REG && r->s->filter->wanted(path) && !repo_git_follows(r->git, path))
		vec_push(&f->asked, str_of(str_dup(path)));
	if (type != DT_DIR || is_foreign(n->name))
		return;
	if (!repo_git_follows_below(r->git, path))
		vec_push(&f->asked, str_of(str_dup(path)));
	else if (!repo_git_follows(r->git, path)) /* else it is a submodule */
		vec_push(&f->below, str_of(xasprintf("%.*s/", STR(path))));
}

/* In the pool. */
static int read_folder(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct round *r = ctx;
	struct folder *f = &r->level.ptr[i];
	cleanup_fd int fd = fs_open_beneath(r->dirfd, f->path.ptr, O_RDONLY | O_DIRECTORY);
	cleanup_strbuf struct strbuf path;
	struct dir_reader reader;
	struct dir_name n;

	(void)ignored;
	strbuf_init(&path, SIZE_MAX / 4);
	strbuf_str(&path, f->path);
	if (fd < 0) /* it went away, or is not ours to read */
		return 0;
	dir_begin(&reader, fd);
	while (dir_next(&reader, &n) > 0) {
		path.len = f->path.len;
		strbuf_str(&path, n.name);
		see_name(r, f, strbuf_view(&path), &n, fd);
	}
	return 0;
}

static void free_texts(str *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)list[i].ptr);
}

/* From one level of the tree to the next; what is asked goes to *asked, owned. */
static void next_level(struct round *r, struct repo_git_paths *asked)
{
	VEC(struct folder) next = { 0 };

	vec_foreach (f, &r->level) {
		vec_foreach (path, &f->below)
			vec_push(&next, (struct folder){ .path = *path });
		vec_foreach (path, &f->asked)
			vec_push(&asked->list, *path);
		vec_free(&f->below);
		vec_free(&f->asked);
		free((void *)(uintptr_t)f->path.ptr);
	}
	vec_free(&r->level);
	r->level.ptr = next.ptr;
	r->level.len = next.len;
	r->level.cap = next.cap;
}

static void read_level(struct round *r)
{
	struct pool *pool = r->s->filter->pool;
	struct cairn_err ignored;

	if (pool)
		(void)pool_map(pool, r->level.len, read_folder, r, &ignored);
	for (size_t i = 0; !pool && i < r->level.len; i++)
		(void)read_folder(r, i, &ignored);
}

/* What git does not follow: only folders with something that it follows are read. */
static bool find_others(struct search *s, int dirfd, struct repo_git_paths *ret)
{
	struct round r = { .s = s, .dirfd = dirfd, .git = s->found->git };
	struct repo_git_paths asked = { 0 };
	unsigned depth = 0;
	bool known;

	vec_push(&r.level, (struct folder){ .path = str_of(xstrdup("")) });
	while (r.level.len) {
		if (depth++ <= REPO_FILES_DEPTH_MAX)
			read_level(&r);
		next_level(&r, &asked);
	}
	known = repo_git_others(r.git, asked.list.ptr, asked.list.len, s->a, ret);
	free_texts(asked.list.ptr, asked.list.len);
	vec_free(&asked.list);
	return known;
}

static bool read_git(struct search *s, const char *dir, int dirfd)
{
	struct repo_git_paths others = { 0 };
	const struct repo_git *g;

	s->found->git = repo_git_open(dir);
	g = s->found->git;
	if (!g || !find_others(s, dirfd, &others))
		return false;
	for (size_t i = 0; i < g->len; i++)
		add_listed(s, dirfd, repo_git_path(g, &g->ptr[i]));
	vec_foreach (path, &others.list)
		add_listed(s, dirfd, *path);
	vec_free(&others.list);
	return true;
}

/* All files that git does not ignore. False: there is no git, or this is no repository of it. */
static bool ask_git(struct search *s, const char *dir, int dirfd)
{
	static const char *const words[] = { "ls-files",           "-z", "--cached", "--others",
		                             "--exclude-standard", "--" };
	VEC(const char *) argv = { 0 };
	str rest, path;
	bool asked;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		vec_push(&argv, words[i]);
	for (const char *const *p = s->filter->git; p && *p; p++)
		vec_push(&argv, *p);
	vec_push(&argv, NULL);
	asked = repo_git_run(dir, argv.ptr, s->a, &rest);
	vec_free(&argv);
	while (asked && str_next(&rest, '\0', &path))
		if (path.len)
			add_listed(s, dirfd, path);
	return asked;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

/* Sorted, so that results do not depend on the file system; git lists a file in conflict several
 * times. */
static void sort(struct repo_files *r)
{
	size_t n = 0;

	if (!r->paths.len)
		return;
	qsort(r->paths.ptr, r->paths.len, sizeof(*r->paths.ptr), by_text);
	for (size_t i = 0; i < r->paths.len; i++)
		if (!i || !str_eq(r->paths.ptr[i], r->paths.ptr[n - 1]))
			r->paths.ptr[n++] = r->paths.ptr[i];
	r->paths.len = n;
}

int repo_files_find(const char *dir, const struct repo_filter *f, struct arena *a,
                    struct repo_files *ret, struct cairn_err *err)
{
	struct search s = { f, a, ret };
	cleanup_fd int fd = -1;

	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	if (faccessat(fd, ".git", F_OK, 0) < 0 || (!read_git(&s, dir, fd) && !ask_git(&s, dir, fd)))
		walk(&s, fd, "", 0);
	sort(ret);
	return 0;
}

void repo_files_done(struct repo_files *r)
{
	vec_free(&r->paths);
	repo_git_free(r->git);
	r->git = NULL;
}
