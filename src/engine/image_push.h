/* engine/image_push.h - images of the store to a registry.
 *
 * An image that was pulled goes out as it came: same manifest, same digest.  One that was built
 * gets the manifest of the wanted form; its layers are compressed once (layer_blob.h), each
 * is sent while the next is being compressed.  A layer whose bytes are not here, because nothing
 * has needed them, goes from where it came from: mounted within a registry, else streamed.
 *
 * Nothing is sent that the repository has; when it has the manifest, only the tag is set.
 */
#ifndef CAIRN_ENGINE_IMAGE_PUSH_H
#define CAIRN_ENGINE_IMAGE_PUSH_H

#include <stdatomic.h>

#include "layer_blob.h"
#include "registry/registry.h"

struct image_push_opts {
	struct store *store;         /* never NULL */
	struct registry *registry;   /* never NULL */
	struct pool *pool;           /* for compressing; never NULL */
	const struct digest *images; /* config digests, one a platform; n > 0 */
	size_t n;
	bool index; /* the tag means an index, also of one image */
	/* NULL: as it was pulled, else gzip. */
	const struct layer_blob_form *form;
	struct image_kvs annotations;             /* of each manifest */
	struct image_kvs index_annotations;       /* of the index */
	unsigned parallel;                        /* layers at once; 0 = 4 */
	const struct registry_progress *progress; /* may be NULL */
	const atomic_bool *stop; /* becomes true: CAIRN_E_CANCELLED soon; may be NULL */
};

struct image_push_result {
	struct digest digest; /* what the tag means now */
	uint64_t moved;       /* bytes of blobs that were sent */
};

/* dst has a tag. Fails as registry/push.h and layer_blob_get() do. */
int image_push(const struct image_push_opts *opts, const struct reference *dst,
               struct image_push_result *ret, struct cairn_err *err);

#endif
