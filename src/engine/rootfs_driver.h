/* rootfs_driver.h - private: what a driver of root file systems implements. */
#ifndef CAIRN_ENGINE_ROOTFS_DRIVER_H
#define CAIRN_ENGINE_ROOTFS_DRIVER_H

#include "probe.h"
#include "rootfs.h"
#include "util/fs.h"

struct rootfs_step {
	struct rootfs *root;
	char *upper;
	struct plain_tree *tree;       /* plain */
	struct layer_snapshot *before; /* plain */
};

struct rootfs_driver {
	enum rootfs_kind kind;
	const char *name;
	/* Why the driver does not work here, or NULL. */
	const char *(*refuses)(const struct machine *m);
	int (*prepare)(struct rootfs *r, const struct rootfs_request *req,
	               struct sandbox_spec *spec, struct rootfs_step *step, struct cairn_err *err);
	int (*changes)(struct rootfs_step *step, struct rootfs_changes *ret, struct cairn_err *err);
	void (*step_done)(struct rootfs_step *step, const char *keep);
	void (*close)(struct rootfs *r); /* NULL: nothing to do */
};

struct plain_trees; /* the working trees of one process; rootfs_plain.c */

struct rootfs {
	const struct rootfs_driver *driver;
	const struct machine *machine;
	char *trees_dir;
	struct plain_trees *trees; /* NULL until plain makes the first */
};

extern const struct rootfs_driver rootfs_overlay, rootfs_overlay_userns, rootfs_plain;

/* Give directory `to` the mode, owner and times of directory `from`; NULL: 0755, 0:0. */
int rootfs_like(const char *from, const char *to, struct cairn_err *err);

#endif
