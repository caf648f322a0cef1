/* What steps read, and the digests of it. */
#include "operands.h"

#include "step.h"

static int context_operand(struct step *s, size_t i, str context, struct cairn_err *err)
{
	struct define_step *d = s->define;

	TRY(sources_context(s->b, context, &d->views[i], err));
	TRY(define_select(d, i, s->b->opts->graph->path.ptr, s->b->arena, err));
	TRY(sources_hash(s->b, context, &d->selections[i], err));
	define_digest(d, i);
	for (size_t k = 0; k < d->selections[i].n_empty; k++)
		build_warn(s->b, 0, "%.*s:%u: '%.*s' matches nothing in %.*s",
		           STR(s->b->opts->graph->path), s->node->line,
		           STR(d->selections[i].empty[k]), STR(d->views[i].what));
	return 0;
}

static int plan_step(struct step *s, struct cairn_err *err)
{
	for (size_t i = 0; i < s->define->n_operands; i++) {
		const struct graph_source *from = define_source(s->node, i);

		if (from->kind == GRAPH_FROM_CONTEXT)
			TRY(context_operand(s, i, from->context, err));
	}
	return 0;
}

int operands_plan(struct engine_build *b, struct cairn_err *err)
{
	struct define_step *all = define_steps(b->opts->graph, b->arena);

	for (size_t i = 0; i < b->n; i++) {
		b->steps[i].define = &all[i];
		TRY(plan_step(&b->steps[i], err));
	}
	define_keys(b->opts->graph, &b->opts->env, all);
	for (size_t i = 0; i < b->n; i++) {
		struct step *s = &b->steps[i];

		s->def_key = all[i].key;
		s->operands = all[i].operands;
		s->selections = all[i].selections;
		s->views = all[i].views;
		s->n_operands = all[i].n_operands;
	}
	return 0;
}

int operands_complete(struct step *s, struct cairn_err *err)
{
	for (size_t i = 0; i < s->n_operands; i++) {
		const struct tree *t = NULL;
		const struct step *from;

		if (!s->operands[i].node)
			continue;
		from = build_step(s->b, s->operands[i].node);
		TRY(trees_get(s->b, from->chain, &t, err));
		view_of_tree(s->b->arena, t,
		             str_of(arena_printf(s->b->arena, "stage '%.*s'",
		                                 STR(from->node->stage->name.len
		                                             ? from->node->stage->name
		                                             : from->node->text))),
		             &s->views[i]);
		TRY(define_select(s->define, i, s->b->opts->graph->path.ptr, s->b->arena, err));
		define_digest(s->define, i);
	}
	return 0;
}
