#include "ahead.h"

#include <pthread.h>

#include "util/mem.h"
#include "util/pool.h"
#include "util/vec.h"

enum state {
	IDLE,
	QUEUED,  /* the pool has been asked to; whoever comes first does it */
	RUNNING, /* somebody does */
};

/* What is done to one buffer after the other. */
struct stage {
	struct ahead *a;
	enum state state;
	bool (*ready)(const struct ahead *a); /* with the lock held */
	void (*one)(struct ahead *a);         /* without it */
	void (*count)(struct ahead *a);       /* with it again */
};

/* A run of bytes in a buffer. */
struct part {
	size_t len;
	bool content, first;
	struct digest *ret;
};

struct buffer {
	char *bytes;
	size_t len;
	VEC(struct part) parts; /* the caller's while it has the buffer, then hash_one()'s */
};

/* Buffer number i is buffers[i % n]; hashed <= used <= filled <= hashed + n. */
struct ahead {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs; /* the owner's and one for each task in the pool */
	const struct layer_reader *in;
	struct pool *pool;
	struct stage fill, hash;
	struct buffer buffers[AHEAD_BUFFERS];
	uint64_t n, filled, used, hashed;
	bool held;  /* the caller works on buffer number `used` */
	bool ended; /* the source */
	bool both;  /* hash_one() makes both hashes; else fill_one() makes that of everything */
	struct sha256 all, file;
	int result;
	struct cairn_err err;
};

/* ---- the stages ---- */

static bool fill_ready(const struct ahead *a)
{
	return !a->ended && a->filled - a->hashed < a->n;
}

static void fill_one(struct ahead *a)
{
	struct buffer *b = &a->buffers[a->filled % a->n];

	a->result = layer_read_full(a->in, b->bytes, AHEAD_SIZE, &b->len, &a->err);
	if (a->result < 0)
		b->len = 0;
	if (!a->both)
		sha256_add(&a->all, b->bytes, b->len);
}

static void fill_count(struct ahead *a)
{
	size_t len = a->buffers[a->filled % a->n].len;

	a->filled += len > 0;
	a->ended = len < AHEAD_SIZE;
}

static bool hash_ready(const struct ahead *a)
{
	return a->hashed < a->used;
}

static void hash_one(struct ahead *a)
{
	struct buffer *b = &a->buffers[a->hashed % a->n];
	const char *at = b->bytes;

	vec_foreach (p, &b->parts) {
		if (p->first)
			sha256_init(&a->file);
		if (a->both && p->content)
			sha256_add_both(&a->all, &a->file, at, p->len);
		else if (a->both)
			sha256_add(&a->all, at, p->len);
		else if (p->content)
			sha256_add(&a->file, at, p->len);
		if (p->ret)
			*p->ret = sha256_end(&a->file);
		at += p->len;
	}
	b->parts.len = 0;
}

static void hash_count(struct ahead *a)
{
	a->hashed++;
}

/* ---- who does them ---- */

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
	for (size_t i = 0; i < a->n; i++) {
		free(a->buffers[i].bytes);
		vec_free(&a->buffers[i].parts);
	}
	free(a);
}

static int run(void *ctx, struct cairn_err *err);

static void drop(void *ctx)
{
	unref(((struct stage *)ctx)->a);
}

/* Ask the pool for what can be done. Called with the lock held. */
static void ask(struct ahead *a)
{
	struct stage *stages[] = { &a->hash, &a->fill };

	for (size_t i = 0; a->pool && i < ARRAY_SIZE(stages); i++) {
		struct stage *s = stages[i];

		if (s->state != IDLE || !s->ready(a))
			continue;
		s->state = QUEUED;
		a->refs++;
		pool_add(a->pool, (struct pool_task){ .run = run, .drop = drop, .ctx = s });
	}
}

/* Do it to one buffer, unless somebody does or there is none. Called with the lock held, which is
 * given up meanwhile. */
static bool help(struct stage *s)
{
	struct ahead *a = s->a;

	if (s->state == RUNNING || !s->ready(a))
		return false;
	s->state = RUNNING;
	pthread_mutex_unlock(&a->lock);
	s->one(a);
	pthread_mutex_lock(&a->lock);
	s->count(a);
	s->state = IDLE;
	pthread_cond_broadcast(&a->changed);
	return true;
}

/* A task that the caller has overtaken finds nothing to do, or does the next one's work. */
static int run(void *ctx, struct cairn_err *err)
{
	struct stage *s = ctx;
	struct ahead *a = s->a;

	(void)err;
	pthread_mutex_lock(&a->lock);
	if (s->state == QUEUED && help(s))
		ask(a);
	pthread_mutex_unlock(&a->lock);
	unref(a);
	return 0;
}

/* ---- for the caller ---- */

struct ahead *ahead_new(const struct layer_reader *in, struct pool *pool)
{
	struct ahead *a = xcalloc(1, sizeof(*a));

	if (pthread_mutex_init(&a->lock, NULL) || pthread_cond_init(&a->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	a->refs = 1;
	a->in = in;
	a->pool = pool;
	a->n = pool ? AHEAD_BUFFERS : 1;
	for (size_t i = 0; i < a->n; i++)
		a->buffers[i].bytes = xmalloc(AHEAD_SIZE);
	a->fill = (struct stage){ a, IDLE, fill_ready, fill_one, fill_count };
	a->hash = (struct stage){ a, IDLE, hash_ready, hash_one, hash_count };
	/* Two hashes of the same bytes in one thread are then cheaper than one in each of two. */
	a->both = sha256_both_pays();
	sha256_init(&a->all);
	sha256_init(&a->file);
	return a;
}

void ahead_free(struct ahead *a)
{
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->pool = NULL; /* nothing is asked any more */
	a->fill.state = a->fill.state == QUEUED ? IDLE : a->fill.state;
	a->hash.state = a->hash.state == QUEUED ? IDLE : a->hash.state;
	while (a->fill.state == RUNNING || a->hash.state == RUNNING)
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	unref(a);
}

int ahead_next(struct ahead *a, str *ret, struct cairn_err *err)
{
	int r = 0;

	*ret = str_n("", 0);
	pthread_mutex_lock(&a->lock);
	a->used += a->held;
	a->held = false;
	ask(a);
	/* With nothing filled, either a buffer can be, or all of them wait for their hash. */
	while (a->used == a->filled && !a->ended)
		if (!help(&a->fill) && !help(&a->hash))
			pthread_cond_wait(&a->changed, &a->lock);
	if (a->used < a->filled) {
		const struct buffer *b = &a->buffers[a->used % a->n];

		*ret = str_n(b->bytes, b->len);
		a->held = true;
		ask(a);
	} else if (a->result < 0) {
		*err = a->err;
		r = err->code;
	}
	pthread_mutex_unlock(&a->lock);
	return r;
}

static void add_part(struct ahead *a, const struct part *p)
{
	struct buffer *b = &a->buffers[a->used % a->n];

	vec_push(&b->parts, *p);
}

void ahead_other(struct ahead *a, size_t n)
{
	struct buffer *b = &a->buffers[a->used % a->n];

	if (b->parts.len && !vec_last(&b->parts)->content)
		vec_last(&b->parts)->len += n;
	else if (n)
		add_part(a, &(struct part){ .len = n });
}

void ahead_content(struct ahead *a, size_t n, bool first, struct digest *ret)
{
	add_part(a, &(struct part){ n, true, first, ret });
}

struct digest ahead_digest(struct ahead *a)
{
	pthread_mutex_lock(&a->lock);
	while (a->hashed < a->used)
		if (!help(&a->hash))
			pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	return sha256_end(&a->all);
}
