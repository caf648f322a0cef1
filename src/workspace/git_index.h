/* workspace/git_index.h - reading git's index: which files it follows, and how they looked.
 *
 * git's answers about the files of a work tree cost it a look at each of them; with the index
 * whoever has looked at them already needs no second look.  Read are versions 2, 3 and 4 as
 * gitformat-index(5) has them, of SHA-1 and of SHA-256; what is not all in one file (split
 * indexes) or not all there (sparse ones) is for git alone.
 *
 * The parser is pure.  It believes nothing: every length is checked against the bytes that are
 * there.  Digests of contents and the checksum are not looked at.
 */
#ifndef CAIRN_WORKSPACE_GIT_INDEX_H
#define CAIRN_WORKSPACE_GIT_INDEX_H

#include <stdint.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/vec.h"

#define GIT_INDEX_MAX   (1u << 30) /* bytes of the file */
#define GIT_ENTRIES_MAX 10000000u  /* files */
#define GIT_LINK        0160000u   /* mode of a submodule */

/* A file that git follows. */
struct git_entry {
	str path;         /* from the top of the work tree; NUL-terminated */
	int64_t mtime_ns; /* when git looked at it; 0: it is not known how it looks */
	uint32_t size;    /* of the file, its lower 32 bits */
	uint32_t mode;    /* 0100644, 0100755, 0120000, GIT_LINK */
	bool conflict;    /* one of several versions that are to be merged */
	bool assumed;     /* the user says: do not look at it (skip-worktree, assume-unchanged) */
};

struct git_index {
	VEC(struct git_entry) entries; /* sorted by path, bytewise; conflicts several times */
};

/* Parse; paths point into `bytes` or live in `a`.
 *
 * hash_len  bytes of a digest: 20 or 32
 *
 * Fails with CAIRN_E_UNSUPPORTED for an index that only git reads, with CAIRN_E_DIGEST for one that
 * is damaged. */
int git_index_parse(str bytes, size_t hash_len, struct arena *a, struct git_index *ret,
                    struct cairn_err *err);
void git_index_done(struct git_index *i);

#endif
