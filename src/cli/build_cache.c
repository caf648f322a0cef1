#include "build_cache.h"

#include <unistd.h>

#include "build_values.h"
#include "util/num.h"

/* --- options ---------------------------------------------------------------------- */

enum cache_kinds {
	IN_REGISTRY = 1u << BUILD_CACHE_REGISTRY,
	IN_S3 = 1u << BUILD_CACHE_S3,
	IN_LOCAL = 1u << BUILD_CACHE_LOCAL,
	IN_PLACE = IN_REGISTRY | IN_S3 | IN_LOCAL, /* where something can be kept */
};

enum cache_side {
	FROM = 1u << 0,
	TO = 1u << 1,
	BOTH = FROM | TO,
};

enum cache_value {
	VALUE_TEXT,
	VALUE_BOOL,
	VALUE_MODE,
	VALUE_COMPRESSION,
	VALUE_LEVEL,
	VALUE_FORMAT,
	VALUE_LIST, /* separated by ';' */
};

static const struct cache_option {
	const char *name;
	enum cache_value value;
	unsigned kinds, sides;
	size_t offset;
} options[] = {
#define AT(f) offsetof(struct build_cache_spec, f)
	{ "ref", VALUE_TEXT, IN_REGISTRY, BOTH, AT(ref) },
	{ "src", VALUE_TEXT, IN_LOCAL, FROM, AT(dir) },
	{ "dest", VALUE_TEXT, IN_LOCAL, TO, AT(dir) },
	{ "tag", VALUE_TEXT, IN_LOCAL, BOTH, AT(tag) },
	{ "bucket", VALUE_TEXT, IN_S3, BOTH, AT(bucket) },
	{ "prefix", VALUE_TEXT, IN_S3, BOTH, AT(prefix) },
	{ "name", VALUE_TEXT, IN_S3, BOTH, AT(name) },
	{ "region", VALUE_TEXT, IN_S3, BOTH, AT(region) },
	{ "endpoint_url", VALUE_TEXT, IN_S3, BOTH, AT(endpoint_url) },
	{ "access_key_id", VALUE_TEXT, IN_S3, BOTH, AT(access_key_id) },
	{ "secret_access_key", VALUE_TEXT, IN_S3, BOTH, AT(secret_access_key) },
	{ "session_token", VALUE_TEXT, IN_S3, BOTH, AT(session_token) },
	{ "use_path_style", VALUE_BOOL, IN_S3, BOTH, AT(use_path_style) },
	{ "mode", VALUE_MODE, IN_PLACE | 1u << BUILD_CACHE_INLINE, TO, AT(max) },
	{ "ignore-error", VALUE_BOOL, IN_PLACE, TO, AT(ignore_error) },
	{ "compression", VALUE_COMPRESSION, IN_PLACE, TO, AT(compression) },
	{ "compression-level", VALUE_LEVEL, IN_PLACE, TO, AT(level) },
	{ "force-compression", VALUE_BOOL, IN_PLACE, TO, AT(force_compression) },
	{ "image-manifest", VALUE_BOOL, IN_REGISTRY | IN_LOCAL, TO, AT(image_manifest) },
	{ "oci-mediatypes", VALUE_BOOL, IN_REGISTRY | IN_LOCAL, TO, AT(oci_mediatypes) },
	{ "format", VALUE_FORMAT, IN_REGISTRY, TO, AT(format) },
	{ "scope", VALUE_TEXT, IN_PLACE, BOTH, AT(scope) },
	{ "fallback-scope", VALUE_LIST, IN_PLACE, BOTH, AT(fallbacks) },
};

static const char *const type_names[] = { "registry", "s3", "local", "inline", NULL };

static int index_of(const char *const *names, str s)
{
	for (int i = 0; names[i]; i++)
		if (str_is(s, names[i]))
			return i;
	return -1;
}

static int fail_value(const char *what, const struct cache_option *o, str value, const char *want,
                      struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_USAGE, "%s: %s=%.*s: expected %s", what, o->name, STR(value),
	                  want);
}

/* The value is none of these words: "expected a, b or c". */
static int fail_choice(const char *what, const char *name, str value, const char *const *words,
                       struct cairn_err *err)
{
	char list[128] = "", hint[STR_HINT_MAX];
	size_t n = 0;

	for (size_t i = 0; words[i] && n < sizeof(list); i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
		                      i == 0         ? ""
		                      : words[i + 1] ? ", "
		                                     : " or ",
		                      words[i]);
	return cairn_fail(err, CAIRN_E_USAGE, "%s: %s=%.*s: expected %s%s", what, name, STR(value),
	                  list, str_did_you_mean(value, words, hint));
}

static void add_fallbacks(struct arena *a, str list, struct build_cache_spec *s)
{
	const char **all;
	size_t max = s->n_fallbacks + 1;
	str piece;

	for (size_t i = 0; i < list.len; i++)
		max += list.ptr[i] == ';';
	all = arena_array(a, const char *, max);
	if (s->n_fallbacks)
		memcpy(all, s->fallbacks, s->n_fallbacks * sizeof(*all));
	while (str_next(&list, ';', &piece))
		all[s->n_fallbacks++] = arena_cstr(a, piece);
	s->fallbacks = all;
	s->has_fallbacks = true;
}

/* The words that a value may be; NULL when it is none of a few. */
static const char *const *choices_of(enum cache_value value)
{
	static const char *const bools[] = { "false", "true", NULL };
	static const char *const modes[] = { "min", "max", NULL };
	static const char *const compressions[] = { "uncompressed", "gzip", "zstd", NULL };
	static const char *const formats[] = { "cairn", "buildkit", NULL };

	switch (value) {
	case VALUE_BOOL:
		return bools;
	case VALUE_MODE:
		return modes;
	case VALUE_COMPRESSION:
		return compressions;
	case VALUE_FORMAT:
		return formats;
	case VALUE_TEXT:
	case VALUE_LEVEL:
	case VALUE_LIST:
		break;
	}
	return NULL;
}

/* Set a field to one of a few words. */
static int set_choice(const char *what, const struct cache_option *o, str value, void *at,
                      struct build_cache_spec *s, struct cairn_err *err)
{
	const char *const *words = choices_of(o->value);
	int i = index_of(words, value);

	if (o->value == VALUE_COMPRESSION && str_is(value, "estargz"))
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "%s: compression=estargz is not built; use zstd or gzip", what);
	if (i < 0)
		return fail_choice(what, o->name, value, words, err);
	if (o->value == VALUE_COMPRESSION) {
		*(enum layer_compression *)at = (enum layer_compression)i;
		s->has_compression = true;
	} else if (o->value == VALUE_FORMAT) {
		*(enum build_cache_format *)at = (enum build_cache_format)i;
	} else {
		*(bool *)at = i == 1;
	}
	return 0;
}

static int set_option(const char *what, const struct cache_option *o, str value, struct arena *a,
                      struct build_cache_spec *s, struct cairn_err *err)
{
	char *at = (char *)s + o->offset;
	uint64_t level = 0;

	switch (o->value) {
	case VALUE_TEXT:
		if (!value.len)
			return cairn_fail(err, CAIRN_E_USAGE, "%s: %s= is empty", what, o->name);
		*(const char **)(void *)at = arena_cstr(a, value);
		return 0;
	case VALUE_LEVEL:
		if (num_u64(value, 22, &level, err) < 0)
			return fail_value(what, o, value, "a level of 0 to 22", err);
		s->level = (int)level;
		return 0;
	case VALUE_LIST:
		add_fallbacks(a, value, s);
		return 0;
	case VALUE_BOOL:
	case VALUE_MODE:
	case VALUE_COMPRESSION:
	case VALUE_FORMAT:
		break;
	}
	return set_choice(what, o, value, at, s, err);
}

static const struct cache_option *option_find(str name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (str_is(name, options[i].name))
			return &options[i];
	return NULL;
}

/* Only options that make sense here are suggested. */
static int fail_unknown(const char *what, str name, const struct build_cache_spec *s,
                        struct cairn_err *err)
{
	const char *names[ARRAY_SIZE(options) + 2];
	char hint[STR_HINT_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].kinds & 1u << s->type && options[i].sides & (s->to ? TO : FROM))
			names[n++] = options[i].name;
	names[n++] = "type";
	names[n] = NULL;
	return cairn_fail(err, CAIRN_E_USAGE, "%s: type=%s has no option '%.*s'%s", what,
	                  type_names[s->type], STR(name), str_did_you_mean(name, names, hint));
}

static int set_by_name(const char *what, str name, str value, struct arena *a,
                       struct build_cache_spec *s, struct cairn_err *err)
{
	const struct cache_option *o = option_find(name);

	if (!o)
		return fail_unknown(what, name, s, err);
	if (!(o->kinds & 1u << s->type))
		return cairn_fail(err, CAIRN_E_USAGE, "%s: '%s' is no option of type=%s", what,
		                  o->name, type_names[s->type]);
	if (!(o->sides & (s->to ? TO : FROM)))
		return cairn_fail(err, CAIRN_E_USAGE, "%s: '%s' is only for --cache-%s", what,
		                  o->name, s->to ? "from" : "to");
	return set_option(what, o, value, a, s, err);
}

static int need(const char *what, const char *have, const char *option, struct cairn_err *err)
{
	return have ? 0 : cairn_fail(err, CAIRN_E_USAGE, "%s: %s= is missing", what, option);
}

static int check_compression(const char *what, struct build_cache_spec *s, struct cairn_err *err)
{
	static const struct {
		int max, standard;
	} levels[LAYER_COMPRESS_N_] = {
		[LAYER_COMPRESS_GZIP] = { 12, COMPRESS_GZIP_LEVEL },
		[LAYER_COMPRESS_ZSTD] = { 19, COMPRESS_ZSTD_LEVEL },
	};

	if (!s->level)
		return 0;
	if (!s->has_compression) {
		s->has_compression = true;
		s->compression = LAYER_COMPRESS_ZSTD;
	}
	if (s->level > levels[s->compression].max)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "%s: compression-level=%d: %s has levels 1 to %d", what, s->level,
		                  layer_compression_name(s->compression),
		                  levels[s->compression].max);
	if (s->level == levels[s->compression].standard)
		s->level = 0; /* the same bytes */
	return 0;
}

static int check_spec(const char *what, struct build_cache_spec *s, struct cairn_err *err)
{
	switch (s->type) {
	case BUILD_CACHE_REGISTRY:
		TRY(need(what, s->ref, "ref", err));
		break;
	case BUILD_CACHE_S3:
		TRY(need(what, s->bucket, "bucket", err));
		if (!s->access_key_id != !s->secret_access_key)
			return cairn_fail(
				err, CAIRN_E_USAGE,
				"%s: access_key_id= and secret_access_key= belong together", what);
		break;
	case BUILD_CACHE_LOCAL:
		TRY(need(what, s->dir, s->to ? "dest" : "src", err));
		break;
	case BUILD_CACHE_INLINE:
	case BUILD_CACHE_N_:
		break;
	}
	if (s->format == BUILD_CACHE_CAIRN && (!s->image_manifest || !s->oci_mediatypes))
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "%s: %s=false: cairn writes image manifests of OCI's media types",
		                  what, s->image_manifest ? "oci-mediatypes" : "image-manifest");
	if (!s->oci_mediatypes)
		return cairn_fail(
			err, CAIRN_E_UNSUPPORTED,
			"%s: oci-mediatypes=false is not built; BuildKit reads OCI's, too", what);
	return check_compression(what, s, err);
}

static int set_type(const char *what, str type, bool to, struct build_cache_spec *s,
                    struct cairn_err *err)
{
	int i = index_of(type_names, type);

	if (str_is(type, "gha") || str_is(type, "azblob"))
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "%s: type=%.*s is not built; use registry, s3 or local", what,
		                  STR(type));
	if (i < 0)
		return fail_choice(what, "type", type, type_names, err);
	*s = (struct build_cache_spec){ .type = (enum build_cache_type)i,
		                        .to = to,
		                        .compression = LAYER_COMPRESS_ZSTD,
		                        .image_manifest = true,
		                        .oci_mediatypes = true };
	if (s->type == BUILD_CACHE_INLINE && !to)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "%s: type=inline is read with type=registry,ref=IMAGE", what);
	return 0;
}

int build_cache_from_attrs(const char *what, str type, const struct image_kvs *attrs, bool to,
                           struct arena *a, struct build_cache_spec *ret, struct cairn_err *err)
{
	struct build_cache_spec s;

	TRY(set_type(what, type, to, &s, err));
	for (size_t i = 0; i < attrs->len; i++) {
		str name = attrs->ptr[i].key;

		const struct cache_option *o = option_find(name);

		if (s.type == BUILD_CACHE_LOCAL && str_is(name, "dest") && !to)
			name = S("src");
		else if (o && !to && !(o->sides & FROM))
			continue; /* both sides share their options */
		TRY(set_by_name(what, name, attrs->ptr[i].value, a, &s, err));
	}
	TRY(check_spec(what, &s, err));
	*ret = s;
	return 0;
}

int build_cache_parse(const char *opt, const char *value, struct arena *a,
                      struct build_cache_spec *ret, struct cairn_err *err)
{
	const char *what = arena_printf(a, "--%s", opt);
	bool to = strcmp(opt, "cache-to") == 0;
	struct build_cache_spec s;
	struct build_fields f;
	str type = { 0 };

	if (!strchr(value, '=') && !strchr(value, ',')) {
		TRY(set_type(what, S("registry"), to, &s, err));
		s.ref = *value ? arena_cstr(a, str_of(value)) : NULL;
		TRY(check_spec(what, &s, err));
		*ret = s;
		return 0;
	}
	TRY(build_fields_split(opt, value, a, &f, err));
	for (size_t i = 0; i < f.n; i++)
		if (strcmp(f.at[i].key, "type") == 0)
			type = str_of(f.at[i].value ? f.at[i].value : "");
	if (!type.ptr)
		return cairn_fail(err, CAIRN_E_USAGE, "%s '%s': type= is missing", what, value);
	TRY(set_type(what, type, to, &s, err));
	for (size_t i = 0; i < f.n; i++)
		if (strcmp(f.at[i].key, "type") != 0)
			TRY(set_by_name(what, str_of(f.at[i].key), str_of(f.at[i].value), a, &s,
			                err));
	TRY(check_spec(what, &s, err));
	*ret = s;
	return 0;
}
