/* cache/buildkit_match.h - which steps of a graph a BuildKit cache has results of.
 *
 * A record is a step's when its digest is one of the step's forms and each of its inputs is linked
 * to a record of that input.  Records need no results of their own: a chain of them leads to a deep
 * one.
 *
 * Newer versions of BuildKit link the first step to the image's manifest alone, whose digest is not
 * always known here.  So a record without inputs may be the image that a stage begins with: the
 * layers of a result prove it, and what no result proves is used for nothing else than to go
 * on.
 */
#ifndef CAIRN_CACHE_BUILDKIT_MATCH_H
#define CAIRN_CACHE_BUILDKIT_MATCH_H

#include "buildkit_config.h"
#include "buildkit_key.h"

/* A layer of the cache: where its bytes are. */
struct buildkit_blob {
	struct descriptor blob; /* digest none: it is not there, results with it are none */
	struct digest diff_id;
	int64_t created; /* ns since 1970; 0: not known */
};

/* A cache that was read. */
struct buildkit_cache {
	struct arena *arena; /* owns everything */
	struct buildkit_config config;
	struct buildkit_blob *blobs; /* by number of the layer; config.n_layers */
};

/* The digest of the tar of a layer without entries. BuildKit leaves such layers out. */
struct digest buildkit_empty_layer(void);

struct buildkit_hit_layer {
	struct digest diff_id;
	const struct descriptor *blob; /* NULL: a layer without entries, or one of the base image
	                                * that the cache has not */
	int64_t created;               /* 0: not known */
};

/* A result: the layers of the base image, then one for each step. */
struct buildkit_hit {
	struct buildkit_hit_layer *layers;
	size_t n;
	int64_t created; /* 0: not known */
};

/* Find the results of a graph's steps.
 *
 * ops  by number of the node; NULL where there is none
 * ret  by number of the node: the hit, or NULL; allocated in `a`, borrows the cache
 */
void buildkit_match(const struct buildkit_cache *c, const struct graph *g,
                    struct buildkit_op *const *ops, struct arena *a,
                    const struct buildkit_hit **ret);

#endif
