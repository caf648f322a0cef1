/* What steps read, and the digests of it. */
#include "operands.h"

#include "step.h"

/* The operand's source in the graph: COPY has one, RUN one per mount with files. */
static const struct graph_source *operand_source(const struct graph_node *n, size_t i)
{
	if (n->kind == GRAPH_COPY)
		return &n->copy.from;
	for (size_t k = 0; k < n->run.n_mounts; k++) {
		enum graph_source_kind kind = n->run.mounts[k].from.kind;

		if (kind != GRAPH_FROM_CONTEXT && kind != GRAPH_FROM_NODE)
			continue;
		if (i-- == 0)
			return &n->run.mounts[k].from;
	}
	CAIRN_BUG("operand of no mount");
}

static str operand_path(const struct graph_node *n, size_t i)
{
	for (size_t k = 0; k < n->run.n_mounts; k++) {
		enum graph_source_kind kind = n->run.mounts[k].from.kind;

		if (kind != GRAPH_FROM_CONTEXT && kind != GRAPH_FROM_NODE)
			continue;
		if (i-- == 0)
			return n->run.mounts[k].source;
	}
	CAIRN_BUG("operand of no mount");
}

static size_t count_operands(const struct graph_node *n)
{
	size_t count = 0;

	if (n->kind == GRAPH_COPY)
		return n->copy.from.kind != GRAPH_FROM_INLINE;
	for (size_t k = 0; n->kind == GRAPH_RUN && k < n->run.n_mounts; k++)
		count += n->run.mounts[k].from.kind == GRAPH_FROM_CONTEXT ||
		         n->run.mounts[k].from.kind == GRAPH_FROM_NODE;
	return count;
}

static int at_step(const struct step *s, struct cairn_err *err)
{
	char msg[sizeof(err->msg)];
	enum cairn_code code = err->code;

	if (err->line)
		return code;
	memcpy(msg, err->msg, sizeof(msg));
	(void)cairn_fail_at(err, (const char *)s->b->opts->graph->path.ptr, s->node->line, 0, "%s",
	                    msg);
	err->code = code;
	return code;
}

/* Select the files of operand i out of its view. */
static int select_operand(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	int r;

	if (n->kind == GRAPH_COPY)
		r = select_copy(s->b->arena, &s->views[i], &n->copy, &s->selections[i], err);
	else
		r = select_path(s->b->arena, &s->views[i], operand_path(n, i), &s->selections[i],
		                err);
	return r < 0 ? at_step(s, err) : 0;
}

static void digest_operand(struct step *s, size_t i)
{
	bool any_mode = s->node->kind == GRAPH_COPY && s->node->copy.chmod.len;

	s->operands[i].selection = selection_digest(&s->selections[i], &s->views[i], any_mode);
}

static int context_operand(struct step *s, size_t i, str context, struct cairn_err *err)
{
	TRY(sources_context(s->b, context, &s->views[i], err));
	TRY(select_operand(s, i, err));
	TRY(sources_hash(s->b, context, &s->selections[i], err));
	digest_operand(s, i);
	for (size_t k = 0; k < s->selections[i].n_empty; k++)
		build_warn(s->b, 0, "%.*s:%u: '%.*s' matches nothing in %.*s",
		           STR(s->b->opts->graph->path), s->node->line,
		           STR(s->selections[i].empty[k]), STR(s->views[i].what));
	return 0;
}

int operands_plan(struct step *s, struct cairn_err *err)
{
	s->n_operands = count_operands(s->node);
	s->operands = arena_array(s->b->arena, struct key_operand, s->n_operands);
	s->selections = arena_array(s->b->arena, struct selection, s->n_operands);
	s->views = arena_array(s->b->arena, struct view, s->n_operands);
	for (size_t i = 0; i < s->n_operands; i++) {
		const struct graph_source *from = operand_source(s->node, i);

		if (from->kind == GRAPH_FROM_CONTEXT) {
			TRY(context_operand(s, i, from->context, err));
			continue;
		}
		s->operands[i].node = from->node;
		s->operands[i].base = build_step(s->b, from->node)->def_key;
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
		TRY(select_operand(s, i, err));
		digest_operand(s, i);
	}
	return 0;
}
