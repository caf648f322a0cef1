/* Results that a build has settled on. */
#include "pins.h"

#include "step.h"

/* What a step gave in this build: the content of its layer, or its whole tree. */
enum pin_kind {
	PIN_LAYER = 'L',
	PIN_TREE = 'T',
};

static str pin_key(enum pin_kind kind, const struct digest *step, char buf[DIGEST_LEN + 1])
{
	buf[0] = (char)kind;
	memcpy(buf + 1, step->b, DIGEST_LEN);
	return str_n(buf, DIGEST_LEN + 1);
}

static bool pin_differs(const struct engine_build *b, enum pin_kind kind, const struct digest *step,
                        const struct digest *value)
{
	char buf[DIGEST_LEN + 1];
	const struct digest *pin = map_get(&b->pinned, pin_key(kind, step, buf));

	return pin && !digest_eq(pin, value);
}

/* How many layers the tree of a step has. */
static size_t n_layers(const struct graph_node *n)
{
	size_t count = 0;

	for (; n->kind != GRAPH_BASE; n = n->parent)
		count++;
	return count + n->base.config->n_diff_ids;
}

static const struct image_config *base_config(const struct graph_node *n)
{
	while (n->kind != GRAPH_BASE)
		n = n->parent;
	return n->base.config;
}

bool pins_on_base(const struct chain *c, const struct image_config *base)
{
	if (c->n < base->n_diff_ids)
		return false;
	for (size_t i = 0; i < base->n_diff_ids; i++)
		if (!digest_eq(&c->layers[i].diff_id, &base->diff_ids[i]))
			return false;
	return true;
}

bool pins_contradict(const struct step *s, const struct record *r)
{
	const struct engine_build *b = s->b;

	if (r->chain.n != n_layers(s->node) || !pins_on_base(&r->chain, base_config(s->node)))
		return true;
	for (size_t i = 0; i < r->chain.n; i++)
		if (pin_differs(b, PIN_LAYER, &r->chain.layers[i].step,
		                &r->chain.layers[i].content))
			return true;
	for (size_t i = 0; i < r->n_inputs; i++)
		if (pin_differs(b, PIN_TREE, &r->inputs[i].step, &r->inputs[i].tree))
			return true;
	return false;
}

static void pin(struct engine_build *b, enum pin_kind kind, const struct digest *step,
                const struct digest *value)
{
	char buf[DIGEST_LEN + 1];
	str key = pin_key(kind, step, buf);
	struct digest *copy;

	if (digest_none(step) || map_has(&b->pinned, key))
		return;
	copy = arena_new_of(b->arena, struct digest);
	*copy = *value;
	map_put(&b->pinned, key, copy);
}

void pins_add(struct step *s, const struct record *r)
{
	struct engine_build *b = s->b;

	for (size_t i = 0; i < r->chain.n; i++)
		pin(b, PIN_LAYER, &r->chain.layers[i].step, &r->chain.layers[i].content);
	for (size_t i = 0; i < r->n_inputs; i++)
		pin(b, PIN_TREE, &r->inputs[i].step, &r->inputs[i].tree);
	pin(b, PIN_TREE, &s->def_key, &r->chain.tree);
}
