#include <pthread.h>

#include "layer_help.h"

#include "util/pool.h"

#define RAW_MAX (20 * COMPRESS_FRAME)

/* A blob and where its frames begin. */
struct sample {
	char *raw;
	size_t n;
	struct strbuf blob;
	struct layer_frame frames[64];
	struct frames_blob desc;
};

static void make_sample(struct sample *s, enum compress_kind kind, size_t n)
{
	struct layer_sink sink = { t_collect, &s->blob }, in;
	struct compress_result r;
	struct compressor *c;
	struct cairn_err err;
	uint32_t x = 7;

	s->raw = xmalloc(n + 1);
	s->n = n;
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		s->raw[i] = (char)('a' + (x >> 24) % 13);
	}
	strbuf_init(&s->blob, 64u << 20);
	c = compress_new(kind, 0, NULL, &sink);
	in = compress_sink(c);
	assert_ok(in.write(in.ctx, s->raw, n, &err));
	assert_ok(compress_finish(c, &r, &err));
	assert_true(r.n_frames <= ARRAY_SIZE(s->frames));
	memcpy(s->frames, r.frames, r.n_frames * sizeof(*r.frames));
	s->desc = (struct frames_blob){ s->frames, r.n_frames, s->blob.len, n };
	compress_free(c);
}

static void sample_done(struct sample *s)
{
	strbuf_done(&s->blob);
	free(s->raw);
}

/* Brings bytes into a pipe from a thread of its own. */
struct bringer {
	struct frame_pipe *pipe;
	str bytes;
	int result;
};

static void *bring(void *ctx)
{
	struct bringer *b = ctx;
	struct layer_sink sink = frame_pipe_sink(b->pipe);
	struct cairn_err err;

	for (size_t piece = 1; b->bytes.len && b->result == 0; piece = piece * 3 + 1) {
		size_t n = piece < b->bytes.len ? piece : b->bytes.len;

		b->result = sink.write(sink.ctx, b->bytes.ptr, n, &err);
		b->bytes = str_skip(b->bytes, n);
	}
	frame_pipe_end(b->pipe, b->result, &err);
	return NULL;
}

/* Read everything, or until it fails; at most `max` bytes, then close. */
static int pump(struct sample *s, str bytes, unsigned threads, size_t max, struct strbuf *out,
                struct cairn_err *err)
{
	struct pool *pool = threads ? pool_new(threads) : NULL;
	struct bringer b = { frame_pipe_new(&s->desc, pool), bytes, 0 };
	struct layer_reader in = frame_pipe_reader(b.pipe);
	pthread_t thread;
	char buf[70000];
	size_t n = 1;
	int r = 0;

	assert_int_equal(pthread_create(&thread, NULL, bring, &b), 0);
	while (r == 0 && n && out->len < max) {
		r = in.read(in.ctx, buf, sizeof(buf), &n, err);
		if (r == 0)
			strbuf_add(out, buf, n);
	}
	frame_pipe_close(b.pipe);
	assert_int_equal(pthread_join(thread, NULL), 0);
	frame_pipe_free(b.pipe);
	pool_free(pool);
	return r;
}

void test_frames__round_trip(void **state)
{
	static const size_t sizes[] = { 1, COMPRESS_FRAME, 3 * COMPRESS_FRAME + 1, RAW_MAX };

	(void)state;
	for (enum compress_kind k = COMPRESS_GZIP; k < COMPRESS_N_; k++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
			for (unsigned threads = 0; threads < 4; threads++) {
				struct sample s;
				struct strbuf out;
				struct cairn_err err;

				make_sample(&s, k, sizes[i]);
				assert_true(frames_valid(&s.desc));
				strbuf_init(&out, RAW_MAX + 1);
				assert_ok(pump(&s, strbuf_view(&s.blob), threads, SIZE_MAX, &out,
				               &err));
				assert_int_equal(out.len, s.n);
				assert_memory_equal(out.ptr, s.raw, s.n);
				strbuf_done(&out);
				sample_done(&s);
			}
}

/* A reader that gives up ends whoever brings the bytes. */
void test_frames__close(void **state)
{
	struct sample s;
	struct strbuf out;
	struct cairn_err err;

	(void)state;
	make_sample(&s, COMPRESS_ZSTD, RAW_MAX);
	strbuf_init(&out, RAW_MAX);
	assert_ok(pump(&s, strbuf_view(&s.blob), 2, 1000, &out, &err));
	strbuf_done(&out);
	sample_done(&s);
}

void test_frames__damaged(void **state)
{
	(void)state;
	for (int k = 0; k < 5; k++) {
		struct sample s;
		struct strbuf out;
		struct cairn_err err;
		str bytes;

		make_sample(&s, COMPRESS_ZSTD, 3 * COMPRESS_FRAME);
		bytes = strbuf_view(&s.blob);
		if (k == 0) /* ends early */
			bytes.len -= 10;
		if (k == 1) /* not a frame */
			s.blob.ptr[s.frames[1].blob_offset] ^= 1;
		if (k == 2) /* another size than the table says */
			s.frames[1].tar_offset -= 5;
		if (k == 3) /* begins elsewhere */
			s.frames[2].blob_offset += 1;
		if (k == 4) /* longer than promised */
			s.desc.tar_size -= 1;
		strbuf_init(&out, RAW_MAX);
		assert_fails(pump(&s, bytes, 2, SIZE_MAX, &out, &err), CAIRN_E_DIGEST);
		strbuf_done(&out);
		sample_done(&s);
	}
}

void test_frames__valid(void **state)
{
	static const struct {
		struct layer_frame frames[3];
		size_t n;
		uint64_t blob, tar;
		bool valid;
	} cases[] = {
		{ { { 0, 0 } }, 1, 100, 1024, true },
		{ { { 0, 0 }, { 50, 1048576 } }, 2, 100, 1048577, true },
		{ { { 0, 0 } }, 0, 100, 1024, false },                    /* none */
		{ { { 1, 0 } }, 1, 100, 1024, false },                    /* not from the start */
		{ { { 0, 5 } }, 1, 100, 1024, false },                    /* the same for the tar */
		{ { { 0, 0 } }, 1, 100, 1048577, false },                 /* too large */
		{ { { 0, 0 } }, 1, 4000000, 1024, false },                /* compressed as well */
		{ { { 0, 0 }, { 50, 1048576 } }, 2, 50, 1048577, false }, /* the last is empty */
		{ { { 0, 0 }, { 50, 100 }, { 40, 200 } }, 3, 100, 300, false }, /* not in order */
		{ { { 0, 0 }, { 50, 200 }, { 60, 100 } }, 3, 100, 300, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct frames_blob b = { cases[i].frames, cases[i].n, cases[i].blob,
			                       cases[i].tar };

		if (frames_valid(&b) != cases[i].valid)
			fail_msg("case %zu", i);
	}
}
