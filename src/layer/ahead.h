/* layer/ahead.h - private: read a source one buffer ahead, and hash it if wanted, in the pool.
 *
 * While the caller works on one buffer, the pool fills the next: for a layer
 * that is decompression, and the tar's digest where that is better made here.
 * When the pool is busy the caller reads itself, so it never waits for
 * somebody else's work.
 */
#ifndef CAIRN_LAYER_AHEAD_H
#define CAIRN_LAYER_AHEAD_H

#include "stream.h"
#include "util/digest.h"
#include "util/str.h"

struct pool;
struct ahead;

#define AHEAD_SIZE (256u * 1024) /* bytes of each of the two buffers */

/* pool NULL: everything in the calling thread. in is borrowed; its read() runs in other
 * threads, one at a time. hash: ahead_digest() will be called. */
struct ahead *ahead_new(const struct layer_reader *in, struct pool *pool, bool hash);
void ahead_free(struct ahead *a); /* waits until nobody reads; NULL is fine */

/* The next bytes, borrowed until the next call; empty at the end. */
int ahead_next(struct ahead *a, str *ret, struct cairn_err *err);

/* Of everything, when ahead_next() has given the end. */
struct digest ahead_digest(struct ahead *a);

#endif
