/* layer/unpack_files.h - private: the content of a layer's files on its way to the disk.
 *
 * The thread that reads the tar only notes which bytes of a buffer belong to which file; the files
 * are made, written and given their metadata behind it (ahead.h), several at once.  Directories are
 * made before, by who reads; whatever else needs a file to be there asks for files_drain() first.
 */
#ifndef CAIRN_LAYER_UNPACK_FILES_H
#define CAIRN_LAYER_UNPACK_FILES_H

#include "tar_read.h"
#include "unpack_tree.h"

/* Make u->tar: it writes what files_take() notes. */
void files_init(struct unpack *u, const struct layer_reader *tar);

/* Read the content of a member: b->e says what shall be made, b->e.path where. Its digest is set
 * when the tar is read to its end. Without out_dirfd nothing is written. */
int files_take(struct unpack *u, struct body *b, struct cairn_err *err);

/* Wait until all files are there. */
int files_drain(struct unpack *u, struct cairn_err *err);

/* Free u->tar; what was not drained is closed and not written to its end. */
void files_done(struct unpack *u);

#endif
