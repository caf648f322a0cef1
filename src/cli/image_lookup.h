/* cli/image_lookup.h - which image of the store a word means.
 *
 * As docker: "name", "name:tag", a full id ("sha256:<hex>" or "<hex>"), the
 * first digits of an id, or "name@sha256:<hex>" with the id of the image.  A
 * name goes before the digits.
 */
#ifndef CAIRN_CLI_IMAGE_LOOKUP_H
#define CAIRN_CLI_IMAGE_LOOKUP_H

#include "image/image.h"
#include "store/store.h"

struct image_hit {
	struct store_image image;
	char *name; /* owned, normalised: the name that led here; NULL: found by its id */
};

void image_hit_done(struct image_hit *h);

/* Find an image; it and its layers are leased. s may be NULL: an empty store.
 * Fails with CAIRN_E_NOT_FOUND, also when digits mean several images, and with
 * CAIRN_E_USAGE when the word can be no image's name. */
int image_lookup(struct store *s, const char *word, struct image_hit *ret, struct cairn_err *err);

/* Read and parse an image's config; *ret_bytes (may be NULL) are the bytes as stored.
 * Everything lives in a. */
int image_read_config(struct store *s, const struct digest *id, struct arena *a,
                      struct image_config *ret, str *ret_bytes, struct cairn_err *err);

/* Bytes of the layers' tars, as far as they are known. */
int image_size(struct store *s, const struct store_image *i, uint64_t *ret, struct cairn_err *err);

#define IMAGE_ID_SHORT 12 /* digits shown in tables */

#endif
