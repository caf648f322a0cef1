#include "descriptor.h"

#define GO_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define ND_LAYER   "application/vnd.oci.image.layer.nondistributable.v1.tar"

static const struct media_type media_types[] = {
	{ .name = MEDIA_OCI_MANIFEST, .kind = MEDIA_MANIFEST },
	{ .name = MEDIA_OCI_INDEX, .kind = MEDIA_INDEX },
	{ .name = MEDIA_OCI_CONFIG, .kind = MEDIA_CONFIG },
	{ .name = MEDIA_OCI_LAYER, .kind = MEDIA_LAYER },
	{ MEDIA_OCI_LAYER "+gzip", MEDIA_LAYER, LAYER_COMPRESS_GZIP, false, false },
	{ MEDIA_OCI_LAYER "+zstd", MEDIA_LAYER, LAYER_COMPRESS_ZSTD, false, false },
	{ ND_LAYER, MEDIA_LAYER, LAYER_COMPRESS_NONE, false, true },
	{ ND_LAYER "+gzip", MEDIA_LAYER, LAYER_COMPRESS_GZIP, false, true },
	{ ND_LAYER "+zstd", MEDIA_LAYER, LAYER_COMPRESS_ZSTD, false, true },
	{ MEDIA_DOCKER_MANIFEST, MEDIA_MANIFEST, LAYER_COMPRESS_NONE, true, false },
	{ MEDIA_DOCKER_LIST, MEDIA_INDEX, LAYER_COMPRESS_NONE, true, false },
	{ MEDIA_DOCKER_CONFIG, MEDIA_CONFIG, LAYER_COMPRESS_NONE, true, false },
	{ MEDIA_DOCKER_LAYER, MEDIA_LAYER, LAYER_COMPRESS_NONE, true, false },
	{ MEDIA_DOCKER_LAYER ".gzip", MEDIA_LAYER, LAYER_COMPRESS_GZIP, true, false },
	{ MEDIA_DOCKER_LAYER ".zstd", MEDIA_LAYER, LAYER_COMPRESS_ZSTD, true, false },
	{ GO_FOREIGN, MEDIA_LAYER, LAYER_COMPRESS_GZIP, true, true },
	{ "application/vnd.docker.distribution.manifest.v1+json", MEDIA_SCHEMA1,
	  LAYER_COMPRESS_NONE, true, false },
	{ "application/vnd.docker.distribution.manifest.v1+prettyjws", MEDIA_SCHEMA1,
	  LAYER_COMPRESS_NONE, true, false },
};

static const struct media_type other = { .name = "", .kind = MEDIA_OTHER };

const struct media_type *media_type_find(str name)
{
	str type, params;

	(void)str_cut(name, ';', &type, &params);
	type = str_trim(type);
	for (size_t i = 0; i < ARRAY_SIZE(media_types); i++)
		if (str_eq_nocase(type, str_of(media_types[i].name)))
			return &media_types[i];
	return &other;
}

const char *media_type_layer(enum layer_compression c, bool docker)
{
	switch (c) {
	case LAYER_COMPRESS_NONE:
		return docker ? MEDIA_DOCKER_LAYER : MEDIA_OCI_LAYER;
	case LAYER_COMPRESS_GZIP:
		return docker ? MEDIA_DOCKER_LAYER ".gzip" : MEDIA_OCI_LAYER "+gzip";
	case LAYER_COMPRESS_ZSTD:
		return MEDIA_OCI_LAYER "+zstd";
	case LAYER_COMPRESS_N_:
		break;
	}
	CAIRN_BUG("layer compression %d", (int)c);
}

const char *layer_compression_name(enum layer_compression c)
{
	static const char *const names[LAYER_COMPRESS_N_] = { "none", "gzip", "zstd" };

	return names[c];
}

static str json_view(const json_t *j)
{
	return str_n(json_string_value(j), json_string_length(j));
}

/* A member that may be absent, as a view of the document. */
static int view(const json_t *j, const char *key, str *ret, struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(j, key, &s, err));
	*ret = str_of(s);
	return 0;
}

static int platform_from_json(const json_t *j, struct platform *ret, struct cairn_err *err)
{
	str os, arch, variant, version;

	TRY(view(j, "os", &os, err));
	TRY(view(j, "architecture", &arch, err));
	TRY(view(j, "variant", &variant, err));
	TRY(view(j, "os.version", &version, err));
	TRY(platform_make(os, arch, variant, ret, err));
	if (version.len <= PLATFORM_PART_MAX)
		memcpy(ret->os_version, version.ptr ? version.ptr : "", version.len);
	return 0;
}

static int read_descriptor(struct arena *a, const json_t *j, struct descriptor *d,
                           struct cairn_err *err)
{
	json_t *platform = NULL;
	int64_t size = -1;
	str text;

	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is not an object");
	TRY(view(j, "mediaType", &text, err));
	d->media_type = arena_str(a, text);
	TRY(view(j, "digest", &text, err));
	TRY(digest_parse(text, &d->digest, err));
	TRY(json_get_int(j, "size", -1, &size, err));
	if (size < 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'size' is missing or negative");
	d->size = (uint64_t)size;
	TRY(json_get_object(j, "platform", &platform, err));
	if (platform) {
		TRY(platform_from_json(platform, &d->platform, err));
		d->has_platform = true;
	}
	return image_kvs_from_json(a, json_object_get(j, "annotations"), "annotations",
	                           &d->annotations, err);
}

int descriptor_from_json(struct arena *a, const json_t *j, struct descriptor *ret,
                         struct cairn_err *err)
{
	struct descriptor d = { 0 };

	if (read_descriptor(a, j, &d, err) < 0)
		return cairn_wrap(err, "descriptor");
	*ret = d;
	return 0;
}

static void put(json_t *obj, const char *key, const char *value)
{
	if (value[0])
		(void)json_object_set_new(obj, key, json_str(str_of(value)));
}

static json_t *platform_to_json(const struct platform *p)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "architecture", json_str(str_of(p->arch)));
	(void)json_object_set_new(j, "os", json_str(str_of(p->os)));
	put(j, "os.version", p->os_version);
	put(j, "variant", p->variant);
	return j;
}

json_t *descriptor_to_json(const struct descriptor *d)
{
	json_t *j = json_object();

	(void)json_object_set_new(j, "mediaType", json_str(d->media_type));
	(void)json_object_set_new(j, "digest", json_str(str_of(digest_text(&d->digest).s)));
	(void)json_object_set_new(j, "size", json_integer((json_int_t)d->size));
	if (d->annotations.len)
		(void)json_object_set_new(j, "annotations", image_kvs_to_json(&d->annotations));
	if (d->has_platform)
		(void)json_object_set_new(j, "platform", platform_to_json(&d->platform));
	return j;
}

static int kv_cmp(const void *a, const void *b)
{
	return str_cmp(((const struct image_kv *)a)->key, ((const struct image_kv *)b)->key);
}

/* Index of the first key that is not smaller. */
static size_t lower_bound(const struct image_kvs *kvs, str key)
{
	size_t lo = 0, hi = kvs->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(kvs->ptr[mid].key, key) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void image_kvs_set(struct arena *a, struct image_kvs *kvs, str key, str value)
{
	size_t at = lower_bound(kvs, key);
	struct image_kv *v;

	if (at < kvs->len && str_eq(kvs->ptr[at].key, key)) {
		kvs->ptr[at].value = arena_str(a, value);
		return;
	}
	v = arena_array(a, struct image_kv, kvs->len + 1);
	for (size_t i = 0; i < kvs->len; i++)
		v[i + (i >= at)] = kvs->ptr[i];
	v[at] = (struct image_kv){ arena_str(a, key), arena_str(a, value) };
	kvs->ptr = v;
	kvs->len++;
}

const str *image_kvs_get(const struct image_kvs *kvs, str key)
{
	size_t at = lower_bound(kvs, key);

	return at < kvs->len && str_eq(kvs->ptr[at].key, key) ? &kvs->ptr[at].value : NULL;
}

int image_kvs_from_json(struct arena *a, const json_t *j, const char *what, struct image_kvs *ret,
                        struct cairn_err *err)
{
	struct image_kvs kvs = { 0 };
	const char *key;
	json_t *value;

	if (!j || json_is_null(j)) {
		*ret = kvs;
		return 0;
	}
	if (!json_is_object(j) || json_object_size(j) > IMAGE_LIST_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%s' is not an object of at most %u members", what,
		                  IMAGE_LIST_MAX);
	kvs.ptr = arena_array(a, struct image_kv, json_object_size(j));
	json_object_foreach((json_t *)(uintptr_t)j, key, value)
	{
		if (!json_is_string(value))
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' in '%s' is not a string", key,
			                  what);
		kvs.ptr[kvs.len++] = (struct image_kv){ arena_str(a, str_of(key)),
			                                arena_str(a, json_view(value)) };
	}
	if (kvs.len)
		qsort(kvs.ptr, kvs.len, sizeof(*kvs.ptr), kv_cmp);
	*ret = kvs;
	return 0;
}

json_t *image_kvs_to_json(const struct image_kvs *kvs)
{
	json_t *j = json_object();

	for (size_t i = 0; i < kvs->len; i++) {
		cleanup_json json_t *key = json_str(kvs->ptr[i].key); /* makes it UTF-8 */

		(void)json_object_set_new(j, json_string_value(key), json_str(kvs->ptr[i].value));
	}
	return j;
}
