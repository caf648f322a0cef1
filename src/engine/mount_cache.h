/* engine/mount_cache.h - cache mounts that outlive the machine.
 *
 * What lies in a RUN --mount=type=cache is kept in remote caches (cache/remote.h) and comes back
 * on the next machine: a snapshot of the directory (layer/snapshot.h) under a pointer
 * (cache/mount_pointer.h).  From one snapshot to the next only contents that changed travel.
 *
 * Restored: when a step that uses the mount is really going to run, before it starts, and only
 * where the remote has something newer than what this machine has.  A mount is whole or
 * it is left as it was (a new one: empty); nothing is ever mixed or half restored.
 *
 * Saved: when steps that used it ended well and no step of the build uses it any more, beside
 * whatever the build does then.  A failed step's leavings are not saved.  The last writer wins.
 *
 * A mount that grew over its limit is not cut: a directory without some of its files may be worse
 * than none (repositories, indexes with contents).  What is kept of it is dropped instead, so
 * that the next machine starts with an empty one and keeps what it then needs.
 *
 * Nothing here fails a build: troubles are warnings, and a remote that made one is not asked
 * again by this build.
 *
 * All functions are for the main thread and do not block, unless they say so.
 */
#ifndef CAIRN_ENGINE_MOUNT_CACHE_H
#define CAIRN_ENGINE_MOUNT_CACHE_H

#include "cache/cache.h"
#include "event.h"
#include "store/store.h"
#include "util/pool.h"

#define MOUNT_CACHE_MAX_BYTES (2ull << 30)                    /* of the files of one mount */
#define MOUNT_CACHE_TTL       (30 * 24 * 3600 * 1000000000ll) /* ns without being used */
#define MOUNT_CACHE_IDS_FULL  65536u /* owners that must exist to count as "any owner" */

struct mount_cache_opts {
	struct store *store;                    /* never NULL */
	struct pool *pool;                      /* hashing and compressing; never NULL */
	const struct engine_observer *observer; /* never NULL */
	struct remote *const *from;             /* restored from: the newest wins; borrowed */
	size_t n_from;
	struct remote *const *to; /* saved to; borrowed */
	size_t n_to;
	struct platform platform; /* of the image */
	uint64_t max_bytes;       /* 0: MOUNT_CACHE_MAX_BYTES */
	int64_t ttl_ns;           /* 0: MOUNT_CACHE_TTL */
};

struct mount_cache;

struct mount_cache *mount_cache_new(const struct mount_cache_opts *opts);

/* Gives up what is not done. NULL is fine. */
void mount_cache_free(struct mount_cache *c);
DEFINE_CLEANUP(struct mount_cache *, mount_cache_free);
#define cleanup_mount_cache __attribute__((cleanup(mount_cache_free_p_)))

struct mount_cache_wait {
	int64_t deadline; /* clock_monotonic(): what is not done then is given up; 0 = none */
	int cancel_fd;    /* readable: give up; -1 = never */
	void (*tick)(void *ctx, int64_t now_ns); /* called about ten times a second; may be NULL */
	void *tick_ctx;
};

/* The build is over, well or not: save what is left to be saved, and wait. Blocks. */
void mount_cache_finish(struct mount_cache *c, const struct mount_cache_wait *wait);

/* --- for the engine ---------------------------------------------------------- */

/* A cache mount of a step. */
struct mount_use {
	struct digest key; /* of store_mount_try() */
	str id;            /* of the RUN; copied */
	str target;        /* for messages; copied */
	unsigned step;     /* its number, for events */
};

/* Readable when mount_cache_collect() has something to do. */
int mount_cache_fd(const struct mount_cache *c);
void mount_cache_collect(struct mount_cache *c);

/* Is it known what the remotes have? The first call asks them. */
bool mount_cache_asked(struct mount_cache *c, const struct mount_use *use);

/* Do they have something newer than this copy of the mount? Once it was asked. */
bool mount_cache_newer(struct mount_cache *c, const struct mount_use *use, struct store_mount *m);

/* Replace the mount's contents by what the remotes have. The caller is alone with it and keeps it
 * until `done` is called (from mount_cache_collect()); ok: it has them, else it is as it was. */
void mount_cache_restore(struct mount_cache *c, const struct mount_use *use, struct store_mount *m,
                         void (*done)(void *ctx, bool ok), void *ctx);

/* Let restores end soon: no step will need them. Saving goes on. */
void mount_cache_stop_restores(struct mount_cache *c);

/* A step that used this copy has ended and let go of it.
 *
 * ok    it ended well
 * more  further steps of this build will use the mount, or do */
void mount_cache_used(struct mount_cache *c, const struct mount_use *use, const struct digest *copy,
                      bool ok, bool more);

#endif
