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

enum job_state {
	JOB_NONE,
	JOB_WAITING, /* for what has begun it */
	JOB_QUEUED,  /* the pool has been asked to; whoever comes first does it */
	JOB_RUNNING,
};

/* behind() for a part of a buffer. */
struct job {
	struct ahead *a;
	uint64_t number; /* of the buffer */
	enum ahead_part part;
	enum job_state state;
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
	VEC(struct part) parts;      /* the caller's while it has the buffer, then hash_one()'s */
	bool wanted[AHEAD_PARTS_N_]; /* the caller's: jobs to come */
	struct job jobs[AHEAD_PARTS_N_];
	struct job *last; /* which the HEAD of the next buffer waits for; NULL when it is done */
};

/* Buffer number i is buffers[i % n]; hashed <= used <= filled <= hashed + n. One with jobs is not
 * filled again. */
struct ahead {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs; /* the owner's and one for each task in the pool */
	struct ahead_opts opts;
	struct pool *pool; /* NULL: nothing is asked of it, or not any more */
	struct stage fill, hash;
	struct buffer buffers[AHEAD_BUFFERS];
	uint64_t n, filled, used, hashed;
	bool held;  /* the caller works on buffer number `used` */
	bool ended; /* the source */
	bool both;  /* hash_one() makes both hashes; else fill_one() makes that of everything */
	struct sha256 all, file;
	int result;
	struct cairn_err err;
	int behind; /* first failure of a job */
	struct cairn_err behind_err;
};

/* ---- the stages ---- */

static bool has_jobs(const struct buffer *b)
{
	return b->jobs[AHEAD_HEAD].state != JOB_NONE || b->jobs[AHEAD_REST].state != JOB_NONE;
}

static bool fill_ready(const struct ahead *a)
{
	return !a->ended && a->filled - a->hashed < a->n &&
	       !has_jobs(&a->buffers[a->filled % a->n]);
}

static void fill_one(struct ahead *a)
{
	struct buffer *b = &a->buffers[a->filled % a->n];

	a->result = layer_read_full(a->opts.in, b->bytes, AHEAD_SIZE, &b->len, &a->err);
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

/* ---- jobs ---- */

static int run_job(void *ctx, struct cairn_err *err);

static void drop_task(void *ctx)
{
	unref(((struct job *)ctx)->a);
}

/* Called with the lock held. */
static void queue_job(struct ahead *a, struct job *j)
{
	j->state = JOB_QUEUED;
	pthread_cond_broadcast(&a->changed); /* who waits can help */
	if (!a->pool)
		return;
	a->refs++;
	pool_add(a->pool, (struct pool_task){ .run = run_job, .drop = drop_task, .ctx = j });
}

/* Do a job that is QUEUED. Called with the lock held, which is given up meanwhile. */
static void do_job(struct ahead *a, struct job *j)
{
	struct buffer *b = &a->buffers[j->number % a->n];
	struct buffer *next = &a->buffers[(j->number + 1) % a->n];
	struct cairn_err err;
	int r;

	j->state = JOB_RUNNING;
	pthread_mutex_unlock(&a->lock);
	r = a->opts.behind(a->opts.ctx, j->number, j->part, &err);
	pthread_mutex_lock(&a->lock);
	if (r < 0 && !a->behind) {
		a->behind = r;
		a->behind_err = err;
	}
	j->state = JOB_NONE;
	if (j == b->last) {
		b->last = NULL;
		if (next->jobs[AHEAD_HEAD].state == JOB_WAITING)
			queue_job(a, &next->jobs[AHEAD_HEAD]);
	}
	pthread_cond_broadcast(&a->changed);
}

static int run_job(void *ctx, struct cairn_err *err)
{
	struct job *j = ctx;
	struct ahead *a = j->a;

	(void)err;
	pthread_mutex_lock(&a->lock);
	if (j->state == JOB_QUEUED) {
		do_job(a, j);
		ask(a);
	}
	pthread_mutex_unlock(&a->lock);
	unref(a);
	return 0;
}

/* Do a job that nobody does; false when there is none. Called with the lock held. */
static bool help_behind(struct ahead *a)
{
	for (uint64_t i = 0; i < a->n; i++) {
		struct buffer *b = &a->buffers[(a->used + i) % a->n]; /* the oldest first */

		for (enum ahead_part k = 0; k < AHEAD_PARTS_N_; k++)
			if (b->jobs[k].state == JOB_QUEUED) {
				do_job(a, &b->jobs[k]);
				return true;
			}
	}
	return false;
}

/* The caller is through with its buffer. Called with the lock held. */
static void post_jobs(struct ahead *a)
{
	struct buffer *b = &a->buffers[a->used % a->n];
	const struct buffer *before = &a->buffers[(a->used + a->n - 1) % a->n];
	bool waits = before->last;

	for (enum ahead_part k = 0; k < AHEAD_PARTS_N_; k++) {
		struct job *j = &b->jobs[k];

		if (!b->wanted[k])
			continue;
		b->wanted[k] = false;
		b->last = j;
		j->number = a->used;
		if (k == AHEAD_HEAD && waits)
			j->state = JOB_WAITING;
		else
			queue_job(a, j);
	}
}

static bool any_job(const struct ahead *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (has_jobs(&a->buffers[i]))
			return true;
	return false;
}

static void drop_jobs(struct buffer *b)
{
	for (enum ahead_part k = 0; k < AHEAD_PARTS_N_; k++)
		if (b->jobs[k].state != JOB_RUNNING)
			b->jobs[k].state = JOB_NONE;
}

/* ---- for the caller ---- */

struct ahead *ahead_new(const struct ahead_opts *opts)
{
	struct ahead *a = xcalloc(1, sizeof(*a));

	if (pthread_mutex_init(&a->lock, NULL) || pthread_cond_init(&a->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	a->refs = 1;
	a->opts = *opts;
	a->pool = opts->pool;
	a->n = a->pool ? AHEAD_BUFFERS : 1;
	for (unsigned i = 0; i < a->n; i++) {
		struct buffer *b = &a->buffers[i];

		b->bytes = xmalloc(AHEAD_SIZE);
		for (enum ahead_part k = 0; k < AHEAD_PARTS_N_; k++)
			b->jobs[k] = (struct job){ .a = a, .part = k };
	}
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
	for (size_t i = 0; i < a->n; i++)
		drop_jobs(&a->buffers[i]);
	while (a->fill.state == RUNNING || a->hash.state == RUNNING || any_job(a))
		pthread_cond_wait(&a->changed, &a->lock);
	pthread_mutex_unlock(&a->lock);
	unref(a);
}

int ahead_next(struct ahead *a, str *ret, struct cairn_err *err)
{
	int r = 0;

	*ret = str_n("", 0);
	pthread_mutex_lock(&a->lock);
	if (a->held)
		post_jobs(a);
	a->used += a->held;
	a->held = false;
	ask(a);
	/* With nothing filled, either a buffer can be, or they wait for their hash or their jobs.
	 */
	while (a->used == a->filled && !a->ended && !a->behind)
		if (!help(&a->fill) && !help(&a->hash) && !help_behind(a))
			pthread_cond_wait(&a->changed, &a->lock);
	if (a->behind < 0) {
		*err = a->behind_err;
		r = err->code;
	} else if (a->used < a->filled) {
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

uint64_t ahead_number(const struct ahead *a)
{
	return a->used;
}

void ahead_behind(struct ahead *a, enum ahead_part part)
{
	a->buffers[a->used % a->n].wanted[part] = true;
}

int ahead_drain(struct ahead *a, struct cairn_err *err)
{
	int r;

	pthread_mutex_lock(&a->lock);
	if (a->held)
		post_jobs(a);
	while (any_job(a))
		if (!help_behind(a))
			pthread_cond_wait(&a->changed, &a->lock);
	r = a->behind;
	if (r < 0)
		*err = a->behind_err;
	pthread_mutex_unlock(&a->lock);
	return r;
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
