/* engine/add_archive.h - local archives that ADD unpacks.
 *
 * As in Docker the content decides, not the name: a tar, plain or compressed with gzip,
 * zstd, bzip2 or xz.  Anything else is a file like any other.  bzip2 and xz are
 * read by libarchive, which is loaded when the first such file is met.
 */
#ifndef CAIRN_ENGINE_ADD_ARCHIVE_H
#define CAIRN_ENGINE_ADD_ARCHIVE_H

#include "layer/layer.h"

struct add_archive;

/* Is the open file an archive? *ret is NULL when it is none; the file's position is
 * then anywhere. fd is borrowed until add_archive_free(); name is for messages, borrowed.
 *
 * Fails with CAIRN_E_UNSUPPORTED when libarchive is needed and missing. */
int add_archive_open(int fd, const char *name, struct add_archive **ret, struct cairn_err *err);

/* Unpack into an empty directory; the index says what is there. Parents that have no entry of
 * their own are those of `below` (DECISIONS.md 2), through its links. Hostile entries fail as
 * in layer_unpack(). */
int add_archive_unpack(struct add_archive *a, const struct tree *below, int out_dirfd,
                       struct layer_result *ret, struct cairn_err *err);

void add_archive_free(struct add_archive *a); /* NULL is fine */
DEFINE_CLEANUP(struct add_archive *, add_archive_free);
#define cleanup_add_archive __attribute__((cleanup(add_archive_free_p_)))

#endif
