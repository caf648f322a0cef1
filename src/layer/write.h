/* layer/write.h - turn a plan into a layer: the one function that makes layers.
 *
 * Canonical form (DECISIONS.md 7), the same whatever made the plan:
 *  - explicit whiteouts only, only for paths that the tree below has; an opaque
 *    directory of the plan becomes whiteouts of what it hides;
 *  - an entry only when it differs from the tree below (layer_entry_same_meta() and
 *    content); a directory never for its mtime alone;
 *  - all ancestor directories of every entry, with the metadata of the plan, else of
 *    the tree below, else 0755 0:0; never the root for that reason;
 *  - the names of a hard-link group: the first is the file;
 *  - mtimes in whole seconds; security.capability in version 2;
 *  - sorted (entry.h).
 */
#ifndef CAIRN_LAYER_WRITE_H
#define CAIRN_LAYER_WRITE_H

#include "plan.h"
#include "stream.h"
#include "tree.h"

struct pool;

/* The namespace that overlayfs keeps its marks in: trusted.overlay.* as real root,
 * user.overlay.* when mounted with "userxattr" in a user namespace. */
enum layer_xattr_ns {
	LAYER_XATTR_TRUSTED,
	LAYER_XATTR_USER,
};

struct layer_write_opts {
	int out_dirfd; /* empty directory to fill, or -1: the sources already lie in the layer's
	                  directory (a step's upper). The caller gave it the owner and mode of "/"
	                */
	const struct layer_sink *tar; /* gets the tar; NULL: it is only hashed */
	struct pool *pool;            /* NULL: everything in the calling thread */
	int64_t parent_mtime; /* ns: of directories that are made because they were missing */
	uint32_t max_id;      /* largest uid and gid that exist here; 0: no limit */
	enum layer_xattr_ns xattr_ns; /* for marks in out_dirfd */
};
#define LAYER_WRITE_OPTS_INIT   \
	{                       \
		.out_dirfd = -1 \
	}

/* What writing or unpacking gives. */
struct layer_result {
	struct layer_index *index; /* owned */
	struct digest diff_id;     /* of the tar */
	uint64_t tar_size;         /* bytes of the tar */
	uint64_t content_size;     /* bytes of all files in it */
	/* Unpacking only: the directory is right only on top of the tree it was unpacked
	 * over (implicit parents, links to lower files, whiteouts): key it by the chain,
	 * else by diff_id (DECISIONS.md 2). */
	bool lower_dependent;
	/* Device nodes that this machine did not let us make: they are in the index and not in
	 * the directory (DECISIONS.md 11). Paths joined by NUL, each ended by one; owned. */
	char *absent;
	size_t absent_len;
};
void layer_result_done(struct layer_result *r); /* frees; zeroed afterwards */
#define cleanup_layer_result __attribute__((cleanup(layer_result_done)))

/* Write the layer.  Each file is read once: its digest, the tar's digest, the tar and the
 * copy in out_dirfd come out of one pass, spread over the pool. Memory is bounded by the
 * number of entries and two buffers of LAYER_ROUND_BYTES. Nothing is synced.
 *
 * plan     is sorted and changed
 * below    the tree that the layer will lie on
 * ret      owned by the caller, layer_result_done()
 *
 * On failure out_dirfd is left as it is, for the caller to throw away.
 * Fails with CAIRN_E_DIGEST naming the file when content is not what source.expected says or
 * the file changed while it was read; CAIRN_E_DENIED for an owner above max_id;
 * CAIRN_E_UNSUPPORTED for a name that begins with ".wh."; CAIRN_E_SYSTEM with sys set
 * (ENOSPC: the disk is full).
 */
int layer_write(struct layer_plan *plan, const struct tree *below,
                const struct layer_write_opts *opts, struct layer_result *ret,
                struct cairn_err *err);

#define LAYER_ROUND_BYTES (4u * 1024 * 1024)

struct layer_tar_opts {
	const struct layer_sink *sink; /* gets the tar; NULL: it is only hashed */
	struct pool *pool;             /* NULL: the calling thread alone */
	int64_t clamp_mtime; /* ns: later mtimes become this one (SOURCE_DATE_EPOCH); INT64_MAX:
	                        none */
};
#define LAYER_TAR_OPTS_INIT              \
	{                                \
		.clamp_mtime = INT64_MAX \
	}

/* Give an own layer's tar again, byte for byte (DECISIONS.md 27): each file is read from
 * `dirfd` at its path and compared with its digest in the index.
 *
 * ret_diff_id  of what was written: the caller compares it when nothing was clamped
 * ret_size     bytes; may be NULL
 *
 * Fails with CAIRN_E_DIGEST naming the file whose content is not what the index says. */
int layer_tar(const struct layer_index *ix, int dirfd, const struct layer_tar_opts *opts,
              struct digest *ret_diff_id, uint64_t *ret_size, struct cairn_err *err);

#endif
