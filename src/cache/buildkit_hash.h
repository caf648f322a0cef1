/* cache/buildkit_hash.h - BuildKit's digests of files.
 *
 * A file's digest is over a header (mode, owner, size, type, link target, attributes; no name and
 * no time) and its bytes in one go, so that files have to be read again even when cairn
 * knows their content digests.  That is done once for each file that a COPY reads, and only when
 * a BuildKit cache is in use.
 */
#ifndef CAIRN_CACHE_BUILDKIT_HASH_H
#define CAIRN_CACHE_BUILDKIT_HASH_H

#include "select.h"

#define BUILDKIT_CONTENTS_MAX 6 /* versions of BuildKit differ for patterns */

struct buildkit_tree;

/* Digests of the files in a view, made when they are asked for. One thread at a time.
 *
 * view  borrowed
 * open  opens a FILE of the view for reading; *ret_fd is owned by the caller
 */
struct buildkit_tree *buildkit_tree_new(const struct view *view,
                                        int (*open)(void *ctx, const struct view_file *f,
                                                    int *ret_fd, struct cairn_err *err),
                                        void *ctx);
void buildkit_tree_free(struct buildkit_tree *t); /* NULL is fine */
DEFINE_CLEANUP(struct buildkit_tree *, buildkit_tree_free);
#define cleanup_buildkit_tree __attribute__((cleanup(buildkit_tree_free_p_)))

/* What one source of a COPY, or one mount, reads. */
struct buildkit_selector {
	str path;      /* absolute and clean */
	bool wildcard; /* path is a pattern */
	const str *excludes;
	size_t n_excludes;
};

/* The record digests (output -1) that stand for what the selectors read, one for each version of
 * the scheme, without repetition, newest first. *ret_n is 0 when a path does not
 * exist.
 *
 * Fails with CAIRN_E_SYSTEM for a file that cannot be read. */
int buildkit_tree_contents(struct buildkit_tree *t, const struct buildkit_selector *selectors,
                           size_t n, struct digest ret[BUILDKIT_CONTENTS_MAX], size_t *ret_n,
                           struct cairn_err *err);

#endif
