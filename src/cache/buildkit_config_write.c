/* Writing a BuildKit cache config, in an order that does not depend on how it was made. */
#include "buildkit_config.h"
#include "util/clock.h"

struct order {
	const struct buildkit_config *c;
	uint32_t *layers, *records;           /* old indexes in their new order */
	uint32_t *layer_place, *record_place; /* old index -> new one */
};

/* By blob, then by what lies below. */
static int layer_cmp(const struct buildkit_config *c, int64_t x, int64_t y)
{
	while (x != y) {
		int r;

		if (x < 0 || y < 0)
			return x < 0 ? -1 : 1;
		r = digest_cmp(&c->layers[x].blob, &c->layers[y].blob);
		if (r)
			return r;
		x = c->layers[x].parent;
		y = c->layers[y].parent;
	}
	return 0;
}

static int link_cmp(const struct buildkit_config *c, const struct buildkit_link *x,
                    const struct buildkit_link *y)
{
	int r = digest_cmp(&x->selector, &y->selector);

	return r ? r : digest_cmp(&c->records[x->record].digest, &c->records[y->record].digest);
}

static int record_cmp(const struct buildkit_config *c, uint32_t x, uint32_t y)
{
	const struct buildkit_record *a = &c->records[x], *b = &c->records[y];
	int r = digest_cmp(&a->digest, &b->digest);

	if (r)
		return r;
	if (a->n_inputs != b->n_inputs)
		return a->n_inputs < b->n_inputs ? -1 : 1;
	for (size_t i = 0; i < a->n_inputs; i++) {
		if (a->inputs[i].n != b->inputs[i].n)
			return a->inputs[i].n < b->inputs[i].n ? -1 : 1;
		for (size_t k = 0; k < a->inputs[i].n; k++) {
			r = link_cmp(c, &a->inputs[i].links[k], &b->inputs[i].links[k]);
			if (r)
				return r;
		}
	}
	return 0;
}

static int by_layer(const void *a, const void *b, void *c)
{
	return layer_cmp(c, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int by_record(const void *a, const void *b, void *c)
{
	return record_cmp(c, *(const uint32_t *)a, *(const uint32_t *)b);
}

static uint32_t *sorted(struct arena *a, const struct buildkit_config *c, size_t n,
                        int (*cmp)(const void *, const void *, void *), uint32_t **ret_place)
{
	uint32_t *list = arena_array(a, uint32_t, n + 1);

	for (size_t i = 0; i < n; i++)
		list[i] = (uint32_t)i;
	if (n)
		qsort_r(list, n, sizeof(*list), cmp, (void *)(uintptr_t)c);
	*ret_place = arena_array(a, uint32_t, n + 1);
	for (size_t i = 0; i < n; i++)
		(*ret_place)[list[i]] = (uint32_t)i;
	return list;
}

static void write_layer(const struct order *o, const struct buildkit_layer *l, struct strbuf *out)
{
	int64_t parent = l->parent < 0 ? -1 : (int64_t)o->layer_place[l->parent];

	strbuf_printf(out, "{\"blob\":\"%s\"", digest_text(&l->blob).s);
	if (parent)
		strbuf_printf(out, ",\"parent\":%lld", (long long)parent);
	strbuf_char(out, '}');
}

static void write_created(const struct buildkit_result *r, struct strbuf *out)
{
	char text[CLOCK_TEXT_MAX];

	strbuf_printf(out, ",\"createdAt\":\"%s\"}",
	              r->has_created ? clock_text(r->created, text) : "0001-01-01T00:00:00Z");
}

/* Are the layers one with its parents? Then the topmost says it all. */
static bool is_stack(const struct buildkit_config *c, const struct buildkit_result *r)
{
	for (size_t i = 0; i < r->n_layers; i++)
		if (c->layers[r->layers[i]].parent != (i ? (int64_t)r->layers[i - 1] : -1))
			return false;
	return r->n_layers > 0;
}

static void write_results(const struct order *o, const struct buildkit_record *r, bool stacks,
                          struct strbuf *out)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n_results; i++) {
		const struct buildkit_result *x = &r->results[i];

		if (!x->n_layers || is_stack(o->c, x) != stacks)
			continue;
		if (!n++)
			strbuf_cstr(out, stacks ? "\"layers\":[" : "\"chains\":[");
		else
			strbuf_char(out, ',');
		if (stacks) {
			strbuf_printf(out, "{\"layer\":%u",
			              o->layer_place[x->layers[x->n_layers - 1]]);
		} else {
			for (size_t k = 0; k < x->n_layers; k++)
				strbuf_printf(out, "%s%u", k ? "," : "{\"layers\":[",
				              o->layer_place[x->layers[k]]);
			strbuf_char(out, ']');
		}
		write_created(x, out);
	}
	if (n)
		strbuf_cstr(out, "],");
}

struct placed_link {
	uint32_t place;
	const struct buildkit_link *link;
};

static int by_place(const void *a, const void *b)
{
	const struct placed_link *x = a, *y = b;

	if (x->place != y->place)
		return x->place < y->place ? -1 : 1;
	return digest_cmp(&x->link->selector, &y->link->selector);
}

static void write_input(const struct order *o, const struct buildkit_input *in, struct strbuf *out)
{
	struct placed_link *links = xcalloc(in->n + 1, sizeof(*links));

	for (size_t i = 0; i < in->n; i++)
		links[i] =
			(struct placed_link){ o->record_place[in->links[i].record], &in->links[i] };
	qsort(links, in->n, sizeof(*links), by_place);
	for (size_t i = 0; i < in->n; i++) {
		strbuf_cstr(out, i ? ",{" : "[{");
		if (!digest_none(&links[i].link->selector))
			strbuf_printf(out, "\"selector\":\"%s\",",
			              digest_text(&links[i].link->selector).s);
		strbuf_printf(out, "\"link\":%u}", links[i].place);
	}
	strbuf_char(out, ']');
	free(links);
}

static void write_record(const struct order *o, const struct buildkit_record *r, struct strbuf *out)
{
	strbuf_char(out, '{');
	write_results(o, r, true, out);
	write_results(o, r, false, out);
	strbuf_printf(out, "\"digest\":\"%s\"", digest_text(&r->digest).s);
	for (size_t i = 0; i < r->n_inputs; i++) {
		strbuf_cstr(out, i ? "," : ",\"inputs\":[");
		write_input(o, &r->inputs[i], out);
	}
	strbuf_cstr(out, r->n_inputs ? "]}" : "}");
}

/* Links in an order of their own, so that records can be compared. */
static int by_link(const void *a, const void *b, void *c)
{
	return link_cmp(c, a, b);
}

void buildkit_config_encode(const struct buildkit_config *c, struct strbuf *out)
{
	cleanup_arena struct arena *a = arena_new();
	struct order o = { .c = c };

	for (size_t i = 0; i < c->n_records; i++)
		for (size_t k = 0; k < c->records[i].n_inputs; k++)
			qsort_r(c->records[i].inputs[k].links, c->records[i].inputs[k].n,
			        sizeof(struct buildkit_link), by_link, (void *)(uintptr_t)c);
	o.layers = sorted(a, c, c->n_layers, by_layer, &o.layer_place);
	o.records = sorted(a, c, c->n_records, by_record, &o.record_place);
	strbuf_cstr(out, "{\"layers\":[");
	for (size_t i = 0; i < c->n_layers; i++) {
		if (i)
			strbuf_char(out, ',');
		write_layer(&o, &c->layers[o.layers[i]], out);
	}
	strbuf_cstr(out, "],\"records\":[");
	for (size_t i = 0; i < c->n_records; i++) {
		if (i)
			strbuf_char(out, ',');
		write_record(&o, &c->records[o.records[i]], out);
	}
	strbuf_cstr(out, "]}");
}
