/* workspace/plan_input.h - what images are made of: their input keys. Private to plan*.c.
 *
 * First every Dockerfile is read and lowered, parents before children, because what a base image
 * says enters what stands on it (inputs_lower()). Then each context directory is walked once for
 * all images that read it, and the files that a step can reach are hashed (contexts_read()). Then
 * keys follow in the order of building (inputs_keys()). One image that cannot be planned
 * stops no other.
 */
#ifndef CAIRN_WORKSPACE_PLAN_INPUT_H
#define CAIRN_WORKSPACE_PLAN_INPUT_H

#include "plan.h"
#include "util/map.h"

/* An image on its way to its key. */
struct plan_input {
	struct ws_image *image;
	const struct dockerfile *df;
	struct dockerfile *own_df; /* the same when the workspace has not read it; or NULL */
	struct ignore *ignore;     /* of its build context; borrowed from plan_inputs */
	const char *path;          /* of the Dockerfile, relative to the root */
	struct map args;           /* build arguments: name -> char * */
	struct map contexts;       /* named ones: name -> char * value, as graph_opts has them */
	struct graph *graph;
	struct define_step *steps;
	struct plan_input **bases; /* by node id: the image of the workspace that a base is */
	struct digest key;         /* input key; none when it failed */
	bool failed;
	struct cairn_err err; /* why */
};

struct plan_context {
	str dir;                 /* "." = the root */
	struct context *context; /* NULL: it could not be read */
	struct arena *arena;
};

struct plan_inputs {
	struct arena *arena;
	const struct plan_opts *opts;
	int root;               /* directory */
	struct plan_input *ptr; /* in the order of building */
	size_t len;
	struct map by_name;                /* -> struct plan_input * */
	struct map ignores;                /* path of an ignore file -> struct plan_ignore * */
	struct map bases;                  /* reference and platform -> struct plan_base * */
	VEC(char *) warnings;              /* owned */
	VEC(struct plan_context) contexts; /* owned; what steps selected is in them */
};

/* Read and lower all; failures are the images' own. */
int inputs_new(const struct plan_opts *o, struct plan_inputs **ret, struct cairn_err *err);
void inputs_free(struct plan_inputs *p); /* NULL is fine */
DEFINE_CLEANUP(struct plan_inputs *, inputs_free);
#define cleanup_inputs __attribute__((cleanup(inputs_free_p_)))

/* It cannot be planned, and why; the first reason stays. */
void input_failed(struct plan_input *in, const struct cairn_err *err);

/* Walk the contexts and fill the operands of all steps that read them. */
void contexts_read(struct plan_inputs *p);

/* Compute all input keys. */
void inputs_keys(struct plan_inputs *p);

#endif
