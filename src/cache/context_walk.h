/* context_walk.h - the directories of a context, read level by level in the pool. */
#ifndef CAIRN_CACHE_CONTEXT_WALK_H
#define CAIRN_CACHE_CONTEXT_WALK_H

#include "context.h"
#include "statcache.h"

/* What the walk is told about one file, in the order of layer/entry.h. */
struct walk_file {
	str path;   /* dies with the call */
	str target; /* of a link; dies with the call */
	struct stat_id id;
	mode_t mode; /* with the type bits */
};

/* Who is told, in the main thread. */
struct walk_sink {
	void (*begin)(void *ctx, size_t most); /* once: how many files there are at most */
	/* Each entry that is left, parents first. Sockets and special files are among them. */
	int (*file)(void *ctx, const struct walk_file *f, struct cairn_err *err);
	void *ctx;
};

/* Walk the directory fd as opts say.
 *
 * Fails with CAIRN_E_SYSTEM naming a directory that cannot be read, and as file() does. */
int context_walk(int fd, const struct context_opts *opts, const struct walk_sink *to,
                 struct cairn_err *err);

#endif
