#include "harness.h"

#include <sys/stat.h>

#include "layer/layer.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/map.h"
#include "util/pool.h"

static struct cairn_err err;

#define OLD  1600000000ll /* seconds; long ago: times that are trusted */
#define NSEC 123456789

/* Packs as a remote would keep them: digest -> bytes. */
struct packs {
	struct map blobs; /* -> struct strbuf */
	uint64_t fetched; /* bytes */
	bool corrupt;
	bool cut;
};

static int keep_bytes(void *ctx, const void *p, size_t n, struct cairn_err *e)
{
	(void)e;
	strbuf_add(ctx, p, n);
	return 0;
}

static int fetch(void *ctx, const struct snapshot_pack *pack, const struct layer_sink *sink,
                 struct cairn_err *e)
{
	struct packs *k = ctx;
	struct strbuf *b = map_get(&k->blobs, str_n((const char *)pack->digest.b, DIGEST_LEN));
	cleanup_free char *copy = NULL;
	size_t n;

	assert_non_null(b);
	assert_int_equal(b->len, pack->size);
	n = k->cut ? b->len / 2 : b->len;
	copy = str_dup(strbuf_view(b));
	if (k->corrupt)
		copy[b->len / 2] ^= 0x55;
	__atomic_add_fetch(&k->fetched, b->len, __ATOMIC_RELAXED);
	for (size_t at = 0; at < n; at += 1000) /* in odd pieces */
		TRY(sink->write(sink->ctx, copy + at, n - at < 1000 ? n - at : 1000, e));
	return 0;
}

static void packs_done(struct packs *k)
{
	map_foreach (e, &k->blobs) {
		strbuf_done(e->value);
		free(e->value);
	}
	map_done(&k->blobs);
}

/* Scan `dir` and make a snapshot of it; the new blobs go to k. */
static struct snapshot *keep(struct packs *k, const char *dir, const struct snapshot_base *base,
                             struct snapshot_scan *ret_scan, uint64_t *ret_new)
{
	cleanup_snapshot_scan struct snapshot_scan scan = { 0 };
	cleanup_snapshot_delta struct snapshot_delta *d = NULL;
	struct snapshot *s;
	cleanup_fd int fd = -1;

	assert_ok(fs_open_dir(harness_dirfd(), dir, &fd, &err));
	assert_ok(snapshot_scan(fd, base, NULL, &scan, &err));
	assert_ok(snapshot_delta_new(&scan, base ? base->snapshot : NULL, 0, &d, &err));
	*ret_new = 0;
	for (size_t i = 0; i < snapshot_delta_packs(d); i++) {
		struct strbuf *b = xcalloc(1, sizeof(*b)), *was;
		struct layer_sink sink = { keep_bytes, b };

		strbuf_init(b, 64u << 20);
		assert_ok(snapshot_delta_write(d, i, fd, &sink, &err));
		assert_int_equal(b->len, snapshot_delta_pack(d, i)->size);
		*ret_new += b->len;
		was = map_put(&k->blobs,
		              str_n((const char *)snapshot_delta_pack(d, i)->digest.b, DIGEST_LEN),
		              b);
		if (was)
			strbuf_done(was);
		free(was);
	}
	s = snapshot_delta_finish(d, 42);
	if (ret_scan) {
		*ret_scan = scan;
		scan = (struct snapshot_scan){ 0 };
	}
	return s;
}

static int back(struct packs *k, const struct snapshot *s, const char *dir,
                const struct snapshot_base *old, int old_fd)
{
	struct snapshot_restore o = { .fetch = fetch, .ctx = k, .old_dirfd = old_fd };
	cleanup_fd int fd = -1;
	uint64_t fetched = 0;
	struct pool *pool = pool_new(2);
	int r;

	assert_int_equal(mkdirat(harness_dirfd(), dir, 0700), 0);
	assert_ok(fs_open_dir(harness_dirfd(), dir, &fd, &err));
	o.out_dirfd = fd;
	o.pool = pool;
	if (old)
		o.old = *old;
	r = snapshot_restore(s, &o, &fetched, &err);
	pool_free(pool);
	return r;
}

static void set_time(const char *path, int64_t s)
{
	const struct timespec t[2] = { { s, NSEC }, { s, NSEC } };

	assert_int_equal(utimensat(harness_dirfd(), path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static void make_file(const char *path, size_t n, unsigned seed)
{
	cleanup_free char *bytes = xmalloc(n + 1);
	uint32_t x = seed * 2654435761u + 1;

	for (size_t i = 0; i < n; i++) { /* does not compress */
		x = x * 1664525u + 1013904223u;
		bytes[i] = (char)(x >> 24);
	}
	harness_write(path, str_n(bytes, n));
	set_time(path, OLD + seed);
}

static void make_tree(void)
{
	int fd = harness_dirfd();

	make_file("d/a/one", 5000, 1);
	make_file("d/a/two", 70000, 2);
	make_file("d/same", 70000, 2);
	make_file("d/empty", 0, 3);
	make_file("d/big", SNAPSHOT_PACK + 12345, 4);
	make_file("d/z/deep/er/x", 10, 5);
	assert_int_equal(symlinkat("../one", fd, "d/a/link"), 0);
	set_time("d/a/link", OLD + 9);
	assert_int_equal(symlinkat("/etc/passwd", fd, "d/z/out"), 0);
	set_time("d/z/out", OLD + 10);
	assert_int_equal(linkat(fd, "d/a/two", fd, "d/z/hard", 0), 0);
	assert_int_equal(fchmodat(fd, "d/a/one", 04750, 0), 0);
	assert_int_equal(fchmodat(fd, "d/z", 02711, 0), 0);
	assert_int_equal(mkfifoat(fd, "d/pipe", 0600), 0);
	set_time("d/z/deep", OLD + 11);
	set_time("d/a", OLD + 12);
	set_time("d", OLD + 13);
}

/* Both directories say the same, as far as a snapshot can tell. */
static void assert_same(const char *a, const char *b)
{
	cleanup_snapshot_scan struct snapshot_scan x = { 0 }, y = { 0 };
	cleanup_strbuf struct strbuf p, q;
	cleanup_fd int fa = -1, fb = -1;

	assert_ok(fs_open_dir(harness_dirfd(), a, &fa, &err));
	assert_ok(fs_open_dir(harness_dirfd(), b, &fb, &err));
	assert_ok(snapshot_scan(fa, NULL, NULL, &x, &err));
	assert_ok(snapshot_scan(fb, NULL, NULL, &y, &err));
	strbuf_init(&p, 1u << 20);
	strbuf_init(&q, 1u << 20);
	layer_index_encode(x.index, &p);
	layer_index_encode(y.index, &q);
	assert_true(str_eq(strbuf_view(&p), strbuf_view(&q)));
}

static struct snapshot *again(const struct snapshot *s)
{
	cleanup_strbuf struct strbuf b;
	struct snapshot *copy = NULL;

	strbuf_init(&b, SNAPSHOT_MAX);
	snapshot_encode(s, &b);
	assert_ok(snapshot_decode(strbuf_view(&b), &copy, &err));
	return copy;
}

void test_snapshot_round_trip__all_kinds(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot_scan struct snapshot_scan scan = { 0 };
	cleanup_snapshot struct snapshot *s = NULL, *copy = NULL;
	uint64_t new;
	struct stat a, b;

	(void)state;
	make_tree();
	s = keep(&k, "d", NULL, &scan, &new);
	assert_int_equal(scan.left_out, 1);
	assert_int_equal(s->bytes, 5000 + 70000 + 70000 + SNAPSHOT_PACK + 12345 + 10);
	/* equal contents once: two packs of the large file, one of the others */
	assert_int_equal(s->n_packs, 3);
	copy = again(s);
	assert_int_equal(copy->created, 42);
	assert_ok(back(&k, copy, "e", NULL, -1));
	assert_same("d", "e");
	assert_int_equal(fstatat(harness_dirfd(), "e/a/two", &a, 0), 0);
	assert_int_equal(fstatat(harness_dirfd(), "e/z/hard", &b, 0), 0);
	assert_int_equal(a.st_ino, b.st_ino);
	assert_int_equal(a.st_mtim.tv_nsec, NSEC);
	assert_int_equal(fstatat(harness_dirfd(), "e/a/one", &a, 0), 0);
	assert_int_equal(a.st_mode & 07777, 04750);
	packs_done(&k);
}

void test_snapshot_delta__only_what_changed(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot_scan struct snapshot_scan scan = { 0 }, next = { 0 };
	cleanup_snapshot struct snapshot *s = NULL, *t = NULL, *u = NULL;
	struct snapshot_base base = { 0 };
	uint64_t new;

	(void)state;
	make_tree();
	s = keep(&k, "d", NULL, &scan, &new);
	assert_true(new > SNAPSHOT_PACK);
	base = (struct snapshot_base){ s, scan.stats };
	/* nothing: nothing is read, nothing is new */
	t = keep(&k, "d", &base, &next, &new);
	assert_int_equal(new, 0);
	assert_int_equal(next.read, 0);
	snapshot_scan_done(&next);
	/* one more file, one moved, one whose time changed */
	make_file("d/new", 3000, 77);
	assert_int_equal(renameat(harness_dirfd(), "d/big", harness_dirfd(), "d/moved"), 0);
	set_time("d/a/one", OLD + 100);
	u = keep(&k, "d", &base, &next, &new);
	assert_true(new > 3000 && new < 3200);
	assert_int_equal(next.read, 3000 + 5000 + SNAPSHOT_PACK + 12345);
	assert_ok(back(&k, u, "e", NULL, -1));
	assert_same("d", "e");
	packs_done(&k);
}

void test_snapshot_delta__repacks_what_is_mostly_waste(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot struct snapshot *s = NULL, *t = NULL, *u = NULL;
	struct snapshot_stat none[64] = { { 0 } };
	struct snapshot_base base;
	uint64_t new;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "d/f%u", i);
		make_file(path, 100000, 10 + i);
	}
	s = keep(&k, "d", NULL, NULL, &new);
	assert_int_equal(s->n_packs, 1);
	base = (struct snapshot_base){ s, none };
	for (unsigned i = 0; i < 4; i++) {
		char path[32];

		(void)snprintf(path, sizeof(path), "d/f%u", i);
		assert_int_equal(unlinkat(harness_dirfd(), path, 0), 0);
	}
	t = keep(&k, "d", &base, NULL, &new); /* six of ten: stays */
	assert_int_equal(new, 0);
	assert_int_equal(t->n_packs, 1);
	assert_ok(back(&k, t, "e", NULL, -1));
	assert_same("d", "e");
	assert_int_equal(unlinkat(harness_dirfd(), "d/f4", 0), 0);
	assert_int_equal(unlinkat(harness_dirfd(), "d/f5", 0), 0);
	base.snapshot = t;
	u = keep(&k, "d", &base, NULL, &new); /* four of ten: made new */
	assert_true(new > 400000 && new < 401000);
	assert_int_equal(u->n_packs, 1);
	assert_int_equal(u->packs[0].raw, 400000);
	packs_done(&k);
}

void test_snapshot_delta__puts_small_packs_together(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot struct snapshot *s = NULL;
	struct snapshot_stat none[64] = { { 0 } };
	uint64_t new;
	size_t most = 0;

	(void)state;
	for (unsigned i = 0; i < 2 * SNAPSHOT_SMALL_MAX; i++) {
		struct snapshot_base base = { s, none };
		struct snapshot *t;
		char path[32];

		(void)snprintf(path, sizeof(path), "d/f%u", i);
		make_file(path, 1000, 10 + i);
		t = keep(&k, "d", &base, NULL, &new);
		snapshot_free(s);
		s = t;
		most = s->n_packs > most ? s->n_packs : most;
	}
	assert_true(most <= SNAPSHOT_SMALL_MAX + 1);
	assert_ok(back(&k, s, "e", NULL, -1));
	assert_same("d", "e");
	packs_done(&k);
}

void test_snapshot_restore__takes_what_an_older_state_has(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot_scan struct snapshot_scan scan = { 0 };
	cleanup_snapshot struct snapshot *s = NULL, *t = NULL;
	cleanup_free struct snapshot_stat *stats = NULL;
	struct snapshot_base old;
	cleanup_fd int fd = -1;
	uint64_t new;

	(void)state;
	make_tree();
	s = keep(&k, "d", NULL, &scan, &new);
	assert_ok(back(&k, s, "old", NULL, -1));
	make_file("d/new", 3000, 77);
	set_time("d/same", OLD + 50);
	old = (struct snapshot_base){ s, scan.stats };
	t = keep(&k, "d", &old, NULL, &new);
	assert_ok(fs_open_dir(harness_dirfd(), "old", &fd, &err));
	assert_ok(snapshot_stats(fd, s->index, &stats, &err));
	old.stats = stats;
	k.fetched = 0;
	assert_ok(back(&k, t, "e", &old, fd));
	assert_same("d", "e");
	assert_true(k.fetched < 3200);
	packs_done(&k);
}

void test_snapshot_restore__damaged_packs_are_refused(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot struct snapshot *s = NULL;
	uint64_t new;

	(void)state;
	make_file("d/one", 50000, 1);
	make_file("d/two", 50000, 2);
	s = keep(&k, "d", NULL, NULL, &new);
	k.corrupt = true;
	assert_fails(back(&k, s, "e", NULL, -1), CAIRN_E_DIGEST);
	k.corrupt = false;
	k.cut = true;
	assert_fails(back(&k, s, "f", NULL, -1), CAIRN_E_DIGEST);
	packs_done(&k);
}

/* --- documents from elsewhere --- */

#define D(n)               \
	{                  \
		.b = { n } \
	}
#define FILE_(p, s, at, d)                                                                         \
	{                                                                                          \
		.path = { p, sizeof(p) - 1 }, .type = LAYER_FILE, .size = (s), .tar_offset = (at), \
		.digest = D(d)                                                                     \
	}
#define ROOT                                                                                      \
	{                                                                                         \
		.path = { "", 0 }, .type = LAYER_DIR, .mode = 0755, .tar_offset = LAYER_NO_OFFSET \
	}

struct doc {
	const char *why; /* NULL: it is fine */
	struct layer_entry entries[4];
	size_t n;
	struct snapshot_pack packs[3];
	size_t n_packs;
};

#define PACK(r)                                         \
	{                                               \
		.digest = D(9), .size = 100, .raw = (r) \
	}

static const struct doc docs[] = {
	{ NULL, { ROOT, FILE_("a", 10, 0, 1) }, 2, { PACK(10) }, 1 },
	{ NULL, { ROOT, FILE_("a", 10, 0, 1), FILE_("b", 10, 0, 1) }, 3, { PACK(10) }, 1 },
	{ NULL,
	  { ROOT, FILE_("a", SNAPSHOT_PACK + 5, 7, 1) },
	  2,
	  { PACK(7), PACK(SNAPSHOT_PACK), PACK(5) },
	  3 },
	{ "root", { FILE_("a", 10, 0, 1) }, 1, { PACK(10) }, 1 },
	{ "nowhere", { ROOT, FILE_("a", 10, LAYER_NO_OFFSET, 1) }, 2, { PACK(10) }, 1 },
	{ "beyond", { ROOT, FILE_("a", 10, 1, 1) }, 2, { PACK(10) }, 1 },
	{ "beyond", { ROOT, FILE_("a", 1ull << 43, 1ull << 43, 1) }, 2, { PACK(10) }, 1 },
	{ "across packs", { ROOT, FILE_("a", 10, 0, 1) }, 2, { PACK(5), PACK(5) }, 2 },
	{ "across each", { ROOT, FILE_("a", 10, 0, 1), FILE_("b", 10, 5, 2) }, 3, { PACK(20) }, 1 },
	{ "across each", { ROOT, FILE_("a", 10, 0, 1), FILE_("b", 10, 0, 2) }, 3, { PACK(20) }, 1 },
	{ "across each", { ROOT, FILE_("a", 10, 0, 1), FILE_("b", 5, 0, 1) }, 3, { PACK(20) }, 1 },
	{ "fill its packs",
	  { ROOT, FILE_("a", SNAPSHOT_PACK + 5, 7, 1) },
	  2,
	  { PACK(8), PACK(SNAPSHOT_PACK), PACK(5) },
	  3 },
	{ "fill its packs",
	  { ROOT, FILE_("a", SNAPSHOT_PACK + 5, 0, 1) },
	  2,
	  { PACK(SNAPSHOT_PACK), PACK(6) },
	  2 },
	{ "impossible size", { ROOT }, 1, { PACK(SNAPSHOT_PACK + 1) }, 1 },
	{ "impossible size", { ROOT }, 1, { PACK(0) }, 1 },
	{ "impossible size", { ROOT }, 1, { { .digest = D(9), .size = 1u << 30, .raw = 5 } }, 1 },
	{ "no digest", { ROOT }, 1, { { .size = 5, .raw = 5 } }, 1 },
	{ "something else",
	  { ROOT, { .path = { "dev", 3 }, .type = LAYER_CHAR, .major = 1, .minor = 3 } },
	  2,
	  { PACK(1) },
	  1 },
	{ "something else",
	  { ROOT, { .path = { "x", 1 }, .type = LAYER_FIFO } },
	  2,
	  { PACK(1) },
	  1 },
	{ "something else",
	  { ROOT, { .path = { "x", 1 }, .type = LAYER_WHITEOUT } },
	  2,
	  { PACK(1) },
	  1 },
	{ "opaque",
	  { ROOT, { .path = { "x", 1 }, .type = LAYER_DIR, .opaque = true } },
	  2,
	  { PACK(1) },
	  1 },
	/* what the index itself refuses: below a link, out of the root */
	{ "directory of an entry",
	  { ROOT,
	    { .path = { "l", 1 }, .type = LAYER_SYMLINK, .target = { "/etc", 4 } },
	    { .path = { "l/x", 3 }, .type = LAYER_FILE, .digest = D(1) } },
	  3,
	  { PACK(1) },
	  1 },
	{ "impossible path", { ROOT, FILE_("../x", 0, LAYER_NO_OFFSET, 1) }, 2, { PACK(1) }, 1 },
	{ "impossible path", { ROOT, FILE_("/x", 0, LAYER_NO_OFFSET, 1) }, 2, { PACK(1) }, 1 },
	{ "hard link has no file",
	  { ROOT,
	    { .path = { "h", 1 },
	      .type = LAYER_HARDLINK,
	      .target = { "etc/passwd", 10 },
	      .digest = D(1) } },
	  2,
	  { PACK(1) },
	  1 },
};

void test_snapshot_decode__hostile_documents(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		const struct doc *d = &docs[i];
		struct snapshot raw = { .packs = d->packs, .n_packs = d->n_packs };
		struct layer_index *ix = layer_index_new(d->entries, d->n, NULL);
		cleanup_snapshot struct snapshot *s = NULL;
		cleanup_strbuf struct strbuf b;
		int r;

		raw.index = ix;
		strbuf_init(&b, 1u << 20);
		snapshot_encode(&raw, &b);
		layer_index_unref(ix);
		r = snapshot_decode(strbuf_view(&b), &s, &err);
		if (!d->why)
			assert_int_equal(r, 0);
		else if (r != CAIRN_E_DIGEST || !strstr(err.msg, d->why))
			fail_msg("case %zu: %d %s, not '%s'", i, r, r < 0 ? err.msg : "", d->why);
	}
}

void test_snapshot_decode__cut_short(void **state)
{
	struct layer_entry root = ROOT;
	struct snapshot raw = { .n_packs = 0 };
	struct layer_index *ix = layer_index_new(&root, 1, NULL);
	struct snapshot *s = NULL;
	cleanup_strbuf struct strbuf b;

	(void)state;
	raw.index = ix;
	strbuf_init(&b, 1u << 20);
	snapshot_encode(&raw, &b);
	layer_index_unref(ix);
	for (size_t n = 0; n < b.len; n++)
		assert_fails(snapshot_decode(str_n(b.ptr, n), &s, &err), CAIRN_E_DIGEST);
	assert_ok(snapshot_decode(strbuf_view(&b), &s, &err));
	snapshot_free(s);
}

/* A snapshot whose blob is right and whose list lies about a file: refused, nothing of it
 * outside its directory. */
void test_snapshot_restore__lying_list(void **state)
{
	struct packs k = { 0 };
	cleanup_snapshot struct snapshot *s = NULL, *lie = NULL;
	struct layer_entry entries[2] = { ROOT, FILE_("one", 5000, 0, 1) };
	struct snapshot raw = { 0 };
	struct layer_index *ix;
	uint64_t new;

	(void)state;
	make_file("d/one", 5000, 1);
	s = keep(&k, "d", NULL, NULL, &new);
	ix = layer_index_new(entries, 2, NULL);
	raw = (struct snapshot){ .packs = s->packs, .n_packs = s->n_packs, .index = ix };
	lie = again(&raw);
	layer_index_unref(ix);
	assert_fails(back(&k, lie, "e", NULL, -1), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "one"));
	packs_done(&k);
}
