/* layer/tar_read.h - read a tar from outside, member by member.
 *
 * Pure: knows nothing of directories or trees.  Everything that is read goes
 * into the digest of the whole.  Extended headers (PAX, GNU long names) are
 * folded into the member they belong to.
 */
#ifndef CAIRN_LAYER_TAR_READ_H
#define CAIRN_LAYER_TAR_READ_H

#include "entry.h"
#include "stream.h"
#include "tar.h"

/* One member. Everything dies with the next tar_next(). */
struct tar_member {
	str name;             /* as written: may be absolute, hold "..", end with '/' */
	str target;           /* of links, as written */
	enum layer_type type; /* never WHITEOUT */
	uint32_t mode, uid, gid, major, minor;
	uint64_t size;       /* bytes of content that follow; 0 unless FILE */
	int64_t mtime;       /* ns */
	uint64_t tar_offset; /* where the content starts */
	struct layer_xattr xattrs[LAYER_XATTRS_MAX];
	uint32_t n_xattrs;
};

struct ahead_opts;
struct tar_reader;

/* Everything in the calling thread; in is borrowed. */
struct tar_reader *tar_reader_new(const struct layer_reader *in);
/* Private to this module: ahead, in which threads, and what is done with content behind (ahead.h).
 */
struct tar_reader *tar_reader_new_ahead(const struct ahead_opts *opts);
void tar_reader_free(struct tar_reader *t);
DEFINE_CLEANUP(struct tar_reader *, tar_reader_free);
#define cleanup_tar_reader __attribute__((cleanup(tar_reader_free_p_)))

/* The next member, or NULL at the end. What was not read of the content before it is
 * skipped.  Fails with CAIRN_E_DIGEST when the tar is malformed, with CAIRN_E_UNSUPPORTED for
 * sparse files and unknown types. */
int tar_next(struct tar_reader *t, const struct tar_member **ret, struct cairn_err *err);

/* The digest of the member's content is wanted; before any of it is read, which must go to its
 * end. It is set at the latest by tar_finish(); until that or tar_reader_free() *ret must stay. */
void tar_digest(struct tar_reader *t, struct digest *ret);

/* Up to SIZE_MAX bytes of the member's content, as many as are at hand: borrowed until the
 * next call; empty at the end of the content. */
int tar_content(struct tar_reader *t, str *ret, struct cairn_err *err);

/* What is to be done with content behind the reader (ahead.h; private, too): the number of the
 * buffer of what tar_content() gave last, or of the member's header when it has none; that
 * something is to be done with it; that all of that is done. */
uint64_t tar_number(const struct tar_reader *t);
void tar_behind(struct tar_reader *t, bool first);
int tar_drain(struct tar_reader *t, struct cairn_err *err);

/* After tar_next() gave NULL: read what follows, too, and give digest and size of it all. */
int tar_finish(struct tar_reader *t, struct digest *ret, uint64_t *ret_size, struct cairn_err *err);

#endif
