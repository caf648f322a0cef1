#include "record.h"

#include "util/clock.h"
#include "util/json.h"

#define VERSION 1

static json_t *digest_json(const struct digest *d)
{
	return json_string(digest_text(d).s);
}

static json_t *time_json(int64_t ns)
{
	char buf[CLOCK_TEXT_MAX];

	return json_string(clock_text(ns, buf));
}

static json_t *layers_json(const struct chain *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n; i++) {
		const struct chain_layer *l = &c->layers[i];
		json_t *o = json_object();

		json_object_set_new(o, "diff_id", digest_json(&l->diff_id));
		json_object_set_new(o, "content", digest_json(&l->content));
		if (!digest_none(&l->step))
			json_object_set_new(o, "step", digest_json(&l->step));
		json_object_set_new(o, "created", time_json(l->created));
		json_object_set_new(o, "size", json_integer((json_int_t)l->size));
		json_array_append_new(list, o);
	}
	return list;
}

void record_encode(const struct record *r, struct strbuf *out)
{
	cleanup_json json_t *j = json_object();
	json_t *inputs = json_array(), *cost = json_object();

	json_object_set_new(j, "version", json_integer(VERSION));
	json_object_set_new(j, "created", time_json(r->created));
	json_object_set_new(j, "text", json_str(r->text));
	json_object_set_new(j, "parent_tree", digest_json(&r->parent_tree));
	json_object_set_new(j, "tree", digest_json(&r->chain.tree));
	json_object_set_new(j, "own", json_boolean(r->own));
	json_object_set_new(cost, "wall_ns", json_integer((json_int_t)r->cost.wall_ns));
	json_object_set_new(cost, "cpu_ns", json_integer((json_int_t)r->cost.cpu_ns));
	json_object_set_new(cost, "peak_bytes", json_integer((json_int_t)r->cost.peak_bytes));
	json_object_set_new(cost, "written_bytes", json_integer((json_int_t)r->cost.written_bytes));
	json_object_set_new(j, "cost", cost);
	json_object_set_new(j, "layers", layers_json(&r->chain));
	for (size_t i = 0; i < r->n_inputs; i++) {
		json_t *o = json_object();

		json_object_set_new(o, "step", digest_json(&r->inputs[i].step));
		json_object_set_new(o, "tree", digest_json(&r->inputs[i].tree));
		json_array_append_new(inputs, o);
	}
	json_object_set_new(j, "inputs", inputs);
	json_write(j, out);
}

static int get_digest(const json_t *o, const char *key, bool optional, struct digest *ret,
                      struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(o, key, &s, err));
	if (!s && optional) {
		*ret = (struct digest){ 0 };
		return 0;
	}
	return digest_parse(str_of(s), ret, err);
}

static int get_time(const json_t *o, const char *key, int64_t *ret, struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(o, key, &s, err));
	return clock_parse(str_of(s), ret, err);
}

static int get_size(const json_t *o, const char *key, uint64_t *ret, struct cairn_err *err)
{
	int64_t v = 0;

	TRY(json_get_int(o, key, 0, &v, err));
	if (v < 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is negative", key);
	*ret = (uint64_t)v;
	return 0;
}

/* The array `key` with at most max objects. */
static int get_list(const json_t *o, const char *key, size_t max, json_t **ret,
                    struct cairn_err *err)
{
	json_t *list = NULL;
	size_t i;
	json_t *item;

	TRY(json_get_array(o, key, &list, err));
	if (json_array_size(list) > max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has more than %zu members", key, max);
	json_array_foreach(list, i, item) if (!json_is_object(item)) return cairn_fail(
		err, CAIRN_E_SYNTAX, "'%s' holds something else than objects", key);
	*ret = list;
	return 0;
}

static int decode_layers(const json_t *j, struct arena *a, struct chain *c, struct cairn_err *err)
{
	json_t *list = NULL, *o;
	size_t i;

	TRY(get_list(j, "layers", RECORD_LAYERS_MAX, &list, err));
	c->n = json_array_size(list);
	c->layers = arena_array(a, struct chain_layer, c->n);
	json_array_foreach(list, i, o)
	{
		struct chain_layer *l = &c->layers[i];

		TRY(get_digest(o, "diff_id", false, &l->diff_id, err));
		TRY(get_digest(o, "content", false, &l->content, err));
		TRY(get_digest(o, "step", true, &l->step, err));
		TRY(get_time(o, "created", &l->created, err));
		TRY(get_size(o, "size", &l->size, err));
	}
	return get_digest(j, "tree", false, &c->tree, err);
}

/* The tree's id follows from the layers, and a step always has one. */
static int check_tree(const struct chain *c, struct cairn_err *err)
{
	struct digest tree = { 0 };

	for (size_t i = 0; i < c->n; i++)
		tree = chain_tree_id(&tree, &c->layers[i].content);
	if (c->n && digest_eq(&tree, &c->tree))
		return 0;
	return cairn_fail(err, CAIRN_E_SYNTAX, "its tree is not that of its %zu layers", c->n);
}

static int decode_cost(const json_t *j, struct record_cost *c, struct cairn_err *err)
{
	json_t *o = NULL;

	TRY(json_get_object(j, "cost", &o, err));
	TRY(get_size(o, "wall_ns", &c->wall_ns, err));
	TRY(get_size(o, "cpu_ns", &c->cpu_ns, err));
	TRY(get_size(o, "peak_bytes", &c->peak_bytes, err));
	return get_size(o, "written_bytes", &c->written_bytes, err);
}

static int decode_inputs(const json_t *j, struct arena *a, struct record *r, struct cairn_err *err)
{
	json_t *list = NULL, *o;
	size_t i;

	TRY(get_list(j, "inputs", RECORD_INPUTS_MAX, &list, err));
	r->n_inputs = json_array_size(list);
	r->inputs = arena_array(a, struct record_input, r->n_inputs);
	json_array_foreach(list, i, o)
	{
		TRY(get_digest(o, "step", false, &r->inputs[i].step, err));
		TRY(get_digest(o, "tree", false, &r->inputs[i].tree, err));
	}
	return 0;
}

static int decode(str text, struct arena *a, struct record *r, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	const char *s = NULL;

	if (text.len > RECORD_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "larger than %u bytes", RECORD_MAX);
	TRY(json_parse_version(text, VERSION, &j, err));
	TRY(get_time(j, "created", &r->created, err));
	TRY(json_get_str(j, "text", &s, err));
	r->text = arena_str(a, str_of(s));
	TRY(json_get_bool(j, "own", false, &r->own, err));
	TRY(get_digest(j, "parent_tree", false, &r->parent_tree, err));
	TRY(decode_layers(j, a, &r->chain, err));
	TRY(check_tree(&r->chain, err));
	TRY(decode_cost(j, &r->cost, err));
	return decode_inputs(j, a, r, err);
}

int record_decode(str text, struct arena *a, struct record *ret, struct cairn_err *err)
{
	struct record r = { 0 };

	if (decode(text, a, &r, err) < 0) {
		err->code = CAIRN_E_DIGEST;
		return cairn_wrap(err, "cache record");
	}
	*ret = r;
	return 0;
}

struct digest chain_tree_id(const struct digest *below, const struct digest *content)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.tree", 1);
	digest_field_digest(&f, "below", below);
	digest_field_digest(&f, "layer", content);
	return digest_fields_end(&f);
}

struct chain *chain_push(struct arena *a, const struct chain *below,
                         const struct chain_layer *layer)
{
	struct chain *c = arena_new_of(a, struct chain);

	c->n = below->n + 1;
	c->layers = arena_array(a, struct chain_layer, c->n);
	if (below->n)
		memcpy(c->layers, below->layers, below->n * sizeof(*c->layers));
	c->layers[below->n] = *layer;
	c->tree = chain_tree_id(&below->tree, &layer->content);
	return c;
}
