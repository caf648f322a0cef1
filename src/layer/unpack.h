/* layer/unpack.h - read a layer's tar that comes from outside.
 *
 * Understands ustar, GNU (long names, base-256 numbers) and PAX (path, linkpath,
 * size, mtime, uid, gid, SCHILY.xattr.*).  The input is
 * hostile:
 *
 *   case                                    what happens
 *   absolute name                           leading slashes are dropped, as Docker does
 *   name that climbs above the root         error
 *   parent is a symbolic link               resolved inside the tree below and this layer
 *   parent missing                          made, with the lower one's metadata, else 0755 0:0
 *   parent is a file                        error
 *   same name twice                         the last one wins; directories keep their children
 *   hard link to a name of this layer       another name of that file
 *   hard link to a lower file               a copy of it (copy-up)
 *   hard link to a directory, to nothing    error
 *   char device 0:0                         error: overlayfs would read it as a whiteout
 *   .wh.x                                   x of the lower layers is gone
 *   .wh.d together with d/                  d is opaque, in either order
 *   .wh..wh..opq                            its directory is opaque
 *   other .wh..wh.*                         ignored (aufs)
 *   trusted.overlay.*, user.overlay.*       dropped
 *   other xattrs                            security.capability and user.* kept, else dropped
 *   GNU sparse, GNU multi-volume            error
 *   uid or gid above max_id                 error before the entry is made
 *   too many, too long, too large           error; limits in entry.h and below
 *   truncated, bad checksum, bad number     error
 *
 * Nothing outside out_dirfd can be reached: every parent is a directory that this
 * unpacking made, opened without following symbolic links.
 */
#ifndef CAIRN_LAYER_UNPACK_H
#define CAIRN_LAYER_UNPACK_H

#include "write.h"

#define LAYER_PAX_MAX (1024u * 1024) /* bytes of one PAX header, as Go's archive/tar */

struct layer_unpack_opts {
	int out_dirfd;                /* empty directory to fill; -1: make the index only */
	uint32_t max_id;              /* largest uid and gid that exist here; 0: no limit */
	enum layer_xattr_ns xattr_ns; /* for opaque marks in out_dirfd */
	/* Read (that is, decompress) and hash the tar here, ahead of the rest: tar->read() then
	 * runs in the pool's threads, one call at a time. NULL: in the calling thread. */
	struct pool *pool;
	/* Open a file of a lower layer, for a hard link to it.  Needed only with out_dirfd;
	 * NULL makes such a link an error. *ret_fd is closed by the unpacker. */
	int (*open_lower)(void *ctx, const struct tree_node *node, int *ret_fd,
	                  struct cairn_err *err);
	void *ctx;
};
#define LAYER_UNPACK_OPTS_INIT  \
	{                       \
		.out_dirfd = -1 \
	}

/* Read the tar to its end (also what follows the end mark: it belongs to diff_id).
 *
 * tar    uncompressed; see decompress_new() in compress.h
 * below  the tree the layer lies on
 * ret    owned by the caller; on failure the directory is the caller's to throw away
 *
 * In out_dirfd whiteouts become char devices 0:0 and opaque directories get overlayfs's mark,
 * so that it can be a lower directory.
 * Fails with CAIRN_E_DIGEST for what is malformed or hostile, CAIRN_E_UNSUPPORTED for what
 * is valid but not supported, CAIRN_E_DENIED for owners above max_id, CAIRN_E_SYSTEM.
 */
int layer_unpack(const struct layer_reader *tar, const struct tree *below,
                 const struct layer_unpack_opts *opts, struct layer_result *ret,
                 struct cairn_err *err);

#endif
