/* layer/scan_walk.h - private: walk a directory that belongs to us and turn what
 * lies there into entries. */
#ifndef CAIRN_LAYER_SCAN_WALK_H
#define CAIRN_LAYER_SCAN_WALK_H

#include <sys/stat.h>

#include "plan.h"
#include "scan.h"

/* Something below the root, or the root itself. Dies when the callback returns. */
struct walk_item {
	int root;         /* the directory that is walked */
	const char *path; /* relative to it; "" for the root */
	int parent;       /* descriptor of the directory it lies in */
	const char *name; /* in it; "." for the root */
	struct stat st;
};

/* Call fn for the root and everything below it, parents first, in no particular order
 * otherwise.  Symbolic links are not followed.  Fails with CAIRN_E_UNSUPPORTED for a path
 * longer than LAYER_PATH_MAX. */
int walk_dir(int root, int (*fn)(void *ctx, const struct walk_item *item, struct cairn_err *err),
             void *ctx, struct cairn_err *err);

/* Extended attributes that matter, of a file or a directory. */
struct walk_xattrs {
	str caps;      /* security.capability, version 2; in the arena; ptr NULL without */
	bool opaque;   /* overlay.opaque = "y" */
	bool whiteout; /* overlay.whiteout: an empty file that stands for a removed one */
	bool redirect; /* overlay.redirect */
	bool metacopy; /* overlay.metacopy */
};

/* ns: whose attributes are overlayfs's; NULL: nobody's.  Nothing is read of other types. */
int walk_read_xattrs(const struct walk_item *item, const enum layer_xattr_ns *ns, struct arena *a,
                     struct walk_xattrs *ret, struct cairn_err *err);

/* Add the item to the plan, as it is there. A socket, which no tar can hold, counts as removed. */
int walk_add(struct layer_plan *plan, const struct walk_item *item, const struct walk_xattrs *x,
             struct cairn_err *err);

#endif
