/* Keys of all steps, and the records found under them. */
#include "operands.h"
#include "pins.h"
#include "step.h"

/* --- keys ------------------------------------------------------------------ */

/* A step that must run makes those that stand on it run. */
static void plan_forced(struct step *s)
{
	const struct graph_node *n = s->node;

	s->forced = n->no_cache || (n->parent && build_step(s->b, n->parent)->forced);
	for (size_t i = 0; i < n->n_inputs; i++)
		s->forced |= build_step(s->b, n->inputs[i])->forced;
}

/* --- records ------------------------------------------------------------- */

/* A record as it was found, or NULL when it is worth nothing: then it goes, else it would
 * keep the place of a good one. */
static const struct record *decode(struct engine_build *b, const struct digest *key,
                                   const struct store_found *f)
{
	struct record *r = arena_new_of(b->arena, struct record);
	struct cairn_err err;

	if (!f->found)
		return NULL;
	if (record_decode(str_n(f->payload, f->len), b->arena, r, &err) < 0) {
		build_warn(b, 0, "%s; it is ignored", err.msg); /* doubt is a miss */
		if (!b->opts->read_only_cache && !store_read_only(b->opts->store))
			(void)store_record_remove(b->opts->store, key, &err);
		return NULL;
	}
	return r;
}

static void believe(struct step *s, const struct record *r, const char *from)
{
	s->record = r;
	s->from = from;
	s->cost = (struct step_cost){ r->cost.wall_ns, r->cost.cpu_ns, r->cost.peak_bytes,
		                      r->cost.written_bytes };
	pins_add(s, r);
	build_step_done(s, &r->chain, true);
}

static int find_all(struct engine_build *b, struct cairn_err *err)
{
	struct digest *keys = arena_array(b->arena, struct digest, b->n);
	struct step **asked = arena_array(b->arena, struct step *, b->n);
	struct store_found *found = arena_array(b->arena, struct store_found, b->n);
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];

		if (s->forced || s->node->kind == GRAPH_BASE)
			continue;
		asked[n] = s;
		keys[n++] = s->def_key;
	}
	TRY(store_records_find(b->opts->store, keys, n, found, err));
	for (size_t i = 0; i < n; i++) {
		asked[i]->found = decode(b, &keys[i], &found[i]);
		store_found_done(&found[i]);
	}
	return 0;
}

static bool usable(const struct step *s)
{
	return s->found && !pins_contradict(s, s->found);
}

bool lookup_usable(const struct step *s)
{
	return usable(s);
}

/* The target, and below it whatever no hit makes unnecessary. */
static void need(struct step *s)
{
	const struct graph_node *n = s->node;

	if (s->needed)
		return;
	s->needed = true;
	if (n->kind != GRAPH_BASE && usable(s)) {
		s->by_definition = true;
		believe(s, s->found, s->found_from);
		return;
	}
	s->state = STEP_WAITING;
	if (n->parent)
		need(build_step(s->b, n->parent));
	for (size_t i = 0; i < n->n_inputs; i++)
		need(build_step(s->b, n->inputs[i]));
}

/* --- what other machines have ---------------------------------------------- */

#define FIRST_ASKED 3 /* steps; who looked at base and tag has opened as many connections */

/* Steps whose keys the remotes are asked for, together. */
struct wave {
	struct step **steps;
	struct digest *keys;
	size_t n;
};

static void wave_init(struct engine_build *b, struct wave *w)
{
	*w = (struct wave){ .steps = arena_array(b->arena, struct step *, b->n),
		            .keys = arena_array(b->arena, struct digest, b->n) };
}

static void wave_add(struct wave *w, struct step *s)
{
	const struct graph_node *n = s->node;

	if (s->asked || (s->forced && n->kind != GRAPH_BASE))
		return;
	s->asked = true;
	w->steps[w->n] = s;
	w->keys[w->n++] =
		n->kind == GRAPH_BASE ? supply_base_key(&n->base.config_digest) : s->def_key;
}

/* Two stages can have the same steps, and often the same base. */
static size_t wave_same(const struct wave *w, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (digest_eq(&w->keys[k], &w->keys[i]))
			return k;
	return i;
}

static int wave_ask(struct engine_build *b, const struct wave *w, struct cairn_err *err)
{
	struct supply_found *found = arena_array(b->arena, struct supply_found, w->n);
	struct digest *keys = arena_array(b->arena, struct digest, w->n);
	size_t *at = arena_array(b->arena, size_t, w->n), n = 0;

	for (size_t i = 0; i < w->n; i++) {
		size_t same = wave_same(w, i);

		at[i] = same < i ? at[same] : n;
		if (same == i)
			keys[n++] = w->keys[i];
	}
	TRY(supply_find(b->opts->supply, keys, n, b->arena, found, err));
	for (size_t i = 0; i < w->n; i++)
		if (found[at[i]].record) {
			w->steps[i]->found = found[at[i]].record;
			w->steps[i]->found_from = found[at[i]].from;
		}
	return 0;
}

/* Whatever has to be known: below the target as far as there are no hits. */
static int collect(struct step *s, struct wave *w, struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	const struct chain *here = NULL;

	if (s->visited || (n->kind != GRAPH_BASE && usable(s)))
		return 0;
	s->visited = true;
	if (n->kind == GRAPH_BASE) {
		if (n->base.config->n_diff_ids)
			TRY(trees_base_chain(s->b, s, &here, err));
		if (!here && n->base.config->n_diff_ids)
			wave_add(w, s);
		return 0;
	}
	wave_add(w, s);
	TRY(collect(build_step(s->b, n->parent), w, err));
	for (size_t i = 0; i < n->n_inputs; i++)
		TRY(collect(build_step(s->b, n->inputs[i]), w, err));
	return 0;
}

/* The target and what it stands on first: an image that has not changed costs no more than these
 * requests, and neither does one of which the last steps have. Then all the rest at once. */
static int find_remote(struct engine_build *b, struct cairn_err *err)
{
	struct step *s = b->target;
	struct wave w;

	if (!b->opts->supply || !supply_remotes(b->opts->supply) || usable(s))
		return 0;
	wave_init(b, &w);
	for (size_t i = 0; i < FIRST_ASKED && s->node->kind != GRAPH_BASE && !usable(s); i++) {
		wave_add(&w, s);
		s = build_step(b, s->node->parent);
	}
	if (w.n) {
		TRY(wave_ask(b, &w, err));
		w.n = 0;
	}
	TRY(collect(b->target, &w, err));
	return wave_ask(b, &w, err);
}

const struct chain *lookup_base(const struct step *s)
{
	const struct image_config *config = s->node->base.config;
	const struct record *r = s->found;

	if (!r || r->chain.n != config->n_diff_ids || !pins_on_base(&r->chain, config))
		return NULL;
	for (size_t i = 0; i < r->chain.n; i++)
		if (!digest_none(&r->chain.layers[i].step))
			return NULL;
	return &r->chain;
}

int lookup_plan(struct engine_build *b, struct cairn_err *err)
{
	TRY(operands_plan(b, err));
	for (size_t i = 0; i < b->n; i++)
		plan_forced(&b->steps[i]);
	TRY(find_all(b, err));
	if (b->opts->keyed)
		b->opts->keyed(b->opts->keyed_ctx, b);
	TRY(find_remote(b, err));
	TRY(import_hits(b, err));
	need(b->target);
	return 0;
}

/* --- while the build runs ------------------------------------------------ */

static int find_one(struct step *s, const struct digest *key, const struct record **ret,
                    struct cairn_err *err)
{
	struct store_found found = { 0 };

	TRY(store_records_find(s->b->opts->store, key, 1, &found, err));
	*ret = decode(s->b, key, &found);
	store_found_done(&found);
	return 0;
}

static int put(struct step *s, const struct digest *key, enum store_record_kind kind,
               const struct record *r, struct store_found *kept, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text;
	struct store_record sr = { .key = *key, .kind = kind, .created = r->created };
	struct store_ref *refs = arena_array(s->b->arena, struct store_ref, r->chain.n);

	strbuf_init(&text, RECORD_MAX);
	if (s->b->opts->read_only_cache || store_read_only(s->b->opts->store))
		return 0;
	record_encode(r, &text);
	TRY(strbuf_check(&text, "cache record", err));
	for (size_t i = 0; i < r->chain.n; i++)
		refs[i] = (struct store_ref){ STORE_REF_LAYER, r->chain.layers[i].diff_id };
	sr.payload = strbuf_view(&text);
	sr.refs = refs;
	sr.n_refs = r->chain.n;
	return store_record_put(s->b->opts->store, &sr, s->forced ? STORE_SUPERSEDE : STORE_ADOPT,
	                        kept, err);
}

static struct record *new_record(struct step *s, const struct chain_layer *layer, int64_t created)
{
	struct engine_build *b = s->b;
	const struct graph_node *n = s->node;
	const struct chain *below = build_step(b, n->parent)->chain;
	struct record *r = arena_new_of(b->arena, struct record);

	r->created = created;
	r->text = n->text;
	r->parent_tree = below->tree;
	r->chain = *chain_push(b->arena, below, layer);
	r->own = true;
	r->cost = (struct record_cost){ s->cost.wall_ns, s->cost.cpu_ns, s->cost.peak_bytes,
		                        s->cost.written_bytes };
	r->inputs = arena_array(b->arena, struct record_input, n->n_inputs);
	for (size_t i = 0; i < n->n_inputs; i++) {
		const struct step *in = build_step(b, n->inputs[i]);

		r->inputs[r->n_inputs++] = (struct record_input){ in->def_key, in->chain->tree };
	}
	return r;
}

/* COPY --link: the layer is the same whatever it is put on. */
static int lookup_link(struct step *s, const struct record **ret, struct cairn_err *err)
{
	const struct record *one = NULL;
	struct record *r;

	s->link_key = key_link(s->node, s->operands, s->n_operands);
	TRY(find_one(s, &s->link_key, &one, err));
	if (!one || one->chain.n != 1)
		return 0;
	r = new_record(s, &one->chain.layers[0], one->created);
	r->cost = one->cost;
	*ret = r;
	return 0;
}

int lookup_content(struct step *s, bool *ret_hit, struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	const struct record *r = NULL;

	*ret_hit = false;
	TRY(operands_complete(s, err));
	s->content_key = key_content(n, &s->b->opts->env, &build_step(s->b, n->parent)->chain->tree,
	                             s->operands, s->n_operands);
	if (n->no_cache)
		return 0;
	TRY(find_one(s, &s->content_key, &r, err));
	if (!r && n->kind == GRAPH_COPY && n->copy.link)
		TRY(lookup_link(s, &r, err));
	if (!r || pins_contradict(s, r))
		return 0;
	TRY(put(s, &s->def_key, STORE_RECORD_ALIAS, r, NULL, err));
	believe(s, r, NULL);
	*ret_hit = true;
	return 0;
}

int lookup_take(struct step *s, const struct digest *key, const struct supply_found *found,
                bool *ret_hit, struct cairn_err *err)
{
	const struct record *r = found->record;
	struct record *on;

	*ret_hit = false;
	if (digest_eq(key, &s->link_key) && r->chain.n == 1) {
		on = new_record(s, &r->chain.layers[0], r->created);
		on->cost = r->cost;
		r = on;
	}
	if (pins_contradict(s, r))
		return 0;
	TRY(put(s, &s->def_key, STORE_RECORD_ALIAS, r, NULL, err));
	believe(s, r, found->from);
	*ret_hit = true;
	return 0;
}

int lookup_import(struct step *s, const struct record *r, const char *from, struct cairn_err *err)
{
	if (pins_contradict(s, r))
		return 0;
	TRY(put(s, &s->def_key, STORE_RECORD_DEFINITION, r, NULL, err));
	s->found = r;
	s->found_from = from;
	return 0;
}

void lookup_keep(struct engine_build *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];
		struct cairn_err ignored;
		bool here = false;

		if (s->node->kind != GRAPH_BASE && usable(s) && s->found_from &&
		    supply_ready(b->opts->supply, &s->found->chain, SUPPLY_FILES, NULL, &here,
		                 &ignored) == 0 &&
		    here)
			(void)put(s, &s->def_key, STORE_RECORD_DEFINITION, s->found, NULL,
			          &ignored);
	}
}

int lookup_again(struct step *s, bool *ret_hit, struct cairn_err *err)
{
	const struct record *r = NULL;

	*ret_hit = false;
	if (s->forced)
		return 0;
	TRY(find_one(s, &s->def_key, &r, err));
	if (!r || pins_contradict(s, r))
		return 0;
	s->by_definition = true;
	believe(s, r, NULL);
	*ret_hit = true;
	return 0;
}

/* The same operation on the same tree gave the same tree before: the older layers and
 * their time of creation stay (DECISIONS.md 8). */
static int older(struct step *s, const struct record *mine, const struct record **ret,
                 struct cairn_err *err)
{
	const struct record *r = NULL;

	TRY(find_one(s, &s->content_key, &r, err));
	*ret = r && digest_eq(&r->chain.tree, &mine->chain.tree) && !pins_contradict(s, r) ? r
	                                                                                   : NULL;
	return 0;
}

static int put_link(struct step *s, const struct record *mine, const struct chain_layer *layer,
                    struct cairn_err *err)
{
	static const struct chain nothing;
	struct record *link = arena_new_of(s->b->arena, struct record);

	*link = *mine;
	link->chain = *chain_push(s->b->arena, &nothing, layer);
	link->parent_tree = (struct digest){ 0 };
	s->link_record = link;
	return put(s, &s->link_key, STORE_RECORD_LINK, link, NULL, err);
}

int lookup_publish(struct step *s, const struct chain_layer *layer, int64_t created,
                   struct cairn_err *err)
{
	struct record *mine = new_record(s, layer, created);
	const struct record *use = NULL, *stayed;
	struct store_found kept = { 0 };

	TRY(older(s, mine, &use, err));
	if (!use) {
		use = mine;
		TRY(put(s, &s->content_key, STORE_RECORD_CONTENT, mine, NULL, err));
	}
	TRY(put(s, &s->def_key, STORE_RECORD_DEFINITION, use, &kept, err));
	stayed = decode(s->b, &s->def_key, &kept); /* another process was first */
	store_found_done(&kept);
	if (stayed && !pins_contradict(s, stayed))
		use = stayed;
	if (s->node->kind == GRAPH_COPY && s->node->copy.link)
		TRY(put_link(s, mine, layer, err));
	pins_add(s, use);
	s->record = use;
	build_step_done(s, &use->chain, false);
	return 0;
}
