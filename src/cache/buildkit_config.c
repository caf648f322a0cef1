#include "buildkit_config.h"

#include "util/clock.h"
#include "util/json.h"

struct parser {
	struct arena *a;
	struct buildkit_config *c;
	size_t n_links;  /* so far, of all records */
	size_t n_chains; /* members of all results */
};

static int get_digest(const json_t *j, const char *key, struct digest *ret, struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(j, key, &s, err));
	*ret = (struct digest){ 0 };
	return s && s[0] ? digest_parse(str_of(s), ret, err) : 0;
}

/* A list of at most `max` members; an absent one is empty. */
static int get_list(const json_t *j, const char *key, size_t max, json_t **ret, size_t *ret_n,
                    struct cairn_err *err)
{
	*ret = NULL;
	TRY(json_get_array(j, key, ret, err));
	*ret_n = json_array_size(*ret);
	if (*ret_n > max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' has more than %zu members", key, max);
	return 0;
}

/* --- layers ------------------------------------------------------------------- */

static int parse_layers(struct parser *p, const json_t *doc, struct cairn_err *err)
{
	struct buildkit_config *c = p->c;
	json_t *list;

	TRY(get_list(doc, "layers", BUILDKIT_LAYERS_MAX, &list, &c->n_layers, err));
	c->layers = arena_array(p->a, struct buildkit_layer, c->n_layers);
	for (size_t i = 0; i < c->n_layers; i++) {
		const json_t *j = json_array_get(list, i);
		struct buildkit_layer *l = &c->layers[i];

		TRY(get_digest(j, "blob", &l->blob, err));
		TRY(json_get_int(j, "parent", 0, &l->parent, err));
		if (l->parent < -1 || l->parent >= (int64_t)c->n_layers)
			return cairn_fail(err, CAIRN_E_SYNTAX, "layer %zu has no parent %lld", i,
			                  (long long)l->parent);
	}
	return 0;
}

static uint32_t *new_chain(struct parser *p, size_t n, struct cairn_err *err)
{
	p->n_chains += n;
	if (p->n_chains <= BUILDKIT_CHAINS_MAX)
		return arena_array(p->a, uint32_t, n + 1);
	(void)cairn_fail(err, CAIRN_E_SYNTAX, "all results have more than %u layers",
	                 BUILDKIT_CHAINS_MAX);
	return NULL;
}

/* The layer with its parents, lowest first. */
static int chain_of(struct parser *p, int64_t top, struct buildkit_result *ret,
                    struct cairn_err *err)
{
	const struct buildkit_layer *layers = p->c->layers;
	uint32_t *chain;
	size_t n = 0;

	for (int64_t i = top; i >= 0; i = layers[i].parent)
		if (++n > BUILDKIT_DEPTH_MAX) /* also in a loop */
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "layer %lld stands on more than %u layers",
			                  (long long)top, BUILDKIT_DEPTH_MAX);
	chain = new_chain(p, n, err);
	if (!chain)
		return err->code;
	ret->n_layers = n;
	ret->layers = chain;
	for (int64_t i = top; i >= 0; i = layers[i].parent)
		chain[--n] = (uint32_t)i;
	return 0;
}

/* --- records --------------------------------------------------------------------- */

/* Go's zero time means: not known. */
static int get_created(const json_t *j, struct buildkit_result *r, struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(j, "createdAt", &s, err));
	if (!s || !s[0] || str_starts(str_of(s), S("0001-01-01T")))
		return 0;
	r->has_created = true;
	return clock_parse(str_of(s), &r->created, err);
}

static int parse_top(struct parser *p, const json_t *j, struct buildkit_result *r,
                     struct cairn_err *err)
{
	int64_t top = -1;

	TRY(json_get_int(j, "layer", -1, &top, err));
	if (top < 0 || top >= (int64_t)p->c->n_layers)
		return cairn_fail(err, CAIRN_E_SYNTAX, "there is no layer %lld", (long long)top);
	TRY(chain_of(p, top, r, err));
	return get_created(j, r, err);
}

static int parse_chain(struct parser *p, const json_t *j, struct buildkit_result *r,
                       struct cairn_err *err)
{
	json_t *list;
	uint32_t *chain;

	TRY(get_list(j, "layers", BUILDKIT_DEPTH_MAX, &list, &r->n_layers, err));
	r->layers = chain = new_chain(p, r->n_layers, err);
	if (!chain)
		return err->code;
	for (size_t i = 0; i < r->n_layers; i++) {
		const json_t *n = json_array_get(list, i);
		json_int_t v = json_integer_value(n);

		if (!json_is_integer(n) || v < 0 || (size_t)v >= p->c->n_layers)
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "a chain names a layer that is not there");
		chain[i] = (uint32_t)v;
	}
	return get_created(j, r, err);
}

static int newest_first(const void *a, const void *b)
{
	const struct buildkit_result *x = a, *y = b;

	return x->created > y->created ? -1 : x->created < y->created;
}

static int parse_results(struct parser *p, const json_t *j, struct buildkit_record *r,
                         struct cairn_err *err)
{
	json_t *tops, *chains;
	size_t n_tops, n_chains;

	TRY(get_list(j, "layers", BUILDKIT_INPUTS_MAX, &tops, &n_tops, err));
	TRY(get_list(j, "chains", BUILDKIT_INPUTS_MAX, &chains, &n_chains, err));
	r->results = arena_array(p->a, struct buildkit_result, n_tops + n_chains);
	for (size_t i = 0; i < n_tops; i++)
		TRY(parse_top(p, json_array_get(tops, i), &r->results[r->n_results++], err));
	for (size_t i = 0; i < n_chains; i++)
		TRY(parse_chain(p, json_array_get(chains, i), &r->results[r->n_results++], err));
	if (r->n_results)
		qsort(r->results, r->n_results, sizeof(*r->results), newest_first);
	return 0;
}

static int parse_input(struct parser *p, const json_t *list, struct buildkit_input *in,
                       struct cairn_err *err)
{
	in->n = json_array_size(list);
	if (!json_is_array(list) || !in->n)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record has an empty input");
	p->n_links += in->n;
	if (p->n_links > BUILDKIT_LINKS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "there are more than %u links",
		                  BUILDKIT_LINKS_MAX);
	in->links = arena_array(p->a, struct buildkit_link, in->n);
	for (size_t i = 0; i < in->n; i++) {
		const json_t *j = json_array_get(list, i);
		int64_t record = -1;

		TRY(get_digest(j, "selector", &in->links[i].selector, err));
		TRY(json_get_int(j, "link", -1, &record, err));
		if (record < 0 || (size_t)record >= p->c->n_records)
			return cairn_fail(err, CAIRN_E_SYNTAX, "there is no record %lld",
			                  (long long)record);
		in->links[i].record = (uint32_t)record;
	}
	return 0;
}

static int parse_record(struct parser *p, const json_t *j, struct buildkit_record *r,
                        struct cairn_err *err)
{
	json_t *inputs;

	TRY(get_digest(j, "digest", &r->digest, err));
	TRY(get_list(j, "inputs", BUILDKIT_INPUTS_MAX, &inputs, &r->n_inputs, err));
	r->inputs = arena_array(p->a, struct buildkit_input, r->n_inputs);
	for (size_t i = 0; i < r->n_inputs; i++)
		TRY(parse_input(p, json_array_get(inputs, i), &r->inputs[i], err));
	return parse_results(p, j, r, err);
}

/* --- loops -------------------------------------------------------------------------- */

/* Records that stand on each other in a circle would be followed for ever: count down how many
 * records each still waits for; what is never free is in, or above, a circle. */
static int check_loops(const struct buildkit_config *c, struct cairn_err *err)
{
	size_t *waits = xcalloc(c->n_records + 1, sizeof(*waits));
	size_t *first = xcalloc(c->n_records + 2, sizeof(*first)); /* of its dependants */
	uint32_t *dependants, *ready = xcalloc(c->n_records + 1, sizeof(*ready));
	size_t n_links = 0, n_ready = 0, done = 0;

	for (size_t i = 0; i < c->n_records; i++)
		for (size_t k = 0; k < c->records[i].n_inputs; k++)
			for (size_t l = 0; l < c->records[i].inputs[k].n; l++, n_links++)
				first[c->records[i].inputs[k].links[l].record + 2]++;
	dependants = xcalloc(n_links + 1, sizeof(*dependants));
	for (size_t i = 2; i < c->n_records + 2; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < c->n_records; i++) {
		for (size_t k = 0; k < c->records[i].n_inputs; k++)
			for (size_t l = 0; l < c->records[i].inputs[k].n; l++, waits[i]++)
				dependants[first[c->records[i].inputs[k].links[l].record + 1]++] =
					(uint32_t)i;
		if (!waits[i])
			ready[n_ready++] = (uint32_t)i;
	}
	for (; done < n_ready; done++)
		for (size_t k = first[ready[done]]; k < first[ready[done] + 1]; k++)
			if (--waits[dependants[k]] == 0)
				ready[n_ready++] = dependants[k];
	free(waits);
	free(first);
	free(dependants);
	free(ready);
	return done == c->n_records
	               ? 0
	               : cairn_fail(err, CAIRN_E_SYNTAX, "records refer to each other in a circle");
}

static int parse_records(struct parser *p, const json_t *list, struct cairn_err *err)
{
	struct buildkit_config *c = p->c;

	c->n_records = json_array_size(list);
	if (c->n_records > BUILDKIT_RECORDS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "there are more than %u records",
		                  BUILDKIT_RECORDS_MAX);
	c->records = arena_array(p->a, struct buildkit_record, c->n_records);
	for (size_t i = 0; i < c->n_records; i++)
		TRY(parse_record(p, json_array_get(list, i), &c->records[i], err));
	return check_loops(c, err);
}

int buildkit_config_parse(struct arena *a, str bytes, struct buildkit_config *ret,
                          struct cairn_err *err)
{
	cleanup_json json_t *doc = NULL;
	struct buildkit_config c = { 0 };
	struct parser p = { .a = a, .c = &c };
	json_t *records = NULL;

	if (bytes.len > BUILDKIT_CONFIG_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "BuildKit cache config is larger than %u bytes",
		                  BUILDKIT_CONFIG_MAX);
	TRY(json_parse(bytes, "BuildKit cache config", &doc, err));
	if (parse_layers(&p, doc, err) < 0 || json_get_array(doc, "records", &records, err) < 0 ||
	    parse_records(&p, records, err) < 0)
		return cairn_wrap(err, "BuildKit cache config");
	*ret = c;
	return 0;
}

/* --- inline ------------------------------------------------------------------------------- */

static int base64_value(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

static int base64_decode(str s, struct strbuf *out, struct cairn_err *err)
{
	uint32_t bits = 0;
	unsigned n_bits = 0;

	for (size_t i = 0; i < s.len; i++) {
		int v = base64_value(s.ptr[i]);

		if (s.ptr[i] == '=')
			break;
		if (v < 0)
			return cairn_fail(err, CAIRN_E_SYNTAX, "%s is not base64",
			                  BUILDKIT_INLINE_KEY);
		bits = bits << 6 | (uint32_t)v;
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			strbuf_char(out, (char)(bits >> n_bits & 0xff));
		}
	}
	return 0;
}

int buildkit_inline_parse(struct arena *a, str base64, size_t n_layers, struct buildkit_config *ret,
                          struct cairn_err *err)
{
	cleanup_json json_t *doc = NULL;
	cleanup_strbuf struct strbuf text;
	struct buildkit_config c = { .n_layers = n_layers };
	struct parser p = { .a = a, .c = &c };

	strbuf_init(&text, BUILDKIT_CONFIG_MAX);
	TRY(base64_decode(base64, &text, err));
	TRY(strbuf_check(&text, BUILDKIT_INLINE_KEY, err));
	TRY(json_parse(strbuf_view(&text), BUILDKIT_INLINE_KEY, &doc, err));
	if (n_layers > BUILDKIT_LAYERS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the image has more than %u layers",
		                  BUILDKIT_LAYERS_MAX);
	c.layers = arena_array(a, struct buildkit_layer, n_layers);
	for (size_t i = 0; i < n_layers; i++)
		c.layers[i].parent = (int64_t)i - 1;
	if (parse_records(&p, doc, err) < 0)
		return cairn_wrap(err, "%s", BUILDKIT_INLINE_KEY);
	*ret = c;
	return 0;
}
