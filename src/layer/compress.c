/* Frames are gathered until there are enough for all threads, compressed at
 * once and written in order: the pool is busy with whatever produces the bytes
 * while frames gather.
 */
#include "compress.h"

#include <libdeflate.h>
#include <zstd.h>

#include "util/pool.h"
#include "util/vec.h"

#define FRAMES_MAX        16u /* gathered at once, in memory */
#define FRAMES_PER_THREAD 2u

/* One frame and what it takes to compress it; reused for every batch. */
struct frame {
	char *raw; /* COMPRESS_FRAME bytes */
	size_t raw_len;
	char *out; /* out_cap bytes; what came out */
	size_t out_len;
	ZSTD_CCtx *zstd;                       /* ZSTD */
	struct libdeflate_compressor *deflate; /* GZIP */
};

struct compressor {
	enum compress_kind kind;
	int level;
	struct pool *pool;
	const struct layer_sink *sink;
	size_t out_cap;
	struct frame frames[FRAMES_MAX];
	unsigned n_frames; /* that a batch may have */
	unsigned filled;   /* full frames of this batch; frames[filled] is being filled */
	struct sha256 hash;
	uint64_t raw_size, size;
	VEC(struct layer_frame) table;
};

const char *compress_name(enum compress_kind kind)
{
	static const char *const names[COMPRESS_N_] = { "none", "gzip", "zstd" };

	return names[kind];
}

static void frame_init(struct compressor *c, struct frame *f)
{
	f->raw = xmalloc(COMPRESS_FRAME);
	f->out = xmalloc(c->out_cap);
	if (c->kind == COMPRESS_GZIP) {
		f->deflate = libdeflate_alloc_compressor(c->level);
		if (!f->deflate)
			CAIRN_BUG("no gzip level %d", c->level);
		return;
	}
	f->zstd = ZSTD_createCCtx();
	if (!f->zstd ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(f->zstd, ZSTD_c_compressionLevel, c->level)))
		CAIRN_BUG("no zstd level %d", c->level);
}

struct compressor *compress_new(enum compress_kind kind, int level, struct pool *pool,
                                const struct layer_sink *sink)
{
	static const int defaults[COMPRESS_N_] = { 0, COMPRESS_GZIP_LEVEL, COMPRESS_ZSTD_LEVEL };
	struct compressor *c = xcalloc(1, sizeof(*c));
	unsigned n = pool ? pool_threads(pool) * FRAMES_PER_THREAD : 1;

	c->kind = kind;
	c->level = level ? level : defaults[kind];
	c->pool = pool;
	c->sink = sink;
	c->n_frames = n < FRAMES_MAX ? n : FRAMES_MAX;
	/* The bound of libdeflate 1.14 does not look at the compressor. */
	c->out_cap = kind == COMPRESS_GZIP ? libdeflate_gzip_compress_bound(NULL, COMPRESS_FRAME)
	                                   : ZSTD_compressBound(COMPRESS_FRAME);
	sha256_init(&c->hash);
	return c;
}

void compress_free(struct compressor *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		free(c->frames[i].raw);
		free(c->frames[i].out);
		ZSTD_freeCCtx(c->frames[i].zstd);
		libdeflate_free_compressor(c->frames[i].deflate);
	}
	vec_free(&c->table);
	free(c);
}

static int compress_frame(void *ctx, size_t i, struct cairn_err *err)
{
	const struct compressor *c = ctx;
	struct frame *f = &((struct compressor *)ctx)->frames[i];

	if (c->kind == COMPRESS_GZIP) {
		f->out_len = libdeflate_gzip_compress(f->deflate, f->raw, f->raw_len, f->out,
		                                      c->out_cap);
		return f->out_len ? 0 : cairn_fail(err, CAIRN_E_BUG, "gzip: frame too large");
	}
	f->out_len = ZSTD_compress2(f->zstd, f->out, c->out_cap, f->raw, f->raw_len);
	if (ZSTD_isError(f->out_len))
		return cairn_fail(err, CAIRN_E_BUG, "zstd: %s", ZSTD_getErrorName(f->out_len));
	return 0;
}

static int put_out(struct compressor *c, const char *p, size_t n, struct cairn_err *err)
{
	sha256_add(&c->hash, p, n);
	c->size += n;
	return c->sink->write(c->sink->ctx, p, n, err);
}

/* Compress and write the first n frames. */
static int write_batch(struct compressor *c, unsigned n, struct cairn_err *err)
{
	if (c->pool && n > 1)
		TRY(pool_map(c->pool, n, compress_frame, c, err));
	else
		for (unsigned i = 0; i < n; i++)
			TRY(compress_frame(c, i, err));
	for (unsigned i = 0; i < n; i++) {
		struct frame *f = &c->frames[i];

		vec_push(&c->table, (struct layer_frame){ c->size, c->raw_size });
		TRY(put_out(c, f->out, f->out_len, err));
		c->raw_size += f->raw_len;
		f->raw_len = 0;
	}
	c->filled = 0;
	return 0;
}

static int compress_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct compressor *c = ctx;
	const char *from = p;

	if (c->kind == COMPRESS_NONE) {
		c->raw_size += n;
		return put_out(c, p, n, err);
	}
	while (n) {
		struct frame *f = &c->frames[c->filled];
		size_t part = COMPRESS_FRAME - f->raw_len;

		if (!f->raw)
			frame_init(c, f);
		part = n < part ? n : part;
		memcpy(f->raw + f->raw_len, from, part);
		f->raw_len += part;
		from += part;
		n -= part;
		if (f->raw_len == COMPRESS_FRAME && ++c->filled == c->n_frames)
			TRY(write_batch(c, c->filled, err));
	}
	return 0;
}

struct layer_sink compress_sink(struct compressor *c)
{
	return (struct layer_sink){ compress_write, c };
}

int compress_finish(struct compressor *c, struct compress_result *ret, struct cairn_err *err)
{
	bool empty = c->table.len == 0 && c->filled == 0;

	if (c->kind != COMPRESS_NONE) {
		struct frame *last = &c->frames[c->filled];

		if (empty && !last->raw)
			frame_init(c, last);
		TRY(write_batch(c, c->filled + (last->raw_len > 0 || empty), err));
	}
	*ret = (struct compress_result){ .digest = sha256_end(&c->hash),
		                         .size = c->size,
		                         .raw_size = c->raw_size,
		                         .frames = c->table.ptr,
		                         .n_frames = c->table.len };
	return 0;
}
