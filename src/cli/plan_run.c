#include "plan_run.h"

#include "util/fs.h"

#define NET_THREADS  16 /* most of them wait */
#define FILE_THREADS 40 /* the same where nothing is in the memory yet: for the disk */

static void warn(void *ctx, str text)
{
	const struct cairn_ctx *c = ctx;

	(void)fprintf(c->err, "cairn: warning: %.*s\n", STR(text));
}

static bool pinned(void *ctx, const struct reference *ref, struct digest *ret)
{
	const struct digest *d = base_lock_find(ctx, ref);

	if (d)
		*ret = *d;
	return d != NULL;
}

/* What a tag points to now. */
static int look_at_tag(void *ctx, const struct reference *ref, bool *ret_found, struct digest *ret,
                       struct cairn_err *err)
{
	const struct media_type *type = NULL;
	int r = registry_head(registry_session_registry(ctx), ref, ret, &type, err);

	*ret_found = r == 0;
	return r == CAIRN_E_NOT_FOUND ? 0 : r;
}

static int open_caches(struct plan_run *r, struct cairn_err *err)
{
	struct build_caches_opts o = { .envp = r->ctx->envp, .platform = &r->platform };
	struct registry_session_opts so = { 0 };
	struct build_cache_spec *specs = NULL;

	settings_session(r->ctx, true, &so);
	r->net = registry_session_new(&so);
	TRY(build_caches_configured(r->ctx->config, r->a, &specs, &o.n, err));
	o.specs = specs;
	o.net = r->net;
	return build_caches_open(&o, &r->caches, err);
}

static void open_bases(struct plan_run *r)
{
	struct base_opts o = { .store = r->ctx->store,
		               .pool = r->pool,
		               .pinned = pinned,
		               .pinned_ctx = r->lock,
		               .cancel_fd = -1,
		               .warn = warn,
		               .ctx = r->ctx };

	settings_session(r->ctx, true, &o.net);
	r->bases = bases_new(&o);
}

static int make_plan(struct plan_run *r, const struct plan_cmd_opts *co,
                     const struct ws_image_list *selected, struct cairn_err *err)
{
	struct plan_opts o = { .images = r->images,
		               .selected = selected->ptr,
		               .n_selected = selected->len,
		               .root = r->ctx->config->root,
		               .store = r->ctx->store,
		               .pool = r->pool,
		               .net = r->net_pool,
		               .envp = r->ctx->envp,
		               .remotes = r->caches->remotes,
		               .n_remotes = r->caches->n,
		               .steps = co->git,
		               .git = co->git,
		               .base = co->base,
		               .pushed = co->pushed,
		               .resolve_base = base_resolve,
		               .prefetch_bases = base_prefetch,
		               .ctx = r->bases,
		               .tag = look_at_tag,
		               .tag_ctx = r->net,
		               .warn = warn,
		               .warn_ctx = r->ctx };

	/* As `cairn build` without options has it. */
	o.env.network = r->ctx->config->sandbox_network == WORKSPACE_NETWORK_NONE ? GRAPH_NET_NONE
	                                                                          : GRAPH_NET_HOST;
	return plan_make(&o, &r->plan, err);
}

int plan_run(struct plan_run *r, struct cairn_ctx *ctx, const struct plan_cmd_opts *o,
             const char *const *words, size_t n, struct cairn_err *err)
{
	struct images_opts io = { .bake = o->bake };
	struct ws_image_list selected = { 0 };

	*r = (struct plan_run){ .ctx = ctx, .a = arena_new(), .platform = platform_host() };
	TRY(settings_load(ctx, o->config, ".", err));
	TRY(base_lock_read(arena_cstr(r->a, ctx->config->base.lock), &r->lock, err));
	r->pool = pool_new(FILE_THREADS);
	io.config = ctx->config;
	io.pool = r->pool;
	TRY(images_load(&io, &r->images, err));
	vec_foreach (w, &r->images->warnings)
		warn(ctx, *w);
	TRY(images_select(r->images, words, n, true, r->a, &selected, err));
	r->net_pool = pool_new(NET_THREADS);
	TRY(open_caches(r, err));
	open_bases(r);
	return make_plan(r, o, &selected, err);
}

int plan_run_caches(struct plan_run *r, struct cairn_ctx *ctx, struct cairn_err *err)
{
	*r = (struct plan_run){ .ctx = ctx, .a = arena_new(), .platform = platform_host() };
	r->net_pool = pool_new(NET_THREADS);
	return open_caches(r, err);
}

void plan_run_done(struct plan_run *r)
{
	plan_free(r->plan);
	images_free(r->images);
	build_caches_free(r->caches);
	bases_free(r->bases);
	registry_session_free(r->net);
	base_lock_free(r->lock);
	pool_free(r->net_pool);
	pool_free(r->pool);
	arena_free(r->a);
}
