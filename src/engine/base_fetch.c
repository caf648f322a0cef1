/* Layers of base images: downloads run ahead, unpacking follows in order. */
#include "arrive.h"
#include "base_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>

#include "util/fs.h"
#include "util/pool.h"

#define DOWNLOADS_MAX 3 /* at once, as Docker */

/* A layer of the image. */
struct fetch_layer {
	const struct descriptor *blob;
	struct download *download; /* NULL: it is in the store, as directory or at least as blob */
	char *dir;                 /* absolute, owned; NULL while it is not unpacked */
};

/* A fetch that runs. */
struct base_fetching {
	struct bases *b;
	const struct graph_node *node;
	const struct image_config *config;
	struct arena *arena;
	struct reference repo;           /* where the blobs are */
	const struct manifest *manifest; /* in arena, or of bases->images */
	struct pool *pool;               /* for downloads alone */
	struct fetch_layer *layers;
	size_t n;
	struct arrive_limits limits;
	pthread_mutex_t lock; /* progress: of what follows */
	size_t unpacking;     /* number of the layer, from 1 */
	uint64_t total;       /* bytes to download; 0: none yet */
};

/* --- where the layers are --------------------------------------------------- */

static bool from_memory(struct base_fetching *f)
{
	vec_foreach (i, &f->b->images)
		if (i->img &&
		    digest_eq(&i->img->manifest.config.digest, &f->node->base.config_digest)) {
			f->manifest = &i->img->manifest;
			f->repo = i->img->ref;
			return true;
		}
	return false;
}

static bool source_repo(struct base_fetching *f, const struct digest *manifest)
{
	struct store_sources sources = { 0 };
	struct cairn_err ignored;
	bool ok = false;

	if (store_blob_sources(f->b->opts.store, manifest, &sources, &ignored) < 0)
		return false;
	if (sources.len) {
		cleanup_free char *text =
			xasprintf("%s/%s", sources.ptr[0].registry, sources.ptr[0].repository);

		ok = reference_parse(str_of(text), &f->repo, &ignored) == 0;
	}
	store_sources_done(&sources);
	return ok;
}

/* The manifest it was pulled with, by an earlier process. Doubt is a miss. */
static bool from_store(struct base_fetching *f)
{
	cleanup_strbuf struct strbuf bytes;
	struct manifest *m = arena_new_of(f->arena, struct manifest);
	struct digest digest;
	struct cairn_err ignored;
	bool found = false;

	strbuf_init(&bytes, MANIFEST_MAX);
	if (store_manifest_find(f->b->opts.store, &f->node->base.config_digest, S(BASE_MANIFEST),
	                        &digest, &found, &ignored) < 0 ||
	    !found || store_blob_read(f->b->opts.store, &digest, &bytes, &ignored) < 0 ||
	    manifest_parse(f->arena, arena_str(f->arena, strbuf_view(&bytes)), S(""), m, &ignored) <
	            0)
		return false;
	f->manifest = m;
	return m->kind == MANIFEST_IMAGE && source_repo(f, &digest);
}

/* The name says where to ask, but what it stands for may have changed. */
static int from_name(struct base_fetching *f, struct cairn_err *err)
{
	const struct graph_node *n = f->node;
	struct registry_image *img = NULL;
	struct manifest *m = arena_new_of(f->arena, struct manifest);
	bool pinned;
	int r;

	TRY(bases_reference(f->b, n->base.ref, &f->repo, &pinned, err));
	r = registry_resolve(bases_registry(f->b), &f->repo, &n->stage->platform, &img, err);
	if (r < 0)
		return cairn_wrap(err, "the layers of '%.*s' are not in the store",
		                  STR(n->base.ref));
	if (!digest_eq(&img->manifest.config.digest, &n->base.config_digest)) {
		registry_image_free(img);
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "the layers of '%.*s' are not in the store, and the registry has "
		                  "another image of that name; --pull takes that one",
		                  STR(n->base.ref));
	}
	r = manifest_parse(f->arena, arena_str(f->arena, img->manifest_bytes), img->manifest_type,
	                   m, err);
	f->manifest = m;
	registry_image_free(img);
	return r;
}

static int find_source(struct base_fetching *f, struct cairn_err *err)
{
	if (!from_memory(f) && !from_store(f))
		TRY(from_name(f, err));
	if (f->manifest->n_layers != f->n)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "the manifest of '%.*s' has %zu layers, its config %zu",
		                  STR(f->node->base.ref), f->manifest->n_layers, f->n);
	for (size_t i = 0; i < f->n; i++) {
		const struct descriptor *d = &f->manifest->layers[i];

		f->layers[i].blob = d;
		if (d->media_type.len && media_type_find(d->media_type)->kind != MEDIA_LAYER)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "layer %zu of '%.*s' has the type '%.*s', which is not "
			                  "known",
			                  i + 1, STR(f->node->base.ref), STR(d->media_type));
	}
	return 0;
}

/* --- what is there ------------------------------------------------------------ */

/* Look for the directory of layer i, and for the layer's description. */
static int look(struct base_fetching *f, size_t i, struct store_layer *ret_layer, bool *ret_known,
                struct cairn_err *err)
{
	const struct digest *ids = f->config->diff_ids;
	struct digest keys[] = { store_layer_chain_key(ids, i + 1), ids[i] };
	char *paths[2] = { NULL, NULL };

	TRY(store_layer_find(f->b->opts.store, &ids[i], ret_layer, ret_known, err));
	if (!*ret_known)
		return 0;
	TRY(store_layer_dirs_find(f->b->opts.store, keys, 2, paths, err));
	f->layers[i].dir = paths[0] ? paths[0] : paths[1];
	if (paths[0])
		free(paths[1]);
	return 0;
}

static int look_at_all(struct base_fetching *f, size_t *ret_missing, struct cairn_err *err)
{
	*ret_missing = 0;
	for (size_t i = 0; i < f->n; i++) {
		struct store_layer layer;
		bool known = false;

		TRY(look(f, i, &layer, &known, err));
		*ret_missing += f->layers[i].dir == NULL;
	}
	return 0;
}

/* --- downloads ---------------------------------------------------------------- */

static bool same_blob_before(const struct base_fetching *f, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (!f->layers[k].dir &&
		    digest_eq(&f->layers[k].blob->digest, &f->layers[i].blob->digest))
			return true;
	return false;
}

static int get_blob(void *ctx, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	const struct base_fetching *f = ctx;
	struct registry_sink to = { .write = sink->write,
		                    .verify = sink->verify,
		                    .ctx = sink->ctx };

	return registry_blob_get(bases_registry(f->b), &f->repo, blob, &to, err);
}

static int stopped(void *ctx, struct cairn_err *err)
{
	return bases_check_cancel(((const struct base_fetching *)ctx)->b, err);
}

static int start_downloads(struct base_fetching *f, struct cairn_err *err)
{
	struct download_opts opts = {
		.get = get_blob, .stopped = stopped, .ctx = f, .keep = f->b->opts.store
	};
	uint64_t total = 0;

	opts.pool = f->pool = pool_new(DOWNLOADS_MAX);
	for (size_t i = 0; i < f->n; i++) {
		struct fetch_layer *l = &f->layers[i];
		struct download *d = NULL;
		bool here = false;

		if (l->dir || same_blob_before(f, i))
			continue;
		TRY(store_blob_find(f->b->opts.store, &l->blob->digest, &here, NULL, err));
		if (here)
			continue;
		opts.blob = l->blob;
		TRY(download_new(&opts, &d, err));
		total += l->blob->size;
		pthread_mutex_lock(&f->lock);
		l->download = d;
		f->total = total;
		pthread_mutex_unlock(&f->lock);
	}
	return 0;
}

/* --- unpacking ------------------------------------------------------------------ */

static int open_lower(void *ctx, const struct tree_node *node, int *ret_fd, struct cairn_err *err)
{
	const struct base_fetching *f = ctx;
	cleanup_free char *path = str_dup(node->entry->path);
	cleanup_fd int dir = -1;
	int fd;

	TRY(fs_open_dir(AT_FDCWD, f->layers[node->layer].dir, &dir, err));
	fd = fs_open_beneath(dir, path, O_RDONLY);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%s/%s'", f->layers[node->layer].dir, path);
	*ret_fd = fd;
	return 0;
}

/* The bytes were what the manifest says, and are the layer that the config says. */
static int check(struct base_fetching *f, size_t i, const struct arriving *a,
                 const struct arrival *got, struct cairn_err *err)
{
	static const enum layer_compression compression[COMPRESS_N_] = {
		[COMPRESS_NONE] = LAYER_COMPRESS_NONE,
		[COMPRESS_GZIP] = LAYER_COMPRESS_GZIP,
		[COMPRESS_ZSTD] = LAYER_COMPRESS_ZSTD,
	};
	struct fetch_layer *l = &f->layers[i];
	struct store *s = f->b->opts.store;
	struct store_layer_blob blob = { l->blob->digest, l->blob->size }, canonical;
	struct cairn_err ignored;

	if (l->download) {
		TRY(download_wait(l->download, err));
		TRY(store_blob_source_put(s, &l->blob->digest, str_of(f->repo.domain),
		                          str_of(f->repo.path), err));
	}
	if (arrive_check(a, got, err) < 0) {
		(void)store_blob_forget(s, &l->blob->digest, &ignored);
		return err->code;
	}
	return store_layer_blob_put(s, &got->result.diff_id,
	                            str_of(media_type_layer(compression[got->kind], false)), &blob,
	                            &canonical, err);
}

static int keep_layer(struct base_fetching *f, size_t i, const struct arriving *a,
                      const struct layer_reader *raw, struct cairn_err *err)
{
	cleanup_arrival struct arrival got = { 0 };
	int r = arrive_unpack(a, raw, false, &got, err);

	if (r == CAIRN_E_DIGEST && f->layers[i].download) {
		struct cairn_err why;

		/* Damaged on the way? Then that is the reason. */
		if (download_wait(f->layers[i].download, &why) < 0)
			*err = why;
	}
	TRY(r);
	TRY(check(f, i, a, &got, err));
	return arrive_commit(a, &got, &f->layers[i].dir, err);
}

static int unpack_from(struct base_fetching *f, size_t i, const struct tree *below,
                       const struct layer_reader *raw, struct cairn_err *err)
{
	const struct arriving a = { .store = f->b->opts.store,
		                    .pool = f->b->opts.pool,
		                    .limits = &f->limits,
		                    .ids = f->config->diff_ids,
		                    .n = i + 1,
		                    .below = below,
		                    .foreign = true,
		                    .open_lower = open_lower,
		                    .ctx = f };

	if (keep_layer(f, i, &a, raw, err) == 0)
		return 0;
	if (err->code == CAIRN_E_CANCELLED)
		return err->code;
	return cairn_wrap(err, "layer %zu of '%.*s'", i + 1, STR(f->node->base.ref));
}

static int unpack(struct base_fetching *f, size_t i, const struct tree *below,
                  struct cairn_err *err)
{
	struct fetch_layer *l = &f->layers[i];
	struct layer_fd in = { -1, "layer" };
	struct layer_reader raw;
	cleanup_fd int fd = -1;
	uint64_t size = 0;

	pthread_mutex_lock(&f->lock);
	f->unpacking = i + 1;
	pthread_mutex_unlock(&f->lock);
	if (l->download) {
		raw = download_reader(l->download);
	} else {
		TRY(store_blob_open(f->b->opts.store, &l->blob->digest, &fd, &size, err));
		in.fd = fd;
		raw = layer_fd_reader(&in);
	}
	return unpack_from(f, i, below, &raw, err);
}

static int push(struct base_fetching *f, size_t i, struct tree **tree, struct cairn_err *err)
{
	cleanup_layer_index struct layer_index *ix = NULL;
	cleanup_strbuf struct strbuf bytes;
	struct tree *t;

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	TRY(store_layer_index_read(f->b->opts.store, &f->config->diff_ids[i], &bytes, err));
	TRY(layer_index_decode(strbuf_view(&bytes), &ix, err));
	t = tree_push(*tree, ix);
	tree_unref(*tree);
	*tree = t;
	return 0;
}

static int unpack_all(struct base_fetching *f, size_t missing, struct cairn_err *err)
{
	cleanup_tree struct tree *tree = tree_new();
	struct store_layer layer;
	bool known = false;

	for (size_t i = 0; i < f->n && missing; i++) {
		TRY(bases_check_cancel(f->b, err));
		if (!f->layers[i].dir) {
			TRY(look(f, i, &layer, &known, err)); /* the same layer twice in an image */
			if (!f->layers[i].dir)
				TRY(unpack(f, i, tree, err));
			missing--;
		}
		if (missing)
			TRY(push(f, i, &tree, err));
	}
	return 0;
}

/* --- the whole ------------------------------------------------------------------ */

/* One fetches, in this process or another; the others find everything done. */
static int take_turn(struct base_fetching *f, struct store_lock **ret, struct cairn_err *err)
{
	struct digest_fields k;
	struct digest key;

	digest_fields_begin(&k, "cairn.base.fetch", 1);
	digest_field_digest(&k, "config", &f->node->base.config_digest);
	key = digest_fields_end(&k);
	for (;;) {
		TRY(bases_check_cancel(f->b, err));
		TRY(store_lock_try(f->b->opts.store, &key, ret, err));
		if (*ret)
			return 0;
		(void)poll(NULL, 0, STORE_LOCK_RETRY_MS);
	}
}

static int fetch(struct base_fetching *f, struct cairn_err *err)
{
	cleanup_store_lock struct store_lock *lock = NULL;
	size_t missing = 0;

	TRY(take_turn(f, &lock, err));
	TRY(look_at_all(f, &missing, err));
	if (!missing)
		return 0;
	TRY(arrive_limits(&f->limits, err));
	TRY(find_source(f, err));
	TRY(start_downloads(f, err));
	return unpack_all(f, missing, err);
}

static struct base_fetching *fetching_new(struct bases *b, const struct graph_node *node)
{
	struct base_fetching *f = xcalloc(1, sizeof(*f));

	*f = (struct base_fetching){ .b = b, .node = node, .config = node->base.config };
	f->arena = arena_new();
	f->n = f->config->n_diff_ids;
	f->layers = arena_array(f->arena, struct fetch_layer, f->n);
	if (pthread_mutex_init(&f->lock, NULL))
		CAIRN_BUG("cannot create a lock");
	pthread_mutex_lock(&b->lock);
	vec_push(&b->active, f);
	pthread_mutex_unlock(&b->lock);
	return f;
}

static void fetching_free(struct base_fetching *f)
{
	struct bases *b = f->b;

	pool_free(f->pool); /* waits for the downloads */
	pthread_mutex_lock(&b->lock);
	vec_foreach (a, &b->active)
		if (*a == f) {
			*a = *vec_last(&b->active);
			b->active.len--;
			break;
		}
	pthread_mutex_unlock(&b->lock);
	for (size_t i = 0; i < f->n; i++) {
		download_free(f->layers[i].download);
		free(f->layers[i].dir);
	}
	pthread_mutex_destroy(&f->lock);
	arena_free(f->arena);
	free(f);
}

/* A failure ends the build, so all downloads stop; those who are stopped by it tell the cause. */
static void stop_others(struct bases *b, struct cairn_err *err)
{
	pthread_mutex_lock(&b->lock);
	if (err->code != CAIRN_E_CANCELLED && !b->failed) {
		b->failed = true;
		b->err = *err;
	} else if (err->code == CAIRN_E_CANCELLED && b->failed) {
		*err = b->err;
	}
	pthread_mutex_unlock(&b->lock);
	base_fetch_stop(b);
}

int base_fetch(void *ctx, const struct graph_node *base, struct cairn_err *err)
{
	struct bases *b = ctx;
	size_t tries = 0;
	int r;

	do { /* a mirror that sent a damaged layer is not asked again */
		struct base_fetching *f = fetching_new(b, base);

		r = fetch(f, err);
		fetching_free(f);
	} while (r == CAIRN_E_DIGEST && tries++ < b->opts.net.n_mirrors);
	if (r < 0) {
		stop_others(ctx, err);
		r = err->code;
	}
	return r;
}

static void sum(struct base_fetching *f, struct base_progress *ret)
{
	size_t number = 0;

	pthread_mutex_lock(&f->lock);
	*ret = (struct base_progress){ .total = f->total };
	for (size_t i = 0; i < f->n; i++) {
		uint64_t done;

		if (!f->layers[i].download)
			continue;
		done = download_done(f->layers[i].download);
		ret->current += done;
		if (!number && done < f->layers[i].blob->size)
			number = i + 1;
	}
	(void)snprintf(ret->text, sizeof(ret->text), "%s layer %zu/%zu",
	               number ? "pulling" : "unpacking", number ? number : f->unpacking, f->n);
	pthread_mutex_unlock(&f->lock);
}

bool base_fetch_progress(void *ctx, const struct graph_node *base, struct base_progress *ret)
{
	struct bases *b = ctx;
	bool found = false;

	pthread_mutex_lock(&b->lock);
	vec_foreach (f, &b->active)
		if ((*f)->node == base) {
			sum(*f, ret);
			found = ret->total > 0;
		}
	pthread_mutex_unlock(&b->lock);
	return found;
}
