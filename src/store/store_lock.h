/* store_lock.h - one process at a time: steps with the same key, cache mounts.
 *
 * Locks are flocks on files: they die with their process. Nothing here blocks.
 * A busy lock comes back as NULL; ask again after STORE_LOCK_RETRY_MS.
 * Order, so that nobody waits in a circle: a step's inputs are complete -> cache mounts
 * sorted by id -> the step's key -> a job slot; nothing is waited for while a later one is held.
 */
#ifndef CAIRN_STORE_LOCK_H
#define CAIRN_STORE_LOCK_H

#include "store.h"

#define STORE_LOCK_RETRY_MS 10

struct store_lock;

/* Take the lock of a step's key; *ret is NULL when another process (or another handle in
 * this one) holds it. */
int store_lock_try(struct store *s, const struct digest *key, struct store_lock **ret,
                   struct cairn_err *err);

/* Release. NULL is fine. */
void store_lock_free(struct store_lock *l);
DEFINE_CLEANUP(struct store_lock *, store_lock_free);
#define cleanup_store_lock __attribute__((cleanup(store_lock_free_p_)))

/* How a cache mount is shared, as RUN --mount=type=cache,sharing= says. */
enum store_sharing {
	STORE_SHARED,  /* any number of users */
	STORE_PRIVATE, /* a user who finds it in use gets another copy */
	STORE_LOCKED,  /* one user, the others wait */
};

struct store_mount;

/* Take the cache mount `id` (a digest over all that tells mounts apart); *ret is NULL when
 * it is busy. */
int store_mount_try(struct store *s, const struct digest *id, enum store_sharing sharing,
                    struct store_mount **ret, struct cairn_err *err);

/* Where its contents are: an absolute path that dies with m. */
const char *store_mount_path(const struct store_mount *m);

/* Was it made just now? Then nobody else can have it until the caller has filled
 * it and called store_mount_ready(); its path changes by that. Ready also ends being alone. */
bool store_mount_fresh(const struct store_mount *m);
int store_mount_ready(struct store_mount *m, struct cairn_err *err);

/* The key of this copy: `id`, or one made from it for a further private copy. */
const struct digest *store_mount_key(const struct store_mount *m);

/* Is it the first copy, the one that `id` itself names? */
bool store_mount_first(const struct store_mount *m);

/* Try to become the only user of a mount until store_mount_ready(); one that is fresh, private or
 * locked has no other. *ret_lost: in trying, the mount was lost to somebody who takes it alone,
 * too; free it and ask for it again. */
int store_mount_alone(struct store_mount *m, bool *ret_alone, bool *ret_lost,
                      struct cairn_err *err);

/* Exchange the contents with those of `dir`, an absolute path made by store_tmp_dir(). The caller
 * is alone with the mount; `dir` holds the old contents afterwards. */
int store_mount_replace(struct store_mount *m, const char *dir, struct cairn_err *err);

/* Release; contents stay (those of a fresh one that is not ready are removed). NULL is fine. */
void store_mount_free(struct store_mount *m);
DEFINE_CLEANUP(struct store_mount *, store_mount_free);
#define cleanup_store_mount __attribute__((cleanup(store_mount_free_p_)))

#endif
