#include "tree.h"

#include <stdint.h>

#include "util/arena.h"

/* Children sorted bytewise by name. Immutable once its tree is made. */
struct tree_dir {
	size_t n;
	struct tree_node nodes[];
};

struct tree {
	unsigned refs;
	unsigned n_layers;
	struct tree *below;        /* NULL for the empty tree */
	struct layer_index *layer; /* what was pushed; NULL for the empty tree */
	struct arena *arena;       /* directories that this layer changed */
	struct tree_node root;
	struct digest id;
};

static struct tree *mutable_tree(const struct tree *t)
{
	return (struct tree *)(uintptr_t)t; /* for the reference count alone */
}

struct tree *tree_ref(const struct tree *t)
{
	__atomic_add_fetch(&mutable_tree(t)->refs, 1, __ATOMIC_RELAXED);
	return mutable_tree(t);
}

void tree_unref(const struct tree *t)
{
	struct tree *m = mutable_tree(t), *below;

	for (; m; m = below) { /* not recursive: a chain may be long */
		if (__atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
			return;
		below = m->below;
		layer_index_unref(m->layer);
		arena_free(m->arena);
		free(m);
	}
}

static const struct tree_dir empty_dir = { .n = 0 };

static struct tree *new_tree(void)
{
	struct tree *t = xcalloc(1, sizeof(*t));

	t->refs = 1;
	t->arena = arena_new();
	return t;
}

struct tree *tree_new(void)
{
	static const struct layer_entry root = {
		.path = { "", 0 }, .type = LAYER_DIR, .mode = 0755, .tar_offset = LAYER_NO_OFFSET
	};
	struct tree *t = new_tree();
	struct digest_fields f;

	t->root = (struct tree_node){ .entry = &root, .dir = &empty_dir };
	digest_fields_begin(&f, "cairn.tree", 1);
	t->id = digest_fields_end(&f);
	return t;
}

/* ---- pushing a layer ---- */

/* Entries of the pushed layer that have not been merged yet. */
struct push {
	struct arena *arena;
	const struct layer_entry *at, *end;
	unsigned layer;
};

/* A directory while it is merged. */
struct build {
	struct tree_node *nodes;
	size_t n, cap;
};

static void build_add(struct build *b, struct tree_node node)
{
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 16;
		b->nodes = xreallocarray(b->nodes, b->cap, sizeof(*b->nodes));
	}
	b->nodes[b->n++] = node;
}

static void build_add_all(struct build *b, const struct tree_node *nodes, size_t n)
{
	if (n == 0)
		return;
	if (b->n + n > b->cap) {
		b->cap = (b->n + n) * 2;
		b->nodes = xreallocarray(b->nodes, b->cap, sizeof(*b->nodes));
	}
	memcpy(b->nodes + b->n, nodes, n * sizeof(*nodes));
	b->n += n;
}

/* First node of old[from..] whose name is not below `name`. New names usually
 * come close together, so look near before halving. */
static size_t skip_to(const struct tree_dir *old, size_t from, str name)
{
	size_t step = 1, lo = from, hi;

	while (lo + step <= old->n &&
	       str_cmp(layer_path_name(old->nodes[lo + step - 1].entry->path), name) < 0) {
		lo += step;
		step *= 2;
	}
	hi = lo + step - 1 < old->n ? lo + step - 1 : old->n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (str_cmp(layer_path_name(old->nodes[mid].entry->path), name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static const struct tree_dir *merge_dir(struct push *p, const struct tree_dir *old, str path);

/* The node of the entry at p->at, which is consumed with all that is below it. */
static struct tree_node merge_node(struct push *p, const struct tree_node *old)
{
	const struct layer_entry *e = p->at++;
	struct tree_node node = { .entry = e, .layer = p->layer };
	const struct tree_dir *children = &empty_dir;

	if (e->type != LAYER_DIR)
		return node;
	if (old && old->dir && !e->opaque)
		children = old->dir;
	node.dir = merge_dir(p, children, e->path);
	return node;
}

/* Merge the entries at p->at that lie in the directory `path` into `old`. Recursion is
 * as deep as paths are: at most LAYER_PATH_MAX / 2. */
static const struct tree_dir *merge_dir(struct push *p, const struct tree_dir *old, str path)
{
	struct build b = { 0 };
	struct tree_dir *dir;
	size_t i = 0;

	if (p->at == p->end || !layer_path_below(p->at->path, path))
		return old;
	while (p->at < p->end && layer_path_below(p->at->path, path)) {
		str name = layer_path_name(p->at->path);
		size_t next = skip_to(old, i, name);
		const struct tree_node *same = NULL;

		build_add_all(&b, old->nodes + i, next - i);
		i = next;
		if (i < old->n && str_eq(layer_path_name(old->nodes[i].entry->path), name))
			same = &old->nodes[i++];
		if (p->at->type == LAYER_WHITEOUT)
			p->at++;
		else
			build_add(&b, merge_node(p, same));
	}
	build_add_all(&b, old->nodes + i, old->n - i);
	dir = arena_alloc(p->arena, sizeof(*dir) + b.n * sizeof(*b.nodes));
	dir->n = b.n;
	if (b.n)
		memcpy(dir->nodes, b.nodes, b.n * sizeof(*b.nodes));
	free(b.nodes);
	return dir;
}

struct tree *tree_push(const struct tree *below, const struct layer_index *layer)
{
	struct tree *t = new_tree();
	struct push p = { .arena = t->arena,
		          .at = layer->entries,
		          .end = layer->entries + layer->n_entries,
		          .layer = below->n_layers };
	struct digest content = layer_index_content_digest(layer);
	struct digest_fields f;

	t->below = tree_ref(below);
	t->layer = layer_index_ref(layer);
	t->n_layers = below->n_layers + 1;
	t->root = below->root;
	if (p.at < p.end && p.at->path.len == 0)
		t->root = merge_node(&p, &below->root);
	else
		t->root.dir = merge_dir(&p, below->root.dir, S(""));
	digest_fields_begin(&f, "cairn.tree", 1);
	digest_field_digest(&f, "below", &below->id);
	digest_field_digest(&f, "layer", &content);
	t->id = digest_fields_end(&f);
	return t;
}

/* ---- looking ---- */

unsigned tree_n_layers(const struct tree *t)
{
	return t->n_layers;
}

const struct layer_index *tree_layer(const struct tree *t, unsigned i)
{
	while (t->n_layers > i + 1)
		t = t->below;
	return t->layer;
}

const struct tree *tree_below(const struct tree *t)
{
	return t->below;
}

struct digest tree_id(const struct tree *t)
{
	return t->id;
}

const struct tree_node *tree_root(const struct tree *t)
{
	return &t->root;
}

size_t tree_dir_len(const struct tree_dir *d)
{
	return d->n;
}

const struct tree_node *tree_dir_at(const struct tree_dir *d, size_t i)
{
	return &d->nodes[i];
}

const struct tree_node *tree_dir_find(const struct tree_dir *d, str name)
{
	size_t lo = 0, hi = d->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(layer_path_name(d->nodes[mid].entry->path), name);

		if (c == 0)
			return &d->nodes[mid];
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

const struct tree_node *tree_find(const struct tree *t, str path)
{
	const struct tree_node *node = &t->root;
	str rest = path, name;

	if (path.len == 0)
		return node;
	while (str_next(&rest, '/', &name)) {
		if (!node->dir)
			return NULL;
		node = tree_dir_find(node->dir, name);
		if (!node)
			return NULL;
	}
	return node;
}

static int walk(const struct tree_node *node,
                int (*fn)(void *ctx, const struct tree_node *node, struct cairn_err *err),
                void *ctx, struct cairn_err *err)
{
	TRY(fn(ctx, node, err));
	for (size_t i = 0; node->dir && i < node->dir->n; i++)
		TRY(walk(&node->dir->nodes[i], fn, ctx, err));
	return 0;
}

int tree_walk(const struct tree *t, const struct tree_node *start,
              int (*fn)(void *ctx, const struct tree_node *node, struct cairn_err *err), void *ctx,
              struct cairn_err *err)
{
	return walk(start ? start : &t->root, fn, ctx, err);
}
