/* engine/publish.h - finished steps go to remote caches while the build goes on.
 *
 * A step that ended is handed over and forgotten: its layer is compressed (once for all
 * remotes and outputs, layer_blob.h), its blob and its index are sent, then its entry becomes
 * visible.  What a build that fails later, is killed or loses its machine has finished is there for
 * the next one.  An entry is only sent when all layers of its chain are known to be there.
 *
 * Work happens in threads of its own; compression uses the pool at low priority: steps come first.
 */
#ifndef CAIRN_ENGINE_PUBLISH_H
#define CAIRN_ENGINE_PUBLISH_H

#include "event.h"
#include "supply.h"

struct publish_target {
	struct remote *remote; /* borrowed */
	bool min;              /* only steps of the target's own chain (mode=min); else all */
	bool ignore_error;     /* a failure is a warning, not the end of the build */
	enum layer_compression compression;
	int level; /* 0: its default */
};

struct publish_opts {
	struct store *store;                    /* never NULL */
	struct pool *pool;                      /* never NULL */
	struct supply *supply;                  /* what is elsewhere already; never NULL */
	const struct engine_observer *observer; /* never NULL */
	const struct publish_target *targets;   /* borrowed */
	size_t n;
	unsigned uploads; /* at once; 0 = 4 */
};

struct publisher;

struct publisher *publisher_new(const struct publish_opts *opts);

/* A step, or a base image, has its result. Everything is copied. Main thread; never blocks. */
struct publish_step {
	struct digest key;         /* definition key, or supply_base_key() */
	const struct digest *also; /* further keys of the same result (content, link); n_also */
	size_t n_also;
	const struct record *record;
	bool on_target_chain; /* for mode=min */
	bool forced;          /* replaces what is there */
	const char *from;     /* the remote it was found in (a hit): that one has it; NULL: none */
};
void publisher_step(struct publisher *p, const struct publish_step *step);

/* Wait until all is there; the events tell how far it is. With a deadline (clock_monotonic(), 0 =
 * none) what is not done by then is given up: an interrupted machine.
 *
 * Fails with the first failure of a target without ignore_error. */
int publisher_finish(struct publisher *p, int64_t deadline, struct cairn_err *err);

void publisher_free(struct publisher *p); /* gives up what is not done; NULL is fine */

#endif
