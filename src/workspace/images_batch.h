/* workspace/images_batch.h - what reading docker-bake.json and compose files has in common.
 * Private. */
#ifndef CAIRN_WORKSPACE_IMAGES_BATCH_H
#define CAIRN_WORKSPACE_IMAGES_BATCH_H

#include "conf_bind.h"
#include "images_priv.h"
#include "vars.h"

/* A file that is read. */
struct images_batch {
	struct images_loader *l;
	struct conf_reader reader;
	struct conf_node *root;
	const char *told[16]; /* keys that a warning was given about */
	size_t n_told;
};

/* A key of an image that means nothing here. */
struct batch_ignored {
	const char *key;
	const char *why; /* told once; NULL: nobody would ask */
};

/* A copy of the tree whose texts are expanded. plain: also texts without quotes. The merged and
 * shared nodes are copied each time, which conf_tree.h bounds. */
int batch_expand(const struct images_batch *b, const struct vars *v, bool plain,
                 const struct conf_node *n, struct conf_node **ret, struct cairn_err *err);

/* Warn once of each key of `n` that is not read. The table ends with an empty row. */
void batch_tell_ignored(struct images_batch *b, const struct conf_node *n,
                        const struct batch_ignored *table);

/* Values of named contexts "PREFIXname" become "image:name". */
void batch_rename_contexts(const struct images_batch *b, struct image_kvs *contexts,
                           const char *prefix);

/* Add a group. */
void batch_add_group(struct images_batch *b, const struct conf_pair *at, const str *members,
                     size_t n);

#endif
