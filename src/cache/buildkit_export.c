#include "buildkit_export.h"

#include "buildkit_match.h"
#include "util/clock.h"
#include "util/map.h"

/* Records that an operation got. */
struct op_records {
	uint32_t *ptr;
	size_t n;
};

struct exporter {
	struct arena *a;
	VEC(struct buildkit_layer) layers;
	VEC(struct buildkit_export_layer) blobs; /* of the same numbers */
	VEC(struct buildkit_record) records;
	struct map layer_at; /* blob and parent -> number + 1 */
	struct map root_at;  /* digest of a record without inputs -> number + 1 */
	struct map ops;      /* address of an operation -> struct op_records * */
	const struct buildkit_export_step *steps;
};

/* --- layers ------------------------------------------------------------------------ */

static void *number(size_t n)
{
	return (void *)(uintptr_t)(n + 1); /* NOLINT(performance-no-int-to-ptr) */
}

/* The layer on its parent; the same one twice is one. */
static int64_t add_layer(struct exporter *x, const struct buildkit_export_layer *l, int64_t parent)
{
	char key[DIGEST_LEN + sizeof(parent)];
	void *at;

	memcpy(key, l->blob.digest.b, DIGEST_LEN);
	memcpy(key + DIGEST_LEN, &parent, sizeof(parent));
	at = map_get(&x->layer_at, str_n(key, sizeof(key)));
	if (at)
		return (int64_t)(uintptr_t)at - 1;
	(void)map_put(&x->layer_at, str_n(key, sizeof(key)), number(x->layers.len));
	vec_push(&x->blobs, *l);
	vec_push(&x->layers, (struct buildkit_layer){ l->blob.digest, parent });
	return (int64_t)x->layers.len - 1;
}

static void add_result(struct exporter *x, const struct buildkit_export_step *s,
                       struct buildkit_record *r)
{
	struct digest empty = buildkit_empty_layer();
	uint32_t *chain = arena_array(x->a, uint32_t, s->n_layers + 1);
	size_t n = 0;

	for (size_t i = 0; i < s->n_layers; i++)
		if (!digest_eq(&s->layers[i].diff_id, &empty)) {
			chain[n] = (uint32_t)add_layer(x, &s->layers[i],
			                               n ? (int64_t)chain[n - 1] : -1);
			n++;
		}
	if (!n)
		return;
	r->results = arena_new_of(x->a, struct buildkit_result);
	r->n_results = 1;
	*r->results = (struct buildkit_result){ chain, n, true, s->created };
}

/* --- records -------------------------------------------------------------------------- */

static uint32_t add_root(struct exporter *x, const struct digest *d)
{
	str key = str_n((const char *)d->b, DIGEST_LEN);
	void *at = map_get(&x->root_at, key);

	if (at)
		return (uint32_t)(uintptr_t)at - 1;
	(void)map_put(&x->root_at, key, number(x->records.len));
	vec_push(&x->records, (struct buildkit_record){ .digest = *d });
	return (uint32_t)x->records.len - 1;
}

static const struct op_records *add_op(struct exporter *x, const struct buildkit_op *op);

static str op_key(const struct buildkit_op *const *op)
{
	return str_n((const char *)op, sizeof(*op));
}

/* The ways in which an input may be known; n = 0: none is. */
static struct buildkit_input make_input(struct exporter *x, const struct buildkit_dep *dep)
{
	const struct op_records *of = NULL;
	struct buildkit_input in = { 0 };

	if (dep->node && x->steps[dep->node->id].op)
		of = add_op(x, x->steps[dep->node->id].op);
	else if (dep->op)
		of = add_op(x, dep->op);
	in.links = arena_array(x->a, struct buildkit_link,
	                       dep->n_contents + (of ? of->n : 0) * dep->n_selectors + 1);
	for (size_t i = 0; i < dep->n_contents; i++)
		in.links[in.n++].record = add_root(x, &dep->contents[i]);
	for (size_t k = 0; of && k < dep->n_selectors; k++)
		for (size_t i = 0; i < of->n; i++)
			in.links[in.n++] = (struct buildkit_link){ dep->selectors[k], of->ptr[i] };
	return in;
}

/* The records of an operation, made when they are asked for first: one, of an image one for each of
 * its keys. (BuildKit does not expect one result in several records.) None when an input is not
 * known. */
static const struct op_records *add_op(struct exporter *x, const struct buildkit_op *op)
{
	const struct buildkit_export_step *s = op->node ? &x->steps[op->node->id] : NULL;
	struct op_records *r = map_get(&x->ops, op_key(&op));
	struct buildkit_record rec = { .digest = op->forms[0], .n_inputs = op->n_deps };
	bool image = op->node && op->node->kind == GRAPH_BASE;

	if (r)
		return r;
	r = arena_new_of(x->a, struct op_records);
	(void)map_put(&x->ops, op_key(&op), r);
	rec.inputs = arena_array(x->a, struct buildkit_input, op->n_deps + 1);
	for (size_t i = 0; i < op->n_deps; i++) {
		rec.inputs[i] = make_input(x, &op->deps[i]);
		if (!rec.inputs[i].n)
			return r;
	}
	r->ptr = arena_array(x->a, uint32_t, op->n_forms + 1);
	for (size_t i = 0; !op->n_deps && i < (image ? op->n_forms : 1); i++)
		r->ptr[r->n++] = add_root(x, &op->forms[i]);
	if (s && s->n_layers && !image)
		add_result(x, s, op->n_deps ? &rec : &x->records.ptr[r->ptr[0]]);
	if (op->n_deps) {
		r->ptr[r->n++] = (uint32_t)x->records.len;
		vec_push(&x->records, rec);
	}
	return r;
}

void buildkit_export_make(struct arena *a, const struct buildkit_export_step *steps, size_t n,
                          struct buildkit_export *ret)
{
	struct exporter x = { .a = a, .steps = steps };
	struct buildkit_config *c = &ret->config;

	for (size_t i = 0; i < n; i++)
		if (steps[i].op)
			(void)add_op(&x, steps[i].op);
	*c = (struct buildkit_config){ .n_layers = x.layers.len, .n_records = x.records.len };
	c->layers = arena_array(a, struct buildkit_layer, c->n_layers + 1);
	c->records = arena_array(a, struct buildkit_record, c->n_records + 1);
	ret->layers = arena_array(a, struct buildkit_export_layer, c->n_layers + 1);
	if (c->n_layers) {
		memcpy(c->layers, x.layers.ptr, c->n_layers * sizeof(*c->layers));
		memcpy(ret->layers, x.blobs.ptr, c->n_layers * sizeof(*ret->layers));
	}
	if (c->n_records)
		memcpy(c->records, x.records.ptr, c->n_records * sizeof(*c->records));
	vec_free(&x.layers);
	vec_free(&x.blobs);
	vec_free(&x.records);
	map_done(&x.layer_at);
	map_done(&x.root_at);
	map_done(&x.ops);
}

/* --- the manifest ------------------------------------------------------------------------- */

static int by_digest(const void *a, const void *b)
{
	return digest_cmp(&((const struct descriptor *)a)->digest,
	                  &((const struct descriptor *)b)->digest);
}

void buildkit_export_manifest(struct arena *a, const struct buildkit_export *x, str config,
                              bool index, struct manifest *ret)
{
	struct descriptor *list = arena_array(a, struct descriptor, x->config.n_layers + 1);
	struct descriptor own = { .media_type = S(BUILDKIT_CONFIG_MEDIA),
		                  .digest = digest_of(config.ptr, config.len),
		                  .size = config.len };
	size_t n = 0;

	for (size_t i = 0; i < x->config.n_layers; i++) {
		const struct buildkit_export_layer *l = &x->layers[i];
		struct descriptor *d = &list[i];
		char created[CLOCK_TEXT_MAX];

		*d = (struct descriptor){ .media_type = l->blob.media_type,
			                  .digest = l->blob.digest,
			                  .size = l->blob.size };
		image_kvs_set(a, &d->annotations, S("containerd.io/uncompressed"),
		              str_of(digest_text(&l->diff_id).s));
		image_kvs_set(a, &d->annotations, S("buildkit/createdat"),
		              str_of(clock_text(l->created, created)));
	}
	if (x->config.n_layers)
		qsort(list, x->config.n_layers, sizeof(*list), by_digest);
	for (size_t i = 0; i < x->config.n_layers; i++)
		if (!n || !digest_eq(&list[n - 1].digest, &list[i].digest))
			list[n++] = list[i];
	*ret = (struct manifest){ .kind = index ? MANIFEST_INDEX : MANIFEST_IMAGE };
	if (index) {
		list[n++] = own;
		ret->manifests = list;
		ret->n_manifests = n;
	} else {
		ret->config = own;
		ret->layers = list;
		ret->n_layers = n;
	}
}
