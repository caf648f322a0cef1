/* Chains of layers as merged trees and as directories. */
#include "step.h"

#include "unpacked.h"
#include "util/fs.h"

/* The first n diff IDs of a chain, as a map key. */
static str prefix(struct arena *a, const struct chain *c, size_t n)
{
	char *p = arena_alloc(a, n * DIGEST_LEN + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(p + i * DIGEST_LEN, c->layers[i].diff_id.b, DIGEST_LEN);
	return str_n(p, n * DIGEST_LEN);
}

/* A layer that a hit promised is damaged or gone; by now the store has forgotten it. */
static int promise(struct engine_build *b, int result)
{
	if (result == CAIRN_E_NOT_FOUND || result == CAIRN_E_DIGEST)
		b->demoted = true;
	return result;
}

int trees_get(struct engine_build *b, const struct chain *c, const struct tree **ret,
              struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	str all = prefix(a, c, c->n);
	struct tree *t = NULL;
	size_t have = c->n;

	while (!(t = map_get(&b->trees, str_n(all.ptr, have * DIGEST_LEN))) && have)
		have--;
	if (!t) {
		t = tree_new();
		map_put(&b->trees, S(""), t);
	}
	for (; have < c->n; have++) {
		struct layer_index *ix = NULL;

		TRY(promise(b, unpacked_index(b->opts->store, &c->layers[have].diff_id, &ix, err)));
		t = tree_push(t, ix);
		layer_index_unref(ix);
		map_put(&b->trees, str_n(all.ptr, (have + 1) * DIGEST_LEN), t);
	}
	*ret = t;
	return 0;
}

int trees_dirs(struct engine_build *b, const struct chain *c, const bool *used, struct arena *a,
               char ***ret, struct cairn_err *err)
{
	struct digest *ids = arena_array(a, struct digest, c->n + 1);

	for (size_t i = 0; i < c->n; i++)
		ids[i] = c->layers[i].diff_id;
	return promise(
		b, unpacked_dirs_of(&(struct unpacked){ b->opts->store, b->opts->pool, ids, c->n },
	                            used, a, ret, err));
}

/* A file that is too large to travel in the index, or a link: read it from its layer. */
static int read_from_layer(struct engine_build *b, const struct chain *c, const struct tree *t,
                           const char *path, struct arena *a, str *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf resolved;
	cleanup_strbuf struct strbuf text;
	const struct tree_node *node = NULL;
	char **dirs = NULL;

	strbuf_init(&resolved, LAYER_PATH_MAX);
	strbuf_init(&text, 16u << 20);
	TRY(tree_resolve(t, str_of(path), 0, &resolved, &node, err));
	*ret = S("");
	if (!node || (node->entry->type != LAYER_FILE && node->entry->type != LAYER_HARDLINK))
		return 0;
	TRY(trees_dirs(b, c, NULL, a, &dirs, err));
	TRY(fs_read_file(AT_FDCWD,
	                 arena_printf(a, "%s/%.*s", dirs[node->layer], STR(node->entry->path)),
	                 &text, err));
	*ret = arena_str(a, strbuf_view(&text));
	return 0;
}

static int inlined(struct engine_build *b, const struct chain *c, enum layer_inline which,
                   struct arena *a, str *ret, struct cairn_err *err)
{
	const struct tree *t = NULL;
	int r;

	TRY(trees_get(b, c, &t, err));
	r = tree_inlined(t, which, ret, err);
	if (r == CAIRN_E_UNSUPPORTED)
		return read_from_layer(b, c, t, arena_cstr(a, layer_inline_path(which)), a, ret,
		                       err);
	return r;
}

int trees_userdb(struct engine_build *b, const struct chain *c, struct arena *a, struct userdb *ret,
                 struct cairn_err *err)
{
	struct userdb db = { 0 };

	TRY(inlined(b, c, LAYER_INLINE_PASSWD, a, &db.passwd, err));
	TRY(inlined(b, c, LAYER_INLINE_GROUP, a, &db.group, err));
	*ret = db;
	return 0;
}

/* When the i-th layer of an image was made, by its history; else the image's own time. */
static int64_t layer_created(const struct image_config *c, size_t i)
{
	for (size_t k = 0; k < c->n_history; k++)
		if (!c->history[k].empty_layer && i-- == 0)
			return c->history[k].created.ns;
	return c->created.ns;
}

int trees_base_chain(struct engine_build *b, const struct step *s, const struct chain **ret,
                     struct cairn_err *err)
{
	const struct image_config *config = s->node->base.config;
	struct chain *c = arena_new_of(b->arena, struct chain);
	char *dir = NULL;

	*ret = NULL;
	for (size_t i = 0; i < config->n_diff_ids; i++) {
		struct store_layer layer = { 0 };
		struct chain_layer cl = { .diff_id = config->diff_ids[i] };
		bool found = false;

		TRY(store_layer_find(b->opts->store, &config->diff_ids[i], &layer, &found, err));
		if (found && layer.foreign) { /* unpacked, but on top of other layers? */
			const struct unpacked upto = { b->opts->store, NULL, config->diff_ids,
				                       i + 1 };

			TRY(unpacked_dir_find(&upto, b->arena, &dir, err));
			found = dir != NULL;
		}
		if (!found)
			return 0;
		cl.content = layer.content;
		cl.size = layer.tar_size;
		cl.created = layer_created(config, i);
		c = chain_push(b->arena, c, &cl);
	}
	*ret = c;
	return 0;
}
