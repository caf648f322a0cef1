/* Layers on their way out: tars made again, times clamped, compressed once. */
#include "clamp.h"
#include "output_priv.h"
#include "unpacked.h"
#include "util/fs.h"

#define PUMP_BYTES 65536

int out_meter_write(void *meter, const void *p, size_t n, struct cairn_err *err)
{
	struct out_meter *m = meter;

	if (atomic_load_explicit(&m->o->stop, memory_order_relaxed))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped; finished steps are kept");
	atomic_fetch_add_explicit(&m->o->at, n, memory_order_relaxed);
	return m->to ? m->to->write(m->to->ctx, p, n, err) : 0;
}

/* --- where a tar comes from -------------------------------------------------- */

static const struct digest *own_id(const struct out_layer *l)
{
	return &l->ids[l->n - 1];
}

static bool clamps(const struct out_layer *l)
{
	return l->o->opts->has_epoch && !l->base;
}

/* Read a blob of the store and decompress it. */
static int tar_of_blob(const struct out_layer *l, const struct digest *blob,
                       const struct layer_sink *sink, struct digest *ret_id, uint64_t *ret_size,
                       struct cairn_err *err)
{
	cleanup_decompressor struct decompressor *d = NULL;
	cleanup_free char *buf = xmalloc(PUMP_BYTES);
	cleanup_fd int fd = -1;
	struct layer_fd file = { .name = "a layer's blob" };
	struct layer_reader in, raw;
	struct sha256 h;
	uint64_t size = 0, blob_size = 0;
	size_t n = 0;

	TRY(store_blob_open(l->o->opts->store, blob, &fd, &blob_size, err));
	file.fd = fd;
	raw = layer_fd_reader(&file);
	d = decompress_new(&raw, LAYER_SIZE_MAX);
	in = decompress_reader(d);
	sha256_init(&h);
	do {
		TRY(in.read(in.ctx, buf, PUMP_BYTES, &n, err));
		sha256_add(&h, buf, n);
		size += n;
		if (n)
			TRY(sink->write(sink->ctx, buf, n, err));
	} while (n);
	*ret_id = sha256_end(&h);
	*ret_size = size;
	return 0;
}

static int fail_gone(const struct out_layer *l, bool foreign, struct cairn_err *err)
{
	if (foreign)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "layer %s was made elsewhere and its original bytes are gone; "
		                  "get its image again",
		                  digest_text(own_id(l)).s);
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "the files of layer %s are not in the store; build with --no-cache",
	                  digest_text(own_id(l)).s);
}

/* A tar that was written. */
struct made_tar {
	struct digest id;
	uint64_t size;
	struct layer_index *index; /* of the layer; NULL: the tar came out of a blob */
};

/* Any blob of the layer whose bytes are here. */
static int find_any_blob(const struct out_layer *l, struct digest *ret, bool *ret_found,
                         struct cairn_err *err)
{
	struct store *s = l->o->opts->store;
	cleanup_free char *variant = NULL;
	struct store_layer_blob blob = { 0 };

	*ret_found = false;
	TRY(store_layer_blob_any(s, own_id(l), &blob, &variant, err));
	*ret = blob.digest;
	return variant ? store_blob_find(s, &blob.digest, ret_found, NULL, err) : 0;
}

static int tar_of_dir(const struct out_layer *l, const char *path, const struct layer_sink *sink,
                      struct made_tar *ret, struct cairn_err *err)
{
	struct layer_tar_opts opts = LAYER_TAR_OPTS_INIT;
	cleanup_fd int dir = -1;

	TRY(unpacked_index(l->o->opts->store, own_id(l), &ret->index, err));
	TRY(fs_open_dir(AT_FDCWD, path, &dir, err));
	opts.sink = sink;
	opts.pool = l->o->opts->pool;
	if (clamps(l))
		opts.clamp_mtime = l->o->opts->epoch;
	return layer_tar(ret->index, dir, &opts, &ret->id, &ret->size, err);
}

/* The tar out of the layer's directory, or of any blob of it. What was made elsewhere rather
 * comes out of its blob: out of files it would not be the same. */
static int make_tar(const struct out_layer *l, bool foreign, const struct layer_sink *sink,
                    struct made_tar *ret, struct cairn_err *err)
{
	const struct unpacked u = { l->o->opts->store, l->o->opts->pool, l->ids, l->n };
	cleanup_arena struct arena *a = arena_new();
	struct digest blob;
	char *path = NULL;
	bool found = false;

	if (!foreign || clamps(l))
		TRY(unpacked_dir_find(&u, a, &path, err));
	if (!path && !clamps(l))
		TRY(find_any_blob(l, &blob, &found, err));
	if (found)
		return tar_of_blob(l, &blob, sink, &ret->id, &ret->size, err);
	if (!path) { /* of a base that was clamped: it gets a directory now */
		char **dirs = NULL;

		if (unpacked_dirs(&u, a, &dirs, err) == 0)
			path = dirs[l->n - 1];
	}
	return path ? tar_of_dir(l, path, sink, ret, err) : fail_gone(l, foreign, err);
}

static int fail_damaged(const struct out_layer *l, const struct store_layer *sl,
                        struct cairn_err *err)
{
	if (sl->foreign)
		return fail_gone(l, true, err);
	return cairn_fail(err, CAIRN_E_DIGEST,
	                  "the files of layer %s in the store were changed; build with --no-cache",
	                  digest_text(own_id(l)).s);
}

/* Write the tar to sink. When the layer's outgoing diff ID is known it is checked, else it
 * becomes known. */
static int generate(struct out_layer *l, const struct store_layer *sl, bool known,
                    const struct layer_sink *sink, struct cairn_err *err)
{
	struct out_meter meter = { l->o, sink };
	const struct layer_sink metered = { out_meter_write, &meter };
	struct made_tar made = { 0 };
	struct clamped c = { .of = sl, .epoch = l->o->opts->epoch };
	int r = make_tar(l, sl->foreign, &metered, &made, err);

	if (r == 0 && known && !digest_eq(&made.id, &l->diff_id))
		r = fail_damaged(l, sl, err);
	if (r == 0 && !known) {
		c.index = made.index;
		c.diff_id = l->diff_id = made.id;
		c.tar_size = l->tar_size = made.size;
		r = clamp_put(l->o->opts->store, &c, err);
	}
	layer_index_unref(made.index);
	return r;
}

/* --- blobs ------------------------------------------------------------------- */

static int blob_sink_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	return store_blob_writer_add(ctx, p, n, err);
}

static const enum compress_kind kinds[LAYER_COMPRESS_N_] = {
	[LAYER_COMPRESS_NONE] = COMPRESS_NONE,
	[LAYER_COMPRESS_GZIP] = COMPRESS_GZIP,
	[LAYER_COMPRESS_ZSTD] = COMPRESS_ZSTD,
};

/* Compress the layer into a blob of the store; what was recorded first stays canonical. */
static int make_blob(struct out_layer *l, const struct store_layer *sl, bool known,
                     const struct out_variant *v, struct out_blob *ret, struct cairn_err *err)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	cleanup_compressor struct compressor *c = NULL;
	struct store *s = l->o->opts->store;
	struct layer_sink to_blob, to_compressor;
	struct compress_result made = { 0 };
	struct store_layer_blob blob, canonical;
	bool here = false;

	TRY(store_blob_writer_new(s, NULL, &w, err));
	to_blob = (struct layer_sink){ blob_sink_write, w };
	c = compress_new(kinds[v->compression], v->level, l->o->opts->pool, &to_blob);
	to_compressor = compress_sink(c);
	TRY(generate(l, sl, known, &to_compressor, err));
	TRY(compress_finish(c, &made, err));
	TRY(store_blob_writer_commit(w, &blob.digest, &blob.size, err));
	canonical = blob;
	TRY(store_layer_blob_put(s, &l->diff_id, str_of(v->name), &blob, &canonical, err));
	if (!digest_eq(&blob.digest, &canonical.digest))
		TRY(store_blob_find(s, &canonical.digest, &here, NULL, err));
	if (here)
		blob = canonical;
	*ret = (struct out_blob){ .digest = blob.digest,
		                  .size = blob.size,
		                  .media_type = media_type_layer(v->compression, false),
		                  .stored = true };
	return 0;
}

/* The variant that is wanted, or the one that a foreign layer came in. */
static int find_blob(const struct out_layer *l, bool foreign, const struct out_variant *v,
                     struct out_blob *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *any = NULL;
	struct store_layer_blob blob = { 0 };
	struct store *s = l->o->opts->store;
	enum layer_compression compression = v->compression;

	if (foreign) {
		TRY(store_layer_blob_any(s, &l->diff_id, &blob, &any, err));
		*ret_found = any != NULL;
		compression = media_type_find(str_of(any))->compression;
	} else {
		TRY(store_layer_blob_find(s, &l->diff_id, str_of(v->name), &blob, ret_found, err));
	}
	if (*ret_found)
		TRY(store_blob_find(s, &blob.digest, ret_found, &blob.size, err));
	*ret = (struct out_blob){ .digest = blob.digest,
		                  .size = blob.size,
		                  .media_type = media_type_layer(compression, false),
		                  .stored = *ret_found };
	return 0;
}

static int find_layer(const struct out_layer *l, struct store_layer *ret, struct cairn_err *err)
{
	bool found = false;

	TRY(store_layer_find(l->o->opts->store, own_id(l), ret, &found, err));
	return found ? 0 : fail_gone(l, l->base, err);
}

/* What is known about the clamped layer: no file has to be read. */
static int find_clamped(struct out_layer *l, bool *ret_known, struct cairn_err *err)
{
	struct store *s = l->o->opts->store;
	struct store_layer sl = { 0 };
	struct digest id;

	TRY(clamp_find(s, own_id(l), l->o->opts->epoch, &id, ret_known, err));
	if (*ret_known)
		TRY(store_layer_find(s, &id, &sl, ret_known, err));
	if (!*ret_known)
		return 0;
	l->diff_id = id;
	l->tar_size = sl.tar_size;
	return 0;
}

/* Nothing in it is later: it stays as it is. */
static int find_unchanged(struct out_layer *l, const struct store_layer *sl, bool *ret_known,
                          struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	struct clamped same = { .of = sl,
		                .epoch = l->o->opts->epoch,
		                .diff_id = *own_id(l),
		                .tar_size = sl->tar_size };

	TRY(unpacked_index(l->o->opts->store, own_id(l), &ix, err));
	if (clamp_changes(ix, same.epoch))
		return 0;
	*ret_known = true;
	same.index = ix;
	return clamp_put(l->o->opts->store, &same, err);
}

int out_layer_prepare(struct out_layer *l, struct cairn_err *err)
{
	struct store_layer sl = { 0 };
	bool known = true;

	TRY(find_layer(l, &sl, err));
	l->diff_id = *own_id(l);
	l->tar_size = sl.tar_size;
	if (clamps(l))
		TRY(find_clamped(l, &known, err));
	if (!known)
		TRY(find_unchanged(l, &sl, &known, err));
	for (size_t i = 0; i < l->o->n_variants; i++) {
		const struct out_variant *v = &l->o->variants[i];
		bool found = false;

		if (v->compression == LAYER_COMPRESS_NONE && !sl.foreign)
			continue;
		if (known)
			TRY(find_blob(l, sl.foreign, v, &l->blobs[i], &found, err));
		if (!found)
			TRY(make_blob(l, &sl, known, v, &l->blobs[i], err));
		known = true;
	}
	if (!known)
		TRY(generate(l, &sl, false, NULL, err));
	for (size_t i = 0; i < l->o->n_variants; i++)
		if (!l->blobs[i].stored)
			l->blobs[i] = (struct out_blob){ .digest = l->diff_id,
				                         .size = l->tar_size,
				                         .media_type = MEDIA_OCI_LAYER };
	return 0;
}

int out_layer_tar(const struct out_layer *l, const struct layer_sink *sink, struct cairn_err *err)
{
	struct out_layer copy = *l;
	struct store_layer sl = { 0 };

	TRY(find_layer(l, &sl, err));
	return generate(&copy, &sl, true, sink, err);
}
