/* What steps need of layers that are elsewhere, brought before they start.
 *
 * A step waits while a task in the network pool brings something for it; other steps go on.  A
 * task belongs to one step and one need; the main thread looks at what came of it.
 */
#include "step.h"

#include <stdio.h>

#include "unpacked.h"
#include "util/fs.h"
#include "util/pool.h"

/* What a step was given already; bits of step->supplied. */
enum need {
	NEED_OPERANDS = 1u << 0, /* indexes of the steps it copies or mounts from */
	NEED_CONTENT = 1u << 1,  /* the remotes' word on its content key */
	NEED_INPUTS = 1u << 2,   /* what it runs on */
};

/* A chain to be brought. */
struct fetch_part {
	const struct chain *chain;
	enum supply_level level;
	const bool *files;             /* as supply_fetch() takes them */
	const struct graph_node *base; /* the image that the chain begins with */
};

/* Files of one layer to be brought by themselves. */
struct fetch_pick {
	const struct chain_layer *layer;
	const struct layer_entry **entries;
	size_t n;
	size_t i;  /* number of the layer */
	char *dir; /* owned until the step has it */
};

#define KEYS_MAX 2 /* content key, key of a --link layer */

struct step_fetch {
	struct engine_build *b;
	struct step *step; /* NULL: for no step (ahead of time, or for the outputs) */
	enum need need;
	bool image;          /* for the outputs */
	struct arena *arena; /* of the thread, then of the build */
	struct fetch_part *parts;
	size_t n_parts;
	struct fetch_pick *picks;
	size_t n_picks;
	bool pick_failed;
	struct digest keys[KEYS_MAX]; /* to ask the remotes for */
	struct supply_found found[KEYS_MAX];
	size_t n_keys;
};

struct pool *need_pool(const struct engine_build *b)
{
	return b->opts->net ? b->opts->net : b->opts->pool;
}

/* --- parts ----------------------------------------------------------------------- */

static const struct graph_node *base_of(const struct graph_node *n)
{
	while (n->parent)
		n = n->parent;
	return n->base.ref.len ? n : NULL;
}

static struct step_fetch *fetch_new(struct engine_build *b, struct step *s, enum need need)
{
	struct step_fetch *f = xcalloc(1, sizeof(*f));

	f->b = b;
	f->step = s;
	f->need = need;
	f->arena = arena_new();
	f->parts = arena_array(f->arena, struct fetch_part, s ? s->n_operands + 2 : 2);
	return f;
}

static void remove_dir(char *dir)
{
	struct cairn_err ignored;

	if (dir)
		(void)fs_remove_tree(AT_FDCWD, dir, &ignored);
	free(dir);
}

static void drop_picks(struct step_fetch *f)
{
	for (size_t i = 0; i < f->n_picks; i++)
		remove_dir(f->picks[i].dir);
}

static void fetch_free(struct step_fetch *f)
{
	drop_picks(f);
	arena_free(f->arena);
	free(f);
}

/* Add what is not there of a step's chain. */
static int add_part(struct step_fetch *f, const struct step *of, enum supply_level level,
                    const bool *files, struct cairn_err *err)
{
	const struct fetch_part p = { of->chain, level, files, base_of(of->node) };
	bool ready = false;

	if (!of->chain->n)
		return 0;
	TRY(supply_ready(f->b->opts->supply, of->chain, level, files, &ready, err));
	if (!ready)
		f->parts[f->n_parts++] = p;
	return 0;
}

/* --- the task ----------------------------------------------------------------------- */

static bool worth_nothing(int result)
{
	return result == CAIRN_E_NOT_FOUND || result == CAIRN_E_DIGEST;
}

static int bring(struct engine_build *b, const struct fetch_part *p, struct cairn_err *err)
{
	const struct engine_opts *o = b->opts;
	const struct image_config *base;
	int r = supply_fetch(o->supply, p->chain, p->level, p->files, err);

	/* Layers of the base image may be gone from the caches and still at its registry. */
	if (!worth_nothing(r) || !p->base || !o->fetch_base)
		return r;
	base = p->base->base.config;
	if (!supply_trust(o->supply, base->diff_ids, base->n_diff_ids))
		return r;
	TRY(o->fetch_base(o->fetch_ctx, p->base, err));
	return supply_fetch(o->supply, p->chain, p->level, p->files, err);
}

static int run_fetch(void *ctx, struct cairn_err *err)
{
	struct step_fetch *f = ctx;

	for (size_t i = 0; i < f->n_parts; i++)
		TRY(bring(f->b, &f->parts[i], err));
	for (size_t i = 0; i < f->n_picks && !f->pick_failed; i++) {
		const struct fetch_pick *p = &f->picks[i];
		int r = supply_pick(f->b->opts->supply, p->layer, p->entries, p->n, p->dir, err);

		if (r == CAIRN_E_CANCELLED || r == CAIRN_E_SYSTEM)
			return r;
		f->pick_failed = r < 0; /* then the whole layer shows what is wrong */
	}
	return supply_find(f->b->opts->supply, f->keys, f->n_keys, f->arena, f->found, err);
}

/* What the remotes have under the content key, or under that of a --link layer. */
static int take_found(struct step_fetch *f, bool *ret_hit, struct cairn_err *err)
{
	*ret_hit = false;
	for (size_t i = 0; i < f->n_keys && !*ret_hit; i++)
		if (f->found[i].record)
			TRY(lookup_take(f->step, &f->keys[i], &f->found[i], ret_hit, err));
	return 0;
}

static void step_fetched(struct step_fetch *f, int result, const struct cairn_err *err)
{
	struct step *s = f->step;
	struct cairn_err failure;
	bool hit = false;

	s->fetch = NULL;
	s->supplied |= f->need;
	s->no_pick |= f->pick_failed;
	for (size_t i = 0; result == 0 && !f->pick_failed && i < f->n_picks; i++)
		s->picked[f->picks[i].i] = steal_ptr(&f->picks[i].dir);
	if (result < 0)
		failure = *err;
	else
		result = take_found(f, &hit, &failure);
	if (result < 0) {
		f->b->demoted |= worth_nothing(result);
		step_fail(s, &failure);
	} else if (hit) {
		step_emit(s, EVENT_CACHED);
	}
}

static void fetch_done(void *ctx, int result, const struct cairn_err *err)
{
	struct step_fetch *f = ctx;
	struct engine_build *b = f->b;

	b->fetching--;
	if (f->step)
		step_fetched(f, result, err);
	else if (f->image && result < 0) {
		b->demoted |= worth_nothing(result);
		steps_stop(b, err);
	}
	drop_picks(f);
	vec_push(&b->fetched, f->arena); /* records that were found live there */
	free(f);
}

static void start(struct step_fetch *f)
{
	f->b->fetching++;
	if (f->step)
		f->step->fetch = f;
	pool_add(need_pool(f->b), (struct pool_task){ run_fetch, fetch_done, f, NULL });
}

/* Start what was collected; *ret_there: there is nothing to do. */
static void start_or_free(struct step_fetch *f, bool *ret_there)
{
	*ret_there = !f->n_parts && !f->n_picks && !f->n_keys;
	if (*ret_there) {
		f->step->supplied |= f->need;
		fetch_free(f);
		return;
	}
	start(f);
}

/* --- steps ---------------------------------------------------------------------------- */

/* Is there nothing to be done, once and for all? */
static bool given(const struct step *s, enum need need)
{
	return !s->b->opts->supply || (s->supplied & need);
}

int need_operands(struct step *s, bool *ret_there, struct cairn_err *err)
{
	struct step_fetch *f;
	int r = 0;

	*ret_there = given(s, NEED_OPERANDS);
	if (*ret_there)
		return 0;
	f = fetch_new(s->b, s, NEED_OPERANDS);
	for (size_t i = 0; r == 0 && i < s->n_operands; i++)
		if (s->operands[i].node)
			r = add_part(f, build_step(s->b, s->operands[i].node), SUPPLY_INDEX, NULL,
			             err);
	if (r == 0)
		start_or_free(f, ret_there);
	else
		fetch_free(f);
	return r;
}

/* Did something that it stands on come to its result in another way than by its definition? Only
 * then its content key can be known to somebody when its definition key is not. */
static bool inputs_moved(const struct step *s)
{
	const struct graph_node *n = s->node;
	bool moved = n->parent && !build_step(s->b, n->parent)->by_definition;

	for (size_t i = 0; i < n->n_inputs; i++)
		moved |= !build_step(s->b, n->inputs[i])->by_definition;
	return moved;
}

void need_content(struct step *s, bool *ret_there)
{
	struct step_fetch *f;

	*ret_there = given(s, NEED_CONTENT);
	if (*ret_there)
		return;
	f = fetch_new(s->b, s, NEED_CONTENT);
	if (supply_remotes(s->b->opts->supply) && !s->node->no_cache &&
	    (inputs_moved(s) || !digest_none(&s->link_key))) {
		f->keys[f->n_keys++] = s->content_key;
		if (!digest_none(&s->link_key))
			f->keys[f->n_keys++] = s->link_key;
	}
	start_or_free(f, ret_there);
}

/* The selected files with content, layer by layer. */
struct by_layer {
	const struct layer_entry **entries;
	size_t n;
};

static struct by_layer *split(struct step_fetch *f, const struct selection *sel, size_t n_layers)
{
	struct by_layer *all = arena_array(f->arena, struct by_layer, n_layers + 1);

	for (size_t i = 0; i < sel->n_items; i++)
		all[sel->items[i].file->layer].n++;
	for (size_t i = 0; i < n_layers; i++) {
		all[i].entries = arena_array(f->arena, const struct layer_entry *, all[i].n + 1);
		all[i].n = 0;
	}
	for (size_t i = 0; i < sel->n_items; i++) {
		const struct view_file *file = sel->items[i].file;
		struct by_layer *l = &all[file->layer];

		if (file->entry->type == LAYER_FILE || file->entry->type == LAYER_HARDLINK)
			l->entries[l->n++] = file->entry;
	}
	return all;
}

static int has_dir(const struct engine_build *b, const struct chain *c, size_t i, struct arena *a,
                   bool *ret, struct cairn_err *err)
{
	struct digest *ids = arena_array(a, struct digest, i + 1);
	const struct unpacked u = { b->opts->store, NULL, ids, i + 1 };
	char *dir = NULL;

	for (size_t k = 0; k <= i; k++)
		ids[k] = c->layers[k].diff_id;
	TRY(unpacked_dir_find(&u, a, &dir, err));
	*ret = dir != NULL;
	return 0;
}

/* Layer i of the step that a COPY takes files from: by themselves, or (*ret_whole) with all the
 * rest. */
static int plan_layer(struct step_fetch *f, const struct chain *c, size_t i,
                      const struct by_layer *l, bool *ret_whole, struct cairn_err *err)
{
	struct step *s = f->step;
	struct fetch_pick *p;
	bool there = false;

	if (!l->n || s->picked[i])
		return 0;
	TRY(has_dir(f->b, c, i, f->arena, &there, err));
	if (there)
		return 0;
	if (s->no_pick || !supply_can_pick(f->b->opts->supply, &c->layers[i], l->entries, l->n)) {
		*ret_whole = true;
		return 0;
	}
	p = &f->picks[f->n_picks++];
	*p = (struct fetch_pick){ &c->layers[i], l->entries, l->n, i, NULL };
	return store_tmp_dir(f->b->opts->store, &p->dir, err);
}

static int add_copied(struct step_fetch *f, const struct step *of, const struct selection *sel,
                      struct cairn_err *err)
{
	const struct chain *c = of->chain;
	struct by_layer *all = split(f, sel, c->n);
	bool *files = arena_array(f->arena, bool, c->n + 1);

	if (!f->step->picked)
		f->step->picked = arena_array(f->b->arena, char *, c->n + 1);
	f->picks = arena_array(f->arena, struct fetch_pick, c->n + 1);
	for (size_t i = 0; i < c->n; i++)
		TRY(plan_layer(f, c, i, &all[i], &files[i], err));
	return add_part(f, of, SUPPLY_INDEX, files, err);
}

static int add_operands(struct step_fetch *f, struct step *s, struct cairn_err *err)
{
	for (size_t i = 0; i < s->n_operands; i++) {
		const struct step *of;

		if (!s->operands[i].node)
			continue;
		of = build_step(s->b, s->operands[i].node);
		if (s->node->kind == GRAPH_RUN)
			TRY(add_part(f, of, SUPPLY_FILES, NULL, err));
		else
			TRY(add_copied(f, of, &s->selections[i], err));
	}
	return 0;
}

/* Names of users are looked up in files that travel in the index, unless they are odd. */
static int users_level(const struct step *s, enum supply_level *ret, struct cairn_err *err)
{
	const struct chain *c = build_step(s->b, s->node->parent)->chain;
	bool names = s->node->kind == GRAPH_WORKDIR ? s->node->user.len > 0
	                                            : s->node->copy.chown.len > 0;
	const struct tree *t = NULL;
	struct cairn_err ignored;
	str text;

	*ret = SUPPLY_INDEX;
	if (!names)
		return 0;
	TRY(trees_get(s->b, c, &t, err));
	for (enum layer_inline k = 0; k < LAYER_INLINE_N_; k++)
		if (tree_inlined(t, k, &text, &ignored) == CAIRN_E_UNSUPPORTED)
			*ret = SUPPLY_FILES;
	return 0;
}

static int add_parent(struct step_fetch *f, struct step *s, struct cairn_err *err)
{
	const struct step *parent = build_step(s->b, s->node->parent);
	enum supply_level level = SUPPLY_FILES;

	if (s->node->kind == GRAPH_RUN)
		return add_part(f, parent, SUPPLY_FILES, NULL, err);
	TRY(add_part(f, parent, SUPPLY_INDEX, NULL, err));
	if (f->n_parts) /* what more it needs is known when these are there */
		return 0;
	TRY(users_level(s, &level, err));
	return level == SUPPLY_FILES ? add_part(f, parent, level, NULL, err) : 0;
}

int need_inputs(struct step *s, bool *ret_there, struct cairn_err *err)
{
	struct step_fetch *f;
	int r;

	*ret_there = given(s, NEED_INPUTS);
	if (*ret_there)
		return 0;
	f = fetch_new(s->b, s, NEED_INPUTS);
	r = add_parent(f, s, err);
	if (r == 0)
		r = add_operands(f, s, err);
	if (r < 0) {
		fetch_free(f);
		return r;
	}
	if (f->n_parts || f->n_picks)
		f->need = 0; /* looked at again: what came may show that more is needed */
	start_or_free(f, ret_there);
	if (!*ret_there)
		step_show(s);
	return 0;
}

void need_release(struct step *s)
{
	const struct graph_source *from = &s->node->copy.from;
	size_t n;

	if (!s->picked)
		return;
	n = build_step(s->b, from->node)->chain->n;
	for (size_t i = 0; i < n; i++)
		remove_dir(steal_ptr(&s->picked[i]));
}

/* --- ahead of time --------------------------------------------------------------------- */

/* Where the files of a step that must run will begin: what it stands on and is done. */
static const struct step *done_below(const struct step *s)
{
	const struct graph_node *n = s->node->parent;

	while (n && build_step(s->b, n)->state != STEP_DONE)
		n = n->parent;
	return n ? build_step(s->b, n) : NULL;
}

void need_ahead(struct engine_build *b)
{
	for (size_t i = 0; b->opts->supply && i < b->n; i++) {
		struct step *s = &b->steps[i];
		const struct step *below;
		struct step_fetch *f;
		struct cairn_err ignored;
		str key;

		if (s->node->kind != GRAPH_RUN || s->state != STEP_WAITING || s->fetch)
			continue;
		below = done_below(s);
		if (!below || !below->chain->n)
			continue;
		key = str_n((const char *)&below->chain, sizeof(below->chain));
		if (map_has(&b->ahead, key) || below->node == s->node->parent)
			continue; /* the step itself asks for it, at once */
		(void)map_put(&b->ahead, key, s);
		f = fetch_new(b, NULL, 0);
		if (add_part(f, below, SUPPLY_FILES, NULL, &ignored) < 0 || !f->n_parts)
			fetch_free(f);
		else
			start(f);
		op_run_ahead(b); /* there is time for it meanwhile */
	}
}

/* --- the image --------------------------------------------------------------------------- */

int need_image(struct engine_build *b, bool *ret_there, struct cairn_err *err)
{
	struct step_fetch *f;
	int r;

	*ret_there = true;
	if (!b->opts->supply || !b->opts->want_files)
		return 0;
	f = fetch_new(b, NULL, 0);
	f->image = true;
	r = add_part(f, b->target, SUPPLY_FILES, NULL, err);
	*ret_there = r == 0 && !f->n_parts;
	if (r < 0 || *ret_there)
		fetch_free(f);
	else
		start(f);
	return r;
}

/* --- progress ------------------------------------------------------------------------------- */

void need_progress(struct engine_build *b)
{
	struct supply_progress p;
	char text[64];

	if (!b->opts->supply || !b->fetching)
		return;
	supply_progress(b->opts->supply, &p);
	if (!p.layers || p.done == b->told)
		return;
	b->told = p.done;
	(void)snprintf(text, sizeof(text), "pulling %u layer%s", p.layers, p.layers > 1 ? "s" : "");
	for (size_t i = 0; i < b->n; i++)
		if (b->steps[i].fetch)
			build_emit(b, &(struct build_event){ .kind = EVENT_PROGRESS,
			                                     .step = b->steps[i].number,
			                                     .text = str_of(text),
			                                     .current = p.done,
			                                     .total = p.total });
}
