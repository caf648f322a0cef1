/* layer/compress.h - compress and decompress layer blobs, streaming.
 *
 * Output never depends on the machine or on the number of threads
 * (DECISIONS.md 14): the input is cut every COMPRESS_FRAME bytes, each piece is
 * compressed on its own (a gzip member by libdeflate, or a zstd frame without
 * workers) and the pieces are written in order.
 */
#ifndef CAIRN_LAYER_COMPRESS_H
#define CAIRN_LAYER_COMPRESS_H

#include "index.h"
#include "stream.h"

struct pool;

#define COMPRESS_FRAME (1024u * 1024) /* uncompressed bytes of a frame; the last is shorter */

enum compress_kind {
	COMPRESS_NONE,
	COMPRESS_GZIP,
	COMPRESS_ZSTD,
	COMPRESS_N_,
};

#define COMPRESS_GZIP_LEVEL 6 /* default; 1..12 */
#define COMPRESS_ZSTD_LEVEL 3 /* default; 1..19 */

const char *compress_name(enum compress_kind kind); /* "none", "gzip", "zstd" */

struct compressor;

/* kind     NONE passes the bytes on (and hashes them)
 * level    0: the default of the kind
 * pool     NULL: the calling thread alone.  Up to 16 frames are compressed at once
 * sink     gets the blob; borrowed until compress_free() */
struct compressor *compress_new(enum compress_kind kind, int level, struct pool *pool,
                                const struct layer_sink *sink);
void compress_free(struct compressor *c); /* NULL is fine */
DEFINE_CLEANUP(struct compressor *, compress_free);
#define cleanup_compressor __attribute__((cleanup(compress_free_p_)))

/* Where to write what shall be compressed; valid as long as c. */
struct layer_sink compress_sink(struct compressor *c);

struct compress_result {
	struct digest digest;             /* of the blob */
	uint64_t size;                    /* bytes of the blob */
	uint64_t raw_size;                /* uncompressed bytes */
	const struct layer_frame *frames; /* for layer_index_with_frames(); borrowed from c */
	size_t n_frames;
};

/* Write what is left. Empty input gives one empty frame. Nothing may be written afterwards. */
int compress_finish(struct compressor *c, struct compress_result *ret, struct cairn_err *err);

struct decompressor;

/* Decompress what `in` gives: gzip (any number of members), zstd (any number of frames) or
 * neither, decided by the first bytes.
 *
 * in         borrowed until decompress_free()
 * max_bytes  reading beyond this many uncompressed bytes fails with CAIRN_E_DIGEST
 */
struct decompressor *decompress_new(const struct layer_reader *in, uint64_t max_bytes);
void decompress_free(struct decompressor *d); /* NULL is fine */
DEFINE_CLEANUP(struct decompressor *, decompress_free);
#define cleanup_decompressor __attribute__((cleanup(decompress_free_p_)))

/* The uncompressed bytes; valid as long as d.  Reading fails with CAIRN_E_DIGEST when the input is
 * damaged or ends early. */
struct layer_reader decompress_reader(struct decompressor *d);

/* What it was; COMPRESS_NONE before the first read. */
enum compress_kind decompress_kind(const struct decompressor *d);

#endif
