/* Publishing: one layer gets its form, and goes to one remote. */
#include "publish_priv.h"
#include "util/fs.h"

static const struct digest *own_id(const struct pub_layer *l)
{
	return &l->ids[l->n - 1];
}

static str keep(struct publisher *p, const char *registry, const char *repository)
{
	str s;

	pthread_mutex_lock(&p->lock);
	s = str_of(arena_printf(p->arena, "%s/%s", registry, repository));
	pthread_mutex_unlock(&p->lock);
	return s;
}

/* A layer of a base image stays where it was pulled from. */
static int find_origin(struct pub_layer *l, struct cairn_err *err)
{
	struct store_sources sources = { 0 };

	if (!l->base)
		return 0;
	TRY(store_blob_sources(l->p->opts.store, &l->blob.digest, &sources, err));
	if (sources.len)
		l->from = keep(l->p, sources.ptr[0].registry, sources.ptr[0].repository);
	store_sources_done(&sources);
	return 0;
}

/* An index of a few bytes does not have to be a blob of its own. */
static int read_index(struct pub_layer *l, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, REMOTE_INDEX_BYTES);
	if (l->index.size > REMOTE_INDEX_BYTES)
		return 0;
	TRY(store_blob_read(l->p->opts.store, &l->index.digest, &bytes, err));
	pthread_mutex_lock(&l->p->lock);
	l->index_bytes = arena_str(l->p->arena, strbuf_view(&bytes));
	pthread_mutex_unlock(&l->p->lock);
	return 0;
}

/* What the store knows about the layer, compressed now if need be. */
static int make_here(struct pub_layer *l, struct cairn_err *err)
{
	struct publisher *p = l->p;
	struct layer_blob_source src = { .store = p->opts.store,
		                         .pool = p->press_pool,
		                         .press = p->opts.press,
		                         .ids = l->ids,
		                         .n = l->n,
		                         .stop = &p->stop };
	struct layer_blob_form form = l->form;
	struct layer_blob blob = { 0 };

	TRY(layer_blob_open(&src, err));
	form.described = l->base;
	TRY(layer_blob_get(&src, &form, &blob, err));
	l->blob = (struct descriptor){ .media_type = str_of(blob.media_type),
		                       .digest = blob.digest,
		                       .size = blob.size };
	TRY(find_origin(l, err));
	if (!l->from.len && !blob.stored) {
		form.described = false;
		TRY(layer_blob_get(&src, &form, &blob, err));
	}
	l->here = true;
	TRY(layer_blob_index(p->opts.store, own_id(l), &blob.digest, &l->index, err));
	TRY(read_index(l, err));
	pthread_mutex_lock(&p->lock);
	image_kvs_set(p->arena, &l->index.annotations, S(REMOTE_INDEX_ANNOTATION), S("1"));
	pthread_mutex_unlock(&p->lock);
	return 0;
}

int pub_layer_make(struct pub_layer *l, struct cairn_err *err)
{
	struct supply *supply = l->p->opts.supply;

	/* Without a remote it is the store that told: then it is asked itself. */
	l->elsewhere = supply && !l->lost && supply_where(supply, own_id(l), &l->where) &&
	               l->where.remote && !digest_none(&l->where.blob.digest) && !l->form.force;
	if (!l->elsewhere)
		return make_here(l, err);
	l->blob = l->where.blob;
	l->index = l->where.index;
	l->index_bytes = l->where.index_bytes;
	l->from = l->where.from;
	return 0;
}

/* --- sending ------------------------------------------------------------------- */

static int writer_sink(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	return store_blob_writer_add(ctx, p, n, err);
}

/* Bring a blob that another remote has into the store. */
static int fetch_blob(const struct pub_layer *l, struct cairn_err *err)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	struct remote_sink sink = { writer_sink, NULL };

	TRY(store_blob_writer_new(l->p->opts.store, &l->blob.digest, &w, err));
	sink.ctx = w;
	TRY(supply_blob_get(l->p->opts.supply, &l->where, &sink, err));
	return store_blob_writer_commit(w, NULL, NULL, err);
}

/* Send a blob of the store. */
static int send_stored(const struct pub_part *part, const struct descriptor *blob, bool *ret_remote,
                       struct cairn_err *err)
{
	struct publisher *p = part->layer->p;
	struct remote_source src = { .fd = -1 };
	cleanup_fd int fd = -1;
	uint64_t size = 0;

	TRY(store_blob_open(p->opts.store, &blob->digest, &fd, &size, err));
	src.fd = fd;
	*ret_remote = true;
	TRY(remote_blob_put(p->targets[part->target].opts->remote, blob, &src, err));
	*ret_remote = false;
	return 0;
}

static int send_blob(const struct pub_part *part, bool *ret_remote, struct cairn_err *err)
{
	const struct pub_layer *l = part->layer;
	bool here = false;

	TRY(store_blob_find(l->p->opts.store, &l->blob.digest, &here, NULL, err));
	if (!here && l->elsewhere)
		TRY(fetch_blob(l, err));
	return send_stored(part, &l->blob, ret_remote, err);
}

/* An index that another remote has. */
static int copy_index(const struct pub_part *part, bool *ret_remote, struct cairn_err *err)
{
	const struct pub_layer *l = part->layer;
	struct remote_source src = { .fd = -1 };
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	TRY(remote_blob_read(l->where.remote, &l->index, &bytes, err));
	src.bytes = strbuf_view(&bytes);
	*ret_remote = true;
	TRY(remote_blob_put(l->p->targets[part->target].opts->remote, &l->index, &src, err));
	*ret_remote = false;
	return 0;
}

bool pub_is_at(const struct pub_layer *l, const struct remote *remote)
{
	return l->elsewhere && l->where.remote && remote_same_place(l->where.remote, remote);
}

int pub_part_send(struct pub_part *part, bool *ret_remote, struct cairn_err *err)
{
	const struct pub_layer *l = part->layer;
	struct remote *remote = l->p->targets[part->target].opts->remote;

	*ret_remote = false;
	part->blob = l->blob;
	part->index = l->index;
	part->index_bytes = l->index_bytes;
	part->from = l->from;
	if (pub_is_at(l, remote)) {
		part->told = true;
		return 0;
	}
	if (l->p->opts.supply && supply_is_doubted(l->p->opts.supply, own_id(l))) {
		remote_blob_doubt(remote, &l->blob);
		remote_blob_doubt(remote, &l->index);
	}
	if (!l->from.len)
		TRY(send_blob(part, ret_remote, err));
	if (digest_none(&l->index.digest) || l->index_bytes.len)
		return 0;
	return l->here ? send_stored(part, &l->index, ret_remote, err)
	               : copy_index(part, ret_remote, err);
}
