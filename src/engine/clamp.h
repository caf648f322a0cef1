/* engine/clamp.h - layers whose file times are limited by SOURCE_DATE_EPOCH.
 *
 * The times are no part of any key (DECISIONS.md 15): a step's layer stays as it is, and the
 * clamped one is made from it when an image is put together.  It has an index of its own and
 * no directory; two records tie it to the layer it was made from:
 *
 *	H(layer, epoch)  -> the clamped layer    so that its tar is hashed once
 *	H(clamped layer) -> the layer            so that it can be unpacked
 *
 * Both refer to both layers, so that neither goes while the other is in use.
 */
#ifndef CAIRN_ENGINE_CLAMP_H
#define CAIRN_ENGINE_CLAMP_H

#include "layer/layer.h"
#include "store/store.h"

/* The layer that `diff_id` becomes with that epoch (ns since 1970), if that is known; it may
 * be the same. */
int clamp_find(struct store *s, const struct digest *diff_id, int64_t epoch, struct digest *ret,
               bool *ret_found, struct cairn_err *err);

/* What a clamped layer was made from. */
int clamp_origin(struct store *s, const struct digest *clamped, struct digest *ret, bool *ret_found,
                 struct cairn_err *err);

/* Does any entry have a later time? */
bool clamp_changes(const struct layer_index *ix, int64_t epoch);

struct clamped {
	const struct store_layer *of;    /* the layer as it was built */
	const struct layer_index *index; /* its index */
	int64_t epoch;
	struct digest diff_id; /* of the tar with clamped times */
	uint64_t tar_size;     /* bytes of that */
};

/* Record what a layer becomes, and the clamped layer itself unless it is the same. */
int clamp_put(struct store *s, const struct clamped *c, struct cairn_err *err);

#endif
