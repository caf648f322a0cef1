/* layer/ahead.h - private: read a source ahead of the caller; hash and write behind it, in the
 * pool.
 *
 * A few buffers go round: while the caller works on one, the pool fills the next (for a layer that
 * is decompression), and hashes those before it, of which the caller has said what is in them.
 * Both are done one buffer at a time and in order.  What else is to be done with the bytes, that
 * is, writing them to files, is the caller's function, and runs for several buffers at once:
 *
 *	buffer 1           | buffer 2     | buffer 3
 *	..[a][b][c........ | ............ | ..][d][e....
 *	      REST 1       |    HEAD 2    | HEAD 3, REST 3
 *
 * What begins in a buffer is its REST, and waits for nobody; what goes on from the buffer before is
 * its HEAD, and waits for what has begun it.
 *
 * When the pool is busy the caller does all of that itself, so it never waits for somebody else's
 * work.
 */
#ifndef CAIRN_LAYER_AHEAD_H
#define CAIRN_LAYER_AHEAD_H

#include "stream.h"
#include "util/digest.h"
#include "util/str.h"

struct pool;
struct ahead;

#define AHEAD_SIZE    (256u * 1024) /* bytes of a buffer */
#define AHEAD_BUFFERS 12u           /* of them, with a pool; else one */

enum ahead_part {
	AHEAD_HEAD,
	AHEAD_REST,
	AHEAD_PARTS_N_,
};

struct ahead_opts {
	const struct layer_reader *in; /* borrowed; read() runs in other threads, one at a time */
	struct pool *pool;             /* NULL: everything in the calling thread */
	/* Do what is to be done with a part of a buffer, in any thread; several calls run at once,
	 * but not for the same part. NULL: nothing is. */
	int (*behind)(void *ctx, uint64_t number, enum ahead_part part, struct cairn_err *err);
	void *ctx;
};

struct ahead *ahead_new(const struct ahead_opts *opts);

/* Waits for what runs, and drops what waits. NULL is fine. */
void ahead_free(struct ahead *a);

/* The next bytes, borrowed until the next call; empty at the end. Of each byte ahead_other() or
 * ahead_content() must be told before that call, in order. Fails as read() and as behind() of any
 * buffer before; behind() is still called for the others. */
int ahead_next(struct ahead *a, str *ret, struct cairn_err *err);

/* The next n bytes go into the digest of everything. */
void ahead_other(struct ahead *a, size_t n);

/* So do these, n > 0, and they belong to a file, too: first begins one, ret ends it unless it is
 * NULL. *ret is set at the latest by ahead_digest(), and must stay until then or ahead_free(). */
void ahead_content(struct ahead *a, size_t n, bool first, struct digest *ret);

/* The number of the buffer that ahead_next() gave last. Number i + AHEAD_BUFFERS is not given
 * before behind() has returned for all parts of number i. */
uint64_t ahead_number(const struct ahead *a);

/* Call behind() for this part of these bytes, when the caller goes on to the next. */
void ahead_behind(struct ahead *a, enum ahead_part part);

/* Do all of that now, also for the bytes that the caller still has, and wait for it; fails as
 * behind(). For these bytes ahead_behind() may be called again. */
int ahead_drain(struct ahead *a, struct cairn_err *err);

/* Of everything, when ahead_next() has given the end; once. Waits for all hashes. */
struct digest ahead_digest(struct ahead *a);

#endif
