/* workspace/images.h - the images of a repository: what they are called, what they are built from.
 *
 * They come from a batch file (docker-bake.json, the build sections of a compose file), if one is
 * named; without it from `images:` of cairn.yaml; without that every Dockerfile of the repository
 * is an image.  All paths are relative to the root of the workspace, clean, with '/' between their
 * parts and without one at the end; "." is the root itself.
 *
 * An image stands on another when its Dockerfile says FROM (or COPY --from, or a mount's from=)
 * a name that the other image has, when one of its named contexts is "image:NAME", or when
 * `depends:` names it.  These edges form a graph without cycles.
 */
#ifndef CAIRN_WORKSPACE_IMAGES_H
#define CAIRN_WORKSPACE_IMAGES_H

#include "config.h"
#include "image/image.h"
#include "repo_git.h"

#define IMAGES_MAX 10000u /* images of one workspace */

/* Where the description of an image comes from. */
enum image_origin {
	IMAGE_FOUND,    /* a Dockerfile that was found */
	IMAGE_DECLARED, /* images: of cairn.yaml */
	IMAGE_BAKE,     /* a target of docker-bake.json */
	IMAGE_COMPOSE,  /* a service of a compose file */
};

struct ws_image {
	str name;               /* unique in the workspace: letters, digits, ".", "_", "-", "/" */
	enum image_origin from; /* and where: */
	str file;               /* that describes it, as shown in messages */
	unsigned line, col;     /* in it; 0: the whole file */

	str context;               /* folder, or a URL */
	str dockerfile;            /* file */
	str dockerfile_inline;     /* its text, in place of a file; "" = none */
	str target;                /* stage; "" = the last one */
	struct image_kvs args;     /* build arguments, sorted by name */
	struct image_kvs contexts; /* named contexts; a value "image:NAME" is an image of the
	                              workspace */
	struct image_kvs labels;
	struct image_strs tags;       /* references that it gets, the first being its main one */
	struct image_strs platforms;  /* "linux/amd64"; none: the machine's */
	struct image_strs secrets;    /* as --secret has them */
	struct image_strs groups;     /* that it is in; sorted */
	struct image_strs depends;    /* names of images that are built before it, as written */
	enum image_category category; /* as written; UNKNOWN: nothing is written */
	uint64_t deadline;            /* ns within which it should be there; 0 = none is set */
	str runner;                   /* name of the runner it has to go to; "" = any */
	bool by_name; /* it is meant only by its name: "all images" leave it out, unless another
	                 stands on it (bake: not in the group "default") */
	str note;     /* how the context was chosen, when that had to be found out; "" = nothing
	                 to say */

	/* Images it stands on, sorted by name, without duplicates. */
	struct ws_image **parents;
	size_t n_parents;
	/* Names, normalised, of the other images that its Dockerfile names; as far as they are
	 * certain without any of them. */
	struct image_strs bases;
	size_t order; /* its place: parents have smaller ones */
	/* Its Dockerfile (images_priv.h); NULL: it lies elsewhere. */
	const struct image_read *read;
};

struct ws_images {
	struct arena *arena;   /* owns everything */
	const char *root;      /* absolute: what all paths are relative to */
	struct ws_image **ptr; /* in the order of building */
	size_t len;
	VEC(struct image_read *) reads; /* of the images */
	VEC(str) warnings;              /* one line each, for the user */
	struct repo_git *git; /* what git knows, when that was asked for to find images; or NULL */
};

struct images_opts {
	const struct workspace_config *config; /* borrowed while images_load() works */
	const char *bake;                      /* --bake FILE; NULL = none is named */
	struct pool *pool;                     /* that reads folders; NULL: the calling thread */
};

/* All images of the workspace, in the order of building.
 *
 * Fails with CAIRN_E_SYNTAX (path, line, column set) for a mistake in one of the files: two images
 * of one name, an image that is named and does not exist (with a suggestion), a cycle (all of its
 * images are named), with CAIRN_E_NOT_FOUND for a Dockerfile or context that is not there. */
int images_load(const struct images_opts *opts, struct ws_images **ret, struct cairn_err *err);

/* The image of that name, or NULL. */
struct ws_image *images_get(const struct ws_images *w, str name);

/* Some images, in the order of building. */
struct ws_image_list {
	struct ws_image **ptr;
	size_t len;
};

/* Those that words of a command line mean: names, names of groups, or patterns with * and ?; no
 * words mean all that are not by_name, with what they stand on. The result is in the order of
 * building; `with_parents` adds what they stand on. Allocated in `a`. Fails with CAIRN_E_NOT_FOUND
 * for a word that means none (with a suggestion). */
int images_select(const struct ws_images *w, const char *const *words, size_t n, bool with_parents,
                  struct arena *a, struct ws_image_list *ret, struct cairn_err *err);

/* The Dockerfile of an image, as images_load() read it; NULL: it lies elsewhere, or cannot be
 * read, or something in it is wrong. Lives as long as the workspace. */
const struct dockerfile *images_dockerfile(const struct ws_image *i);

void images_free(struct ws_images *w); /* NULL is fine */
DEFINE_CLEANUP(struct ws_images *, images_free);
#define cleanup_images __attribute__((cleanup(images_free_p_)))

/* --- categories ------------------------------------------------------------------ */

/* One thing that speaks for a category. */
struct category_evidence {
	enum image_category category; /* that it speaks for */
	str text;                     /* "FROM nvidia/cuda:12.4 (containers/splat/Dockerfile:3)" */
};

/* What is known of an image beside its Dockerfile; 0 = not known. */
struct category_facts {
	uint64_t size;    /* bytes of its layers' tars, when it was built last */
	uint64_t wall_ns; /* what a build without any hit took */
	uint64_t memory;  /* bytes; most that a step took */
};

struct category {
	enum image_category category;
	bool declared; /* somebody wrote it down: evidence is only told */
	struct category_evidence *evidence;
	size_t n_evidence;
};

/* The category of an image and what it is concluded from: base image, packages of CUDA, torch and
 * compilers, compile steps, size, history. Nothing found is LIGHT. Allocated in `a`. A Dockerfile
 * that cannot be read is no evidence. */
void images_categorize(const struct ws_images *w, const struct ws_image *i,
                       const struct category_facts *facts, struct arena *a, struct category *ret);

/* "light", "heavy", "gpu", "unknown"; static. */
const char *image_category_name(enum image_category c);

#endif
