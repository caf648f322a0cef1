/* cache/buildkit_config.h - the document that a BuildKit cache consists of, beside its layers.
 *
 * Media type application/vnd.buildkit.cacheconfig.v0, one JSON object:
 *
 *	{"layers":[{"blob":"sha256:..","parent":-1},...],
 *	 "records":[{"digest":"sha256:..","inputs":[[{"selector":"sha256:..","link":3}],...],
 *	             "layers":[{"layer":0,"createdAt":"RFC 3339"}],"chains":[...]},...]}
 *
 * A layer and its parents, lowest first, are a file system; "parent" is absent for 0 and -1 for
 * none. "layers" of a record are results by their topmost layer, "chains" list all of them.  A
 * record is one operation on certain inputs; inputs[i] are the alternatives for input i.
 *
 * At a registry it is the config of an image manifest whose layers are the blobs (what newer
 * versions write), or the last entry of an index whose others are.  In an image itself (inline) the
 * config has "moby.buildkit.cache.v0": base64 of the records alone; layer i is the image's layer i.
 *
 * Everything that is read comes from outside: counts, depths and loops are bounded.
 */
#ifndef CAIRN_CACHE_BUILDKIT_CONFIG_H
#define CAIRN_CACHE_BUILDKIT_CONFIG_H

#include "image/image.h"

#define BUILDKIT_CONFIG_MEDIA "application/vnd.buildkit.cacheconfig.v0"
#define BUILDKIT_INLINE_KEY   "moby.buildkit.cache.v0"

#define BUILDKIT_CONFIG_MAX  (64u << 20) /* bytes of a document that is read */
#define BUILDKIT_READ_MAX    (1u << 20)  /* a larger one BuildKit itself does not read */
#define BUILDKIT_LAYERS_MAX  100000u
#define BUILDKIT_RECORDS_MAX 500000u
#define BUILDKIT_LINKS_MAX   4000000u /* of all records together */
#define BUILDKIT_CHAINS_MAX  8000000u /* layers of all results together */
#define BUILDKIT_INPUTS_MAX  1000u    /* of one record */
#define BUILDKIT_DEPTH_MAX   500u     /* layers of one result: cairn's own limit of a chain */

struct buildkit_layer {
	struct digest blob; /* of the compressed layer */
	int64_t parent;     /* index of the layer below, -1: none */
};

struct buildkit_result {
	const uint32_t *layers; /* indexes, lowest first */
	size_t n_layers;
	bool has_created;
	int64_t created; /* ns since 1970 */
};

struct buildkit_link {
	struct digest selector; /* none: no selector */
	uint32_t record;        /* index */
};

struct buildkit_input {
	struct buildkit_link *links;
	size_t n;
};

struct buildkit_record {
	struct digest digest;
	struct buildkit_input *inputs;
	size_t n_inputs;
	struct buildkit_result *results; /* newest first */
	size_t n_results;
};

struct buildkit_config {
	struct buildkit_layer *layers;
	size_t n_layers;
	struct buildkit_record *records;
	size_t n_records;
};

/* Parse a document; allocated in `a`.
 * Fails with CAIRN_E_SYNTAX for anything that is not what the top of this file says: an index out
 * of range, an empty input, a loop. */
int buildkit_config_parse(struct arena *a, str bytes, struct buildkit_config *ret,
                          struct cairn_err *err);

/* Parse the records of an inline cache (base64 as in the image's config); the layers are the
 * image's, n_layers of them; ret->layers have no digests. Fails as above. */
int buildkit_inline_parse(struct arena *a, str base64, size_t n_layers, struct buildkit_config *ret,
                          struct cairn_err *err);

/* Append c as BuildKit writes it: layers by digest and parent, records by digest and inputs, links
 * by number, results as layers with parents where they can be. The same records in any order give
 * the same bytes. */
void buildkit_config_encode(const struct buildkit_config *c, struct strbuf *out);

#endif
