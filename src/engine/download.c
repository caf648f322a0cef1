#include "download.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "util/pool.h"

#define RING_BYTES (1u << 20)

struct download {
	struct download_opts opts;
	struct store_blob_writer *writer; /* keep */
	int fd;                           /* the writer's file, for reading */
	char *ring;                       /* neither keep nor pipe: RING_BYTES bytes */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t done; /* bytes that have arrived */
	uint64_t pos;  /* bytes that were read */
	bool closed;   /* nobody reads any more */
	bool failed_here;
	bool ended;
	int result;
	struct cairn_err err;
};

/* Put bytes into the ring, as far as there is room; waits for some. */
static int ring_some(struct download *d, const char *p, size_t n, size_t *ret_n,
                     struct cairn_err *err)
{
	size_t at, room;
	bool closed;

	pthread_mutex_lock(&d->lock);
	while (d->done - d->pos == RING_BYTES && !d->closed)
		pthread_cond_wait(&d->changed, &d->lock);
	closed = d->closed;
	at = (size_t)(d->done % RING_BYTES);
	room = RING_BYTES - (size_t)(d->done - d->pos);
	pthread_mutex_unlock(&d->lock);
	if (closed)
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	room = room < RING_BYTES - at ? room : RING_BYTES - at;
	*ret_n = n < room ? n : room;
	memcpy(d->ring + at, p, *ret_n); /* only the reader's end of the ring moves meanwhile */
	return 0;
}

static void arrived(struct download *d, size_t n)
{
	pthread_mutex_lock(&d->lock);
	d->done += n;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	if (d->opts.meter)
		atomic_fetch_add_explicit(d->opts.meter, n, memory_order_relaxed);
}

static int put_away(struct download *d, const void *p, size_t n, struct cairn_err *err)
{
	const char *from = p;

	if (d->opts.pipe) {
		struct layer_sink sink = frame_pipe_sink(d->opts.pipe);

		TRY(sink.write(sink.ctx, p, n, err));
		arrived(d, n);
		return 0;
	}
	if (d->writer) {
		TRY(store_blob_writer_add(d->writer, p, n, err));
		arrived(d, n);
		return 0;
	}
	while (n) {
		size_t part = 0;

		TRY(ring_some(d, from, n, &part, err));
		arrived(d, part);
		from += part;
		n -= part;
	}
	return 0;
}

static int take(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct download *d = ctx;
	bool closed;
	int r;

	TRY(d->opts.stopped(d->opts.ctx, err));
	pthread_mutex_lock(&d->lock);
	closed = d->closed;
	pthread_mutex_unlock(&d->lock);
	if (closed)
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped");
	r = put_away(d, p, n, err);
	/* More bytes than promised are not our fault. */
	d->failed_here = r < 0 && r != CAIRN_E_DIGEST && r != CAIRN_E_CANCELLED;
	return r;
}

/* The writer hashes for the store. */
static int verify(void *ctx, struct cairn_err *err)
{
	const struct download *d = ctx;

	return store_blob_writer_check(d->writer, err);
}

static int transfer(struct download *d, struct cairn_err *err)
{
	struct remote_sink sink = { take, d, d->writer ? verify : NULL };
	int r;

	TRY(d->opts.stopped(d->opts.ctx, err));
	TRY(d->opts.get(d->opts.ctx, d->opts.blob, &sink, err));
	if (!d->writer)
		return 0;
	r = store_blob_writer_commit(d->writer, NULL, NULL, err);
	d->failed_here = r < 0 && r != CAIRN_E_DIGEST;
	return r;
}

static void end(struct download *d, int result, const struct cairn_err *err)
{
	if (d->opts.pipe)
		frame_pipe_end(d->opts.pipe, result, err);
	pthread_mutex_lock(&d->lock);
	d->result = result;
	if (result < 0)
		d->err = *err;
	d->ended = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static int run(void *ctx, struct cairn_err *err)
{
	int r = transfer(ctx, err);

	end(ctx, r, err);
	return r;
}

static void drop(void *ctx)
{
	struct cairn_err err;

	end(ctx, cairn_fail(&err, CAIRN_E_CANCELLED, "stopped"), &err);
}

static int open_writer(struct download *d, struct cairn_err *err)
{
	TRY(store_blob_writer_new(d->opts.keep, &d->opts.blob->digest, &d->writer, err));
	d->fd = fcntl(store_blob_writer_fd(d->writer), F_DUPFD_CLOEXEC, 0);
	return d->fd < 0 ? cairn_fail_sys(err, "duplicate a descriptor") : 0;
}

int download_new(const struct download_opts *opts, struct download **ret, struct cairn_err *err)
{
	struct download *d = xcalloc(1, sizeof(*d));
	int r = 0;

	d->opts = *opts;
	d->fd = -1;
	d->ended = true; /* nothing runs yet */
	if (pthread_mutex_init(&d->lock, NULL) || pthread_cond_init(&d->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	if (opts->keep)
		r = open_writer(d, err);
	else if (!opts->pipe)
		d->ring = xmalloc(RING_BYTES);
	if (r < 0) {
		download_free(d);
		return r;
	}
	d->ended = false;
	pool_add(opts->pool, (struct pool_task){ .run = run, .drop = drop, .ctx = d });
	*ret = d;
	return 0;
}

/* Wait until there is something behind pos; *ret_n is how much, 0 at the end. */
static int wait_bytes(struct download *d, uint64_t *ret_n, struct cairn_err *err)
{
	int r = 0;

	pthread_mutex_lock(&d->lock);
	while (d->done <= d->pos && !d->ended)
		pthread_cond_wait(&d->changed, &d->lock);
	*ret_n = d->done - d->pos;
	if (d->result < 0) {
		*err = d->err;
		r = d->result;
	}
	pthread_mutex_unlock(&d->lock);
	return r;
}

static void was_read(struct download *d, size_t n)
{
	pthread_mutex_lock(&d->lock);
	d->pos += n;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

static int read_some(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct download *d = ctx;
	uint64_t there = 0;
	ssize_t got;

	TRY(wait_bytes(d, &there, err));
	if (there < n)
		n = (size_t)there;
	if (d->ring) {
		size_t at = (size_t)(d->pos % RING_BYTES);

		n = n < RING_BYTES - at ? n : RING_BYTES - at;
		memcpy(p, d->ring + at, n);
		got = (ssize_t)n;
	} else {
		do
			got = n ? pread(d->fd, p, n, (off_t)d->pos) : 0;
		while (got < 0 && errno == EINTR);
		if (got < 0 || (n && got == 0))
			return cairn_fail_sys(err, "read a downloaded layer");
	}
	was_read(d, (size_t)got);
	*ret_n = (size_t)got;
	return 0;
}

struct layer_reader download_reader(struct download *d)
{
	return (struct layer_reader){ read_some, d };
}

int download_wait(struct download *d, struct cairn_err *err)
{
	int r;

	pthread_mutex_lock(&d->lock);
	while (!d->ended)
		pthread_cond_wait(&d->changed, &d->lock);
	r = d->result;
	if (r < 0)
		*err = d->err;
	pthread_mutex_unlock(&d->lock);
	return r;
}

static void close_reader(struct download *d)
{
	if (d->opts.pipe)
		frame_pipe_close(d->opts.pipe);
	pthread_mutex_lock(&d->lock);
	d->closed = true;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
}

int download_close(struct download *d, struct cairn_err *err)
{
	close_reader(d);
	return download_wait(d, err);
}

bool download_failed_here(const struct download *d)
{
	return d->failed_here;
}

uint64_t download_done(struct download *d)
{
	uint64_t n;

	pthread_mutex_lock(&d->lock);
	n = d->done;
	pthread_mutex_unlock(&d->lock);
	return n;
}

void download_free(struct download *d)
{
	struct cairn_err ignored;

	if (!d)
		return;
	(void)download_close(d, &ignored);
	if (d->fd >= 0)
		close(d->fd);
	store_blob_writer_free(d->writer);
	free(d->ring);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->changed);
	free(d);
}
