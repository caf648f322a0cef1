#include <errno.h>
#include <sys/stat.h>

#include "store_priv.h"
#include "util/fs.h"

struct store_layer_txn {
	struct store *s;
	char *tmp;  /* directory that holds fs/ and work/, relative to the home directory */
	char *fs;   /* absolute */
	char *work; /* absolute */
};

struct layer_row {
	struct store_layer layer;
	struct digest index; /* digest of the encoded index */
	struct object object;
};

static int layer_find(struct store *s, const struct digest *diff_id, struct layer_row *ret,
                      bool *ret_found, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct layer_row row = { 0 };
	bool found = false;

	TRY(object_find(s, OBJECT_INDEX, diff_id, &row.object, &found, err));
	if (found) {
		TRY(db_bind(s, &st, err,
		            "SELECT content, tar_size, entries, created, foreign_made, index_digest"
		            " FROM layer WHERE diff_id = ?1",
		            "d", diff_id));
		TRY(db_row(s, st, &found, err));
	}
	if (found) {
		row.layer = (struct store_layer){
			.diff_id = *diff_id,
			.content = sql_digest(st, 0),
			.tar_size = (uint64_t)sqlite3_column_int64(st, 1),
			.n_entries = (uint64_t)sqlite3_column_int64(st, 2),
			.created = sqlite3_column_int64(st, 3),
			.foreign = sqlite3_column_int(st, 4) != 0,
		};
		row.index = sql_digest(st, 5);
		*ret = row;
	}
	*ret_found = found;
	return 0;
}

int store_layer_find(struct store *s, const struct digest *diff_id, struct store_layer *ret,
                     bool *ret_found, struct cairn_err *err)
{
	struct layer_row row = { 0 };
	bool found = false;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, layer_find(s, diff_id, &row, &found, err), err));
	*ret_found = found;
	if (found)
		*ret = row.layer;
	return 0;
}

int store_layer_index_read(struct store *s, const struct digest *diff_id, struct strbuf *out,
                           struct cairn_err *err)
{
	cleanup_free char *path = NULL, *buf = NULL;
	struct layer_row row = { 0 };
	struct cairn_err ignored;
	struct digest got;
	cleanup_fd int fd = -1;
	bool found = false;
	size_t n = 0;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, layer_find(s, diff_id, &row, &found, err), err));
	if (!found) {
		/* Where only the file is gone: what names the layer is worth nothing any more. */
		if (!s->read_only)
			(void)store_layer_forget(s, diff_id, &ignored);
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "the store has no layer %s",
		                  digest_text(diff_id).s);
	}
	if (row.object.bytes > out->max - out->len)
		return cairn_fail(
			err, CAIRN_E_SYNTAX,
			"the index of layer %s has %llu bytes; more than %zu are not read",
			digest_text(diff_id).s, (unsigned long long)row.object.bytes, out->max);
	path = object_path(OBJECT_INDEX, &row.object);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return cairn_fail_sys(err, "open the index of layer %s", digest_text(diff_id).s);
	buf = xmalloc(row.object.bytes);
	TRY(fs_read_full(fd, buf, row.object.bytes, &n, "layer index", err));
	got = digest_of(buf, n);
	if (n != row.object.bytes || !digest_eq(&got, &row.index)) {
		if (!s->read_only)
			(void)store_layer_forget(s, diff_id, &ignored);
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "the index of layer %s is damaged in the store '%s'; dropped",
		                  digest_text(diff_id).s, s->path);
	}
	strbuf_add(out, buf, n);
	return 0;
}

static int dirs_find(struct store *s, const struct digest *keys, size_t n, char **paths,
                     struct cairn_err *err)
{
	for (size_t i = 0; i < n; i++) {
		cleanup_free char *path = NULL;
		struct object o;
		bool found = false;

		TRY(object_find(s, OBJECT_DIR, &keys[i], &o, &found, err));
		if (!found)
			continue;
		path = object_path(OBJECT_DIR, &o);
		paths[i] = xasprintf("%s/%s", s->path, path);
	}
	return 0;
}

struct digest store_layer_chain_key(const struct digest *diff_ids, size_t n)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.layer.dir", 1);
	for (size_t i = 0; i < n; i++)
		digest_field_digest(&f, "layer", &diff_ids[i]);
	return digest_fields_end(&f);
}

int store_layer_dirs_find(struct store *s, const struct digest *keys, size_t n, char **ret_paths,
                          struct cairn_err *err)
{
	int r;

	for (size_t i = 0; i < n; i++)
		ret_paths[i] = NULL;
	TRY(tx_begin(s, TX_LOOKUP, err));
	r = tx_end(s, dirs_find(s, keys, n, ret_paths, err), err);
	for (size_t i = 0; r < 0 && i < n; i++) {
		free(ret_paths[i]);
		ret_paths[i] = NULL;
	}
	return r;
}

int store_layer_dir_forget(struct store *s, const struct digest *key, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, object_forget(s, OBJECT_DIR, key, err), err);
}

static int layer_forget(struct store *s, const struct digest *diff_id, struct cairn_err *err)
{
	TRY(object_forget(s, OBJECT_INDEX, diff_id, err));
	TRY(db_run(s, err, "DELETE FROM object WHERE layer = ?1", "d", diff_id));
	TRY(db_run(s, err, "DELETE FROM layer_blob WHERE diff_id = ?1", "d", diff_id));
	return db_run(s, err, "DELETE FROM layer WHERE diff_id = ?1", "d", diff_id);
}

int store_layer_forget(struct store *s, const struct digest *diff_id, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, layer_forget(s, diff_id, err), err);
}

int store_layer_begin(struct store *s, struct store_layer_txn **ret, struct cairn_err *err)
{
	static const char *const names[] = { "fs", "work" };
	cleanup_store_layer_txn struct store_layer_txn *t = xcalloc(1, sizeof(*t));

	t->s = s;
	TRY(tmp_name(s, &t->tmp, err));
	if (mkdirat(s->fd, t->tmp, 0700) < 0)
		return store_fail_io(s, err, "begin a layer");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *path = xasprintf("%s/%s", t->tmp, names[i]);

		if (mkdirat(s->fd, path, 0755) < 0)
			return store_fail_io(s, err, "begin a layer");
		TRY(store_clean_dir(s->fd, path, 0755, err));
	}
	t->fs = xasprintf("%s/%s/fs", s->path, t->tmp);
	t->work = xasprintf("%s/%s/work", s->path, t->tmp);
	*ret = steal_ptr(&t);
	return 0;
}

const char *store_layer_txn_fs(const struct store_layer_txn *t)
{
	return t->fs;
}

const char *store_layer_txn_work(const struct store_layer_txn *t)
{
	return t->work;
}

void store_layer_txn_free(struct store_layer_txn *t)
{
	struct cairn_err ignored;

	if (!t)
		return;
	if (t->tmp) /* what cannot be removed now goes when the store is closed, or later */
		(void)fs_remove_tree(t->s->fd, t->tmp, &ignored);
	free(t->tmp);
	free(t->fs);
	free(t->work);
	free(t);
}

/* What a commit renames and what came of it. */
struct commit {
	const struct store_layer_new *l;
	const char *index_tmp;            /* relative to the home directory */
	const char *fs_tmp;               /* the same; NULL without a tree */
	struct object new_index, new_dir; /* name empty: not ours */
	struct object dir;                /* ours or theirs */
};

static int commit_index(struct store *s, struct commit *c, struct cairn_err *err)
{
	const struct store_layer *l = &c->l->layer;
	struct digest index = digest_of(c->l->index.ptr, c->l->index.len);
	struct object_new n = { .kind = OBJECT_INDEX,
		                .key = &l->diff_id,
		                .bytes = c->l->index.len,
		                .tmp = c->index_tmp };
	struct layer_row old = { 0 };
	bool found = false;

	TRY(layer_find(s, &l->diff_id, &old, &found, err));
	if (found)
		return 0;
	TRY(db_run(s, err, "INSERT OR REPLACE INTO layer VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	           "ddiiiid", &l->diff_id, &l->content, (int64_t)l->tar_size, (int64_t)l->n_entries,
	           l->created, (int64_t)l->foreign, &index));
	return object_add(s, &n, &c->new_index, err);
}

static int commit_dir(struct store *s, struct commit *c, struct cairn_err *err)
{
	struct object_new n = { .kind = OBJECT_DIR,
		                .key = c->l->dir_key,
		                .layer = &c->l->layer.diff_id,
		                .bytes = c->l->dir_bytes,
		                .tmp = c->fs_tmp };
	bool found = false;

	TRY(object_find(s, OBJECT_DIR, n.key, &c->dir, &found, err));
	if (found)
		return 0;
	TRY(object_add(s, &n, &c->new_dir, err));
	c->dir = c->new_dir;
	return 0;
}

static int commit_rows(struct store *s, struct commit *c, struct cairn_err *err)
{
	TRY(commit_index(s, c, err));
	return c->fs_tmp && c->l->dir_key ? commit_dir(s, c, err) : 0;
}

static int write_index(struct store *s, str index, char **ret_tmp, struct cairn_err *err)
{
	cleanup_free char *tmp = NULL;
	cleanup_fd int fd = -1;
	struct cairn_err why;

	TRY(tmp_name(s, &tmp, err));
	fd = openat(s->fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return store_fail_io(s, err, "create a layer index");
	if (fs_write_all(fd, index.ptr, index.len, "layer index", &why) < 0) {
		errno = why.sys;
		store_fail_io(s, err, "write a layer index");
		(void)unlinkat(s->fd, tmp, 0);
		return err->code;
	}
	*ret_tmp = steal_ptr(&tmp);
	return 0;
}

static int commit_layer(struct store *s, struct commit *c, struct cairn_err *err)
{
	cleanup_free char *index_tmp = NULL;
	int r;

	if (c->l->index.len == 0)
		CAIRN_BUG("a layer without an index");
	TRY(store_need_write(s, err));
	TRY(write_index(s, c->l->index, &index_tmp, err));
	c->index_tmp = index_tmp;
	r = tx_begin(s, TX_WRITE, err);
	if (r == 0)
		r = tx_end(s, commit_rows(s, c, err), err);
	if (r < 0) {
		object_undo(s, OBJECT_INDEX, &c->new_index);
		object_undo(s, OBJECT_DIR, &c->new_dir);
	}
	(void)unlinkat(s->fd, index_tmp, 0); /* gone already when it was renamed */
	return r;
}

int store_layer_commit(struct store_layer_txn *t, const struct store_layer_new *l, char **ret_path,
                       struct cairn_err *err)
{
	cleanup_free char *fs = xasprintf("%s/fs", t->tmp);
	cleanup_free char *path = NULL;
	struct commit c = { .l = l, .fs_tmp = fs };

	TRY(commit_layer(t->s, &c, err));
	if (!ret_path)
		return 0;
	*ret_path = NULL;
	if (l->dir_key) {
		path = object_path(OBJECT_DIR, &c.dir);
		*ret_path = xasprintf("%s/%s", t->s->path, path);
	}
	return 0;
}

int store_layer_put(struct store *s, const struct store_layer_new *l, struct cairn_err *err)
{
	struct commit c = { .l = l };

	return commit_layer(s, &c, err);
}

static int blob_canonical(struct store *s, const struct digest *diff_id, str variant,
                          struct store_layer_blob *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;

	TRY(db_bind(s, &st, err,
	            "SELECT digest, size FROM layer_blob WHERE diff_id = ?1 AND variant = ?2", "ds",
	            diff_id, variant));
	TRY(db_row(s, st, ret_found, err));
	if (!*ret_found)
		return 0;
	*ret = (struct store_layer_blob){ .digest = sql_digest(st, 0),
		                          .size = (uint64_t)sqlite3_column_int64(st, 1) };
	lease_add(s, OBJECT_BLOB, &ret->digest);
	return 0;
}

static int layer_blob_put(struct store *s, const struct digest *diff_id, str variant,
                          const struct store_layer_blob *blob, struct store_layer_blob *ret,
                          struct cairn_err *err)
{
	bool found = false;

	TRY(db_run(s, err, "INSERT OR IGNORE INTO layer_blob VALUES(?1, ?2, ?3, ?4)", "dsdi",
	           diff_id, variant, &blob->digest, (int64_t)blob->size));
	return blob_canonical(s, diff_id, variant, ret, &found, err);
}

int store_layer_blob_put(struct store *s, const struct digest *diff_id, str variant,
                         const struct store_layer_blob *blob,
                         struct store_layer_blob *ret_canonical, struct cairn_err *err)
{
	struct store_layer_blob kept = { 0 };

	TRY(tx_begin(s, TX_WRITE, err));
	TRY(tx_end(s, layer_blob_put(s, diff_id, variant, blob, &kept, err), err));
	*ret_canonical = kept;
	return 0;
}

int store_layer_blob_find(struct store *s, const struct digest *diff_id, str variant,
                          struct store_layer_blob *ret, bool *ret_found, struct cairn_err *err)
{
	struct store_layer_blob blob = { 0 };
	bool found = false;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, blob_canonical(s, diff_id, variant, &blob, &found, err), err));
	*ret_found = found;
	if (found)
		*ret = blob;
	return 0;
}

static int layer_blob_any(struct store *s, const struct digest *diff_id,
                          struct store_layer_blob *ret, char **ret_variant, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	cleanup_free char *name = NULL;
	bool row = false;

	TRY(db_bind(s, &st, err,
	            "SELECT variant FROM layer_blob b WHERE diff_id = ?1 ORDER BY NOT EXISTS"
	            " (SELECT 1 FROM object WHERE kind = 1 AND key = b.digest), variant LIMIT 1",
	            "d", diff_id));
	TRY(db_row(s, st, &row, err));
	if (!row)
		return 0;
	name = db_text(st, 0);
	TRY(blob_canonical(s, diff_id, str_of(name), ret, &row, err));
	*ret_variant = steal_ptr(&name);
	return 0;
}

int store_layer_blob_any(struct store *s, const struct digest *diff_id,
                         struct store_layer_blob *ret, char **ret_variant, struct cairn_err *err)
{
	struct store_layer_blob blob = { 0 };
	cleanup_free char *name = NULL;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, layer_blob_any(s, diff_id, &blob, &name, err), err));
	if (name)
		*ret = blob;
	*ret_variant = steal_ptr(&name);
	return 0;
}
