/* engine/mount_priv.h - private to mount_*.c.
 *
 * A cache_mount belongs to the main thread.  A task (question, restore, save) has a copy of what
 * it needs, works in a thread of `net`, and hands its result over in its `done`, which the
 * main thread calls.
 */
#ifndef CAIRN_ENGINE_MOUNT_PRIV_H
#define CAIRN_ENGINE_MOUNT_PRIV_H

#include <stdatomic.h>

#include "layer/layer.h"
#include "mount_cache.h"
#include "util/map.h"

#define MOUNT_NAMES_MAX 8u /* remotes that one build saves to */

enum mount_asked {
	MOUNT_ASK_NOT,
	MOUNT_ASK_RUNNING,
	MOUNT_ASK_DONE,
};

/* A cache mount of this build. */
struct cache_mount {
	struct mount_cache *c;
	struct mount_use use; /* of the last step; strings in the arena */
	struct digest name;   /* of its pointer */
	enum mount_asked asked;
	struct remote *remote; /* that has the newest; NULL: nobody has it */
	struct mount_pointer newest;
	bool used;   /* a step that ended well left something to save */
	bool failed; /* a step that used it failed */
	/* What the remotes have could not be had, for a reason that may pass or is this machine's
	 * own: it is not to be overwritten by what was made without it. */
	bool keep;
	bool damaged; /* what a remote has is of no use: all is sent again */
	bool saving;
};

struct mount_cache {
	struct mount_cache_opts o;
	struct arena *arena;
	struct pool *net;              /* transfers; tasks that mostly wait */
	struct map mounts;             /* key -> struct cache_mount */
	struct restore_task *restores; /* that run; the main thread's */
	bool all_ids;                  /* files of any owner can be made here */
	atomic_bool stop;              /* everything ends soon */
	atomic_bool stop_restores;
	atomic_bool *bad;      /* remotes that failed: those of `from`, then those of `to` */
	atomic_bool finishing; /* nobody else of this process uses a mount any more */
};

/* Main thread: one line for the user. */
void mount_warn(struct mount_cache *c, unsigned step, const char *fmt, ...) PRINTF(3, 4);
/* "restored cache mount /root/.cache in 1.2s (from s3://...)" with its bytes. */
void mount_tell(struct mount_cache *c, const struct cache_mount *m, const char *text,
                uint64_t bytes, uint64_t total);

/* Fails with CAIRN_E_CANCELLED when everything is to end. */
int mount_check_stop(const struct mount_cache *c, struct cairn_err *err);

/* What a remote's pointer says; *ret_found only for one that is of use (not expired; `empty` ones
 * are). version may be NULL, else owned. */
int mount_pointer_read(const struct mount_cache *c, struct remote *r, const struct digest *name,
                       struct mount_pointer *ret, char **ret_version, bool *ret_found,
                       struct cairn_err *err);

/* Fetch the snapshot that a pointer names. */
int mount_snapshot_read(struct remote *r, const struct mount_pointer *p, struct snapshot **ret,
                        struct cairn_err *err);

/* Compress a snapshot's document into the blob that remotes keep. */
int mount_snapshot_pack(const struct snapshot *s, struct strbuf *blob, struct digest *ret,
                        struct cairn_err *err);

/* --- mount_local.c: what this machine knows of its mounts --- */

/* State of one copy of a mount, in HOME/mount-state/KEY. Format, all numbers little-endian:
 *	"cairnmnt", u32 version, u32 number of names, names (32 bytes each),
 *	u64 length of the document, document (snapshot.h),
 *	for each of its entries: u64 inode, u64 ctime,
 *	SHA-256 of all before.
 * Its mtime says when a build last used the mount. */
struct mount_local {
	int64_t used;                         /* ns since 1970 */
	struct digest names[MOUNT_NAMES_MAX]; /* blobs of snapshots that are this state, or were
	                                          before steps changed it */
	size_t n_names;
	struct snapshot *snapshot;   /* owned; only with mount_local_read() */
	struct snapshot_stat *stats; /* owned; of its entries */
};
void mount_local_done(struct mount_local *l);
#define cleanup_mount_local __attribute__((cleanup(mount_local_done)))

/* Only used and names. *ret_found stays false when nothing is known (or what is there is damaged).
 */
void mount_local_peek(struct store *s, const struct digest *key, struct mount_local *ret,
                      bool *ret_found);
void mount_local_read(struct store *s, const struct digest *key, struct mount_local *ret,
                      bool *ret_found);
int mount_local_write(struct store *s, const struct digest *key, const struct mount_local *l,
                      struct cairn_err *err);
/* A build used it; a state that says nothing is made when there is none. */
void mount_local_touch(struct store *s, const struct digest *key);

/* --- mount_save.c --- */

/* Save a mount in the background. Main thread. */
void mount_save(struct cache_mount *m);

#endif
