/* engine/supply.h - what a build gets from other machines, as late as it can.
 *
 * A hit moves no layers: an entry of a remote cache (cache/remote.h) is believed without
 * anything else being fetched.  What a step that must run needs of the chain it stands on comes
 * when it is about to start, and no more than that:
 *
 *	COPY, ADD, WORKDIR    the layers' indexes
 *	RUN                   the layers' files
 *	COPY --from, mounts   indexes, and the bytes of the files that are taken
 *	an output             what it writes; a push moves layers from repository to repository
 *
 * Layers arrive in parallel, each in one pass: verified, decompressed, unpacked.  Their indexes are
 * known before, so that no layer waits for the one below it.
 *
 * Everything that arrives goes into the store, where the rest of the engine finds it.
 */
#ifndef CAIRN_ENGINE_SUPPLY_H
#define CAIRN_ENGINE_SUPPLY_H

#include "cache/cache.h"
#include "registry/registry.h"
#include "store/store.h"

struct pool;

struct supply_opts {
	struct store *store; /* never NULL */
	struct pool *pool;   /* for what costs processor time; never NULL */
	struct remote *const
		*remotes; /* asked together, the first one that answers wins; borrowed */
	size_t n;
	/* Registry client for layers that an entry says lie elsewhere; made when first needed. */
	struct registry *(*registry)(void *ctx);
	void *registry_ctx;
	int cancel_fd; /* readable when the user wants to stop; -1 = never */
	/* One line for the user; any thread. A remote that fails is told of once and not asked
	 * again. */
	void (*warn)(void *ctx, str text);
	void *warn_ctx;
};

struct supply;

struct supply *supply_new(const struct supply_opts *opts);
void supply_free(struct supply *s); /* nothing may be running; NULL is fine */

/* What was found for a key. */
struct supply_found {
	const struct record *record; /* in the caller's arena; NULL: nobody has it */
	const char *from;            /* remote_name(); lives as long as the remote */
};

/* Ask all remotes for n keys, in parallel. Main thread; ends early when the user wants to stop.
 * A failing remote is a miss. Remembers where the layers of what it found are. */
int supply_find(struct supply *s, const struct digest *keys, size_t n, struct arena *a,
                struct supply_found *ret, struct cairn_err *err);

/* Key under which the layers of a base image are described: its config's digest. */
struct digest supply_base_key(const struct digest *config);

enum supply_level {
	SUPPLY_INDEX, /* their indexes: trees can be made */
	SUPPLY_FILES, /* their directories */
};

/* Is the whole chain in the store to that level? Quick; any thread. */
int supply_ready(struct supply *s, const struct chain *c, enum supply_level level, bool *ret,
                 struct cairn_err *err);

/* Bring what is missing. Blocks for as long as it takes; a task of the network pool. Several at
 * once are fine: of those that want the same layer one works, also between processes.
 *
 * Fails with CAIRN_E_NOT_FOUND when no source has a layer: the hit that named it was empty
 * (DECISIONS.md 5); CAIRN_E_DIGEST when what came was not what was promised; CAIRN_E_CANCELLED. */
int supply_fetch(struct supply *s, const struct chain *c, enum supply_level level,
                 struct cairn_err *err);

/* Bytes that a running fetch has received and will receive, over all. */
void supply_progress(struct supply *s, uint64_t *ret_done, uint64_t *ret_total);

/* Where a layer's compressed bytes are known to be; false: nowhere. Any thread. */
struct supply_layer {
	struct descriptor blob;  /* lives as long as the supply */
	struct descriptor index; /* digest none: not known */
	struct remote *remote;   /* the remote that told; it has the blob when from is empty */
	str from;                /* "registry/repository", or empty */
};
bool supply_where(struct supply *s, const struct digest *diff_id, struct supply_layer *ret);

/* Stream the blob of a layer, verified, from wherever it is. */
int supply_blob_get(struct supply *s, const struct supply_layer *l, const struct remote_sink *sink,
                    struct cairn_err *err);

/* Let all that runs end soon with CAIRN_E_CANCELLED. Any thread. */
void supply_stop(struct supply *s);

#endif
