#include "layer_help.h"

#include "util/pool.h"

/* Bytes that compress, but not to nothing. */
static char *sample(size_t n)
{
	char *p = xmalloc(n + 1);
	uint32_t x = 1;

	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (char)('a' + (x >> 24) % 13);
	}
	return p;
}

/* Compress in odd pieces; *ret_blob is initialised here. */
static struct compress_result do_compress(enum compress_kind kind, unsigned threads, str raw,
                                          struct strbuf *ret_blob, struct layer_frame *frames)
{
	struct pool *pool = threads ? pool_new(threads) : NULL;
	struct layer_sink sink = { t_collect, ret_blob }, in;
	struct compress_result r;
	struct compressor *c;
	struct cairn_err err;

	strbuf_init(ret_blob, 64u << 20);
	c = compress_new(kind, 0, pool, &sink);
	in = compress_sink(c);
	for (size_t piece = 1; raw.len; piece = piece * 3 + 1) {
		size_t n = piece < raw.len ? piece : raw.len;

		assert_ok(in.write(in.ctx, raw.ptr, n, &err));
		raw = str_skip(raw, n);
	}
	assert_ok(compress_finish(c, &r, &err));
	if (r.n_frames)
		memcpy(frames, r.frames, r.n_frames * sizeof(*frames));
	r.frames = frames;
	compress_free(c);
	pool_free(pool);
	return r;
}

static int do_decompress(str blob, uint64_t max, size_t step, struct strbuf *ret_raw,
                         struct cairn_err *err)
{
	struct t_memory m = { blob, step };
	struct layer_reader in = { t_memory_read, &m }, out;
	struct decompressor *d = decompress_new(&in, max);
	char buf[5000];
	size_t n = 1;
	int r = 0;

	strbuf_init(ret_raw, 64u << 20);
	out = decompress_reader(d);
	while (r == 0 && n) {
		r = out.read(out.ctx, buf, sizeof(buf), &n, err);
		if (r == 0)
			strbuf_add(ret_raw, buf, n);
	}
	decompress_free(d);
	return r;
}

/* DECISIONS.md 14: the same bytes whatever the number of threads. */
void test_compress__round_trip_with_any_threads(void **state)
{
	static const size_t sizes[] = { 0,
		                        1,
		                        COMPRESS_FRAME - 1,
		                        COMPRESS_FRAME,
		                        COMPRESS_FRAME + 1,
		                        5 * COMPRESS_FRAME + 12345 };
	char *bytes = sample(6 * COMPRESS_FRAME);

	(void)state;
	for (enum compress_kind k = 0; k < COMPRESS_N_; k++)
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			struct layer_frame f1[8], f4[8];
			struct strbuf b0, b1, b4, raw;
			struct cairn_err err;
			str in = str_n(bytes, sizes[i]);
			struct compress_result r1 = do_compress(k, 1, in, &b1, f1);
			struct compress_result r4 = do_compress(k, 4, in, &b4, f4), r0;
			struct digest d;

			r0 = do_compress(k, 0, in, &b0, f4);
			assert_true(str_eq(strbuf_view(&b1), strbuf_view(&b4)));
			assert_true(str_eq(strbuf_view(&b1), strbuf_view(&b0)));
			assert_true(digest_eq(&r1.digest, &r4.digest));
			d = digest_of(b1.ptr, b1.len);
			assert_true(digest_eq(&r1.digest, &d));
			assert_int_equal(r1.size, b1.len);
			assert_int_equal(r0.raw_size, sizes[i]);
			if (k != COMPRESS_NONE)
				assert_int_equal(r1.n_frames,
				                 sizes[i] ? (sizes[i] + COMPRESS_FRAME - 1) /
				                                    COMPRESS_FRAME
				                          : 1);
			assert_ok(do_decompress(strbuf_view(&b1), sizes[i], 0, &raw, &err));
			assert_true(str_eq(strbuf_view(&raw), in));
			strbuf_done(&raw);
			/* every frame can be read alone: DECISIONS.md 24 */
			for (size_t n = 0; n < r1.n_frames; n++) {
				str rest = str_skip(strbuf_view(&b1), f1[n].blob_offset);

				assert_ok(do_decompress(rest, UINT64_MAX, 1000, &raw, &err));
				assert_true(
					str_eq(strbuf_view(&raw), str_skip(in, f1[n].tar_offset)));
				strbuf_done(&raw);
			}
			strbuf_done(&b0);
			strbuf_done(&b1);
			strbuf_done(&b4);
		}
	free(bytes);
}

/* The output is part of images' digests: another library version that gives other bytes
 * must be noticed. */
void test_compress__known_output(void **state)
{
	static const struct {
		enum compress_kind kind;
		const char *digest;
	} cases[] = {
		{ COMPRESS_GZIP,
		  "sha256:d2eabecc3628aba0e36f8dba8c3f9a94579de58b7b3ffc3bb5fc66c6bfae4e6f" },
		{ COMPRESS_ZSTD,
		  "sha256:68d45e6b88768fefd361e065ef58dd897919878f701456c68afea18573cc64c5" },
	};
	char *bytes = sample(3 * COMPRESS_FRAME);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_frame f[8];
		struct strbuf b;
		struct compress_result r =
			do_compress(cases[i].kind, 2, str_n(bytes, 3 * COMPRESS_FRAME), &b, f);

		assert_string_equal(digest_text(&r.digest).s, cases[i].digest);
		strbuf_done(&b);
	}
	free(bytes);
}

void test_compress__damaged_or_short(void **state)
{
	char *bytes = sample(100000);

	(void)state;
	for (enum compress_kind k = COMPRESS_GZIP; k < COMPRESS_N_; k++) {
		struct layer_frame f[8];
		struct strbuf b, raw;
		struct cairn_err err;

		(void)do_compress(k, 0, str_n(bytes, 100000), &b, f);
		for (size_t n = 8; n < b.len; n += b.len / 50) {
			assert_fails(do_decompress(str_n(b.ptr, n), UINT64_MAX, 0, &raw, &err),
			             CAIRN_E_DIGEST);
			strbuf_done(&raw);
		}
		strbuf_cstr(&b, "garbage after the end");
		assert_fails(do_decompress(strbuf_view(&b), UINT64_MAX, 0, &raw, &err),
		             CAIRN_E_DIGEST);
		strbuf_done(&raw);
		strbuf_done(&b);
	}
	free(bytes);
}

/* "hello" as a member with all that a header may have (its own check sum too), and as another
 * with none of it. */
#define GZIP_FULL                                                                                      \
	"\x1f\x8b\x08\x1e\x00\x00\x00\x00\x00\x03\x06\x00\x41\x42\x02\x00\x78\x79\x6e\x61\x6d\x65\x00" \
	"\x63\x6f\x6d\x6d\x65\x6e\x74\x00\xfb\x46\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36"         \
	"\x05\x00\x00\x00"
#define GZIP_PLAIN                                                                             \
	"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\x07\x00\x86\xa6\x10\x36" \
	"\x05\x00\x00\x00"

/* Members are read however they are written and in whatever pieces they come. */
void test_compress__gzip_of_others(void **state)
{
	static const char blob[] = GZIP_FULL GZIP_PLAIN GZIP_FULL;

	(void)state;
	for (size_t step = 1; step < sizeof(blob); step++) {
		struct strbuf raw;
		struct cairn_err err;

		assert_ok(do_decompress(str_n(blob, sizeof(blob) - 1), 100, step, &raw, &err));
		assert_str(strbuf_view(&raw), "hellohellohello");
		strbuf_done(&raw);
	}
}

/* A bomb stops at the limit. */
void test_compress__limit(void **state)
{
	char *zeros = xcalloc(1, 4 * COMPRESS_FRAME);

	(void)state;
	for (enum compress_kind k = 0; k < COMPRESS_N_; k++) {
		struct layer_frame f[8];
		struct strbuf b, raw;
		struct cairn_err err;

		(void)do_compress(k, 0, str_n(zeros, 4 * COMPRESS_FRAME), &b, f);
		assert_fails(do_decompress(strbuf_view(&b), COMPRESS_FRAME, 0, &raw, &err),
		             CAIRN_E_DIGEST);
		assert_in_range(raw.len, 0, COMPRESS_FRAME);
		strbuf_done(&raw);
		strbuf_done(&b);
	}
	free(zeros);
}

void test_compress__xz_is_named(void **state)
{
	struct strbuf raw;
	struct cairn_err err;

	(void)state;
	assert_fails(do_decompress(S("\xfd"
	                             "7zXZ\0rest"),
	                           UINT64_MAX, 0, &raw, &err),
	             CAIRN_E_UNSUPPORTED);
	strbuf_done(&raw);
}
