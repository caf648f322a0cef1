#include "ahead.h"

#include <pthread.h>

#include "util/mem.h"
#include "util/pool.h"

enum state {
	IDLE,    /* nobody reads */
	QUEUED,  /* the pool has been asked to; whoever comes first does it */
	RUNNING, /* somebody does */
	READY,   /* buffer `next` is filled */
};

struct ahead {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs; /* the owner's and one for each task in the pool */
	enum state state;
	const struct layer_reader *in;
	struct pool *pool;
	char *buffers[2];
	unsigned next; /* the one that is filled */
	size_t len;    /* bytes in it; fewer than AHEAD_SIZE: the source has ended */
	bool ended;    /* the caller has seen the last bytes */
	bool hashes;
	struct sha256 hash;
	int result;
	struct cairn_err err;
};

struct ahead *ahead_new(const struct layer_reader *in, struct pool *pool, bool hash)
{
	struct ahead *a = xcalloc(1, sizeof(*a));

	if (pthread_mutex_init(&a->lock, NULL) || pthread_cond_init(&a->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	a->refs = 1;
	a->in = in;
	a->pool = pool;
	a->hashes = hash;
	a->buffers[0] = xmalloc(AHEAD_SIZE);
	a->buffers[1] = xmalloc(AHEAD_SIZE);
	sha256_init(&a->hash);
	return a;
}

static void unref(struct ahead *a)
{
	bool last;

	pthread_mutex_lock(&a->lock);
	last = --a->refs == 0;
	pthread_mutex_unlock(&a->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->changed);
	free(a->buffers[0]);
	free(a->buffers[1]);
	free(a);
}

/* Called with the lock held and state RUNNING; gives it up meanwhile. */
static void fill(struct ahead *a)
{
	pthread_mutex_unlock(&a->lock);
	a->result = layer_read_full(a->in, a->buffers[a->next], AHEAD_SIZE, &a->len, &a->err);
	if (a->result == 0 && a->hashes)
		sha256_add(&a->hash, a->buffers[a->next], a->len);
	pthread_mutex_lock(&a->lock);
	a->state = READY;
	pthread_cond_broadcast(&a->changed);
}

/* A task that the caller has overtaken finds nothing to do, or does the next one's work. */
static int run(void *ctx, struct cairn_err *err)
{
	struct ahead *a = ctx;

	(void)err;
	pthread_mutex_lock(&a->lock);
	if (a->state == QUEUED) {
		a->state = RUNNING;
		fill(a);
	}
	pthread_mutex_unlock(&a->lock);
	unref(a);
	return 0;
}

static void drop(void *ctx)
{
	unref(ctx);
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	if (a->state == QUEUED)
		a->state = IDLE;
	while (a->state == RUNNING)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	unref(a);
}

int ahead_next(struct ahead *a, str *ret, struct cairn_err *err)
{
	bool queue;

	if (a->ended) {
		*ret = str_n("", 0);
		return 0;
	}
	pthread_mutex_lock(&a->lock);
	if (a->state == IDLE || a->state == QUEUED) {
		a->state = RUNNING;
		fill(a);
	}
	while (a->state == RUNNING)
		pthread_cond_wait(&a->changed, &a->lock);
	if (a->result < 0) { /* stays READY: a further call fails again */
		*err = a->err;
		pthread_mutex_unlock(&a->lock);
		return err->code;
	}
	*ret = str_n(a->buffers[a->next], a->len);
	a->ended = a->len < AHEAD_SIZE;
	a->next ^= 1;
	queue = !a->ended && a->pool;
	a->state = queue ? QUEUED : IDLE;
	a->refs += queue;
	pthread_mutex_unlock(&a->lock);
	if (queue)
		pool_add(a->pool, (struct pool_task){ .run = run, .drop = drop, .ctx = a });
	return 0;
}

struct digest ahead_digest(struct ahead *a)
{
	return sha256_end(&a->hash);
}
