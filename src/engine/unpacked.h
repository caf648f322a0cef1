/* engine/unpacked.h - the layers of an image as directories and indexes.
 *
 * Needs only the store: used for the chains of a build and for images that are in it.
 */
#ifndef CAIRN_ENGINE_UNPACKED_H
#define CAIRN_ENGINE_UNPACKED_H

#include "layer/layer.h"
#include "store/store.h"
#include "util/arena.h"

struct pool;

/* Layers that lie on each other. */
struct unpacked {
	struct store *store;
	struct pool *pool;             /* NULL: the calling thread alone */
	const struct digest *diff_ids; /* bottom first; borrowed */
	size_t n;
};

/* The index of a layer; owned. Fails with CAIRN_E_NOT_FOUND, CAIRN_E_DIGEST. */
int unpacked_index(struct store *s, const struct digest *diff_id, struct layer_index **ret,
                   struct cairn_err *err);

/* Their merged tree; owned. */
int unpacked_tree(const struct unpacked *u, struct tree **ret, struct cairn_err *err);

/* Their absolute directories in overlay form, bottom first; in a. A layer that was made by
 * clamping times (clamp.h) gets its directory now, which takes as long as copying it.
 *
 * Fails with CAIRN_E_NOT_FOUND, naming the layer that has no directory. One of our own is
 * forgotten then: what was thought to be a hit becomes a miss. */
int unpacked_dirs(const struct unpacked *u, struct arena *a, char ***ret, struct cairn_err *err);

/* The same where only the layers i with used[i] need a directory; others may be NULL. */
int unpacked_dirs_of(const struct unpacked *u, const bool *used, struct arena *a, char ***ret,
                     struct cairn_err *err);

/* The directory of the topmost layer alone, if there is one: NULL or in a. */
int unpacked_dir_find(const struct unpacked *u, struct arena *a, char **ret, struct cairn_err *err);

#endif
