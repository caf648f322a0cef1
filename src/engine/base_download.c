#include "base_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/pool.h"

struct download {
	struct bases *b;
	const struct reference *repo;
	const struct descriptor *blob;
	struct store_blob_writer *writer;
	int fd; /* the writer's file, for reading */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t done; /* bytes that can be read */
	uint64_t pos;  /* bytes that were read; the reader's own */
	bool ended;
	int result;
	struct cairn_err err;
};

static int take(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct download *d = ctx;

	TRY(bases_check_cancel(d->b, err));
	TRY(store_blob_writer_add(d->writer, p, n, err));
	pthread_mutex_lock(&d->lock);
	d->done += n;
	pthread_cond_broadcast(&d->changed);
	pthread_mutex_unlock(&d->lock);
	return 0;
}

static int transfer(struct download *d, struct cairn_err *err)
{
	struct registry_sink sink = { .write = take, .ctx = d };

	TRY(bases_check_cancel(d->b, err));
	TRY(registry_blob_get(bases_registry(d->b), d->repo, d->blob, &sink, err));
	TRY(store_blob_writer_commit(d->writer, NULL, NULL, err));
	return store_blob_source_put(d->b->opts.store, &d->blob->digest, str_of(d->repo->domain),
	                             str_of(d->repo->path), err);
}

static void end(struct download *d, int result, const struct cairn_err *err)
{
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

int download_new(struct bases *b, const struct reference *repo, const struct descriptor *blob,
                 struct pool *pool, struct download **ret, struct cairn_err *err)
{
	struct download *d = xcalloc(1, sizeof(*d));
	int r;

	*d = (struct download){ .b = b, .repo = repo, .blob = blob, .fd = -1 };
	if (pthread_mutex_init(&d->lock, NULL) || pthread_cond_init(&d->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	r = store_blob_writer_new(b->opts.store, &blob->digest, &d->writer, err);
	if (r == 0) {
		d->fd = fcntl(store_blob_writer_fd(d->writer), F_DUPFD_CLOEXEC, 0);
		if (d->fd < 0)
			r = cairn_fail_sys(err, "duplicate a descriptor");
	}
	if (r < 0) {
		download_free(d);
		return r;
	}
	pool_add(pool, (struct pool_task){ .run = run, .ctx = d });
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

static int read_some(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct download *d = ctx;
	uint64_t there = 0;
	ssize_t got;

	TRY(wait_bytes(d, &there, err));
	if (there < n)
		n = (size_t)there;
	do
		got = n ? pread(d->fd, p, n, (off_t)d->pos) : 0;
	while (got < 0 && errno == EINTR);
	if (got < 0 || (n && got == 0))
		return cairn_fail_sys(err, "read a downloaded layer");
	d->pos += (uint64_t)got;
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
	if (!d)
		return;
	if (d->fd >= 0)
		close(d->fd);
	store_blob_writer_free(d->writer);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->changed);
	free(d);
}
