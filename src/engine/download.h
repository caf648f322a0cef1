/* engine/download.h - private: a blob on its way, readable while it comes.
 *
 * A task of a pool brings the bytes; another thread reads them.  They go one of three ways:
 *
 *	keep   into a blob of the store, which is read behind the writer
 *	pipe   into a frame_pipe (layer/frames.h), which is read instead of the download
 *	-      through a small buffer in memory
 */
#ifndef CAIRN_ENGINE_DOWNLOAD_H
#define CAIRN_ENGINE_DOWNLOAD_H

#include <stdatomic.h>

#include "cache/cache.h"
#include "layer/layer.h"
#include "store/store.h"

struct pool;

struct download_opts {
	const struct descriptor *blob; /* borrowed until download_free() */
	/* Stream the blob, verified; in a thread of the pool. */
	int (*get)(void *ctx, const struct descriptor *blob, const struct remote_sink *sink,
	           struct cairn_err *err);
	/* CAIRN_E_CANCELLED when everything shall end, else 0; asked now and then, any thread. */
	int (*stopped)(void *ctx, struct cairn_err *err);
	void *ctx;
	struct pool *pool;            /* does the work; its threads wait a lot */
	struct store *keep;           /* NULL: the bytes are not kept */
	struct frame_pipe *pipe;      /* NULL: the bytes are read here */
	atomic_uint_least64_t *meter; /* grows by what arrives; may be NULL */
};

struct download;

/* Begin. opts is copied. */
int download_new(const struct download_opts *opts, struct download **ret, struct cairn_err *err);

/* Its bytes, as far as they are there; a read waits for more. Reading fails as the download
 * does. The bytes have not been verified before download_wait(). Not with a pipe. */
struct layer_reader download_reader(struct download *d);

/* Until the blob is there, verified (and, with `keep`, in the store). Fails as the download did. */
int download_wait(struct download *d, struct cairn_err *err);

/* Nobody reads any more: end it soon, and say how it went. */
int download_close(struct download *d, struct cairn_err *err);

/* Did it fail because its own bytes could not be put away here (a full disk)? After
 * download_wait(). */
bool download_failed_here(const struct download *d);

uint64_t download_done(struct download *d); /* bytes so far; any thread */

/* Ends it when it still runs. The pool may be gone already. NULL is fine. */
void download_free(struct download *d);

#endif
