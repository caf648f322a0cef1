#include "buildkit_match.h"

#include "record.h"

/* A record that stands for an operation. */
struct found {
	uint32_t record;
	bool proven; /* all that it stands on is known to be what the graph means */
};

struct founds {
	VEC(struct found) list;
	/* A base image: any record without inputs may be it, under a name not known here. */
	bool any_root;
};

struct matcher {
	const struct buildkit_cache *c;
	const struct graph *g;
	struct buildkit_op *const *ops;
	struct arena *a;
	uint32_t *by_digest;   /* records, sorted */
	struct founds *founds; /* by number of the node */
	struct buildkit_hit **hits;
};

struct digest buildkit_empty_layer(void)
{
	static const char zeros[1024];

	return digest_of(zeros, sizeof(zeros));
}

/* --- records by digest ---------------------------------------------------------- */

static int by_digest(const void *a, const void *b, void *records)
{
	const struct buildkit_record *r = records;

	return digest_cmp(&r[*(const uint32_t *)a].digest, &r[*(const uint32_t *)b].digest);
}

static void sort_records(struct matcher *m)
{
	const struct buildkit_config *c = &m->c->config;

	m->by_digest = arena_array(m->a, uint32_t, c->n_records + 1);
	for (size_t i = 0; i < c->n_records; i++)
		m->by_digest[i] = (uint32_t)i;
	if (c->n_records)
		qsort_r(m->by_digest, c->n_records, sizeof(uint32_t), by_digest, c->records);
}

/* Number, in the sorted list, of the first record that is not lower. */
static size_t first_of(const struct matcher *m, const struct digest *d)
{
	const struct buildkit_config *c = &m->c->config;
	size_t lo = 0, hi = c->n_records;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (digest_cmp(&c->records[m->by_digest[mid]].digest, d) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* --- links ------------------------------------------------------------------------- */

static bool contains(const struct digest *list, size_t n, const struct digest *d)
{
	for (size_t i = 0; i < n; i++)
		if (digest_eq(&list[i], d))
			return true;
	return false;
}

static const struct found *find(const struct founds *f, uint32_t record)
{
	for (size_t i = 0; i < f->list.len; i++)
		if (f->list.ptr[i].record == record)
			return &f->list.ptr[i];
	return NULL;
}

static void match_op(struct matcher *m, const struct buildkit_op *op, struct founds *ret);

/* Does one of the links lead to what the dependency is? *ret_proven: and that is certain. */
static bool linked(struct matcher *m, const struct buildkit_input *in,
                   const struct buildkit_dep *dep, bool *ret_proven)
{
	const struct buildkit_record *records = m->c->config.records;
	struct founds inner = { 0 };
	const struct founds *of = &inner;
	bool any = false;

	*ret_proven = false;
	if (dep->op)
		match_op(m, dep->op, &inner);
	else if (dep->node)
		of = &m->founds[dep->node->id];
	for (size_t i = 0; i < in->n && !*ret_proven; i++) {
		const struct buildkit_link *l = &in->links[i];
		const struct found *f = find(of, l->record);

		if (digest_none(&l->selector) && !records[l->record].n_inputs &&
		    contains(dep->contents, dep->n_contents, &records[l->record].digest)) {
			any = *ret_proven = true;
		} else if (f && contains(dep->selectors, dep->n_selectors, &l->selector)) {
			any = true;
			*ret_proven = f->proven;
		} else if (of->any_root && !records[l->record].n_inputs &&
		           contains(dep->selectors, dep->n_selectors, &l->selector)) {
			any = true;
		}
	}
	vec_free(&inner.list);
	return any;
}

/* What the step itself continues may be unproven: its own result shows. */
static bool may_be_unproven(const struct buildkit_op *op, const struct buildkit_dep *dep)
{
	return op->node && dep->node && dep->node == op->node->parent;
}

static bool matches(struct matcher *m, const struct buildkit_op *op,
                    const struct buildkit_record *r, bool *ret_proven)
{
	*ret_proven = true;
	if (r->n_inputs != op->n_deps)
		return false;
	for (size_t i = 0; i < op->n_deps; i++) {
		bool proven = false;

		if (!linked(m, &r->inputs[i], &op->deps[i], &proven) ||
		    (!proven && !may_be_unproven(op, &op->deps[i])))
			return false;
		*ret_proven &= proven;
	}
	return true;
}

static void match_op(struct matcher *m, const struct buildkit_op *op, struct founds *ret)
{
	const struct buildkit_config *c = &m->c->config;

	for (size_t k = 0; k < op->n_forms; k++)
		for (size_t i = first_of(m, &op->forms[k]); i < c->n_records; i++) {
			const struct buildkit_record *r = &c->records[m->by_digest[i]];
			bool proven = false;

			if (!digest_eq(&r->digest, &op->forms[k]))
				break;
			if (matches(m, op, r, &proven))
				vec_push(&ret->list, (struct found){ m->by_digest[i], proven });
		}
}

/* --- results ---------------------------------------------------------------------------- */

/* A result against what the graph expects. */
struct fitting {
	const struct matcher *m;
	const struct buildkit_result *r;
	struct buildkit_hit *hit; /* being made */
	size_t next;              /* next layer of the result */
	struct digest empty;
};

static void push_layer(struct fitting *f, const struct digest *diff_id,
                       const struct buildkit_blob *blob)
{
	f->hit->layers[f->hit->n++] =
		(struct buildkit_hit_layer){ *diff_id, blob ? &blob->blob : NULL,
		                             blob ? blob->created : 0 };
}

static const struct buildkit_blob *next_blob(const struct fitting *f)
{
	return f->next < f->r->n_layers ? &f->m->c->blobs[f->r->layers[f->next]] : NULL;
}

/* Do the layers begin with these? Those without entries may have been left out. */
static bool fit_below(struct fitting *f, const struct digest *diff_ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct buildkit_blob *b = next_blob(f);

		if (b && digest_eq(&b->diff_id, &diff_ids[i])) {
			push_layer(f, &diff_ids[i], b);
			f->next++;
		} else if (digest_eq(&diff_ids[i], &f->empty)) {
			push_layer(f, &diff_ids[i], NULL);
		} else {
			return false;
		}
	}
	return true;
}

static bool may_be_empty(const struct graph_node *n)
{
	return n->kind == GRAPH_RUN || n->kind == GRAPH_WORKDIR;
}

/* The layers that are left, on the steps that are left. Where there are fewer, the lowest steps
 * that may have changed nothing had none. */
static bool fit_steps(struct fitting *f, const struct graph_node *const *steps, size_t n)
{
	size_t left = f->r->n_layers - f->next;
	size_t without = n - left, skippable = 0;

	if (left > n)
		return false;
	for (size_t i = 0; i < n; i++)
		skippable += may_be_empty(steps[i]);
	for (size_t i = 0; i < n; i++) {
		const struct buildkit_blob *b = next_blob(f);
		bool skip = without && (skippable == 0 || may_be_empty(steps[i]));

		if (without >= n - i)
			skip = true;
		if (skip) {
			push_layer(f, &f->empty, NULL);
			without--;
			continue;
		}
		push_layer(f, &b->diff_id, b);
		f->next++;
	}
	return true;
}

static bool fit_result(struct matcher *m, const struct graph_node *n,
                       const struct buildkit_result *r, struct buildkit_hit *ret)
{
	struct fitting f = { .m = m, .r = r, .hit = ret, .empty = buildkit_empty_layer() };
	const struct graph_node *steps[RECORD_LAYERS_MAX];
	const struct graph_node *at = n;
	size_t n_steps = 0;
	bool ok = false;

	for (size_t i = 0; i < r->n_layers; i++)
		if (digest_none(&m->c->blobs[r->layers[i]].blob.digest))
			return false;
	/* Down to the nearest step whose result this one begins with. */
	for (; at->kind != GRAPH_BASE && !ok; at = at->parent) {
		const struct buildkit_hit *h = at == n ? NULL : m->hits[at->id];

		f.next = ret->n = 0;
		if (h) {
			struct digest *ids = arena_array(m->a, struct digest, h->n + 1);

			for (size_t i = 0; i < h->n; i++)
				ids[i] = h->layers[i].diff_id;
			ok = fit_below(&f, ids, h->n);
		}
		if (ok)
			break;
		if (n_steps == RECORD_LAYERS_MAX)
			return false;
		steps[n_steps++] = at;
	}
	if (!ok) {
		f.next = ret->n = 0;
		ok = fit_below(&f, at->base.config->diff_ids, at->base.config->n_diff_ids);
	}
	for (size_t i = 0; i < n_steps / 2; i++) {
		const struct graph_node *swap = steps[i];

		steps[i] = steps[n_steps - 1 - i];
		steps[n_steps - 1 - i] = swap;
	}
	return ok && fit_steps(&f, steps, n_steps);
}

static size_t layers_of(const struct graph_node *n)
{
	size_t count = 0;

	for (; n->kind != GRAPH_BASE; n = n->parent)
		count++;
	return count + n->base.config->n_diff_ids;
}

/* The best result of a step's records; those with one are proven by it. */
static void match_results(struct matcher *m, const struct graph_node *n)
{
	struct founds *f = &m->founds[n->id];
	struct buildkit_hit *best = NULL;

	if (layers_of(n) > RECORD_LAYERS_MAX)
		return;
	vec_foreach (it, &f->list) {
		const struct buildkit_record *r = &m->c->config.records[it->record];

		for (size_t i = 0; i < r->n_results; i++) {
			struct buildkit_hit *h = arena_new_of(m->a, struct buildkit_hit);

			h->layers = arena_array(m->a, struct buildkit_hit_layer, layers_of(n) + 1);
			if (!fit_result(m, n, &r->results[i], h))
				continue;
			it->proven = true;
			h->created = r->results[i].created;
			if (!best || h->created > best->created)
				best = h;
		}
	}
	m->hits[n->id] = best;
}

void buildkit_match(const struct buildkit_cache *c, const struct graph *g,
                    struct buildkit_op *const *ops, struct arena *a,
                    const struct buildkit_hit **ret)
{
	struct matcher m = { .c = c, .g = g, .ops = ops, .a = a };

	m.founds = xcalloc(g->n_nodes + 1, sizeof(*m.founds));
	m.hits = arena_array(a, struct buildkit_hit *, g->n_nodes + 1);
	sort_records(&m);
	for (size_t i = 0; i < g->n_nodes; i++) {
		const struct graph_node *n = g->nodes[i];

		if (ops[i])
			match_op(&m, ops[i], &m.founds[i]);
		if (n->kind == GRAPH_BASE) /* its own layers come from where the image is */
			m.founds[i].any_root = n->base.config->n_diff_ids > 0;
		else
			match_results(&m, n);
		ret[i] = m.hits[i];
	}
	for (size_t i = 0; i < g->n_nodes; i++)
		vec_free(&m.founds[i].list);
	free(m.founds);
}
