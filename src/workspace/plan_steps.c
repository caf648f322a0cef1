#include "plan_steps.h"

#define ASKED_MAX 20000u /* keys that remotes are asked for */

/* A step whose result is looked for. */
struct want {
	const struct plan_opts *opts;
	struct digest key;
	bool known; /* its key is: false when it stands on what is built first */
	bool found, needed;
	const char *from; /* NULL: the store */
	uint64_t cost_ns, bytes;
};

struct looking {
	struct plan *plan;
	const struct plan_inputs *in;
	struct want **of;         /* by image, then node id; NULL: nothing is looked for */
	VEC(struct want *) asked; /* of remotes */
};

/* --- keys ------------------------------------------------------------------------------ */

/* Bases that are images of the workspace are known by what was built of them. */
static bool base_known(const struct looking *l, const struct plan_input *in,
                       const struct graph_node *n)
{
	const struct plan_image *p;

	if (n->kind != GRAPH_BASE || !in->bases[n->id])
		return true;
	p = plan_get(l->plan, in->bases[n->id]->image->name);
	if (!p || p->verdict == PLAN_BUILD)
		return false;
	in->graph->nodes[n->id]->base.config_digest = p->known.config;
	return true;
}

static void find_keys(struct looking *l, size_t i)
{
	const struct plan_input *in = &l->in->ptr[i];
	struct want *w = arena_array(l->plan->arena, struct want, in->graph->n_nodes);

	for (size_t k = 0; k < in->graph->n_nodes; k++)
		w[k].known = base_known(l, in, in->graph->nodes[k]);
	define_keys(in->graph, &l->in->opts->env, in->steps);
	for (size_t k = 0; k < in->graph->n_nodes; k++) {
		const struct graph_node *n = in->graph->nodes[k];

		w[k].opts = l->in->opts;
		w[k].key = in->steps[k].key;
		if (n->parent)
			w[k].known &= w[n->parent->id].known;
		for (size_t j = 0; j < n->n_inputs; j++)
			w[k].known &= w[n->inputs[j]->id].known;
	}
	l->of[i] = w;
}

/* --- looking ------------------------------------------------------------------------------ */

static void take(struct want *w, str record, const char *from)
{
	cleanup_arena struct arena *a = arena_new();
	struct cairn_err ignored;
	struct record r = { 0 };

	if (record_decode(record, a, &r, &ignored) < 0)
		return;
	w->found = true;
	w->from = from;
	w->cost_ns = r.cost.wall_ns;
	if (r.chain.n)
		w->bytes = r.chain.layers[r.chain.n - 1].size;
}

static int look_here(struct looking *l, size_t i, struct cairn_err *err)
{
	const struct graph *g = l->in->ptr[i].graph;
	struct digest *keys = arena_array(l->plan->arena, struct digest, g->n_nodes);
	struct store_found *found = arena_array(l->plan->arena, struct store_found, g->n_nodes);

	for (size_t k = 0; k < g->n_nodes; k++)
		keys[k] = l->of[i][k].key;
	TRY(store_records_find(l->in->opts->store, keys, g->n_nodes, found, err));
	for (size_t k = 0; k < g->n_nodes; k++) {
		if (found[k].found && l->of[i][k].known && g->nodes[k]->kind != GRAPH_BASE)
			take(&l->of[i][k], str_n(found[k].payload, found[k].len), NULL);
		store_found_done(&found[k]);
	}
	return 0;
}

static int ask(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct want *w = ((struct want **)ctx)[i];

	for (size_t k = 0; k < w->opts->n_remotes && !w->found; k++) {
		struct remote *remote = w->opts->remotes[k];
		cleanup_arena struct arena *a = arena_new();
		cleanup_strbuf struct strbuf text;
		struct remote_entry e = { 0 };
		bool found = false;

		strbuf_init(&text, REMOTE_ENTRY_MAX);
		if (remote_entry_get(remote, &w->key, &text, &found, ignored) == 0 && found &&
		    remote_entry_decode(strbuf_view(&text), a, &e, ignored) == 0)
			take(w, e.record, remote_name(remote));
	}
	return 0; /* doubt is a miss */
}

static void want_below(struct looking *l, size_t i, const struct graph_node *n)
{
	struct want *w = &l->of[i][n->id];

	if (w->needed)
		return;
	w->needed = true;
	if (w->found)
		return;
	if (w->known && n->kind != GRAPH_BASE && l->asked.len < ASKED_MAX)
		vec_push(&l->asked, w);
	if (n->parent)
		want_below(l, i, n->parent);
	for (size_t k = 0; k < n->n_inputs; k++)
		want_below(l, i, n->inputs[k]);
}

/* --- what comes of it ------------------------------------------------------------------------- */

static void run_below(struct want *w, const struct graph_node *n)
{
	if (w[n->id].needed)
		return;
	w[n->id].needed = true;
	if (w[n->id].found)
		return;
	if (n->parent)
		run_below(w, n->parent);
	for (size_t k = 0; k < n->n_inputs; k++)
		run_below(w, n->inputs[k]);
}

static void fill(struct looking *l, size_t i)
{
	static const char *const kinds[GRAPH_N_] = { "from", "run", "copy", "workdir" };
	static const struct digest none;
	const struct graph *g = l->in->ptr[i].graph;
	struct plan_image *p = &l->plan->ptr[i];
	struct arena *a = l->plan->arena;

	for (size_t k = 0; k < g->n_nodes; k++)
		l->of[i][k].needed = false;
	run_below(l->of[i], g->target->last);
	p->steps = arena_array(a, struct plan_step, g->n_nodes);
	for (size_t k = 0; k < g->n_nodes; k++) {
		const struct graph_node *n = g->nodes[k];
		const struct want *w = &l->of[i][k];
		bool hit = !w->needed || w->found;

		if (n->kind == GRAPH_BASE)
			continue;
		p->steps[p->n_steps++] = (struct plan_step){
			.name = arena_str(a, n->name),
			.line = n->line,
			.result = hit ? REPORT_HIT : REPORT_WOULD,
			.from = w->from ? arena_str(a, str_of(w->from)) : S(""),
			.kind = str_of(kinds[n->kind]),
			.key = w->known ? w->key : none,
			.cost_ns = w->cost_ns,
			.bytes = w->bytes,
		};
		p->n_hits += hit;
		p->n_runs += !hit;
	}
}

int plan_steps(struct plan *p, const struct plan_inputs *in, struct cairn_err *err)
{
	struct looking l = { .plan = p, .in = in };
	const struct plan_opts *o = in->opts;
	int r = 0;

	l.of = arena_array(p->arena, struct want *, p->len);
	for (size_t i = 0; r == 0 && i < p->len; i++) {
		if (p->ptr[i].verdict != PLAN_BUILD || p->ptr[i].error)
			continue;
		find_keys(&l, i);
		if (o->store)
			r = look_here(&l, i, err);
		want_below(&l, i, in->ptr[i].graph->target->last);
	}
	if (r == 0 && o->n_remotes)
		r = pool_map(o->net ? o->net : o->pool, l.asked.len, ask, l.asked.ptr, err);
	for (size_t i = 0; r == 0 && i < p->len; i++)
		if (l.of[i])
			fill(&l, i);
	vec_free(&l.asked);
	return r;
}
