/* layer/plan.h - what a layer shall hold, before it is written.
 *
 * A plan is a list of entries in any order, each with the place its bytes come
 * from.  COPY, ADD, WORKDIR, import and the scans of a step's changes all make
 * one; layer_write() turns it into a layer.
 */
#ifndef CAIRN_LAYER_PLAN_H
#define CAIRN_LAYER_PLAN_H

#include "entry.h"
#include "util/arena.h"
#include "util/vec.h"

enum layer_source_kind {
	LAYER_SOURCE_NONE,  /* no content: everything but a FILE */
	LAYER_SOURCE_FILE,  /* dirfd and path */
	LAYER_SOURCE_BYTES, /* in memory */
	LAYER_SOURCE_OPEN,  /* whatever open() gives */
};

/* Where the content of a FILE comes from. Descriptors, bytes and ctx are borrowed
 * until layer_write() returns; path is copied into the plan. */
struct layer_source {
	enum layer_source_kind kind;
	int dirfd;
	str path; /* relative to dirfd; the last component is not followed when a symbolic link */
	str bytes;
	/* Open the content for reading, in any thread; *ret_fd is closed by the writer. */
	int (*open)(void *ctx, const struct layer_entry *e, int *ret_fd, struct cairn_err *err);
	void *ctx;
	/* What the content must be (from the step's key, DECISIONS.md 4); all zero: not known. */
	struct digest expected;
};

struct layer_plan_item {
	/* tar_offset is ignored; digest too, see source.expected. Never a HARDLINK: see link. */
	struct layer_entry entry;
	struct layer_source source;
	/* FILE: items with the same number that is not 0 are names of one file: the first
	 * in the order of entry.h becomes the FILE, the others HARDLINKs to it. */
	uint64_t link;
};

struct layer_plan {
	VEC(struct layer_plan_item) items; /* strings in arena */
	struct arena *arena;
};

struct layer_plan *layer_plan_new(void);
void layer_plan_free(struct layer_plan *p); /* NULL is fine */
DEFINE_CLEANUP(struct layer_plan *, layer_plan_free);
#define cleanup_layer_plan __attribute__((cleanup(layer_plan_free_p_)))
#define cleanup_layer_plan __attribute__((cleanup(layer_plan_free_p_)))

/* Add one entry. Strings and xattrs are copied.  A later entry of the same path replaces an
 * earlier one.  src may be NULL (no content); link 0 means a file with one name.
 * e->path must be valid (layer_path_valid) and e->type not HARDLINK. */
void layer_plan_add(struct layer_plan *p, const struct layer_entry *e,
                    const struct layer_source *src, uint64_t link);

/* Add a whiteout; kept only when the tree below has that path. */
void layer_plan_remove(struct layer_plan *p, str path);

#endif
