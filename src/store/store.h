/* store/store.h - the on-disk store: blobs, layers, records, images, cache mounts.
 *
 * On disk, below the home directory (mode 0700):
 *
 *	version           "cairn store 1\n"
 *	db.sqlite         digest -> random name, and everything that has no file
 *	blobs/NAME        configs, manifests, compressed layers: bytes by digest
 *	indexes/NAME      encoded layer indexes (layer/ owns their format)
 *	layers/NAME/      unpacked layers; the directory is the layer's root
 *	mounts/NAME/      contents of cache mounts
 *	contexts/         stat caches of build contexts; the cache module owns it
 *	locks/NAME        flocked while a step or a cache mount is in use
 *	leases/OWNER      flocked while its process lives: what it found or made
 *	tmp/OWNER/        unfinished work; garbage as soon as leases/OWNER is free
 *
 * Names are random and never used twice, so that removing an old name cannot
 * meet a new thing. A file is renamed into its place inside the transaction
 * that inserts its row: a name without a row is garbage, kill -9 leaves nothing
 * else behind. Whatever a process found or made is leased until it exits; garbage
 * collection and look-up exclude each other by BEGIN IMMEDIATE.
 *
 * Rows start with durable = 0. store_sync() makes them durable; after a restart
 * of the machine (another boot id) the first store_open() drops the others, and
 * the records and images that need them. Nothing else is ever synced.
 *
 * A look-up that finds nothing is a success with NULL, false or 0.
 * Errors every function may give: CAIRN_E_DIGEST (the store is damaged or newer),
 * CAIRN_E_DENIED (a write to a read-only store), CAIRN_E_TIMEOUT (another process
 * kept the database too long), CAIRN_E_SYSTEM (sys tells; ENOSPC says that the disk is full).
 *
 * Threads: every function may be called from any thread; objects made by begin/lock
 * functions belong to one thread at a time. Processes: a store must not be used after fork()
 * in the child (exec closes it); that is a bug and aborts.
 */
#ifndef CAIRN_STORE_STORE_H
#define CAIRN_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/digest.h"
#include "util/err.h"
#include "util/strbuf.h"

/* Format of the directory and of the database; a higher one is refused. */
#define STORE_VERSION 1

struct store;

struct store_opts {
	const char *path;    /* home directory; made, with parents, when missing. Never NULL */
	bool read_only;      /* never write; a missing store is CAIRN_E_NOT_FOUND */
	unsigned busy_ms;    /* wait at most so long for other processes; 0 = 20 s */
	const char *boot_id; /* NULL = the kernel's; for tests */
};

/* Open the store. One that may not be written to (permissions, read-only mount) is opened
 * for reading; writes then fail with CAIRN_E_DENIED and say why.
 *
 * Fails with CAIRN_E_DIGEST when the store is damaged or of a newer version,
 * CAIRN_E_UNSUPPORTED when it lies on a network file system, CAIRN_E_DENIED when it may be
 * written to and belongs to another user. */
int store_open(const struct store_opts *opts, struct store **ret, struct cairn_err *err);

/* Ends all leases and removes the temporary files of this handle. NULL is fine. */
void store_close(struct store *s);
DEFINE_CLEANUP(struct store *, store_close);
#define cleanup_store __attribute__((cleanup(store_close_p_)))

bool store_read_only(const struct store *s);
const char *store_path(const struct store *s); /* absolute path of the home directory */
int store_dirfd(const struct store *s);        /* the home directory; owned by s */

/* Make everything committed so far survive a power cut: one syncfs(), then the rows are
 * marked durable. Slow (0.2 s after 25,000 files): run it in a pool task, once after the
 * last commit of a build. Fails with CAIRN_E_SYSTEM when the disk reported an error. */
int store_sync(struct store *s, struct cairn_err *err);

/* Is the write-ahead log of the database so long that whoever opens it next reads for longer than
 * need be? store_sync() empties it. Known after a write by this handle. */
bool store_log_is_long(const struct store *s);

/* A new, empty directory below tmp/, mode 0700; an absolute path, owned by the caller.
 * Removed at store_close() at the latest, by another cairn after a crash. */
int store_tmp_dir(struct store *s, char **ret_path, struct cairn_err *err);

struct store_count {
	uint64_t n;
	uint64_t bytes;
};

struct store_usage {
	struct store_count blobs;   /* files below blobs/ */
	struct store_count indexes; /* layer indexes */
	struct store_count layers;  /* unpacked layers, as large as their makers said */
	struct store_count mounts;  /* cache mounts; bytes unknown: 0 */
	uint64_t records;
	uint64_t images;
	uint64_t db_bytes; /* database with its write-ahead log */
};

int store_usage(struct store *s, struct store_usage *ret, struct cairn_err *err);

struct store_gc_stats {
	uint64_t removed;   /* files and trees */
	uint64_t bytes;     /* what they were said to hold */
	uint64_t undeleted; /* could not be removed (another user's files); tried again next time */
};

/* Remove what nothing names: layers and blobs that no image, no record and no living
 * process refers to, and what crashed processes left. Images without a tag go
 * when untagged is set. Records and cache mounts are never removed here. */
int store_gc(struct store *s, bool untagged, struct store_gc_stats *ret, struct cairn_err *err);

#include "store_blob.h"
#include "store_image.h"
#include "store_layer.h"
#include "store_lock.h"
#include "store_record.h"

#endif
