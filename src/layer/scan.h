/* layer/scan.h - what a step changed, as a plan for layer_write().
 *
 * Two ways, one per kind of root file system; both give the same layer
 * (DECISIONS.md 7).  The directory must not change during the scan.  The plan's
 * sources borrow the directory's descriptor.
 *
 * Only security.capability is taken of the extended attributes, as version 2
 * (DECISIONS.md 10, 11).  Sockets are left out (and hide
 * what was at their path).  A name that begins with ".wh."
 * fails with CAIRN_E_UNSUPPORTED: no layer can hold it.
 */
#ifndef CAIRN_LAYER_SCAN_H
#define CAIRN_LAYER_SCAN_H

#include "write.h"

/* The upper directory of an overlay, mounted with redirect_dir=off, metacopy=off,
 * index=off.  Call it in the user namespace of the mount.
 *
 * ns   namespace of the overlay's own attributes; the other one's are ordinary
 *
 * Fails with CAIRN_E_UNSUPPORTED when a redirect or metacopy attribute is met:
 * the upper is not complete then (DECISIONS.md 3). */
int layer_scan_overlay(int upper_dirfd, enum layer_xattr_ns ns, struct layer_plan **ret_owned,
                       struct cairn_err *err);

/* What a plain directory looked like before a step. */
struct layer_snapshot;

/* Note inode, change time, mode, owner and size of everything below dirfd, and wait until
 * the file system's clock has ticked, so that every later change shows (DECISIONS.md 12). */
int layer_snapshot_take(int dirfd, struct layer_snapshot **ret_owned, struct cairn_err *err);
void layer_snapshot_free(struct layer_snapshot *s); /* NULL is fine */
DEFINE_CLEANUP(struct layer_snapshot *, layer_snapshot_free);
#define cleanup_layer_snapshot __attribute__((cleanup(layer_snapshot_free_p_)))

/* What differs from the snapshot. A path that was not there before the step (a device node
 * that could not be made) gives no whiteout. */
int layer_scan_plain(int dirfd, const struct layer_snapshot *before, struct layer_plan **ret_owned,
                     struct cairn_err *err);

#endif
