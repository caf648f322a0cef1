#include "build_output.h"

#include "build_values.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

#define EPOCH "SOURCE_DATE_EPOCH"

static const struct {
	enum layer_compression compression;
	int max_level;
} compressions[] = {
	[BUILD_COMPRESSION_DEFAULT] = { LAYER_COMPRESS_NONE, 0 },
	[BUILD_COMPRESSION_NONE] = { LAYER_COMPRESS_NONE, 0 },
	[BUILD_COMPRESSION_GZIP] = { LAYER_COMPRESS_GZIP, 12 },
	[BUILD_COMPRESSION_ZSTD] = { LAYER_COMPRESS_ZSTD, 19 },
};

/* An archive as docker buildx makes it: gzip, which everybody reads; but docker's own archive is
 * read once, on this machine, so that compressing it would only cost time. What is pushed is zstd,
 * which is smaller, faster at both ends and read by all that pull images. */
static int set_compression(const struct build_output *b, struct output *o, struct cairn_err *err)
{
	enum build_compression c = b->compression;

	if (c == BUILD_COMPRESSION_DEFAULT && b->type == BUILD_OUTPUT_OCI)
		c = BUILD_COMPRESSION_GZIP;
	if (c == BUILD_COMPRESSION_DEFAULT && b->type == BUILD_OUTPUT_REGISTRY)
		c = b->docker ? BUILD_COMPRESSION_GZIP : BUILD_COMPRESSION_ZSTD;
	if (c == BUILD_COMPRESSION_ZSTD && b->docker)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output: compression=zstd needs oci-mediatypes=true");
	o->compression = compressions[c].compression;
	if (b->level < 0)
		return 0;
	if (b->level < 1 || b->level > compressions[c].max_level)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output: compression-level=%d: %s has levels 1 to %d", b->level,
		                  layer_compression_name(o->compression),
		                  compressions[c].max_level);
	o->level = b->level;
	if ((c == BUILD_COMPRESSION_GZIP && b->level == COMPRESS_GZIP_LEVEL) ||
	    (c == BUILD_COMPRESSION_ZSTD && b->level == COMPRESS_ZSTD_LEVEL))
		o->level = 0; /* the default's blobs are the same */
	return 0;
}

/* name=A,name=B comes as one value "A,B" when it is quoted; else the -t names are taken. */
static int set_names(const struct cli_build_opts *opts, const char *name, struct arena *a,
                     struct output *o, struct cairn_err *err)
{
	const char **names;
	str rest = str_of(name), piece;
	size_t max = opts->tags.len + 1;

	for (const char *c = name; c && *c; c++)
		max += *c == ',';
	names = arena_array(a, const char *, max);
	for (size_t i = 0; i < (name ? max : opts->tags.len); i++) {
		struct reference ref;
		char text[REFERENCE_TEXT_MAX];

		piece = name ? S("") : str_of(opts->tags.ptr[i]);
		if (name && !str_next(&rest, ',', &piece))
			break;
		if (reference_parse(piece, &ref, err) < 0) {
			err->code = CAIRN_E_USAGE;
			return cairn_wrap(err, "--output name");
		}
		names[o->n_names++] = arena_cstr(a, str_of(reference_text(&ref, text)));
	}
	o->names = names;
	return 0;
}

static int set_epoch(const struct map *build_args, struct outputs_opts *ret, struct cairn_err *err)
{
	const char *text = map_get(build_args, S(EPOCH));
	uint64_t seconds = 0;

	if (!text || !*text)
		return 0;
	if (num_u64(str_of(text), INT64_MAX / CLOCK_SEC, &seconds, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, EPOCH);
	}
	ret->has_epoch = true;
	ret->epoch = (int64_t)seconds * CLOCK_SEC;
	return 0;
}

/* The domains that are spoken to by plain HTTP because an output says so. */
static void add_insecure(const struct output *out, struct arena *a, struct build_outputs *ret)
{
	const char **all = arena_array(a, const char *, ret->n_insecure + out->n_names + 1);

	if (ret->n_insecure)
		memcpy(all, ret->insecure, ret->n_insecure * sizeof(*all));
	for (size_t i = 0; i < out->n_names; i++) {
		struct cairn_err ignored;
		struct reference ref;

		if (reference_parse(str_of(out->names[i]), &ref, &ignored) == 0)
			all[ret->n_insecure++] = arena_cstr(a, str_of(ref.domain));
	}
	ret->insecure = all;
}

static int add_output(const struct cli_build_opts *o, const struct build_output *b, struct arena *a,
                      struct output *out, struct cairn_err *err)
{
	static const enum output_type types[BUILD_OUTPUT_N_] = {
		[BUILD_OUTPUT_OCI] = OUTPUT_OCI,           [BUILD_OUTPUT_DOCKER] = OUTPUT_DOCKER,
		[BUILD_OUTPUT_TAR] = OUTPUT_TAR,           [BUILD_OUTPUT_LOCAL] = OUTPUT_LOCAL,
		[BUILD_OUTPUT_REGISTRY] = OUTPUT_REGISTRY,
	};

	out->type = types[b->type];
	out->dest = b->dest;
	out->folder = b->type == BUILD_OUTPUT_OCI && !b->tar;
	out->force_compression = b->force_compression;
	out->by_digest = b->by_digest;
	out->docker = b->docker;
	out->annotations = b->annotations;
	TRY(set_compression(b, out, err));
	TRY(set_names(o, b->name, a, out, err));
	if (out->type == OUTPUT_REGISTRY && !out->n_names)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "an image that is pushed needs a name: --tag NAME or "
		                  "--output type=registry,name=NAME");
	return 0;
}

int build_outputs(const struct cli_build_opts *o, const struct map *build_args, struct arena *a,
                  struct build_outputs *ret, struct cairn_err *err)
{
	struct outputs_opts *opts = ret->opts;
	struct output *list = arena_array(a, struct output, o->outputs.len + 2);
	bool pushed = !o->push;

	opts->n = 0;
	for (size_t i = 0; i < o->outputs.len; i++) {
		struct build_output b = { 0 };

		TRY(build_output_parse(o->outputs.ptr[i], a, &b, err));
		if (b.type == BUILD_OUTPUT_STORE)
			continue;
		TRY(add_output(o, &b, a, &list[opts->n], err));
		if (b.insecure)
			add_insecure(&list[opts->n], a, ret);
		pushed |= b.type == BUILD_OUTPUT_REGISTRY;
		opts->n++;
	}
	if (!pushed) {
		const struct build_output b = { .type = BUILD_OUTPUT_REGISTRY, .level = -1 };

		TRY(add_output(o, &b, a, &list[opts->n++], err));
	}
	opts->outputs = list;
	return set_epoch(build_args, opts, err);
}

bool build_outputs_stdout(const struct outputs_opts *o)
{
	for (size_t i = 0; i < o->n; i++)
		if (o->outputs[i].dest && strcmp(o->outputs[i].dest, "-") == 0)
			return true;
	return false;
}

/* --- metadata ------------------------------------------------------------------ */

static json_t *json_text(const char *s)
{
	return json_str(str_of(s));
}

static json_t *descriptor(const struct engine_image *im, const struct descriptor *d)
{
	json_t *j = descriptor_to_json(d), *annotations = json_object();
	char created[CLOCK_TEXT_MAX];

	(void)json_object_set_new(annotations, "config.digest",
	                          json_text(digest_text(&im->config_digest).s));
	(void)json_object_set_new(annotations, "org.opencontainers.image.created",
	                          json_text(clock_text(im->created, created)));
	(void)json_object_set_new(j, "annotations", annotations);
	return j;
}

void build_metadata(const struct engine_image *im, const struct outputs_result *outputs,
                    const char *const *names, int64_t wall_ns, struct strbuf *text)
{
	cleanup_json json_t *j = json_object();
	json_t *own = json_object();
	cleanup_strbuf struct strbuf joined;
	char *pretty;

	strbuf_init(&joined, 1u << 20);
	for (size_t i = 0; names[i]; i++) {
		char full[REFERENCE_TEXT_MAX];
		struct cairn_err ignored;
		struct reference ref;

		if (reference_parse(str_of(names[i]), &ref, &ignored) == 0)
			strbuf_printf(&joined, "%s%s", i ? "," : "", reference_text(&ref, full));
	}
	(void)json_object_set_new(own, "steps", json_integer(im->n_steps));
	(void)json_object_set_new(own, "cached", json_integer(im->n_cached));
	(void)json_object_set_new(own, "seconds", json_real((double)wall_ns / (double)CLOCK_SEC));
	(void)json_object_set_new(j, "cairn", own);
	(void)json_object_set_new(j, "containerimage.config.digest",
	                          json_text(digest_text(&im->config_digest).s));
	if (outputs->has_manifest) {
		(void)json_object_set_new(j, "containerimage.descriptor",
		                          descriptor(im, &outputs->manifest));
		(void)json_object_set_new(j, "containerimage.digest",
		                          json_text(digest_text(&outputs->manifest.digest).s));
	}
	if (joined.len)
		(void)json_object_set_new(j, "image.name", json_str(strbuf_view(&joined)));
	pretty = json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6));
	strbuf_cstr(text, pretty);
	strbuf_char(text, '\n');
	free(pretty);
}
