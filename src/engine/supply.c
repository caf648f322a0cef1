/* What other machines have: where layers are, and doubts. supply_find.c asks them, supply_fetch.c
 * brings layers. */
#include "supply_priv.h"

#include <sys/sysinfo.h>

#include "util/fs.h"
#include "util/pool.h"

/* Most requests are small and wait: with 50 ms to the server a COPY on 50 layers that were never
 * here (60 entries, 52 indexes) takes 2.0 s with 8, 1.2 s with 16, no less with 24; one on 20 takes
 * 40 ms less with 24. One merged index of a chain would save four round trips of that, and would
 * have to be made anew for each chain. */
#define NET_THREADS 24
#define WORK_MIN    2
#define WORK_MAX    6
#define PLACES_MAX  16 /* of one layer that are remembered */

/* --- doubts ---------------------------------------------------------------------- */

struct supply_doubts {
	pthread_mutex_t lock;
	struct map layers; /* diff ID -> anything; NULL: trusted again */
	bool all;
};

struct supply_doubts *supply_doubts_new(void)
{
	struct supply_doubts *d = xcalloc(1, sizeof(*d));

	if (pthread_mutex_init(&d->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	return d;
}

void supply_doubts_free(struct supply_doubts *d)
{
	if (!d)
		return;
	pthread_mutex_destroy(&d->lock);
	map_done(&d->layers);
	free(d);
}

void supply_doubt_all(struct supply_doubts *d)
{
	pthread_mutex_lock(&d->lock);
	d->all = true;
	pthread_mutex_unlock(&d->lock);
}

static str id_key(const struct digest *d)
{
	return str_n((const char *)d->b, DIGEST_LEN);
}

bool supply_doubted(struct supply *s, const struct digest *diff_id)
{
	bool r;

	pthread_mutex_lock(&s->doubts->lock);
	r = s->doubts->all || map_get(&s->doubts->layers, id_key(diff_id)) != NULL;
	pthread_mutex_unlock(&s->doubts->lock);
	return r;
}

bool supply_is_doubted(struct supply *s, const struct digest *diff_id)
{
	bool r;

	pthread_mutex_lock(&s->doubts->lock);
	r = map_get(&s->doubts->layers, id_key(diff_id)) != NULL;
	pthread_mutex_unlock(&s->doubts->lock);
	return r;
}

/* Without its files, or without its index, a layer in the store keeps records alive that cannot be
 * used. */
static void forget_index(struct supply *s, const struct digest *diff_id)
{
	struct store *st = s->opts.store;
	cleanup_strbuf struct strbuf index;
	struct cairn_err ignored;
	char *path = NULL;

	strbuf_init(&index, LAYER_INDEX_MAX);
	/* One under a chain's key is not seen here: then the layer is only made again. */
	if (store_read_only(st) || store_layer_dirs_find(st, diff_id, 1, &path, &ignored) < 0)
		return;
	if (!path || store_layer_index_read(st, diff_id, &index, &ignored) < 0)
		(void)store_layer_forget(st, diff_id, &ignored);
	free(path);
}

void supply_doubt(struct supply *s, const struct digest *diff_id)
{
	pthread_mutex_lock(&s->doubts->lock);
	(void)map_put(&s->doubts->layers, id_key(diff_id), s);
	pthread_mutex_unlock(&s->doubts->lock);
	forget_index(s, diff_id);
}

bool supply_trust(struct supply *s, const struct digest *diff_ids, size_t n)
{
	bool any = false;

	pthread_mutex_lock(&s->doubts->lock);
	for (size_t i = 0; i < n; i++)
		if (map_has(&s->doubts->layers, id_key(&diff_ids[i])))
			any |= map_put(&s->doubts->layers, id_key(&diff_ids[i]), NULL) != NULL;
	pthread_mutex_unlock(&s->doubts->lock);
	return any;
}

bool supply_reads(const struct supply *s, const struct remote *remote)
{
	for (size_t i = 0; s && i < s->opts.n; i++)
		if (remote_same(s->remotes[i].r, remote))
			return true;
	return false;
}

size_t supply_remotes(const struct supply *s)
{
	return s->opts.n;
}

/* --- life ------------------------------------------------------------------------ */

struct supply *supply_new(const struct supply_opts *opts)
{
	struct supply *s = xcalloc(1, sizeof(*s));
	unsigned cpus = (unsigned)get_nprocs();
	unsigned work = cpus + 1;

	s->opts = *opts;
	s->own_doubts = !opts->doubts;
	s->doubts = opts->doubts ? opts->doubts : supply_doubts_new();
	s->remotes = xcalloc(opts->n, sizeof(*s->remotes));
	for (size_t i = 0; i < opts->n; i++)
		s->remotes[i].r = opts->remotes[i];
	work = work < WORK_MIN ? WORK_MIN : work > WORK_MAX ? WORK_MAX : work;
	s->net = pool_new(NET_THREADS);
	s->work = pool_new(work);
	s->cpu = pool_new(cpus + 1); /* one may wait for the network */
	if (pthread_mutex_init(&s->lock, NULL) || pthread_cond_init(&s->idle, NULL))
		CAIRN_BUG("cannot create a lock");
	s->arena = arena_new();
	return s;
}

void supply_free(struct supply *s)
{
	if (!s)
		return;
	supply_stop(s);
	pool_free(s->work);
	pool_free(s->net);
	pool_free(s->cpu);
	map_foreach (e, &s->known) {
		struct supply_known *k = e->value;

		vec_free(&k->places);
		free(k);
	}
	map_done(&s->known);
	vec_free(&s->refused);
	arena_free(s->arena);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->idle);
	if (s->own_doubts)
		supply_doubts_free(s->doubts);
	free(s->remotes);
	free(s);
}

void supply_stop(struct supply *s)
{
	atomic_store(&s->stop, true);
	if (s->opts.stop)
		atomic_store(s->opts.stop, true);
}

int supply_check_stop(struct supply *s, struct cairn_err *err)
{
	return atomic_load(&s->stop)
	               ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped; finished steps are kept")
	               : 0;
}

void supply_progress(struct supply *s, struct supply_progress *ret)
{
	*ret = (struct supply_progress){ .layers = atomic_load(&s->layers),
		                         .done = atomic_load(&s->done),
		                         .total = atomic_load(&s->total) };
}

void supply_remote_failed(struct supply *s, struct supply_remote *r, const struct cairn_err *err)
{
	cleanup_free char *text = NULL;

	if (err->code == CAIRN_E_CANCELLED || atomic_exchange(&r->off, true) || !s->opts.warn ||
	    remote_told(r->r, err))
		return;
	text = xasprintf("the cache %s is not used: %s", remote_name(r->r), err->msg);
	s->opts.warn(s->opts.warn_ctx, str_of(text));
}

/* --- places ------------------------------------------------------------------------ */

static struct descriptor copy_descriptor(struct arena *a, const struct descriptor *d)
{
	return (struct descriptor){ .media_type = arena_str(a, d->media_type),
		                    .digest = d->digest,
		                    .size = d->size };
}

/* Lock held. */
static struct supply_known *known_get(struct supply *s, const struct digest *diff_id)
{
	struct supply_known *k = map_get(&s->known, id_key(diff_id));

	if (!k) {
		k = xcalloc(1, sizeof(*k));
		(void)map_put(&s->known, id_key(diff_id), k);
	}
	return k;
}

static bool same_place(const struct supply_layer *a, const struct supply_layer *b)
{
	return a->remote == b->remote && str_eq(a->from, b->from) &&
	       digest_eq(&a->blob.digest, &b->blob.digest) &&
	       digest_eq(&a->index.digest, &b->index.digest);
}

/* Lock held. Strings are copied. */
static void known_add(struct supply *s, struct supply_known *k, const struct supply_layer *place)
{
	if (k->places.len == PLACES_MAX)
		return;
	vec_foreach (p, &k->places) {
		if (!same_place(p, place))
			continue;
		if (!p->index_bytes.len)
			p->index_bytes = arena_str(s->arena, place->index_bytes);
		return;
	}
	vec_push(&k->places,
	         (struct supply_layer){ .blob = copy_descriptor(s->arena, &place->blob),
	                                .index = copy_descriptor(s->arena, &place->index),
	                                .index_bytes = arena_str(s->arena, place->index_bytes),
	                                .remote = place->remote,
	                                .from = arena_str(s->arena, place->from),
	                                .seen = place->seen,
	                                .also = arena_str(s->arena, place->also) });
}

/* Where this build has seen the blob. */
static const struct supply_layer *seen_place(const struct supply_known *k,
                                             const struct digest *blob)
{
	vec_foreach (p, &k->places)
		if (p->seen && digest_eq(&p->blob.digest, blob))
			return p;
	return NULL;
}

void supply_remember(struct supply *s, struct remote *r, const struct remote_entry *e)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < e->n_layers; i++) {
		const struct remote_layer *l = &e->layers[i];
		struct supply_known *k = known_get(s, &l->diff_id);
		struct supply_layer place = { l->blob, l->index, l->index_bytes, r, l->from };
		const struct supply_layer *seen =
			l->from.len ? seen_place(k, &l->blob.digest) : NULL;

		if (seen) {
			place.from = seen->from;
			place.also = l->from;
			known_add(s, k, &place);
			place.from = l->from;
			place.also = S("");
		}
		known_add(s, k, &place);
	}
	pthread_mutex_unlock(&s->lock);
}

void supply_tell(struct supply *s, const struct digest *diff_id, const struct descriptor *blob,
                 str from)
{
	pthread_mutex_lock(&s->lock);
	known_add(s, known_get(s, diff_id),
	          &(struct supply_layer){ .blob = *blob, .from = from, .seen = true });
	pthread_mutex_unlock(&s->lock);
}

/* Registries that the store remembers for a layer. */
static void add_stored(struct supply *s, const struct digest *diff_id, struct supply_known *k)
{
	struct store *st = s->opts.store;
	struct store_layer_blob blob = { 0 };
	struct store_sources sources = { 0 };
	cleanup_free char *variant = NULL;
	struct cairn_err ignored;
	str type, rest;
	bool here = false;

	if (store_layer_blob_any(st, diff_id, &blob, &variant, &ignored) < 0 || !variant)
		return;
	(void)str_cut(str_of(variant), ';', &type, &rest);
	if (store_blob_find(st, &blob.digest, &here, NULL, &ignored) == 0 && here)
		known_add(s, k,
		          &(struct supply_layer){ .blob = { .media_type = type,
		                                            .digest = blob.digest,
		                                            .size = blob.size } });
	if (store_blob_sources(st, &blob.digest, &sources, &ignored) < 0)
		return;
	for (size_t i = 0; i < sources.len; i++) {
		cleanup_free char *from =
			xasprintf("%s/%s", sources.ptr[i].registry, sources.ptr[i].repository);

		known_add(s, k,
		          &(struct supply_layer){ .blob = { .media_type = type,
		                                            .digest = blob.digest,
		                                            .size = blob.size },
		                                  .from = str_of(from) });
	}
	store_sources_done(&sources);
}

size_t supply_places(struct supply *s, const struct digest *diff_id, struct arena *a,
                     struct supply_layer **ret)
{
	struct supply_known *k;
	size_t n;

	pthread_mutex_lock(&s->lock);
	k = known_get(s, diff_id);
	if (!k->asked_store)
		add_stored(s, diff_id, k);
	k->asked_store = true;
	n = k->places.len;
	*ret = arena_array(a, struct supply_layer, n + 1);
	for (size_t i = 0; i < n; i++)
		(*ret)[i] = k->places.ptr[i];
	pthread_mutex_unlock(&s->lock);
	return n;
}

void supply_index_begin(struct supply *s, const struct digest *diff_id)
{
	struct supply_known *k;

	pthread_mutex_lock(&s->lock);
	k = known_get(s, diff_id);
	while (k->busy)
		pthread_cond_wait(&s->idle, &s->lock);
	k->busy = true;
	pthread_mutex_unlock(&s->lock);
}

void supply_index_end(struct supply *s, const struct digest *diff_id)
{
	pthread_mutex_lock(&s->lock);
	known_get(s, diff_id)->busy = false;
	pthread_cond_broadcast(&s->idle);
	pthread_mutex_unlock(&s->lock);
}

bool supply_count(struct supply *s, const struct digest *diff_id)
{
	struct supply_known *k;
	bool first;

	pthread_mutex_lock(&s->lock);
	k = known_get(s, diff_id);
	first = !k->counted;
	k->counted = true;
	if (first && k->places.len)
		atomic_fetch_add(&s->total, k->places.ptr[0].blob.size);
	pthread_mutex_unlock(&s->lock);
	if (first)
		atomic_fetch_add(&s->layers, 1);
	return first;
}

/* Those who know more come first: they have the index, or are not the store itself. */
static int place_rank(const struct supply_layer *p)
{
	if (digest_none(&p->blob.digest))
		return 0;
	return 1 + (p->remote != NULL) + 2 * !digest_none(&p->index.digest);
}

bool supply_where(struct supply *s, const struct digest *diff_id, struct supply_layer *ret)
{
	cleanup_arena struct arena *a = arena_new();
	struct supply_layer *places = NULL;
	size_t n = supply_places(s, diff_id, a, &places);
	int best = 0;

	for (size_t i = 0; i < n; i++)
		if (place_rank(&places[i]) > best) {
			best = place_rank(&places[i]);
			*ret = places[i];
		}
	return best > 0;
}

void supply_keep_place(struct supply *s, const struct digest *diff_id,
                       const struct supply_layer *place)
{
	struct store *st = s->opts.store;
	const struct media_type *type = media_type_find(place->blob.media_type);
	struct store_layer_blob blob = { place->blob.digest, place->blob.size }, canonical;
	const char *repo = place->remote ? remote_repository(place->remote) : NULL;
	str from = place->from.len ? place->from : repo ? str_of(repo) : S("");
	struct cairn_err ignored;
	str domain, path;

	if (type->kind != MEDIA_LAYER)
		return;
	(void)store_layer_blob_put(st, diff_id, str_of(media_type_layer(type->compression, false)),
	                           &blob, &canonical, &ignored);
	if (str_cut(from, '/', &domain, &path) && path.len)
		(void)store_blob_source_put(st, &place->blob.digest, domain, path, &ignored);
}

void supply_keep_places(struct supply *s, const struct chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		struct supply_layer place;

		/* Without a remote it is the store that told. */
		if (supply_where(s, &c->layers[i].diff_id, &place) && place.remote &&
		    (place.from.len || remote_repository(place.remote)))
			supply_keep_place(s, &c->layers[i].diff_id, &place);
	}
}

#define COPY_BYTES (256u << 10)

/* A blob of the store, verified. */
static int get_stored(struct supply *s, const struct digest *digest, const struct remote_sink *sink,
                      struct cairn_err *err)
{
	cleanup_free char *buf = xmalloc(COPY_BYTES);
	cleanup_fd int fd = -1;
	struct cairn_err ignored;
	struct sha256 h;
	struct digest got;
	uint64_t size = 0;
	size_t n = 0;

	TRY(store_blob_open(s->opts.store, digest, &fd, &size, err));
	sha256_init(&h);
	do {
		TRY(fs_read_full(fd, buf, COPY_BYTES, &n, "a blob of the store", err));
		sha256_add(&h, buf, n);
		TRY(sink->write(sink->ctx, buf, n, err));
	} while (n == COPY_BYTES);
	got = sha256_end(&h);
	if (digest_eq(&got, digest))
		return 0;
	(void)store_blob_forget(s->opts.store, digest, &ignored);
	return cairn_fail(err, CAIRN_E_DIGEST, "blob %s of the store was damaged",
	                  digest_text(digest).s);
}

int supply_blob_get(struct supply *s, const struct supply_layer *l, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	struct registry_sink to = { .write = sink->write,
		                    .verify = sink->verify,
		                    .ctx = sink->ctx };
	struct registry *r;
	struct reference repo;

	TRY(supply_check_stop(s, err));
	if (!l->from.len)
		return l->remote ? remote_blob_get(l->remote, &l->blob, sink, err)
		                 : get_stored(s, &l->blob.digest, sink, err);
	r = s->opts.registry ? s->opts.registry(s->opts.registry_ctx) : NULL;
	if (!r)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "blob %s lies in %.*s, which is not used",
		                  digest_text(&l->blob.digest).s, STR(l->from));
	TRY(reference_parse(l->from, &repo, err));
	return registry_blob_get(r, &repo, &l->blob, &to, err);
}

struct digest supply_base_key(const struct digest *config)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.base.layers", 1);
	digest_field_digest(&f, "config", config);
	return digest_fields_end(&f);
}
