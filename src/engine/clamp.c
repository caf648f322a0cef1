#include "clamp.h"

static struct digest forward_key(const struct digest *diff_id, int64_t epoch)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.clamp", 1);
	digest_field_digest(&f, "layer", diff_id);
	digest_field_u64(&f, "epoch", (uint64_t)epoch);
	return digest_fields_end(&f);
}

static struct digest origin_key(const struct digest *clamped)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.clamped", 1);
	digest_field_digest(&f, "layer", clamped);
	return digest_fields_end(&f);
}

/* The digest that a record holds; one that does not parse is none. */
static int find(struct store *s, const struct digest *key, struct digest *ret, bool *ret_found,
                struct cairn_err *err)
{
	struct store_found f = { 0 };
	struct cairn_err ignored;

	*ret_found = false;
	TRY(store_records_find(s, key, 1, &f, err));
	*ret_found = f.found && digest_parse(str_n(f.payload, f.len), ret, &ignored) == 0;
	store_found_done(&f);
	return 0;
}

int clamp_find(struct store *s, const struct digest *diff_id, int64_t epoch, struct digest *ret,
               bool *ret_found, struct cairn_err *err)
{
	struct digest key = forward_key(diff_id, epoch);

	return find(s, &key, ret, ret_found, err);
}

int clamp_origin(struct store *s, const struct digest *clamped, struct digest *ret, bool *ret_found,
                 struct cairn_err *err)
{
	struct digest key = origin_key(clamped);

	return find(s, &key, ret, ret_found, err);
}

bool clamp_changes(const struct layer_index *ix, int64_t epoch)
{
	for (size_t i = 0; i < ix->n_entries; i++)
		if (ix->entries[i].type != LAYER_WHITEOUT && ix->entries[i].mtime > epoch)
			return true;
	return false;
}

/* An entry's header may have become shorter: then offsets in the tar are not known. */
static struct layer_index *clamped_index(const struct layer_index *ix, int64_t epoch, bool offsets)
{
	struct layer_entry *e = xcalloc(ix->n_entries, sizeof(*e));
	struct layer_index *made;

	for (size_t i = 0; i < ix->n_entries; i++) {
		e[i] = ix->entries[i];
		if (e[i].mtime > epoch)
			e[i].mtime = epoch;
		if (!offsets)
			e[i].tar_offset = LAYER_NO_OFFSET;
	}
	made = layer_index_new(e, ix->n_entries, ix->inlined);
	free(e);
	return made;
}

static int put_layer(struct store *s, const struct clamped *c, struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	cleanup_strbuf struct strbuf bytes;
	struct store_layer_new l = { .layer = *c->of };

	ix = clamped_index(c->index, c->epoch, c->tar_size == c->of->tar_size);
	l.layer.diff_id = c->diff_id;
	l.layer.tar_size = c->tar_size;
	strbuf_init(&bytes, LAYER_INDEX_MAX);
	layer_index_encode(ix, &bytes);
	TRY(strbuf_check(&bytes, "layer index", err));
	l.index = strbuf_view(&bytes);
	return store_layer_put(s, &l, err);
}

int clamp_put(struct store *s, const struct clamped *c, struct cairn_err *err)
{
	const struct store_ref refs[] = { { STORE_REF_LAYER, c->of->diff_id },
		                          { STORE_REF_LAYER, c->diff_id } };
	struct digest_text there = digest_text(&c->diff_id), back = digest_text(&c->of->diff_id);
	struct store_record r = { .key = forward_key(&c->of->diff_id, c->epoch),
		                  .kind = STORE_RECORD_FACT,
		                  .created = c->of->created,
		                  .payload = str_of(there.s),
		                  .refs = refs,
		                  .n_refs = ARRAY_SIZE(refs) };
	bool same = digest_eq(&c->diff_id, &c->of->diff_id);

	if (!same)
		TRY(put_layer(s, c, err));
	TRY(store_record_put(s, &r, STORE_SUPERSEDE, NULL, err));
	if (same)
		return 0;
	r.key = origin_key(&c->diff_id);
	r.payload = str_of(back.s);
	return store_record_put(s, &r, STORE_ADOPT, NULL, err);
}
