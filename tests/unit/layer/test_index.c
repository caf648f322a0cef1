#include "layer_help.h"

static struct layer_index *sample(void)
{
	static const struct layer_xattr caps = { S("security.capability"), S("\1\0\0\2") };
	struct layer_entry e[] = {
		T_DIR("dev"),
		{ .path = S("dev/null"), .type = LAYER_CHAR, .mode = 0666, .major = 1, .minor = 3 },
		T_DIR("etc"),
		T_FILE("etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
		T_HARD("etc/passwd-", "etc/passwd", "root:x:0:0::/root:/bin/sh\n"),
		T_LINK("lib", "usr/lib"),
		T_GONE("old"),
		T_DIR("op"),
		T_FILE("ping", "bin"),
	};
	const str inlined[LAYER_INLINE_N_] = { S("root:x:0:0::/root:/bin/sh\n") };

	e[3].mtime = -1000000000;
	e[3].tar_offset = 512;
	e[4].tar_offset = LAYER_NO_OFFSET;
	e[7].opaque = true;
	e[8].xattrs = &caps;
	e[8].n_xattrs = 1;
	return layer_index_new(e, ARRAY_SIZE(e), inlined);
}

void test_index__encode_decode(void **state)
{
	const struct layer_frame frames[] = { { 0, 0 }, { 400, 1048576 } };
	struct layer_index *ix = sample(), *with, *back = NULL;
	uint64_t blob = 0, skip = 0;
	struct strbuf a, b;
	struct cairn_err err;

	(void)state;
	strbuf_init(&a, LAYER_INDEX_MAX);
	strbuf_init(&b, LAYER_INDEX_MAX);
	with = layer_index_with_frames(ix, frames, 2);
	layer_index_unref(ix); /* `with` keeps the entries */
	layer_index_encode(with, &a);
	assert_ok(layer_index_decode(strbuf_view(&a), &back, &err));
	layer_index_encode(back, &b);
	assert_true(str_eq(strbuf_view(&a), strbuf_view(&b)));
	assert_list(back, "d:dev c:dev/null d:etc f:etc/passwd h:etc/passwd->etc/passwd "
	                  "l:lib>usr/lib w:old d:op! f:ping");
	assert_int_equal(layer_index_find(back, S("etc/passwd"))->mtime, -1000000000);
	assert_int_equal(layer_index_find(back, S("dev/null"))->minor, 3);
	assert_int_equal(
		layer_entry_xattr(layer_index_find(back, S("ping")), S("security.capability")).len,
		4);
	assert_null(layer_index_find(back, S("etc/shadow")));
	assert_str(back->inlined[LAYER_INLINE_PASSWD], "root:x:0:0::/root:/bin/sh\n");
	assert_null(back->inlined[LAYER_INLINE_GROUP].ptr);
	assert_true(layer_index_seek(back, 1048580, &blob, &skip));
	assert_int_equal(blob, 400);
	assert_int_equal(skip, 4);
	assert_true(layer_index_seek(back, 1048575, &blob, &skip));
	assert_int_equal(blob, 0);
	layer_index_unref(with);
	layer_index_unref(back);
	strbuf_done(&a);
	strbuf_done(&b);
}

void test_index__every_damaged_byte_is_seen(void **state)
{
	struct layer_index *ix = sample(), *back = NULL;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, LAYER_INDEX_MAX);
	layer_index_encode(ix, &b);
	for (size_t i = 0; i < b.len; i++) {
		b.ptr[i] ^= 0x20;
		assert_fails(layer_index_decode(strbuf_view(&b), &back, &err), CAIRN_E_DIGEST);
		b.ptr[i] ^= 0x20;
		assert_fails(layer_index_decode(str_n(b.ptr, i), &back, &err), CAIRN_E_DIGEST);
	}
	b.ptr[8] = 9;
	assert_fails(layer_index_decode(strbuf_view(&b), &back, &err), CAIRN_E_DIGEST);
	assert_string_equal(err.msg,
	                    "layer index has format version 9; this cairn reads version 1");
	layer_index_unref(ix);
	strbuf_done(&b);
}

/* An index may come from anywhere: a right checksum proves nothing. */
void test_index__broken_invariants(void **state)
{
	static const struct {
		struct layer_entry e[2];
		size_t n;
		const char *says;
	} cases[] = {
		{ { { .path = { "a/b", 3 }, .type = LAYER_DIR } }, 1, "directory of an entry" },
		{ { { .path = { "a", 1 }, .type = LAYER_FIFO },
		    { .path = { "a/b", 3 }, .type = LAYER_FIFO } },
		  2,
		  "directory of an entry" },
		{ { { .path = { "a", 1 }, .type = LAYER_FILE } }, 1, "no digest" },
		{ { { .path = { "..", 2 }, .type = LAYER_FIFO } }, 1, "impossible path" },
		{ { { .path = { "/a", 2 }, .type = LAYER_FIFO } }, 1, "impossible path" },
		{ { { .path = { "", 0 }, .type = LAYER_FIFO } }, 1, "root" },
		{ { { .path = { "a", 1 }, .type = LAYER_SYMLINK } }, 1, "target" },
		{ { { .path = { "a", 1 },
		      .type = LAYER_HARDLINK,
		      .target = { "b", 1 },
		      .digest = { { 1 } } } },
		  1,
		  "hard link has no file" },
		{ { { .path = { "a", 1 }, .type = LAYER_FIFO, .mode = 010000 } }, 1, "mode" },
		{ { { .path = { "a", 1 }, .type = LAYER_FIFO, .opaque = true } }, 1, "opaque" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_index *ix = layer_index_new(cases[i].e, cases[i].n, NULL),
				   *back = NULL;
		struct cairn_err err;
		struct strbuf b;

		strbuf_init(&b, LAYER_INDEX_MAX);
		layer_index_encode(ix, &b);
		assert_fails(layer_index_decode(strbuf_view(&b), &back, &err), CAIRN_E_DIGEST);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("case %zu says '%s', not '%s'", i, err.msg, cases[i].says);
		layer_index_unref(ix);
		strbuf_done(&b);
	}
}

/* --chown=name must read what the image holds (DECISIONS.md 6, 25). */
void test_index__inlined_must_match_entry(void **state)
{
	const struct layer_entry e[] = { T_DIR("etc"), T_FILE("etc/passwd", "one") };
	const str lie[LAYER_INLINE_N_] = { S("two") };
	struct layer_index *ix = layer_index_new(e, 2, lie), *back = NULL;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, LAYER_INDEX_MAX);
	layer_index_encode(ix, &b);
	assert_fails(layer_index_decode(strbuf_view(&b), &back, &err), CAIRN_E_DIGEST);
	layer_index_unref(ix);
	strbuf_done(&b);
}

/* DECISIONS.md 8: mtimes and offsets are outside, everything else is inside. */
void test_index__content_digest(void **state)
{
	const struct layer_entry base = T_FILE("a", "x");
	struct layer_entry e = base;
	struct digest first, d;
	struct layer_index *ix;

	(void)state;
#define DIGEST_OF_E()                       \
	ix = layer_index_new(&e, 1, NULL);  \
	d = layer_index_content_digest(ix); \
	layer_index_unref(ix)
	DIGEST_OF_E();
	first = d;
	e.mtime = 7;
	e.tar_offset = 9;
	DIGEST_OF_E();
	assert_true(digest_eq(&d, &first));
#define DIFFERS(field, value) \
	e = base;             \
	e.field = value;      \
	DIGEST_OF_E();        \
	assert_false(digest_eq(&d, &first))
	DIFFERS(mode, 0600);
	DIFFERS(uid, 1);
	DIFFERS(gid, 1);
	DIFFERS(path, S("b"));
	DIFFERS(digest.b[0], (uint8_t)(base.digest.b[0] ^ 1));
}
