/* Pushing: what is there already, and whether the image may be it. */
#include "output_push.h"
#include "util/clock.h"

#define SURE_NS (CLOCK_SEC / 5) /* a build that lasts so long makes a new image */

static void start(struct pool *pool, int (*run)(void *ctx, struct cairn_err *err), void *ctx)
{
	pool_add(pool, (struct pool_task){ .run = run, .ctx = ctx });
}

static void note_blobs(struct push_repo *repo, str text, str type)
{
	cleanup_arena struct arena *a = arena_new();
	struct manifest m = { 0 };
	struct cairn_err ignored;

	if (manifest_parse(a, text, type, &m, &ignored) < 0 || m.kind != MANIFEST_IMAGE)
		return;
	map_put(&repo->has, str_n((const char *)m.config.digest.b, DIGEST_LEN), repo);
	for (size_t i = 0; i < m.n_layers; i++)
		map_put(&repo->has, str_n((const char *)m.layers[i].digest.b, DIGEST_LEN), repo);
}

/* Ask what the first tag means. Not to know costs a few more questions, nothing else. */
static int run_look(void *ctx, struct cairn_err *err)
{
	struct push_repo *repo = ctx;
	struct push *p = repo->p;
	cleanup_free char *type = NULL;
	cleanup_strbuf struct strbuf text;
	struct reference ref = repo->ref;
	bool found = false;

	strbuf_init(&text, MANIFEST_MAX);
	registry_expect_push(push_registry(p), &ref);
	if (repo->n_tags)
		found = registry_manifest_get(push_registry(p), &ref, &text, &type, err) == 0;
	pthread_mutex_lock(&p->lock);
	if (found) {
		repo->was = digest_of(text.ptr, text.len);
		note_blobs(repo, strbuf_view(&text), str_of(type));
	}
	repo->looked = true;
	push_advance(p);
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* A build that still works after a while makes a new image: then layers that were known before
 * may leave too. */
static int run_timer(void *ctx, struct cairn_err *err)
{
	struct push *p = ctx;
	int64_t at = clock_now() + SURE_NS;
	const struct timespec until = { .tv_sec = (time_t)(at / CLOCK_SEC),
		                        .tv_nsec = (long)(at % CLOCK_SEC) };

	(void)err;
	pthread_mutex_lock(&p->lock);
	while (!p->go && !p->finishing && !push_stopping(p))
		if (pthread_cond_timedwait(&p->changed, &p->lock, &until) != 0)
			break;
	if (!p->finishing) {
		p->go = true;
		push_advance(p);
	}
	pthread_mutex_unlock(&p->lock);
	return 0;
}

void push_look(struct push *p)
{
	if (p->looking)
		return;
	p->looking = true;
	for (size_t i = 0; i < p->n_repos; i++)
		start(p->net, run_look, &p->repos[i]);
}

void push_begin(struct push *p)
{
	pthread_mutex_lock(&p->lock);
	push_look(p);
	pthread_mutex_unlock(&p->lock);
}

void push_time(struct push *p)
{
	if (p->timing)
		return;
	p->timing = true;
	start(p->net, run_timer, p);
}
