/* image/descriptor.h - a blob named by media type, digest and size.
 *
 * https://github.com/opencontainers/image-spec/blob/main/descriptor.md
 */
#ifndef CAIRN_IMAGE_DESCRIPTOR_H
#define CAIRN_IMAGE_DESCRIPTOR_H

#include <stdint.h>

#include "platform.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/json.h"

#define MEDIA_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_OCI_INDEX    "application/vnd.oci.image.index.v1+json"
#define MEDIA_OCI_CONFIG   "application/vnd.oci.image.config.v1+json"
#define MEDIA_OCI_LAYER    "application/vnd.oci.image.layer.v1.tar"

#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"
#define MEDIA_DOCKER_LAYER    "application/vnd.docker.image.rootfs.diff.tar"

/* What a blob is for. */
enum media_kind {
	MEDIA_OTHER,    /* not an image's; also attestations and caches */
	MEDIA_MANIFEST, /* an image manifest of OCI or Docker */
	MEDIA_INDEX,    /* an OCI index or a Docker manifest list */
	MEDIA_CONFIG,   /* an image config */
	MEDIA_LAYER,    /* a tar of a layer, maybe compressed */
	MEDIA_SCHEMA1,  /* Docker's manifest before 2016: recognised, refused */
	MEDIA_N_,
};

/* How a layer's tar is compressed. */
enum layer_compression {
	LAYER_COMPRESS_NONE,
	LAYER_COMPRESS_GZIP,
	LAYER_COMPRESS_ZSTD,
	LAYER_COMPRESS_N_,
};

/* One row of the table of media types. */
struct media_type {
	const char *name;
	enum media_kind kind;
	enum layer_compression compression; /* of a LAYER */
	bool docker;                        /* Docker's family, else OCI's */
	bool foreign; /* a layer that registries need not serve (Windows bases) */
};

/* The row of `name` (parameters after ';' are ignored); an unknown type gives a row of
 * kind MEDIA_OTHER. Never NULL; static. */
const struct media_type *media_type_find(str name);

/* Media type of a layer: OCI's or Docker's family. Docker knows no zstd: it gets OCI's. Static. */
const char *media_type_layer(enum layer_compression c, bool docker);

/* "none", "gzip", "zstd". Static. */
const char *layer_compression_name(enum layer_compression c);

/* A pair of an annotation or a label. Both in the arena of what holds them. */
struct image_kv {
	str key, value;
};

struct image_kvs {
	struct image_kv *ptr; /* sorted by key, bytewise; keys are unique */
	size_t len;
};

struct image_strs {
	str *ptr;
	size_t len;
};

/* Most annotations, labels or list members that are read from one document. */
#define IMAGE_LIST_MAX 100000u

struct descriptor {
	str media_type; /* as written; "" is allowed and means unknown */
	struct digest digest;
	uint64_t size;     /* bytes of the blob */
	bool has_platform; /* entries of an index say what they are for */
	struct platform platform;
	struct image_kvs annotations; /* len 0 when none */
};

/* Read one descriptor object. Strings are copied into `a`. Fails with CAIRN_E_SYNTAX. */
int descriptor_from_json(struct arena *a, const json_t *j, struct descriptor *ret,
                         struct cairn_err *err);

/* As a JSON object, members in the order of the Go struct of the OCI specification. Owned. */
json_t *descriptor_to_json(const struct descriptor *d);

/* Sorted insertion or replacement; the array is re-made in `a`. Key and value are copied. */
void image_kvs_set(struct arena *a, struct image_kvs *kvs, str key, str value);
const str *image_kvs_get(const struct image_kvs *kvs, str key); /* NULL when absent */

/* {"k":"v",...} into sorted pairs, and back. NULL and null give none; for duplicate-free
 * objects of strings only, else CAIRN_E_SYNTAX naming `what`. */
int image_kvs_from_json(struct arena *a, const json_t *j, const char *what, struct image_kvs *ret,
                        struct cairn_err *err);
json_t *image_kvs_to_json(const struct image_kvs *kvs); /* owned */

#endif
