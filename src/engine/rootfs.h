/* rootfs.h - root file systems for steps: layers below, a place for changes on top.
 *
 * A small ops struct with several drivers; rootfs_open() takes the best one that the
 * machine allows (see probe.h):
 *
 *	overlay          overlayfs, as root
 *	overlay-userns   overlayfs in a user namespace (userxattr)
 *	plain            a copy of the tree, where overlayfs is not allowed
 *
 * The way of a step: rootfs_prepare() adds the root to a sandbox spec; the command runs
 * (not at all is fine too); rootfs_changes() says what the layer module has to
 * scan; rootfs_free(). Nothing but the step's changes is ever in what is
 * scanned: no mount point, no stub, no touched parent directory.
 *
 * A driver that serves lower layers through FUSE fits this interface: lowers are
 * only named here, the driver alone reads them.
 */
#ifndef CAIRN_ENGINE_ROOTFS_H
#define CAIRN_ENGINE_ROOTFS_H

#include "sandbox.h"

struct machine;
struct layer_snapshot;

enum rootfs_kind {
	ROOTFS_AUTO, /* the best one that works here */
	ROOTFS_OVERLAY,
	ROOTFS_OVERLAY_USERNS,
	ROOTFS_PLAIN,
	ROOTFS_N_,
};

/* "overlay", "overlay-userns", "plain"; "auto" for ROOTFS_AUTO. */
const char *rootfs_kind_name(enum rootfs_kind kind);

struct rootfs; /* an open driver */

struct rootfs_opts {
	const struct machine *machine; /* borrowed, lives as long as the driver. Never NULL */
	enum rootfs_kind kind;         /* ROOTFS_AUTO, or one wished for (CAIRN_ROOTFS, tests) */
	/* plain: an existing directory on the store's file system for working trees, private
	 * to this process and removed after it (store_tmp_dir()). */
	const char *trees;
};

/* Fails with CAIRN_E_DENIED, saying why, when the kind wished for does not work here. */
int rootfs_open(const struct rootfs_opts *opts, struct rootfs **ret, struct cairn_err *err);
void rootfs_close(struct rootfs *r); /* NULL is fine; removes working trees */
DEFINE_CLEANUP(struct rootfs *, rootfs_close);
#define cleanup_rootfs __attribute__((cleanup(rootfs_close_p_)))

enum rootfs_kind rootfs_kind(const struct rootfs *r);

struct rootfs_request {
	const char *const *lowers; /* absolute directories in overlay form, BOTTOM first */
	size_t n_lowers;           /* may be 0 (FROM scratch) */
	const char *upper; /* empty directory that becomes the layer: store_layer_txn_fs() */
	const char *work;  /* empty sibling: store_layer_txn_work() */
	bool volatile_;    /* the upper need not survive a crash: always true for RUN */
};

/* One prepared root. */
struct rootfs_step;

/* Where the step's changes are. Paths die with the step. */
enum rootfs_form {
	ROOTFS_FORM_UPPER, /* upper holds them in overlay form: layer_scan_overlay() */
	ROOTFS_FORM_TREE,  /* tree is the whole changed tree: layer_scan_plain() against `before` */
};

struct rootfs_changes {
	enum rootfs_form form;
	const char *upper; /* FORM_UPPER: the request's */
	bool userxattr;    /* FORM_UPPER: marks are user.overlay.*, not trusted.overlay.* */
	const char *tree;  /* FORM_TREE: absolute path of the working tree */
	const struct layer_snapshot *before; /* FORM_TREE: the tree before the step */
};

/* Make a root over the layers and add it to spec (SANDBOX_ROOT_OVERLAY or _DIR). The upper
 * gets mode, owner and time of the topmost lower's root. Plain copies layers here and
 * notes the state of the tree: seconds for a large base.
 *
 * Fails with CAIRN_E_SYNTAX when there are more layers than the kernel takes,
 * CAIRN_E_SYSTEM. */
int rootfs_prepare(struct rootfs *r, const struct rootfs_request *req, struct sandbox_spec *spec,
                   struct rootfs_step **ret, struct cairn_err *err);

/* After the sandbox has ended. */
int rootfs_changes(struct rootfs_step *s, struct rootfs_changes *ret, struct cairn_err *err);

/* Release; an unfinished working tree is removed. `keep` names the layer that came out of the
 * step (its directory), so that plain can move the tree forward; NULL discards. */
void rootfs_step_free(struct rootfs_step *s, const char *keep);

#endif
