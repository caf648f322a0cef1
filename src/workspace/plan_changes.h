/* workspace/plan_changes.h - which files of images differ from a commit. Private to plan*.c.
 *
 * All files that images read have been looked at already; how they looked is compared with git's
 * index (repo_git.h), and git is asked about those few that look otherwise.  Where there is no
 * index that can be read, or too much looks otherwise, git looks at everything itself.
 */
#ifndef CAIRN_WORKSPACE_PLAN_CHANGES_H
#define CAIRN_WORKSPACE_PLAN_CHANGES_H

#include "plan_input.h"
#include "repo_git.h"

/* A folder of the workspace that an image reads. */
struct plan_scope {
	str dir; /* "." = the root */
	const struct ignore *ignore;
	const str *needed; /* in it; files and folders */
	size_t n_needed;   /* 0: everything */
};

/* All files that an image is made of. */
struct plan_scopes {
	struct plan_scope *ptr;
	size_t len;
	str files[3]; /* Dockerfile, and the ignore files it could have; "" = none */
};

/* In `a`. The image is not failed. */
void plan_scopes(const struct plan_input *in, struct arena *a, struct plan_scopes *ret);

/* Is the file of the root's among them? */
bool plan_scopes_have(const struct plan_scopes *s, str file);

/* The files, relative to the root, that differ from the commit `base` as they are now, committed or
 * not; at least those of images that are built; sorted, in the plan's arena. False: git does not
 * say. git: NULL when there is no index to read. */
bool plan_changes(const struct plan *p, const struct plan_inputs *in, const struct repo_git *git,
                  struct image_strs *ret);

#endif
