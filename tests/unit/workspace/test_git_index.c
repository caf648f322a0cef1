/* git's index, made by hand. */
#include "harness.h"

#include "workspace/git_index.h"

#include "util/strbuf.h"

#define SHA1   20
#define SHA256 32

static void put16(struct strbuf *b, unsigned v)
{
	strbuf_char(b, (char)(v >> 8));
	strbuf_char(b, (char)v);
}

static void put32(struct strbuf *b, unsigned v)
{
	put16(b, v >> 16);
	put16(b, v & 0xffffu);
}

static void put_zeros(struct strbuf *b, size_t n)
{
	while (n--)
		strbuf_char(b, '\0');
}

static void put_header(struct strbuf *b, unsigned version, unsigned n)
{
	strbuf_add(b, "DIRC", 4);
	put32(b, version);
	put32(b, n);
}

struct made {
	const char *path; /* of version 4: what follows the part that is kept */
	unsigned cut;     /* of version 4: how much of the path before is not */
	unsigned mode, size, flags, more;
	unsigned sec, ns;
};

static void put_entry(struct strbuf *b, const struct made *m, unsigned version, size_t hash_len)
{
	size_t start = b->len;

	put_zeros(b, 8); /* ctime */
	put32(b, m->sec);
	put32(b, m->ns);
	put_zeros(b, 8); /* dev, ino */
	put32(b, m->mode);
	put_zeros(b, 8); /* uid, gid */
	put32(b, m->size);
	put_zeros(b, hash_len);
	put16(b, m->flags | (m->more ? 0x4000u : 0));
	if (m->more)
		put16(b, m->more);
	if (version == 4) {
		if (m->cut > 127)
			strbuf_char(b, (char)(0x80u | ((m->cut >> 7) - 1)));
		strbuf_char(b, (char)(m->cut & 127u));
	}
	strbuf_add(b, m->path, strlen(m->path));
	strbuf_char(b, '\0');
	while (version < 4 && (b->len - start) % 8)
		strbuf_char(b, '\0');
}

static void describe(const struct git_index *all, struct strbuf *out)
{
	vec_foreach (e, &all->entries)
		strbuf_printf(out, "%.*s %o %u %lld%s%s\n", STR(e->path), e->mode, e->size,
		              (long long)e->mtime_ns, e->conflict ? " conflict" : "",
		              e->assumed ? " assumed" : "");
}

static const struct made plain[] = {
	{ "a", 0, 0100644, 5, 1, 0, 1, 2 },
	{ "dir/file", 0, 0100755, 6, 8 | 0x1000, 0, 3, 0 },
	{ "dir/file", 0, 0100755, 7, 8 | 0x2000, 0, 3, 0 },
	{ "dir/skipped", 0, 0120000, 1, 11, 0x4000, 4, 0 },
	{ "dir/wanted", 0, 0100644, 0, 10, 0x2000, 4, 0 },
	{ "old", 0, 0100644, 1, 3 | 0x8000, 0, 4, 0 },
	{ "sub", 0, 0160000, 0, 3, 0, 0, 0 },
};

static const struct made packed[] = {
	{ "a", 0, 0100644, 5, 1, 0, 1, 2 },
	{ "dir/file", 1, 0100755, 6, 8 | 0x1000, 0, 3, 0 },
	{ "", 0, 0100755, 7, 8 | 0x2000, 0, 3, 0 },
	{ "skipped", 4, 0120000, 1, 11, 0x4000, 4, 0 },
	{ "wanted", 7, 0100644, 0, 10, 0x2000, 4, 0 },
	{ "old", 10, 0100644, 1, 3 | 0x8000, 0, 4, 0 },
	{ "sub", 3, 0160000, 0, 3, 0, 0, 0 },
};

static const char said[] = "a 100644 5 1000000002\n"
			   "dir/file 100755 6 3000000000 conflict\n"
			   "dir/file 100755 7 3000000000 conflict\n"
			   "dir/skipped 120000 1 4000000000 assumed\n"
			   "dir/wanted 100644 0 0\n"
			   "old 100644 1 4000000000 assumed\n"
			   "sub 160000 0 0\n";

static void put_index(struct strbuf *b, unsigned version, size_t hash_len)
{
	put_header(b, version, ARRAY_SIZE(plain));
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		put_entry(b, version == 4 ? &packed[i] : &plain[i], version, hash_len);
	strbuf_add(b, "TREE", 4);
	put32(b, 3);
	strbuf_add(b, "abc", 3);
	put_zeros(b, hash_len);
}

static const struct {
	unsigned version;
	size_t hash_len;
} kinds[] = { { 3, SHA1 }, { 4, SHA1 }, { 3, SHA256 }, { 4, SHA256 } };

void test_git_index__versions(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf bytes, got;
		struct git_index all = { 0 };
		struct cairn_err err;

		strbuf_init(&bytes, 65536);
		strbuf_init(&got, 65536);
		put_index(&bytes, kinds[i].version, kinds[i].hash_len);
		assert_ok(git_index_parse(strbuf_view(&bytes), kinds[i].hash_len, a, &all, &err));
		describe(&all, &got);
		assert_string_equal(got.ptr, said);
		git_index_done(&all);
	}
}

void test_git_index__long_cut(void **state)
{
	char name[301];
	const struct made list[] = { { name, 0, 0100644, 1, 300, 0, 1, 0 },
		                     { "z", 299, 0100644, 1, 2, 0, 1, 0 } };
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf bytes;
	struct git_index all = { 0 };
	struct cairn_err err;

	(void)state;
	memset(name, 'b', 300);
	name[300] = '\0';
	strbuf_init(&bytes, 65536);
	put_header(&bytes, 4, 2);
	put_entry(&bytes, &list[0], 4, SHA1);
	put_entry(&bytes, &list[1], 4, SHA1);
	put_zeros(&bytes, SHA1);
	assert_ok(git_index_parse(strbuf_view(&bytes), SHA1, a, &all, &err));
	assert_true(str_is(all.entries.ptr[1].path, "bz"));
	git_index_done(&all);
}

/* Cut anywhere, and with any byte changed: an answer, and no byte that is not there is read. */
void test_git_index__damaged(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		cleanup_strbuf struct strbuf bytes;
		struct cairn_err err;

		strbuf_init(&bytes, 65536);
		put_index(&bytes, kinds[i].version, kinds[i].hash_len);
		for (size_t n = 0; n < bytes.len * 2; n++) {
			cleanup_arena struct arena *a = arena_new();
			size_t len = n < bytes.len ? n : bytes.len;
			cleanup_free char *copy = xmalloc(len + 1);
			struct git_index all = { 0 };

			memcpy(copy, bytes.ptr, len);
			if (n >= bytes.len)
				copy[n - bytes.len] = (char)~copy[n - bytes.len];
			if (git_index_parse(str_n(copy, len), kinds[i].hash_len, a, &all, &err) ==
			    0)
				git_index_done(&all);
			else
				assert_true(err.code == CAIRN_E_DIGEST ||
				            err.code == CAIRN_E_UNSUPPORTED);
		}
	}
}

void test_git_index__for_git_alone(void **state)
{
	static const char *const extensions[] = { "link", "sdir" };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(extensions); i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf bytes;
		struct git_index all = { 0 };

		strbuf_init(&bytes, 65536);
		put_header(&bytes, 2, 1);
		put_entry(&bytes, &plain[0], 2, SHA1);
		strbuf_add(&bytes, extensions[i], 4);
		put32(&bytes, 0);
		put_zeros(&bytes, SHA1);
		assert_fails(git_index_parse(strbuf_view(&bytes), SHA1, a, &all, &err),
		             CAIRN_E_UNSUPPORTED);
	}
}
