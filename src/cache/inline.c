#include "inline.h"

#include "record.h"
#include "util/json.h"

#define ENTRIES_MAX 2000

/* --- writing ----------------------------------------------------------------------- */

struct parsed {
	struct digest key;
	struct record record;
	json_t *json; /* owned; its record */
};

static int by_length(const void *x, const void *y)
{
	const struct parsed *a = x, *b = y;

	if (a->record.chain.n != b->record.chain.n)
		return a->record.chain.n < b->record.chain.n ? -1 : 1;
	return digest_cmp(&a->key, &b->key);
}

static bool is_prefix(const struct chain *c, const struct image_config *config)
{
	if (c->n > config->n_diff_ids)
		return false;
	for (size_t i = 0; i < c->n; i++)
		if (!digest_eq(&c->layers[i].diff_id, &config->diff_ids[i]))
			return false;
	return true;
}

/* Of two records that share layers the same is said about them, as far as it matters: the
 * longest chain speaks for all. */
static bool same_layers(const struct chain *c, const struct chain *longest)
{
	if (c->n > longest->n)
		return false;
	for (size_t i = 0; i < c->n; i++)
		if (!digest_eq(&c->layers[i].content, &longest->layers[i].content) ||
		    !digest_eq(&c->layers[i].step, &longest->layers[i].step) ||
		    c->layers[i].created != longest->layers[i].created)
			return false;
	return true;
}

static bool has_key(const struct parsed *list, size_t n, const struct digest *key)
{
	for (size_t i = 0; i < n; i++)
		if (digest_eq(&list[i].key, key))
			return true;
	return false;
}

static size_t parse_all(const struct image_config *config, const struct inline_entry *entries,
                        size_t n, struct arena *a, struct parsed *ret)
{
	size_t kept = 0;

	for (size_t i = 0; i < n && kept < ENTRIES_MAX; i++) {
		struct parsed *p = &ret[kept];
		struct cairn_err ignored;

		*p = (struct parsed){ .key = entries[i].key };
		if (has_key(ret, kept, &p->key) ||
		    record_decode(entries[i].record, a, &p->record, &ignored) < 0 ||
		    !p->record.chain.n || !is_prefix(&p->record.chain, config) ||
		    json_parse(entries[i].record, "record", &p->json, &ignored) < 0)
			continue;
		kept++;
	}
	if (kept)
		qsort(ret, kept, sizeof(*ret), by_length);
	return kept;
}

static json_t *to_json(struct parsed *list, size_t n)
{
	json_t *cache = json_object(), *all = json_array();

	if (n)
		(void)json_object_set(cache, "layers", json_object_get(list[n - 1].json, "layers"));
	for (size_t i = 0; i < n; i++) {
		json_t *e;

		if (!same_layers(&list[i].record.chain, &list[n - 1].record.chain))
			continue;
		e = json_object();
		(void)json_object_set_new(e, "key", json_str(str_of(digest_text(&list[i].key).s)));
		(void)json_object_set_new(e, "n", json_integer((json_int_t)list[i].record.chain.n));
		(void)json_object_set_new(e, "record", json_copy(list[i].json));
		(void)json_object_del(json_object_get(e, "record"), "layers");
		(void)json_array_append_new(all, e);
	}
	(void)json_object_set_new(cache, "entries", all);
	return cache;
}

int inline_add(str config, const struct inline_entry *entries, size_t n, struct strbuf *out,
               struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct parsed *list = arena_array(a, struct parsed, n + 1);
	cleanup_json json_t *j = NULL;
	struct image_config c;
	size_t kept;

	TRY(image_config_parse(a, config, &c, err));
	TRY(json_parse(config, "image config", &j, err));
	kept = parse_all(&c, entries, n, a, list);
	(void)json_object_set_new(j, INLINE_MEMBER, to_json(list, kept));
	for (size_t i = 0; i < kept; i++)
		json_decref(list[i].json);
	json_write(j, out);
	return strbuf_check(out, "image config", err);
}

/* --- reading ------------------------------------------------------------------------- */

/* One entry with the layers that it shares. */
static int read_entry(const json_t *e, json_t *layers, struct arena *a, struct inline_entry *ret,
                      struct cairn_err *err)
{
	cleanup_json json_t *record = NULL, *own = json_array();
	cleanup_strbuf struct strbuf text;
	const char *key = NULL;
	int64_t n = 0;

	strbuf_init(&text, RECORD_MAX);
	TRY(json_get_str(e, "key", &key, err));
	TRY(json_get_int(e, "n", 0, &n, err));
	if (!key || n < 1 || (uint64_t)n > json_array_size(layers) ||
	    !json_is_object(json_object_get(e, "record")))
		return cairn_fail(err, CAIRN_E_SYNTAX, "an entry of the inline cache is malformed");
	TRY(digest_parse(str_of(key), &ret->key, err));
	record = json_copy(json_object_get(e, "record"));
	for (size_t i = 0; i < (size_t)n; i++)
		(void)json_array_append(own, json_array_get(layers, i));
	(void)json_object_set(record, "layers", own);
	json_write(record, &text);
	TRY(strbuf_check(&text, "record of an inline cache", err));
	ret->record = arena_str(a, strbuf_view(&text));
	return 0;
}

int inline_entries(str config, struct arena *a, struct inline_entry **ret, size_t *ret_n,
                   struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	json_t *cache = NULL, *layers = NULL, *entries = NULL;
	struct inline_entry *list;
	size_t n;

	*ret_n = 0;
	TRY(json_parse(config, "image config", &j, err));
	TRY(json_get_object(j, INLINE_MEMBER, &cache, err));
	if (!cache)
		return 0;
	TRY(json_get_array(cache, "layers", &layers, err));
	TRY(json_get_array(cache, "entries", &entries, err));
	n = json_array_size(entries);
	if (n > ENTRIES_MAX || json_array_size(layers) > RECORD_LAYERS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the inline cache is too large");
	list = arena_array(a, struct inline_entry, n + 1);
	for (size_t i = 0; i < n; i++)
		TRY(read_entry(json_array_get(entries, i), layers, a, &list[i], err));
	*ret = list;
	*ret_n = n;
	return 0;
}
