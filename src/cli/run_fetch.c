#include "run_fetch.h"

#include <pthread.h>
#include <signal.h>
#include <sys/sysinfo.h>

#include "ctx.h"
#include "engine/engine.h"
#include "transfer.h"
#include "util/pool.h"

/* What is brought, and who does it. */
struct bringing {
	struct supply *supply;
	const struct chain *chain;
	struct transfer *transfer;
};

/* Layers whose times were limited have their files in another one's: they are made here. */
static int make_clamped(struct store *s, const struct store_image *im, struct arena *a,
                        struct cairn_err *err)
{
	const struct unpacked u = { s, NULL, im->diff_ids, im->n_layers };
	bool *clamped = arena_array(a, bool, im->n_layers + 1);
	char **dirs = NULL;
	bool any = false;

	for (size_t i = 0; i < im->n_layers; i++) {
		struct digest origin;

		TRY(clamp_origin(s, &im->diff_ids[i], &origin, &clamped[i], err));
		any |= clamped[i];
	}
	return any ? unpacked_dirs_of(&u, clamped, a, &dirs, err) : 0;
}

static int all_here(struct store *s, const struct store_image *im, struct arena *a, bool *ret,
                    struct cairn_err *err)
{
	*ret = true;
	for (size_t i = 0; i < im->n_layers && *ret; i++) {
		const struct unpacked upto = { s, NULL, im->diff_ids, i + 1 };
		char *dir = NULL;

		TRY(unpacked_dir_find(&upto, a, &dir, err));
		*ret = dir != NULL;
	}
	return 0;
}

static struct chain *chain_of(const struct store_image *im, struct arena *a)
{
	struct chain *c = arena_new_of(a, struct chain);

	c->n = im->n_layers;
	c->layers = arena_array(a, struct chain_layer, im->n_layers + 1);
	for (size_t i = 0; i < im->n_layers; i++)
		c->layers[i].diff_id = im->diff_ids[i];
	return c;
}

static struct registry *registry(void *ctx)
{
	return transfer_registry(((const struct bringing *)ctx)->transfer);
}

static int bring(void *ctx, struct cairn_err *err)
{
	struct bringing *b = ctx;

	return supply_fetch(b->supply, b->chain, SUPPLY_FILES, NULL, err);
}

static void look(void *ctx, uint64_t *ret_total, uint64_t *ret_done)
{
	const struct bringing *b = ctx;
	struct supply_progress p;

	supply_progress(b->supply, &p);
	*ret_total = p.total;
	*ret_done = p.done;
}

static void stop(void *ctx)
{
	supply_stop(((const struct bringing *)ctx)->supply);
}

/* The command that runs next has its signals as they were. */
static int transfer(struct cairn_ctx *ctx, const char *name, struct bringing *b,
                    struct cairn_err *err)
{
	const struct transfer_work work = { bring, look, stop, b };
	cleanup_free char *what = xasprintf("fetching %s", name);
	sigset_t was;
	int r;

	(void)pthread_sigmask(SIG_SETMASK, NULL, &was);
	r = transfer_new(ctx, what, false, &b->transfer, err);
	if (r == 0)
		r = transfer_run(b->transfer, &work, err);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	return r;
}

int run_fetch(struct cairn_ctx *ctx, const struct store_image *im, const char *name,
              struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct bringing b = { .chain = chain_of(im, a) };
	struct pool *pool;
	bool here = false;
	int r;

	TRY(all_here(ctx->store, im, a, &here, err));
	if (!here)
		TRY(make_clamped(ctx->store, im, a, err));
	if (!here)
		TRY(all_here(ctx->store, im, a, &here, err));
	if (here)
		return 0;
	pool = pool_new((unsigned)get_nprocs());
	b.supply = supply_new(&(struct supply_opts){ .store = ctx->store,
	                                             .pool = pool,
	                                             .registry = registry,
	                                             .registry_ctx = &b,
	                                             .cancel_fd = -1 });
	r = transfer(ctx, name, &b, err);
	if (r == CAIRN_E_NOT_FOUND)
		(void)cairn_wrap(err,
		                 "the files of '%s' are not in the store; build it again with -t "
		                 "and the --cache-from that it came from, or pull it",
		                 name);
	supply_free(b.supply);
	transfer_free(b.transfer);
	pool_free(pool);
	return r;
}
