/* Which contents stay in the packs they are in, and new packs for the others. */
#include <sys/stat.h>

#include "compress.h"
#include "snapshot.h"
#include "snapshot_code.h"
#include "util/arena.h"
#include "util/fs.h"
#include "util/map.h"
#include "util/vec.h"

#define READ_SIZE 131072u

/* The bytes of one or more equal files. */
struct content {
	const struct layer_entry *file; /* one that has them; of the scan's index */
	bool kept;
	uint64_t place; /* kept: in the stream of the base's packs */
	size_t pack;    /* else: number of the (first) new pack, */
	uint64_t at;    /* and where in it */
};

/* A part of a new pack. */
struct piece {
	const struct content *content;
	uint64_t offset, len; /* of the content */
};

struct new_pack {
	VEC(struct piece) pieces;
	struct snapshot_pack made; /* raw is known at once, digest and size when it was written */
};

struct snapshot_delta {
	const struct snapshot_scan *scan;
	const struct snapshot *base; /* NULL: none */
	struct arena *arena;
	struct map contents; /* digest -> struct content */
	bool *keep;          /* packs of the base */
	uint64_t *moved;     /* where each of them begins in the new stream */
	VEC(struct new_pack) packs;
	uint64_t bytes;
	int level; /* of new packs */
};

static str key_of(const struct digest *d)
{
	return str_n((const char *)d->b, DIGEST_LEN);
}

static void list_contents(struct snapshot_delta *d)
{
	const struct layer_index *ix = d->scan->index;

	for (size_t i = 0; i < ix->n_entries; i++) {
		const struct layer_entry *e = &ix->entries[i];
		struct content *c;

		if (!snapshot_has_bytes(e) || map_has(&d->contents, key_of(&e->digest)))
			continue;
		c = arena_new_of(d->arena, struct content);
		c->file = e;
		map_put(&d->contents, key_of(&e->digest), c);
	}
}

/* ---- the base's packs ---- */

/* Every content that the base has. */
static void find_kept(struct snapshot_delta *d)
{
	for (size_t i = 0; i < d->base->n_files; i++) {
		const struct layer_entry *e = d->base->files[i];
		struct content *c = map_get(&d->contents, key_of(&e->digest));

		if (!c || c->kept || c->file->size != e->size)
			continue;
		c->kept = true;
		c->place = e->tar_offset;
	}
}

/* A pack that is mostly waste, or one of too many small ones, is not kept: what is needed of
 * it goes into new packs. Those of large files hold nothing else. */
static void choose_packs(struct snapshot_delta *d)
{
	const struct snapshot *b = d->base;
	uint64_t *live = arena_array(d->arena, uint64_t, b->n_packs);
	bool *large = arena_array(d->arena, bool, b->n_packs);
	size_t small = 0;

	map_foreach (e, &d->contents) {
		const struct content *c = e->value;
		size_t first, last;

		if (!c->kept)
			continue;
		first = snapshot_pack_at(b, c->place);
		last = snapshot_pack_at(b, c->place + c->file->size - 1);
		for (size_t k = first; k <= last; k++) {
			d->keep[k] = true;
			large[k] = c->file->size > SNAPSHOT_PACK;
		}
		live[first] += c->file->size; /* of large ones it is not looked at */
	}
	for (size_t k = 0; k < b->n_packs; k++) {
		d->keep[k] &= large[k] || 2 * live[k] >= b->packs[k].raw;
		small += d->keep[k] && !large[k] && b->packs[k].raw < SNAPSHOT_PACK / 2;
	}
	for (size_t k = 0; k < b->n_packs && small > SNAPSHOT_SMALL_MAX; k++)
		d->keep[k] &= large[k] || b->packs[k].raw >= SNAPSHOT_PACK / 2;
}

static void drop_unkept(struct snapshot_delta *d)
{
	uint64_t start = 0;

	map_foreach (e, &d->contents) {
		struct content *c = e->value;

		c->kept = c->kept && d->keep[snapshot_pack_at(d->base, c->place)];
	}
	for (size_t k = 0; k < d->base->n_packs; k++) {
		d->moved[k] = start;
		if (d->keep[k])
			start += d->base->packs[k].raw;
	}
}

/* ---- new packs ---- */

static void add_piece(struct snapshot_delta *d, size_t pack, struct piece piece)
{
	struct new_pack *p = &d->packs.ptr[pack];

	vec_push(&p->pieces, piece);
	p->made.raw += piece.len;
	d->bytes += piece.len;
}

static void add_large(struct snapshot_delta *d, struct content *c)
{
	c->pack = d->packs.len;
	for (uint64_t at = 0; at < c->file->size; at += SNAPSHOT_PACK) {
		uint64_t left = c->file->size - at;

		vec_push(&d->packs, (struct new_pack){ 0 });
		add_piece(d, d->packs.len - 1,
		          (struct piece){ c, at, left < SNAPSHOT_PACK ? left : SNAPSHOT_PACK });
	}
}

static void fill_packs(struct snapshot_delta *d)
{
	size_t open = SIZE_MAX; /* the pack that is being filled */

	map_foreach (e, &d->contents) { /* in the order of paths: neighbours stay together */
		struct content *c = e->value;

		if (c->kept)
			continue;
		if (c->file->size > SNAPSHOT_PACK) {
			add_large(d, c);
			continue;
		}
		if (open == SIZE_MAX ||
		    d->packs.ptr[open].made.raw + c->file->size > SNAPSHOT_PACK) {
			open = d->packs.len;
			vec_push(&d->packs, (struct new_pack){ 0 });
		}
		c->pack = open;
		c->at = d->packs.ptr[open].made.raw;
		add_piece(d, open, (struct piece){ c, 0, c->file->size });
	}
}

static size_t kept_packs(const struct snapshot_delta *d)
{
	size_t n = 0;

	for (size_t k = 0; d->base && k < d->base->n_packs; k++)
		n += d->keep[k];
	return n;
}

int snapshot_delta_new(const struct snapshot_scan *scan, const struct snapshot *base, int level,
                       struct snapshot_delta **ret, struct cairn_err *err)
{
	cleanup_snapshot_delta struct snapshot_delta *d = xcalloc(1, sizeof(*d));

	d->scan = scan;
	d->base = base;
	d->level = level;
	d->arena = arena_new();
	list_contents(d);
	if (base) {
		d->keep = arena_array(d->arena, bool, base->n_packs);
		d->moved = arena_array(d->arena, uint64_t, base->n_packs);
		find_kept(d);
		choose_packs(d);
		drop_unkept(d);
	}
	fill_packs(d);
	if (kept_packs(d) + d->packs.len > SNAPSHOT_PACKS_MAX)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "it is too large: more than %u packs",
		                  SNAPSHOT_PACKS_MAX);
	*ret = steal_ptr(&d);
	return 0;
}

void snapshot_delta_free(struct snapshot_delta *d)
{
	if (!d)
		return;
	vec_foreach (p, &d->packs)
		vec_free(&p->pieces);
	vec_free(&d->packs);
	map_done(&d->contents);
	arena_free(d->arena);
	free(d);
}

size_t snapshot_delta_packs(const struct snapshot_delta *d)
{
	return d->packs.len;
}

uint64_t snapshot_delta_bytes(const struct snapshot_delta *d)
{
	return d->bytes;
}

static bool same_entry(const struct layer_entry *a, const struct layer_entry *b)
{
	if (!str_eq(a->path, b->path) || a->type != b->type || a->mode != b->mode ||
	    a->uid != b->uid || a->gid != b->gid || a->size != b->size ||
	    a->n_xattrs != b->n_xattrs || !str_eq(a->target, b->target) ||
	    !digest_eq(&a->digest, &b->digest))
		return false;
	for (uint32_t i = 0; i < a->n_xattrs; i++)
		if (!str_eq(a->xattrs[i].name, b->xattrs[i].name) ||
		    !str_eq(a->xattrs[i].value, b->xattrs[i].value))
			return false;
	/* A tool that takes a lock and goes changes its directory's time and nothing else. */
	return a->type == LAYER_DIR || a->mtime == b->mtime;
}

bool snapshot_delta_same(const struct snapshot_delta *d)
{
	const struct layer_index *now = d->scan->index, *then = d->base ? d->base->index : NULL;

	if (!then || now->n_entries != then->n_entries || d->packs.len)
		return false;
	for (size_t i = 0; i < now->n_entries; i++)
		if (!same_entry(&now->entries[i], &then->entries[i]))
			return false;
	return true;
}

/* ---- making a pack ---- */

static int write_piece(const struct piece *p, int dirfd, const struct layer_sink *to,
                       struct cairn_err *err)
{
	const struct layer_entry *e = p->content->file;
	cleanup_free char *path = str_dup(e->path), *buf = xmalloc(READ_SIZE);
	cleanup_fd int fd = fs_open_beneath(dirfd, path, O_RDONLY | O_NONBLOCK);
	struct sha256 h;
	struct digest d;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || lseek(fd, (off_t)p->offset, SEEK_SET) < 0)
		return cairn_fail_sys(err, "open '/%s'", path);
	if ((uint64_t)st.st_size != e->size)
		return cairn_fail(err, CAIRN_E_DIGEST, "'/%s' changed while it was read", path);
	sha256_init(&h);
	for (uint64_t left = p->len; left;) {
		size_t n = 0;

		TRY(fs_read_full(fd, buf, left < READ_SIZE ? left : READ_SIZE, &n, path, err));
		if (n == 0)
			return cairn_fail(err, CAIRN_E_DIGEST, "'/%s' changed while it was read",
			                  path);
		sha256_add(&h, buf, n);
		TRY(to->write(to->ctx, buf, n, err));
		left -= n;
	}
	d = sha256_end(&h);
	if (p->len == e->size && !digest_eq(&d, &e->digest))
		return cairn_fail(err, CAIRN_E_DIGEST, "'/%s' changed while it was read", path);
	return 0;
}

int snapshot_delta_write(struct snapshot_delta *d, size_t i, int dirfd,
                         const struct layer_sink *out, struct cairn_err *err)
{
	struct new_pack *p = &d->packs.ptr[i];
	cleanup_compressor struct compressor *c = compress_new(COMPRESS_ZSTD, d->level, NULL, out);
	struct layer_sink to = compress_sink(c);
	struct compress_result made;

	vec_foreach (piece, &p->pieces)
		TRY(write_piece(piece, dirfd, &to, err));
	TRY(compress_finish(c, &made, err));
	p->made.digest = made.digest;
	p->made.size = made.size;
	return 0;
}

const struct snapshot_pack *snapshot_delta_pack(const struct snapshot_delta *d, size_t i)
{
	return &d->packs.ptr[i].made;
}

/* ---- the new snapshot ---- */

static uint64_t place_of(struct snapshot_delta *d, const struct layer_entry *e,
                         const uint64_t *starts)
{
	const struct content *c = map_get(&d->contents, key_of(&e->digest));
	size_t k;

	if (!c->kept)
		return starts[c->pack] + c->at;
	k = snapshot_pack_at(d->base, c->place);
	return c->place - d->base->packs[k].start + d->moved[k];
}

struct snapshot *snapshot_delta_finish(struct snapshot_delta *d, int64_t created)
{
	const struct layer_index *ix = d->scan->index;
	cleanup_free struct layer_entry *entries = xcalloc(ix->n_entries, sizeof(*entries));
	cleanup_free uint64_t *starts = xcalloc(d->packs.len, sizeof(*starts));
	cleanup_free struct snapshot_pack *packs =
		xcalloc(kept_packs(d) + d->packs.len, sizeof(*packs));
	struct snapshot *s = NULL;
	struct cairn_err err;
	uint64_t start = 0;
	size_t n = 0;

	for (size_t k = 0; d->base && k < d->base->n_packs; k++)
		if (d->keep[k]) {
			start += d->base->packs[k].raw;
			packs[n++] = d->base->packs[k];
		}
	for (size_t i = 0; i < d->packs.len; i++) {
		starts[i] = start;
		start += d->packs.ptr[i].made.raw;
		packs[n++] = d->packs.ptr[i].made;
	}
	for (size_t i = 0; i < ix->n_entries; i++) {
		entries[i] = ix->entries[i];
		entries[i].tar_offset = snapshot_has_bytes(&entries[i])
		                                ? place_of(d, &entries[i], starts)
		                                : LAYER_NO_OFFSET;
	}
	if (snapshot_make(packs, n, layer_index_new(entries, ix->n_entries, NULL), created, &s,
	                  &err) < 0)
		CAIRN_BUG("a snapshot that was made here: %s", err.msg);
	return s;
}
