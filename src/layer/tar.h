/* layer/tar.h - the tar that cairn writes, and constants for reading.
 *
 * POSIX.1-2001 (ustar with PAX headers where needed), chosen so that an entry has
 * exactly one form:
 *  - order of entries: entry.h; "./" is the root; directories end with '/';
 *  - mode, uid, gid, size, mtime in octal with a NUL after the last digit;
 *    mtime in whole seconds; no user or group names;
 *  - a name longer than 100 bytes is split into prefix and name at the first '/'
 *    that makes both fit; otherwise, and for link targets longer than 100 bytes, for
 *    numbers that do not fit in octal and for extended attributes there is a
 *    PAX header in front of the entry with the records gid, linkpath, mtime, path,
 *    size, uid, SCHILY.xattr.NAME, in this order;
 *  - a whiteout of x is an empty file .wh.x, mode 0, owner 0:0, mtime 0; an
 *    opaque directory is followed by an empty file .wh..wh..opq;
 *  - two zero blocks at the end and nothing after them.
 * Docker, containerd and GNU tar read it.
 */
#ifndef CAIRN_LAYER_TAR_H
#define CAIRN_LAYER_TAR_H

#include "entry.h"
#include "util/strbuf.h"

#define TAR_BLOCK  512u
#define TAR_END    (2 * TAR_BLOCK)
#define TAR_OPAQUE LAYER_WHITEOUT_PREFIX LAYER_WHITEOUT_PREFIX ".opq"
#define TAR_XATTR  "SCHILY.xattr." /* star, GNU tar, Go */

/* The header of POSIX ustar, also the first 345 bytes of GNU's. */
struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char linkname[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char pad[12];
};
_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a tar header is one block");

/* Bytes of padding after n bytes of content. */
static inline size_t tar_padding(uint64_t n)
{
	return (size_t)(-n % TAR_BLOCK);
}

/* Append all headers of an entry: the content of a FILE and its padding come next. An
 * mtime later than clamp_mtime becomes that one. */
void tar_put_entry(struct strbuf *b, const struct layer_entry *e, int64_t clamp_mtime);

#endif
