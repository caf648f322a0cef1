/* cairn build: what caches know about base images, for runners that do not reach their registries.
 */
#include "build_asked.h"
#include "build_cache.h"
#include "build_priv.h"
#include "util/clock.h"
#include "util/pool.h"

/* --- asking ---------------------------------------------------------------------- */

static int look(void *ctx, struct cairn_err *err)
{
	return remote_inline_look(ctx, err);
}

void build_bases_foresee(void *ctx, str ref, const struct platform *platform)
{
	struct build_run *r = ctx;
	struct digest name = base_fact_name(ref, platform);

	for (size_t i = 0; !r->foreseen && r->caches && i < r->caches->n_images; i++)
		pool_add(build_remote_teller(r),
		         (struct pool_task){ .run = look, .ctx = r->caches->images[i] });
	r->foreseen = true;
	for (size_t i = 0; r->caches && i < r->caches->n; i++)
		build_asked_begin(r, r->caches->remotes[i], &name);
}

bool build_bases_recall(void *ctx, str ref, const struct platform *platform, int64_t patience,
                        struct arena *a, struct base_fact *ret)
{
	struct build_run *r = ctx;
	struct digest name = base_fact_name(ref, platform);

	for (size_t i = 0; r->caches && i < r->caches->n; i++) {
		const struct asked_pointer *p =
			build_asked_get(r, r->caches->remotes[i], &name, patience);
		struct cairn_err ignored;

		if (p && p->result == 0 && p->found &&
		    base_fact_decode(strbuf_view(&p->text), a, ret, &ignored) == 0)
			return true;
	}
	return false;
}

/* --- telling ----------------------------------------------------------------------- */

/* A fact on its way into one remote. */
struct telling {
	struct build_run *r;
	struct remote *remote;
	struct digest name;
	struct base_fact fact;
	struct arena *a; /* of this one alone */
};

/* A tag that this machine knew already stands for the manifest, as far as it knows. */
static bool is_known(const struct telling *t, str text)
{
	const struct base_fact *f = &t->fact;
	struct base_fact there = { 0 };
	struct cairn_err ignored;

	if (base_fact_decode(text, t->a, &there, &ignored) < 0 ||
	    !digest_eq(&there.manifest, &f->manifest) || !str_eq(there.config, f->config))
		return false;
	return digest_eq(&there.index, &f->index) || digest_eq(&f->index, &f->manifest);
}

static int tell(void *ctx, struct cairn_err *err)
{
	struct telling *t = ctx;
	const struct asked_pointer *there = build_asked_get(t->r, t->remote, &t->name, -1);
	cleanup_strbuf struct strbuf text;
	struct remote_pointer p = { 0 };
	bool lost = false;

	strbuf_init(&text, REMOTE_POINTER_MAX);
	if (!there || there->result < 0 || (there->found && is_known(t, strbuf_view(&there->text))))
		return 0;
	base_fact_encode(&t->fact, &text);
	if (!text.len || text.overflow)
		return 0;
	p.document = strbuf_view(&text);
	p.version = there->version;
	p.look = REMOTE_LOOK_NEVER; /* what others say is as true */
	return remote_pointer_put(t->remote, &t->name, &p, &lost, err);
}

static void free_telling(void *ctx)
{
	struct telling *t = ctx;

	arena_free(t->a);
	free(t);
}

static void told(void *ctx, int result, const struct cairn_err *err)
{
	(void)result; /* what matters of a cache that fails is told by who publishes */
	(void)err;
	free_telling(ctx);
}

static void start(struct build_run *r, const struct graph_node *n, str config)
{
	for (size_t i = 0; i < r->caches->n_targets; i++) {
		struct telling *t = xcalloc(1, sizeof(*t));

		t->a = arena_new();
		t->r = r;
		t->remote = r->caches->targets[i].remote;
		t->name = base_fact_name(n->base.ref, &n->stage->platform);
		t->fact = (struct base_fact){ .seen = clock_now(),
			                      .index = n->base.names[0],
			                      .manifest = n->base.names[1],
			                      .config = arena_str(t->a, config) };
		if (digest_none(&t->fact.index))
			t->fact.index = t->fact.manifest;
		build_asked_begin(r, t->remote, &t->name);
		pool_add(build_remote_teller(r), (struct pool_task){ tell, told, t, free_telling });
	}
}

void build_bases_tell(struct build_run *r)
{
	for (size_t i = 0; i < r->graph->n_nodes; i++) {
		const struct graph_node *n = r->graph->nodes[i];
		cleanup_strbuf struct strbuf config;
		struct cairn_err ignored;

		strbuf_init(&config, IMAGE_CONFIG_MAX);
		if (n->kind != GRAPH_BASE || !n->base.ref.len || digest_none(&n->base.names[1]))
			continue;
		if (store_blob_read(r->store, &n->base.config_digest, &config, &ignored) == 0)
			start(r, n, strbuf_view(&config));
	}
}
