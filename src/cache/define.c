#include "define.h"

#include "util/vec.h"

/* --- operands --------------------------------------------------------------------- */

static bool has_files(const struct graph_mount *m)
{
	return m->from.kind == GRAPH_FROM_CONTEXT || m->from.kind == GRAPH_FROM_NODE;
}

/* The mount that is operand i of a RUN. */
static const struct graph_mount *mount_of(const struct graph_node *n, size_t i)
{
	for (size_t k = 0; k < n->run.n_mounts; k++)
		if (has_files(&n->run.mounts[k]) && i-- == 0)
			return &n->run.mounts[k];
	CAIRN_BUG("operand of no mount");
}

const struct graph_source *define_source(const struct graph_node *n, size_t i)
{
	return n->kind == GRAPH_COPY ? &n->copy.from : &mount_of(n, i)->from;
}

static size_t count(const struct graph_node *n)
{
	size_t sum = 0;

	if (n->kind == GRAPH_COPY)
		return n->copy.from.kind != GRAPH_FROM_INLINE;
	for (size_t k = 0; n->kind == GRAPH_RUN && k < n->run.n_mounts; k++)
		sum += has_files(&n->run.mounts[k]);
	return sum;
}

struct define_step *define_steps(const struct graph *g, struct arena *a)
{
	struct define_step *steps = arena_array(a, struct define_step, g->n_nodes);

	for (size_t i = 0; i < g->n_nodes; i++) {
		struct define_step *s = &steps[i];

		s->node = g->nodes[i];
		s->n_operands = count(s->node);
		s->operands = arena_array(a, struct key_operand, s->n_operands);
		s->selections = arena_array(a, struct selection, s->n_operands);
		s->views = arena_array(a, struct view, s->n_operands);
		for (size_t k = 0; k < s->n_operands; k++)
			s->operands[k].node = define_source(s->node, k)->node;
	}
	return steps;
}

/* --- selections --------------------------------------------------------------------- */

static int at_step(const struct graph_node *n, const char *path, struct cairn_err *err)
{
	char msg[sizeof(err->msg)];
	enum cairn_code code = err->code;

	if (err->line)
		return code;
	memcpy(msg, err->msg, sizeof(msg));
	(void)cairn_fail_at(err, path, n->line, 0, "%s", msg);
	err->code = code;
	return code;
}

int define_select(struct define_step *s, size_t i, const char *path, struct arena *a,
                  struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	int r;

	if (n->kind == GRAPH_COPY)
		r = select_copy(a, &s->views[i], &n->copy, &s->selections[i], err);
	else
		r = select_path(a, &s->views[i], mount_of(n, i)->source, &s->selections[i], err);
	return r < 0 ? at_step(n, path, err) : 0;
}

void define_digest(struct define_step *s, size_t i)
{
	bool any_mode = s->node->kind == GRAPH_COPY && s->node->copy.chmod.len;

	s->operands[i].selection = selection_digest(&s->selections[i], &s->views[i], any_mode);
}

void define_keys(const struct graph *g, const struct key_env *env, struct define_step *steps)
{
	for (size_t i = 0; i < g->n_nodes; i++) { /* what a step stands on comes before it */
		struct define_step *s = &steps[i];
		const struct graph_node *parent = s->node->parent;

		for (size_t k = 0; k < s->n_operands; k++)
			if (s->operands[k].node)
				s->operands[k].base = steps[s->operands[k].node->id].key;
		s->key = key_definition(s->node, env, parent ? &steps[parent->id].key : NULL,
		                        s->operands, s->n_operands);
	}
}

/* --- what is read of a context ------------------------------------------------------ */

struct needed {
	struct arena *a;
	VEC(str) paths;
	bool any, all;
};

static void add_needed(struct needed *n, str source)
{
	str rest = source, part;
	struct strbuf path;

	n->any = true;
	strbuf_init(&path, LAYER_PATH_MAX);
	while (str_next(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (pattern_has_wildcard(part) || str_is(part, ".."))
			break;
		strbuf_printf(&path, "%s%.*s", path.len ? "/" : "", STR(part));
	}
	if (path.len && !path.overflow)
		vec_push(&n->paths, arena_str(n->a, strbuf_view(&path)));
	else
		n->all = true;
	strbuf_done(&path);
}

static bool from_context(const struct graph_source *s, str name)
{
	return s->kind == GRAPH_FROM_CONTEXT && str_eq(s->context, name);
}

static void node_needs(struct needed *n, const struct graph_node *node, str name)
{
	if (node->kind == GRAPH_COPY && from_context(&node->copy.from, name))
		for (size_t i = 0; i < node->copy.n_sources; i++)
			add_needed(n, node->copy.sources[i]);
	if (node->kind == GRAPH_RUN)
		for (size_t i = 0; i < node->run.n_mounts; i++)
			if (from_context(&node->run.mounts[i].from, name))
				add_needed(n, node->run.mounts[i].source);
}

bool define_needed(const struct graph *g, str context, struct arena *a, str **ret, size_t *ret_n)
{
	struct needed n = { .a = a };

	for (size_t i = 0; i < g->n_nodes; i++)
		node_needs(&n, g->nodes[i], context);
	*ret_n = n.all ? 0 : n.paths.len;
	*ret = arena_array(a, str, *ret_n);
	if (*ret_n)
		memcpy(*ret, n.paths.ptr, *ret_n * sizeof(**ret));
	vec_free(&n.paths);
	return n.any;
}

/* --- the image ------------------------------------------------------------------------ */

/* Raise it when images change that have the same steps, config and history. */
#define INPUT_VERSION 1

static void add_history(struct digest_fields *f, const struct graph_stage *stage)
{
	if (stage->from)
		add_history(f, stage->from);
	for (size_t i = 0; i < stage->n_history; i++) {
		digest_field_u64(f, "layer", stage->history[i].node != NULL);
		digest_field_str(f, "history", stage->history[i].created_by);
	}
}

struct digest define_identity(const struct digest *input)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.input.identity", INPUT_VERSION);
	digest_field_digest(&f, "input", input);
	return digest_fields_end(&f);
}

static bool has_identity(const struct digest *identities, const struct graph_node *n)
{
	return identities && n->kind == GRAPH_BASE && !digest_none(&identities[n->id]);
}

/* The key of the last step, with identities in place of configs. */
static struct digest last_key(const struct graph *g, const struct key_env *env,
                              const struct define_step *steps, const struct digest *identities)
{
	cleanup_arena struct arena *a = arena_new();
	struct define_step *mine = define_steps(g, a);

	for (size_t i = 0; i < g->n_nodes; i++) {
		for (size_t k = 0; k < mine[i].n_operands; k++)
			mine[i].operands[k].selection = steps[i].operands[k].selection;
		if (has_identity(identities, g->nodes[i])) {
			struct graph_node *other = arena_new_of(a, struct graph_node);

			*other = *g->nodes[i];
			other->base.config_digest = identities[i];
			mine[i].node = other;
		}
	}
	define_keys(g, env, mine);
	return mine[g->target->last->id].key;
}

struct digest define_input(const struct graph *g, const struct key_env *env,
                           const struct define_step *steps, const struct digest *identities)
{
	struct digest last = steps[g->target->last->id].key;
	char platform[PLATFORM_TEXT_MAX];
	struct digest_fields f;
	struct strbuf config;

	strbuf_init(&config, IMAGE_CONFIG_MAX);
	image_config_encode(g->target->config, &config);
	for (size_t i = 0; i < g->n_nodes; i++)
		if (has_identity(identities, g->nodes[i])) {
			last = last_key(g, env, steps, identities);
			break;
		}
	digest_fields_begin(&f, "cairn.input", INPUT_VERSION);
	digest_field_digest(&f, "last", &last);
	digest_field_str(&f, "platform", str_of(platform_text(&g->target->platform, platform)));
	digest_field_str(&f, "config", strbuf_view(&config));
	add_history(&f, g->target);
	strbuf_done(&config);
	return digest_fields_end(&f);
}
