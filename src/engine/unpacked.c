#include "unpacked.h"

#include "clamp.h"
#include "util/fs.h"
#include "util/map.h"

int unpacked_index(struct store *s, const struct digest *diff_id, struct layer_index **ret,
                   struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	TRY(store_layer_index_read(s, diff_id, &bytes, err));
	return layer_index_decode(strbuf_view(&bytes), ret, err);
}

int unpacked_tree(const struct unpacked *u, struct tree **ret, struct cairn_err *err)
{
	struct tree *t = tree_new();
	int r = 0;

	for (size_t i = 0; r == 0 && i < u->n; i++) {
		struct layer_index *ix = NULL;
		struct tree *below = t;

		r = unpacked_index(u->store, &u->diff_ids[i], &ix, err);
		if (r < 0)
			break;
		t = tree_push(below, ix);
		tree_unref(below);
		layer_index_unref(ix);
	}
	if (r == 0)
		*ret = t;
	else
		tree_unref(t);
	return r;
}

/* Directories of all n layers, NULL where there is none. */
static int find_dirs(const struct unpacked *u, struct arena *a, char **dirs, struct cairn_err *err)
{
	struct digest *keys = arena_array(a, struct digest, 2 * u->n + 1);
	char **paths = arena_array(a, char *, 2 * u->n + 1);

	for (size_t i = 0; i < u->n; i++) {
		keys[2 * i] = store_layer_chain_key(u->diff_ids, i + 1);
		keys[2 * i + 1] = u->diff_ids[i];
	}
	TRY(store_layer_dirs_find(u->store, keys, 2 * u->n, paths, err));
	for (size_t i = 0; i < u->n; i++) {
		const char *p = paths[2 * i] ? paths[2 * i] : paths[2 * i + 1];

		dirs[i] = p ? arena_cstr(a, str_of(p)) : NULL;
		free(paths[2 * i]);
		free(paths[2 * i + 1]);
	}
	return 0;
}

int unpacked_dir_find(const struct unpacked *u, struct arena *a, char **ret, struct cairn_err *err)
{
	struct digest keys[2] = { store_layer_chain_key(u->diff_ids, u->n), u->diff_ids[u->n - 1] };
	char *paths[2] = { NULL, NULL };

	TRY(store_layer_dirs_find(u->store, keys, 2, paths, err));
	*ret = paths[0] || paths[1] ? arena_cstr(a, str_of(paths[0] ? paths[0] : paths[1])) : NULL;
	free(paths[0]);
	free(paths[1]);
	return 0;
}

/* --- a clamped layer gets its directory ------------------------------------ */

/* Everything an index says, its files in dirfd. */
static struct layer_plan *plan_of(const struct layer_index *ix, int dirfd)
{
	struct layer_plan *plan = layer_plan_new();
	struct map groups = { 0 }; /* path of a group's file -> its number */
	uintptr_t n = 0;

	for (size_t i = 0; i < ix->n_entries; i++)
		if (ix->entries[i].type == LAYER_HARDLINK &&
		    !map_has(&groups, ix->entries[i].target))
			map_put(&groups, ix->entries[i].target, (void *)++n);
	for (size_t i = 0; i < ix->n_entries; i++) {
		struct layer_entry e = ix->entries[i];
		struct layer_source src = { .kind = LAYER_SOURCE_FILE,
			                    .dirfd = dirfd,
			                    .path = e.path,
			                    .expected = e.digest };
		bool file = e.type == LAYER_FILE || e.type == LAYER_HARDLINK;
		str group = e.type == LAYER_HARDLINK ? e.target : e.path;

		e.type = file ? LAYER_FILE : e.type;
		e.target = file ? str_n(NULL, 0) : e.target;
		layer_plan_add(plan, &e, file ? &src : NULL,
		               file ? (uint64_t)(uintptr_t)map_get(&groups, group) : 0);
	}
	map_done(&groups);
	return plan;
}

static int commit(struct store_layer_txn *txn, const struct store_layer *l,
                  const struct layer_result *made, char **ret_path, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf index;
	struct store_layer_new n = { .layer = *l,
		                     .dir_key = &l->diff_id,
		                     .dir_bytes = made->content_size };

	strbuf_init(&index, LAYER_INDEX_MAX);
	if (!digest_eq(&made->diff_id, &l->diff_id))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "layer %s does not come out of the files it was made from",
		                  digest_text(&l->diff_id).s);
	layer_index_encode(made->index, &index);
	TRY(strbuf_check(&index, "layer index", err));
	n.index = strbuf_view(&index);
	return store_layer_commit(txn, &n, ret_path, err);
}

/* Make the directory of the topmost layer from that of the layer it was clamped from. */
static int unpack_clamped(const struct unpacked *u, const char *from, char **ret_path,
                          struct cairn_err *err)
{
	const struct unpacked lower = { u->store, u->pool, u->diff_ids, u->n - 1 };
	const struct digest *diff_id = &u->diff_ids[u->n - 1];
	cleanup_store_layer_txn struct store_layer_txn *txn = NULL;
	cleanup_layer_plan struct layer_plan *plan = NULL;
	cleanup_layer_result struct layer_result made = { 0 };
	cleanup_layer_index struct layer_index *ix = NULL;
	cleanup_tree struct tree *below = NULL;
	cleanup_fd int in = -1, out = -1;
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct store_layer l = { 0 };
	bool found = false;

	TRY(store_layer_find(u->store, diff_id, &l, &found, err));
	TRY(unpacked_index(u->store, diff_id, &ix, err));
	TRY(unpacked_tree(&lower, &below, err));
	TRY(fs_open_dir(AT_FDCWD, from, &in, err));
	TRY(store_layer_begin(u->store, &txn, err));
	TRY(fs_open_dir(AT_FDCWD, store_layer_txn_fs(txn), &out, err));
	opts.out_dirfd = out;
	opts.pool = u->pool;
	plan = plan_of(ix, in);
	TRY(layer_write(plan, below, &opts, &made, err));
	return commit(txn, &l, &made, ret_path, err);
}

/* *ret_path stays NULL when nothing is known about where the layer came from. */
static int make_dir(const struct unpacked *u, struct arena *a, char **ret_path,
                    struct cairn_err *err)
{
	cleanup_free char *path = NULL;
	struct digest id;
	struct unpacked origin = { u->store, u->pool, &id, 1 };
	char *from = NULL;
	bool found = false;

	TRY(clamp_origin(u->store, &u->diff_ids[u->n - 1], &id, &found, err));
	if (found)
		TRY(unpacked_dir_find(&origin, a, &from, err));
	if (!from)
		return 0;
	TRY(unpack_clamped(u, from, &path, err));
	*ret_path = arena_cstr(a, str_of(path));
	return 0;
}

/* Forget a layer that steps can make again, so that the records that name it are no hits any
 * more (DECISIONS.md 5); a foreign one is fetched or imported again all the same. */
static int gone(const struct unpacked *u, size_t i, struct cairn_err *err)
{
	struct store_layer l = { 0 };
	struct cairn_err ignored;
	bool found = false;

	if (!store_read_only(u->store) &&
	    store_layer_find(u->store, &u->diff_ids[i], &l, &found, &ignored) == 0 && found &&
	    !l.foreign)
		(void)store_layer_forget(u->store, &u->diff_ids[i], &ignored);
	return cairn_fail(err, CAIRN_E_NOT_FOUND,
	                  "the files of layer %s are not in the store; build the image again, or "
	                  "pull or import it where it came from elsewhere",
	                  digest_text(&u->diff_ids[i]).s);
}

int unpacked_dirs(const struct unpacked *u, struct arena *a, char ***ret, struct cairn_err *err)
{
	return unpacked_dirs_of(u, NULL, a, ret, err);
}

int unpacked_dirs_of(const struct unpacked *u, const bool *used, struct arena *a, char ***ret,
                     struct cairn_err *err)
{
	char **dirs = arena_array(a, char *, u->n + 1);

	TRY(find_dirs(u, a, dirs, err));
	for (size_t i = 0; i < u->n; i++) {
		const struct unpacked upto = { u->store, u->pool, u->diff_ids, i + 1 };

		if (used && !used[i])
			continue;
		if (!dirs[i])
			TRY(make_dir(&upto, a, &dirs[i], err));
		if (!dirs[i])
			return gone(u, i, err);
	}
	*ret = dirs;
	return 0;
}
