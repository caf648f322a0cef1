/* layer/xattr.h - private: which extended attributes a layer holds.
 *
 * File capabilities come in two versions: 2 (20 bytes) and, made inside a user namespace
 * and read outside it, 3 with the namespace's root id behind it (24 bytes).  Images
 * hold version 2 (DECISIONS.md 11).  Format: linux/capability.h, struct vfs_cap_data.
 */
#ifndef CAIRN_LAYER_XATTR_H
#define CAIRN_LAYER_XATTR_H

#include "entry.h"
#include "util/arena.h"
#include "write.h"

#define XATTR_CAPS "security.capability"

/* The value of security.capability as an image holds it: version 3 becomes 2 (copied into
 * a), anything else stays as it is. */
str xattr_caps_v2(struct arena *a, str value);

/* Is it one of overlayfs's own, in either namespace ("trusted.overlay.", "user.overlay.")? */
bool xattr_is_overlay(str name);

/* Is it kept when a foreign layer is read: security.capability, and user.* but overlay's? */
bool xattr_allowed(str name);

/* "trusted.overlay.opaque" or "user.overlay.opaque", ... */
const char *xattr_overlay_opaque(enum layer_xattr_ns ns);

/* Sort by name; of equal names the last one given stays. Returns how many are left. */
uint32_t xattr_sort(struct layer_xattr *x, uint32_t n);

#endif
