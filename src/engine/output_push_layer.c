/* Pushing: one layer finds its form, and goes into one repository. */
#include "output_push.h"
#include "util/fs.h"

#define SMALL (64u << 10) /* bytes of a layer that is sent without much ado */

static const struct digest *own_id(const struct push_layer *l)
{
	return &l->src.ids[l->src.n - 1];
}

/* --- what is sent ------------------------------------------------------------------ */

/* Repositories that the store remembers for the blob: of the base image it came with, or where it
 * was pushed before. */
static int find_origins(struct push_layer *l, struct cairn_err *err)
{
	struct store_sources sources = { 0 };
	struct push *p = l->p;

	TRY(store_blob_sources(p->o->opts->store, &l->blob.digest, &sources, err));
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < sources.len && l->n_origins < PUSH_ORIGINS_MAX; i++)
		l->origins[l->n_origins++] = str_of(arena_printf(
			p->arena, "%s/%s", sources.ptr[i].registry, sources.ptr[i].repository));
	pthread_mutex_unlock(&p->lock);
	store_sources_done(&sources);
	return 0;
}

static void take_blob(struct push_layer *l, const struct layer_blob *b)
{
	l->blob = (struct descriptor){ .media_type = str_of(b->media_type),
		                       .digest = b->digest,
		                       .size = b->size };
}

static int find_here(struct push_layer *l, struct cairn_err *err)
{
	struct layer_blob_form form = l->p->form;
	struct layer_blob b = { 0 };

	TRY(layer_blob_open(&l->src, err));
	form.described = true;
	TRY(layer_blob_get(&l->src, &form, &b, err));
	take_blob(l, &b);
	l->stored = true;
	return 0;
}

int push_layer_find(struct push_layer *l, struct cairn_err *err)
{
	struct supply *supply = l->p->o->opts->supply;

	l->elsewhere = supply && !l->src.clamp && supply_where(supply, own_id(l), &l->where) &&
	               !digest_none(&l->where.blob.digest) && !l->p->form.force;
	if (l->elsewhere)
		l->blob = l->where.blob;
	else
		TRY(find_here(l, err));
	return find_origins(l, err);
}

/* --- on its way ---------------------------------------------------------------------- */

static int writer_sink(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	return store_blob_writer_add(ctx, p, n, err);
}

/* A blob that is only elsewhere, not at a registry: it takes its way over the store. */
static int fetch_blob(const struct push_layer *l, struct cairn_err *err)
{
	const struct outputs_opts *opts = l->p->o->opts;
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	struct remote_sink sink = { writer_sink, NULL };

	TRY(store_blob_writer_new(opts->store, &l->blob.digest, &w, err));
	sink.ctx = w;
	TRY(supply_blob_get(opts->supply, &l->where, &sink, err));
	return store_blob_writer_commit(w, NULL, NULL, err);
}

/* The bytes of a blob that was only described. */
static int make_again(const struct push_layer *l, struct cairn_err *err)
{
	struct layer_blob_source src = l->src;
	struct layer_blob b = { 0 };

	TRY(layer_blob_open(&src, err));
	TRY(layer_blob_get(&src, &l->p->form, &b, err));
	if (digest_eq(&b.digest, &l->blob.digest))
		return 0;
	return cairn_fail(
		err, CAIRN_E_NOT_FOUND,
		"the compressed form of layer %s is gone, and made again it is another one",
		digest_text(own_id(l)).s);
}

static int open_blob(void *ctx, const struct digest *digest, int *ret_fd, struct cairn_err *err)
{
	const struct push_layer *l = ctx;
	struct store *s = l->p->o->opts->store;
	uint64_t size = 0;
	bool here = false;

	TRY(store_blob_find(s, digest, &here, NULL, err));
	if (!here)
		TRY(l->elsewhere ? fetch_blob(l, err) : make_again(l, err));
	return store_blob_open(s, digest, ret_fd, &size, err);
}

/* The repository at `at` ("registry/repository"), if it is another one than the part's. */
static bool other_repo(const struct push_part *part, str at, struct reference *ret)
{
	struct cairn_err ignored;

	return at.len && reference_parse(at, ret, &ignored) == 0 &&
	       (strcmp(ret->domain, part->repo->ref.domain) != 0 ||
	        strcmp(ret->path, part->repo->ref.path) != 0);
}

/* Repositories that may have the blob, the likeliest first. */
struct places {
	struct reference at[PUSH_ORIGINS_MAX + 4];
	size_t n;
};

static void add_place(const struct push_part *part, str at, struct places *to)
{
	to->n += other_repo(part, at, &to->at[to->n]);
}

/* Two requests send it, and it goes beside its way into a cache: to wait for that and to mount it
 * then takes longer. */
static bool is_small(const struct push_layer *l)
{
	return l->fresh && l->stored && l->blob.size <= SMALL;
}

static void find_places(const struct push_part *part, struct places *ret)
{
	const struct push_layer *l = part->layer;

	ret->n = 0;
	if (l->elsewhere && l->where.from.len)
		add_place(part, l->where.from, ret);
	else if (l->elsewhere && l->where.remote)
		add_place(part, str_of(remote_repository(l->where.remote)), ret);
	if (l->elsewhere)
		add_place(part, l->where.also, ret);
	for (size_t i = 0; i < l->n_origins; i++)
		add_place(part, l->origins[i], ret);
	for (size_t i = 0; i < ret->n; i++)
		if (strcmp(ret->at[i].domain, part->repo->ref.domain) == 0)
			return;
	if (l->p->o->opts->published) /* waits for those on their way */
		add_place(part,
		          str_of(publisher_has(l->p->o->opts->published, own_id(l), &l->blob.digest,
		                               part->repo->ref.domain, !is_small(l))),
		          ret);
}

/* The next push to that registry mounts it from here. */
static int note_origin(const struct push_part *part, struct cairn_err *err)
{
	struct store *s = part->layer->p->o->opts->store;
	const struct reference *repo = &part->repo->ref;
	cleanup_free char *name = xasprintf("%s/%s", repo->domain, repo->path);

	for (size_t i = 0; i < part->layer->n_origins; i++)
		if (str_is(part->layer->origins[i], name))
			return 0;
	return store_read_only(s)
	               ? 0
	               : store_blob_source_put(s, &part->layer->blob.digest, str_of(repo->domain),
	                                       str_of(repo->path), err);
}

static void add_progress(void *ctx, uint64_t total, uint64_t done)
{
	struct push *p = ctx;

	pthread_mutex_lock(&p->lock);
	p->total += total;
	p->done += done;
	pthread_mutex_unlock(&p->lock);
}

int push_part_bring(struct push_part *part, struct cairn_err *err)
{
	struct push_layer *l = part->layer;
	const struct outputs_opts *opts = l->p->o->opts;
	const struct registry_progress progress = { add_progress, l->p };
	struct registry_want want = { .blob = l->blob, .open = open_blob, .ctx = l };
	struct places places;
	uint64_t moved = 0;
	bool here = false;

	find_places(part, &places);
	want.blind = is_small(l) && !places.n;
	TRY(store_blob_find(opts->store, &l->blob.digest, &here, NULL, err));
	for (size_t i = 0; i < places.n; i++) {
		if (!want.mount && strcmp(places.at[i].domain, part->repo->ref.domain) == 0)
			want.mount = places.at[i].path;
		if (!here && !want.from)
			want.from = &places.at[i];
	}
	TRY(registry_blob_bring(opts->registry(opts->registry_ctx), &part->repo->ref, &want,
	                        &progress, &moved, err));
	return note_origin(part, err);
}
