/* layer/index.h - what is in a layer, without its bytes.
 *
 * An index is immutable once made and may be read by any number of threads; its
 * reference count is atomic.  It owns its entries and their strings.
 *
 * Invariants, held by everything that makes one and checked when one is decoded:
 * entries are sorted as entry.h says, without duplicates; the parent directory
 * of each entry is in it as a LAYER_DIR (only the root may be missing: it is
 * there when the layer says something about it); the target of a HARDLINK is a
 * FILE of the same index; an entry of type FILE or HARDLINK has a digest.
 *
 * Format of an encoded index, version 1.  All numbers little-endian.
 *
 *	"cairnidx"  8 bytes
 *	u32         version
 *	u32         0
 *	u64         bytes that follow the checksum
 *	32 bytes    SHA-256 of these bytes
 *	--- body
 *	u32         number of entries
 *	u32         number of frames
 *	inline      etc/passwd  (u32 length, bytes; length 0xffffffff: not there)
 *	inline      etc/group
 *	entries, each:
 *	    u8   type
 *	    u8   flags: 1 = opaque, 2 = has a tar offset
 *	    u16  mode
 *	    u16  path length
 *	    u16  number of xattrs
 *	    path
 *	  and unless a WHITEOUT:
 *	    u32  uid, u32 gid, u64 mtime (two's complement)
 *	    FILE, HARDLINK:    u64 size, 32 bytes digest, if flag 2 u64 tar offset
 *	    SYMLINK, HARDLINK: u16 length, target
 *	    CHAR, BLOCK:       u32 major, u32 minor
 *	    xattrs:            u16 name length, u32 value length, name, value
 *	frames, each: u64 offset in the blob, u64 offset in the tar
 *
 * A frame is a piece of the compressed blob that decompresses on its own; both
 * offsets ascend, the first is (0, 0).  The last frame ends with the blob.
 */
#ifndef CAIRN_LAYER_INDEX_H
#define CAIRN_LAYER_INDEX_H

#include "entry.h"
#include "util/mem.h"
#include "util/strbuf.h"

#define LAYER_INDEX_VERSION 1u
#define LAYER_INDEX_MAX     (1024u * 1024 * 1024) /* bytes of an encoded index */
#define LAYER_INLINE_MAX    65536u                /* bytes of etc/passwd and etc/group kept */
#define LAYER_FRAMES_MAX    16777216u             /* 16 TiB in frames of 1 MiB */

/* Where one independently compressed piece of a blob begins. */
struct layer_frame {
	uint64_t blob_offset; /* bytes into the compressed blob */
	uint64_t tar_offset;  /* bytes into the tar */
};

/* Files whose bytes travel inside the index, for --chown=name (DECISIONS.md 6). */
enum layer_inline {
	LAYER_INLINE_PASSWD, /* etc/passwd */
	LAYER_INLINE_GROUP,  /* etc/group */
	LAYER_INLINE_N_,
};

struct layer_index {
	const struct layer_entry *entries;
	size_t n_entries;
	/* Content of the entry of that name; ptr NULL when the layer has no such file,
	 * it is larger than LAYER_INLINE_MAX, or it is a link. Never NULL for an empty file. */
	str inlined[LAYER_INLINE_N_];
	const struct layer_frame *frames; /* of the blob; none until it was compressed */
	size_t n_frames;
	/* Private: */
	unsigned refs;
	struct arena *arena;            /* of what is not in `bytes` */
	char *bytes;                    /* the encoded form that views point into, or NULL */
	const struct layer_index *base; /* owner of the entries, for layer_index_with_frames() */
};

/* Path of an inlined file: "etc/passwd", "etc/group". */
str layer_inline_path(enum layer_inline which);

/* Make an index of these entries: everything is copied.
 * inlined may be NULL.  The invariants above are asserted, not checked. */
struct layer_index *layer_index_new(const struct layer_entry *entries, size_t n_entries,
                                    const str inlined[LAYER_INLINE_N_]);

struct layer_index *layer_index_ref(const struct layer_index *ix); /* returns ix */
void layer_index_unref(const struct layer_index *ix);              /* NULL is fine */
DEFINE_CLEANUP(struct layer_index *, layer_index_unref);
#define cleanup_layer_index __attribute__((cleanup(layer_index_unref_p_)))

/* The same index with the frames of its blob: a new one that shares the entries. */
struct layer_index *layer_index_with_frames(const struct layer_index *ix,
                                            const struct layer_frame *frames, size_t n_frames);

/* The entry of that path, or NULL. Borrowed from ix. */
const struct layer_entry *layer_index_find(const struct layer_index *ix, str path);

/* Append the encoded form to out, whose maximum should be LAYER_INDEX_MAX. */
void layer_index_encode(const struct layer_index *ix, struct strbuf *out);

/* Read an encoded index; the bytes are copied once.
 * Fails with CAIRN_E_DIGEST when they are damaged, of another version, or break an
 * invariant: an index may come from anywhere. */
int layer_index_decode(str bytes, struct layer_index **ret_owned, struct cairn_err *err);

/* Digest of what the layer says, mtimes and offsets aside (DECISIONS.md 8).  Equal for
 * two runs of a step that made the same files. */
struct digest layer_index_content_digest(const struct layer_index *ix);

/* Where to begin reading the blob for `tar_offset`: *ret_blob_offset, and how many bytes
 * to skip there after decompression.  false when the index has no frames. */
bool layer_index_seek(const struct layer_index *ix, uint64_t tar_offset, uint64_t *ret_blob_offset,
                      uint64_t *ret_skip);

#endif
