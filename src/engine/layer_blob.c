#include "layer_blob.h"

#include <pthread.h>
#include <stdio.h>

#include "clamp.h"
#include "unpacked.h"
#include "util/fs.h"

#define PUMP_BYTES 65536

struct layer_press {
	pthread_mutex_t lock; /* held while something is compressed */
};

struct layer_press *layer_press_new(void)
{
	struct layer_press *p = xcalloc(1, sizeof(*p));

	if (pthread_mutex_init(&p->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	return p;
}

void layer_press_free(struct layer_press *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

const char *layer_blob_variant(const struct layer_blob_form *f, char buf[LAYER_BLOB_VARIANT_MAX])
{
	const char *type = media_type_layer(f->compression, false);

	if (f->level)
		(void)snprintf(buf, LAYER_BLOB_VARIANT_MAX, "%s;level=%d", type, f->level);
	else
		(void)snprintf(buf, LAYER_BLOB_VARIANT_MAX, "%s", type);
	return buf;
}

static const struct digest *own_id(const struct layer_blob_source *s)
{
	return &s->ids[s->n - 1];
}

/* --- where a tar comes from -------------------------------------------------- */

/* Passes bytes on, counts them and notices `stop`. */
struct meter {
	const struct layer_blob_source *s;
	const struct layer_sink *to; /* NULL: nowhere */
};

static int meter_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	const struct meter *m = ctx;

	if (m->s->stop && atomic_load_explicit(m->s->stop, memory_order_relaxed))
		return cairn_fail(err, CAIRN_E_CANCELLED, "stopped; finished steps are kept");
	if (m->s->at)
		atomic_fetch_add_explicit(m->s->at, n, memory_order_relaxed);
	return m->to ? m->to->write(m->to->ctx, p, n, err) : 0;
}

/* Read a blob of the store and decompress it. */
static int tar_of_blob(const struct layer_blob_source *s, const struct digest *blob,
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

	TRY(store_blob_open(s->store, blob, &fd, &blob_size, err));
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

static int fail_gone(const struct layer_blob_source *s, bool foreign, struct cairn_err *err)
{
	if (foreign)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "layer %s was made elsewhere and its original bytes are gone; "
		                  "get its image again",
		                  digest_text(own_id(s)).s);
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "the files of layer %s are not in the store; build with --no-cache",
	                  digest_text(own_id(s)).s);
}

/* A tar that was written. */
struct made_tar {
	struct digest id;
	uint64_t size;
	struct layer_index *index; /* of the layer; NULL: the tar came out of a blob */
};

/* Any blob of the layer whose bytes are here. */
static int find_any_blob(const struct layer_blob_source *s, struct digest *ret, bool *ret_found,
                         struct cairn_err *err)
{
	cleanup_free char *variant = NULL;
	struct store_layer_blob blob = { 0 };

	*ret_found = false;
	TRY(store_layer_blob_any(s->store, own_id(s), &blob, &variant, err));
	*ret = blob.digest;
	return variant ? store_blob_find(s->store, &blob.digest, ret_found, NULL, err) : 0;
}

static int tar_of_dir(const struct layer_blob_source *s, const char *path,
                      const struct layer_sink *sink, struct made_tar *ret, struct cairn_err *err)
{
	struct layer_tar_opts opts = LAYER_TAR_OPTS_INIT;
	cleanup_fd int dir = -1;

	TRY(unpacked_index(s->store, own_id(s), &ret->index, err));
	TRY(fs_open_dir(AT_FDCWD, path, &dir, err));
	opts.sink = sink;
	opts.pool = s->pool;
	if (s->clamp)
		opts.clamp_mtime = s->epoch;
	return layer_tar(ret->index, dir, &opts, &ret->id, &ret->size, err);
}

/* The tar out of the layer's directory, or of any blob of it. What was made elsewhere rather
 * comes out of its blob: out of files it would not be the same. */
static int make_tar(const struct layer_blob_source *s, const struct layer_sink *sink,
                    struct made_tar *ret, struct cairn_err *err)
{
	const struct unpacked u = { s->store, s->pool, s->ids, s->n };
	cleanup_arena struct arena *a = arena_new();
	struct digest blob;
	char *path = NULL;
	bool found = false;

	if (!s->layer.foreign || s->clamp)
		TRY(unpacked_dir_find(&u, a, &path, err));
	if (!path && !s->clamp)
		TRY(find_any_blob(s, &blob, &found, err));
	if (found)
		return tar_of_blob(s, &blob, sink, &ret->id, &ret->size, err);
	if (!path) { /* of a base that was clamped: it gets a directory now */
		char **dirs = NULL;

		if (unpacked_dirs(&u, a, &dirs, err) == 0)
			path = dirs[s->n - 1];
	}
	return path ? tar_of_dir(s, path, sink, ret, err) : fail_gone(s, s->layer.foreign, err);
}

static int fail_damaged(const struct layer_blob_source *s, struct cairn_err *err)
{
	if (s->layer.foreign)
		return fail_gone(s, true, err);
	return cairn_fail(err, CAIRN_E_DIGEST,
	                  "the files of layer %s in the store were changed; build with --no-cache",
	                  digest_text(own_id(s)).s);
}

/* Write the tar to sink. When the layer's outgoing diff ID is known it is checked, else it
 * becomes known. */
static int generate(struct layer_blob_source *s, const struct layer_sink *sink,
                    struct cairn_err *err)
{
	struct meter meter = { s, sink };
	const struct layer_sink metered = { meter_write, &meter };
	struct made_tar made = { 0 };
	struct clamped c = { .of = &s->layer, .epoch = s->epoch };
	int r = make_tar(s, &metered, &made, err);

	if (r == 0 && s->known && !digest_eq(&made.id, &s->diff_id))
		r = fail_damaged(s, err);
	if (r == 0 && !s->known) {
		c.index = made.index;
		c.diff_id = s->diff_id = made.id;
		c.tar_size = s->tar_size = made.size;
		s->known = true;
		r = clamp_put(s->store, &c, err);
	}
	layer_index_unref(made.index);
	return r;
}

int layer_blob_tar(struct layer_blob_source *s, const struct layer_sink *sink,
                   struct cairn_err *err)
{
	return generate(s, sink, err);
}

int layer_blob_learn(struct layer_blob_source *s, struct cairn_err *err)
{
	return s->known ? 0 : generate(s, NULL, err);
}

/* --- what is known without reading files ---------------------------------------- */

/* What is known about the clamped layer: no file has to be read. */
static int find_clamped(struct layer_blob_source *s, struct cairn_err *err)
{
	struct store_layer sl = { 0 };
	struct digest id;

	TRY(clamp_find(s->store, own_id(s), s->epoch, &id, &s->known, err));
	if (s->known)
		TRY(store_layer_find(s->store, &id, &sl, &s->known, err));
	if (!s->known)
		return 0;
	s->diff_id = id;
	s->tar_size = sl.tar_size;
	return 0;
}

/* Nothing in it is later: it stays as it is. */
static int find_unchanged(struct layer_blob_source *s, struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	struct clamped same = { .of = &s->layer,
		                .epoch = s->epoch,
		                .diff_id = *own_id(s),
		                .tar_size = s->layer.tar_size };

	TRY(unpacked_index(s->store, own_id(s), &ix, err));
	if (clamp_changes(ix, same.epoch))
		return 0;
	s->known = true;
	same.index = ix;
	return clamp_put(s->store, &same, err);
}

int layer_blob_open(struct layer_blob_source *s, struct cairn_err *err)
{
	bool found = false;

	TRY(store_layer_find(s->store, own_id(s), &s->layer, &found, err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "layer %s is not in the store",
		                  digest_text(own_id(s)).s);
	s->diff_id = *own_id(s);
	s->tar_size = s->layer.tar_size;
	s->known = !s->clamp;
	if (s->clamp)
		TRY(find_clamped(s, err));
	return s->known ? 0 : find_unchanged(s, err);
}

/* --- where the frames of a blob begin -------------------------------------------- */

static struct digest frames_key(const struct digest *blob)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.blob.frames", 1);
	digest_field_digest(&f, "blob", blob);
	return digest_fields_end(&f);
}

/* They save requests; without them everything works. */
static void put_frames(struct store *s, const struct digest *blob, const struct compress_result *c)
{
	const struct store_ref ref = { STORE_REF_BLOB, *blob };
	struct store_record r = {
		.key = frames_key(blob), .kind = STORE_RECORD_FACT, .refs = &ref, .n_refs = 1
	};
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;

	strbuf_init(&text, STORE_RECORD_MAX);
	for (size_t i = 0; i < c->n_frames; i++) {
		strbuf_u64le(&text, c->frames[i].blob_offset);
		strbuf_u64le(&text, c->frames[i].tar_offset);
	}
	r.payload = strbuf_view(&text);
	if (c->n_frames && !text.overflow)
		(void)store_record_put(s, &r, STORE_ADOPT, NULL, &ignored);
}

static uint64_t u64le_at(const char *p)
{
	uint64_t v = 0;

	for (int i = 7; i >= 0; i--)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

/* *ret is owned; NULL with *ret_n 0 when nothing is known. */
static int find_frames(struct store *s, const struct digest *blob, struct layer_frame **ret,
                       size_t *ret_n, struct cairn_err *err)
{
	struct digest key = frames_key(blob);
	struct store_found f = { 0 };

	*ret = NULL;
	*ret_n = 0;
	TRY(store_records_find(s, &key, 1, &f, err));
	if (f.found && f.len && f.len % 16 == 0) {
		*ret_n = f.len / 16;
		*ret = xcalloc(*ret_n, sizeof(**ret));
		for (size_t i = 0; i < *ret_n; i++)
			(*ret)[i] = (struct layer_frame){ u64le_at(f.payload + 16 * i),
				                          u64le_at(f.payload + 16 * i + 8) };
	}
	store_found_done(&f);
	return 0;
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
static int make_blob(struct layer_blob_source *s, const struct layer_blob_form *form,
                     struct layer_blob *ret, struct cairn_err *err)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	cleanup_compressor struct compressor *c = NULL;
	struct layer_sink to_blob, to_compressor;
	struct compress_result made = { 0 };
	struct store_layer_blob blob, canonical;
	char variant[LAYER_BLOB_VARIANT_MAX];
	bool here = false;

	TRY(store_blob_writer_new(s->store, NULL, &w, err));
	to_blob = (struct layer_sink){ blob_sink_write, w };
	c = compress_new(kinds[form->compression], form->level, s->pool, &to_blob);
	to_compressor = compress_sink(c);
	TRY(generate(s, &to_compressor, err));
	TRY(compress_finish(c, &made, err));
	TRY(store_blob_writer_commit(w, &blob.digest, &blob.size, err));
	canonical = blob;
	put_frames(s->store, &blob.digest, &made);
	TRY(store_layer_blob_put(s->store, &s->diff_id, str_of(layer_blob_variant(form, variant)),
	                         &blob, &canonical, err));
	if (!digest_eq(&blob.digest, &canonical.digest))
		TRY(store_blob_find(s->store, &canonical.digest, &here, NULL, err));
	if (here)
		blob = canonical;
	*ret = (struct layer_blob){ .digest = blob.digest,
		                    .size = blob.size,
		                    .media_type = media_type_layer(form->compression, false),
		                    .stored = true };
	return 0;
}

/* The variant that is wanted, or the one that a foreign layer came in. */
static int find_blob(const struct layer_blob_source *s, const struct layer_blob_form *form,
                     struct layer_blob *ret, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *any = NULL;
	char variant[LAYER_BLOB_VARIANT_MAX];
	struct store_layer_blob blob = { 0 };
	enum layer_compression compression = form->compression;
	bool found = false, here = false;

	if (s->layer.foreign) {
		TRY(store_layer_blob_any(s->store, &s->diff_id, &blob, &any, err));
		compression = media_type_find(str_of(any))->compression;
		found = any && (!form->force || compression == form->compression);
	}
	if (!found && (!s->layer.foreign || form->force)) {
		compression = form->compression;
		TRY(store_layer_blob_find(s->store, &s->diff_id,
		                          str_of(layer_blob_variant(form, variant)), &blob, &found,
		                          err));
	}
	if (found)
		TRY(store_blob_find(s->store, &blob.digest, &here, NULL, err));
	*ret_found = here || (found && form->described);
	*ret = (struct layer_blob){ .digest = blob.digest,
		                    .size = blob.size,
		                    .media_type = media_type_layer(compression, false),
		                    .stored = here };
	return 0;
}

/* Of those who want to compress one works; what it made is found by the others. */
static int press(struct layer_blob_source *s, const struct layer_blob_form *form,
                 struct layer_blob *ret, struct cairn_err *err)
{
	bool found = false;
	int r = 0;

	pthread_mutex_lock(&s->press->lock);
	if (!s->known)
		r = find_clamped(s, err);
	if (r == 0 && s->known)
		r = find_blob(s, form, ret, &found, err);
	if (r == 0 && !found)
		r = make_blob(s, form, ret, err);
	pthread_mutex_unlock(&s->press->lock);
	return r;
}

int layer_blob_get(struct layer_blob_source *s, const struct layer_blob_form *form,
                   struct layer_blob *ret, struct cairn_err *err)
{
	bool found = false;

	if (form->tar_on_demand && form->compression == LAYER_COMPRESS_NONE && !s->layer.foreign) {
		TRY(layer_blob_learn(s, err));
		*ret = (struct layer_blob){ .digest = s->diff_id,
			                    .size = s->tar_size,
			                    .media_type = MEDIA_OCI_LAYER };
		return 0;
	}
	if (s->known)
		TRY(find_blob(s, form, ret, &found, err));
	return found ? 0 : press(s, form, ret, err);
}

/* --- indexes ------------------------------------------------------------------ */

int layer_blob_index(struct store *s, const struct digest *diff_id, const struct digest *blob,
                     struct descriptor *ret, struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *plain = NULL, *framed = NULL;
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	cleanup_compressor struct compressor *c = NULL;
	cleanup_free struct layer_frame *frames = NULL;
	struct layer_sink to_blob, to_compressor;
	struct compress_result made = { 0 };
	cleanup_strbuf struct strbuf bytes;
	size_t n_frames = 0;

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	TRY(unpacked_index(s, diff_id, &plain, err));
	TRY(find_frames(s, blob, &frames, &n_frames, err));
	if (frames)
		framed = layer_index_with_frames(plain, frames, n_frames);
	layer_index_encode(framed ? framed : plain, &bytes);
	TRY(strbuf_check(&bytes, "layer index", err));
	TRY(store_blob_writer_new(s, NULL, &w, err));
	to_blob = (struct layer_sink){ blob_sink_write, w };
	c = compress_new(COMPRESS_ZSTD, 0, NULL, &to_blob);
	to_compressor = compress_sink(c);
	TRY(to_compressor.write(to_compressor.ctx, bytes.ptr, bytes.len, err));
	TRY(compress_finish(c, &made, err));
	*ret = (struct descriptor){ .media_type = S(MEDIA_OCI_LAYER "+zstd") };
	return store_blob_writer_commit(w, &ret->digest, &ret->size, err);
}
