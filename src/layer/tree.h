/* layer/tree.h - what a chain of layers looks like when it is mounted.
 *
 * A tree is immutable.  Pushing a layer gives a new tree that shares all
 * directories the layer does not touch, so that a tree costs memory only for
 * what its top layer changed, and two stages FROM one base share that base.
 * Trees are counted by reference (atomically); a tree keeps the tree it was
 * made from and the pushed index alive.  Any number of threads may read one.
 *
 * The root directory always exists: 0755, owner 0:0, mtime 0, until a layer says
 * otherwise.
 */
#ifndef CAIRN_LAYER_TREE_H
#define CAIRN_LAYER_TREE_H

#include "index.h"
#include "util/strbuf.h"

struct tree;
struct tree_dir;

#define TREE_SYMLINKS_MAX 40u /* followed in one resolution, as the kernel's MAXSYMLINKS */

/* A path of the tree. Borrowed from the tree; dies with its last reference. */
struct tree_node {
	const struct layer_entry *entry; /* never a WHITEOUT */
	const struct tree_dir *dir;      /* its children when it is a directory, else NULL */
	unsigned layer; /* number of the layer, from 0, whose directory holds its content (at
	                   entry->path); for the root of an empty tree 0 */
};

struct tree *tree_new(void); /* no layer: the root directory alone. Owned */
struct tree *tree_ref(const struct tree *t);
void tree_unref(const struct tree *t); /* NULL is fine */
DEFINE_CLEANUP(struct tree *, tree_unref);
#define cleanup_tree __attribute__((cleanup(tree_unref_p_)))

/* A new tree: `below` with one more layer on it. Takes its own references. Owned. */
struct tree *tree_push(const struct tree *below, const struct layer_index *layer);

/* The chain, from the base up. */
unsigned tree_n_layers(const struct tree *t);
const struct layer_index *tree_layer(const struct tree *t, unsigned i); /* borrowed */
const struct tree *tree_below(const struct tree *t); /* without the top layer; NULL for none */

/* Identity of the tree: H(id of the tree below, content digest of the layer). */
struct digest tree_id(const struct tree *t);

/* The node of exactly this path, no symbolic link followed; NULL when absent. */
const struct tree_node *tree_find(const struct tree *t, str path);
const struct tree_node *tree_root(const struct tree *t); /* never NULL */

/* Children of a directory in order (bytewise by name). */
size_t tree_dir_len(const struct tree_dir *d);
const struct tree_node *tree_dir_at(const struct tree_dir *d, size_t i);
const struct tree_node *tree_dir_find(const struct tree_dir *d, str name); /* or NULL */

/* Call fn for `start` and everything below it, in the order of entry.h; start NULL is
 * the whole tree. fn returns < 0 to stop; that is returned. */
int tree_walk(const struct tree *t, const struct tree_node *start,
              int (*fn)(void *ctx, const struct tree_node *node, struct cairn_err *err), void *ctx,
              struct cairn_err *err);

enum tree_resolve_flags {
	TREE_NOFOLLOW = 1u << 0, /* do not follow a symbolic link that is the last component */
};

/* Where a path leads when it is opened inside the image: symbolic links are followed,
 * ".." and absolute targets stay inside the root.
 *
 * path       may begin with slashes and hold "." and ".."
 * ret_path   cleared and set to the path without any symbolic link in it, in the form of
 *            entry.h; components that do not exist are kept as written.  Give it a
 *            maximum of LAYER_PATH_MAX or more
 * ret_node   the node, or NULL when the path does not exist; may be NULL
 *
 * Fails with CAIRN_E_SYSTEM and sys ELOOP or ENOTDIR as open(2) would, or ENAMETOOLONG.
 */
int tree_resolve(const struct tree *t, str path, unsigned flags, struct strbuf *ret_path,
                 const struct tree_node **ret_node, struct cairn_err *err);

/* Content of /etc/passwd or /etc/group as the image sees it.  Sets *ret to an empty view
 * with ptr NULL when the tree has no such file.
 * Fails with CAIRN_E_UNSUPPORTED when it is there but not inlined (too large, a link
 * to another file): the caller may read it from the layer's directory. */
int tree_inlined(const struct tree *t, enum layer_inline which, str *ret, struct cairn_err *err);

#endif
