/* cache/define.h - what the steps of a graph read, and so their definition keys.
 *
 * Everything that can be known before anything has run, and nothing but that: an engine that is
 * about to build and a plan that only wants to know whether a build is needed get the same keys
 * from the same functions.
 *
 *	define_steps(g, a, &steps);
 *	define_select(); ... define_digest();    each operand that is a context's; between them
 *	                                         what it selected is hashed
 *	define_keys(g, env, steps);
 */
#ifndef CAIRN_CACHE_DEFINE_H
#define CAIRN_CACHE_DEFINE_H

#include "keys.h"
#include "select.h"

/* A step, as far as it is known without its parents' files. Arrays have n_operands places. */
struct define_step {
	const struct graph_node *node;
	struct digest key; /* definition key; set by define_keys() */
	/* One for COPY; one per mount that has a source, in their order. Selections are missing
	 * until define_digest(). */
	struct key_operand *operands;
	struct selection *selections;
	struct view *views; /* where each was selected from */
	size_t n_operands;
};

/* One define_step for each node, by its id, with the operands and nothing in them; in `a`. */
struct define_step *define_steps(const struct graph *g, struct arena *a);

/* Where operand i of a step is read from: FROM_CONTEXT or FROM_NODE. */
const struct graph_source *define_source(const struct graph_node *n, size_t i);

/* Fill s->selections[i] from s->views[i]; allocated in `a`. path: the Dockerfile's, for messages.
 * Fails with CAIRN_E_NOT_FOUND (path and line set) for a source that is not there. */
int define_select(struct define_step *s, size_t i, const char *path, struct arena *a,
                  struct cairn_err *err);

/* Fill the digest of operand i; what it selected has been hashed. */
void define_digest(struct define_step *s, size_t i);

/* The definition keys of all steps; all contexts' operands have their digests. */
void define_keys(const struct graph *g, const struct key_env *env, struct define_step *steps);

/* Paths of a context ("" = the build context) that steps read, as far as they are certain: up to
 * the first part with a wildcard. Allocated in `a`; *ret_n 0 when everything may be read.
 * Returns false when no step reads this context. */
bool define_needed(const struct graph *g, str context, struct arena *a, str **ret, size_t *ret_n);

/* The input key of the target: what the image is made of. Two builds with one input key make
 * images that differ at most in what commands did differently (DECISIONS.md 19).
 *
 * steps       filled by define_keys()
 * identities  by node id: what stands for a base image in place of the digest of its config,
 *             define_identity() of an image that has an input key of its own; none: the config.
 *             NULL: no base has one
 */
struct digest define_input(const struct graph *g, const struct key_env *env,
                           const struct define_step *steps, const struct digest *identities);

/* What stands for an image with this input key in those of images that are built on it. */
struct digest define_identity(const struct digest *input);

#endif
