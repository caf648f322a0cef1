/* layer/canon.h - private: the canonical form of a plan (write.h). */
#ifndef CAIRN_LAYER_CANON_H
#define CAIRN_LAYER_CANON_H

#include "write.h"

/* Change the plan into canonical form: what is left of plan->items is what the layer holds,
 * sorted, HARDLINKs resolved.  Files whose metadata equals the tree below are read (in the
 * pool) to learn whether their content does too.  Fails as layer_write(). */
int canon_plan(struct layer_plan *plan, const struct tree *below,
               const struct layer_write_opts *opts, struct cairn_err *err);

/* Run fn for 0..n-1 in the pool, or here when it is NULL. */
int run_all(struct pool *pool, size_t n, int (*fn)(void *ctx, size_t i, struct cairn_err *err),
            void *ctx, struct cairn_err *err);

/* Open the content of an item for reading. Not for LAYER_SOURCE_BYTES. */
int source_open(const struct layer_plan_item *item, int *ret_fd, struct cairn_err *err);

/* The content of `path` is not as long as was said. */
int fail_changed(str path, struct cairn_err *err);

/* Sort entries' paths; used for plans and for what is unpacked. */
int item_cmp(const void *a, const void *b);

#endif
