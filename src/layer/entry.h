/* layer/entry.h - one path of a layer.
 *
 * An entry says everything an image says about a path.  It owns nothing: its
 * strings live in the index, plan or tree that it came from.
 *
 * Paths are relative to the root of the image: no leading or trailing slash,
 * no empty, "." or ".." component, no NUL; "" is the root itself.
 *
 * Order.  Everywhere in cairn the entries of a layer are sorted by path,
 * component by component, each compared bytewise: as memcmp with '/' lower
 * than every other byte.  A directory so precedes what is in it, and its
 * subtree is contiguous: "", "a", "a/b", "a/b/c", "a-b", "ab".
 *
 * Times.  mtime is in nanoseconds.  Layers that cairn writes hold whole seconds,
 * in the index, in the tar and in the layer directory that layer_write() fills,
 * as Docker's and BuildKit's layers do; two mtimes in one second are equal.
 */
#ifndef CAIRN_LAYER_ENTRY_H
#define CAIRN_LAYER_ENTRY_H

#include <stdint.h>

#include "util/digest.h"
#include "util/err.h"
#include "util/str.h"

#define LAYER_PATH_MAX        4095u  /* bytes of a path or link target, as the kernel's PATH_MAX */
#define LAYER_NAME_MAX        255u   /* bytes of one component */
#define LAYER_XATTRS_MAX      64u    /* extended attributes of one entry */
#define LAYER_XATTR_NAME_MAX  255u   /* the kernel's XATTR_NAME_MAX */
#define LAYER_XATTR_VALUE_MAX 65536u /* the kernel's XATTR_SIZE_MAX */
#define LAYER_ENTRIES_MAX     4000000u     /* entries of one layer */
#define LAYER_SIZE_MAX        (1ull << 44) /* bytes of one file, and of one layer's tar: 16 TiB */

#define LAYER_WHITEOUT_PREFIX ".wh." /* of a name in a tar; no real name may begin so */

/* The values are part of the index format and of content digests. */
enum layer_type {
	LAYER_FILE = 0,
	LAYER_DIR = 1,
	LAYER_SYMLINK = 2,
	LAYER_CHAR = 3,
	LAYER_BLOCK = 4,
	LAYER_FIFO = 5,
	LAYER_HARDLINK = 6, /* another name of the file `target` of the same layer */
	LAYER_WHITEOUT = 7, /* the path of a lower layer is gone; only path is set */
	LAYER_TYPE_N_,
};

struct layer_xattr {
	str name;  /* with its namespace: "security.capability" */
	str value; /* any bytes */
};

struct layer_entry {
	str path;
	str target; /* SYMLINK: its text; HARDLINK: path of the group's first name; else empty */
	const struct layer_xattr *xattrs; /* sorted by name; NULL when there is none */
	uint32_t n_xattrs;
	uint32_t mode; /* 12 bits: rwx, setuid, setgid, sticky; 0777 for a symlink */
	uint32_t uid, gid;
	uint32_t major, minor; /* CHAR and BLOCK, else 0 */
	uint64_t size;         /* FILE and HARDLINK: bytes of content, else 0 */
	int64_t mtime;         /* ns since 1970; may be negative */
	/* FILE and HARDLINK: of the content. Never all zero in an index. */
	struct digest digest;
	/* FILE and HARDLINK: where the content starts in the layer's tar; UINT64_MAX when
	 * it is not in it (a hard link to a file of a lower layer, size 0). */
	uint64_t tar_offset;
	enum layer_type type;
	bool opaque; /* DIR of a foreign layer: hides what lower layers have in it */
};

#define LAYER_NO_OFFSET UINT64_MAX

/* Compare two paths in the order described above: < 0, 0, > 0. */
int layer_path_cmp(str a, str b);

/* Is `path` equal to `dir` or below it? */
bool layer_path_below(str path, str dir);

/* The directory a path lies in ("" for one component) and its last component.
 * The parent of "" is "". */
str layer_path_parent(str path);
str layer_path_name(str path);

/* Is it in the form described above, within the limits? */
bool layer_path_valid(str path);

/* Value of an extended attribute; ptr is NULL when absent. */
str layer_entry_xattr(const struct layer_entry *e, str name);

/* A word for messages: "file", "directory", ... */
const char *layer_type_name(enum layer_type t);

/* mtime, rounded down to whole seconds, still in ns. */
int64_t layer_whole_seconds(int64_t ns);

/* Do both say the same, as far as an image can tell (DECISIONS.md 7): type, mode,
 * owner, device, security.capability, link target, size and, unless a directory,
 * mtime in seconds?  A HARDLINK counts as the FILE it names.  Content is not
 * looked at: the caller compares digests. */
bool layer_entry_same_meta(const struct layer_entry *a, const struct layer_entry *b);

#endif
