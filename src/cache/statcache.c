#include "statcache.h"

#include <unistd.h>

#include "layer/layer.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/vec.h"

#define STATCACHE_VERSION 1
#define HEADER_LEN        64 /* 8 + 4 + 4 + 8 + 8 + 32 */
#define RECORD_LEN        88 /* 5 * 8 + 32 + 4 * 4 */
#define DAY_NS            (86400 * CLOCK_SEC)

static const char magic[8] = { 'c', 'a', 'i', 'r', 'n', 'c', 't', 'x' };

/* A record, decoded. */
struct rec {
	str path;
	struct stat_id id;
	struct digest digest;
	uint32_t day;
};

struct statcache {
	struct store *store; /* NULL: nothing is read or written */
	char *file;          /* relative to the store's home */
	char *buf;           /* the whole file, or NULL */
	const char *recs, *paths;
	size_t n, paths_len;
	size_t cursor; /* where the next question probably finds its answer */
	bool *used;    /* n: was the record believed? */
	VEC(struct rec) added;
};

static uint32_t u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

static uint64_t u64(const char *p)
{
	return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * CLOCK_SEC + t.tv_nsec;
}

struct stat_id stat_id_of(const struct stat *st)
{
	return (struct stat_id){ .dev = st->st_dev,
		                 .ino = st->st_ino,
		                 .size = (uint64_t)st->st_size,
		                 .mtime_ns = ns_of(st->st_mtim),
		                 .ctime_ns = ns_of(st->st_ctim) };
}

bool stat_id_eq(const struct stat_id *a, const struct stat_id *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool stat_id_settled(const struct stat_id *id, int64_t now)
{
	return id->mtime_ns < now - STATCACHE_RACY_NS && id->ctime_ns < now - STATCACHE_RACY_NS;
}

/* The path of record i; empty, which no file has, when it lies outside of the paths. */
static str rec_path(const struct statcache *c, size_t i)
{
	const char *p = c->recs + i * RECORD_LEN + 72;
	uint32_t offset = u32(p), len = u32(p + 4);

	if (offset > c->paths_len || len > c->paths_len - offset)
		return S("");
	return str_n(c->paths + offset, len);
}

static struct rec rec_at(const struct statcache *c, size_t i)
{
	const char *p = c->recs + i * RECORD_LEN;
	struct rec r = { .path = rec_path(c, i), .day = u32(p + 80) };

	r.id = (struct stat_id){ .dev = u64(p),
		                 .ino = u64(p + 8),
		                 .size = u64(p + 16),
		                 .mtime_ns = (int64_t)u64(p + 24),
		                 .ctime_ns = (int64_t)u64(p + 32) };
	memcpy(r.digest.b, p + 40, DIGEST_LEN);
	return r;
}

/* Look at the header of len bytes; false when they are not a cache of this version. */
static bool parse(struct statcache *c, const char *p, size_t len)
{
	struct digest sum;
	uint64_t n, paths_len;

	if (len < HEADER_LEN || memcmp(p, magic, sizeof(magic)) != 0 ||
	    u32(p + 8) != STATCACHE_VERSION)
		return false;
	n = u64(p + 16);
	paths_len = u64(p + 24);
	if (n > len / RECORD_LEN || paths_len != len - HEADER_LEN - n * RECORD_LEN)
		return false;
	sum = digest_of(p + HEADER_LEN, len - HEADER_LEN);
	if (memcmp(sum.b, p + 32, DIGEST_LEN) != 0)
		return false;
	c->n = (size_t)n;
	c->recs = p + HEADER_LEN;
	c->paths = c->recs + c->n * RECORD_LEN;
	c->paths_len = (size_t)paths_len;
	return true;
}

static void load(struct statcache *c)
{
	cleanup_fd int fd =
		openat(store_dirfd(c->store), c->file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	struct cairn_err ignored;
	struct stat st;
	size_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < HEADER_LEN ||
	    st.st_size > STATCACHE_BYTES_MAX)
		return;
	c->buf = xmalloc((size_t)st.st_size);
	if (fs_read_full(fd, c->buf, (size_t)st.st_size, &n, c->file, &ignored) == 0 &&
	    parse(c, c->buf, n))
		c->used = xcalloc(c->n, sizeof(*c->used));
}

struct statcache *statcache_open(struct store *store, const char *root)
{
	struct statcache *c = xcalloc(1, sizeof(*c));
	struct digest d = digest_of(root, strlen(root));

	c->store = store;
	if (store) {
		c->file = xasprintf("contexts/%s", digest_hex(&d).s);
		load(c);
	}
	return c;
}

void statcache_free(struct statcache *c)
{
	if (!c)
		return;
	vec_free(&c->added);
	free(c->used);
	free(c->buf);
	free(c->file);
	free(c);
}

/* First record that does not sort before path. */
static size_t lower_bound(const struct statcache *c, str path)
{
	size_t lo = 0, hi = c->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (layer_path_cmp(rec_path(c, mid), path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool statcache_find(struct statcache *c, str path, const struct stat_id *id,
                    struct digest *ret_digest)
{
	size_t i = c->cursor;
	struct rec r;

	if (i >= c->n || !str_eq(rec_path(c, i), path))
		i = lower_bound(c, path);
	c->cursor = i + 1;
	if (i >= c->n)
		return false;
	r = rec_at(c, i);
	if (!str_eq(r.path, path) || !stat_id_eq(&r.id, id))
		return false;
	c->used[i] = true;
	*ret_digest = r.digest;
	return true;
}

void statcache_add(struct statcache *c, str path, const struct stat_id *id,
                   const struct digest *digest)
{
	if (c->store)
		vec_push(&c->added, (struct rec){ .path = path, .id = *id, .digest = *digest });
}

static int by_path(const void *a, const void *b)
{
	const struct rec *x = a, *y = b;

	return layer_path_cmp(x->path, y->path);
}

/* The file in the making. */
struct out {
	struct strbuf recs, paths;
	uint64_t n;
};

static void put(struct out *o, const struct rec *r, uint32_t day)
{
	strbuf_u64le(&o->recs, r->id.dev);
	strbuf_u64le(&o->recs, r->id.ino);
	strbuf_u64le(&o->recs, r->id.size);
	strbuf_u64le(&o->recs, (uint64_t)r->id.mtime_ns);
	strbuf_u64le(&o->recs, (uint64_t)r->id.ctime_ns);
	strbuf_add(&o->recs, r->digest.b, DIGEST_LEN);
	strbuf_u32le(&o->recs, (uint32_t)o->paths.len);
	strbuf_u32le(&o->recs, (uint32_t)r->path.len);
	strbuf_u32le(&o->recs, day);
	strbuf_u32le(&o->recs, 0);
	strbuf_str(&o->paths, r->path);
	o->n++;
}

/* Old and new records in one order; a new one takes an old one's place. */
static void merge(struct statcache *c, struct out *o)
{
	uint32_t today = (uint32_t)(clock_now() / DAY_NS);
	size_t i = 0, k = 0;

	qsort(c->added.ptr, c->added.len, sizeof(*c->added.ptr), by_path);
	while (i < c->n || k < c->added.len) {
		int cmp = i == c->n ? 1
		          : k == c->added.len
		                  ? -1
		                  : layer_path_cmp(rec_path(c, i), c->added.ptr[k].path);

		if (cmp >= 0) {
			put(o, &c->added.ptr[k++], today);
		} else {
			struct rec old = rec_at(c, i);

			if (c->used[i])
				put(o, &old, today);
			else if (old.path.len && old.day + STATCACHE_KEEP_DAYS >= today)
				put(o, &old, old.day);
		}
		i += cmp <= 0;
	}
}

static void write_out(struct statcache *c, struct out *o)
{
	struct cairn_err ignored;
	struct strbuf all;
	struct sha256 h;
	struct digest sum;

	strbuf_str(&o->recs, strbuf_view(&o->paths));
	sha256_init(&h);
	sha256_add(&h, o->recs.ptr, o->recs.len);
	sum = sha256_end(&h);
	strbuf_init(&all, STATCACHE_BYTES_MAX);
	strbuf_add(&all, magic, sizeof(magic));
	strbuf_u32le(&all, STATCACHE_VERSION);
	strbuf_u32le(&all, 0);
	strbuf_u64le(&all, o->n);
	strbuf_u64le(&all, o->paths.len);
	strbuf_add(&all, sum.b, DIGEST_LEN);
	strbuf_str(&all, strbuf_view(&o->recs));
	if (!all.overflow && !o->recs.overflow && !o->paths.overflow)
		(void)fs_write_file(store_dirfd(c->store), c->file, strbuf_view(&all), 0600,
		                    &ignored);
	strbuf_done(&all);
}

void statcache_save(struct statcache *c)
{
	struct out o = { 0 };

	if (!c->store || store_read_only(c->store) || c->added.len == 0)
		return;
	strbuf_init(&o.recs, STATCACHE_BYTES_MAX);
	strbuf_init(&o.paths, UINT32_MAX / 4);
	merge(c, &o);
	write_out(c, &o);
	strbuf_done(&o.recs);
	strbuf_done(&o.paths);
	vec_free(&c->added);
}
