/* rootfs_copy.h - private: lay a layer over a working tree by copying. */
#ifndef CAIRN_ENGINE_ROOTFS_COPY_H
#define CAIRN_ENGINE_ROOTFS_COPY_H

#include "util/err.h"

/* Make tree what an overlay of it and the layer directory on top would show: whiteouts (char 0:0)
 * remove, opaque directories replace, all else is copied with mode, owner, times and
 * file capabilities. Files are cloned where the file system can, never hard-linked to the
 * layer: a step may write to them (DECISIONS.md 12). Hard links inside the layer stay
 * hard links in the tree. Fails with CAIRN_E_SYSTEM. */
int rootfs_copy(const char *layer, const char *tree, struct cairn_err *err);

#endif
