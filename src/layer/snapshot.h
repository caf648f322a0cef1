/* layer/snapshot.h - a directory kept as a list of what is in it, and packs of its files' bytes.
 *
 * For directories that live on elsewhere (cache mounts): other than a layer, a snapshot keeps
 * times to the nanosecond, and the next one of the same directory holds the bytes of changed
 * files only and refers to the packs of the one before for the rest.
 *
 * Packs.  The contents of many files, one after the other, cut into pieces of at most
 * SNAPSHOT_PACK bytes, each compressed with zstd to a blob of its own.  All packs of a snapshot
 * one after the other, uncompressed, are one stream; an entry's `tar_offset` says where in that
 * stream its content begins.  A content of at most SNAPSHOT_PACK bytes lies within one pack; a
 * larger one begins a pack and has it and those after it, as many as it fills, for itself.  Equal
 * contents are kept once.  Bytes of a pack that no entry names are waste that a later snapshot
 * gets rid of.
 *
 * What is kept: directories, files, symbolic links, hard links; mode, owner, mtime,
 * security.capability.  Sockets, pipes and devices are left out.
 *
 * The document, version 1, all numbers little-endian:
 *
 *	"cairnsnp"  8 bytes
 *	u32         version
 *	u32         number of packs
 *	u64         created, ns since 1970
 *	packs, each: u64 uncompressed bytes, u64 bytes of the blob, 32 bytes SHA-256 of the blob
 *	an encoded layer index (index.h) of FILE, DIR, SYMLINK and HARDLINK; the root is in it
 *
 * A document may come from anywhere: decoding checks every bound, paths as index.h does, and
 * restoring reaches nothing outside its directory (outdir.h).
 */
#ifndef CAIRN_LAYER_SNAPSHOT_H
#define CAIRN_LAYER_SNAPSHOT_H

#include "index.h"
#include "stream.h"

struct pool;

#define SNAPSHOT_VERSION   1u
#define SNAPSHOT_PACK      (16u << 20)  /* most uncompressed bytes of a pack */
#define SNAPSHOT_PACKS_MAX 65536u       /* packs of one snapshot: 1 TiB */
#define SNAPSHOT_MAX       (512u << 20) /* bytes of a document */
#define SNAPSHOT_SMALL_MAX 16u          /* packs less than half full; more are put together */

struct snapshot_pack {
	struct digest digest; /* of the blob */
	uint64_t size;        /* bytes of the blob */
	uint64_t raw;         /* uncompressed bytes, 1 .. SNAPSHOT_PACK */
	uint64_t start;       /* where it begins in the stream of all packs */
};

/* Immutable once made; may be read by any number of threads. */
struct snapshot {
	int64_t created; /* ns since 1970 */
	const struct snapshot_pack *packs;
	size_t n_packs;
	const struct layer_index *index;
	/* Entries that have bytes in packs, by where these begin, then by path. */
	const struct layer_entry *const *files;
	size_t n_files;
	uint64_t bytes;      /* of all files; hard links count once, equal contents each */
	struct arena *arena; /* private */
};

/* Append the document. `out` should have the maximum SNAPSHOT_MAX. */
void snapshot_encode(const struct snapshot *s, struct strbuf *out);

/* Fails with CAIRN_E_DIGEST when it is damaged, of another version or breaks a rule. */
int snapshot_decode(str bytes, struct snapshot **ret_owned, struct cairn_err *err);

void snapshot_free(struct snapshot *s); /* NULL is fine */
DEFINE_CLEANUP(struct snapshot *, snapshot_free);
#define cleanup_snapshot __attribute__((cleanup(snapshot_free_p_)))

/* --- what is there now ------------------------------------------------------- */

/* What tells that a file is still the one it was: the kernel sets the change time. */
struct snapshot_stat {
	uint64_t ino;    /* 0: not known, the file is read again */
	int64_t changed; /* ctime, ns since 1970 */
};

/* A snapshot and the directory it was made of, or restored to, some time ago. */
struct snapshot_base {
	const struct snapshot *snapshot;   /* NULL: none */
	const struct snapshot_stat *stats; /* of index->entries, in their order */
};

/* Stat everything that the index names: *ret is owned and has n_entries members. What is not
 * as the index says (type, size, mtime), or was changed so recently that another change
 * could go unseen, is not known. */
int snapshot_stats(int dirfd, const struct layer_index *ix, struct snapshot_stat **ret,
                   struct cairn_err *err);

struct snapshot_scan {
	struct layer_index *index; /* without places; owned */
	struct snapshot_stat *stats;
	uint64_t bytes;    /* of all files; hard links count once */
	uint64_t read;     /* bytes of files that were not known and had to be hashed */
	uint64_t left_out; /* sockets, pipes, devices */
};
void snapshot_scan_done(struct snapshot_scan *s);
#define cleanup_snapshot_scan __attribute__((cleanup(snapshot_scan_done)))

/* Look at everything in a directory that nobody changes meanwhile. A file that has the size,
 * mtime, inode and ctime that the base knows is not read.
 *
 * pool  hashes; NULL: the calling thread alone
 *
 * Fails with CAIRN_E_SYSTEM, CAIRN_E_UNSUPPORTED for what cannot be kept (LAYER_ENTRIES_MAX,
 * LAYER_PATH_MAX). */
int snapshot_scan(int dirfd, const struct snapshot_base *base, struct pool *pool,
                  struct snapshot_scan *ret, struct cairn_err *err);

/* --- a new snapshot -------------------------------------------------------------- */

struct snapshot_delta;

/* Decide where every content lies: in a pack of the base, of which at least half is needed, else in
 * a new pack.
 *
 * scan    borrowed until snapshot_delta_free()
 * base    NULL: everything is new. Borrowed as well
 * level   of zstd for new packs, 0: its default. Another level gives other blobs: for a
 *         remote whose copies are damaged
 *
 * Fails with CAIRN_E_UNSUPPORTED when there are too many packs. */
int snapshot_delta_new(const struct snapshot_scan *scan, const struct snapshot *base, int level,
                       struct snapshot_delta **ret, struct cairn_err *err);
void snapshot_delta_free(struct snapshot_delta *d); /* NULL is fine */
DEFINE_CLEANUP(struct snapshot_delta *, snapshot_delta_free);
#define cleanup_snapshot_delta __attribute__((cleanup(snapshot_delta_free_p_)))

/* Packs that must be made. */
size_t snapshot_delta_packs(const struct snapshot_delta *d);

/* Uncompressed bytes that go into new packs. */
uint64_t snapshot_delta_bytes(const struct snapshot_delta *d);

/* Is the directory exactly what the base says? Then there is nothing to keep. */
bool snapshot_delta_same(const struct snapshot_delta *d);

/* Make pack i: read its files below dirfd, compress, give the blob to `out`. Different
 * packs may be made by different threads at once.
 *
 * Fails with CAIRN_E_DIGEST when a file is not what it was when it was scanned. */
int snapshot_delta_write(struct snapshot_delta *d, size_t i, int dirfd,
                         const struct layer_sink *out, struct cairn_err *err);

/* Descriptor of new pack i, once it was made. */
const struct snapshot_pack *snapshot_delta_pack(const struct snapshot_delta *d, size_t i);

/* The new snapshot, when all packs were made. Owned by the caller. */
struct snapshot *snapshot_delta_finish(struct snapshot_delta *d, int64_t created);

/* --- back into a directory ------------------------------------------------------------- */

struct snapshot_restore {
	int out_dirfd; /* empty; gets the owner, mode and time of the snapshot's root last */
	/* Stream the blob of a pack. Called by several threads at once; other bytes than
	 * promised must end in a failure. */
	int (*fetch)(void *ctx, const struct snapshot_pack *pack, const struct layer_sink *sink,
	             struct cairn_err *err);
	void *ctx;
	struct pool *pool; /* packs at once; NULL: one by one */
	/* An older state of the directory: contents that it has are taken from there. Files may
	 * get a second name in out_dirfd, so it is to be thrown away afterwards. */
	struct snapshot_base old;
	int old_dirfd;
};

/* Make the directory. On failure it is the caller's to throw away.
 *
 * ret_fetched  uncompressed bytes of packs that were fetched
 *
 * Fails with CAIRN_E_DIGEST when a pack does not hold what the snapshot says, CAIRN_E_DENIED
 * for an owner that this user may not use, CAIRN_E_SYSTEM, and as fetch does. */
int snapshot_restore(const struct snapshot *s, const struct snapshot_restore *opts,
                     uint64_t *ret_fetched, struct cairn_err *err);

#endif
