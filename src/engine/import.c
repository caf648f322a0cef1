/* Results of BuildKit's caches as records of steps.
 *
 * A BuildKit cache says which layers a step has, not what is in them.  So the layers of a hit are
 * streamed once and indexed (DECISIONS.md 22); what is kept is a record like any other, and from
 * then on it is one, which does not say what the step cost nor which results of other steps it has
 * read: BuildKit does not keep that.  It happens while planning, for the hits that the target needs
 * and for no others.
 */
#include "step.h"

struct importer {
	struct engine_build *b;
	struct arena *a;
	const struct engine_import *imports;
	size_t n;
	struct buildkit_op **ops;          /* by number of the node */
	const struct buildkit_hit ***hits; /* by import, then by number of the node */
	bool *seen;                        /* by number of the node */
};

static void match_all(struct importer *im)
{
	im->hits = arena_array(im->a, const struct buildkit_hit **, im->n);
	for (size_t i = 0; i < im->n; i++) {
		im->hits[i] = arena_array(im->a, const struct buildkit_hit *, im->b->n);
		buildkit_match(im->imports[i].cache, im->b->opts->graph, im->ops, im->a,
		               im->hits[i]);
	}
}

/* --- one hit ------------------------------------------------------------------------- */

/* A layer without entries is nowhere: it is made here. */
static int make_empty(struct engine_build *b, const struct digest *diff_id, struct cairn_err *err)
{
	cleanup_store_layer_txn struct store_layer_txn *txn = NULL;
	cleanup_layer_index struct layer_index *ix = layer_index_new(NULL, 0, NULL);
	struct strbuf bytes cleanup_strbuf;
	struct store_layer_new l = { .dir_key = diff_id };

	strbuf_init(&bytes, LAYER_INDEX_MAX);
	layer_index_encode(ix, &bytes);
	l.index = strbuf_view(&bytes);
	l.layer = (struct store_layer){ .diff_id = *diff_id,
		                        .content = layer_index_content_digest(ix),
		                        .tar_size = 1024 };
	TRY(store_layer_begin(b->opts->store, &txn, err));
	return store_layer_commit(txn, &l, NULL, err);
}

/* The chain of a hit, as far as it is known: without what is in the layers. */
static int begin_chain(const struct step *s, const struct engine_import *from,
                       const struct buildkit_hit *h, struct chain *c, struct cairn_err *err)
{
	struct engine_build *b = s->b;
	const struct graph_node *n = s->node;

	c->layers = arena_array(b->arena, struct chain_layer, h->n + 1);
	c->n = h->n;
	for (size_t i = h->n; i-- > 0;) {
		const struct buildkit_hit_layer *l = &h->layers[i];

		c->layers[i].diff_id = l->diff_id;
		c->layers[i].created = l->created ? l->created : h->created;
		if (n->kind != GRAPH_BASE) {
			c->layers[i].step = build_step(b, n)->def_key;
			n = n->parent;
		}
		if (l->blob)
			supply_tell(b->opts->supply, &l->diff_id, l->blob, from->from);
		else
			TRY(make_empty(b, &l->diff_id, err));
	}
	return 0;
}

/* Bring the indexes, and take from them what is in the layers. */
static int complete_chain(const struct step *s, struct chain *c, struct cairn_err *err)
{
	struct engine_build *b = s->b;

	TRY(supply_fetch(b->opts->supply, c, SUPPLY_INDEX, NULL, err));
	c->tree = (struct digest){ 0 };
	for (size_t i = 0; i < c->n; i++) {
		struct store_layer l = { 0 };
		bool found = false;

		TRY(store_layer_find(b->opts->store, &c->layers[i].diff_id, &l, &found, err));
		if (!found)
			return cairn_fail(err, CAIRN_E_NOT_FOUND, "a layer is gone again");
		c->layers[i].content = l.content;
		c->layers[i].size = l.tar_size;
		c->tree = chain_tree_id(&c->tree, &l.content);
	}
	return 0;
}

static int take(struct step *s, const struct engine_import *from, const struct buildkit_hit *h,
                struct cairn_err *err)
{
	struct engine_build *b = s->b;
	struct record *r = arena_new_of(b->arena, struct record);

	TRY(begin_chain(s, from, h, &r->chain, err));
	TRY(complete_chain(s, &r->chain, err));
	for (size_t i = 0; i + 1 < r->chain.n; i++)
		r->parent_tree = chain_tree_id(&r->parent_tree, &r->chain.layers[i].content);
	r->created = h->created ? h->created : r->chain.layers[r->chain.n - 1].created;
	r->text = s->node->text;
	r->own = true;
	return lookup_import(
		s, r, arena_printf(b->arena, "%.*s (BuildKit's cache)", STR(from->from)), err);
}

/* The step's result out of the first cache that has one; one that cannot be had is a miss. */
static int take_any(struct importer *im, struct step *s, bool *ret_hit, struct cairn_err *err)
{
	*ret_hit = false;
	for (size_t i = 0; i < im->n && !*ret_hit; i++) {
		const struct buildkit_hit *h = im->hits[i][s->node->id];
		int r;

		if (!h || !h->n)
			continue;
		r = take(s, &im->imports[i], h, err);
		if (r == CAIRN_E_CANCELLED)
			return r;
		if (r < 0)
			build_warn(im->b, 0, "a result of the cache %.*s is not used: %s",
			           STR(im->imports[i].from), err->msg);
		else
			*ret_hit = lookup_usable(s);
	}
	return 0;
}

/* As need() of lookup.c will: the target, and below it what no hit makes unnecessary. */
static int walk(struct importer *im, struct step *s, struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	bool hit = n->kind == GRAPH_BASE || lookup_usable(s);

	if (im->seen[n->id])
		return 0;
	im->seen[n->id] = true;
	if (!hit && !s->forced)
		TRY(take_any(im, s, &hit, err));
	if (hit)
		return 0;
	TRY(walk(im, build_step(im->b, n->parent), err));
	for (size_t i = 0; i < n->n_inputs; i++)
		TRY(walk(im, build_step(im->b, n->inputs[i]), err));
	return 0;
}

int import_hits(struct engine_build *b, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct importer im = { .b = b, .a = a };
	int r;

	if (!b->opts->imports || !b->opts->supply || lookup_usable(b->target))
		return 0;
	TRY(b->opts->imports(b->opts->imports_ctx, &im.imports, &im.n, err));
	if (!im.n)
		return 0;
	im.seen = arena_array(a, bool, b->n);
	r = buildkit_ops(b, a, &im.ops, err);
	if (r == 0) {
		/* What runs in any case gives nothing that is linked to. */
		for (size_t i = 0; i < b->n; i++)
			if (b->steps[i].forced && b->steps[i].node->kind != GRAPH_BASE)
				im.ops[i] = NULL;
		match_all(&im);
		r = walk(&im, b->target, err);
	} else if (r != CAIRN_E_CANCELLED) { /* doubt is a miss */
		build_warn(b, 0, "BuildKit's caches are not used: %s", err->msg);
		r = 0;
	}
	return r;
}
