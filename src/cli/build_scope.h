/* cli/build_scope.h - which part of a cache a build writes, and which it reads.
 *
 * Scopes keep what a pull request writes away from what the default branch reads (DECISIONS.md 25).
 * In CI the branch is the scope, by the variables of GitHub Actions and AWS CodeBuild:
 *
 *	default branch     the default scope ""; what builds outside CI use as well
 *	branch b           "b", reads also ""
 *	tag t              "tag~t", reads also ""
 *	pull request N into branch c
 *	                   "pr~N", reads also the scope of c, then ""; where N is not known,
 *	                   "pr~b" after the branch b that it comes from
 *
 * '~' cannot be in the name of a branch: a pull request from a fork's branch "main" writes
 * "pr~7". The default branch is what the event says, else main or master.  A reference with a tag
 * is a cache of its own: its scopes have "TAG:" in front.
 */
#ifndef CAIRN_CLI_BUILD_SCOPE_H
#define CAIRN_CLI_BUILD_SCOPE_H

#include "cache/cache.h"
#include "util/arena.h"

/* envp: ends with NULL; strings live in a. */
void build_scopes(char *const *envp, struct arena *a, struct remote_scopes *ret);

#endif
