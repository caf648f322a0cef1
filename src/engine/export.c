#include "export.h"

#include "step.h"
#include "util/fs.h"

struct exporting {
	struct engine_build *b;
	const struct engine_export *x;
	struct arena *a;
	struct map sent; /* diff ID -> struct descriptor * in the repository */
};

/* --- layers ---------------------------------------------------------------------------- */

/* The layer's blob in the store, compressed now if need be. */
static int make_here(struct exporting *e, const struct digest *ids, size_t n,
                     struct descriptor *ret, struct cairn_err *err)
{
	struct layer_blob_source src = { .store = e->b->opts->store,
		                         .pool = e->b->opts->pool,
		                         .press = e->x->press,
		                         .ids = ids,
		                         .n = n,
		                         .stop = e->x->stop };
	struct layer_blob blob = { 0 };

	TRY(layer_blob_open(&src, err));
	TRY(layer_blob_get(&src, &e->x->form, &blob, err));
	*ret = (struct descriptor){ .media_type = str_of(blob.media_type),
		                    .digest = blob.digest,
		                    .size = blob.size };
	return 0;
}

static int write_blob(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	return store_blob_writer_add(ctx, p, n, err);
}

/* Bring a blob that is elsewhere into the store. */
static int bring(struct exporting *e, const struct supply_layer *where, struct cairn_err *err)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	struct remote_sink sink = { write_blob, NULL };

	TRY(store_blob_writer_new(e->b->opts->store, &where->blob.digest, &w, err));
	sink.ctx = w;
	TRY(supply_blob_get(e->b->opts->supply, where, &sink, err));
	return store_blob_writer_commit(w, NULL, NULL, err);
}

static int send_stored(const struct exporting *e, const struct descriptor *d, struct cairn_err *err)
{
	struct registry_source src = { .fd = -1 };
	cleanup_fd int fd = -1;
	uint64_t size = 0;

	TRY(store_blob_open(e->b->opts->store, &d->digest, &fd, &size, err));
	src.fd = fd;
	return registry_blob_put(e->x->registry, e->x->ref, d, &src, err);
}

/* From another repository of the registry, without its bytes coming here. */
static bool mounted(const struct exporting *e, const struct digest *blob, str from)
{
	str domain, path;
	struct cairn_err ignored;
	bool done = false;

	if (!str_cut(from, '/', &domain, &path) || !str_is(domain, e->x->ref->domain))
		return false;
	return registry_blob_mount(e->x->registry, e->x->ref, blob, arena_cstr(e->a, path), &done,
	                           &ignored) == 0 &&
	       done;
}

/* Make sure that the repository has the last layer of these. */
static int send_layer(struct exporting *e, const struct digest *ids, size_t n,
                      struct descriptor **ret, struct cairn_err *err)
{
	const struct digest *own = &ids[n - 1];
	str key = str_n((const char *)own->b, DIGEST_LEN);
	struct descriptor *d = map_get(&e->sent, key);
	struct supply_layer where = { 0 };
	bool there = false;
	int r;

	*ret = d;
	if (d)
		return 0;
	*ret = d = arena_new_of(e->a, struct descriptor);
	r = make_here(e, ids, n, d, err);
	if (r == CAIRN_E_NOT_FOUND && e->b->opts->supply &&
	    supply_where(e->b->opts->supply, own, &where) && !digest_none(&where.blob.digest)) {
		*d = where.blob;
		r = 0;
	}
	TRY(r);
	(void)map_put(&e->sent, key, d);
	TRY(registry_blob_has(e->x->registry, e->x->ref, &d->digest, &there, err));
	if (there || mounted(e, &d->digest, where.from) || mounted(e, &d->digest, where.also))
		return 0;
	if (!digest_none(&where.blob.digest))
		TRY(bring(e, &where, err));
	return send_stored(e, d, err);
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool below_target(const struct step *s)
{
	const struct graph_node *n = s->b->target->node;

	while (n && n != s->node)
		n = n->parent;
	return n != NULL;
}

static size_t layers_of(const struct graph_node *n)
{
	size_t count = 0;

	for (; n->kind != GRAPH_BASE; n = n->parent)
		count++;
	return count + n->base.config->n_diff_ids;
}

/* The layers that a step ended with: its own result, or the beginning of the target's. */
static const struct chain_layer *layers_known(const struct step *s, size_t *ret_n)
{
	const struct chain *c = s->chain;

	*ret_n = layers_of(s->node);
	if (!c && below_target(s))
		c = s->b->target->chain;
	else if (!c && s->found && lookup_usable(s))
		c = &s->found->chain;
	return c && c->n >= *ret_n ? c->layers : NULL;
}

static int fill_step(struct exporting *e, const struct step *s, struct buildkit_export_step *ret,
                     struct cairn_err *err)
{
	size_t n = 0;
	const struct chain_layer *known = layers_known(s, &n);
	struct digest *ids = arena_array(e->a, struct digest, n + 1);
	struct digest empty = buildkit_empty_layer();
	struct buildkit_export_layer *layers =
		arena_array(e->a, struct buildkit_export_layer, n + 1);

	if (!known || s->node->kind == GRAPH_BASE || (!e->x->max && !below_target(s)))
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct descriptor *d = NULL;

		ids[i] = known[i].diff_id;
		layers[i].diff_id = ids[i];
		layers[i].created = known[i].created;
		if (digest_eq(&ids[i], &empty))
			continue;
		TRY(send_layer(e, ids, i + 1, &d, err));
		layers[i].blob = *d;
	}
	ret->layers = layers;
	ret->n_layers = n;
	ret->created = n ? known[n - 1].created : 0;
	return 0;
}

/* --- the document ------------------------------------------------------------------------------
 */

static int send_document(struct exporting *e, const struct buildkit_export_step *steps,
                         struct cairn_err *err)
{
	const struct engine_export *x = e->x;
	struct strbuf config cleanup_strbuf, manifest cleanup_strbuf;
	struct registry_source src = { .fd = -1 };
	struct buildkit_export made;
	struct descriptor d;
	struct manifest m;
	bool there = false;

	strbuf_init(&config, BUILDKIT_CONFIG_MAX);
	strbuf_init(&manifest, MANIFEST_MAX);
	buildkit_export_make(e->a, steps, e->b->n, &made);
	buildkit_config_encode(&made.config, &config);
	TRY(strbuf_check(&config, "the cache's document", err));
	buildkit_export_manifest(e->a, &made, strbuf_view(&config), x->index, &m);
	manifest_encode(&m, &manifest);
	TRY(strbuf_check(&manifest, "the cache's manifest", err));
	if (config.len > BUILDKIT_READ_MAX || manifest.len > BUILDKIT_READ_MAX)
		build_warn(e->b, 0, "the cache is larger than the 1 MiB that BuildKit reads");
	d = (struct descriptor){ .media_type = S(BUILDKIT_CONFIG_MEDIA),
		                 .digest = digest_of(config.ptr, config.len),
		                 .size = config.len };
	src.bytes = strbuf_view(&config);
	TRY(registry_blob_has(x->registry, x->ref, &d.digest, &there, err));
	if (!there)
		TRY(registry_blob_put(x->registry, x->ref, &d, &src, err));
	return registry_manifest_put(x->registry, x->ref, str_of(manifest_media_type(&m)),
	                             strbuf_view(&manifest), err);
}

int engine_export(struct engine_build *b, const struct engine_export *x, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct exporting e = { .b = b, .x = x, .a = a };
	struct buildkit_export_step *steps = arena_array(a, struct buildkit_export_step, b->n);
	struct buildkit_op **ops = NULL;
	int r = buildkit_ops(b, a, &ops, err);

	for (size_t i = 0; r == 0 && i < b->n; i++) {
		steps[i].op = ops[i];
		r = fill_step(&e, &b->steps[i], &steps[i], err);
	}
	if (r == 0)
		r = send_document(&e, steps, err);
	map_done(&e.sent);
	return r;
}
