/* Some files of a layer without the rest: the frames that they lie in, by range (DECISIONS.md 24).
 */
#include "supply_priv.h"

#include <fcntl.h>

#include "unpacked.h"
#include "util/fs.h"

#define GAP_MAX   (128u << 10) /* bytes between two ranges that are rather read too */
#define RUN_MAX   (16u << 20)  /* bytes of one range: it is held in memory */
#define RUNS_MAX  32           /* more requests than that are not worth it */
#define READ_SIZE (256u << 10)

/* A file that is wanted, and how far it has come. */
struct wanted {
	const struct layer_entry *entry;
	uint64_t start; /* in the tar */
	uint64_t done;
	struct sha256 hash;
	int fd; /* -1: not begun, or ended */
};

/* Frames [first, end) that are read with one request. */
struct run {
	size_t first, end;
};

struct pick {
	struct supply *s;
	struct arena *arena;
	struct layer_index *index;
	struct supply_layer place;
	struct frames_blob blob;
	struct wanted *wanted; /* by where they begin */
	size_t n;
	struct run *runs;
	size_t n_runs;
	uint64_t bytes; /* of all runs */
	int dirfd;
};

static uint64_t blob_at(const struct pick *p, size_t frame)
{
	return frame < p->blob.n ? p->blob.frames[frame].blob_offset : p->blob.blob_size;
}

static uint64_t tar_at(const struct pick *p, size_t frame)
{
	return frame < p->blob.n ? p->blob.frames[frame].tar_offset : p->blob.tar_size;
}

/* --- what has to be read ------------------------------------------------------------ */

static int wanted_cmp(const void *a, const void *b)
{
	const struct wanted *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Where the bytes of a file are: of a hard link, those of the name that it links to. */
static uint64_t content_at(const struct pick *p, const struct layer_entry *e)
{
	const struct layer_entry *own = layer_index_find(p->index, e->path);

	if (own && own->type == LAYER_HARDLINK)
		own = layer_index_find(p->index, own->target);
	return own && own->size == e->size ? own->tar_offset : LAYER_NO_OFFSET;
}

static bool set_wanted(struct pick *p, const struct layer_entry *const *entries, size_t n)
{
	p->wanted = arena_array(p->arena, struct wanted, n + 1);
	for (size_t i = 0; i < n; i++) {
		struct wanted *w = &p->wanted[p->n++];

		*w = (struct wanted){ .entry = entries[i],
			              .start = content_at(p, entries[i]),
			              .fd = -1 };
		sha256_init(&w->hash);
		if (w->start > p->blob.tar_size || entries[i]->size > p->blob.tar_size - w->start)
			return false;
	}
	qsort(p->wanted, p->n, sizeof(*p->wanted), wanted_cmp);
	return true;
}

static size_t frame_of(const struct pick *p, uint64_t tar_offset)
{
	size_t low = 0, high = p->blob.n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (p->blob.frames[mid].tar_offset <= tar_offset)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* Add frames to the last run when they are near it, else begin another one. */
static void add_frames(struct pick *p, size_t first, size_t end)
{
	struct run *last = p->n_runs ? &p->runs[p->n_runs - 1] : NULL;

	while (first < end) {
		size_t stop = first + 1;

		if (last && blob_at(p, first) <= blob_at(p, last->end) + GAP_MAX &&
		    blob_at(p, stop) - blob_at(p, last->first) <= RUN_MAX) {
			last->end = stop > last->end ? stop : last->end;
			first = stop;
			continue;
		}
		if (p->n_runs == RUNS_MAX) {
			p->bytes = UINT64_MAX;
			return;
		}
		last = &p->runs[p->n_runs++];
		*last = (struct run){ first, stop };
		first = stop;
	}
}

static void set_runs(struct pick *p)
{
	p->runs = arena_array(p->arena, struct run, RUNS_MAX);
	for (size_t i = 0; i < p->n && p->bytes != UINT64_MAX; i++) {
		const struct wanted *w = &p->wanted[i];
		size_t first = frame_of(p, w->start);

		if (p->n_runs && first < p->runs[p->n_runs - 1].end)
			first = p->runs[p->n_runs - 1].end;
		if (w->entry->size)
			add_frames(p, first, frame_of(p, w->start + w->entry->size - 1) + 1);
	}
	for (size_t i = 0; i < p->n_runs && p->bytes != UINT64_MAX; i++)
		p->bytes += blob_at(p, p->runs[i].end) - blob_at(p, p->runs[i].first);
}

/* Can the files be had by themselves, for less than half of the layer? */
static bool prepare(struct pick *p, const struct chain_layer *layer,
                    const struct layer_entry *const *entries, size_t n)
{
	struct supply_layer *places = NULL;
	struct cairn_err ignored;
	size_t n_places;

	if (unpacked_index(p->s->opts.store, &layer->diff_id, &p->index, &ignored) < 0)
		return false;
	n_places = supply_places(p->s, &layer->diff_id, p->arena, &places);
	for (size_t i = 0; i < n_places; i++) {
		p->place = places[i];
		p->blob = (struct frames_blob){ .frames = p->index->frames,
			                        .n = p->index->n_frames,
			                        .blob_size = places[i].blob.size,
			                        .tar_size = layer->size };
		if (!digest_none(&places[i].index.digest) && frames_valid(&p->blob))
			break;
		p->blob.n = 0;
	}
	if (!p->blob.n || !set_wanted(p, entries, n))
		return false;
	set_runs(p);
	return p->bytes < p->blob.blob_size / 2;
}

static void pick_init(struct pick *p, struct supply *s)
{
	*p = (struct pick){ .s = s, .arena = arena_new(), .dirfd = -1 };
}

static void pick_done(struct pick *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->wanted[i].fd >= 0)
			close(p->wanted[i].fd);
	if (p->dirfd >= 0)
		close(p->dirfd);
	layer_index_unref(p->index);
	arena_free(p->arena);
}

bool supply_can_pick(struct supply *s, const struct chain_layer *layer,
                     const struct layer_entry *const *entries, size_t n)
{
	struct pick p;
	bool r;

	pick_init(&p, s);
	r = prepare(&p, layer, entries, n);
	pick_done(&p);
	return r;
}

/* --- reading -------------------------------------------------------------------------- */

static int begin_file(struct pick *p, struct wanted *w, struct cairn_err *err)
{
	cleanup_free char *path = str_dup(w->entry->path);
	char *slash = strrchr(path, '/');

	if (slash) {
		*slash = '\0';
		TRY(fs_mkdir_p(p->dirfd, path, 0755, err));
		*slash = '/';
	}
	w->fd = openat(p->dirfd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return w->fd < 0 ? cairn_fail_sys(err, "create '%s'", path) : 0;
}

static int end_file(struct wanted *w, struct cairn_err *err)
{
	struct digest got = sha256_end(&w->hash);

	close(w->fd);
	w->fd = -1;
	return digest_eq(&got, &w->entry->digest)
	               ? 0
	               : cairn_fail(err, CAIRN_E_DIGEST, "'/%.*s' is not what the index says",
	                            STR(w->entry->path));
}

/* Bytes of the tar at `at`: what is wanted of them is written. */
static int take_bytes(struct pick *p, uint64_t at, const char *bytes, size_t n,
                      struct cairn_err *err)
{
	for (size_t i = 0; i < p->n && p->wanted[i].start < at + n; i++) {
		struct wanted *w = &p->wanted[i];
		uint64_t from = w->start + w->done, left = w->entry->size - w->done;
		size_t part;

		if (!left || from < at || from >= at + n)
			continue;
		if (!w->done)
			TRY(begin_file(p, w, err));
		part = (size_t)(at + n - from);
		part = part < left ? part : (size_t)left;
		sha256_add(&w->hash, bytes + (from - at), part);
		TRY(fs_write_all(w->fd, bytes + (from - at), part, "a file of a layer", err));
		w->done += part;
		if (w->done == w->entry->size)
			TRY(end_file(w, err));
	}
	return 0;
}

static int add_bytes(void *ctx, const void *bytes, size_t n, struct cairn_err *err)
{
	struct strbuf *b = ctx;

	(void)err;
	strbuf_add(b, bytes, n);
	return 0;
}

static int get_range(struct pick *p, uint64_t at, uint64_t n, struct strbuf *out,
                     struct cairn_err *err)
{
	struct remote_sink sink = { add_bytes, out };
	struct registry_sink to = { .write = add_bytes, .ctx = out };
	struct registry *r = NULL;
	struct reference repo;

	TRY(supply_check_stop(p->s, err));
	if (!p->place.from.len)
		return remote_blob_range(p->place.remote, &p->place.blob, at, n, &sink, err);
	if (p->s->opts.registry)
		r = p->s->opts.registry(p->s->opts.registry_ctx);
	if (!r)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "registries are not used");
	TRY(reference_parse(p->place.from, &repo, err));
	return registry_blob_range(r, &repo, &p->place.blob, at, n, &to, err);
}

static int read_run(struct pick *p, const struct run *r, struct cairn_err *err)
{
	uint64_t size = blob_at(p, r->end) - blob_at(p, r->first);
	uint64_t at = tar_at(p, r->first), end = tar_at(p, r->end);
	cleanup_strbuf struct strbuf bytes;
	cleanup_free char *buf = xmalloc(READ_SIZE);
	struct supply_memory m;
	struct layer_reader raw = { supply_memory_read, &m }, in;
	cleanup_decompressor struct decompressor *d = NULL;
	size_t n = 0;

	strbuf_init(&bytes, RUN_MAX + COMPRESS_FRAME);
	TRY(get_range(p, blob_at(p, r->first), size, &bytes, err));
	if (bytes.overflow || bytes.len != size)
		return cairn_fail(err, CAIRN_E_DIGEST, "a range of blob %s came with another size",
		                  digest_text(&p->place.blob.digest).s);
	atomic_fetch_add(&p->s->done, size);
	m.rest = strbuf_view(&bytes);
	d = decompress_new(&raw, end - at);
	in = decompress_reader(d);
	do {
		TRY(in.read(in.ctx, buf, READ_SIZE, &n, err));
		TRY(take_bytes(p, at, buf, n, err));
		at += n;
	} while (n);
	return 0;
}

/* Files without content lie in no frame. */
static int make_empty(struct pick *p, struct cairn_err *err)
{
	for (size_t i = 0; i < p->n; i++) {
		struct wanted *w = &p->wanted[i];

		if (w->done != w->entry->size)
			return cairn_fail(err, CAIRN_E_DIGEST,
			                  "'/%.*s' is not where the index says",
			                  STR(w->entry->path));
		if (w->entry->size)
			continue;
		TRY(begin_file(p, w, err));
		TRY(end_file(w, err));
	}
	return 0;
}

static int pick_all(struct pick *p, const char *dir, struct cairn_err *err)
{
	TRY(fs_open_dir(AT_FDCWD, dir, &p->dirfd, err));
	atomic_fetch_add(&p->s->total, p->bytes);
	for (size_t i = 0; i < p->n_runs; i++)
		TRY(read_run(p, &p->runs[i], err));
	return make_empty(p, err);
}

int supply_pick(struct supply *s, const struct chain_layer *layer,
                const struct layer_entry *const *entries, size_t n, const char *dir,
                struct cairn_err *err)
{
	struct pick p;
	int r;

	pick_init(&p, s);
	if (prepare(&p, layer, entries, n))
		r = pick_all(&p, dir, err);
	else
		r = cairn_fail(err, CAIRN_E_NOT_FOUND, "no frames of layer %s are known",
		               digest_text(&layer->diff_id).s);
	pick_done(&p);
	return r;
}
