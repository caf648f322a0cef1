#include "buildkit_import.h"

#include "util/clock.h"

void buildkit_cache_free(struct buildkit_cache *c)
{
	if (c)
		arena_free(c->arena);
}

const struct descriptor *buildkit_import_config(const struct manifest *m)
{
	if (m->kind == MANIFEST_IMAGE)
		return str_is(m->config.media_type, BUILDKIT_CONFIG_MEDIA) ? &m->config : NULL;
	for (size_t i = 0; i < m->n_manifests; i++)
		if (str_is(m->manifests[i].media_type, BUILDKIT_CONFIG_MEDIA))
			return &m->manifests[i];
	return NULL;
}

/* --- layers of a cache ---------------------------------------------------------- */

/* diff ID and time from a descriptor's annotations; without a diff ID a layer is worth nothing. */
static bool describe(struct arena *a, const struct descriptor *d, struct buildkit_blob *ret)
{
	const str *diff_id = image_kvs_get(&d->annotations, S("containerd.io/uncompressed"));
	const str *created = image_kvs_get(&d->annotations, S("buildkit/createdat"));
	struct cairn_err ignored;

	if (!diff_id || digest_parse(*diff_id, &ret->diff_id, &ignored) < 0 ||
	    media_type_find(d->media_type)->kind != MEDIA_LAYER)
		return false;
	if (created && clock_parse(*created, &ret->created, &ignored) < 0)
		ret->created = 0;
	ret->blob = (struct descriptor){ .media_type = arena_str(a, d->media_type),
		                         .digest = d->digest,
		                         .size = d->size };
	return true;
}

static int by_blob(const void *a, const void *b)
{
	return digest_cmp(&((const struct buildkit_blob *)a)->blob.digest,
	                  &((const struct buildkit_blob *)b)->blob.digest);
}

static void take_blobs(struct buildkit_cache *c, const struct descriptor *list, size_t n)
{
	struct buildkit_blob *all = arena_array(c->arena, struct buildkit_blob, n + 1);
	size_t known = 0;

	for (size_t i = 0; i < n; i++)
		known += describe(c->arena, &list[i], &all[known]);
	if (known)
		qsort(all, known, sizeof(*all), by_blob);
	for (size_t i = 0; i < c->config.n_layers; i++) {
		struct buildkit_blob key = { .blob.digest = c->config.layers[i].blob };
		const struct buildkit_blob *found =
			known ? bsearch(&key, all, known, sizeof(*all), by_blob) : NULL;

		if (found)
			c->blobs[i] = *found;
	}
}

static int parse_cache(struct buildkit_cache *c, const struct manifest *m, str config,
                       struct cairn_err *err)
{
	TRY(buildkit_config_parse(c->arena, config, &c->config, err));
	c->blobs = arena_array(c->arena, struct buildkit_blob, c->config.n_layers + 1);
	if (m->kind == MANIFEST_IMAGE)
		take_blobs(c, m->layers, m->n_layers);
	else
		take_blobs(c, m->manifests, m->n_manifests);
	return 0;
}

/* --- inline ------------------------------------------------------------------------ */

/* When the layers were made: the lines of the history that have one. */
static void take_times(struct buildkit_cache *c, const struct image_config *config)
{
	size_t k = 0;

	for (size_t i = 0; i < config->n_history && k < c->config.n_layers; i++)
		if (!config->history[i].empty_layer)
			c->blobs[k++].created = config->history[i].created.ns;
}

static int parse_inline(struct buildkit_cache *c, const struct manifest *m, str config,
                        bool *ret_found, struct cairn_err *err)
{
	cleanup_json json_t *doc = NULL;
	struct image_config image;
	const char *base64 = NULL;

	*ret_found = false;
	TRY(json_parse(config, "image config", &doc, err));
	TRY(json_get_str(doc, BUILDKIT_INLINE_KEY, &base64, err));
	if (!base64)
		return 0;
	TRY(image_config_parse(c->arena, config, &image, err));
	if (image.n_diff_ids != m->n_layers)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "the image has %zu layers, its config says %zu", m->n_layers,
		                  image.n_diff_ids);
	TRY(buildkit_inline_parse(c->arena, str_of(base64), m->n_layers, &c->config, err));
	c->blobs = arena_array(c->arena, struct buildkit_blob, m->n_layers + 1);
	for (size_t i = 0; i < m->n_layers; i++) {
		c->blobs[i].blob = m->layers[i];
		c->blobs[i].blob.media_type = arena_str(c->arena, m->layers[i].media_type);
		c->blobs[i].blob.annotations = (struct image_kvs){ 0 };
		c->blobs[i].diff_id = image.diff_ids[i];
	}
	take_times(c, &image);
	*ret_found = true;
	return 0;
}

int buildkit_import_parse(const struct manifest *m, str config, struct buildkit_cache **ret,
                          struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct buildkit_cache *c = arena_new_of(a, struct buildkit_cache);
	bool found = true;

	c->arena = a;
	*ret = NULL;
	if (buildkit_import_config(m))
		TRY(parse_cache(c, m, config, err));
	else if (m->kind == MANIFEST_IMAGE)
		TRY(parse_inline(c, m, config, &found, err));
	else
		found = false;
	if (found) {
		a = NULL;
		*ret = c;
	}
	return 0;
}

/* --- at a registry -------------------------------------------------------------------- */

/* An image, or an index of images: does the one for this platform carry a cache? */
static int open_image(struct registry *r, const struct reference *ref,
                      const struct platform *platform, struct buildkit_cache **ret,
                      struct cairn_err *err)
{
	cleanup_registry_image struct registry_image *img = NULL;

	TRY(registry_resolve(r, ref, platform, &img, err));
	return buildkit_import_parse(&img->manifest, img->config_bytes, ret, err);
}

static bool looks_like_image(const struct manifest *m)
{
	return m->kind == MANIFEST_INDEX ||
	       media_type_find(m->config.media_type)->kind == MEDIA_CONFIG;
}

int buildkit_import_open(struct registry *r, const struct reference *ref,
                         const struct platform *platform, struct buildkit_cache **ret,
                         struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct strbuf bytes cleanup_strbuf, config cleanup_strbuf;
	cleanup_free char *type = NULL;
	const struct descriptor *d;
	struct manifest m;
	int rc;

	*ret = NULL;
	strbuf_init(&bytes, MANIFEST_MAX);
	strbuf_init(&config, BUILDKIT_CONFIG_MAX);
	rc = registry_manifest_get(r, ref, &bytes, &type, err);
	if (rc == CAIRN_E_NOT_FOUND)
		return 0;
	if (rc < 0)
		return rc;
	TRY(manifest_parse(a, strbuf_view(&bytes), str_of(type), &m, err));
	d = buildkit_import_config(&m);
	if (!d)
		return looks_like_image(&m) ? open_image(r, ref, platform, ret, err) : 0;
	TRY(registry_blob_read(r, ref, d, &config, err));
	return buildkit_import_parse(&m, strbuf_view(&config), ret, err);
}
