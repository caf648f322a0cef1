/* engine/export.h - a build's results as a cache that BuildKit reads.
 *
 * Written when the build is done: BuildKit's format is one document over all of it.  Layers go to
 * the repository first, then the document, then the tag.
 */
#ifndef CAIRN_ENGINE_EXPORT_H
#define CAIRN_ENGINE_EXPORT_H

#include "build.h"
#include "layer_blob.h"
#include "registry/registry.h"

struct engine_export {
	struct registry *registry;   /* never NULL */
	const struct reference *ref; /* what the cache is called; has a tag */
	struct layer_press *press;   /* never NULL */
	struct layer_blob_form form; /* of layers that are compressed here */
	bool max;                    /* results of all steps; else of those of the target's chain */
	bool index;                  /* an index, as BuildKit wrote before 0.21 */
	const atomic_bool *stop;     /* becomes true: CAIRN_E_CANCELLED soon; may be NULL */
};

/* After engine_run(). opts.supply is needed for layers that are elsewhere. Warns of a cache that is
 * larger than what BuildKit reads. Fails as registry/push.h and layer_blob_get() do. */
int engine_export(struct engine_build *b, const struct engine_export *x, struct cairn_err *err);

#endif
