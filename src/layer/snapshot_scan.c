/* What is in a directory, with as little reading as the last look at it allows. */
#include <sys/stat.h>

#include "scan_walk.h"
#include "snapshot.h"
#include "snapshot_code.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fs.h"
#include "util/map.h"
#include "util/pool.h"
#include "util/vec.h"
#include "xattr.h"

#define READ_SIZE 131072u

struct found {
	struct layer_entry e; /* strings in the scan's arena */
	struct layer_xattr caps;
	uint64_t ino;
	int64_t changed;
	nlink_t nlink;
	bool known; /* e.digest is set */
};

struct scan {
	int dirfd;
	const struct snapshot_base *base;
	struct arena *arena;
	VEC(struct found) found;
	VEC(size_t) unknown; /* positions in found */
	uint64_t left_out;
	int64_t now;
};

/* A time so near to now that a change in the same tick of the clock would not show. */
static bool racy(int64_t changed, int64_t now)
{
	return changed > now - SNAPSHOT_RACY_NS;
}

static void ask_base(const struct scan *s, struct found *f)
{
	const struct snapshot_base *b = s->base;
	const struct layer_entry *e;
	size_t i;

	if (!b || !b->snapshot)
		return;
	e = layer_index_find(b->snapshot->index, f->e.path);
	if (!e || (e->type != LAYER_FILE && e->type != LAYER_HARDLINK))
		return;
	i = (size_t)(e - b->snapshot->index->entries);
	if (b->stats[i].ino != f->ino || b->stats[i].changed != f->changed ||
	    e->size != f->e.size || e->mtime != f->e.mtime)
		return;
	f->e.digest = e->digest;
	f->known = true;
}

static int add_link(struct scan *s, const struct walk_item *item, struct layer_entry *e,
                    struct cairn_err *err)
{
	char buf[LAYER_PATH_MAX + 1];
	ssize_t n = readlinkat(item->parent, item->name, buf, sizeof(buf));

	if (n < 0)
		return cairn_fail_sys(err, "read symbolic link '/%s'", item->path);
	if (n > LAYER_PATH_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "symbolic link '/%s' is too long",
		                  item->path);
	e->target = arena_str(s->arena, str_n(buf, (size_t)n));
	return 0;
}

static int see(void *ctx, const struct walk_item *item, struct cairn_err *err)
{
	struct scan *s = ctx;
	const struct stat *st = &item->st;
	struct walk_xattrs x = { 0 };
	struct found f = { .ino = (uint64_t)st->st_ino,
		           .changed = snapshot_time(&st->st_ctim),
		           .nlink = st->st_nlink };

	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode)) {
		s->left_out++;
		return 0;
	}
	if (s->found.len >= LAYER_ENTRIES_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "it holds more than %u files",
		                  LAYER_ENTRIES_MAX);
	f.e = (struct layer_entry){ .path = arena_str(s->arena, str_of(item->path)),
		                    .mode = st->st_mode & 07777,
		                    .uid = st->st_uid,
		                    .gid = st->st_gid,
		                    .mtime = snapshot_time(&st->st_mtim),
		                    .tar_offset = LAYER_NO_OFFSET };
	f.e.type = S_ISREG(st->st_mode)   ? LAYER_FILE
	           : S_ISDIR(st->st_mode) ? LAYER_DIR
	                                  : LAYER_SYMLINK;
	if (f.e.type == LAYER_SYMLINK)
		TRY(add_link(s, item, &f.e, err));
	if (f.e.type == LAYER_FILE) {
		TRY(walk_read_xattrs(item, NULL, s->arena, &x, err));
		f.caps = (struct layer_xattr){ S(XATTR_CAPS), x.caps };
		f.e.size = (uint64_t)st->st_size;
		ask_base(s, &f);
	}
	vec_push(&s->found, f);
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return layer_path_cmp(((const struct found *)a)->e.path, ((const struct found *)b)->e.path);
}

/* ---- contents ---- */

static int hash_file(void *ctx, size_t i, struct cairn_err *err)
{
	struct scan *s = ctx;
	struct found *f = &s->found.ptr[s->unknown.ptr[i]];
	cleanup_free char *buf = xmalloc(READ_SIZE);
	cleanup_fd int fd = fs_open_beneath(s->dirfd, f->e.path.ptr, O_RDONLY | O_NONBLOCK);
	struct stat st;
	struct sha256 h;
	uint64_t done = 0;
	size_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "open '/%s'", f->e.path.ptr);
	sha256_init(&h);
	do {
		TRY(fs_read_full(fd, buf, READ_SIZE, &n, f->e.path.ptr, err));
		sha256_add(&h, buf, n);
		done += n;
	} while (n == READ_SIZE);
	if (done != f->e.size || (uint64_t)st.st_ino != f->ino)
		return cairn_fail(err, CAIRN_E_DIGEST, "'/%s' changed while it was read",
		                  f->e.path.ptr);
	f->e.digest = sha256_end(&h);
	f->known = true;
	return 0;
}

static int hash_unknown(struct scan *s, struct pool *pool, uint64_t *ret_read,
                        struct cairn_err *err)
{
	for (size_t i = 0; i < s->found.len; i++) {
		if (s->found.ptr[i].e.type != LAYER_FILE || s->found.ptr[i].known)
			continue;
		vec_push(&s->unknown, i);
		*ret_read += s->found.ptr[i].e.size;
	}
	if (pool && s->unknown.len > 1)
		return pool_map(pool, s->unknown.len, hash_file, s, err);
	for (size_t i = 0; i < s->unknown.len; i++)
		TRY(hash_file(s, i, err));
	return 0;
}

/* The first name of an inode is the file, the others are links to it. */
static void group_links(struct scan *s)
{
	cleanup_map struct map first = { 0 };

	vec_foreach (f, &s->found) {
		str key = str_n((const char *)&f->ino, sizeof(f->ino));
		const struct found *to;

		if (f->e.type != LAYER_FILE || f->nlink < 2)
			continue;
		to = map_get(&first, key);
		if (!to) {
			map_put(&first, key, f);
			continue;
		}
		f->e.type = LAYER_HARDLINK;
		f->e.target = to->e.path;
	}
}

static void finish(struct scan *s, struct snapshot_scan *ret)
{
	cleanup_free struct layer_entry *entries = xcalloc(s->found.len, sizeof(*entries));

	ret->stats = xcalloc(s->found.len, sizeof(*ret->stats));
	for (size_t i = 0; i < s->found.len; i++) {
		struct found *f = &s->found.ptr[i];

		if (f->caps.value.ptr) {
			f->e.xattrs = &f->caps;
			f->e.n_xattrs = 1;
		}
		entries[i] = f->e;
		if (f->e.type == LAYER_FILE)
			ret->bytes += f->e.size;
		if (!racy(f->e.mtime, s->now))
			ret->stats[i] = (struct snapshot_stat){ f->ino, f->changed };
	}
	ret->index = layer_index_new(entries, s->found.len, NULL);
	ret->left_out = s->left_out;
}

int snapshot_scan(int dirfd, const struct snapshot_base *base, struct pool *pool,
                  struct snapshot_scan *ret, struct cairn_err *err)
{
	struct scan s = { .dirfd = dirfd, .base = base, .arena = arena_new(), .now = clock_now() };
	struct snapshot_scan out = { 0 };
	int r = walk_dir(dirfd, see, &s, err);

	if (r == 0) {
		qsort(s.found.ptr, s.found.len, sizeof(*s.found.ptr), by_path);
		r = hash_unknown(&s, pool, &out.read, err);
	}
	if (r == 0) {
		group_links(&s);
		finish(&s, &out);
		*ret = out;
	}
	vec_free(&s.found);
	vec_free(&s.unknown);
	arena_free(s.arena);
	return r;
}

void snapshot_scan_done(struct snapshot_scan *s)
{
	layer_index_unref(s->index);
	free(s->stats);
	*s = (struct snapshot_scan){ 0 };
}

/* ---- stats alone ---- */

static mode_t mode_of(enum layer_type t)
{
	return t == LAYER_DIR ? S_IFDIR : t == LAYER_SYMLINK ? S_IFLNK : S_IFREG;
}

int snapshot_stats(int dirfd, const struct layer_index *ix, struct snapshot_stat **ret,
                   struct cairn_err *err)
{
	cleanup_free struct snapshot_stat *stats = xcalloc(ix->n_entries, sizeof(*stats));
	int64_t now = clock_now();

	for (size_t i = 0; i < ix->n_entries; i++) {
		const struct layer_entry *e = &ix->entries[i];
		cleanup_free char *path = str_dup(e->path.len ? e->path : S("."));
		struct stat st;

		if (fstatat(dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			if (errno == ENOENT || errno == ENOTDIR)
				continue;
			return cairn_fail_sys(err, "stat '/%s'", path);
		}
		if ((st.st_mode & S_IFMT) != mode_of(e->type) || racy(e->mtime, now) ||
		    snapshot_time(&st.st_mtim) != e->mtime ||
		    (S_ISREG(st.st_mode) && (uint64_t)st.st_size != e->size))
			continue;
		stats[i] =
			(struct snapshot_stat){ (uint64_t)st.st_ino, snapshot_time(&st.st_ctim) };
	}
	*ret = steal_ptr(&stats);
	return 0;
}
