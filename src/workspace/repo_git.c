#include "repo_git.h"

#include <limits.h>

#include "util/fs.h"
#include "util/proc.h"

#define GIT_OUTPUT_MAX (64u << 20)
#define GIT_TIMEOUT_NS (60ull * 1000000000ull)

/* A repository's own settings must not start programs; names are names. */
static const char *const always[] = {
	"-c", "core.fsmonitor=false", "-c", "diff.external=", "-c", "core.quotePath=false",
};

bool repo_git_run(const char *root, const char *const *words, struct arena *a, str *ret)
{
	VEC(const char *) argv = { 0 };
	struct proc_opts o = { .timeout_ns = GIT_TIMEOUT_NS };
	struct proc_result r cleanup_proc_result;
	struct cairn_err ignored;
	bool ran;

	vec_push(&argv, "git");
	vec_push(&argv, "-C");
	vec_push(&argv, root);
	for (size_t i = 0; i < ARRAY_SIZE(always); i++)
		vec_push(&argv, always[i]);
	for (; *words; words++)
		vec_push(&argv, *words);
	vec_push(&argv, NULL);
	o.argv = argv.ptr;
	proc_result_init(&r, GIT_OUTPUT_MAX);
	ran = proc_run(&o, &r, &ignored) == 0 && r.exit_code == 0;
	vec_free(&argv);
	if (ran)
		*ret = arena_str(a, strbuf_view(&r.output));
	return ran;
}

/* --- opening ---------------------------------------------------------------------------- */

/* The whole file, at once: it is large. */
static bool read_index(struct repo_git *g, int dirfd, const char *path, str *ret)
{
	cleanup_fd int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	struct cairn_err ignored;
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > GIT_INDEX_MAX)
		return false;
	g->bytes = xmalloc((size_t)st.st_size + 1);
	g->time_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	if (fs_read_full(fd, g->bytes, (size_t)st.st_size, &n, path, &ignored) < 0)
		return false;
	*ret = str_n(g->bytes, n);
	return true;
}

/* Index of the first entry whose path, from the top, is not before this one. */
static size_t lower_bound(const struct git_entry *all, size_t n, str path)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(all[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Only what is below root: `prefix` is "" or ends with '/'. */
static void narrow(struct repo_git *g, str prefix)
{
	size_t first = lower_bound(g->all.entries.ptr, g->all.entries.len, prefix);
	size_t end = first;

	while (end < g->all.entries.len && str_starts(g->all.entries.ptr[end].path, prefix))
		end++;
	g->ptr = g->all.entries.ptr + first;
	g->len = end - first;
	g->prefix = prefix.len;
}

static bool open_index(struct repo_git *g)
{
	static const char *const words[] = { "rev-parse",
		                             "--is-inside-work-tree",
		                             "--show-object-format",
		                             "--git-path",
		                             "index",
		                             "--show-prefix",
		                             NULL };
	cleanup_fd int fd = -1;
	str out, inside, format, path, prefix, bytes;
	struct cairn_err ignored;

	if (!repo_git_run(g->root, words, g->arena, &out) || !str_next(&out, '\n', &inside) ||
	    !str_next(&out, '\n', &format) || !str_next(&out, '\n', &path) ||
	    !str_next(&out, '\n', &prefix) || !str_is(inside, "true"))
		return false;
	if (fs_open_dir(AT_FDCWD, g->root, &fd, &ignored) < 0 ||
	    !read_index(g, fd, arena_cstr(g->arena, path), &bytes) ||
	    git_index_parse(bytes, str_is(format, "sha256") ? 32 : 20, g->arena, &g->all,
	                    &ignored) < 0)
		return false;
	narrow(g, prefix);
	return true;
}

struct repo_git *repo_git_open(const char *root)
{
	cleanup_repo_git struct repo_git *g = xcalloc(1, sizeof(*g));

	g->arena = arena_new();
	g->root = xstrdup(root);
	return open_index(g) ? steal_ptr(&g) : NULL;
}

void repo_git_free(struct repo_git *g)
{
	if (!g)
		return;
	git_index_done(&g->all);
	free(g->bytes);
	free(g->root);
	arena_free(g->arena);
	free(g);
}

/* --- what it follows ------------------------------------------------------------------------ */

static int compare(const struct repo_git *g, size_t i, str path)
{
	return str_cmp(repo_git_path(g, &g->ptr[i]), path);
}

size_t repo_git_find(const struct repo_git *g, str path, size_t hint)
{
	size_t lo = 0, hi = g->len;

	if (hint < g->len && compare(g, hint, path) == 0 &&
	    (!hint || compare(g, hint - 1, path) < 0))
		return hint;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (compare(g, mid, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool repo_git_follows(const struct repo_git *g, str path)
{
	size_t i = repo_git_find(g, path, SIZE_MAX);

	return i < g->len && compare(g, i, path) == 0;
}

bool repo_git_follows_below(const struct repo_git *g, str dir)
{
	char text[PATH_MAX];
	size_t i;

	if (dir.len + 2 > sizeof(text))
		return false;
	for (str up = dir; up.len; up = str_n(up.ptr, (size_t)(str_rfind(up, '/') + 1) - 1)) {
		i = repo_git_find(g, up, SIZE_MAX);
		if (i < g->len && compare(g, i, up) == 0 && g->ptr[i].mode == GIT_LINK)
			return true;
		if (str_rfind(up, '/') < 0)
			break;
	}
	memcpy(text, dir.ptr, dir.len);
	text[dir.len] = '/';
	i = repo_git_find(g, str_n(text, dir.len + 1), SIZE_MAX);
	return i < g->len && str_starts(repo_git_path(g, &g->ptr[i]), str_n(text, dir.len + 1));
}

/* --- what it does not ------------------------------------------------------------------------- */

bool repo_git_others(const struct repo_git *g, const str *paths, size_t n, struct arena *a,
                     struct repo_git_paths *ret)
{
	static const char *const words[] = { "--literal-pathspecs", "ls-files", "-z", "--others",
		                             "--exclude-standard",  "--" };
	VEC(const char *) argv = { 0 };
	bool asked;
	str out, path;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		vec_push(&argv, words[i]);
	/* More are looked for among all. */
	for (size_t i = 0; i < n && n <= REPO_GIT_ASK_MAX; i++)
		vec_push(&argv, paths[i].ptr);
	vec_push(&argv, NULL);
	asked = !n || repo_git_run(g->root, argv.ptr, a, &out);
	vec_free(&argv);
	while (asked && n && str_next(&out, '\0', &path))
		if (path.len)
			vec_push(&ret->list, path);
	return asked;
}
