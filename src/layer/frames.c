#include "frames.h"

#include <libdeflate.h>
#include <pthread.h>
#include <zstd.h>

#include "util/pool.h"

/* What a frame of COMPRESS_FRAME bytes can take at most, however little it can be compressed. */
#define COMPRESSED_MAX (COMPRESS_FRAME + COMPRESS_FRAME / 8 + 4096)

enum slot_state {
	SLOT_EMPTY, /* or being filled by the sink */
	SLOT_FULL,  /* whoever comes first decompresses it */
	SLOT_BUSY,  /* somebody does */
	SLOT_READY,
};

struct slot {
	struct frame_pipe *p;
	enum slot_state state;
	char *in, *out; /* in_len and out_len bytes are used */
	size_t in_cap, in_len, out_len;
	int result;
	struct cairn_err err;
	ZSTD_DCtx *zstd;
	struct libdeflate_decompressor *gzip;
};

struct frame_pipe {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned refs; /* the owner's and one for each task in the pool */
	struct frames_blob blob;
	struct pool *pool;
	struct slot slots[FRAME_SLOTS]; /* frame k is in slots[k % FRAME_SLOTS] */
	bool closed, ended;
	int result; /* of whoever brings the bytes */
	struct cairn_err err;
	/* The sink's own: */
	size_t filling;  /* number of the frame */
	uint64_t filled; /* bytes of it */
	/* The reader's own: */
	size_t reading;
	uint64_t taken;
};

static uint64_t compressed_size(const struct frames_blob *b, size_t k)
{
	return (k + 1 < b->n ? b->frames[k + 1].blob_offset : b->blob_size) -
	       b->frames[k].blob_offset;
}

static uint64_t raw_size(const struct frames_blob *b, size_t k)
{
	return (k + 1 < b->n ? b->frames[k + 1].tar_offset : b->tar_size) - b->frames[k].tar_offset;
}

bool frames_valid(const struct frames_blob *b)
{
	if (!b->n || b->frames[0].blob_offset || b->frames[0].tar_offset)
		return false;
	for (size_t k = 0; k < b->n; k++) {
		uint64_t blob_end = k + 1 < b->n ? b->frames[k + 1].blob_offset : b->blob_size;
		uint64_t tar_end = k + 1 < b->n ? b->frames[k + 1].tar_offset : b->tar_size;

		if (blob_end <= b->frames[k].blob_offset || tar_end < b->frames[k].tar_offset ||
		    compressed_size(b, k) > COMPRESSED_MAX || raw_size(b, k) > COMPRESS_FRAME)
			return false;
	}
	return true;
}

struct frame_pipe *frame_pipe_new(const struct frames_blob *b, struct pool *pool)
{
	struct frame_pipe *p = xcalloc(1, sizeof(*p));

	if (pthread_mutex_init(&p->lock, NULL) || pthread_cond_init(&p->changed, NULL))
		CAIRN_BUG("cannot create a lock");
	p->refs = 1;
	p->blob = *b;
	p->pool = pool;
	for (size_t i = 0; i < FRAME_SLOTS; i++)
		p->slots[i].p = p;
	return p;
}

static void unref(struct frame_pipe *p)
{
	bool last;

	pthread_mutex_lock(&p->lock);
	last = --p->refs == 0;
	pthread_mutex_unlock(&p->lock);
	if (!last)
		return;
	for (size_t i = 0; i < FRAME_SLOTS; i++) {
		free(p->slots[i].in);
		free(p->slots[i].out);
		ZSTD_freeDCtx(p->slots[i].zstd);
		libdeflate_free_decompressor(p->slots[i].gzip);
	}
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->changed);
	free(p);
}

/* --- a frame ------------------------------------------------------------------- */

static size_t inflate_gzip(struct slot *s)
{
	size_t used = 0;

	if (!s->gzip)
		s->gzip = libdeflate_alloc_decompressor();
	if (!s->gzip)
		CAIRN_BUG("libdeflate does not start");
	if (libdeflate_gzip_decompress_ex(s->gzip, s->in, s->in_len, s->out, s->out_len, &used,
	                                  NULL) != LIBDEFLATE_SUCCESS ||
	    used != s->in_len)
		return SIZE_MAX;
	return s->out_len; /* without room for the real size it would have failed */
}

static size_t inflate_zstd(struct slot *s)
{
	size_t n;

	if (!s->zstd)
		s->zstd = ZSTD_createDCtx();
	if (!s->zstd)
		CAIRN_BUG("zstd does not start");
	n = ZSTD_decompressDCtx(s->zstd, s->out, s->out_len, s->in, s->in_len);
	return ZSTD_isError(n) ? SIZE_MAX : n;
}

/* Called with the lock held and state BUSY; gives it up meanwhile. */
static void inflate_slot(struct slot *s)
{
	struct frame_pipe *p = s->p;
	bool gzip = s->in_len > 1 && (unsigned char)s->in[0] == 0x1f;
	size_t n;

	pthread_mutex_unlock(&p->lock);
	if (!s->out)
		s->out = xmalloc(COMPRESS_FRAME);
	n = gzip ? inflate_gzip(s) : inflate_zstd(s);
	pthread_mutex_lock(&p->lock);
	s->result = 0;
	if (n != s->out_len)
		s->result = cairn_fail(&s->err, CAIRN_E_DIGEST,
		                       "a frame of the layer is damaged or not what its index "
		                       "says");
	s->state = SLOT_READY;
	pthread_cond_broadcast(&p->changed);
}

/* A task that the reader has overtaken finds nothing to do, or does another frame's work. */
static int run(void *ctx, struct cairn_err *err)
{
	struct slot *s = ctx;
	struct frame_pipe *p = s->p;

	(void)err;
	pthread_mutex_lock(&p->lock);
	if (s->state == SLOT_FULL) {
		s->state = SLOT_BUSY;
		inflate_slot(s);
	}
	pthread_mutex_unlock(&p->lock);
	unref(p);
	return 0;
}

static void drop(void *ctx)
{
	unref(((struct slot *)ctx)->p);
}

/* --- the sink -------------------------------------------------------------------- */

static int wait_empty(struct frame_pipe *p, struct slot *s, struct cairn_err *err)
{
	bool closed;

	pthread_mutex_lock(&p->lock);
	while (s->state != SLOT_EMPTY && !p->closed)
		pthread_cond_wait(&p->changed, &p->lock);
	closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	return closed ? cairn_fail(err, CAIRN_E_CANCELLED, "stopped") : 0;
}

static void begin_frame(struct frame_pipe *p, struct slot *s, size_t size)
{
	if (s->in_cap < size) {
		free(s->in);
		s->in = xmalloc(size);
		s->in_cap = size;
	}
	s->in_len = size;
	s->out_len = (size_t)raw_size(&p->blob, p->filling);
}

static void frame_full(struct frame_pipe *p, struct slot *s)
{
	pthread_mutex_lock(&p->lock);
	s->state = SLOT_FULL;
	p->refs += p->pool != NULL;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
	if (p->pool)
		pool_add(p->pool, (struct pool_task){ .run = run, .drop = drop, .ctx = s });
	p->filling++;
	p->filled = 0;
}

static int sink_write(void *ctx, const void *bytes, size_t n, struct cairn_err *err)
{
	struct frame_pipe *p = ctx;
	const char *from = bytes;

	while (n) {
		struct slot *s = &p->slots[p->filling % FRAME_SLOTS];
		uint64_t size;
		size_t part;

		if (p->filling == p->blob.n)
			return cairn_fail(err, CAIRN_E_DIGEST, "the layer has more bytes than %llu",
			                  (unsigned long long)p->blob.blob_size);
		size = compressed_size(&p->blob, p->filling);
		TRY(wait_empty(p, s, err));
		if (!p->filled)
			begin_frame(p, s, (size_t)size);
		part = size - p->filled < n ? (size_t)(size - p->filled) : n;
		memcpy(s->in + p->filled, from, part);
		p->filled += part;
		from += part;
		n -= part;
		if (p->filled == size)
			frame_full(p, s);
	}
	return 0;
}

struct layer_sink frame_pipe_sink(struct frame_pipe *p)
{
	return (struct layer_sink){ sink_write, p };
}

void frame_pipe_end(struct frame_pipe *p, int result, const struct cairn_err *err)
{
	pthread_mutex_lock(&p->lock);
	p->ended = true;
	p->result = result;
	if (result < 0)
		p->err = *err;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

/* --- the reader -------------------------------------------------------------------- */

/* Until the frame that is read is decompressed; lock held. */
static int wait_ready(struct frame_pipe *p, struct slot *s, struct cairn_err *err)
{
	while (s->state != SLOT_READY) {
		if (s->state == SLOT_FULL) {
			s->state = SLOT_BUSY;
			inflate_slot(s);
		} else if (s->state == SLOT_EMPTY && p->ended) {
			if (p->result < 0) {
				*err = p->err;
				return err->code;
			}
			return cairn_fail(err, CAIRN_E_DIGEST, "the layer's blob ends early");
		} else {
			pthread_cond_wait(&p->changed, &p->lock);
		}
	}
	if (s->result < 0)
		*err = s->err;
	return s->result;
}

static int read_some(void *ctx, void *to, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct frame_pipe *p = ctx;
	struct slot *s;
	size_t part;
	int r;

	*ret_n = 0;
	while (*ret_n == 0 && p->reading < p->blob.n) {
		s = &p->slots[p->reading % FRAME_SLOTS];
		pthread_mutex_lock(&p->lock);
		r = wait_ready(p, s, err);
		pthread_mutex_unlock(&p->lock);
		TRY(r);
		part = s->out_len - (size_t)p->taken;
		part = part < n ? part : n;
		memcpy(to, s->out + p->taken, part);
		p->taken += part;
		*ret_n = part;
		if (p->taken < s->out_len)
			break;
		p->reading++;
		p->taken = 0;
		pthread_mutex_lock(&p->lock);
		s->state = SLOT_EMPTY;
		pthread_cond_broadcast(&p->changed);
		pthread_mutex_unlock(&p->lock);
	}
	return 0;
}

struct layer_reader frame_pipe_reader(struct frame_pipe *p)
{
	return (struct layer_reader){ read_some, p };
}

void frame_pipe_close(struct frame_pipe *p)
{
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->lock);
}

void frame_pipe_free(struct frame_pipe *p)
{
	if (!p)
		return;
	frame_pipe_close(p);
	unref(p);
}
