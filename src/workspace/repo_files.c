#include "repo_files.h"

#include <dirent.h>

#include "util/fs.h"
#include "util/proc.h"

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
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) { /* it went away, or is not ours to read */
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			visit(s, dirfd, prefix, e->d_name, depth);
	(void)closedir(d);
}

/* --- what git knows -------------------------------------------------------------- */

#define GIT_OUTPUT_MAX (64u << 20)
#define GIT_TIMEOUT_NS (60ull * 1000000000ull)

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
	cleanup_free char *name = str_dup(path);
	cleanup_fd int fd = -1;
	struct stat st;

	if (!s->filter->wanted(path) || has_foreign_part(path))
		return;
	fd = fs_open_beneath(dirfd, name, O_PATH | O_NOFOLLOW); /* no links on the way */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		add(s, path);
}

/* All files that git does not ignore. False: there is no git, or this is no repository of it. */
static bool ask_git(struct search *s, const char *dir, int dirfd)
{
	/* A repository's own settings must not start programs. */
	static const char *const words[] = {
		"-c",       "core.fsmonitor=false", "ls-files", "-z", "--cached",
		"--others", "--exclude-standard",   "--"
	};
	VEC(const char *) argv = { 0 };
	struct proc_opts o = { .timeout_ns = GIT_TIMEOUT_NS };
	struct proc_result r cleanup_proc_result;
	struct cairn_err ignored;
	bool asked;
	str rest, path;

	vec_push(&argv, "git");
	vec_push(&argv, "-C");
	vec_push(&argv, dir);
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		vec_push(&argv, words[i]);
	for (const char *const *p = s->filter->git; p && *p; p++)
		vec_push(&argv, *p);
	vec_push(&argv, NULL);
	o.argv = argv.ptr;
	proc_result_init(&r, GIT_OUTPUT_MAX);
	asked = proc_run(&o, &r, &ignored) == 0 && r.exit_code == 0;
	vec_free(&argv);
	if (!asked)
		return false;
	rest = strbuf_view(&r.output);
	while (str_next(&rest, '\0', &path))
		if (path.len)
			add_listed(s, dirfd, path);
	return true;
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
	if (faccessat(fd, ".git", F_OK, 0) < 0 || !ask_git(&s, dir, fd))
		walk(&s, fd, "", 0);
	sort(ret);
	return 0;
}

void repo_files_done(struct repo_files *r)
{
	vec_free(&r->paths);
}
