/* cache/buildkit_import.h - BuildKit's caches at a registry, read.
 *
 * What a reference points to may be a cache that BuildKit exported (image manifest or index, see
 * buildkit_config.h), or an image that was built with an inline cache.  The document is read whole
 * before the first step, as BuildKit does; no layer is.
 */
#ifndef CAIRN_CACHE_BUILDKIT_IMPORT_H
#define CAIRN_CACHE_BUILDKIT_IMPORT_H

#include "buildkit_match.h"
#include "registry/registry.h"

/* Read the cache at ref.
 *
 * platform  which image of an index an inline cache is taken from
 * ret       owned by the caller, buildkit_cache_free(); NULL when ref is neither (a cache of
 *           cairn's own, an image without one), or when there is nothing
 *
 * Fails as registry/ does, and with CAIRN_E_SYNTAX for a cache that is malformed. */
int buildkit_import_open(struct registry *r, const struct reference *ref,
                         const struct platform *platform, struct buildkit_cache **ret,
                         struct cairn_err *err);

/* Make a cache of a manifest and its config; `ret` as above.
 *
 * manifest  of an image: with the cache's config, or an image's with an inline cache; or an
 *           index with the cache's config among its entries
 * config    bytes of that config
 * Everything is copied. */
int buildkit_import_parse(const struct manifest *manifest, str config, struct buildkit_cache **ret,
                          struct cairn_err *err);

/* The config's descriptor when this manifest or index is a cache; else NULL. */
const struct descriptor *buildkit_import_config(const struct manifest *manifest);

void buildkit_cache_free(struct buildkit_cache *c); /* NULL is fine */
DEFINE_CLEANUP(struct buildkit_cache *, buildkit_cache_free);
#define cleanup_buildkit_cache __attribute__((cleanup(buildkit_cache_free_p_)))

#endif
