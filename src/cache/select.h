/* cache/select.h - which files a COPY, an ADD or a mount reads.
 *
 * Sources are resolved over a flat, sorted list of files: the build context, a
 * named context, or the tree that another stage ended with.  The result says
 * everything that the copy will do apart from where it puts it, so its digest
 * can stand in a key.
 */
#ifndef CAIRN_CACHE_SELECT_H
#define CAIRN_CACHE_SELECT_H

#include "graph/graph.h"
#include "layer/layer.h"

/* A file that could be read. */
struct view_file {
	const struct layer_entry *entry; /* digest may be missing until it is hashed */
	unsigned layer;                  /* view of a tree: layer whose directory has its content */
};

/* All files below one root, sorted as layer/entry.h says, the root itself left out.
 * Every parent directory is in it. Borrows the entries. */
struct view {
	struct view_file *files;
	size_t n;
	bool owners; /* uid and gid count; a context has none: all files are root's */
	str what;    /* for messages: "the build context", "stage 'build'" */
};

/* View of everything in a tree; allocated in `a`, borrows `t`. */
void view_of_tree(struct arena *a, const struct tree *t, str what, struct view *ret);

/* The file of exactly that path (no link followed), or NULL. */
const struct view_file *view_find(const struct view *v, str path);

/* `path` cleaned, inside the root, without links in it (the last one followed too).
 * *ret_file is NULL for the root. False when it does not exist. */
bool view_resolve(struct arena *a, const struct view *v, str path, str *ret_path,
                  const struct view_file **ret_file);

/* One source word that matched. */
struct select_match {
	str name;     /* last component of the source, as matched; "" for the root */
	bool dir;     /* a directory: its contents are copied */
	size_t first; /* its items in selection->items */
	size_t n;     /* a directory's own item comes first, unless it is the root */
};

struct select_item {
	str rel; /* path below the copied directory; "" for the directory or the file itself */
	const struct view_file *file;
};

struct selection {
	struct select_match *matches;
	size_t n_matches;
	struct select_item *items;
	size_t n_items;
	str *empty; /* wildcards that matched nothing: worth a warning */
	size_t n_empty;
};

/* Resolve the sources of a COPY. Symbolic links are followed in a source's own path, inside
 * the root, and never in what lies below it. Allocated in `a`; borrows the view.
 *
 * Fails with CAIRN_E_NOT_FOUND naming the source that does not exist. */
int select_copy(struct arena *a, const struct view *v, const struct graph_copy *c,
                struct selection *ret, struct cairn_err *err);

/* Everything at and below `path` (absolute), for a bind mount.
 * Fails with CAIRN_E_NOT_FOUND. */
int select_path(struct arena *a, const struct view *v, str path, struct selection *ret,
                struct cairn_err *err);

/* Digest over what was selected: names, types, modes, owners, links and contents; no mtimes.
 * All files have their digests by now.
 *
 * any_mode  --chmod sets the modes, so those of the source do not count (DECISIONS.md 18)
 */
struct digest selection_digest(const struct selection *s, const struct view *v, bool any_mode);

#endif
