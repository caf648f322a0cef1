/* The document of a snapshot, and what is checked about one. */
#include "snapshot.h"

#include <zstd.h>

#include "snapshot_code.h"
#include "util/arena.h"
#include "util/clock.h"

int64_t snapshot_time(const struct timespec *t)
{
	return t->tv_sec * CLOCK_SEC + t->tv_nsec;
}

size_t snapshot_pack_at(const struct snapshot *s, uint64_t offset)
{
	size_t lo = 0, hi = s->n_packs; /* the answer is in [lo, hi) */

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->packs[mid].start <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	layer_index_unref(s->index);
	arena_free(s->arena);
	free(s);
}

/* ---- rules ---- */

static int fail(struct cairn_err *err, const char *what)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "snapshot is damaged: %s", what);
}

static int check_packs(struct snapshot *s, struct snapshot_pack *packs, struct cairn_err *err)
{
	uint64_t start = 0;

	for (size_t i = 0; i < s->n_packs; i++) {
		struct snapshot_pack *p = &packs[i];

		if (p->raw == 0 || p->raw > SNAPSHOT_PACK)
			return fail(err, "a pack has an impossible size");
		/* Frames of 1 MiB that do not compress are a little larger than what is in them. */
		if (p->size == 0 || p->size > ZSTD_compressBound(SNAPSHOT_PACK) + 65536)
			return fail(err, "the blob of a pack has an impossible size");
		if (digest_none(&p->digest))
			return fail(err, "a pack has no digest");
		p->start = start;
		start += p->raw; /* at most SNAPSHOT_PACKS_MAX * SNAPSHOT_PACK */
	}
	return 0;
}

static int check_entry(struct snapshot *s, const struct layer_entry *e, struct cairn_err *err)
{
	switch (e->type) {
	case LAYER_FILE:
		if (e->size > 0 && e->tar_offset == LAYER_NO_OFFSET)
			return fail(err, "a file lies nowhere");
		if (s->bytes + e->size > LAYER_SIZE_MAX)
			return fail(err, "its files are impossibly large");
		s->bytes += e->size;
		s->n_files += snapshot_has_bytes(e);
		return 0;
	case LAYER_DIR:
		return e->opaque ? fail(err, "a directory is opaque") : 0;
	case LAYER_SYMLINK:
	case LAYER_HARDLINK:
		return 0;
	case LAYER_CHAR:
	case LAYER_BLOCK:
	case LAYER_FIFO:
	case LAYER_WHITEOUT:
	case LAYER_TYPE_N_:
		break;
	}
	return fail(err, "it holds something else than files, directories and links");
}

/* Does the content fit where it is said to be? */
static int check_place(const struct snapshot *s, const struct layer_entry *e, struct cairn_err *err)
{
	const struct snapshot_pack *last = s->n_packs ? &s->packs[s->n_packs - 1] : NULL, *p;
	uint64_t end = last ? last->start + last->raw : 0;

	if (e->tar_offset >= end || e->size > end - e->tar_offset)
		return fail(err, "a file lies beyond the packs");
	p = &s->packs[snapshot_pack_at(s, e->tar_offset)];
	if (e->size <= SNAPSHOT_PACK)
		return e->tar_offset + e->size > p->start + p->raw
		               ? fail(err, "a file lies across packs")
		               : 0;
	p = &s->packs[snapshot_pack_at(s, e->tar_offset + e->size - 1)];
	if (e->tar_offset + e->size != p->start + p->raw ||
	    s->packs[snapshot_pack_at(s, e->tar_offset)].start != e->tar_offset)
		return fail(err, "a large file does not fill its packs");
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct layer_entry *x = *(const struct layer_entry *const *)a;
	const struct layer_entry *y = *(const struct layer_entry *const *)b;

	if (x->tar_offset != y->tar_offset)
		return x->tar_offset < y->tar_offset ? -1 : 1;
	return layer_path_cmp(x->path, y->path);
}

/* Contents are apart, or the same. */
static int check_files(const struct snapshot *s, struct cairn_err *err)
{
	for (size_t i = 0; i < s->n_files; i++) {
		const struct layer_entry *e = s->files[i], *before = i ? s->files[i - 1] : NULL;

		TRY(check_place(s, e, err));
		if (!before || before->tar_offset + before->size <= e->tar_offset)
			continue;
		if (before->tar_offset != e->tar_offset || before->size != e->size ||
		    !digest_eq(&before->digest, &e->digest))
			return fail(err, "files lie across each other");
	}
	return 0;
}

static int check_all(struct snapshot *s, struct snapshot_pack *packs, struct cairn_err *err)
{
	const struct layer_index *ix = s->index;
	const struct layer_entry **files;
	size_t n = 0;

	TRY(check_packs(s, packs, err));
	if (ix->n_entries == 0 || ix->entries[0].path.len != 0)
		return fail(err, "the root is missing");
	for (size_t i = 0; i < ix->n_entries; i++)
		TRY(check_entry(s, &ix->entries[i], err));
	files = arena_array(s->arena, const struct layer_entry *, s->n_files);
	for (size_t i = 0; i < ix->n_entries; i++)
		if (snapshot_has_bytes(&ix->entries[i]))
			files[n++] = &ix->entries[i];
	qsort(files, n, sizeof(const struct layer_entry *), by_place);
	s->files = files;
	return check_files(s, err);
}

int snapshot_make(const struct snapshot_pack *packs, size_t n_packs, struct layer_index *index,
                  int64_t created, struct snapshot **ret, struct cairn_err *err)
{
	cleanup_snapshot struct snapshot *s = xcalloc(1, sizeof(*s));
	struct snapshot_pack *copy;

	s->arena = arena_new();
	s->index = index;
	s->created = created;
	s->n_packs = n_packs;
	copy = arena_array(s->arena, struct snapshot_pack, n_packs);
	if (n_packs)
		memcpy(copy, packs, n_packs * sizeof(*packs));
	s->packs = copy;
	TRY(check_all(s, copy, err));
	*ret = steal_ptr(&s);
	return 0;
}

/* ---- bytes ---- */

void snapshot_encode(const struct snapshot *s, struct strbuf *out)
{
	strbuf_add(out, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_LEN);
	strbuf_u32le(out, SNAPSHOT_VERSION);
	strbuf_u32le(out, (uint32_t)s->n_packs);
	strbuf_u64le(out, (uint64_t)s->created);
	for (size_t i = 0; i < s->n_packs; i++) {
		strbuf_u64le(out, s->packs[i].raw);
		strbuf_u64le(out, s->packs[i].size);
		strbuf_add(out, s->packs[i].digest.b, DIGEST_LEN);
	}
	layer_index_encode(s->index, out);
}

static uint64_t get_le(const char *p, unsigned n)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < n; i++)
		v |= (uint64_t)(unsigned char)p[i] << (8 * i);
	return v;
}

int snapshot_decode(str bytes, struct snapshot **ret_owned, struct cairn_err *err)
{
	cleanup_free struct snapshot_pack *packs = NULL;
	struct layer_index *index = NULL;
	const char *p = bytes.ptr;
	uint64_t version, n;

	if (bytes.len < SNAPSHOT_HEADER || bytes.len > SNAPSHOT_MAX ||
	    memcmp(p, SNAPSHOT_MAGIC, SNAPSHOT_MAGIC_LEN) != 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "not a snapshot");
	version = get_le(p + SNAPSHOT_MAGIC_LEN, 4);
	n = get_le(p + SNAPSHOT_MAGIC_LEN + 4, 4);
	if (version != SNAPSHOT_VERSION)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "snapshot has format version %u; this cairn reads version %u",
		                  (unsigned)version, SNAPSHOT_VERSION);
	if (n > SNAPSHOT_PACKS_MAX || n * SNAPSHOT_PACK_LEN > bytes.len - SNAPSHOT_HEADER)
		return fail(err, "it has too many packs");
	packs = xcalloc(n, sizeof(*packs));
	for (size_t i = 0; i < n; i++) {
		const char *q = p + SNAPSHOT_HEADER + i * SNAPSHOT_PACK_LEN;

		packs[i].raw = get_le(q, 8);
		packs[i].size = get_le(q + 8, 8);
		memcpy(packs[i].digest.b, q + 16, DIGEST_LEN);
	}
	if (layer_index_decode(str_skip(bytes, SNAPSHOT_HEADER + n * SNAPSHOT_PACK_LEN), &index,
	                       err) < 0)
		return cairn_wrap(err, "snapshot is damaged");
	return snapshot_make(packs, n, index, (int64_t)get_le(p + SNAPSHOT_MAGIC_LEN + 8, 8),
	                     ret_owned, err);
}
