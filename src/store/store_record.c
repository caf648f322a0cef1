#include "store_priv.h"
#include "util/clock.h"

#define USED_STEP (3600 * CLOCK_SEC) /* as for objects */

static int lease_refs(struct store *s, const struct digest *key, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = false;
	int r;

	lease_add(s, LEASE_RECORD, key);
	TRY(db_bind(s, &st, err, "SELECT kind, digest FROM record_ref WHERE key = ?1", "d", key));
	while ((r = db_row(s, st, &row, err)) == 0 && row) {
		struct digest d = sql_digest(st, 1);

		lease_add(s, sqlite3_column_int(st, 0), &d);
	}
	return r;
}

static int record_find(struct store *s, const struct digest *key, struct store_found *ret,
                       struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	int64_t now = clock_now();
	bool row = false;
	str payload;

	TRY(db_bind(s, &st, err,
	            "SELECT kind, created, payload, used FROM record WHERE key = ?1 AND NOT EXISTS"
	            " (SELECT 1 FROM record_ref r WHERE r.key = ?1 AND NOT EXISTS"
	            "  (SELECT 1 FROM object o WHERE o.kind = r.kind AND o.key = r.digest"
	            "   AND o.durable >= ?2))",
	            "di", key, (int64_t)s->min_durable));
	TRY(db_row(s, st, &row, err));
	if (!row)
		return 0;
	if (!s->read_only && now - sqlite3_column_int64(st, 3) > USED_STEP)
		TRY(db_run(s, err, "UPDATE record SET used = ?1 WHERE key = ?2", "id", now, key));
	TRY(lease_refs(s, key, err));
	payload = sql_bytes(st, 2);
	*ret = (struct store_found){ .found = true,
		                     .kind = (enum store_record_kind)sqlite3_column_int(st, 0),
		                     .created = sqlite3_column_int64(st, 1),
		                     .payload = xmalloc(payload.len + 1),
		                     .len = payload.len };
	if (payload.len)
		memcpy(ret->payload, payload.ptr, payload.len);
	ret->payload[payload.len] = '\0';
	return 0;
}

static int records_find(struct store *s, const struct digest *keys, size_t n,
                        struct store_found *ret, struct cairn_err *err)
{
	for (size_t i = 0; i < n; i++)
		TRY(record_find(s, &keys[i], &ret[i], err));
	return 0;
}

int store_records_find(struct store *s, const struct digest *keys, size_t n,
                       struct store_found *ret, struct cairn_err *err)
{
	int r;

	for (size_t i = 0; i < n; i++)
		ret[i] = (struct store_found){ 0 };
	TRY(tx_begin(s, TX_LOOKUP, err));
	r = tx_end(s, records_find(s, keys, n, ret, err), err);
	for (size_t i = 0; r < 0 && i < n; i++)
		store_found_done(&ret[i]);
	return r;
}

void store_found_done(struct store_found *f)
{
	free(f->payload);
	*f = (struct store_found){ 0 };
}

static int record_delete(struct store *s, const struct digest *key, struct cairn_err *err)
{
	TRY(db_run(s, err, "DELETE FROM record_ref WHERE key = ?1", "d", key));
	return db_run(s, err, "DELETE FROM record WHERE key = ?1", "d", key);
}

/* Does the record that is there stay? */
static bool old_stays(const struct store_found *old, const struct store_record *r,
                      enum store_policy policy)
{
	struct digest a, b;

	if (!old->found)
		return false;
	if (policy == STORE_ADOPT)
		return true;
	if (old->created != r->created)
		return old->created > r->created;
	a = digest_of(old->payload, old->len);
	b = digest_of(r->payload.ptr, r->payload.len);
	return digest_cmp(&a, &b) >= 0;
}

static int record_put(struct store *s, const struct store_record *r, enum store_policy policy,
                      struct store_found *old, struct cairn_err *err)
{
	TRY(record_find(s, &r->key, old, err));
	if (old_stays(old, r, policy))
		return 0;
	store_found_done(old);
	TRY(record_delete(s, &r->key, err));
	TRY(db_run(s, err, "INSERT INTO record VALUES(?1, ?2, ?3, ?4, ?5)", "diiib", &r->key,
	           (int64_t)r->kind, r->created, clock_now(), r->payload));
	for (size_t i = 0; i < r->n_refs; i++)
		TRY(db_run(s, err, "INSERT OR IGNORE INTO record_ref VALUES(?1, ?2, ?3)", "did",
		           &r->key, (int64_t)r->refs[i].kind, &r->refs[i].digest));
	return lease_refs(s, &r->key, err);
}

int store_record_put(struct store *s, const struct store_record *r, enum store_policy policy,
                     struct store_found *ret_kept, struct cairn_err *err)
{
	struct store_found old = { 0 };
	int rc;

	if (r->payload.len > STORE_RECORD_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record of %zu bytes is larger than %u",
		                  r->payload.len, STORE_RECORD_MAX);
	TRY(tx_begin(s, TX_WRITE, err));
	rc = tx_end(s, record_put(s, r, policy, &old, err), err);
	if (rc == 0 && ret_kept)
		*ret_kept = old;
	else
		store_found_done(&old);
	return rc;
}

int store_record_remove(struct store *s, const struct digest *key, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, record_delete(s, key, err), err);
}
