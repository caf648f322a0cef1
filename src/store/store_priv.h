/* store_priv.h - what the files of the store share: the handle, SQL, leases, objects. */
#ifndef CAIRN_STORE_PRIV_H
#define CAIRN_STORE_PRIV_H

#include <pthread.h>
#include <sys/types.h>

#include "store.h"
#include "util/map.h"
#include "util/sql.h"
#include "util/vec.h"

/* Something with a file or directory of its own; the numbers are in the database. */
enum object_kind {
	OBJECT_BLOB = STORE_REF_BLOB,   /* key: digest */
	OBJECT_INDEX = STORE_REF_LAYER, /* key: diff_id; there is one for each layer */
	OBJECT_DIR,                     /* key: directory key; layer: diff_id */
	OBJECT_MOUNT,                   /* key: cache mount id */
	OBJECT_N_,
};

/* What a lease may name besides objects. */
enum lease_kind {
	LEASE_RECORD = 10, /* key of a record */
	LEASE_IMAGE,       /* config digest */
};

struct store {
	char *path;
	int fd;               /* the home directory */
	pid_t pid;            /* who opened it */
	bool read_only;       /* by the caller's wish or by need */
	bool rollback;        /* no WAL on this file system */
	unsigned busy_ms;     /* how long to wait for the database */
	int64_t busy_since;   /* clock_monotonic() when the present wait began */
	int min_durable;      /* rows below are as good as absent: 1 in a read-only store after a
	                         restart, which cannot drop them */
	pthread_mutex_t lock; /* held during a transaction, and for what follows */
	sqlite3 *db;
	struct map stmts; /* SQL text -> sqlite3_stmt */
	int wal_pages;    /* length of the write-ahead log after the last commit here */

	char *owner;              /* name in leases/ and tmp/; NULL until needed */
	int lease_fd;             /* leases/OWNER, flocked; -1 until needed */
	bool has_tmp;             /* tmp/OWNER exists */
	struct map leased;        /* what the lease file names already */
	struct strbuf new_leases; /* to be written before the transaction ends */
};

/* ---- store_fs.c: where a store may lie */

enum fs_policy {
	FS_LOCAL,    /* WAL works */
	FS_ROLLBACK, /* no shared memory between processes: rollback journal */
	FS_REFUSED,  /* neither SQLite's locks nor flock can be trusted */
};

/* magic: statfs.f_type. *ret_name: a name for people, "" for FS_LOCAL. */
enum fs_policy store_fs_policy(uint64_t magic, const char **ret_name);

/* Give a directory made by us exactly this mode, our own group and no ACL, whatever it
 * inherited from its parent. */
int store_clean_dir(int dirfd, const char *name, mode_t mode, struct cairn_err *err);

/* cairn_fail_sys() for a failed write to the store: a full or read-only disk is
 * explained. */
int store_fail_io(const struct store *s, struct cairn_err *err, const char *doing);

/* Fail with CAIRN_E_DENIED when the store is read-only. */
int store_need_write(const struct store *s, struct cairn_err *err);

/* CAIRN_E_NOT_FOUND: nothing is here, for who only reads. */
int store_fail_none(const struct store *s, struct cairn_err *err);

/* ---- store_db.c */

/* Open the database, check its version, create its tables. */
int db_open(struct store *s, const char *boot_id, struct cairn_err *err);
void db_close(struct store *s);
/* Copy the write-ahead log into the database; lock held. */
void db_checkpoint(struct store *s);

enum tx_kind {
	TX_PEEK,   /* reads; leases nothing */
	TX_LOOKUP, /* reads and leases */
	TX_WRITE,  /* CAIRN_E_DENIED in a read-only store */
};

/* Take the lock and begin. Afterwards always call tx_end(). */
int tx_begin(struct store *s, enum tx_kind kind, struct cairn_err *err);
/* Commit when result is 0, else roll back; releases the lock. Returns result, or
 * the failure of the commit. */
int tx_end(struct store *s, int result, struct cairn_err *err);

/* Prepare once, bind. types has a letter for each argument: d = const struct digest *,
 * s = str as text, b = str as bytes, i = int64_t. The statement is borrowed; declare it
 * cleanup_stmt so that it is reset. */
int db_bind(struct store *s, sqlite3_stmt **ret, struct cairn_err *err, const char *sql,
            const char *types, ...);
int db_row(struct store *s, sqlite3_stmt *st, bool *ret_row, struct cairn_err *err);
/* Bind and run to the end. */
int db_run(struct store *s, struct cairn_err *err, const char *sql, const char *types, ...);

char *db_text(sqlite3_stmt *st, int col); /* owned */

static inline void stmt_cleanup_(sqlite3_stmt **st)
{
	if (*st)
		(void)sqlite3_reset(*st);
}
#define cleanup_stmt __attribute__((cleanup(stmt_cleanup_)))

/* ---- store_lease.c; all with the lock held */

/* Lease something until the store is closed; kind is an object_kind or lease_kind.
 * Nothing happens in a read-only store. */
void lease_add(struct store *s, int kind, const struct digest *digest);
/* Write what lease_add() collected. */
int lease_flush(struct store *s, struct cairn_err *err);
/* Make tmp/OWNER; removes what crashed processes left when it is made. */
int tmp_open(struct store *s, struct cairn_err *err);
void lease_close(struct store *s);

/* Call fn with what every living process has leased. Removes the files of dead ones and
 * their temporary trees. */
int lease_each(struct store *s,
               int (*fn)(void *ctx, int kind, const struct digest *digest, struct cairn_err *err),
               void *ctx, struct cairn_err *err);

/* A new name below tmp/OWNER, relative to the home directory; owned. Takes the lock. */
int tmp_name(struct store *s, char **ret, struct cairn_err *err);

/* ---- store_object.c; all inside a transaction */

struct object {
	int64_t id;
	char name[32]; /* in the kind's folder */
	uint64_t bytes;
	struct digest layer; /* OBJECT_DIR: diff_id */
};

extern const char *const object_folder[OBJECT_N_]; /* "blobs", ... */

/* Find and lease. An object whose file is gone or has another size counts as absent. */
int object_find(struct store *s, enum object_kind kind, const struct digest *key,
                struct object *ret, bool *ret_found, struct cairn_err *err);

struct object_new {
	enum object_kind kind;
	const struct digest *key;
	const struct digest *layer; /* OBJECT_DIR, else NULL */
	uint64_t bytes;
	const char *tmp; /* what to rename, relative to the home directory */
};

/* Insert a row and rename the file into its place; leases it. The caller has
 * looked that none is there. When the transaction fails afterwards: object_undo(). */
int object_add(struct store *s, const struct object_new *n, struct object *ret,
               struct cairn_err *err);
void object_undo(struct store *s, enum object_kind kind, const struct object *o);

/* Remove the row; the file, which others may be using, becomes garbage. */
int object_forget(struct store *s, enum object_kind kind, const struct digest *key,
                  struct cairn_err *err);

/* "layers/NAME" */
char *object_path(enum object_kind kind, const struct object *o);

/* ---- store_gc.c; inside a transaction */

/* Remove the rows of records, images and tags that lost what they need. */
int sweep_broken(struct store *s, struct cairn_err *err);

#endif
