#include "image_push.h"

#include <pthread.h>

#include "base.h"
#include "util/pool.h"

#define PARALLEL 4u
#define FORM_DEFAULT                               \
	{                                          \
		.compression = LAYER_COMPRESS_GZIP \
	}

/* An image on its way. */
struct going {
	struct image_push_opts opts;
	struct reference dst;
	struct arena *arena; /* of the main thread */
	struct layer_press *press;
	struct pool *net; /* NULL: one layer after the other */
	atomic_uint_least64_t moved;
	atomic_bool stop; /* something failed, or the user wants it */
	pthread_mutex_t lock;
	struct cairn_err why; /* the first failure; CAIRN_OK: none */

	/* The image that is being worked on: */
	struct store_image image;
	str config;
	struct platform platform;
	bool pulled; /* manifest is the one that it came with, and its layers are those */
	struct manifest manifest;
	str bytes; /* of the manifest, when it is known before the layers; else ptr NULL */
};

/* --- where bytes are ------------------------------------------------------------ */

static int open_blob(void *ctx, const struct digest *digest, int *ret_fd, struct cairn_err *err)
{
	uint64_t size = 0;

	return store_blob_open(ctx, digest, ret_fd, &size, err);
}

/* Places of a blob that the store remembers. */
struct origin {
	struct store_sources sources;
	char *mount;           /* in dst's registry; borrowed from sources */
	struct reference from; /* valid when has_from */
	bool has_from;
};

static int find_origin(const struct going *g, const struct digest *blob, struct origin *ret,
                       struct cairn_err *err)
{
	struct cairn_err ignored;

	*ret = (struct origin){ 0 };
	TRY(store_blob_sources(g->opts.store, blob, &ret->sources, err));
	for (size_t i = 0; i < ret->sources.len; i++) {
		const struct store_source *s = &ret->sources.ptr[i];
		cleanup_free char *text = xasprintf("%s/%s", s->registry, s->repository);

		if (!ret->mount && strcmp(s->registry, g->dst.domain) == 0)
			ret->mount = s->repository;
		if (!ret->has_from)
			ret->has_from = reference_parse(str_of(text), &ret->from, &ignored) == 0;
	}
	if (ret->mount && strcmp(ret->mount, g->dst.path) == 0)
		ret->mount = NULL; /* it is there, or it is gone */
	return 0;
}

/* Bring a blob of the store, or one whose origin is known, to dst. */
static int bring(struct going *g, const struct descriptor *blob, struct cairn_err *err)
{
	struct registry_want want = { .blob = *blob, .open = open_blob, .ctx = g->opts.store };
	struct store *s = g->opts.store;
	struct origin o;
	uint64_t moved = 0;
	bool here = false;
	int rc;

	TRY(store_blob_find(s, &blob->digest, &here, NULL, err));
	TRY(find_origin(g, &blob->digest, &o, err));
	want.mount = o.mount;
	if (!here)
		want.from = o.has_from ? &o.from : NULL;
	if (!here && !o.has_from)
		rc = cairn_fail(err, CAIRN_E_NOT_FOUND,
		                "the bytes of layer %s are not in the store; get the image again",
		                digest_text(&blob->digest).s);
	else
		rc = registry_blob_bring(g->opts.registry, &g->dst, &want, g->opts.progress, &moved,
		                         err);
	store_sources_done(&o.sources);
	TRY(rc);
	atomic_fetch_add(&g->moved, moved);
	return store_read_only(s) ? 0
	                          : store_blob_source_put(s, &blob->digest, str_of(g->dst.domain),
	                                                  str_of(g->dst.path), err);
}

/* --- layers ---------------------------------------------------------------------------- */

static struct layer_blob_form form_of(const struct going *g)
{
	struct layer_blob_form form = FORM_DEFAULT;

	if (g->opts.form)
		form = *g->opts.form;
	form.described = true;
	return form;
}

/* A layer that never had to come here: any form that is known will do. */
static int describe_layer(struct going *g, size_t i, struct cairn_err *err)
{
	cleanup_free char *variant = NULL;
	struct store_layer_blob blob = { 0 };
	const struct media_type *type;

	TRY(store_layer_blob_any(g->opts.store, &g->image.diff_ids[i], &blob, &variant, err));
	if (!variant)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "layer %s is not in the store; build the image again",
		                  digest_text(&g->image.diff_ids[i]).s);
	type = media_type_find(str_of(variant));
	g->manifest.layers[i] = (struct descriptor){
		.media_type = str_of(media_type_layer(type->compression, false)),
		.digest = blob.digest,
		.size = blob.size,
	};
	return 0;
}

/* Layer i in its form; in the thread that sends it. */
static int make_layer(struct going *g, size_t i, struct cairn_err *err)
{
	struct store_layer known;
	bool found = false;
	struct layer_blob_form form = form_of(g);
	struct layer_blob blob = { 0 };
	struct layer_blob_source src = { .store = g->opts.store,
		                         .pool = g->opts.pool,
		                         .press = g->press,
		                         .ids = g->image.diff_ids,
		                         .n = i + 1,
		                         .stop = g->opts.stop ? g->opts.stop : &g->stop };

	TRY(store_layer_find(g->opts.store, &g->image.diff_ids[i], &known, &found, err));
	if (!found && !form.force)
		return describe_layer(g, i, err);
	TRY(layer_blob_open(&src, err));
	TRY(layer_blob_get(&src, &form, &blob, err));
	g->manifest.layers[i] = (struct descriptor){ .media_type = str_of(blob.media_type),
		                                     .digest = blob.digest,
		                                     .size = blob.size };
	return 0;
}

static bool same_before(const struct going *g, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (g->pulled ? digest_eq(&g->manifest.layers[k].digest,
		                          &g->manifest.layers[i].digest)
		              : digest_eq(&g->image.diff_ids[k], &g->image.diff_ids[i]))
			return true;
	return false;
}

static int go_layer(struct going *g, size_t i, struct cairn_err *err)
{
	if (!g->pulled)
		TRY(make_layer(g, i, err));
	return same_before(g, i) ? 0 : bring(g, &g->manifest.layers[i], err);
}

static int layer_task(void *ctx, size_t i, struct cairn_err *err)
{
	struct going *g = ctx;

	if (g->opts.stop && atomic_load(g->opts.stop))
		atomic_store(&g->stop, true);
	if (atomic_load(&g->stop))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	if (go_layer(g, i, err) == 0)
		return 0;
	pthread_mutex_lock(&g->lock);
	if (g->why.code == CAIRN_OK)
		g->why = *err;
	pthread_mutex_unlock(&g->lock);
	atomic_store(&g->stop, true);
	return err->code;
}

static int go_layers(struct going *g, struct cairn_err *err)
{
	int rc = 0;

	if (g->net)
		rc = pool_map(g->net, g->image.n_layers, layer_task, g, err);
	else
		for (size_t i = 0; i < g->image.n_layers && rc == 0; i++)
			rc = layer_task(g, i, err);

	if (rc < 0 && g->why.code != CAIRN_OK) {
		*err = g->why;
		rc = err->code;
	}
	return rc;
}

static int go_config(struct going *g, struct cairn_err *err)
{
	return bring(g, &g->manifest.config, err);
}

/* --- manifests --------------------------------------------------------------------------- */

static const char *variant(const struct going *g, char buf[LAYER_BLOB_VARIANT_MAX])
{
	struct layer_blob_form form = form_of(g);

	return layer_blob_variant(&form, buf);
}

/* A manifest that the store remembers; *ret_found false also for one that is damaged. */
static int known_manifest(struct going *g, str name, bool *ret_found, struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	struct cairn_err ignored;
	struct digest digest;

	strbuf_init(&bytes, MANIFEST_MAX);
	TRY(store_manifest_find(g->opts.store, &g->image.config, name, &digest, ret_found, err));
	if (!*ret_found)
		return 0;
	*ret_found = store_blob_read(g->opts.store, &digest, &bytes, &ignored) == 0;
	if (!*ret_found)
		return 0;
	g->bytes = arena_str(g->arena, strbuf_view(&bytes));
	*ret_found = manifest_parse(g->arena, g->bytes, S(""), &g->manifest, &ignored) == 0 &&
	             g->manifest.kind == MANIFEST_IMAGE &&
	             g->manifest.n_layers == g->image.n_layers;
	if (!*ret_found)
		g->bytes = (str){ 0 };
	return 0;
}

static void annotate(struct going *g, struct image_kvs *to, const struct image_kvs *from)
{
	for (size_t i = 0; i < from->len; i++)
		image_kvs_set(g->arena, to, from->ptr[i].key, from->ptr[i].value);
}

static int encode(struct going *g, const struct manifest *m, str *ret, struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;

	strbuf_init(&bytes, MANIFEST_MAX);
	manifest_encode(m, &bytes);
	TRY(strbuf_check(&bytes, "manifest", err));
	*ret = arena_str(g->arena, strbuf_view(&bytes));
	return 0;
}

/* The manifest as far as it is known before the layers are. */
static int begin_manifest(struct going *g, struct cairn_err *err)
{
	char name[LAYER_BLOB_VARIANT_MAX];
	bool known = false;

	g->bytes = (str){ 0 };
	g->pulled = false;
	if (!g->opts.form)
		TRY(known_manifest(g, S(BASE_MANIFEST), &g->pulled, err));
	known = g->pulled;
	if (!known)
		TRY(known_manifest(g, str_of(variant(g, name)), &known, err));
	if (g->opts.annotations.len)
		g->bytes = (str){ 0 };
	if (!known) {
		g->manifest = (struct manifest){ .kind = MANIFEST_IMAGE,
			                         .n_layers = g->image.n_layers,
			                         .config = { .media_type = S(MEDIA_OCI_CONFIG),
			                                     .digest = g->image.config,
			                                     .size = g->config.len } };
		g->manifest.layers = arena_array(g->arena, struct descriptor, g->image.n_layers);
	}
	return 0;
}

/* Docker's manifests have no annotations. */
static void make_oci(struct manifest *m)
{
	m->docker = false;
	m->config.media_type = S(MEDIA_OCI_CONFIG);
	for (size_t i = 0; i < m->n_layers; i++) {
		const struct media_type *t = media_type_find(m->layers[i].media_type);

		m->layers[i].media_type = str_of(media_type_layer(t->compression, false));
	}
}

static int end_manifest(struct going *g, struct cairn_err *err)
{
	struct store *s = g->opts.store;
	char name[LAYER_BLOB_VARIANT_MAX];
	struct digest digest, canonical;

	if (g->pulled && g->opts.annotations.len == 0)
		return 0; /* byte for byte */
	if (g->manifest.docker)
		make_oci(&g->manifest);
	annotate(g, &g->manifest.annotations, &g->opts.annotations);
	TRY(encode(g, &g->manifest, &g->bytes, err));
	if (g->opts.annotations.len || store_read_only(s))
		return 0;
	TRY(store_blob_put(s, g->bytes, &digest, err));
	return store_manifest_put(s, &g->image.config, str_of(variant(g, name)), &digest,
	                          &canonical, err);
}

/* The repository has the manifest: then it has all that it names. */
static bool is_there(struct going *g)
{
	struct reference ref = g->dst;
	const struct media_type *type;
	struct cairn_err ignored;
	struct digest there;

	ref.digest = digest_of(g->bytes.ptr, g->bytes.len);
	return registry_head(g->opts.registry, &ref, &there, &type, &ignored) == 0;
}

/* --- one image ------------------------------------------------------------------------------ */

static int load(struct going *g, const struct digest *id, struct cairn_err *err)
{
	struct strbuf bytes cleanup_strbuf;
	struct image_config config;
	bool found = false;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	store_image_done(&g->image);
	g->image = (struct store_image){ 0 };
	TRY(store_image_find(g->opts.store, id, &g->image, &found, err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "image %s is not in the store",
		                  digest_text(id).s);
	TRY(store_blob_read(g->opts.store, id, &bytes, err));
	g->config = arena_str(g->arena, strbuf_view(&bytes));
	TRY(image_config_parse(g->arena, g->config, &config, err));
	g->platform = config.platform;
	return 0;
}

/* Everything the manifest names; the manifest is known then. */
static int send_blobs(struct going *g, struct cairn_err *err)
{
	TRY(go_layers(g, err));
	TRY(go_config(g, err));
	return end_manifest(g, err);
}

static int put_manifest(struct going *g, bool tagged, struct cairn_err *err)
{
	struct reference ref = g->dst;

	if (!tagged)
		ref.digest = digest_of(g->bytes.ptr, g->bytes.len);
	return registry_manifest_put(g->opts.registry, &ref,
	                             str_of(manifest_media_type(&g->manifest)), g->bytes, err);
}

/* ret: the manifest's descriptor. tagged: it gets dst's tag, else its digest alone. */
static int go_image(struct going *g, const struct digest *id, bool tagged, struct descriptor *ret,
                    struct cairn_err *err)
{
	bool sent;
	int rc;

	TRY(load(g, id, err));
	TRY(begin_manifest(g, err));
	sent = !g->bytes.ptr || !is_there(g);
	if (sent)
		TRY(send_blobs(g, err));
	rc = put_manifest(g, tagged, err);
	if (rc == CAIRN_E_NOT_FOUND && !sent) { /* it was there, but not what it names */
		TRY(send_blobs(g, err));
		rc = put_manifest(g, tagged, err);
	}
	TRY(rc);
	*ret = (struct descriptor){ .media_type = str_of(manifest_media_type(&g->manifest)),
		                    .digest = digest_of(g->bytes.ptr, g->bytes.len),
		                    .size = g->bytes.len,
		                    .has_platform = true,
		                    .platform = g->platform };
	return 0;
}

static int go_all(struct going *g, struct digest *ret_digest, struct cairn_err *err)
{
	struct manifest index = { .kind = MANIFEST_INDEX, .n_manifests = g->opts.n };
	bool tagged = !g->opts.index && g->opts.n == 1;
	str bytes = { 0 };

	index.manifests = arena_array(g->arena, struct descriptor, g->opts.n);
	for (size_t i = 0; i < g->opts.n; i++)
		TRY(go_image(g, &g->opts.images[i], tagged, &index.manifests[i], err));
	*ret_digest = index.manifests[0].digest;
	if (tagged)
		return 0;
	annotate(g, &index.annotations, &g->opts.index_annotations);
	TRY(encode(g, &index, &bytes, err));
	*ret_digest = digest_of(bytes.ptr, bytes.len);
	return registry_manifest_put(g->opts.registry, &g->dst, S(MEDIA_OCI_INDEX), bytes, err);
}

int image_push(const struct image_push_opts *opts, const struct reference *dst,
               struct image_push_result *ret, struct cairn_err *err)
{
	struct going g = { .opts = *opts, .dst = *dst };
	unsigned parallel = opts->parallel ? opts->parallel : PARALLEL;
	char name[REFERENCE_TEXT_MAX];
	int rc;

	if (pthread_mutex_init(&g.lock, NULL))
		CAIRN_BUG("cannot create a lock");
	g.arena = arena_new();
	g.press = layer_press_new();
	g.net = parallel > 1 ? pool_new(parallel - 1) : NULL; /* the calling thread helps */
	registry_expect_push(opts->registry, dst);
	rc = go_all(&g, &ret->digest, err);
	ret->moved = atomic_load(&g.moved);
	pool_free(g.net);
	layer_press_free(g.press);
	store_image_done(&g.image);
	arena_free(g.arena);
	pthread_mutex_destroy(&g.lock);
	return rc < 0 ? cairn_wrap(err, "push to %s", reference_familiar(dst, name)) : 0;
}
