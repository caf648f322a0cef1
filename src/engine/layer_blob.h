/* engine/layer_blob.h - layers on their way out: in which compressed form, made once.
 *
 * The compressed form of a layer in a variant is canonical: the one recorded first is used by
 * all, archives, pushes and caches, and nobody compresses again (DECISIONS.md 14).  It is made
 * from the layer's directory and its index, or from another blob of it, whose tar is checked
 * against the layer's diff ID (DECISIONS.md 27), and becomes a blob of the store.  Where its frames
 * begin is remembered, so that the index that travels with it says where each file lies
 * (DECISIONS.md 24).
 *
 * A layer made elsewhere goes out as it came in.  Files later than SOURCE_DATE_EPOCH make another
 * layer (clamp.h), which goes out instead.
 *
 *	struct layer_blob_source src = { .store = .., .pool = .., .press = .., .ids = .., .n = .. };
 *	layer_blob_open(&src, err);
 *	layer_blob_get(&src, &form, &blob, err);
 *
 * Any thread; a source belongs to one at a time.
 */
#ifndef CAIRN_ENGINE_LAYER_BLOB_H
#define CAIRN_ENGINE_LAYER_BLOB_H

#include <stdatomic.h>

#include "image/image.h"
#include "layer/layer.h"
#include "store/store.h"

struct pool;

/* Lets one compression run at a time, which is as parallel as the pool; who wants the same
 * layer waits for it and finds it.  One for all that a command does with layers. */
struct layer_press;

struct layer_press *layer_press_new(void);
void layer_press_free(struct layer_press *p); /* nobody may use it any more; NULL is fine */

/* A form that a layer is wanted in. */
struct layer_blob_form {
	enum layer_compression compression;
	int level;  /* 0: its default */
	bool force; /* also for layers made elsewhere, whose compression is another one */
	/* Uncompressed tars need not be blobs of the store: they are made when they are written. */
	bool tar_on_demand;
	/* A layer made elsewhere whose bytes are gone: what is known about them is enough. */
	bool described;
};

/* What the store calls a variant: the media type, and the level unless it is the default. */
#define LAYER_BLOB_VARIANT_MAX 96
const char *layer_blob_variant(const struct layer_blob_form *f, char buf[LAYER_BLOB_VARIANT_MAX]);

struct layer_blob {
	struct digest digest;
	uint64_t size;
	const char *media_type; /* static */
	/* A blob of the store. Else it is the tar (form.tar_on_demand, layer_blob_tar()), or not
	 * here (form.described). */
	bool stored;
};

struct layer_blob_source {
	struct store *store;       /* never NULL */
	struct pool *pool;         /* for compressing; NULL: the calling thread alone */
	struct layer_press *press; /* never NULL */
	const struct digest *ids; /* diff IDs of the chain up to the layer, whose own is the last */
	size_t n;                 /* > 0 */
	bool clamp;               /* its times are limited to epoch */
	int64_t epoch;            /* ns since 1970 */
	const atomic_bool *stop;  /* becomes true: CAIRN_E_CANCELLED soon; may be NULL */
	atomic_uint_least64_t *at; /* bytes of tars that went through; may be NULL */

	/* Set by layer_blob_open(): */
	struct store_layer layer; /* as it was built */
	struct digest diff_id;    /* of the tar that goes out; with clamp when `known` */
	uint64_t tar_size;        /* of that */
	bool known; /* diff_id and tar_size are set; else they are after a tar was made */
};

/* What is known about the layer without reading its files. Fails with CAIRN_E_NOT_FOUND when the
 * store does not have it. */
int layer_blob_open(struct layer_blob_source *s, struct cairn_err *err);

/* The layer in that form; afterwards it is `known`.
 *
 * Fails with CAIRN_E_NOT_FOUND when neither files nor bytes are here, CAIRN_E_DIGEST when they are
 * damaged, CAIRN_E_CANCELLED, CAIRN_E_DENIED (read-only store), CAIRN_E_SYSTEM. */
int layer_blob_get(struct layer_blob_source *s, const struct layer_blob_form *form,
                   struct layer_blob *ret, struct cairn_err *err);

/* Only make it `known`. Fails as layer_blob_get(). */
int layer_blob_learn(struct layer_blob_source *s, struct cairn_err *err);

/* Write the tar as it goes out; its digest is checked. Fails as layer_blob_get(). */
int layer_blob_tar(struct layer_blob_source *s, const struct layer_sink *sink,
                   struct cairn_err *err);

/* The index of a layer of the store as others get it: with the frames of that blob, if they are
 * known, compressed with zstd, as a blob of the store. Fails as unpacked_index(). */
int layer_blob_index(struct store *s, const struct digest *diff_id, const struct digest *blob,
                     struct descriptor *ret, struct cairn_err *err);

#endif
