/* image/manifest.h - image manifests and indexes.
 *
 * One struct for all four: OCI image manifest and index, Docker schema 2 manifest
 * and manifest list.  A document whose members contradict its media type, or that
 * looks like a manifest and an index at once, is refused (CVE-2021-41190).
 *
 * The bytes of a manifest are what its digest is over: keep them; never encode a
 * manifest that was read in order to push it again.
 */
#ifndef CAIRN_IMAGE_MANIFEST_H
#define CAIRN_IMAGE_MANIFEST_H

#include "descriptor.h"

/* Largest manifest or index that is read; registries refuse larger ones too. */
#define MANIFEST_MAX (4u << 20)

/* Most layers of an image or entries of an index. */
#define MANIFEST_ENTRIES_MAX 10000u

enum manifest_kind {
	MANIFEST_IMAGE,
	MANIFEST_INDEX,
};

struct manifest {
	enum manifest_kind kind;
	bool docker;               /* Docker's media types, else OCI's */
	struct descriptor config;  /* IMAGE */
	struct descriptor *layers; /* IMAGE: lowest first */
	size_t n_layers;
	struct descriptor *manifests; /* INDEX: one a platform, and attestations */
	size_t n_manifests;
	struct image_kvs annotations;
};

/* Parse a manifest or index. Strings and arrays live in `a`.
 *
 * content_type  what the registry or the descriptor called it; empty when unknown
 *
 * Fails with CAIRN_E_SYNTAX, and with CAIRN_E_UNSUPPORTED for Docker schema 1. */
int manifest_parse(struct arena *a, str bytes, str content_type, struct manifest *ret,
                   struct cairn_err *err);

/* Append m as compact JSON, in the order of the Go structs; the same m gives the same bytes. */
void manifest_encode(const struct manifest *m, struct strbuf *out);

/* Media type of m itself. Static. */
const char *manifest_media_type(const struct manifest *m);

/* The entry of an index that serves `want` best; of equals the first. An entry without
 * platform serves only when it is the only manifest. *ret_entry points into m.
 * Fails with CAIRN_E_NOT_FOUND, listing the platforms that are there. */
int manifest_choose(const struct manifest *m, const struct platform *want,
                    const struct descriptor **ret_entry, struct cairn_err *err);

#endif
