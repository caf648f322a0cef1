/* store_image.h - images by their config digest, and the names people give them.
 *
 * The identity of an image is the digest of its config. A manifest
 * exists per variant (compression and media types) and is fixed when it is made first.
 */
#ifndef CAIRN_STORE_IMAGE_H
#define CAIRN_STORE_IMAGE_H

#include "store.h"

struct store_image {
	struct digest config;    /* a blob of the store */
	char *platform;          /* "linux/amd64", "linux/arm64/v8" */
	int64_t created;         /* ns since 1970, as in the config */
	struct digest *diff_ids; /* bottom layer first; the layers need not be here */
	size_t n_layers;
};

void store_image_done(struct store_image *i);

/* Add an image; its config must be a blob of the store. One that is there stays. */
int store_image_put(struct store *s, const struct store_image *image, struct cairn_err *err);

/* Describe an image; it, its config and its layers are leased. */
int store_image_find(struct store *s, const struct digest *config, struct store_image *ret,
                     bool *ret_found, struct cairn_err *err);

/* Remove an image and all its tags; an absent one is fine. Its layers go with store_gc(). */
int store_image_remove(struct store *s, const struct digest *config, struct cairn_err *err);

/* Record the manifest of an image in one variant. The first one recorded wins and comes back. */
int store_manifest_put(struct store *s, const struct digest *config, str variant,
                       const struct digest *manifest, struct digest *ret_canonical,
                       struct cairn_err *err);
int store_manifest_find(struct store *s, const struct digest *config, str variant,
                        struct digest *ret, bool *ret_found, struct cairn_err *err);

/* A name for an image. One name may stand for several platforms' images. */
struct store_tag {
	char *name;     /* as the caller wrote it: "docker.io/library/debian:12" */
	char *platform; /* of the image */
	struct digest config;
	int64_t updated; /* ns since 1970: when the name was last set or confirmed */
};

void store_tag_done(struct store_tag *t);

/* Let name mean this image, for the image's platform. Fails with CAIRN_E_NOT_FOUND when the
 * image is not in the store. */
int store_tag_put(struct store *s, str name, const struct digest *config, struct cairn_err *err);

/* platform empty: the one set last. The image is leased. */
int store_tag_find(struct store *s, str name, str platform, struct store_tag *ret, bool *ret_found,
                   struct cairn_err *err);

/* Remove a name for all platforms; *ret_n is how many were there. */
int store_tag_remove(struct store *s, str name, size_t *ret_n, struct cairn_err *err);

/* One line of a listing. */
struct store_listed {
	struct store_tag tag; /* name NULL: an image without a tag */
	struct store_image image;
	uint64_t size; /* bytes of its layers' tars, as far as they are known */
};

struct store_listing {
	struct store_listed *ptr; /* sorted by name, then platform; untagged ones last */
	size_t len;
};

int store_images_list(struct store *s, struct store_listing *ret, struct cairn_err *err);
void store_listing_done(struct store_listing *l);

#endif
