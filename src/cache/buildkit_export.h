/* cache/buildkit_export.h - results of a build as a cache that BuildKit reads.
 *
 * Each step becomes records of its operation, one for each form that the newest BuildKit may ask
 * for, linked to those of its inputs in every way they may be known; results are chains of layers.
 * Layers without entries are left out, as BuildKit does.
 */
#ifndef CAIRN_CACHE_BUILDKIT_EXPORT_H
#define CAIRN_CACHE_BUILDKIT_EXPORT_H

#include "buildkit_config.h"
#include "buildkit_key.h"

/* A layer of a result: its compressed form, which lies in the cache's repository. */
struct buildkit_export_layer {
	struct descriptor blob;
	struct digest diff_id;
	int64_t created; /* ns since 1970 */
};

struct buildkit_export_step {
	const struct buildkit_op *op; /* NULL: it is not written, nor what stands on it */
	const struct buildkit_export_layer *layers; /* its file system; n_layers = 0: no result */
	size_t n_layers;
	int64_t created;
};

struct buildkit_export {
	struct buildkit_config config;
	struct buildkit_export_layer *layers; /* by number of the layer in config */
};

/* Put a cache together.
 *
 * steps  by number of the node
 * ret    in `a`; borrows the steps' layers
 */
void buildkit_export_make(struct arena *a, const struct buildkit_export_step *steps, size_t n,
                          struct buildkit_export *ret);

/* The manifest of a cache whose encoded config is `config`, in `a`: of an image, or an index with
 * the layers and the config as its entries (what BuildKit wrote before 0.21). */
void buildkit_export_manifest(struct arena *a, const struct buildkit_export *x, str config,
                              bool index, struct manifest *ret);

#endif
