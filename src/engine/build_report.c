/* The report of a build: what its steps' keys were made of and what became of them. */
#include "step.h"

static const char *const kinds[GRAPH_N_] = {
	[GRAPH_BASE] = REPORT_KIND_BASE,
	[GRAPH_RUN] = "run",
	[GRAPH_COPY] = "copy",
	[GRAPH_WORKDIR] = "workdir",
};

static enum report_result result_of(const struct step *s)
{
	switch (s->state) {
	case STEP_DONE:
		return s->hit ? REPORT_HIT : REPORT_RAN;
	case STEP_FAILED:
		return REPORT_FAILED;
	case STEP_IDLE: /* a hit above it holds its result */
		return REPORT_HIT;
	case STEP_WAITING:
	case STEP_RUNNING:
		break;
	}
	return REPORT_WOULD;
}

/* What it reads from contexts; from other steps it is their business. */
static struct parts_files *context_files(const struct step *s, struct arena *a, size_t *ret_n)
{
	struct parts_files *files = arena_array(a, struct parts_files, s->n_operands);

	*ret_n = 0;
	for (size_t i = 0; i < s->n_operands; i++) {
		if (s->operands[i].node)
			continue;
		files[*ret_n].selection = &s->selections[i];
		files[(*ret_n)++].any_mode =
			s->node->kind == GRAPH_COPY && s->node->copy.chmod.len > 0;
	}
	return files;
}

static void set_below(const struct step *s, struct arena *a, struct report_step *ret)
{
	const struct graph_node *n = s->node;

	ret->below = arena_array(a, unsigned, n->n_inputs + 1);
	if (n->parent)
		ret->below[ret->n_below++] = n->parent->id;
	for (size_t i = 0; i < n->n_inputs; i++)
		ret->below[ret->n_below++] = n->inputs[i]->id;
}

/* Its layer in the chain of the target, which knows all that the target stands on. */
static const struct chain_layer *layer_of(const struct step *s)
{
	const struct chain *c = s->chain ? s->chain : s->b->target->chain;

	if (s->chain && s->chain->n && s->node->parent)
		return &s->chain->layers[s->chain->n - 1];
	for (size_t i = 0; c && !s->chain && i < c->n; i++)
		if (digest_eq(&c->layers[i].step, &s->def_key))
			return &c->layers[i];
	return NULL;
}

/* What a step cost when it ran, of one that no record was read for: what is known here. */
static uint64_t cost_of(const struct step *s)
{
	return s->cost.wall_ns || !s->found ? s->cost.wall_ns : s->found->cost.wall_ns;
}

/* Where its result is; of a step that nobody had to look at it is in the record of one above. */
static const char *from_of(const struct step *s)
{
	const struct engine_build *b = s->b;

	for (size_t i = 0; s->state == STEP_IDLE && i < b->n; i++) {
		const struct step *t = &b->steps[i];

		for (size_t k = 0; t->from && t->record && k < t->record->chain.n; k++)
			if (digest_eq(&t->record->chain.layers[k].step, &s->def_key))
				return t->from;
	}
	return s->from ? s->from : "";
}

static void set_forced(struct arena *a, struct report_step *ret)
{
	ret->reasons = arena_new_of(a, struct report_reason);
	ret->reasons[0].kind = REPORT_FORCED;
	ret->n_reasons = 1;
}

static void report_one(const struct step *s, struct arena *a, struct report_step *ret)
{
	const struct graph_node *n = s->node;
	const struct chain_layer *layer = layer_of(s);

	*ret = (struct report_step){ .name = n->name,
		                     .stage = n->stage->name,
		                     .kind = str_of(kinds[n->kind]),
		                     .text = n->text,
		                     .file = s->b->opts->graph->path,
		                     .line = n->line,
		                     .key = s->def_key,
		                     .result = result_of(s),
		                     .from = str_of(from_of(s)),
		                     .cost_ns = cost_of(s),
		                     .oom = s->oom };
	if (ret->result == REPORT_RAN || ret->result == REPORT_FAILED) {
		ret->cpu_ns = s->cost.cpu_ns;
		ret->memory = s->cost.peak_bytes;
	}
	if (layer)
		ret->bytes = layer->size;
	if (n->no_cache && ret->result != REPORT_HIT)
		set_forced(a, ret);
	set_below(s, a, ret);
}

static void add_parts(const struct step *s, const struct report *r, struct arena *a,
                      struct report_step *ret)
{
	size_t n_files = 0;
	struct parts_files *files = context_files(s, a, &n_files);

	parts_of_step(r, s->node, &s->b->opts->env, files, n_files, a, ret);
}

struct digest engine_key(const struct engine_build *b)
{
	return b->target->def_key;
}

struct digest engine_input(const struct engine_build *b, const struct digest *identities)
{
	return define_input(b->opts->graph, &b->opts->env, b->steps[0].define, identities);
}

void engine_report(const struct engine_build *b, bool parts, struct report *r, struct arena *a)
{
	r->n_steps = b->n < REPORT_STEPS_MAX ? b->n : REPORT_STEPS_MAX;
	r->steps = arena_array(a, struct report_step, r->n_steps);
	for (size_t i = 0; i < r->n_steps; i++) {
		report_one(&b->steps[i], a, &r->steps[i]);
		if (parts)
			add_parts(&b->steps[i], r, a, &r->steps[i]);
	}
}
