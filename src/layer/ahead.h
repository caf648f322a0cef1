/* layer/ahead.h - private: read a source ahead of the caller, and hash behind it, in the pool.
 *
 * A few buffers go round: while the caller works on one, the pool fills the next (for a layer that
 * is decompression) and hashes those before it, of which the caller has said what is in them.
 * Both are done one buffer at a time and in order; when the pool is busy the caller does them
 * itself, so it never waits for somebody else's work.
 */
#ifndef CAIRN_LAYER_AHEAD_H
#define CAIRN_LAYER_AHEAD_H

#include "stream.h"
#include "util/digest.h"
#include "util/str.h"

struct pool;
struct ahead;

#define AHEAD_SIZE    (256u * 1024) /* bytes of a buffer */
#define AHEAD_BUFFERS 6u            /* of them, with a pool; else one */

/* pool NULL: everything in the calling thread. in is borrowed; its read() runs in other
 * threads, one at a time. */
struct ahead *ahead_new(const struct layer_reader *in, struct pool *pool);

/* Waits until nobody reads or hashes, and drops what waits to be hashed. NULL is fine. */
void ahead_free(struct ahead *a);

/* The next bytes, borrowed until the next call; empty at the end. Of each byte ahead_other() or
 * ahead_content() must be told before that call, in order. */
int ahead_next(struct ahead *a, str *ret, struct cairn_err *err);

/* The next n bytes go into the digest of everything. */
void ahead_other(struct ahead *a, size_t n);

/* So do these, n > 0, and they belong to a file, too: first begins one, ret ends it unless it is
 * NULL. *ret is set at the latest by ahead_digest(), and must stay until then or ahead_free(). */
void ahead_content(struct ahead *a, size_t n, bool first, struct digest *ret);

/* Of everything, when ahead_next() has given the end; once. Waits for all hashes. */
struct digest ahead_digest(struct ahead *a);

#endif
