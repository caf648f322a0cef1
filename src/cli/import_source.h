/* cli/import_source.h - the bytes of an archive, whatever it is compressed with.
 *
 * gzip and zstd are read by the layer module; for xz, bzip2, lz4 and lzip the
 * program of that name is started, as tar does.
 */
#ifndef CAIRN_CLI_IMPORT_SOURCE_H
#define CAIRN_CLI_IMPORT_SOURCE_H

#include "layer/layer.h"

struct import_source;

/* Open a file, or standard input for "-".
 * Fails with CAIRN_E_NOT_FOUND for a missing file or program, CAIRN_E_SYSTEM. */
int import_source_open(const char *path, struct import_source **ret, struct cairn_err *err);

/* The uncompressed bytes; valid as long as s. */
struct layer_reader import_source_reader(struct import_source *s);

/* After the last byte was read: did the decompressor end well?
 * Fails with CAIRN_E_DIGEST when it did not. */
int import_source_end(struct import_source *s, struct cairn_err *err);

/* Ends the program when it still runs. NULL is fine. */
void import_source_free(struct import_source *s);
DEFINE_CLEANUP(struct import_source *, import_source_free);
#define cleanup_import_source __attribute__((cleanup(import_source_free_p_)))

#endif
