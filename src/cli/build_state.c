#include "build_state.h"

#include "build_asked.h"
#include "build_cache.h"
#include "build_priv.h"
#include "ctx.h"
#include "util/clock.h"
#include "util/pool.h"

#define FRESH_NS (2 * CLOCK_SEC) /* what was heard since then is what is there */

/* The commit that CI says it builds; nobody is asked for it. */
static str commit_of(char *const *envp)
{
	static const char *const names[] = { "CAIRN_COMMIT", "GITHUB_SHA",
		                             "CODEBUILD_RESOLVED_SOURCE_VERSION" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (ctx_env(envp, names[i]))
			return str_of(ctx_env(envp, names[i]));
	return S("");
}

/* "registry.example/path" of the first push. */
static str pushed_to(const struct build_run *r)
{
	for (size_t i = 0; i < r->oopts.n; i++) {
		const struct output *o = &r->oopts.outputs[i];
		char name[REFERENCE_TEXT_MAX];
		struct cairn_err ignored;
		struct reference ref;

		if (o->type == OUTPUT_REGISTRY && o->n_names &&
		    reference_parse(str_of(o->names[0]), &ref, &ignored) == 0)
			return str_of(arena_cstr(r->a, str_of(reference_name(&ref, name))));
	}
	return S("");
}

/* Images that were made here are known by their inputs in what stands on them. */
static int identities(const struct build_run *r, struct digest **ret, struct cairn_err *err)
{
	const struct graph *g = r->graph;
	struct digest *ids = arena_array(r->a, struct digest, g->n_nodes);

	for (size_t i = 0; i < g->n_nodes; i++) {
		struct digest input;

		if (g->nodes[i]->kind != GRAPH_BASE ||
		    digest_none(&g->nodes[i]->base.config_digest))
			continue;
		TRY(plan_state_input(r->store, &g->nodes[i]->base.config_digest, &input, err));
		if (!digest_none(&input))
			ids[i] = define_identity(&input);
	}
	*ret = ids;
	return 0;
}

/* --- on other machines ------------------------------------------------------------------ */

struct publishing {
	struct build_run *r;
	struct remote *remote;
	struct digest key;
	struct plan_known now; /* texts in the build's arena */
};

/* Does it say that there already, as far as plan_state_publish() is concerned? */
static bool says_so(const struct plan_state_there *there, const struct plan_known *now)
{
	cleanup_arena struct arena *a = arena_new();
	struct plan_known old = { 0 };
	struct cairn_err ignored;

	return there->found && plan_known_decode(there->text, a, &old, &ignored) == 0 &&
	       plan_known_same(&old, now);
}

/* What was heard a while ago is only believed when there is nothing to be written. */
static int publish(void *ctx, struct cairn_err *err)
{
	const struct publishing *p = ctx;
	struct digest name = plan_state_name(&p->key);
	const struct asked_pointer *heard = build_asked_get(p->r, p->remote, &name, -1);
	struct plan_state_there there = { 0 };

	if (!heard || heard->result < 0)
		return plan_state_publish(p->remote, &p->key, &p->now, NULL, err);
	there = (struct plan_state_there){ heard->found, strbuf_view(&heard->text),
		                           heard->version };
	if (clock_monotonic() - heard->when > FRESH_NS && !says_so(&there, &p->now))
		return plan_state_publish(p->remote, &p->key, &p->now, NULL, err);
	return plan_state_publish(p->remote, &p->key, &p->now, &there, err);
}

/* Of one that does not answer the user has been told. */
static void published(void *ctx, int result, const struct cairn_err *err)
{
	const struct publishing *p = ctx;

	if (result < 0 && !remote_told(p->remote, err))
		build_state_warn(p->r, err);
}

static void start(struct build_run *r, struct remote *remote, const struct digest *key,
                  const struct plan_known *now)
{
	struct publishing *p = arena_new_of(r->a, struct publishing);

	*p = (struct publishing){ r, remote, *key, *now };
	pool_add(build_remote_teller(r), (struct pool_task){ publish, published, p, NULL });
}

void build_state_warn(struct build_run *r, const struct cairn_err *why)
{
	build_run_warn(r, str_of(arena_printf(r->a, "'cairn plan' will not know of this build: %s",
	                                      why->msg)));
}

void build_state_ask(void *ctx, const struct engine_build *b)
{
	struct build_run *r = ctx;
	struct plan_opts here = { .store = r->store };
	struct plan_known old = { 0 };
	struct digest *ids = NULL;
	struct cairn_err ignored;
	struct digest key, name;
	str none;

	if (r->explain || store_read_only(r->store) || !r->caches || !r->caches->n_targets ||
	    identities(r, &ids, &ignored) < 0)
		return;
	key = engine_input(b, ids);
	name = plan_state_name(&key);
	if (plan_state_find(&here, &key, 1, r->a, &old, &none, &ignored) < 0 || old.time)
		return;
	for (size_t i = 0; i < r->caches->n_targets; i++)
		build_asked_begin(r, r->caches->targets[i].remote, &name);
}

/* --- all of it --------------------------------------------------------------------------- */

int build_state_keep(struct build_run *r, const struct engine_image *im,
                     const struct outputs_result *made, struct cairn_err *err)
{
	struct plan_known now = { .config = im->config_digest,
		                  .repository = pushed_to(r),
		                  .time = clock_now(),
		                  .commit = commit_of(r->ctx->envp) };
	struct plan_opts here = { .store = r->store };
	struct plan_known old = { 0 };
	struct digest *ids = NULL;
	struct digest key;
	str none;

	if (store_read_only(r->store))
		return 0;
	if (now.repository.len && made->has_manifest)
		now.manifest = made->manifest.digest;
	else
		now.repository = S("");
	TRY(identities(r, &ids, err));
	key = engine_input(r->build, ids);
	TRY(plan_state_find(&here, &key, 1, r->a, &old, &none, err));
	if (plan_known_same(&old, &now))
		return 0;
	TRY(plan_state_put(r->store, &key, &now, err));
	for (size_t i = 0; r->caches && i < r->caches->n_targets; i++)
		if (remote_ready(r->caches->targets[i].remote))
			start(r, r->caches->targets[i].remote, &key, &now);
	return 0;
}
