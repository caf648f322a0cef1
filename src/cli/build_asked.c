#include "build_asked.h"

#include <pthread.h>

#include "build_priv.h"
#include "util/clock.h"
#include "util/pool.h"

struct build_asked {
	pthread_mutex_t lock;        /* of what follows, and of who has ended */
	pthread_cond_t changed;      /* one has ended */
	struct asked_pointer *first; /* the latest */
};

struct build_asked *build_asked_new(void)
{
	struct build_asked *a = xcalloc(1, sizeof(*a));

	if (pthread_mutex_init(&a->lock, NULL) || pthread_cond_init(&a->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	return a;
}

void build_asked_free(struct build_asked *a)
{
	if (!a)
		return;
	while (a->first) {
		struct asked_pointer *p = a->first;

		a->first = p->next;
		strbuf_done(&p->text);
		free(p->version);
		free(p);
	}
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
}

/* With the lock. */
static struct asked_pointer *find(const struct build_asked *a, const struct remote *remote,
                                  const struct digest *name)
{
	struct asked_pointer *p = a->first;

	while (p && (p->remote != remote || !digest_eq(&p->name, name)))
		p = p->next;
	return p;
}

static void end(struct asked_pointer *p, int result)
{
	struct build_asked *a = p->of;

	pthread_mutex_lock(&a->lock);
	p->result = result;
	p->ended = true;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

static int ask(void *ctx, struct cairn_err *err)
{
	struct asked_pointer *p = ctx;

	end(p, remote_pointer_get(p->remote, &p->name, &p->text, &p->version, &p->found, err));
	return 0;
}

static void drop(void *ctx)
{
	end(ctx, CAIRN_E_CANCELLED);
}

void build_asked_begin(struct build_run *r, struct remote *remote, const struct digest *name)
{
	struct build_asked *a = r->asked;
	struct asked_pointer *p;

	pthread_mutex_lock(&a->lock);
	p = find(a, remote, name);
	if (!p) {
		p = xcalloc(1, sizeof(*p));
		p->of = a;
		p->remote = remote;
		p->name = *name;
		p->when = clock_monotonic();
		strbuf_init(&p->text, REMOTE_POINTER_MAX);
		p->next = a->first;
		a->first = p;
		pool_add(build_remote_teller(r), (struct pool_task){ ask, NULL, p, drop });
	}
	pthread_mutex_unlock(&a->lock);
}

const struct asked_pointer *build_asked_get(struct build_run *r, const struct remote *remote,
                                            const struct digest *name, int64_t patience)
{
	struct build_asked *a = r->asked;
	int64_t at = clock_now() + patience;
	const struct timespec until = { .tv_sec = (time_t)(at / CLOCK_SEC),
		                        .tv_nsec = (long)(at % CLOCK_SEC) };
	struct asked_pointer *p;

	pthread_mutex_lock(&a->lock);
	p = find(a, remote, name);
	while (p && !p->ended)
		if (patience < 0)
			pthread_cond_wait(&a->changed, &a->lock);
		else if (pthread_cond_timedwait(&a->changed, &a->lock, &until) != 0)
			break;
	if (p && !p->ended)
		p = NULL;
	pthread_mutex_unlock(&a->lock);
	return p;
}
