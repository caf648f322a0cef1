#include "util/pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

struct job {
	struct job *next;
	struct pool_task task;
	int result;
	struct cairn_err err;
};

struct queue {
	struct job *head, **tail;
};

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work; /* something waits, or stop */
	pthread_cond_t idle; /* something finished */
	struct queue waiting, finished;
	pthread_t *threads;
	unsigned n_threads, n_started;
	unsigned pending;    /* added, done not yet run */
	unsigned unfinished; /* added, run not yet ended */
	bool stop;
	int nice;
	int fd;
};

static void queue_init(struct queue *q)
{
	q->head = NULL;
	q->tail = &q->head;
}

static void queue_put(struct queue *q, struct job *j)
{
	j->next = NULL;
	*q->tail = j;
	q->tail = &j->next;
}

static struct job *queue_take(struct queue *q)
{
	struct job *j = q->head;

	if (j) {
		q->head = j->next;
		if (!q->head)
			q->tail = &q->head;
	}
	return j;
}

struct pool *pool_new(unsigned n_threads)
{
	struct pool *p = xcalloc(1, sizeof(*p));

	p->n_threads = n_threads ? n_threads : 1;
	p->threads = xcalloc(p->n_threads, sizeof(*p->threads));
	queue_init(&p->waiting);
	queue_init(&p->finished);
	if (pthread_mutex_init(&p->lock, NULL) || pthread_cond_init(&p->work, NULL) ||
	    pthread_cond_init(&p->idle, NULL))
		CAIRN_BUG("cannot create a lock");
	p->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0)
		CAIRN_BUG("cannot create an eventfd");
	return p;
}

struct pool *pool_new_nice(unsigned n_threads, int nice)
{
	struct pool *p = pool_new(n_threads);

	p->nice = nice;
	return p;
}

static void signal_finished(struct pool *p)
{
	uint64_t one = 1;
	ssize_t n = write(p->fd, &one, sizeof(one));

	(void)n; /* EAGAIN: the counter is full, so it is readable already */
	pthread_cond_broadcast(&p->idle);
}

static void *worker(void *arg)
{
	struct pool *p = arg;
	struct job *j;

	if (p->nice) /* of this thread alone: Linux keeps it for each */
		(void)setpriority(PRIO_PROCESS, 0, p->nice);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (!p->waiting.head && !p->stop)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		j = queue_take(&p->waiting);
		pthread_mutex_unlock(&p->lock);
		j->result = j->task.run(j->task.ctx, &j->err);
		pthread_mutex_lock(&p->lock);
		queue_put(&p->finished, j);
		p->unfinished--;
		signal_finished(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

void pool_add(struct pool *p, struct pool_task task)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->task = task;
	pthread_mutex_lock(&p->lock);
	queue_put(&p->waiting, j);
	p->pending++;
	p->unfinished++;
	if (p->n_started < p->n_threads && p->unfinished > p->n_started) {
		if (pthread_create(&p->threads[p->n_started], NULL, worker, p) == 0)
			p->n_started++;
		else if (p->n_started == 0)
			CAIRN_BUG("cannot start a thread");
	}
	pthread_cond_signal(&p->work);
	pthread_mutex_unlock(&p->lock);
}

int pool_fd(const struct pool *p)
{
	return p->fd;
}

unsigned pool_threads(const struct pool *p)
{
	return p->n_threads;
}

void pool_collect(struct pool *p)
{
	uint64_t n;
	ssize_t r = read(p->fd, &n, sizeof(n));
	struct job *j;

	(void)r; /* EAGAIN: nothing has finished */
	for (;;) {
		pthread_mutex_lock(&p->lock);
		j = queue_take(&p->finished);
		if (j)
			p->pending--;
		pthread_mutex_unlock(&p->lock);
		if (!j)
			return;
		if (j->task.done)
			j->task.done(j->task.ctx, j->result, &j->err);
		free(j);
	}
}

void pool_wait(struct pool *p)
{
	for (;;) {
		bool more;

		pool_collect(p);
		pthread_mutex_lock(&p->lock);
		while (p->unfinished && !p->finished.head)
			pthread_cond_wait(&p->idle, &p->lock);
		more = p->finished.head;
		pthread_mutex_unlock(&p->lock);
		if (!more)
			return;
	}
}

unsigned pool_pending(struct pool *p)
{
	unsigned n;

	pthread_mutex_lock(&p->lock);
	n = p->pending;
	pthread_mutex_unlock(&p->lock);
	return n;
}

/* What the threads of one pool_map() share. The helpers may start after the
 * caller has done all the work and returned, so it is counted. */
struct map_job {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t next, n, ended;
	unsigned refs; /* the caller and its helpers */
	int (*fn)(void *ctx, size_t i, struct cairn_err *err);
	void *ctx;
	size_t failed_at; /* lowest failing index, or n */
	int result;
	struct cairn_err err;
};

static void map_unref(struct map_job *m)
{
	bool last;

	pthread_mutex_lock(&m->lock);
	last = --m->refs == 0;
	pthread_mutex_unlock(&m->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->changed);
	free(m);
}

static void map_work(struct map_job *m)
{
	struct cairn_err err;

	pthread_mutex_lock(&m->lock);
	while (m->next < m->n) {
		size_t i = m->next++;
		int r;

		pthread_mutex_unlock(&m->lock);
		r = m->fn(m->ctx, i, &err);
		pthread_mutex_lock(&m->lock);
		if (r < 0 && i < m->failed_at) {
			m->failed_at = i;
			m->result = r;
			m->err = err;
		}
		m->ended++;
	}
	pthread_cond_broadcast(&m->changed);
	pthread_mutex_unlock(&m->lock);
}

static void map_drop(void *ctx)
{
	map_unref(ctx);
}

static int map_run(void *ctx, struct cairn_err *err)
{
	(void)err;
	map_work(ctx);
	map_unref(ctx);
	return 0;
}

int pool_map(struct pool *p, size_t n, int (*fn)(void *ctx, size_t i, struct cairn_err *err),
             void *ctx, struct cairn_err *err)
{
	struct map_job *m = xcalloc(1, sizeof(*m));
	unsigned users = n < p->n_threads ? (unsigned)n : p->n_threads;
	int result;

	/* Counted before the first of them can be through. */
	*m = (struct map_job){
		.n = n, .fn = fn, .ctx = ctx, .failed_at = n, .refs = users ? users : 1
	};
	if (pthread_mutex_init(&m->lock, NULL) || pthread_cond_init(&m->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	for (unsigned i = 1; i < users; i++)
		pool_add(p, (struct pool_task){ .run = map_run, .drop = map_drop, .ctx = m });
	map_work(m);
	pthread_mutex_lock(&m->lock);
	while (m->ended < n)
		pthread_cond_wait(&m->changed, &m->lock);
	result = m->result;
	if (result < 0)
		*err = m->err;
	pthread_mutex_unlock(&m->lock);
	map_unref(m);
	return result;
}

void pool_free(struct pool *p)
{
	struct job *j;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_started; i++)
		(void)pthread_join(p->threads[i], NULL);
	while ((j = queue_take(&p->waiting))) {
		if (j->task.drop)
			j->task.drop(j->task.ctx);
		free(j);
	}
	while ((j = queue_take(&p->finished)))
		free(j);
	close(p->fd);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->idle);
	free(p->threads);
	free(p);
}
