#include "output_push.h"

#include "util/clock.h"

#define TRANSFERS 6 /* at once: most are questions */

/* --- beginning and end ------------------------------------------------------------- */

static struct push_repo *repo_for(struct push *p, const struct reference *ref, size_t max)
{
	for (size_t i = 0; i < p->n_repos; i++)
		if (strcmp(p->repos[i].ref.domain, ref->domain) == 0 &&
		    strcmp(p->repos[i].ref.path, ref->path) == 0)
			return &p->repos[i];
	p->repos[p->n_repos] = (struct push_repo){
		.p = p, .ref = *ref, .tags = arena_array(p->arena, const char *, max)
	};
	return &p->repos[p->n_repos++];
}

static int add_names(struct push *p, struct cairn_err *err)
{
	const struct output *o = p->output;

	p->repos = arena_array(p->arena, struct push_repo, o->n_names + 1);
	for (size_t i = 0; i < o->n_names; i++) {
		struct push_repo *repo;
		struct reference ref;

		TRY(reference_parse(str_of(o->names[i]), &ref, err));
		repo = repo_for(p, &ref, o->n_names);
		if (!o->by_digest)
			repo->tags[repo->n_tags++] = arena_cstr(p->arena, str_of(ref.tag));
	}
	if (!p->n_repos)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--output type=registry: the name is missing; give --tag NAME or "
		                  "name=NAME");
	return 0;
}

static void start(struct pool *pool, int (*run)(void *ctx, struct cairn_err *err), void *ctx)
{
	pool_add(pool, (struct pool_task){ .run = run, .ctx = ctx });
}

int push_new(struct outputs *o, const struct output *output, struct push **ret,
             struct cairn_err *err)
{
	struct push *p = xcalloc(1, sizeof(*p));

	p->o = o;
	p->output = output;
	p->form = (struct layer_blob_form){ .compression = output->compression,
		                            .level = output->level,
		                            .force = output->force_compression };
	p->arena = arena_new();
	p->makers = pool_new(1);
	p->net = pool_new(TRANSFERS);
	if (pthread_mutex_init(&p->lock, NULL) || pthread_cond_init(&p->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	if (add_names(p, err) < 0) {
		push_free(p);
		return err->code;
	}
	*ret = p;
	return 0;
}

void push_free(struct push *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stopped = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	pool_free(p->makers);
	pool_free(p->net);
	for (size_t i = 0; i < p->n_repos; i++)
		map_done(&p->repos[i].has);
	vec_free(&p->layers);
	map_done(&p->by_id);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	arena_free(p->arena);
	free(p);
}

bool push_stopping(const struct push *p)
{
	return p->stopped || atomic_load(&p->o->stop);
}

struct registry *push_registry(const struct push *p)
{
	return p->o->opts->registry(p->o->opts->registry_ctx);
}

/* --- layers: with the lock --------------------------------------------------------- */

static int run_find(void *ctx, struct cairn_err *err)
{
	struct push_layer *l = ctx;
	struct push *p = l->p;
	int r = push_layer_find(l, err);

	pthread_mutex_lock(&p->lock);
	l->state = r < 0 ? PUSH_FAILED : PUSH_DONE;
	l->result = r;
	if (r < 0)
		l->err = *err;
	push_advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static int run_bring(void *ctx, struct cairn_err *err)
{
	struct push_part *part = ctx;
	struct push *p = part->repo->p;
	int r = push_part_bring(part, err);

	pthread_mutex_lock(&p->lock);
	part->state = r < 0 ? PUSH_FAILED : PUSH_DONE;
	part->result = r;
	if (r < 0)
		part->err = *err;
	p->running--;
	push_advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

static void advance_part(struct push_part *part)
{
	struct push *p = part->repo->p;
	str key = str_n((const char *)part->layer->blob.digest.b, DIGEST_LEN);

	if (part->state != PUSH_IDLE || !part->repo->looked)
		return;
	if (!part->again && map_has(&part->repo->has, key)) {
		part->state = PUSH_DONE;
		return;
	}
	if (!p->go)
		return;
	part->state = PUSH_RUNNING;
	part->again = false;
	p->running++;
	start(p->net, run_bring, part);
}

void push_advance(struct push *p)
{
	if (!push_stopping(p))
		vec_foreach (l, &p->layers) {
			if ((*l)->state == PUSH_IDLE) {
				(*l)->state = PUSH_RUNNING;
				start(p->makers, run_find, *l);
			}
			for (size_t i = 0; (*l)->state == PUSH_DONE && i < p->n_repos; i++)
				advance_part(&(*l)->parts[i]);
		}
	pthread_cond_broadcast(&p->changed);
}

static struct push_layer *add_layer(struct push *p, const struct chain *c, size_t i)
{
	struct push_layer *l = arena_new_of(p->arena, struct push_layer);
	const struct outputs_opts *o = p->o->opts;
	struct digest *ids = arena_array(p->arena, struct digest, i + 1);

	for (size_t k = 0; k <= i; k++)
		ids[k] = c->layers[k].diff_id;
	l->p = p;
	l->base = digest_none(&c->layers[i].step);
	l->fresh = c->layers[i].created >= p->o->started;
	l->src = (struct layer_blob_source){ .store = o->store,
		                             .pool = o->pool,
		                             .press = o->press,
		                             .ids = ids,
		                             .n = i + 1,
		                             .clamp = o->has_epoch && !l->base,
		                             .epoch = o->epoch,
		                             .stop = &p->o->stop };
	l->parts = arena_array(p->arena, struct push_part, p->n_repos);
	for (size_t k = 0; k < p->n_repos; k++)
		l->parts[k] = (struct push_part){ .layer = l, .repo = &p->repos[k] };
	vec_push(&p->layers, l);
	return l;
}

void push_chain(struct push *p, const struct chain *chain)
{
	pool_collect(p->makers);
	pool_collect(p->net);
	pthread_mutex_lock(&p->lock);
	push_look(p);
	push_time(p);
	for (size_t i = 0; i < chain->n; i++) {
		str key = str_n((const char *)chain->layers[i].diff_id.b, DIGEST_LEN);
		struct push_layer *l;

		if (map_has(&p->by_id, key))
			continue;
		l = add_layer(p, chain, i);
		map_put(&p->by_id, key, l);
		p->go |= l->fresh; /* the image is a new one */
	}
	push_advance(p);
	pthread_mutex_unlock(&p->lock);
}

/* --- the image -------------------------------------------------------------------------- */

static int cancelled(struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_CANCELLED, "stopped; finished steps are kept");
}

/* Sleep until something changed. With the lock. */
static void wait_change(struct push *p)
{
	int64_t at = clock_now() + CLOCK_SEC / 10; /* `stop` wakes nobody */
	const struct timespec until = { .tv_sec = (time_t)(at / CLOCK_SEC),
		                        .tv_nsec = (long)(at % CLOCK_SEC) };

	(void)pthread_cond_timedwait(&p->changed, &p->lock, &until);
}

static int wait_layer(struct push *p, struct push_layer *l, struct cairn_err *err)
{
	while (l->state == PUSH_IDLE || l->state == PUSH_RUNNING) {
		if (push_stopping(p))
			return cancelled(err);
		wait_change(p);
	}
	if (l->result < 0)
		*err = l->err;
	return l->result;
}

static int wait_part(struct push *p, struct push_part *part, struct cairn_err *err)
{
	while (part->state == PUSH_IDLE || part->state == PUSH_RUNNING) {
		if (push_stopping(p))
			return cancelled(err);
		wait_change(p);
	}
	if (part->state == PUSH_FAILED)
		*err = part->err;
	return part->state == PUSH_FAILED ? part->result : 0;
}

/* A layer that somebody promised is gone: the build can make it again (DECISIONS.md 5). */
static int promise(const struct push *p, const struct push_layer *l, int result)
{
	if ((result == CAIRN_E_NOT_FOUND || result == CAIRN_E_DIGEST) && p->o->opts->supply) {
		supply_doubt(p->o->opts->supply, &l->src.ids[l->src.n - 1]);
		atomic_store(&p->o->demoted, true);
	}
	return result;
}

/* The image in the form in which it is pushed. */
struct pushed {
	struct push *p;
	struct push_layer **layers;
	size_t n;
	struct descriptor config, manifest;
	str config_bytes, bytes; /* of the manifest */
};

static int find_layers(struct push *p, const struct out_job *j, struct pushed *ret,
                       struct cairn_err *err)
{
	int r = 0;

	*ret = (struct pushed){ .p = p, .n = j->image->chain->n };
	ret->layers = arena_array(j->arena, struct push_layer *, ret->n + 1);
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < ret->n && r == 0; i++) {
		const struct layer_blob_source *src = &j->layers[i]->src;

		ret->layers[i] =
			map_get(&p->by_id, str_n((const char *)src->ids[src->n - 1].b, DIGEST_LEN));
		r = promise(p, ret->layers[i], wait_layer(p, ret->layers[i], err));
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

static void make_config(const struct out_job *j, struct pushed *im)
{
	im->config_bytes = j->image->config;
	im->config = (struct descriptor){ .media_type = j->output->docker ? S(MEDIA_DOCKER_CONFIG)
		                                                          : S(MEDIA_OCI_CONFIG),
		                          .digest = j->image->config_digest,
		                          .size = j->image->config.len };
}

static int make_manifest(const struct out_job *j, struct pushed *im, struct cairn_err *err)
{
	struct manifest m = { .kind = MANIFEST_IMAGE,
		              .docker = j->output->docker,
		              .config = im->config,
		              .n_layers = im->n,
		              .annotations = j->output->annotations };
	cleanup_strbuf struct strbuf bytes;

	m.layers = arena_array(j->arena, struct descriptor, im->n + 1);
	for (size_t i = 0; i < im->n; i++) {
		const struct descriptor *b = &im->layers[i]->blob;
		const struct media_type *type = media_type_find(b->media_type);

		m.layers[i] = (struct descriptor){ .media_type = b->media_type,
			                           .digest = b->digest,
			                           .size = b->size };
		if (type->kind == MEDIA_LAYER && !type->foreign)
			m.layers[i].media_type =
				str_of(media_type_layer(type->compression, j->output->docker));
	}
	strbuf_init(&bytes, MANIFEST_MAX);
	manifest_encode(&m, &bytes);
	TRY(strbuf_check(&bytes, "image manifest", err));
	im->bytes = arena_str(j->arena, strbuf_view(&bytes));
	im->manifest = (struct descriptor){ .media_type = str_of(manifest_media_type(&m)),
		                            .digest = digest_of(im->bytes.ptr, im->bytes.len),
		                            .size = im->bytes.len };
	return 0;
}

/* --- one repository ---------------------------------------------------------------------- */

static int wait_looked(const struct push_repo *repo, struct cairn_err *err)
{
	struct push *p = repo->p;
	int r = 0;

	pthread_mutex_lock(&p->lock);
	while (!repo->looked && r == 0) {
		if (push_stopping(p))
			r = cancelled(err);
		else
			wait_change(p);
	}
	pthread_mutex_unlock(&p->lock);
	return r;
}

/* The image as it is, under another tag or none? Only worth asking when it may be. */
static bool manifest_there(const struct push_repo *repo, const struct pushed *im)
{
	const struct media_type *type = NULL;
	struct reference ref = repo->ref;
	struct cairn_err ignored;
	struct digest digest;
	bool go;

	pthread_mutex_lock(&repo->p->lock);
	go = repo->p->go;
	pthread_mutex_unlock(&repo->p->lock);
	ref.digest = im->manifest.digest;
	return !go && registry_head(push_registry(repo->p), &ref, &digest, &type, &ignored) == 0 &&
	       digest_eq(&digest, &im->manifest.digest);
}

static int bring_layers(struct push_repo *repo, const struct pushed *im, struct cairn_err *err)
{
	struct push *p = repo->p;
	size_t at = (size_t)(repo - p->repos);
	int r = 0;

	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < im->n && r == 0; i++)
		r = promise(p, im->layers[i], wait_part(p, &im->layers[i]->parts[at], err));
	pthread_mutex_unlock(&p->lock);
	return r;
}

static int bring_config(struct push_repo *repo, const struct pushed *im, struct cairn_err *err)
{
	struct registry_want want = { .blob = im->config, .bytes = im->config_bytes };
	uint64_t moved = 0;

	if (map_has(&repo->has, str_n((const char *)im->config.digest.b, DIGEST_LEN)))
		return 0;
	return registry_blob_bring(push_registry(repo->p), &repo->ref, &want, NULL, &moved, err);
}

struct bringing {
	struct push_repo *repo;
	const struct pushed *im;
};

/* pool_map(): the config goes beside the layers. */
static int bring_part(void *ctx, size_t i, struct cairn_err *err)
{
	const struct bringing *b = ctx;

	return i == 0 ? bring_config(b->repo, b->im, err) : bring_layers(b->repo, b->im, err);
}

/* Config and layers, those that are not there. */
static int bring_all(struct push_repo *repo, const struct pushed *im, struct cairn_err *err)
{
	struct push *p = repo->p;
	struct bringing b = { repo, im };

	pthread_mutex_lock(&p->lock);
	p->go = true;
	push_advance(p);
	pthread_mutex_unlock(&p->lock);
	return pool_map(p->net, 2, bring_part, &b, err);
}

static int put_manifest(const struct push_repo *repo, const struct pushed *im, const char *tag,
                        struct cairn_err *err)
{
	struct reference ref = repo->ref;

	if (tag)
		(void)snprintf(ref.tag, sizeof(ref.tag), "%s", tag);
	else
		ref.digest = im->manifest.digest;
	return registry_manifest_put(push_registry(repo->p), &ref, im->manifest.media_type,
	                             im->bytes, err);
}

/* Ask for all layers again: the registry has lost one. */
static void distrust(struct push_repo *repo, const struct pushed *im)
{
	struct push *p = repo->p;
	size_t at = (size_t)(repo - p->repos);

	pthread_mutex_lock(&p->lock);
	map_done(&repo->has);
	for (size_t i = 0; i < im->n; i++) {
		im->layers[i]->parts[at].state = PUSH_IDLE;
		im->layers[i]->parts[at].again = true;
	}
	pthread_mutex_unlock(&p->lock);
}

static int put_tags(const struct push_repo *repo, const struct pushed *im, struct cairn_err *err)
{
	size_t first = digest_eq(&repo->was, &im->manifest.digest);

	if (!repo->n_tags && !first)
		return put_manifest(repo, im, NULL, err);
	for (size_t i = first; i < repo->n_tags; i++)
		TRY(put_manifest(repo, im, repo->tags[i], err));
	return 0;
}

static int push_repo(struct push_repo *repo, const struct pushed *im, struct cairn_err *err)
{
	int r;

	TRY(wait_looked(repo, err));
	if (digest_eq(&repo->was, &im->manifest.digest) || manifest_there(repo, im)) {
		r = put_tags(repo, im, err);
		if (r != CAIRN_E_NOT_FOUND)
			return r;
	}
	for (int again = 0; again < 2; again++) {
		TRY(bring_all(repo, im, err));
		r = put_tags(repo, im, err);
		if (r != CAIRN_E_NOT_FOUND)
			return r;
		distrust(repo, im);
	}
	return r;
}

/* From now on the layers can be had from there, also those that were never here. */
static int record_places(struct store *s, const struct pushed *im, struct cairn_err *err)
{
	const struct push *p = im->p;

	for (size_t i = 0; i < im->n; i++) {
		const struct push_layer *l = im->layers[i];
		const struct media_type *type = media_type_find(l->blob.media_type);
		struct store_layer_blob blob = { l->blob.digest, l->blob.size }, canonical;

		if (!l->elsewhere || type->kind != MEDIA_LAYER)
			continue;
		TRY(store_layer_blob_put(s, &l->src.ids[l->src.n - 1],
		                         str_of(media_type_layer(type->compression, false)), &blob,
		                         &canonical, err));
		for (size_t k = 0; k < p->n_repos; k++)
			TRY(store_blob_source_put(s, &blob.digest, str_of(p->repos[k].ref.domain),
			                          str_of(p->repos[k].ref.path), err));
	}
	return 0;
}

static int record(const struct out_job *j, const struct pushed *im, struct cairn_err *err)
{
	struct store *s = j->o->opts->store;
	char variant[LAYER_BLOB_VARIANT_MAX];
	struct digest canonical;

	if (!store_read_only(s))
		TRY(record_places(s, im, err));
	if (store_read_only(s) || j->output->docker || j->output->annotations.len)
		return 0;
	TRY(store_blob_put(s, im->bytes, NULL, err));
	return store_manifest_put(s, &j->image->config_digest,
	                          str_of(layer_blob_variant(&im->p->form, variant)),
	                          &im->manifest.digest, &canonical, err);
}

int push_write(struct push *p, struct out_job *j, struct cairn_err *err)
{
	struct pushed im;

	pthread_mutex_lock(&p->lock);
	p->finishing = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	TRY(find_layers(p, j, &im, err));
	make_config(j, &im);
	TRY(make_manifest(j, &im, err));
	for (size_t i = 0; i < p->n_repos; i++) {
		char name[REFERENCE_TEXT_MAX];

		if (push_repo(&p->repos[i], &im, err) < 0)
			return cairn_wrap(err, "push to %s",
			                  reference_name(&p->repos[i].ref, name));
	}
	j->manifest = im.manifest;
	return record(j, &im, err);
}

void push_progress(struct push *p, uint64_t *ret_done, uint64_t *ret_total)
{
	pthread_mutex_lock(&p->lock);
	*ret_done = p->done;
	*ret_total = p->total;
	pthread_mutex_unlock(&p->lock);
}
