/* cli/copy_archive.h - an OCI archive, which is a layout in one tar, as an end of a copy.
 *
 * It goes through a folder: an archive is unpacked before it is copied from, and packed after it
 * was copied to.  Only what belongs to a layout is taken out of an archive; nothing leaves the
 * folder.
 */
#ifndef CAIRN_CLI_COPY_ARCHIVE_H
#define CAIRN_CLI_COPY_ARCHIVE_H

#include "util/err.h"

/* A folder that goes with the copy. */
struct copy_archive {
	char *dir; /* owned; NULL: there is none */
};

/* A new folder below $TMPDIR, else /var/tmp. */
int copy_archive_folder(struct copy_archive *ret, struct cairn_err *err);

/* Unpack the archive (also compressed) into a new folder below $TMPDIR, else /var/tmp.
 * Fails with CAIRN_E_NOT_FOUND, CAIRN_E_SYNTAX (no OCI archive), CAIRN_E_DIGEST (damaged),
 * CAIRN_E_SYSTEM. */
int copy_archive_unpack(const char *file, struct copy_archive *ret, struct cairn_err *err);

/* A new folder beside a file that will be an archive. */
int copy_archive_begin(const char *file, struct copy_archive *ret, struct cairn_err *err);

/* Pack the folder into the file, which appears complete. The same images give the same bytes. */
int copy_archive_pack(const struct copy_archive *c, const char *file, struct cairn_err *err);

void copy_archive_done(struct copy_archive *c); /* removes the folder */

#endif
