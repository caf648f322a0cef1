/* workspace/images_priv.h - private to images*.c: how a workspace's images come together.
 *
 *	images_declared.c  cairn.yaml        \
 *	images_bake.c      docker-bake.json   >  images_add()  ->  images_graph.c: groups, edges,
 *	images_compose.c   compose files     /                      order
 *	images_find.c      Dockerfiles      /
 */
#ifndef CAIRN_WORKSPACE_IMAGES_PRIV_H
#define CAIRN_WORKSPACE_IMAGES_PRIV_H

#include "image_refs.h"
#include "images.h"
#include "util/map.h"

/* A loading that runs. */
struct images_loader {
	struct ws_images *w;
	struct arena *a; /* w's */
	const struct workspace_config *config;
	struct pool *pool; /* may be NULL */
	int root_fd;
	struct map names;                   /* name -> struct ws_image */
	VEC(struct workspace_group) groups; /* also of what a matrix makes of a name */
	str groups_file;                    /* where they stand, for messages */
	bool default_group; /* what is not in the group "default", nor called so, is by_name */
};

/* Where an image is described. */
struct images_place {
	enum image_origin from;
	str file;
	unsigned line, col;
	str base;       /* folder that its paths are relative to; "." = the root */
	bool unchecked; /* the files are known to be there */
};

#define images_fail(p, err, ...) \
	cairn_fail_at((err), arena_cstr_of_(p), (p)->line, (p)->col, __VA_ARGS__)
#define arena_cstr_of_(p) ((p)->file.ptr) /* all of them are made with arena_str() */

/* Take an image over whose values are expanded: names are checked, paths cleaned, files have to be
 * there. Texts are copied. Fails with CAIRN_E_SYNTAX or CAIRN_E_NOT_FOUND at the place. */
int images_add(struct images_loader *l, const struct workspace_image *spec,
               const struct images_place *p, struct ws_image **ret, struct cairn_err *err);

/* A path relative to the folder `base` as one relative to the root, clean. Absolute ones below the
 * root are made relative. False: it leads out of the root. */
bool images_path(struct images_loader *l, str base, str path, str *ret);

/* Contexts that are no folders: URLs, docker-image://, image:NAME. */
bool images_is_url(str context);

void images_warn(struct images_loader *l, const char *fmt, ...) PRINTF(2, 3);

/* --- Dockerfiles: each is read once ------------------------------------------------------- */

/* A Dockerfile that was read; the workspace owns it. */
struct image_read {
	struct arena *arena;    /* of its texts */
	struct image_refs refs; /* when result is 0 */
	int result;             /* of reading it */
	bool there;             /* false: the file could not be read */
	struct cairn_err err;
};

struct image_reading {
	struct image_read *to;
	str text;         /* of the Dockerfile; "" = the file path has it */
	const char *path; /* relative to the root, and for messages */
	str target;
	const struct image_kvs *args; /* borrowed */
};

struct image_read *images_read_new(struct images_loader *l);

/* Any thread. */
void images_read(const struct images_loader *l, const struct image_reading *what);

/* Dockerfiles of all images that have none yet and are here, in the pool. */
void images_read_all(struct images_loader *l);
void images_reads_done(struct ws_images *w);

/* fn(ctx, 0 .. n-1) in the loader's pool, or here without one; it returns 0. */
void images_in_pool(const struct images_loader *l, size_t n,
                    int (*fn)(void *ctx, size_t i, struct cairn_err *err), void *ctx);

/* The sources. Each adds what it finds. */
int images_declared(struct images_loader *l, struct cairn_err *err);
int images_find(struct images_loader *l, struct cairn_err *err);
int images_bake(struct images_loader *l, str text, str file, struct cairn_err *err);
int images_compose(struct images_loader *l, str text, str file, struct cairn_err *err);

/* Groups, edges, and the order: w->ptr is sorted by it. */
int images_order(struct images_loader *l, struct cairn_err *err);

/* Combinations of a matrix's values: call `each` with the value of each axis, the last axis turning
 * fastest. Without axes once. Fails with CAIRN_E_SYNTAX for more than IMAGES_MAX. */
int images_combine(const struct workspace_axes *axes, const struct images_place *p,
                   int (*each)(void *ctx, const str *values, struct cairn_err *err), void *ctx,
                   struct cairn_err *err);

/* Give a found image what `defaults:` has, ${...} made out. */
int images_default_values(struct images_loader *l, str name, const struct images_place *p,
                          struct workspace_image *i, struct cairn_err *err);

/* The environment's value: true when it is set. */
bool images_env(str name, str *ret);

#endif
