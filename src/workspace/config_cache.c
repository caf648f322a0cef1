/* `cache:` - URLs of caches and their options. */
#include "config_priv.h"

/* Which kinds of cache take an option. */
enum cache_types {
	TYPE_REGISTRY = 1u << 0,
	TYPE_S3 = 1u << 1,
	TYPE_LOCAL = 1u << 2,
};

static const char *const modes[] = { "min", "max", NULL };
static const char *const compressions[] = { "uncompressed", "gzip", "zstd", NULL };
static const char *const formats[] = { "cairn", "buildkit", NULL };

#define OPTION(name) CONF_F_OPTION, offsetof(struct workspace_cache, attrs), .option = (name)

static const struct conf_field cache_fields[] = {
	{ "url", CONF_F_STRING, offsetof(struct workspace_cache, url),
	  .help = "registry://HOST/REPOSITORY, s3://BUCKET[/PREFIX] or local:PATH; options may follow "
	          "as ?key=value&key=value",
	  .example = "s3://bucket/prefix?region=eu-central-1" },
	{ "mode", OPTION("mode"), .choices = modes,
	  .help = "max: all steps; min: only those of the image itself (default: max)" },
	{ "scope", CONF_F_STRING, offsetof(struct workspace_cache, scope),
	  .help = "Part of the cache that is written, as for a branch" },
	{ "fallback", CONF_F_STRINGS, offsetof(struct workspace_cache, fallbacks),
	  .help = "Scopes that are read after the own one", .example = "main" },
	{ "read_only", CONF_F_BOOL, offsetof(struct workspace_cache, read_only),
	  .help = "Write nothing" },
	{ "ignore_error", OPTION("ignore-error"), .choices = conf_bools,
	  .help = "A failed upload is a warning (default: false)" },
	{ "compression", OPTION("compression"), .choices = compressions,
	  .help = "Of layers that are uploaded" },
	{ "compression_level", OPTION("compression-level"), .min = 0, .max = 22,
	  .help = "Of the compression" },
	{ "force_compression", OPTION("force-compression"), .choices = conf_bools,
	  .help = "Also of layers that are compressed already" },
	{ "format", OPTION("format"), .choices = formats,
	  .help = "registry: whose format is written (default: cairn)" },
	{ "image_manifest", OPTION("image-manifest"), .choices = conf_bools,
	  .help = "registry, format buildkit: an image manifest in place of an index" },
	{ "oci_mediatypes", OPTION("oci-mediatypes"), .choices = conf_bools,
	  .help = "registry, format buildkit: media types of OCI" },
	{ "region", OPTION("region"), .help = "s3: region of the bucket" },
	{ "endpoint_url", OPTION("endpoint_url"), .help = "s3: server that is not AWS",
	  .example = "http://127.0.0.1:9000" },
	{ "use_path_style", OPTION("use_path_style"), .choices = conf_bools,
	  .help = "s3: the bucket stands in the path, not in the host" },
	{ 0 },
};

static const struct {
	const char *option;
	unsigned types;
} limits[] = {
	{ "format", TYPE_REGISTRY },         { "image-manifest", TYPE_REGISTRY },
	{ "oci-mediatypes", TYPE_REGISTRY }, { "region", TYPE_S3 },
	{ "endpoint_url", TYPE_S3 },         { "use_path_style", TYPE_S3 },
};

/* --- what a URL says ------------------------------------------------------------------- */

static void set_attr(const struct conf_reader *r, struct workspace_cache *c, const char *key,
                     str value)
{
	image_kvs_set(r->arena, &c->attrs, str_of(key), value);
}

static int read_registry(const struct conf_reader *r, const struct conf_node *n, str rest,
                         struct workspace_cache *c, struct cairn_err *err)
{
	struct cairn_err why;
	struct reference ref;

	if (reference_parse(rest, &ref, &why) < 0)
		return conf_fail(r, n, err, "cache '%.*s': %s", STR(c->url), why.msg);
	if (!digest_none(&ref.digest) || str_find(str_skip(rest, strlen(ref.domain)), ':') >= 0)
		return conf_fail(r, n, err,
		                 "cache '%.*s': name a repository without tag and digest",
		                 STR(c->url));
	TRY(config_check_location(r, n, &rest, true, err));
	set_attr(r, c, "ref", rest);
	return 0;
}

static bool bucket_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

#define BUCKET_MIN 3
#define BUCKET_MAX 63

static int read_s3(const struct conf_reader *r, const struct conf_node *n, str rest,
                   struct workspace_cache *c, struct cairn_err *err)
{
	str bucket, prefix;
	bool ok;

	(void)str_cut(rest, '/', &bucket, &prefix);
	ok = bucket.len >= BUCKET_MIN && bucket.len <= BUCKET_MAX;
	for (size_t i = 0; i < bucket.len; i++)
		ok = ok && bucket_char(bucket.ptr[i]);
	if (!ok)
		return conf_fail(r, n, err, "cache '%.*s': '%.*s' is no name of a bucket",
		                 STR(c->url), STR(bucket));
	while (str_ends(prefix, S("/")))
		prefix.len--;
	set_attr(r, c, "bucket", bucket);
	if (prefix.len)
		set_attr(r, c, "prefix", str_of(arena_printf(r->arena, "%.*s/", STR(prefix))));
	return 0;
}

static int read_local(const struct conf_reader *r, const struct conf_node *n, str rest,
                      struct workspace_cache *c, struct cairn_err *err)
{
	if (str_starts(rest, S("//"))) { /* local:///var/cache */
		rest = str_skip(rest, 2);
		if (!str_starts(rest, S("/")))
			return conf_fail(r, n, err,
			                 "cache '%.*s': write local:PATH or local:///PATH",
			                 STR(c->url));
	}
	if (!rest.len)
		return conf_fail(r, n, err, "cache '%.*s': the folder is missing", STR(c->url));
	if (rest.ptr[0] == '/')
		set_attr(r, c, "dest", rest);
	else
		set_attr(r, c, "dest",
		         str_of(arena_printf(r->arena, "%s/%.*s", r->root, STR(rest))));
	return 0;
}

static const struct {
	const char *prefix, *name;
	unsigned type;
	int (*read)(const struct conf_reader *r, const struct conf_node *n, str rest,
	            struct workspace_cache *c, struct cairn_err *err);
} schemes[] = {
	{ "registry://", "registry", TYPE_REGISTRY, read_registry },
	{ "s3://", "s3", TYPE_S3, read_s3 },
	{ "local:", "local", TYPE_LOCAL, read_local },
	{ "dir:", "local", TYPE_LOCAL, read_local },
};

static int hex(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
	                              : -1;
}

/* A query's value: %XX are bytes. */
static int unescape(const struct conf_reader *r, const struct conf_node *n, str s, str *ret,
                    struct cairn_err *err)
{
	char *out = arena_alloc(r->arena, s.len + 1);
	size_t len = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] != '%') {
			out[len++] = s.ptr[i];
			continue;
		}
		if (i + 2 >= s.len || hex(s.ptr[i + 1]) < 0 || hex(s.ptr[i + 2]) < 0 ||
		    !(hex(s.ptr[i + 1]) | hex(s.ptr[i + 2])))
			return conf_fail(r, n, err, "'%.*s': a %% needs two hexadecimal digits",
			                 STR(s));
		out[len++] = (char)(hex(s.ptr[i + 1]) << 4 | hex(s.ptr[i + 2]));
		i += 2;
	}
	*ret = str_n(out, len);
	return 0;
}

static const struct conf_object query_object = { .fields = cache_fields + 1 }; /* without url */

/* "region=x&mode=max" is read as a mapping would be. */
static int read_query(const struct conf_reader *r, const struct conf_node *n, str query,
                      struct workspace_cache *c, struct cairn_err *err)
{
	struct conf_node map = { .kind = CONF_MAP, .line = n->line, .col = n->col };
	str piece;
	size_t max = 1;

	for (size_t i = 0; i < query.len; i++)
		max += query.ptr[i] == '&';
	map.pairs = arena_array(r->arena, struct conf_pair, max);
	while (str_next(&query, '&', &piece)) {
		struct conf_node *value = arena_new_of(r->arena, struct conf_node);
		str key, text;

		if (!str_cut(piece, '=', &key, &text))
			return conf_fail(r, n, err, "cache '%.*s': '%.*s' should be key=value",
			                 STR(c->url), STR(piece));
		*value = (struct conf_node){
			.kind = CONF_SCALAR, .line = n->line, .col = n->col, .plain = true
		};
		TRY(unescape(r, n, text, &value->text, err));
		if (conf_is_null(value))
			return conf_fail(r, n, err, "cache '%.*s': '%.*s' has no value",
			                 STR(c->url), STR(key));
		map.pairs[map.n++] = (struct conf_pair){ key, n->line, n->col, value };
	}
	return conf_read(r, &query_object, &map, c, err);
}

static int check_options(const struct conf_reader *r, const struct conf_node *n, unsigned type,
                         const struct workspace_cache *c, struct cairn_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (!(limits[i].types & type) && image_kvs_get(&c->attrs, str_of(limits[i].option)))
			return conf_fail(r, n, err, "cache '%.*s': %s is no option of a %.*s cache",
			                 STR(c->url), limits[i].option, STR(c->type));
	return 0;
}

static int finish(const struct conf_reader *r, const struct conf_node *n, void *object,
                  struct cairn_err *err)
{
	struct workspace_cache *c = object;
	str place, query;

	c->line = n->line;
	c->col = n->col;
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		if (!str_starts(c->url, str_of(schemes[i].prefix)))
			continue;
		(void)str_cut(c->url, '?', &place, &query);
		c->type = str_of(schemes[i].name);
		TRY(schemes[i].read(r, n, str_skip(place, strlen(schemes[i].prefix)), c, err));
		if (query.len)
			TRY(read_query(r, n, query, c, err));
		return check_options(r, n, schemes[i].type, c, err);
	}
	return conf_fail(
		r, n, err,
		"cache '%.*s': expected registry://HOST/REPOSITORY, s3://BUCKET[/PREFIX] or "
		"local:PATH",
		STR(c->url));
}

const struct conf_object config_cache_object = {
	.fields = cache_fields,
	.size = sizeof(struct workspace_cache),
	.finish = finish,
	.required = "url",
};
