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

/* The index of a layer; owned. Fails with CAIRN_E_NOT_FOUND, CAIRN_E_DIGEST. */
int unpacked_index(struct store *s, const struct digest *diff_id, struct layer_index **ret,
                   struct cairn_err *err);

/* The merged tree of n layers, bottom first; owned. */
int unpacked_tree(struct store *s, const struct digest *diff_ids, size_t n, struct tree **ret,
                  struct cairn_err *err);

/* Absolute directories of n layers in overlay form, bottom first; in a. A layer that was made
 * by clamping times (clamp.h) gets its directory now, which takes as long as copying it.
 *
 * pool  NULL: the calling thread alone
 *
 * Fails with CAIRN_E_NOT_FOUND, naming the layer that has no directory. */
int unpacked_dirs(struct store *s, struct pool *pool, const struct digest *diff_ids, size_t n,
                  struct arena *a, char ***ret, struct cairn_err *err);

/* The directory of the last of n layers alone, if there is one: NULL or in a. */
int unpacked_dir_find(struct store *s, const struct digest *diff_ids, size_t n, struct arena *a,
                      char **ret, struct cairn_err *err);

#endif
