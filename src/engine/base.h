/* engine/base.h - where base images come from.
 *
 * A tag is resolved in this order (DECISIONS.md 17): with --pull the registry, else
 * the store, else the registry.  Only the config is needed to compute keys; the
 * layers are fetched when a step has to stand on them.
 */
#ifndef CAIRN_ENGINE_BASE_H
#define CAIRN_ENGINE_BASE_H

#include "graph/graph.h"
#include "store/store.h"

struct base_opts {
	struct store *store;
	bool pull; /* ask the registry even when the store knows the tag */
};

/* Find the image `ref` (normalised) for `platform`; the config is parsed into `arena`.
 * ctx is a struct base_opts: fits graph_opts.resolve_base.
 *
 * Fails with CAIRN_E_NOT_FOUND, saying how to get the image. */
int base_resolve(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                 struct graph_base *ret, struct cairn_err *err);

#endif
