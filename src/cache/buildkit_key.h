/* cache/buildkit_key.h - the digests under which BuildKit knows the steps of a graph.
 *
 * A record of a BuildKit cache (buildkit_config.h) is found by its digest and by the records it is
 * linked to.  Its digest is over a JSON text that describes the operation; versions of BuildKit
 * differ in details of that text, so that an operation has several plausible digests, of
 * which any may be met.  A digest is always that of a text: "sha256:<hex>@<output>".
 *
 * Known are images, RUN, COPY and ADD of local files, WORKDIR, here-documents and all mounts.
 * ADD of URLs is not in the graph at all.
 */
#ifndef CAIRN_CACHE_BUILDKIT_KEY_H
#define CAIRN_CACHE_BUILDKIT_KEY_H

#include "buildkit_hash.h"
#include "keys.h"

#define BUILDKIT_FORMS_MAX     32 /* plausible digests of one operation */
#define BUILDKIT_SELECTORS_MAX 2

struct buildkit_op;

/* One input of an operation: what its record has to be linked to. */
struct buildkit_dep {
	const struct graph_node *node; /* a step of the graph; or */
	struct buildkit_op *op;        /* an operation that is no step of its own; or neither */
	/* Which part of it is read: allowed selectors of the link; a zero digest stands for a link
	 * without selector. The first is what the newest BuildKit writes. */
	struct digest selectors[BUILDKIT_SELECTORS_MAX];
	size_t n_selectors;
	/* Record digests of what was read, by content, newest form first; links to them have no
	 * selector. For files of a context nothing else is known. */
	struct digest contents[BUILDKIT_CONTENTS_MAX];
	size_t n_contents;
};

/* An operation. Lives in the arena it was made in. */
struct buildkit_op {
	const struct graph_node
		*node; /* the step whose file system it gives; NULL for inner ones */
	/* Record digests; the first is what the newest BuildKit would write for this very build.
	 * For an image: its root keys, of an index, of the manifest and of its layers, all of which
	 * are links to it. */
	struct digest forms[BUILDKIT_FORMS_MAX];
	size_t n_forms;
	struct buildkit_dep *deps; /* in BuildKit's order */
	size_t n_deps;
};

/* Contexts of a build, as far as keys need them. */
struct buildkit_contexts {
	/* The files of a context ("" = the build context), with a way to read them; the tree lives
	 * as long as the caller says. */
	int (*tree)(void *ctx, str context, struct buildkit_tree **ret, struct cairn_err *err);
	void *ctx;
};

/* The operation of a step; *ret is NULL when BuildKit has no such thing (scratch) or it is
 * not known how it would describe it.
 *
 * Fails as reading the context does. */
int buildkit_op_new(struct arena *a, const struct graph_node *n, const struct key_env *env,
                    const struct buildkit_contexts *contexts, struct buildkit_op **ret,
                    struct cairn_err *err);

/* Digest of a record: of "<digest>@<output>". */
struct digest buildkit_record_digest(const struct digest *op, int output);

/* Append s as Go's encoding/json writes a string. */
void buildkit_json_string(struct strbuf *out, str s);

#endif
