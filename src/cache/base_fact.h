/* cache/base_fact.h - what a remote keeps about a base image: its config, and what it was called.
 *
 * A pointer of a remote (remote.h).  A runner that does not reach the image's registry finds with
 * it the keys of what stands on the image, and whether the cache has it.  The layers are not kept.
 *
 * The document is one JSON object:
 *	{"version":1,"seen":"TIME","index":DIGEST,"manifest":DIGEST,"config":"its bytes"}
 * index: what the tag stood for.
 */
#ifndef CAIRN_CACHE_BASE_FACT_H
#define CAIRN_CACHE_BASE_FACT_H

#include "image/image.h"
#include "util/strbuf.h"

struct base_fact {
	int64_t seen; /* when a registry said so, ns since 1970 */
	struct digest index, manifest;
	str config; /* bytes, UTF-8 */
};

/* ref: normalised, as the Dockerfile has it. */
struct digest base_fact_name(str ref, const struct platform *platform);

/* Append the document. A config that is no UTF-8 gives nothing. */
void base_fact_encode(const struct base_fact *f, struct strbuf *out);

/* The config is copied into a. Fails with CAIRN_E_DIGEST when it is damaged or of another version.
 */
int base_fact_decode(str text, struct arena *a, struct base_fact *ret, struct cairn_err *err);

#endif
