#include "compress.h"

#include <isa-l/igzip_lib.h>
#include <zstd.h>

#define IN_SIZE   (128u * 1024)
#define MAGIC_LEN 6u

struct decompressor {
	const struct layer_reader *in;
	uint64_t left; /* uncompressed bytes that may still come */
	uint64_t max;
	enum compress_kind kind;
	bool started;
	bool ended;            /* the source has ended */
	bool in_frame;         /* a member or frame has begun and not ended */
	unsigned char *buffer; /* IN_SIZE bytes */
	size_t at, have;       /* what is not consumed: [at, have) */
	struct inflate_state *gzip;
	ZSTD_DCtx *zstd;
};

struct decompressor *decompress_new(const struct layer_reader *in, uint64_t max_bytes)
{
	struct decompressor *d = xcalloc(1, sizeof(*d));

	d->in = in;
	d->left = d->max = max_bytes;
	d->buffer = xmalloc(IN_SIZE);
	return d;
}

void decompress_free(struct decompressor *d)
{
	if (!d)
		return;
	free(d->gzip);
	ZSTD_freeDCtx(d->zstd);
	free(d->buffer);
	free(d);
}

enum compress_kind decompress_kind(const struct decompressor *d)
{
	return d->kind;
}

static int fail_damaged(const struct decompressor *d, const char *why, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "%s data is damaged: %s", compress_name(d->kind),
	                  why);
}

/* More input, when all is consumed. */
static int fill(struct decompressor *d, struct cairn_err *err)
{
	if (d->at < d->have || d->ended)
		return 0;
	d->at = d->have = 0;
	TRY(d->in->read(d->in->ctx, d->buffer, IN_SIZE, &d->have, err));
	d->ended = d->have == 0;
	return 0;
}

static void begin_member(struct decompressor *d)
{
	isal_inflate_init(d->gzip);
	d->gzip->crc_flag = ISAL_GZIP; /* header and check sum are read, too */
}

static const char *gzip_failure(int code)
{
	static const struct {
		int code;
		const char *text;
	} texts[] = {
		{ ISAL_INVALID_BLOCK, "a block is invalid" },
		{ ISAL_INVALID_SYMBOL, "a symbol is invalid" },
		{ ISAL_INVALID_LOOKBACK, "it refers to bytes before its beginning" },
		{ ISAL_INVALID_WRAPPER, "a header is invalid" },
		{ ISAL_UNSUPPORTED_METHOD, "the method is not deflate" },
		{ ISAL_INCORRECT_CHECKSUM, "the check sum does not match" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (texts[i].code == code)
			return texts[i].text;
	return "no reason given";
}

/* The first bytes decide. */
static int start(struct decompressor *d, struct cairn_err *err)
{
	static const struct {
		const char *magic;
		size_t n;
		enum compress_kind kind;
		const char *unsupported;
	} magics[] = {
		{ "\x1f\x8b\x08", 3, COMPRESS_GZIP, NULL },
		{ "\x28\xb5\x2f\xfd", 4, COMPRESS_ZSTD, NULL },
		{ "\xfd"
		  "7zXZ",
		  6, COMPRESS_NONE, "xz" }, /* with its NUL */
	};

	TRY(layer_read_full(d->in, d->buffer, MAGIC_LEN, &d->have, err));
	for (size_t i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		if (d->have < magics[i].n || memcmp(d->buffer, magics[i].magic, magics[i].n) != 0)
			continue;
		if (magics[i].unsupported)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "a layer is compressed with %s; gzip and zstd are read",
			                  magics[i].unsupported);
		d->kind = magics[i].kind;
	}
	if (d->kind == COMPRESS_GZIP) {
		d->gzip = xmalloc(sizeof(*d->gzip));
		begin_member(d);
	} else if (d->kind == COMPRESS_ZSTD) {
		d->zstd = ZSTD_createDCtx();
		if (!d->zstd)
			CAIRN_BUG("zstd does not start");
	}
	d->started = true;
	return 0;
}

/* As much input as the buffer takes: ISA-L 2.30 does not believe the check sum of a header that
 * comes in two pieces. */
static int gather(struct decompressor *d, struct cairn_err *err)
{
	size_t more = 0;

	d->have -= d->at;
	memmove(d->buffer, d->buffer + d->at, d->have);
	d->at = 0;
	TRY(layer_read_full(d->in, d->buffer + d->have, IN_SIZE - d->have, &more, err));
	d->have += more;
	return 0;
}

/* Each of these puts 0 to n bytes at p; 0 with input left means "call again". */
static int some_gzip(struct decompressor *d, void *p, size_t n, size_t *ret_n,
                     struct cairn_err *err)
{
	const uint32_t room = (uint32_t)(n < UINT32_MAX ? n : UINT32_MAX);
	struct inflate_state *g = d->gzip;
	int r;

	if (!d->in_frame)
		TRY(gather(d, err));
	g->next_in = d->buffer + d->at;
	g->avail_in = (uint32_t)(d->have - d->at);
	g->next_out = p;
	g->avail_out = room;
	d->in_frame = true;
	r = isal_inflate(g);
	d->at = d->have - g->avail_in;
	*ret_n = room - g->avail_out;
	if (r < 0)
		return fail_damaged(d, gzip_failure(r), err);
	if (g->block_state == ISAL_BLOCK_FINISH) { /* another member may follow */
		d->in_frame = false;
		begin_member(d);
	}
	return 0;
}

static int some_zstd(struct decompressor *d, void *p, size_t n, size_t *ret_n,
                     struct cairn_err *err)
{
	ZSTD_inBuffer in = { d->buffer + d->at, d->have - d->at, 0 };
	ZSTD_outBuffer out = { p, n, 0 };
	size_t r = ZSTD_decompressStream(d->zstd, &out, &in);

	if (ZSTD_isError(r))
		return fail_damaged(d, ZSTD_getErrorName(r), err);
	d->at += in.pos;
	d->in_frame = r != 0;
	*ret_n = out.pos;
	return 0;
}

static int some_plain(struct decompressor *d, void *p, size_t n, size_t *ret_n)
{
	size_t have = d->have - d->at;

	n = n < have ? n : have;
	memcpy(p, d->buffer + d->at, n);
	d->at += n;
	*ret_n = n;
	return 0;
}

static int some(struct decompressor *d, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	switch (d->kind) {
	case COMPRESS_GZIP:
		return some_gzip(d, p, n, ret_n, err);
	case COMPRESS_ZSTD:
		return some_zstd(d, p, n, ret_n, err);
	case COMPRESS_NONE:
	case COMPRESS_N_:
		break;
	}
	return some_plain(d, p, n, ret_n);
}

static int decompress_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct decompressor *d = ctx;
	size_t got = 0;

	if (!d->started)
		TRY(start(d, err));
	while (got == 0) {
		TRY(fill(d, err));
		/* Output may be held back after all input was taken: asked once more. */
		if (d->at == d->have && !d->in_frame)
			break;
		TRY(some(d, p, n, &got, err));
		if (got == 0 && d->ended && d->in_frame)
			return fail_damaged(d, "it ends early", err);
	}
	if (got > d->left)
		return cairn_fail(err, CAIRN_E_DIGEST, "a layer has more than %llu bytes",
		                  (unsigned long long)d->max);
	d->left -= got;
	*ret_n = got;
	return 0;
}

struct layer_reader decompress_reader(struct decompressor *d)
{
	return (struct layer_reader){ decompress_read, d };
}
