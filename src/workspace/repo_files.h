/* workspace/repo_files.h - the files of a repository that are its own.
 *
 * Left out are the folders of version control, those in which package managers keep the code of
 * others (node_modules, vendor, ...) and, at the root of a git repository, what git ignores (the
 * program git is asked).  Links are not followed.
 */
#ifndef CAIRN_WORKSPACE_REPO_FILES_H
#define CAIRN_WORKSPACE_REPO_FILES_H

#include "repo_git.h"

#define REPO_FILES_DEPTH_MAX 32      /* folders in each other that are searched */
#define REPO_FILES_MAX       100000u /* files that are listed */

struct repo_files {
	VEC(str) paths; /* relative to where the search began, NUL-terminated, sorted bytewise */
	struct repo_git *git; /* owned; what git knows, as far as it was asked; or NULL */
};

struct repo_filter {
	/* Is the file wanted? The path is relative to where the search began. Any thread. */
	bool (*wanted)(str path);
	/* Patterns of git that everything wanted matches, so that git lists little: ends with NULL.
	 * NULL: everything is listed. */
	const char *const *git;
	struct pool *pool; /* that reads folders; NULL: the calling thread alone */
};

/* Add the wanted files at and below dir, at most REPO_FILES_MAX; texts live in `a`.
 * Fails with CAIRN_E_NOT_FOUND when dir is not there. */
int repo_files_find(const char *dir, const struct repo_filter *f, struct arena *a,
                    struct repo_files *ret, struct cairn_err *err);

void repo_files_done(struct repo_files *r);
#define cleanup_repo_files __attribute__((cleanup(repo_files_done)))

#endif
