/* cli/history_share.h - records of builds in the caches that machines share (history_ring.h).
 *
 * Each slot is a pointer of the remote, written in a scope and read from that and its fallbacks:
 * what a pull request built is not what the default branch believes. Of two writers that meet on a
 * directory or on S3 the second learns of it and tries again; a registry knows no conditions, so
 * there a writer looks once more whether its value is there.
 */
#ifndef CAIRN_CLI_HISTORY_SHARE_H
#define CAIRN_CLI_HISTORY_SHARE_H

#include "cache/cache.h"
#include "history/history.h"
#include "util/pool.h"

/* What a slot held a moment ago. */
struct history_before {
	struct strbuf text;
	char *version;
	int64_t when; /* clock_monotonic() */
};
void history_before_free(struct history_before *b); /* NULL is fine */
DEFINE_CLEANUP(struct history_before *, history_before_free);
#define cleanup_history_before __attribute__((cleanup(history_before_free_p_)))

/* Read the slot into which history_share_put() will put the record, of which only the id has to be
 * known. Any thread; one or two requests. Fails as remote_pointer_get(). */
int history_share_look(struct remote *r, const struct history_build *b, struct history_before **ret,
                       struct cairn_err *err);

/* Leave a record. Any thread; blocks it for two to six requests. A record that is too large is
 * passed over. Fails as remote_pointer_get() and _put(), and with CAIRN_E_TRANSIENT when others
 * were first each time.
 *
 * before  what history_share_look() has found, or NULL; it is of use for a moment only */
int history_share_put(struct remote *r, const struct history_build *b,
                      const struct history_before *before, struct cairn_err *err);

/* Merge what the remotes hold into h, which is open for writing: one or two requests a slot and
 * remote, many at once in `net`. A remote that fails is passed over; what is damaged, too.
 *
 * Fails as history_merge(), and with CAIRN_E_CANCELLED. */
int history_share_get(struct remote *const *remotes, size_t n, struct pool *net, struct history *h,
                      size_t *ret_added, struct cairn_err *err);

#endif
