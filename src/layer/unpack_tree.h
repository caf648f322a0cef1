/* layer/unpack_tree.h - private: the layer that is being unpacked, as far as it is known.
 *
 * Names are nodes; a node is there (`present`), or is only a mark that the lower
 * layers' path of that name is gone (`whiteout`), or both.  All parents of a
 * node are present directories.  Files are bodies: a hard link is another
 * name of one body, so that replacing a name leaves the others whole.
 */
#ifndef CAIRN_LAYER_UNPACK_TREE_H
#define CAIRN_LAYER_UNPACK_TREE_H

#include <stdatomic.h>

#include "ahead.h"
#include "outdir.h"
#include "tree.h"
#include "unpack.h"
#include "util/arena.h"
#include "util/map.h"
#include "util/vec.h"

struct body {
	struct layer_entry e; /* path: the name that it was made with */
	str bytes;            /* content that may be inlined; ptr NULL when not kept */
	size_t first;         /* used at the end: position of its first name, + 1 */
	int fd;               /* unpack_files.c: while its content is on the way, else -1 */
};

/* A piece of a file in a buffer of the reader. */
struct file_piece {
	struct body *body;
	str bytes;
	bool first, last; /* of the file */
};

struct node {
	struct layer_entry e; /* path always; the rest when present and not a file */
	struct node *parent;
	struct node *children, *next;  /* in no order */
	struct body *body;             /* present FILE */
	const struct tree_node *lower; /* present DIR: what it merges with, or NULL */
	bool present, whiteout, opaque;
	bool implicit; /* not named by the tar: made for what is in it */
	bool linked;   /* among its parent's children; not when that was removed since */
};

struct unpack {
	const struct layer_unpack_opts *opts;
	const struct tree *below;
	struct arena *arena;
	struct map nodes; /* path -> struct node */
	struct node *root;
	struct outdir out;
	struct strbuf absent;
	size_t inline_left; /* bytes that may still be kept */
	bool lower_dependent;
	/* unpack_files.c: what lies in the reader's buffers. */
	struct tar_reader *tar;
	VEC(struct file_piece) pieces[AHEAD_BUFFERS]; /* number i's are in i % AHEAD_BUFFERS */
	uint64_t number;     /* of the buffer that a piece was found in last */
	struct body *begun;  /* its last piece has not been seen */
	atomic_bool stopped; /* nothing more is written */
};

/* A name as it shall be: no leading slash, no "." or "..". *ret is in u->arena.
 * Fails with CAIRN_E_DIGEST when it climbs above the root or is too long. */
int name_clean(struct unpack *u, str raw, str *ret, struct cairn_err *err);

/* A directory that a path leads to; node is NULL when only lower layers have it. */
struct place {
	struct node *node;
	const struct tree_node *lower;
	bool missing; /* it does not exist (only without `make`) */
};

/* The directory `path` (clean), symbolic links followed.  make: it and what is missing on the way
 * becomes part of this layer. */
int place_dir(struct unpack *u, str path, bool make, struct place *ret, struct cairn_err *err);

/* The node `name` of a directory of this layer, made (absent) when it is new; fails only for
 * paths that are too long. */
int node_get(struct unpack *u, struct node *dir, str name, struct node **ret,
             struct cairn_err *err);
struct node *node_find(struct unpack *u, const struct node *dir, str name); /* or NULL */

/* What a lower layer shows at `name` of that directory; NULL when nothing or hidden. */
const struct tree_node *node_lower(struct unpack *u, const struct node *dir, str name);

/* Nothing of the lower layers shows below this directory any more. */
void node_hide_lower(struct node *dir);

/* Take the node and all below it out of the layer (its marks stay). */
void node_remove(struct node *n);

#endif
