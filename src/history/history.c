/* The database: table build with a row a record, table step with a row a step. */
#include "history.h"

#include <errno.h>
#include <sys/random.h>

#include "history_priv.h"
#include "util/fs.h"
#include "util/sql.h"
#include "util/vec.h"

#define FILE_NAME "history.sqlite"
#define BUSY_MS   20000 /* of builds that end at the same moment each gets its turn */
#define SQL_MAX   4096

struct history {
	char *path;  /* of the file */
	sqlite3 *db; /* NULL: there is none, and nothing is written */
	bool read_only;
	sqlite3_stmt *add_build, *add_step;
};

static int db_fail(const struct history *h, int rc, struct cairn_err *err)
{
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return cairn_fail(err, CAIRN_E_TIMEOUT,
		                  "the history '%s' has been in use by another cairn for %d "
		                  "seconds",
		                  h->path, BUSY_MS / 1000);
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the history '%s' is damaged (%s); remove that file: it is made "
		                  "anew",
		                  h->path, sqlite3_errstr(rc));
	case SQLITE_FULL:
		errno = ENOSPC;
		return cairn_fail_sys(err, "write to the history '%s'", h->path);
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return cairn_fail(err, CAIRN_E_DENIED, "the history '%s' is read-only", h->path);
	default:
		return cairn_fail(err, CAIRN_E_SYSTEM, "history '%s': %s", h->path,
		                  h->db ? sqlite3_errmsg(h->db) : sqlite3_errstr(rc));
	}
}

static int exec(struct history *h, const char *sql, struct cairn_err *err)
{
	int rc = sqlite3_exec(h->db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(h, rc, err);
}

static int prepare(struct history *h, const char *sql, sqlite3_stmt **ret, struct cairn_err *err)
{
	int rc = sqlite3_prepare_v2(h->db, sql, -1, ret, NULL);

	return rc == SQLITE_OK ? 0 : db_fail(h, rc, err);
}

static int step(struct history *h, sqlite3_stmt *st, bool *ret_row, struct cairn_err *err)
{
	int rc = sqlite3_step(st);

	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return db_fail(h, rc, err);
	*ret_row = rc == SQLITE_ROW;
	return 0;
}

/* --- the tables ----------------------------------------------------------------------- */

static const char *const sql_types[] = {
	[FIELD_STR] = "TEXT",        [FIELD_U64] = "INTEGER",  [FIELD_TIME] = "INTEGER",
	[FIELD_UINT] = "INTEGER",    [FIELD_BOOL] = "INTEGER", [FIELD_DIGEST] = "BLOB",
	[FIELD_OUTCOME] = "INTEGER",
};

/* ", name TYPE" or ", name" for each field. */
static void columns(const struct field *fields, size_t n, bool types, struct strbuf *out)
{
	for (size_t i = 0; i < n; i++)
		strbuf_printf(out, ", %s%s%s", fields[i].name, types ? " " : "",
		              types ? sql_types[fields[i].type] : "");
}

/* Few records have one. */
#define ATTEMPTS "CREATE INDEX IF NOT EXISTS build_attempt ON build(attempt) WHERE attempt <> '';"

static int create(struct history *h, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf sql;

	strbuf_init(&sql, SQL_MAX);
	strbuf_cstr(&sql, "CREATE TABLE IF NOT EXISTS build(n INTEGER PRIMARY KEY, "
	                  "id BLOB NOT NULL UNIQUE");
	columns(history_build_fields, BUILD_FIELDS, true, &sql);
	strbuf_cstr(&sql, "); CREATE TABLE IF NOT EXISTS step(build INTEGER NOT NULL, "
	                  "pos INTEGER NOT NULL");
	columns(history_step_fields, STEP_FIELDS, true, &sql);
	strbuf_printf(&sql,
	              ", PRIMARY KEY(build, pos)) WITHOUT ROWID;"
	              "CREATE INDEX IF NOT EXISTS build_image ON build(image, time);"
	              "CREATE INDEX IF NOT EXISTS build_time ON build(time);" ATTEMPTS
	              "PRAGMA user_version=%d",
	              HISTORY_VERSION);
	TRY(exec(h, "BEGIN IMMEDIATE", err));
	TRY(exec(h, sql.ptr, err));
	return exec(h, "COMMIT", err);
}

static int version_of(struct history *h, int *ret, struct cairn_err *err)
{
	cleanup_sql sqlite3_stmt *st = NULL;
	bool row = false;

	TRY(prepare(h, "PRAGMA user_version", &st, err));
	TRY(step(h, st, &row, err));
	*ret = row ? sqlite3_column_int(st, 0) : 0;
	return 0;
}

/* What a database of an older version lacks, unless another process has added it by now. Its
 * columns are added; what they say of older records is "" and 0. */
static int upgrade(struct history *h, struct cairn_err *err)
{
	char sql[256];
	int version = 0;

	(void)snprintf(sql, sizeof(sql),
	               "ALTER TABLE build ADD COLUMN attempt TEXT NOT NULL DEFAULT '';"
	               "ALTER TABLE build ADD COLUMN sender INTEGER NOT NULL DEFAULT 0;" ATTEMPTS
	               "PRAGMA user_version=%d",
	               HISTORY_VERSION);
	TRY(exec(h, "BEGIN IMMEDIATE", err));
	TRY(version_of(h, &version, err));
	if (version < HISTORY_VERSION)
		TRY(exec(h, sql, err));
	return exec(h, "COMMIT", err);
}

/* Who only reads opens it for writing, too, where that is allowed (SQLite looks): what a process
 * that was killed has left half written can be rolled back only so.
 * No fsync: what a power cut takes was a hint. The journal is a file, which works where shared
 * memory between processes does not, and it stays: to make one for each build costs more than to
 * write it. */
static int open_file(struct history *h, bool read_only, struct cairn_err *err)
{
	int flags = SQLITE_OPEN_READWRITE | (read_only ? 0 : SQLITE_OPEN_CREATE);
	int rc = sqlite3_open_v2(h->path, &h->db,
	                         flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (rc != SQLITE_OK)
		return db_fail(h, rc, err);
	h->read_only = read_only || sqlite3_db_readonly(h->db, "main") == 1;
	(void)sqlite3_busy_timeout(h->db, BUSY_MS);
	(void)sqlite3_db_config(h->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	(void)sqlite3_db_config(h->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	return exec(h,
	            read_only ? "PRAGMA query_only=1"
	                      : "PRAGMA synchronous=OFF; PRAGMA journal_mode=PERSIST",
	            err);
}

static int open_db(struct history *h, bool read_only, struct cairn_err *err)
{
	int version = 0;

	TRY(open_file(h, read_only, err));
	TRY(version_of(h, &version, err));
	if (read_only && version < HISTORY_VERSION) {
		(void)sqlite3_close(h->db);
		h->db = NULL;
		if (version > 0)
			TRY(open_db(h, false, err));
		h->read_only = true;
		return 0; /* without a version: another process is making it, nothing is in it */
	}
	if (version < HISTORY_VERSION && !read_only) {
		TRY(version == 0 ? create(h, err) : upgrade(h, err));
		TRY(version_of(h, &version, err));
	}
	if (version != HISTORY_VERSION)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the history '%s' has format %d and this cairn knows %d; remove "
		                  "that file, or use another cairn",
		                  h->path, version, HISTORY_VERSION);
	return 0;
}

int history_open(const char *dir, bool read_only, struct history **ret, struct cairn_err *err)
{
	cleanup_history struct history *h = xcalloc(1, sizeof(*h));

	h->path = xasprintf("%s/" FILE_NAME, dir);
	if (!read_only)
		TRY(fs_mkdir_p(AT_FDCWD, dir, 0700, err));
	if (!read_only || access(h->path, F_OK) == 0)
		TRY(open_db(h, read_only, err));
	*ret = steal_ptr(&h);
	return 0;
}

void history_close(struct history *h)
{
	if (!h)
		return;
	(void)sqlite3_finalize(h->add_build);
	(void)sqlite3_finalize(h->add_step);
	(void)sqlite3_close(h->db);
	free(h->path);
	free(h);
}

/* --- written ---------------------------------------------------------------------------- */

static int bind_field(sqlite3_stmt *st, int i, const struct field *f, const char *at)
{
	const struct digest *d = (const void *)at;
	uint64_t u;
	str s;

	switch (f->type) {
	case FIELD_STR:
		s = *(const str *)(const void *)at;
		return sqlite3_bind_text64(st, i, s.ptr ? s.ptr : "", s.len, SQLITE_STATIC,
		                           SQLITE_UTF8);
	case FIELD_U64:
		u = *(const uint64_t *)(const void *)at;
		return sqlite3_bind_int64(st, i, (int64_t)(u > INT64_MAX ? INT64_MAX : u));
	case FIELD_TIME:
		return sqlite3_bind_int64(st, i, *(const int64_t *)(const void *)at);
	case FIELD_UINT:
		return sqlite3_bind_int64(st, i, *(const unsigned *)(const void *)at);
	case FIELD_BOOL:
		return sqlite3_bind_int(st, i, *(const bool *)(const void *)at);
	case FIELD_DIGEST:
		return digest_none(d) ? sqlite3_bind_null(st, i)
		                      : sqlite3_bind_blob(st, i, d->b, DIGEST_LEN, SQLITE_STATIC);
	case FIELD_OUTCOME:
		return sqlite3_bind_int(st, i,
		                        (int)*(const enum history_outcome *)(const void *)at);
	}
	CAIRN_BUG("no such type of field");
}

/* Bind the fields as parameters 3, 4, ... and run. */
static int insert(struct history *h, sqlite3_stmt *st, const struct field *fields, size_t n,
                  const void *from, struct cairn_err *err)
{
	bool row;
	int r;

	for (size_t i = 0; i < n; i++) {
		int rc = bind_field(st, (int)i + 3, &fields[i],
		                    (const char *)from + fields[i].offset);

		if (rc != SQLITE_OK)
			return db_fail(h, rc, err);
	}
	r = step(h, st, &row, err);
	(void)sqlite3_reset(st);
	return r;
}

/* "INSERT OR IGNORE INTO table(key, .., fields) VALUES(?1, ..)" */
static int prepare_insert(struct history *h, const char *table, const char *keys,
                          const struct field *fields, size_t n, sqlite3_stmt **ret,
                          struct cairn_err *err)
{
	cleanup_strbuf struct strbuf sql;

	strbuf_init(&sql, SQL_MAX);
	strbuf_printf(&sql, "INSERT OR IGNORE INTO %s(%s", table, keys);
	columns(fields, n, false, &sql);
	strbuf_cstr(&sql, ") VALUES(?1, ?2");
	for (size_t i = 0; i < n; i++)
		strbuf_printf(&sql, ", ?%zu", i + 3);
	strbuf_char(&sql, ')');
	return prepare(h, sql.ptr, ret, err);
}

static int prepare_adding(struct history *h, struct cairn_err *err)
{
	if (h->add_build)
		return 0;
	TRY(prepare_insert(h, "step", "build, pos", history_step_fields, STEP_FIELDS, &h->add_step,
	                   err));
	return prepare_insert(h, "build", "n, id", history_build_fields, BUILD_FIELDS,
	                      &h->add_build, err);
}

/* In a transaction. *ret_new: it was not there. */
static int add_one(struct history *h, const struct history_build *b, bool *ret_new,
                   struct cairn_err *err)
{
	size_t n = b->n_steps < HISTORY_STEPS_MAX ? b->n_steps : HISTORY_STEPS_MAX;
	int64_t row;

	(void)sqlite3_bind_null(h->add_build, 1);
	(void)sqlite3_bind_blob(h->add_build, 2, b->id, HISTORY_ID, SQLITE_STATIC);
	TRY(insert(h, h->add_build, history_build_fields, BUILD_FIELDS, b, err));
	*ret_new = sqlite3_changes(h->db) > 0;
	row = sqlite3_last_insert_rowid(h->db);
	for (size_t i = 0; *ret_new && i < n; i++) {
		(void)sqlite3_bind_int64(h->add_step, 1, row);
		(void)sqlite3_bind_int64(h->add_step, 2, (int64_t)i);
		TRY(insert(h, h->add_step, history_step_fields, STEP_FIELDS, &b->steps[i], err));
	}
	return 0;
}

/* Records beyond HISTORY_KEEP, the ones that were added first. */
static int forget(struct history *h, struct cairn_err *err)
{
	char sql[256];

	(void)snprintf(sql, sizeof(sql),
	               "DELETE FROM step WHERE build <= (SELECT max(n) FROM build) - %u;"
	               "DELETE FROM build WHERE n <= (SELECT max(n) FROM build) - %u",
	               HISTORY_KEEP, HISTORY_KEEP);
	return exec(h, sql, err);
}

static int begin(struct history *h, struct cairn_err *err)
{
	if (!h->db || h->read_only)
		return cairn_fail(err, CAIRN_E_DENIED, "the history '%s' was opened for reading",
		                  h->path);
	TRY(prepare_adding(h, err));
	return exec(h, "BEGIN IMMEDIATE", err);
}

static int end(struct history *h, int result, struct cairn_err *err)
{
	struct cairn_err ignored;

	if (result == 0)
		result = forget(h, err);
	if (result == 0)
		result = exec(h, "COMMIT", err);
	if (result < 0)
		(void)exec(h, "ROLLBACK", &ignored);
	return result;
}

int history_id(struct history_build *b, struct cairn_err *err)
{
	if (getrandom(b->id, HISTORY_ID, 0) != (ssize_t)HISTORY_ID)
		return cairn_fail_sys(err, "random bytes");
	return 0;
}

int history_add(struct history *h, const struct history_build *b, struct cairn_err *err)
{
	static const uint8_t none[HISTORY_ID];
	struct history_build copy = *b;
	bool added;

	if (memcmp(copy.id, none, HISTORY_ID) == 0)
		TRY(history_id(&copy, err));
	TRY(begin(h, err));
	return end(h, add_one(h, &copy, &added, err), err);
}

int history_merge(struct history *h, str lines, size_t *ret_added, struct cairn_err *err)
{
	size_t n = 0;
	str line;
	int r = 0;

	TRY(begin(h, err));
	while (r == 0 && str_next(&lines, '\n', &line)) {
		cleanup_arena struct arena *a = NULL;
		struct history_build b;
		struct cairn_err damaged;
		bool added = false;

		if (!str_trim(line).len)
			continue;
		a = arena_new();
		if (history_decode(line, a, &b, &damaged) < 0)
			continue;
		r = add_one(h, &b, &added, err);
		n += added;
	}
	TRY(end(h, r, err));
	*ret_added = n;
	return 0;
}

/* --- read --------------------------------------------------------------------------------- */

static void read_field(sqlite3_stmt *st, int col, const struct field *f, struct arena *a, char *at)
{
	int64_t n = sqlite3_column_int64(st, col);

	switch (f->type) {
	case FIELD_STR:
		*(str *)(void *)at = arena_str(a, sql_bytes(st, col));
		break;
	case FIELD_U64:
		*(uint64_t *)(void *)at = n < 0 ? 0 : (uint64_t)n;
		break;
	case FIELD_TIME:
		*(int64_t *)(void *)at = n;
		break;
	case FIELD_UINT:
		*(unsigned *)(void *)at = n < 0 || n > INT32_MAX ? 0 : (unsigned)n;
		break;
	case FIELD_BOOL:
		*(bool *)(void *)at = n != 0;
		break;
	case FIELD_DIGEST:
		*(struct digest *)(void *)at = sql_digest(st, col);
		break;
	case FIELD_OUTCOME:
		*(enum history_outcome *)(void *)at =
			n < 0 || n >= HISTORY_OUTCOMES_ ? HISTORY_FAILED : (enum history_outcome)n;
		break;
	}
}

/* Columns 2, 3, ... are the fields. */
static void read_fields(sqlite3_stmt *st, const struct field *fields, size_t n, struct arena *a,
                        void *into)
{
	for (size_t i = 0; i < n; i++)
		read_field(st, (int)i + 2, &fields[i], a, (char *)into + fields[i].offset);
}

typedef VEC(struct history_step) steps_vec;

static int read_steps(struct history *h, sqlite3_stmt *st, int64_t build, struct arena *a,
                      struct history_build *b, struct cairn_err *err)
{
	steps_vec steps = { 0 };
	bool row = true;
	int r = 0;

	(void)sqlite3_reset(st);
	(void)sqlite3_bind_int64(st, 1, build);
	while ((r = step(h, st, &row, err)) == 0 && row && steps.len < HISTORY_STEPS_MAX) {
		struct history_step s = { 0 };

		read_fields(st, history_step_fields, STEP_FIELDS, a, &s);
		vec_push(&steps, s);
	}
	b->steps = arena_array(a, struct history_step, steps.len);
	b->n_steps = steps.len;
	if (steps.len)
		memcpy(b->steps, steps.ptr, steps.len * sizeof(*steps.ptr));
	vec_free(&steps);
	return r;
}

/* Not the sender's record of an attempt of which the build told itself. */
#define OF_ONE                                                                               \
	" AND NOT (sender AND attempt <> '' AND EXISTS(SELECT 1 FROM build AS o"             \
	" WHERE o.attempt <> '' AND o.attempt = build.attempt AND o.image = build.image AND" \
	" NOT o.sender))"

/* Outcome 0 is HISTORY_OK. */
#define WORKED                                                                            \
	" AND (outcome <> 0 OR EXISTS(SELECT 1 FROM step WHERE step.build = build.n AND " \
	"hit = 0 AND kind <> 'from'))"

static int prepare_reading(struct history *h, const struct history_query *q, sqlite3_stmt **ret,
                           sqlite3_stmt **ret_steps, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf sql;

	strbuf_init(&sql, SQL_MAX);
	strbuf_cstr(&sql, "SELECT build, pos");
	columns(history_step_fields, STEP_FIELDS, false, &sql);
	strbuf_cstr(&sql, " FROM step WHERE build = ?1 ORDER BY pos");
	TRY(prepare(h, sql.ptr, ret_steps, err));
	strbuf_clear(&sql);
	strbuf_cstr(&sql, "SELECT n, id");
	columns(history_build_fields, BUILD_FIELDS, false, &sql);
	strbuf_printf(&sql,
	              " FROM build WHERE time >= ?2%s%s" OF_ONE
	              " ORDER BY time DESC, n DESC LIMIT ?3",
	              q->image.len ? " AND image = ?1" : "", q->worked ? WORKED : "");
	TRY(prepare(h, sql.ptr, ret, err));
	if (q->image.len)
		(void)sqlite3_bind_text64(*ret, 1, q->image.ptr, q->image.len, SQLITE_STATIC,
		                          SQLITE_UTF8);
	(void)sqlite3_bind_int64(*ret, 2, q->since);
	(void)sqlite3_bind_int64(*ret, 3, q->limit ? (int64_t)q->limit : -1);
	return 0;
}

/* What was sent for an attempt, if somebody told. */
static int prepare_sender(struct history *h, sqlite3_stmt **ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf sql;

	strbuf_init(&sql, SQL_MAX);
	strbuf_cstr(&sql, "SELECT n, id");
	columns(history_build_fields, BUILD_FIELDS, false, &sql);
	strbuf_cstr(&sql, " FROM build WHERE attempt <> '' AND attempt = ?1 AND image = ?2 AND"
	                  " sender LIMIT 1");
	return prepare(h, sql.ptr, ret, err);
}

static int add_sender(struct history *h, sqlite3_stmt *st, struct arena *a, struct history_build *b,
                      struct cairn_err *err)
{
	struct history_build from = { 0 };
	bool row = false;

	if (b->sender || !b->attempt.len)
		return 0;
	(void)sqlite3_reset(st);
	(void)sqlite3_bind_text64(st, 1, b->attempt.ptr, b->attempt.len, SQLITE_STATIC,
	                          SQLITE_UTF8);
	(void)sqlite3_bind_text64(st, 2, b->image.ptr, b->image.len, SQLITE_STATIC, SQLITE_UTF8);
	TRY(step(h, st, &row, err));
	if (!row)
		return 0;
	read_fields(st, history_build_fields, BUILD_FIELDS, a, &from);
	b->queue_ns = from.queue_ns;
	b->cost = from.cost ? from.cost : b->cost;
	b->predicted_ns = from.predicted_ns;
	b->predicted_cost = from.predicted_cost;
	b->predicted_memory = from.predicted_memory;
	b->fallback = from.fallback;
	if (b->outcome == HISTORY_OK)
		b->outcome = from.outcome;
	return 0;
}

typedef VEC(struct history_build) builds_vec;

static int read_builds(struct history *h, const struct history_query *q, struct arena *a,
                       builds_vec *builds, struct cairn_err *err)
{
	cleanup_sql sqlite3_stmt *st = NULL, *steps = NULL, *sender = NULL;
	bool row = true;
	int r;

	TRY(prepare_reading(h, q, &st, &steps, err));
	TRY(prepare_sender(h, &sender, err));
	while ((r = step(h, st, &row, err)) == 0 && row) {
		struct history_build b = { 0 };
		str id = sql_bytes(st, 1);

		if (id.len == HISTORY_ID)
			memcpy(b.id, id.ptr, HISTORY_ID);
		read_fields(st, history_build_fields, BUILD_FIELDS, a, &b);
		TRY(add_sender(h, sender, a, &b, err));
		if (q->steps)
			TRY(read_steps(h, steps, sqlite3_column_int64(st, 0), a, &b, err));
		vec_push(builds, b);
	}
	return r;
}

int history_find(struct history *h, const struct history_query *q, struct arena *a,
                 struct history_build **ret, size_t *ret_n, struct cairn_err *err)
{
	builds_vec builds = { 0 };
	int r = h->db ? read_builds(h, q, a, &builds, err) : 0;

	if (r == 0) {
		*ret = arena_array(a, struct history_build, builds.len);
		*ret_n = builds.len;
		if (builds.len)
			memcpy(*ret, builds.ptr, builds.len * sizeof(*builds.ptr));
	}
	vec_free(&builds);
	return r;
}

int history_export(struct history *h, const struct history_query *q, struct strbuf *out,
                   struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct history_query all = *q;
	struct history_build *b;
	size_t n;

	all.steps = true;
	TRY(history_find(h, &all, a, &b, &n, err));
	for (size_t i = 0; i < n; i++) /* what does not fit is left out whole: the oldest */
		history_encode(&b[i], out);
	return 0;
}
