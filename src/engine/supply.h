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

#include <stdatomic.h>

#include "cache/cache.h"
#include "registry/registry.h"
#include "store/store.h"

struct pool;

/* Layers that were promised and proved to be gone or damaged: nothing that names one is believed
 * any more.  Outlives a supply, so that a second attempt of a build does not fall for the
 * same entries (DECISIONS.md 5).  Any thread. */
struct supply_doubts;
struct supply_doubts *supply_doubts_new(void);
void supply_doubts_free(struct supply_doubts *d); /* NULL is fine */
/* No remote is believed any more: for the last attempt. */
void supply_doubt_all(struct supply_doubts *d);

struct supply_opts {
	struct store *store; /* never NULL */
	struct pool *pool;   /* for what costs processor time; never NULL */
	struct remote *const
		*remotes; /* asked together, the first one that answers wins; borrowed */
	size_t n;         /* 0: what is in the store is fetched again from where it came from */
	struct supply_doubts *doubts; /* NULL: of this supply alone; borrowed */
	/* Registry client for layers that an entry says lie elsewhere; made when first needed. Any
	 * thread. NULL: they cannot be had. */
	struct registry *(*registry)(void *ctx);
	void *registry_ctx;
	int cancel_fd; /* readable when the user wants to stop; -1 = never */
	/* Set by supply_stop(): for those who do its transfers (http_opts.stop_reading); NULL:
	 * nobody has to know. Borrowed. */
	atomic_bool *stop;
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

/* Ask all remotes for n keys, in parallel. Blocks; any thread. A failing remote is a miss.
 * Remembers where the layers of what it found are. Fails with CAIRN_E_CANCELLED alone: the user
 * wants to stop, or supply_stop(). */
int supply_find(struct supply *s, const struct digest *keys, size_t n, struct arena *a,
                struct supply_found *ret, struct cairn_err *err);

/* This build has seen a manifest that says where a layer is: its blob lies in
 * "registry/repository". What entries that come later say of that blob is tried after that: a
 * registry may have moved since they were written. Chains whose layers have no content digest can
 * be fetched, too: then any content is what was promised. */
void supply_tell(struct supply *s, const struct digest *diff_id, const struct descriptor *blob,
                 str from);

/* Key under which the layers of a base image are described: its config's digest. */
struct digest supply_base_key(const struct digest *config);

enum supply_level {
	SUPPLY_INDEX, /* their indexes: trees can be made */
	SUPPLY_FILES, /* their directories */
};

/* Is the whole chain in the store to that level? Quick; any thread.
 * files: with SUPPLY_INDEX, also the directories of the layers i with files[i]; may be NULL. */
int supply_ready(struct supply *s, const struct chain *c, enum supply_level level,
                 const bool *files, bool *ret, struct cairn_err *err);

/* Bring what is missing. Blocks for as long as it takes; a task of the network pool. Several at
 * once are fine: of those that want the same layer one works, also between processes.
 *
 * Fails with CAIRN_E_NOT_FOUND when no source has a layer: the hit that named it was empty
 * (DECISIONS.md 5); CAIRN_E_DIGEST when what came was not what was promised; CAIRN_E_CANCELLED. */
int supply_fetch(struct supply *s, const struct chain *c, enum supply_level level,
                 const bool *files, struct cairn_err *err);

/* Files of a layer by themselves, when its index is in the store and says where they lie: by range,
 * into `dir`, at the paths of their entries (contents only). Is that possible and worth it - less
 * than half of the layer? Files whose digest is not the entry's are CAIRN_E_DIGEST. Blocks. */
bool supply_can_pick(struct supply *s, const struct chain_layer *layer,
                     const struct layer_entry *const *entries, size_t n);
int supply_pick(struct supply *s, const struct chain_layer *layer,
                const struct layer_entry *const *entries, size_t n, const char *dir,
                struct cairn_err *err);

/* How far the fetches that run are, all together. */
struct supply_progress {
	unsigned layers;      /* that are on their way */
	uint64_t done, total; /* bytes of them */
};
void supply_progress(struct supply *s, struct supply_progress *ret);

/* Nothing that names this layer is believed any more; see struct supply_doubts. An index of it that
 * is in the store without files is forgotten. Any thread. */
void supply_doubt(struct supply *s, const struct digest *diff_id);

/* They can be had after all. Was one of them doubted? */
bool supply_trust(struct supply *s, const struct digest *diff_ids, size_t n);

/* Was a promise of this layer broken? What lies somewhere under its name may be damaged. Any
 * thread. */
bool supply_is_doubted(struct supply *s, const struct digest *diff_id);

/* Has this place an entry for the key that was not believed because of a layer in doubt? Then the
 * result that is made instead takes its place. s may be NULL. Any thread. */
bool supply_refused(struct supply *s, const struct remote *remote, const struct digest *key);

/* Number of remotes that it can ask. */
size_t supply_remotes(const struct supply *s);

/* Where a layer's compressed bytes are known to be, by an entry or by what the store remembers;
 * false: nowhere. Any thread. */
struct supply_layer {
	struct descriptor blob;  /* lives as long as the supply */
	struct descriptor index; /* digest none: not known */
	str index_bytes;         /* of it, when an entry held them; lives as long as the supply */
	struct remote *remote;   /* the remote that told; it has the index, and the blob when
	                            from is empty. NULL: the store told */
	str from;                /* "registry/repository", or empty */
	bool seen;               /* supply_tell() told that it lies there */
	str also; /* where an entry says that it lies, when `from` is told; or empty */
};
bool supply_where(struct supply *s, const struct digest *diff_id, struct supply_layer *ret);

/* Let the store remember where the layers of a chain are, as far as that is a registry: an image
 * whose layers were not needed can then be used later, when no cache is named. Best effort. */
void supply_keep_places(struct supply *s, const struct chain *c);

/* Stream the blob of a layer, verified, from wherever it is. */
int supply_blob_get(struct supply *s, const struct supply_layer *l, const struct remote_sink *sink,
                    struct cairn_err *err);

/* Is this place, with these scopes, among those that are asked? s may be NULL: none is. */
bool supply_reads(const struct supply *s, const struct remote *remote);

/* Let all that runs end soon with CAIRN_E_CANCELLED. Any thread. */
void supply_stop(struct supply *s);

#endif
