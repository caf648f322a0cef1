/* layer/frames.h - decompress a blob that consists of independent frames while it arrives.
 *
 * Our own blobs are cut into frames (compress.h), and the layer's index says where each begins.
 * With that a blob needs no single decompressor that everything waits for: whoever brings the bytes
 * fills frames, the pool decompresses them, and the reader takes them in order.
 *
 *	sink (one thread) -> frames in memory, FRAME_SLOTS at most -> reader (one thread)
 *
 * What the frames are said to be is a claim: a frame that comes to another size is an error; that
 * the bytes are the right ones is for the caller to verify, by their digest.
 */
#ifndef CAIRN_LAYER_FRAMES_H
#define CAIRN_LAYER_FRAMES_H

#include "compress.h"

struct pool;

#define FRAME_SLOTS 6u /* frames in memory at once: they bound it to about 8 MiB a blob */

struct frames_blob {
	const struct layer_frame *frames; /* borrowed as long as the pipe lives */
	size_t n;
	uint64_t blob_size; /* bytes of the blob: the last frame ends there */
	uint64_t tar_size;  /* uncompressed */
};

/* Are they frames of the size that compress.h makes, and do they fit the blob? */
bool frames_valid(const struct frames_blob *b);

struct frame_pipe;

/* b must be frames_valid(); pool may be NULL: the reader decompresses. */
struct frame_pipe *frame_pipe_new(const struct frames_blob *b, struct pool *pool);

/* Takes the blob's bytes in order; blocks while FRAME_SLOTS frames wait for the reader. Fails with
 * CAIRN_E_CANCELLED after frame_pipe_close(), with CAIRN_E_DIGEST for bytes beyond the blob. */
struct layer_sink frame_pipe_sink(struct frame_pipe *p);

/* No more bytes come; result < 0: because of *err, which the reader then gets. */
void frame_pipe_end(struct frame_pipe *p, int result, const struct cairn_err *err);

/* The tar. Blocks until a frame is complete. Fails with CAIRN_E_DIGEST for a damaged frame and for
 * a blob that ended early. */
struct layer_reader frame_pipe_reader(struct frame_pipe *p);

/* The reader wants no more. Any thread. */
void frame_pipe_close(struct frame_pipe *p);

void frame_pipe_free(struct frame_pipe *p); /* sink and reader are not in use; NULL is fine */

#endif
