/* workspace/plan_git.h - what git says about the images that are built. Private to plan*.c.
 *
 * The base revision is the first of these that there is:
 *
 *	--base REV
 *	CODEBUILD_WEBHOOK_PREV_COMMIT
 *	`before`, or pull_request.base.sha, of the event in GITHUB_EVENT_PATH
 *	where the current branch left the default branch
 *
 * It is compared with the files as they are now, committed or not.  A base that is not there (a
 * shallow clone, a new branch, a force-push) is passed over and told of; git only explains.
 */
#ifndef CAIRN_WORKSPACE_PLAN_GIT_H
#define CAIRN_WORKSPACE_PLAN_GIT_H

#include "plan_input.h"

/* Fill base, base_note, and of each image that is built `change` and, when files say it, `why`. */
void plan_git(struct plan *p, const struct plan_inputs *in);

#endif
