/* workspace/repo_git.h - what git knows of a repository.
 *
 * The program git says where its index lies and whether the repository may be used at all (its
 * owner, its settings); the index is read here (git_index.h).  Whoever asks for files that git does
 * not follow names them, so that it looks at little.
 */
#ifndef CAIRN_WORKSPACE_REPO_GIT_H
#define CAIRN_WORKSPACE_REPO_GIT_H

#include "git_index.h"
#include "util/pool.h"

/* Paths that one question names; of more nobody asks one by one. */
#define REPO_GIT_ASK_MAX 300

struct repo_git {
	struct arena *arena;
	char *root;  /* folder that paths are relative to: the top of the work tree or below */
	char *bytes; /* of the index */
	struct git_index all;
	const struct git_entry *ptr; /* those below root; paths still from the top ... */
	size_t len;
	size_t prefix;   /* ... of which so many bytes lead to root */
	int64_t time_ns; /* when the index was written */
};

/* Run git in a folder, without what a repository's settings could start. words end with NULL; the
 * output lives in `a`. False: it says no, or there is none. Any thread. */
bool repo_git_run(const char *root, const char *const *words, struct arena *a, str *ret);

/* The index, as far as it is about root. NULL: there is no git, root is in no work tree of it,
 * or its index is one that only git reads. */
struct repo_git *repo_git_open(const char *root);
void repo_git_free(struct repo_git *g); /* NULL is fine */
DEFINE_CLEANUP(struct repo_git *, repo_git_free);
#define cleanup_repo_git __attribute__((cleanup(repo_git_free_p_)))

/* The path of an entry, relative to root. */
static inline str repo_git_path(const struct repo_git *g, const struct git_entry *e)
{
	return str_skip(e->path, g->prefix);
}

/* The first entry that is not before `path` (relative to root). `hint`: the answer is probably
 * this one; any number is right. */
size_t repo_git_find(const struct repo_git *g, str path, size_t hint);

/* Does git follow this file? Also every file of a conflict. */
bool repo_git_follows(const struct repo_git *g, str path);

/* Does it follow something below this folder, or is the folder, or one it lies in, a submodule? */
bool repo_git_follows_below(const struct repo_git *g, str dir);

/* Which of n files and folders it neither follows nor ignores: appended to *ret, folders as the
 * files in them, in `a`. Paths with NULs at their ends, relative to root. False: it does not
 * say. */
struct repo_git_paths {
	VEC(str) list;
};
bool repo_git_others(const struct repo_git *g, const str *paths, size_t n, struct arena *a,
                     struct repo_git_paths *ret);

#endif
