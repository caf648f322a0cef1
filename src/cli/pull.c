#include "pull.h"

#include <sys/sysinfo.h>

#include "background_sync.h"
#include "engine/engine.h"
#include "settings.h"
#include "transfer.h"
#include "util/pool.h"

#define PARALLEL 4 /* images at once; each fetches a few layers at once */

/* An image that is pulled. base_fetch() wants a step of a graph. */
struct pulling {
	struct reference ref;
	struct graph_base base;
	struct graph_stage stage;
	struct graph_node node;
	struct base_progress seen; /* how far it was when it was last looked at */
};

struct pull {
	struct cairn_ctx *ctx;
	const struct pull_request *request;
	struct transfer *transfer;
	struct arena *arena;
	struct pool *work, *fetches; /* for unpacking; for waiting */
	struct bases *bases;
	struct pulling *images;
};

static void warn(void *ctx, str text)
{
	const struct pull *p = ctx;

	(void)fprintf(p->ctx->err, "cairn: warning: %.*s\n", STR(text));
}

/* --- what the registry has ----------------------------------------------------- */

static int resolve(struct pull *p, size_t i, struct cairn_err *err)
{
	struct pulling *im = &p->images[i];
	char text[REFERENCE_TEXT_MAX];
	str ref;

	TRY(transfer_reference(p->request->names[i], &im->ref, err));
	ref = arena_str(p->arena, str_of(reference_text(&im->ref, text)));
	TRY(base_resolve(p->bases, p->arena, ref, p->request->platform, &im->base, err));
	im->stage.platform = *p->request->platform;
	im->node = (struct graph_node){ .kind = GRAPH_BASE,
		                        .stage = &im->stage,
		                        .base = { .ref = im->base.ref,
		                                  .config = im->base.config,
		                                  .config_digest = im->base.config_digest } };
	return 0;
}

/* --- its layers --------------------------------------------------------------------- */

static int fetch(void *ctx, size_t i, struct cairn_err *err)
{
	struct pull *p = ctx;

	return base_fetch(p->bases, &p->images[i].node, err);
}

static int fetch_all(void *ctx, struct cairn_err *err)
{
	struct pull *p = ctx;

	return pool_map(p->fetches, p->request->n, fetch, p, err);
}

static void look(void *ctx, uint64_t *ret_total, uint64_t *ret_done)
{
	struct pull *p = ctx;

	*ret_total = *ret_done = 0;
	for (size_t i = 0; i < p->request->n; i++) {
		struct pulling *im = &p->images[i];
		struct base_progress now = { 0 };

		if (base_fetch_progress(p->bases, &im->node, &now))
			im->seen = now;
		else if (im->seen.total)
			im->seen.current = im->seen.total;
		*ret_total += im->seen.total;
		*ret_done += im->seen.current;
	}
}

static void stop(void *ctx)
{
	struct pull *p = ctx;

	base_fetch_stop(p->bases);
}

/* --- the whole ------------------------------------------------------------------------ */

static void tell(struct pull *p, size_t i, struct pulled *ret)
{
	const struct pulling *im = &p->images[i];
	struct cairn_err ignored;
	bool found = false;

	*ret = (struct pulled){ .ref = im->ref,
		                .id = im->base.config_digest,
		                .platform = im->base.config->platform,
		                .moved = im->seen.total };
	if (store_manifest_find(p->ctx->store, &ret->id, S(BASE_MANIFEST), &ret->manifest, &found,
	                        &ignored) < 0 ||
	    !found)
		ret->manifest = (struct digest){ 0 };
	(void)transfer_summary(p->transfer, ret->moved, ret->summary);
}

static int pull(struct pull *p, struct cairn_err *err)
{
	struct transfer_work work = { .run = fetch_all, .look = look, .stop = stop, .ctx = p };
	struct base_opts bo = { .store = p->ctx->store,
		                .pool = p->work,
		                .pull = true,
		                .tag_later = true,
		                .cancel_fd = transfer_cancel_fd(p->transfer),
		                .warn = warn,
		                .ctx = p };

	settings_session(p->ctx, true, &bo.net);
	p->bases = bases_new(&bo);
	for (size_t i = 0; i < p->request->n; i++)
		TRY(resolve(p, i, err));
	TRY(transfer_run(p->transfer, &work, err));
	for (size_t i = 0; i < p->request->n; i++)
		TRY(base_tag(p->bases, p->images[i].base.ref, p->request->platform, err));
	return 0;
}

int pull_images(struct cairn_ctx *ctx, const struct pull_request *request, struct arena *a,
                struct pulled *ret, struct cairn_err *err)
{
	cleanup_transfer struct transfer *t = NULL;
	cleanup_free char *what =
		xasprintf("pulling %s%s", request->names[0], request->n > 1 ? ", ..." : "");
	struct pull p = { .ctx = ctx, .request = request, .arena = a };
	int rc;

	TRY(transfer_new(ctx, what, request->quiet, &t, err));
	p.transfer = t;
	p.images = arena_array(a, struct pulling, request->n);
	p.work = pool_new((unsigned)get_nprocs());
	p.fetches = pool_new(PARALLEL);
	rc = pull(&p, err);
	for (size_t i = 0; rc == 0 && i < request->n; i++)
		tell(&p, i, &ret[i]);
	pool_free(p.fetches);
	bases_free(p.bases);
	pool_free(p.work);
	background_sync_start(ctx->home);
	return rc;
}
