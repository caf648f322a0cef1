/* cache/record.h - what is known about the result of a step.
 *
 * A record is stored under a key (keys.h) and is immutable.  It holds the whole
 * ordered chain of layers that the step's file system consists of, base image
 * included, so that the deepest hit of a build supplies everything and results
 * of different runs of one definition are never mixed (DECISIONS.md 1).
 *
 * Stored form: one JSON object, at most RECORD_MAX bytes,
 *
 *	{"version":1,"created":"RFC 3339","text":"RUN ...","parent_tree":"sha256:..",
 *	 "tree":"sha256:..","own":true,
 *	 "cost":{"wall_ns":N,"cpu_ns":N,"peak_bytes":N,"written_bytes":N},
 *	 "layers":[{"diff_id":"sha256:..","content":"sha256:..","step":"sha256:..",
 *	            "created":"RFC 3339","size":N},...],
 *	 "inputs":[{"step":"sha256:..","tree":"sha256:.."},...]}
 *
 * "step" is absent for layers of the base image.
 */
#ifndef CAIRN_CACHE_RECORD_H
#define CAIRN_CACHE_RECORD_H

#include <stdint.h>

#include "util/arena.h"
#include "util/digest.h"
#include "util/strbuf.h"

#define RECORD_MAX        (1u << 20) /* bytes of a stored record */
#define RECORD_LAYERS_MAX 500        /* overlayfs takes no more lower directories */
#define RECORD_INPUTS_MAX 1000

/* One layer of a chain. */
struct chain_layer {
	struct digest diff_id;
	struct digest content; /* of its canonical index without times (layer/) */
	struct digest step;    /* definition key of the step that made it; none: base image */
	int64_t created;       /* ns since 1970: when that step ended */
	uint64_t size;         /* bytes of its tar; 0 when not known */
};

/* A file system as an ordered list of layers. Immutable once made. */
struct chain {
	struct chain_layer *layers; /* lowest first */
	size_t n;
	struct digest tree; /* id of the merged tree: depends on the content digests only */
};

/* Another step's tree that the step read: COPY --from, a mount. */
struct record_input {
	struct digest step; /* its definition key */
	struct digest tree; /* the tree it had */
};

/* What the step cost when it ran; engine/event.h's struct step_cost in stored form. */
struct record_cost {
	uint64_t wall_ns, cpu_ns, peak_bytes, written_bytes;
};

struct record {
	int64_t created;           /* ns since 1970: when the step ended */
	str text;                  /* the step for people */
	struct digest parent_tree; /* tree the step started from; none for --link */
	struct chain chain;        /* what it ended with; for --link its own layer alone */
	bool own;                  /* the last layer of the chain is this step's */
	struct record_cost cost;
	struct record_input *inputs;
	size_t n_inputs;
};

/* Append the stored form of r to out. */
void record_encode(const struct record *r, struct strbuf *out);

/* Parse a stored form; what it points to is allocated in `a`.
 * Fails with CAIRN_E_DIGEST when it is damaged or of another version. */
int record_decode(str text, struct arena *a, struct record *ret, struct cairn_err *err);

/* The chain `below` with one more layer; allocated in `a`. */
struct chain *chain_push(struct arena *a, const struct chain *below,
                         const struct chain_layer *layer);

/* Id of a tree made by putting a layer with this content digest on `below`. */
struct digest chain_tree_id(const struct digest *below, const struct digest *content);

#endif
