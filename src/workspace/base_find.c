/* The Dockerfiles below a folder. */
#include "base_scan.h"

#include <dirent.h>

#include "util/fs.h"
#include "util/proc.h"

/* Folders that are not the repository's own. */
static const char *const foreign[] = {
	".git",   ".hg",     ".svn",       ".jj",         "node_modules", "bower_components",
	"vendor", ".venv",   "venv",       "__pycache__", ".tox",         "site-packages",
	".cache", ".direnv", ".terraform",
};

static bool is_foreign(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (strcmp(foreign[i], name) == 0)
			return true;
	return false;
}

static bool ends_nocase(str s, str end)
{
	return s.len > end.len && str_eq_nocase(str_skip(s, s.len - end.len), end);
}

static bool begins_nocase(str s, str start)
{
	return s.len > start.len && str_eq_nocase(str_n(s.ptr, start.len), start);
}

static bool is_dockerfile(str name)
{
	if (str_eq_nocase(name, S("Dockerfile")) || str_eq_nocase(name, S("Containerfile")))
		return true;
	if (ends_nocase(name, S(".dockerignore")) || ends_nocase(name, S("~")))
		return false;
	return begins_nocase(name, S("Dockerfile.")) || ends_nocase(name, S(".Dockerfile")) ||
	       ends_nocase(name, S(".Containerfile"));
}

/* Names in a folder, sorted, so that results do not depend on the file system. */
struct names {
	VEC(char *) list;
};

static void names_done(struct names *n)
{
	vec_foreach (s, &n->list)
		free(*s);
	vec_free(&n->list);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(int dirfd, struct names *ret)
{
	int fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 0);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((e = readdir(d)))
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		    (e->d_type == DT_UNKNOWN || e->d_type == DT_DIR ||
		     is_dockerfile(str_of(e->d_name))))
			vec_push(&ret->list, xstrdup(e->d_name));
	(void)closedir(d);
	if (ret->list.len)
		qsort(ret->list.ptr, ret->list.len, sizeof(*ret->list.ptr), by_text);
	return 0;
}

static void read_file(struct base_scan *s, int dirfd, const char *name, const char *path)
{
	cleanup_strbuf struct strbuf text;
	struct cairn_err err;

	strbuf_init(&text, DOCKERFILE_MAX);
	if (fs_read_file(dirfd, name, &text, &err) < 0) {
		struct base_unresolved u = { { arena_str(s->arena, str_of(path)), 0 },
			                     S(""),
			                     arena_str(s->arena, str_of(err.msg)) };

		s->n_files++;
		vec_push(&s->unresolved, u);
		return;
	}
	base_scan_text(s, strbuf_view(&text), path);
}

static void search(struct base_scan *s, int dirfd, const char *prefix, unsigned depth)
{
	__attribute__((cleanup(names_done))) struct names names = { 0 };

	if (read_names(dirfd, &names) < 0)
		return; /* it went away, or is not ours to read */
	vec_foreach (name, &names.list) {
		cleanup_free char *path = xasprintf("%s%s", prefix, *name);
		struct stat st;

		if (fstatat(dirfd, *name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode) && is_dockerfile(str_of(*name)) &&
		    s->n_files < BASE_SCAN_FILES_MAX) {
			read_file(s, dirfd, *name, path);
		} else if (S_ISDIR(st.st_mode) && depth < BASE_SCAN_DEPTH_MAX &&
		           !is_foreign(*name)) {
			cleanup_free char *below = xasprintf("%s/", path);
			cleanup_fd int fd = fs_open_beneath(dirfd, *name, O_RDONLY | O_DIRECTORY);

			if (fd >= 0)
				search(s, fd, below, depth + 1);
		}
	}
}

/* --- what git knows -------------------------------------------------------------- */

#define GIT_OUTPUT_MAX (64u << 20)
#define GIT_TIMEOUT_NS (60ull * 1000000000ull)

static bool has_foreign_part(str path)
{
	str part;

	while (str_next(&path, '/', &part)) {
		cleanup_free char *name = str_dup(part);

		if (is_foreign(name))
			return true;
	}
	return false;
}

static void read_listed(struct base_scan *s, int dirfd, str path)
{
	ptrdiff_t slash = str_rfind(path, '/');
	cleanup_free char *name = str_dup(path);
	cleanup_fd int fd = -1;
	struct stat st;

	if (!is_dockerfile(str_skip(path, (size_t)(slash + 1))) || has_foreign_part(path) ||
	    s->n_files >= BASE_SCAN_FILES_MAX)
		return;
	fd = fs_open_beneath(dirfd, name, O_PATH | O_NOFOLLOW); /* no links on the way */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		read_file(s, dirfd, name, name);
}

static int by_view(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

/* All files that git does not ignore. False: there is no git, or this is no repository of it. */
static bool search_git(struct base_scan *s, const char *dir, int dirfd)
{
	/* A repository's own settings must not start programs. */
	const char *const argv[] = { "git",
		                     "-C",
		                     dir,
		                     "-c",
		                     "core.fsmonitor=false",
		                     "ls-files",
		                     "-z",
		                     "--cached",
		                     "--others",
		                     "--exclude-standard",
		                     "--",
		                     ":(icase)*dockerfile*",
		                     ":(icase)*containerfile*",
		                     NULL };
	const struct proc_opts o = { .argv = argv, .timeout_ns = GIT_TIMEOUT_NS };
	struct proc_result r cleanup_proc_result;
	struct cairn_err ignored;
	VEC(str) paths = { 0 };
	str rest, path;

	proc_result_init(&r, GIT_OUTPUT_MAX);
	if (proc_run(&o, &r, &ignored) < 0 || r.exit_code != 0)
		return false;
	rest = strbuf_view(&r.output);
	while (str_next(&rest, '\0', &path))
		if (path.len)
			vec_push(&paths, path);
	if (paths.len)
		qsort(paths.ptr, paths.len, sizeof(*paths.ptr), by_view);
	for (size_t i = 0; i < paths.len; i++) /* git lists a file in conflict several times */
		if (!i || !str_eq(paths.ptr[i], paths.ptr[i - 1]))
			read_listed(s, dirfd, paths.ptr[i]);
	vec_free(&paths);
	return true;
}

int base_scan_dir(const char *dir, struct base_scan **ret, struct cairn_err *err)
{
	cleanup_fd int fd = -1;

	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	*ret = base_scan_new();
	if (faccessat(fd, ".git", F_OK, 0) < 0 || !search_git(*ret, dir, fd))
		search(*ret, fd, "", 0);
	base_scan_sort(*ret);
	return 0;
}
