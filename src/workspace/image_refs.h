/* workspace/image_refs.h - what a Dockerfile names: images, and files of its context.
 *
 * Read as a build would that has the given arguments, but without any base image: ARG defaults
 * and arguments are known, ENV of a stage is known, what a base sets is not.  Stages that the
 * target does not reach are left out.
 */
#ifndef CAIRN_WORKSPACE_IMAGE_REFS_H
#define CAIRN_WORKSPACE_IMAGE_REFS_H

#include "dockerfile/dockerfile.h"
#include "image/image.h"
#include "util/vec.h"

/* A name in FROM, COPY --from or a mount's from= that is no stage. */
struct image_ref {
	str text; /* expanded */
	unsigned line;
	bool from; /* FROM: a stage stands on it */
};

/* A file of the build context that a COPY, ADD or mount wants. */
struct image_source {
	str path; /* relative, as expanded; may be a pattern */
	unsigned line;
};

struct image_refs {
	struct arena *a;            /* borrowed */
	struct dockerfile *df;      /* owned; texts borrow from it */
	struct instr_list instrs;   /* all of df's */
	VEC(unsigned char) reached; /* for each instruction: 1 when the target needs its stage */
	VEC(struct image_ref) refs;
	VEC(struct image_source) sources;
};

/* Read a Dockerfile.
 *
 * path    for messages
 * target  stage name or number; "" = the last one
 * args    build arguments; NULL: none
 * a       owns texts that are made; must outlive the result
 *
 * Fails as dockerfile_parse() and dockerfile_instrs() do, and with CAIRN_E_SYNTAX for a target that
 * is no stage. */
int image_refs_read(str text, const char *path, str target, const struct image_kvs *args,
                    struct arena *a, struct image_refs *ret, struct cairn_err *err);
void image_refs_done(struct image_refs *r); /* a zeroed struct is fine */
#define cleanup_image_refs __attribute__((cleanup(image_refs_done)))

#endif
