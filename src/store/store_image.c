#include "store_priv.h"
#include "util/clock.h"

void store_image_done(struct store_image *i)
{
	free(i->platform);
	free(i->diff_ids);
	*i = (struct store_image){ 0 };
}

void store_tag_done(struct store_tag *t)
{
	free(t->name);
	free(t->platform);
	*t = (struct store_tag){ 0 };
}

static int image_insert(struct store *s, const struct store_image *image, struct cairn_err *err)
{
	struct object o;
	bool found = false;

	TRY(object_find(s, OBJECT_BLOB, &image->config, &o, &found, err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "the store has no config %s for the image to be added",
		                  digest_text(&image->config).s);
	TRY(db_run(s, err, "INSERT OR IGNORE INTO image VALUES(?1, ?2, ?3)", "dsi", &image->config,
	           str_of(image->platform), image->created));
	for (size_t i = 0; i < image->n_layers; i++) {
		TRY(db_run(s, err, "INSERT OR IGNORE INTO image_layer VALUES(?1, ?2, ?3)", "did",
		           &image->config, (int64_t)i, &image->diff_ids[i]));
		lease_add(s, OBJECT_INDEX, &image->diff_ids[i]);
	}
	lease_add(s, LEASE_IMAGE, &image->config);
	return 0;
}

int store_image_put(struct store *s, const struct store_image *image, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, image_insert(s, image, err), err);
}

static int read_layers(struct store *s, struct store_image *image, bool lease,
                       struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	VEC(struct digest) v = { 0 };
	bool row = false;
	int r;

	TRY(db_bind(s, &st, err, "SELECT diff_id FROM image_layer WHERE config = ?1 ORDER BY pos",
	            "d", &image->config));
	while ((r = db_row(s, st, &row, err)) == 0 && row) {
		vec_push(&v, sql_digest(st, 0));
		if (lease)
			lease_add(s, OBJECT_INDEX, vec_last(&v));
	}
	image->diff_ids = v.ptr;
	image->n_layers = v.len;
	return r;
}

/* On failure the caller releases ret. */
static int image_find(struct store *s, const struct digest *config, struct store_image *ret,
                      bool *ret_found, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct object o;
	bool found = false;

	TRY(object_find(s, OBJECT_BLOB, config, &o, &found, err));
	if (!found) {
		*ret_found = false;
		return 0;
	}
	TRY(db_bind(s, &st, err, "SELECT platform, created FROM image WHERE config = ?1", "d",
	            config));
	TRY(db_row(s, st, ret_found, err));
	if (!*ret_found)
		return 0;
	*ret = (struct store_image){ .config = *config,
		                     .platform = db_text(st, 0),
		                     .created = sqlite3_column_int64(st, 1) };
	lease_add(s, LEASE_IMAGE, config);
	return read_layers(s, ret, true, err);
}

int store_image_find(struct store *s, const struct digest *config, struct store_image *ret,
                     bool *ret_found, struct cairn_err *err)
{
	struct store_image image = { 0 };
	bool found = false;
	int r;

	TRY(tx_begin(s, TX_LOOKUP, err));
	r = tx_end(s, image_find(s, config, &image, &found, err), err);
	if (r < 0) {
		store_image_done(&image);
		return r;
	}
	*ret_found = found;
	if (found)
		*ret = image;
	return 0;
}

static int image_delete(struct store *s, const struct digest *config, struct cairn_err *err)
{
	static const char *const sql[] = {
		"DELETE FROM tag WHERE config = ?1",
		"DELETE FROM image_layer WHERE config = ?1",
		"DELETE FROM image_manifest WHERE config = ?1",
		"DELETE FROM image WHERE config = ?1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(sql); i++)
		TRY(db_run(s, err, sql[i], "d", config));
	return 0;
}

int store_image_remove(struct store *s, const struct digest *config, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, image_delete(s, config, err), err);
}

static int manifest_find(struct store *s, const struct digest *config, str variant,
                         struct digest *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;

	TRY(db_bind(s, &st, err,
	            "SELECT digest FROM image_manifest WHERE config = ?1 AND variant = ?2", "ds",
	            config, variant));
	TRY(db_row(s, st, ret_found, err));
	if (*ret_found) {
		*ret = sql_digest(st, 0);
		lease_add(s, OBJECT_BLOB, ret);
	}
	return 0;
}

int store_manifest_find(struct store *s, const struct digest *config, str variant,
                        struct digest *ret, bool *ret_found, struct cairn_err *err)
{
	struct digest d = { 0 };
	bool found = false;

	TRY(tx_begin(s, TX_LOOKUP, err));
	TRY(tx_end(s, manifest_find(s, config, variant, &d, &found, err), err));
	*ret_found = found;
	if (found)
		*ret = d;
	return 0;
}

static int manifest_put(struct store *s, const struct digest *config, str variant,
                        const struct digest *manifest, struct digest *ret, struct cairn_err *err)
{
	bool found = false;

	TRY(db_run(s, err, "INSERT OR IGNORE INTO image_manifest VALUES(?1, ?2, ?3)", "dsd", config,
	           variant, manifest));
	return manifest_find(s, config, variant, ret, &found, err);
}

int store_manifest_put(struct store *s, const struct digest *config, str variant,
                       const struct digest *manifest, struct digest *ret_canonical,
                       struct cairn_err *err)
{
	struct digest d = { 0 };

	TRY(tx_begin(s, TX_WRITE, err));
	TRY(tx_end(s, manifest_put(s, config, variant, manifest, &d, err), err));
	*ret_canonical = d;
	return 0;
}

static int tag_put(struct store *s, str name, const struct digest *config, struct cairn_err *err)
{
	struct store_image image = { 0 };
	bool found = false;
	int r = image_find(s, config, &image, &found, err);

	if (r == 0 && !found)
		r = cairn_fail(err, CAIRN_E_NOT_FOUND, "the store has no image %s",
		               digest_text(config).s);
	if (r == 0)
		r = db_run(s, err, "INSERT OR REPLACE INTO tag VALUES(?1, ?2, ?3, ?4)", "ssdi",
		           name, str_of(image.platform), config, clock_now());
	store_image_done(&image);
	return r;
}

int store_tag_put(struct store *s, str name, const struct digest *config, struct cairn_err *err)
{
	TRY(tx_begin(s, TX_WRITE, err));
	return tx_end(s, tag_put(s, name, config, err), err);
}

static int tag_find(struct store *s, str name, str platform, struct store_tag *ret, bool *ret_found,
                    struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	struct store_image image = { 0 };
	bool row = false;
	int r;

	*ret_found = false;
	TRY(db_bind(s, &st, err,
	            "SELECT platform, config, updated FROM tag WHERE name = ?1 AND (?2 = '' OR"
	            " platform = ?2) ORDER BY updated DESC LIMIT 1",
	            "ss", name, platform));
	TRY(db_row(s, st, &row, err));
	if (!row)
		return 0;
	*ret = (struct store_tag){ .name = str_dup(name),
		                   .platform = db_text(st, 0),
		                   .config = sql_digest(st, 1),
		                   .updated = sqlite3_column_int64(st, 2) };
	r = image_find(s, &ret->config, &image, ret_found, err);
	store_image_done(&image);
	return r;
}

int store_tag_find(struct store *s, str name, str platform, struct store_tag *ret, bool *ret_found,
                   struct cairn_err *err)
{
	struct store_tag tag = { 0 };
	bool found = false;
	int r;

	TRY(tx_begin(s, TX_LOOKUP, err));
	r = tx_end(s, tag_find(s, name, platform, &tag, &found, err), err);
	if (r == 0)
		*ret_found = found;
	if (r == 0 && found)
		*ret = tag;
	else
		store_tag_done(&tag);
	return r;
}

int store_tag_remove(struct store *s, str name, size_t *ret_n, struct cairn_err *err)
{
	int r, n;

	TRY(tx_begin(s, TX_WRITE, err));
	r = db_run(s, err, "DELETE FROM tag WHERE name = ?1", "s", name);
	n = sqlite3_changes(s->db);
	r = tx_end(s, r, err);
	if (r == 0)
		*ret_n = (size_t)n;
	return r;
}

typedef VEC(struct store_listed) listed_vec;

static int images_list(struct store *s, listed_vec *v, struct cairn_err *err)
{
	cleanup_stmt sqlite3_stmt *st = NULL;
	bool row = false;
	int r;

	TRY(db_bind(
		s, &st, err,
		"SELECT t.name, i.platform, t.updated, i.config, i.created, (SELECT"
		" coalesce(sum(tar_size), 0) FROM image_layer JOIN layer USING(diff_id)"
		" WHERE image_layer.config = i.config)"
		" FROM image i LEFT JOIN tag t ON t.config = i.config WHERE EXISTS (SELECT 1 FROM"
		" object WHERE kind = 1 AND key = i.config AND durable >= ?1)"
		" ORDER BY t.name IS NULL, t.name, i.platform, i.created DESC, i.config",
		"i", (int64_t)s->min_durable));
	while ((r = db_row(s, st, &row, err)) == 0 && row) {
		bool tagged = sqlite3_column_type(st, 0) != SQLITE_NULL;
		struct store_listed l = {
			.tag = { .name = tagged ? db_text(st, 0) : NULL,
			         .platform = db_text(st, 1),
			         .config = sql_digest(st, 3),
			         .updated = sqlite3_column_int64(st, 2) },
			.image = { .config = sql_digest(st, 3),
			           .platform = db_text(st, 1),
			           .created = sqlite3_column_int64(st, 4) },
			.size = (uint64_t)sqlite3_column_int64(st, 5),
		};

		vec_push(v, l);
		TRY(read_layers(s, &vec_last(v)->image, false, err));
	}
	return r;
}

int store_images_list(struct store *s, struct store_listing *ret, struct cairn_err *err)
{
	listed_vec v = { 0 };
	struct store_listing list;
	int r;

	TRY(tx_begin(s, TX_PEEK, err));
	r = tx_end(s, images_list(s, &v, err), err);
	list = (struct store_listing){ v.ptr, v.len };
	if (r < 0)
		store_listing_done(&list);
	else
		*ret = list;
	return r;
}

void store_listing_done(struct store_listing *l)
{
	for (size_t i = 0; i < l->len; i++) {
		store_tag_done(&l->ptr[i].tag);
		store_image_done(&l->ptr[i].image);
	}
	free(l->ptr);
	*l = (struct store_listing){ 0 };
}
