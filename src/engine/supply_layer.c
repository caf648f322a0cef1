/* One layer, from wherever it can be had. */
#include "supply_priv.h"

#include "download.h"
#include "unpacked.h"
#include "util/clock.h"

#define INDEX_BLOB_MAX (256u << 20) /* bytes of a compressed index */

static int fail_nowhere(const struct supply_item *it, const struct cairn_err *why,
                        struct cairn_err *err)
{
	char msg[sizeof(why->msg)];

	memcpy(msg, why->msg, sizeof(msg));
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "layer %.19s of the cache: %s",
	                  digest_text(&it->layer->diff_id).s, msg);
}

static void nothing_known(struct cairn_err *ret)
{
	(void)cairn_fail(ret, CAIRN_E_NOT_FOUND, "nobody has it");
}

/* --- its index --------------------------------------------------------------------- */

int supply_memory_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err)
{
	struct supply_memory *m = ctx;

	(void)err;
	n = n < m->rest.len ? n : m->rest.len;
	if (n)
		memcpy(p, m->rest.ptr, n);
	m->rest = str_skip(m->rest, n);
	*ret_n = n;
	return 0;
}

static int decompress(str blob, struct strbuf *out, struct cairn_err *err)
{
	struct supply_memory m = { blob };
	struct layer_reader raw = { supply_memory_read, &m }, in;
	cleanup_decompressor struct decompressor *d = decompress_new(&raw, LAYER_INDEX_MAX);
	cleanup_free char *buf = xmalloc(COMPRESS_FRAME);
	size_t n = 0;

	in = decompress_reader(d);
	do {
		TRY(in.read(in.ctx, buf, COMPRESS_FRAME, &n, err));
		strbuf_add(out, buf, n);
	} while (n && !out->overflow);
	return strbuf_check(out, "layer index", err);
}

/* Is it this layer's, as the record says? */
static int check_index(const struct supply_item *it, const struct layer_index *ix,
                       struct cairn_err *err)
{
	struct digest content = layer_index_content_digest(ix);

	return digest_eq(&content, &it->layer->content)
	               ? 0
	               : cairn_fail(err, CAIRN_E_DIGEST,
	                            "its index is not the one that its record was made with");
}

static int store_index(const struct supply_item *it, const struct layer_index *ix, str bytes,
                       struct cairn_err *err)
{
	const struct store_layer_new l = {
		.layer = { .diff_id = it->layer->diff_id,
		           .content = it->layer->content,
		           .tar_size = it->layer->size,
		           .n_entries = ix->n_entries,
		           .created = clock_now(),
		           /* Ours are cut into frames: their tar comes out of their files. */
		           .foreign = digest_none(&it->layer->step) || !ix->n_frames },
		.index = bytes,
	};

	return store_layer_put(it->s->opts.store, &l, err);
}

static int index_from(struct supply_item *it, const struct supply_layer *place,
                      struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	cleanup_strbuf struct strbuf blob, bytes;
	int r;

	strbuf_init(&blob, INDEX_BLOB_MAX);
	strbuf_init(&bytes, LAYER_INDEX_MAX);
	TRY(supply_check_stop(it->s, err));
	if (place->index_bytes.len)
		strbuf_str(&blob, place->index_bytes);
	else
		TRY(remote_blob_read(place->remote, &place->index, &blob, err));
	TRY(decompress(strbuf_view(&blob), &bytes, err));
	TRY(layer_index_decode(strbuf_view(&bytes), &ix, err));
	TRY(check_index(it, ix, err));
	r = store_index(it, ix, strbuf_view(&bytes), err);
	it->hard = r < 0;
	return r;
}

static int bring_index(struct supply_item *it, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct supply_layer *places = NULL;
	size_t n = supply_places(it->s, &it->layer->diff_id, a, &places);
	struct cairn_err why;

	nothing_known(&why);
	for (size_t i = 0; i < n && it->layer->size; i++) {
		if (digest_none(&places[i].index.digest) || !places[i].remote)
			continue;
		if (index_from(it, &places[i], &why) == 0)
			return 0;
		if (it->hard || why.code == CAIRN_E_CANCELLED) {
			*err = why;
			return err->code;
		}
	}
	return fail_nowhere(it, &why, err);
}

int supply_item_index(struct supply_item *it, struct cairn_err *err)
{
	struct store_layer l;
	bool found = false;
	int r;

	supply_index_begin(it->s, &it->layer->diff_id);
	r = store_layer_find(it->s->opts.store, &it->layer->diff_id, &l, &found, err);
	it->hard = r < 0;
	if (r == 0 && !found)
		r = bring_index(it, err);
	supply_index_end(it->s, &it->layer->diff_id);
	return r;
}

/* --- the layer ------------------------------------------------------------------------ */

/* A layer that is being brought from one place. */
struct bringing {
	struct supply_item *it;
	const struct supply_layer *place;
	struct layer_index *index; /* as the store has it; NULL: not known */
	bool foreign;
	struct frame_pipe *pipe;
	struct download *download;
};

static int get_blob(void *ctx, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	const struct bringing *b = ctx;

	(void)blob; /* it is the place's */
	return supply_blob_get(b->it->s, b->place, sink, err);
}

static int stopped(void *ctx, struct cairn_err *err)
{
	return supply_check_stop(((const struct bringing *)ctx)->it->s, err);
}

static int begin_download(struct bringing *b, bool frames, struct cairn_err *err)
{
	struct supply *s = b->it->s;
	struct download_opts opts = { .blob = &b->place->blob,
		                      .get = get_blob,
		                      .stopped = stopped,
		                      .ctx = b,
		                      .pool = s->net,
		                      .keep = b->foreign ? s->opts.store : NULL,
		                      .meter = &s->done };
	const struct frames_blob blob = { .frames = frames ? b->index->frames : NULL,
		                          .n = frames ? b->index->n_frames : 0,
		                          .blob_size = b->place->blob.size,
		                          .tar_size = b->it->layer->size };

	if (frames)
		opts.pipe = b->pipe = frame_pipe_new(&blob, s->cpu);
	return download_new(&opts, &b->download, err);
}

/* Unpack what the download brings, and keep it when it is what was promised. */
static int take_layer(struct bringing *b, char **ret_dir, struct cairn_err *err)
{
	struct supply_item *it = b->it;
	const struct arriving a = { .store = it->s->opts.store,
		                    .pool = it->s->cpu,
		                    .limits = it->limits,
		                    .ids = it->ids,
		                    .n = it->n,
		                    .below = it->below,
		                    .foreign = b->foreign,
		                    .open_lower = it->open_lower,
		                    .ctx = it->ctx,
		                    .content = it->layer->content,
		                    .tar_size = it->layer->size };
	struct layer_reader raw =
		b->pipe ? frame_pipe_reader(b->pipe) : download_reader(b->download);
	cleanup_arrival struct arrival got = { 0 };
	struct cairn_err why;
	int r = arrive_unpack(&a, &raw, b->pipe != NULL, &got, err);

	if (r < 0) { /* when the bytes were at fault, that is the reason */
		it->hard = r != CAIRN_E_DIGEST && r != CAIRN_E_CANCELLED;
		if (b->pipe)
			frame_pipe_close(b->pipe);
		return r;
	}
	if (download_wait(b->download, &why) < 0) {
		it->hard = download_failed_here(b->download);
		*err = why;
		return err->code;
	}
	TRY(arrive_check(&a, &got, err));
	r = arrive_commit(&a, &got, ret_dir, err);
	it->hard = r < 0 && r != CAIRN_E_UNSUPPORTED;
	return r;
}

static int attempt(struct bringing *b, bool frames, char **ret_dir, struct cairn_err *err)
{
	struct cairn_err why;
	int r = begin_download(b, frames, err);

	b->it->hard = r < 0;
	if (r == 0)
		r = take_layer(b, ret_dir, err);
	/* A transfer that failed is the cause of whatever else went wrong. */
	if (r < 0 && b->download && download_close(b->download, &why) < 0 &&
	    why.code != CAIRN_E_CANCELLED) {
		*err = why;
		b->it->hard = download_failed_here(b->download);
	}
	download_free(steal_ptr(&b->download));
	frame_pipe_free(steal_ptr(&b->pipe));
	return r < 0 ? err->code : 0;
}

static bool can_use_frames(const struct bringing *b)
{
	const struct frames_blob blob = { .frames = b->index ? b->index->frames : NULL,
		                          .n = b->index ? b->index->n_frames : 0,
		                          .blob_size = b->place->blob.size,
		                          .tar_size = b->it->layer->size };

	return !b->foreign && b->it->layer->size && frames_valid(&blob);
}

static int bring_from(struct bringing *b, char **ret_dir, struct cairn_err *err)
{
	int r = CAIRN_E_DIGEST;

	if (can_use_frames(b))
		r = attempt(b, true, ret_dir, err);
	/* The index may be another blob's: without it every frame is found. */
	if (r == CAIRN_E_DIGEST && !b->it->hard)
		r = attempt(b, false, ret_dir, err);
	if (r == 0)
		supply_keep_place(b->it->s, &b->it->layer->diff_id, b->place);
	return r;
}

static void load_index(struct bringing *b)
{
	struct store *st = b->it->s->opts.store;
	struct store_layer l;
	struct cairn_err ignored;
	bool found = false;

	b->foreign = true;
	if (store_layer_find(st, &b->it->layer->diff_id, &l, &found, &ignored) < 0 || !found ||
	    unpacked_index(st, &b->it->layer->diff_id, &b->index, &ignored) < 0)
		return;
	b->foreign = l.foreign;
}

int supply_item_unpack(struct supply_item *it, char **ret_dir, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct supply_layer *places = NULL;
	size_t n = supply_places(it->s, &it->layer->diff_id, a, &places);
	struct bringing b = { .it = it };
	struct cairn_err why;
	int r = CAIRN_E_NOT_FOUND;

	nothing_known(&why);
	load_index(&b);
	for (size_t i = 0; i < n && r < 0; i++) {
		if (digest_none(&places[i].blob.digest))
			continue;
		b.place = &places[i];
		r = bring_from(&b, ret_dir, &why);
		if (it->hard || why.code == CAIRN_E_CANCELLED)
			break;
	}
	layer_index_unref(b.index);
	if (r == 0)
		return 0;
	if (it->hard || why.code == CAIRN_E_CANCELLED) {
		*err = why;
		return err->code;
	}
	return fail_nowhere(it, &why, err);
}
