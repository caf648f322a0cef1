/* cache/keys.h - the digests under which results of steps are found.
 *
 * A step has two keys (ARCHITECTURE.md):
 *
 * definition key  over the operation, what its arguments are, the definition
 *                 keys of the steps it stands on, and the content of the context
 *                 files it reads.  Known before anything has run.
 * content key     the same with the actual trees of those steps.  It answers
 *                 when a step below ran again and produced what was there before.
 *
 * Every kind of step has a version; a change of what an operation does must
 * raise it (DECISIONS.md 13).  Nothing about the machine, the user, the
 * driver or mtimes enters a key.
 */
#ifndef CAIRN_CACHE_KEYS_H
#define CAIRN_CACHE_KEYS_H

#include "graph/graph.h"

/* Settings of one build, beside the Dockerfile, that a RUN step can see. */
struct key_env {
	const str *add_hosts; /* "name=ip" */
	size_t n_add_hosts;
	const str *ulimits; /* "nofile=1024:2048" */
	size_t n_ulimits;
	uint64_t shm_size;          /* bytes; 0 = default */
	enum graph_network network; /* of steps that do not say */
	/* network is HOST because nobody said anything; BuildKit then has one of the step's own,
	 * and other keys. Not in cairn's. */
	bool network_default;
};

/* Which files an operand of a step stands for. */
struct key_operand {
	const struct graph_node
		*node;           /* the step whose files are read; NULL: a context or inline */
	struct digest base;      /* definition key: that step's; content key: unused */
	struct digest selection; /* digest of the selected files; none: stands for all of base */
};

/* The definition key of `n`.
 *
 * parent    definition key of n->parent; ignored for a base and for COPY --link
 * operands  one for COPY; one per mount that has a source, in the order of the mounts
 */
struct digest key_definition(const struct graph_node *n, const struct key_env *env,
                             const struct digest *parent, const struct key_operand *operands,
                             size_t n_operands);

/* The content key of `n`: parent is the id of the tree it starts from, and
 * every operand has a selection. */
struct digest key_content(const struct graph_node *n, const struct key_env *env,
                          const struct digest *parent, const struct key_operand *operands,
                          size_t n_operands);

/* Key of a COPY --link layer: independent of what it is put on. Operands have selections. */
struct digest key_link(const struct graph_node *n, const struct key_operand *operands,
                       size_t n_operands);

#endif
