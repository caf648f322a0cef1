/* workspace/workspace.h - what a repository says about its images.
 *
 *	config.h     cairn.yaml: where it is and what stands in it
 *	conf_tree.h  a YAML text as a tree with positions
 *	images.h     the images of the repository: declared, of batch files, or found
 *	plan.h       which of them need building, and why; plan_state.h what was built from what
 *	repo_files.h the files of a repository that are its own
 *	base_scan.h  which base images the Dockerfiles of a repository name
 *	base_lock.h  cairn.lock: the digests that base images are pinned to
 *
 * Everything here reads files of the user's repository: they are bounded, never believed, and
 * every complaint says file, line and column.
 */
#ifndef CAIRN_WORKSPACE_WORKSPACE_H
#define CAIRN_WORKSPACE_WORKSPACE_H

#include "base_lock.h"
#include "base_scan.h"
#include "conf_tree.h"
#include "config.h"
#include "images.h"
#include "plan.h"
#include "plan_state.h"
#include "repo_files.h"

#endif
