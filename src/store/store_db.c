#include <errno.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "store_priv.h"
#include "util/clock.h"
#include "util/fs.h"

/* Pages in the write-ahead log: above, a commit copies them into the database (which
 * syncs); at the end of a process above the second figure. Normally
 * store_sync() does it, where it disturbs nobody. */
#define WAL_PAGES_MAX   4000
#define WAL_PAGES_LONG  100
#define WAL_PAGES_CLOSE 500

/* Digests are blobs of 32 bytes, times ns since 1970, object.kind is an object_kind,
 * record.kind a store_record_kind. The schema is described in words in store.h. */
static const char schema[] =
	"CREATE TABLE meta(one INTEGER PRIMARY KEY CHECK(one = 1), boot TEXT NOT NULL);"
	"CREATE TABLE object(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,"
	" key BLOB NOT NULL, name TEXT NOT NULL, bytes INTEGER NOT NULL, layer BLOB,"
	" created INTEGER NOT NULL, used INTEGER NOT NULL, durable INTEGER NOT NULL,"
	" UNIQUE(kind, key));"
	"CREATE INDEX object_durable ON object(id) WHERE durable = 0;"
	"CREATE INDEX object_layer ON object(layer) WHERE layer IS NOT NULL;"
	"CREATE TABLE layer(diff_id BLOB PRIMARY KEY, content BLOB NOT NULL, tar_size INTEGER NOT NULL,"
	" entries INTEGER NOT NULL, created INTEGER NOT NULL, foreign_made INTEGER NOT NULL,"
	" index_digest BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE layer_blob(diff_id BLOB NOT NULL, variant TEXT NOT NULL, digest BLOB NOT NULL,"
	" size INTEGER NOT NULL, PRIMARY KEY(diff_id, variant)) WITHOUT ROWID;"
	"CREATE TABLE blob_source(digest BLOB NOT NULL, registry TEXT NOT NULL,"
	" repository TEXT NOT NULL, seen INTEGER NOT NULL,"
	" PRIMARY KEY(digest, registry, repository)) WITHOUT ROWID;"
	"CREATE TABLE record(key BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, created INTEGER NOT NULL,"
	" used INTEGER NOT NULL, payload BLOB NOT NULL);"
	"CREATE TABLE record_ref(key BLOB NOT NULL, kind INTEGER NOT NULL, digest BLOB NOT NULL,"
	" PRIMARY KEY(key, kind, digest)) WITHOUT ROWID;"
	"CREATE TABLE image(config BLOB PRIMARY KEY, platform TEXT NOT NULL, created INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE image_layer(config BLOB NOT NULL, pos INTEGER NOT NULL, diff_id BLOB NOT NULL,"
	" PRIMARY KEY(config, pos)) WITHOUT ROWID;"
	"CREATE TABLE image_manifest(config BLOB NOT NULL, variant TEXT NOT NULL, digest BLOB NOT NULL,"
	" PRIMARY KEY(config, variant)) WITHOUT ROWID;"
	"CREATE TABLE tag(name TEXT NOT NULL, platform TEXT NOT NULL, config BLOB NOT NULL,"
	" updated INTEGER NOT NULL, PRIMARY KEY(name, platform)) WITHOUT ROWID;";

static int db_fail(struct store *s, struct cairn_err *err, int rc)
{
	int sys = sqlite3_system_errno(s->db);

	switch (rc & 0xff) {
	case SQLITE_FULL:
		errno = ENOSPC;
		return store_fail_io(s, err, "write to the database");
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return cairn_fail(err, CAIRN_E_TIMEOUT,
		                  "the database of the store '%s' has been in use by another cairn "
		                  "for %u seconds; try again",
		                  s->path, s->busy_ms / 1000);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the database of the store '%s' is damaged (%s); remove that "
		                  "directory to start with an empty store",
		                  s->path, sqlite3_errstr(rc));
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "the database of the store '%s' is read-only", s->path);
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		errno = sys ? sys : EIO;
		return store_fail_io(s, err, "use the database");
	default:
		return cairn_fail(err, CAIRN_E_SYSTEM, "database of the store '%s': %s", s->path,
		                  sqlite3_errmsg(s->db));
	}
}

/* One statement without results; for what is not worth caching. */
static int exec(struct store *s, const char *sql, struct cairn_err *err)
{
	int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(s, err, rc);
}

static sqlite3_stmt *cached(struct store *s, const char *sql, int *ret_rc)
{
	sqlite3_stmt *st = map_get(&s->stmts, str_of(sql));

	if (st) {
		(void)sqlite3_reset(st);
		return st;
	}
	*ret_rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (*ret_rc != SQLITE_OK)
		return NULL;
	map_put(&s->stmts, str_of(sql), st);
	return st;
}

static int vbind(struct store *s, sqlite3_stmt **ret, struct cairn_err *err, const char *sql,
                 const char *types, va_list ap)
{
	int rc = SQLITE_OK;
	sqlite3_stmt *st = cached(s, sql, &rc);

	if (st)
		rc = sql_vbind(st, types, ap);
	if (rc != SQLITE_OK)
		return db_fail(s, err, rc);
	*ret = st;
	return 0;
}

int db_bind(struct store *s, sqlite3_stmt **ret, struct cairn_err *err, const char *sql,
            const char *types, ...)
{
	va_list ap;
	int r;

	va_start(ap, types);
	r = vbind(s, ret, err, sql, types, ap);
	va_end(ap);
	return r;
}

int db_row(struct store *s, sqlite3_stmt *st, bool *ret_row, struct cairn_err *err)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		(void)sqlite3_reset(st);
		return db_fail(s, err, rc);
	}
	*ret_row = rc == SQLITE_ROW;
	return 0;
}

int db_run(struct store *s, struct cairn_err *err, const char *sql, const char *types, ...)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = true;
	va_list ap;
	int r;

	va_start(ap, types);
	r = vbind(s, &st, err, sql, types, ap);
	va_end(ap);
	while (r == 0 && row)
		r = db_row(s, st, &row, err);
	return r;
}

char *db_text(sqlite3_stmt *st, int col)
{
	return str_dup(sql_bytes(st, col));
}

void db_checkpoint(struct store *s)
{
	/* Failure leaves the log as it is: the next one tries again. */
	if (!s->rollback && !s->read_only)
		(void)sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
		                                NULL);
}

static int wal_hook(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store *s = ctx;

	(void)name;
	s->wal_pages = pages;
	if (pages > WAL_PAGES_MAX)
		(void)sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

int tx_begin(struct store *s, enum tx_kind kind, struct cairn_err *err)
{
	bool write = kind == TX_WRITE || (kind == TX_LOOKUP && !s->read_only);
	int r;

	if (s->pid != getpid())
		CAIRN_BUG("the store was opened by another process");
	if (kind == TX_WRITE)
		TRY(store_need_write(s, err));
	pthread_mutex_lock(&s->lock);
	r = db_run(s, err, write ? "BEGIN IMMEDIATE" : "BEGIN", "");
	if (r < 0)
		pthread_mutex_unlock(&s->lock);
	return r;
}

int tx_end(struct store *s, int result, struct cairn_err *err)
{
	struct cairn_err ignored;

	/* Leases must be readable before another process can begin to collect. */
	if (result == 0)
		result = lease_flush(s, err);
	/* SQLite rolls back by itself after some failures (a full disk). */
	if (sqlite3_get_autocommit(s->db)) {
		if (result == 0)
			result = cairn_fail(err, CAIRN_E_SYSTEM,
			                    "the database of the store '%s' gave up a change; is "
			                    "its disk full?",
			                    s->path);
	} else if (result == 0) {
		result = db_run(s, err, "COMMIT", "");
	}
	if (!sqlite3_get_autocommit(s->db))
		(void)db_run(s, &ignored, "ROLLBACK", "");
	pthread_mutex_unlock(&s->lock);
	return result;
}

/* The kernel's name of this boot; without one every start counts as a new boot. */
static void read_boot_id(char buf[40])
{
	struct cairn_err err;
	struct strbuf text;
	unsigned char r[16];

	strbuf_init(&text, 39);
	if (fs_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &text, &err) == 0 &&
	    text.len >= 36) {
		memcpy(buf, text.ptr, 36);
		buf[36] = '\0';
	} else if (getrandom(r, sizeof(r), 0) == sizeof(r)) {
		for (size_t i = 0; i < sizeof(r); i++)
			(void)snprintf(buf + 2 * i, 3, "%02x", r[i]);
	} else {
		CAIRN_BUG("getrandom failed");
	}
	strbuf_done(&text);
}

static int drop_undurable(struct store *s, const char *boot, struct cairn_err *err)
{
	TRY(db_run(s, err, "DELETE FROM object WHERE durable = 0", ""));
	TRY(sweep_broken(s, err));
	return db_run(s, err, "UPDATE meta SET boot = ?1", "s", str_of(boot));
}

static int check_boot(struct store *s, const char *boot, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = false;

	TRY(db_bind(s, &st, err, "SELECT boot = ?1 FROM meta", "s", str_of(boot)));
	TRY(db_row(s, st, &row, err));
	if (!row)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the database of the store '%s' is damaged (no meta row); remove "
		                  "that directory to start with an empty store",
		                  s->path);
	if (sqlite3_column_int(st, 0))
		return 0;
	(void)sqlite3_reset(st);
	if (s->read_only) {
		s->min_durable = 1;
		return 0;
	}
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, drop_undurable(s, boot, err), err);
}

static int read_version(struct store *s, int *ret, struct cairn_err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int(st, 0);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_ROW ? 0 : db_fail(s, err, rc);
}

/* Only while the home directory is flocked. Still another process may be reading the version,
 * which stands in the way of the change to WAL and does not wake SQLite's busy handler. */
static int set_journal(struct store *s, struct cairn_err *err)
{
	const char *sql = s->rollback ? "PRAGMA journal_mode=DELETE" : "PRAGMA journal_mode=WAL";
	int64_t end = clock_monotonic() + (int64_t)s->busy_ms * 1000000;
	int r;

	while ((r = exec(s, sql, err)) == CAIRN_E_TIMEOUT && clock_monotonic() < end)
		(void)usleep(5000);
	return r;
}

static int create_tables(struct store *s, const char *boot, struct cairn_err *err)
{
	char version[48];
	int r, have = 0;

	if (flock(s->fd, LOCK_EX) < 0)
		return cairn_fail_sys(err, "lock the store '%s'", s->path);
	r = set_journal(s, err);
	if (r == 0)
		r = tx_begin(s, TX_WRITE, err);
	if (r < 0) {
		(void)flock(s->fd, LOCK_UN);
		return r;
	}
	r = read_version(s, &have, err);
	if (r == 0 && have == 0) {
		(void)snprintf(version, sizeof(version), "PRAGMA user_version=%d", STORE_VERSION);
		r = exec(s, schema, err);
		if (r == 0)
			r = db_run(s, err, "INSERT INTO meta VALUES(1, ?1)", "s", str_of(boot));
		if (r == 0)
			r = exec(s, version, err);
	}
	r = tx_end(s, r, err);
	(void)flock(s->fd, LOCK_UN);
	return r;
}

/* SQLite's own handler sleeps up to 100 ms at a time, which starves whoever meets busy
 * neighbours; transactions here last well under a millisecond. */
static int on_busy(void *ctx, int count)
{
	struct store *s = ctx;

	if (count == 0)
		s->busy_since = clock_monotonic();
	if (clock_monotonic() - s->busy_since > (int64_t)s->busy_ms * 1000000)
		return 0;
	(void)usleep(count < 20 ? 200 : 1000);
	return 1;
}

static int open_file(struct store *s, bool immutable, struct cairn_err *err)
{
	cleanup_free char *uri = NULL;
	struct strbuf b;
	int rc;

	/* Only a URI can say immutable; so the path is written as one. */
	strbuf_init(&b, 3 * strlen(s->path) + 64);
	strbuf_cstr(&b, "file://");
	for (const char *p = s->path; *p; p++) {
		if (*p == '%' || *p == '?' || *p == '#')
			strbuf_printf(&b, "%%%02x", (unsigned)(unsigned char)*p);
		else
			strbuf_char(&b, *p);
	}
	strbuf_printf(&b, "/db.sqlite%s", immutable ? "?immutable=1" : "");
	uri = strbuf_steal(&b);
	strbuf_done(&b);
	rc = sqlite3_open_v2(uri, &s->db,
	                     SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
	                             (s->read_only ? SQLITE_OPEN_READONLY
	                                           : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
	                     NULL);
	if (rc != SQLITE_OK)
		return db_fail(s, err, rc);
	(void)sqlite3_busy_handler(s->db, on_busy, s);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	(void)sqlite3_wal_hook(s->db, wal_hook, s);
	return exec(s, "PRAGMA synchronous=NORMAL; PRAGMA temp_store=MEMORY", err);
}

/* A read-only place where no process can make the log's shared memory can
 * only be read as if nobody wrote: what the database file alone holds. */
static int open_read_only(struct store *s, int *ret_version, struct cairn_err *err)
{
	int r = open_file(s, false, err);

	if (r == 0)
		r = read_version(s, ret_version, err);
	if (r == 0 || r == CAIRN_E_DIGEST)
		return r;
	(void)sqlite3_close(s->db);
	s->db = NULL;
	TRY(open_file(s, true, err));
	return read_version(s, ret_version, err);
}

int db_open(struct store *s, const char *boot_id, struct cairn_err *err)
{
	char boot[40];
	int version = 0;

	if (!boot_id) {
		read_boot_id(boot);
		boot_id = boot;
	}
	if (s->read_only) {
		TRY(open_read_only(s, &version, err));
		if (version == 0)
			return store_fail_none(s, err);
	} else {
		TRY(open_file(s, false, err));
		TRY(read_version(s, &version, err));
		if (version == 0) {
			TRY(create_tables(s, boot_id, err));
			TRY(read_version(s, &version, err));
		}
	}
	if (version > STORE_VERSION)
		return cairn_fail(
			err, CAIRN_E_DIGEST,
			"the database of the store '%s' has format %d and this cairn knows "
			"%d; use a newer cairn, or another CAIRN_HOME",
			s->path, version, STORE_VERSION);
	if (version != STORE_VERSION)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the database of the store '%s' is incomplete; remove that "
		                  "directory to start with an empty store",
		                  s->path);
	return check_boot(s, boot_id, err);
}

bool store_log_is_long(const struct store *s)
{
	return s->wal_pages > WAL_PAGES_LONG;
}

void db_close(struct store *s)
{
	if (s->wal_pages > WAL_PAGES_CLOSE)
		db_checkpoint(s);
	map_foreach (e, &s->stmts)
		(void)sqlite3_finalize(e->value);
	map_done(&s->stmts);
	(void)sqlite3_close(s->db);
	s->db = NULL;
}
