/* engine/publish.h - finished steps go to remote caches while the build goes on.
 *
 * A step that ended is handed over and forgotten: its layer is compressed (once for all
 * remotes and outputs, layer_blob.h), its blob and its index are sent, then its entry becomes
 * visible.  What a build that fails later, is killed or loses its machine has finished is there for
 * the next one.  An entry is only sent when all layers of its chain are in that remote or at a
 * place that it names.
 *
 * Layers of a base image that came from a registry are described, not copied; what was imported
 * is sent like a step's layer.  What another remote told about is copied from there.
 *
 * A remote that does not answer (remote_watch()) is left alone while it does not; what waits for it
 * goes on when it is back, and is tried once more at the end.
 *
 * Work happens in threads of its own; those that compress have a low priority: steps come first.
 */
#ifndef CAIRN_ENGINE_PUBLISH_H
#define CAIRN_ENGINE_PUBLISH_H

#include "event.h"
#include "layer_blob.h"
#include "supply.h"

struct publish_target {
	struct remote *remote;       /* borrowed */
	bool min;                    /* only steps of the target's own chain (mode=min); else all */
	bool ignore_error;           /* a failure is a warning, not the end of the build */
	struct layer_blob_form form; /* in which layers are sent */
};

struct publish_opts {
	struct store *store;                    /* never NULL */
	struct layer_press *press;              /* never NULL */
	struct supply *supply;                  /* what is elsewhere already; NULL: nothing */
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
	const struct digest *also; /* further keys of the same result (content) */
	size_t n_also;
	const struct record *record;
	bool on_target_chain; /* for mode=min */
	bool ran;             /* in this build: no remote has it */
	bool forced;          /* replaces what is there */
	const char *from;     /* the remote it was found in (a hit): that one has it; NULL: none */
};
void publisher_step(struct publisher *p, const struct publish_step *step);

/* Find out in the background whether all targets can be written, before a build has done its work;
 * of one that cannot the user is told at once. One that is written within half a second is not
 * asked: the write shows it. Main thread, once. */
void publisher_check(struct publisher *p);

/* Tell the user what threads had to say. Main thread; now and then. */
void publisher_collect(struct publisher *p);

/* "registry/repository" on that registry where a layer in this very form is, NULL when nothing is
 * known; with `wait` waits while it is on its way there. Lives as long as p. Any thread but p's
 * own.
 */
const char *publisher_has(struct publisher *p, const struct digest *diff_id,
                          const struct digest *blob, const char *domain, bool wait);

struct publish_wait {
	unsigned step;    /* number of the step that shows how far it is */
	int64_t deadline; /* clock_monotonic(): what is not done then is given up; 0 = none */
	int cancel_fd;    /* readable: give up; -1 = never */
	void (*tick)(void *ctx, int64_t now_ns); /* called about ten times a second; may be NULL */
	void *tick_ctx;
};

/* Wait until all is there; events tell how far it is when that takes a moment. Main thread.
 *
 * Fails with the first failure of a target without ignore_error, saying how many steps are missing
 * there, CAIRN_E_TIMEOUT at the deadline,
 * CAIRN_E_CANCELLED. */
int publisher_finish(struct publisher *p, const struct publish_wait *wait, struct cairn_err *err);

/* Give up what is not done, and let nobody wait for it. Any thread. */
void publisher_stop(struct publisher *p);

void publisher_free(struct publisher *p); /* gives up what is not done; NULL is fine */
DEFINE_CLEANUP(struct publisher *, publisher_free);
#define cleanup_publisher __attribute__((cleanup(publisher_free_p_)))

#endif
