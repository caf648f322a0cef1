/* The image at the end: config, history, times. */
#include "step.h"

struct assembly {
	struct image_config *config;
	const struct chain *chain;
	size_t next_layer;
	VEC(struct image_history) pending; /* metadata lines that wait for the next layer's time */
};

static void add_line(struct assembly *a, const struct image_history *h)
{
	image_config_history_add(a->config, h);
}

/* Lines without a layer were "created" with the layer after them, else with the one
 * before (DECISIONS.md 16, as BuildKit). */
static void flush(struct assembly *a, int64_t created)
{
	vec_foreach (h, &a->pending) {
		h->created = (struct image_time){ true, created };
		add_line(a, h);
	}
	a->pending.len = 0;
}

static void add_history(struct assembly *a, const struct graph_stage *stage)
{
	if (stage->from)
		add_history(a, stage->from);
	for (size_t i = 0; i < stage->n_history; i++) {
		const struct graph_history *g = &stage->history[i];
		struct image_history h = { .created_by = g->created_by,
			                   .comment = S("buildkit.dockerfile.v0"),
			                   .empty_layer = g->node == NULL };

		if (!g->node) {
			vec_push(&a->pending, h);
			continue;
		}
		if (a->next_layer >= a->chain->n)
			CAIRN_BUG("more steps than layers");
		h.created = (struct image_time){ true, a->chain->layers[a->next_layer].created };
		flush(a, h.created.ns);
		add_line(a, &h);
		a->next_layer++;
	}
}

static const struct graph_node *base_of(const struct graph_stage *stage)
{
	while (stage->from)
		stage = stage->from;
	return stage->base;
}

static int64_t last_created(const struct assembly *a)
{
	const struct image_config *c = a->config;

	for (size_t i = c->n_history; i-- > 0;)
		if (c->history[i].created.set)
			return c->history[i].created.ns;
	return a->chain->n ? a->chain->layers[a->chain->n - 1].created : 0;
}

static void assemble(struct engine_build *b, struct assembly *a)
{
	const struct graph_stage *stage = b->opts->graph->target;
	const struct image_config *base = base_of(stage)->base.config;

	image_config_copy(b->arena, stage->config, a->config);
	for (size_t i = 0; i < base->n_history; i++)
		add_line(a, &base->history[i]);
	a->next_layer = base->n_diff_ids;
	add_history(a, stage);
	flush(a, last_created(a));
	if (a->next_layer != a->chain->n)
		CAIRN_BUG("%zu layers for %zu steps", a->chain->n, a->next_layer);
	for (size_t i = 0; i < a->chain->n; i++)
		image_config_layer_add(a->config, &a->chain->layers[i].diff_id);
	a->config->created = (struct image_time){ true, last_created(a) };
}

int engine_image_register(struct store *s, const struct engine_image *im, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct digest *ids = arena_array(a, struct digest, im->chain->n);
	char platform[PLATFORM_TEXT_MAX];
	struct store_image si = { .config = im->config_digest,
		                  .platform = arena_cstr(
					  a, str_of(platform_text(&im->platform, platform))),
		                  .created = im->created,
		                  .diff_ids = ids,
		                  .n_layers = im->chain->n };

	for (size_t i = 0; i < im->chain->n; i++)
		ids[i] = im->chain->layers[i].diff_id;
	if (store_read_only(s))
		return 0;
	TRY(store_blob_put(s, im->config, NULL, err));
	return store_image_put(s, &si, err);
}

int result_image(struct engine_build *b, struct engine_image *ret, struct cairn_err *err)
{
	struct assembly a = { .config = arena_new_of(b->arena, struct image_config),
		              .chain = b->target->chain };
	struct engine_image im = { .chain = a.chain, .platform = b->opts->graph->target->platform };
	struct strbuf text;

	assemble(b, &a);
	vec_free(&a.pending);
	strbuf_init(&text, IMAGE_CONFIG_MAX);
	image_config_encode(a.config, &text);
	im.config = arena_str(b->arena, strbuf_view(&text));
	strbuf_done(&text);
	im.config_digest = digest_of(im.config.ptr, im.config.len);
	im.created = a.config->created.ns;
	im.n_steps = (unsigned)b->n;
	for (size_t i = 0; i < b->n; i++)
		im.n_cached += !b->steps[i].needed || b->steps[i].hit;
	im.n_base_history = base_of(b->opts->graph->target)->base.config->n_history;
	if (!b->opts->unregistered)
		TRY(engine_image_register(b->opts->store, &im, err));
	if (b->opts->supply && !store_read_only(b->opts->store)) {
		supply_keep_places(b->opts->supply, im.chain);
		lookup_keep(b);
	}
	*ret = im;
	return 0;
}
