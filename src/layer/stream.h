/* layer/stream.h - bytes that are pulled from somewhere or pushed somewhere.
 *
 * Both are two pointers passed by value or by pointer; neither owns anything.
 */
#ifndef CAIRN_LAYER_STREAM_H
#define CAIRN_LAYER_STREAM_H

#include <stddef.h>

#include "util/err.h"

/* A source of bytes. */
struct layer_reader {
	/* Put up to n (> 0) bytes at p; *ret_n == 0 only at the end. May return fewer
	 * bytes than asked for. */
	int (*read)(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err);
	void *ctx; /* borrowed */
};

/* A destination of bytes. */
struct layer_sink {
	/* Take all n bytes, in order. A failure ends the work that writes. */
	int (*write)(void *ctx, const void *p, size_t n, struct cairn_err *err);
	void *ctx; /* borrowed */
};

/* Bytes of an open file, or to one. *fd is borrowed; name is for messages and borrowed. */
struct layer_fd {
	int fd;
	const char *name;
};
struct layer_reader layer_fd_reader(struct layer_fd *f);
struct layer_sink layer_fd_sink(struct layer_fd *f);

/* Read exactly n bytes unless the source ends: then *ret_n < n. */
int layer_read_full(const struct layer_reader *r, void *p, size_t n, size_t *ret_n,
                    struct cairn_err *err);

#endif
