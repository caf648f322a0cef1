/* sandbox_path.h - resolve a path inside a tree that may be hostile.
 *
 * What openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) does, in user space, because a
 * caller also needs to know where a path ends that does not exist. The kernel never
 * follows a link or ".." for us: every component is opened O_PATH | O_NOFOLLOW from its
 * parent, links are read and put in front of the rest, ".." goes back to the
 * directory that was open before. So no rename, link or mount in the tree leads out of it,
 * not even while somebody changes it. No openat2 is needed and none is used.
 */
#ifndef CAIRN_ENGINE_SANDBOX_PATH_H
#define CAIRN_ENGINE_SANDBOX_PATH_H

#include <limits.h>

#include "util/err.h"

/* Deepest directory nesting of a path. */
#define SANDBOX_DEPTH_MAX 256

struct sandbox_path {
	int fd;              /* O_PATH, O_CLOEXEC: the deepest thing that exists; owned */
	char real[PATH_MAX]; /* its path in the tree without links: "/", "/run/lock" */
	char rest[PATH_MAX]; /* what does not exist below it: "a/b"; "" when all does */
};

/* Resolve path (absolute or relative, both from rootfd) following links, the last one too.
 *
 * Fails with CAIRN_E_SYNTAX for too many links, too deep or long paths, ".." below what does
 * not exist, a file where a directory is needed; CAIRN_E_SYSTEM. */
int sandbox_path_find(int rootfd, const char *path, struct sandbox_path *ret,
                      struct cairn_err *err);

/* The same when all of it must exist: CAIRN_E_NOT_FOUND otherwise. what starts the message. */
int sandbox_path_open(int rootfd, const char *path, const char *what, int *ret_fd,
                      struct cairn_err *err);

#endif
