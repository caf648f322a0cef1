/* cache/remote_entry.c - the stored form of an entry. */
#include <openssl/evp.h>

#include "layer/layer.h"
#include "record.h"
#include "remote.h"

#define VERSION      1
#define BLOB_MAX     (1ull << 40) /* bytes of a compressed layer; registries take far less */
#define MEDIA_MAX    255          /* bytes of a media type */
#define ANNOTATE_MAX 32           /* annotations of a blob */

#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/* The index, with its bytes when there are some. */
static json_t *index_json(const struct remote_layer *l)
{
	unsigned char text[BASE64_LEN(REMOTE_INDEX_BYTES) + 1];
	json_t *o = descriptor_to_json(&l->index);

	if (!l->index_bytes.len)
		return o;
	if (l->index_bytes.len != l->index.size || l->index_bytes.len > REMOTE_INDEX_BYTES)
		CAIRN_BUG("an index of %llu bytes in an entry", (unsigned long long)l->index.size);
	(void)EVP_EncodeBlock(text, (const unsigned char *)l->index_bytes.ptr,
	                      (int)l->index_bytes.len);
	(void)json_object_set_new(o, "data", json_string((const char *)text));
	return o;
}

static json_t *layer_json(const struct remote_layer *l)
{
	json_t *o = json_object();

	(void)json_object_set_new(o, "diff_id", json_string(digest_text(&l->diff_id).s));
	if (!digest_none(&l->blob.digest))
		(void)json_object_set_new(o, "blob", descriptor_to_json(&l->blob));
	if (!digest_none(&l->index.digest))
		(void)json_object_set_new(o, "index", index_json(l));
	if (l->from.len)
		(void)json_object_set_new(o, "from", json_str(l->from));
	return o;
}

void remote_entry_encode(const struct remote_entry *e, struct strbuf *out)
{
	cleanup_json json_t *layers = json_array();

	for (size_t i = 0; i < e->n_layers; i++)
		(void)json_array_append_new(layers, layer_json(&e->layers[i]));
	/* The record is JSON already. */
	strbuf_printf(out, "{\"version\":%d,\"record\":", VERSION);
	strbuf_str(out, e->record);
	strbuf_cstr(out, ",\"layers\":");
	json_write(layers, out);
	strbuf_char(out, '}');
}

/* The blob `key` of a layer; absent leaves ret without digest. */
static int get_blob(const json_t *o, const char *key, uint64_t max, struct arena *a,
                    struct descriptor *ret, struct cairn_err *err)
{
	json_t *j = NULL;

	TRY(json_get_object(o, key, &j, err));
	if (!j)
		return 0;
	TRY(descriptor_from_json(a, j, ret, err));
	if (digest_none(&ret->digest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has no digest", key);
	if (ret->size > max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is larger than %llu bytes", key,
		                  (unsigned long long)max);
	if (ret->media_type.len > MEDIA_MAX || ret->annotations.len > ANNOTATE_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is described at too great length",
		                  key);
	return 0;
}

/* The bytes in the index's descriptor; they must be what it describes. */
static int get_index_bytes(const json_t *layer, struct arena *a, struct remote_layer *l,
                           struct cairn_err *err)
{
	unsigned char plain[BASE64_LEN(REMOTE_INDEX_BYTES)];
	size_t n = (size_t)l->index.size;
	const char *s = NULL;
	struct digest got;
	json_t *o = NULL;

	TRY(json_get_object(layer, "index", &o, err));
	if (o)
		TRY(json_get_str(o, "data", &s, err));
	if (!s)
		return 0;
	if (n == 0 || n > REMOTE_INDEX_BYTES || strlen(s) != BASE64_LEN(n) ||
	    EVP_DecodeBlock(plain, (const unsigned char *)s, (int)strlen(s)) < (int)n)
		return cairn_fail(err, CAIRN_E_SYNTAX, "its 'index' has senseless data");
	got = digest_of(plain, n);
	if (!digest_eq(&got, &l->index.digest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "its 'index' has other data than it says");
	l->index_bytes = arena_str(a, str_n((const char *)plain, n));
	return 0;
}

/* Only a repository, in full: what is read from it is asked for by digest. */
static int get_from(const json_t *o, struct arena *a, str *ret, struct cairn_err *err)
{
	char name[REFERENCE_TEXT_MAX];
	const char *s = NULL;
	struct reference ref;

	TRY(json_get_str(o, "from", &s, err));
	if (!s || !s[0])
		return 0;
	if (reference_parse(str_of(s), &ref, err) < 0)
		return cairn_wrap(err, "'from'");
	if (strcmp(reference_name(&ref, name), s) != 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'from' is not the name of a repository");
	*ret = arena_str(a, str_of(s));
	return 0;
}

static int get_layer(const json_t *o, struct arena *a, struct remote_layer *l,
                     struct cairn_err *err)
{
	const char *s = NULL;

	if (!json_is_object(o))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(json_get_str(o, "diff_id", &s, err));
	TRY(digest_parse(str_of(s), &l->diff_id, err));
	if (digest_none(&l->diff_id))
		return cairn_fail(err, CAIRN_E_SYNTAX, "its diff_id is no digest");
	TRY(get_blob(o, "blob", BLOB_MAX, a, &l->blob, err));
	if (!digest_none(&l->blob.digest) &&
	    media_type_find(l->blob.media_type)->kind != MEDIA_LAYER)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not the media type of a layer",
		                  STR(l->blob.media_type));
	/* A compressed index is hardly ever larger than the index. */
	TRY(get_blob(o, "index", LAYER_INDEX_MAX, a, &l->index, err));
	TRY(get_index_bytes(o, a, l, err));
	return get_from(o, a, &l->from, err);
}

static int get_layers(const json_t *j, struct arena *a, struct remote_entry *e,
                      struct cairn_err *err)
{
	json_t *list = NULL;

	TRY(json_get_array(j, "layers", &list, err));
	e->n_layers = json_array_size(list);
	if (e->n_layers > RECORD_LAYERS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "it has more than %d layers",
		                  RECORD_LAYERS_MAX);
	e->layers = arena_array(a, struct remote_layer, e->n_layers);
	for (size_t i = 0; i < e->n_layers; i++)
		if (get_layer(json_array_get(list, i), a, &e->layers[i], err) < 0)
			return cairn_wrap(err, "layer %zu", i);
	return 0;
}

static int get_record(const json_t *j, struct arena *a, str *ret, struct cairn_err *err)
{
	struct strbuf text cleanup_strbuf;
	json_t *record = NULL;

	strbuf_init(&text, RECORD_MAX);
	TRY(json_get_object(j, "record", &record, err));
	if (!record)
		return cairn_fail(err, CAIRN_E_SYNTAX, "it has no record");
	json_write(record, &text);
	TRY(strbuf_check(&text, "its record", err));
	*ret = arena_str(a, strbuf_view(&text));
	return 0;
}

static int decode(str text, struct arena *a, struct remote_entry *e, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	int64_t version = 0;

	if (text.len > REMOTE_ENTRY_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "larger than %u bytes", REMOTE_ENTRY_MAX);
	TRY(json_parse(text, "it", &j, err));
	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(json_get_int(j, "version", 0, &version, err));
	if (version != VERSION)
		return cairn_fail(err, CAIRN_E_SYNTAX, "version %lld, this cairn reads %d",
		                  (long long)version, VERSION);
	TRY(get_record(j, a, &e->record, err));
	return get_layers(j, a, e, err);
}

int remote_entry_decode(str text, struct arena *a, struct remote_entry *ret, struct cairn_err *err)
{
	struct remote_entry e = { 0 };

	if (decode(text, a, &e, err) < 0) {
		err->code = CAIRN_E_DIGEST;
		return cairn_wrap(err, "cache entry");
	}
	*ret = e;
	return 0;
}
