/* cli/plan_run.h - what `cairn plan` and `cairn up` share: the images of the workspace and a plan.
 */
#ifndef CAIRN_CLI_PLAN_RUN_H
#define CAIRN_CLI_PLAN_RUN_H

#include "build_cache.h"
#include "settings.h"
#include "workspace/workspace.h"

/* The row of an option table for --bake; the field is a const char *. */
#define PLAN_BAKE_OPTION(T, field)                                                        \
	{                                                                                 \
		"bake", 0, OPT_STRING(T, field),                                          \
			.arg = "FILE", .hint = CLI_HINT_FILE,                             \
			.help = "Read the images from docker-bake.json or a compose file" \
	}

struct plan_cmd_opts {
	const char *config; /* --config */
	const char *bake;   /* --bake */
	bool git;           /* git is asked what changed, steps are predicted */
	const char *base;   /* --base; NULL: found out */
	bool pushed;        /* images have to be in their registries */
};

/* Release with plan_run_done(), also after a failure. */
struct plan_run {
	struct cairn_ctx *ctx;
	struct arena *a;
	struct pool *pool, *net_pool;
	struct base_lock *lock;
	struct bases *bases;
	struct registry_session *net;
	struct build_caches *caches;
	struct platform platform;
	struct ws_images *images;
	struct plan *plan;
};

/* Find the images that words mean (none: all, with what they stand on) and plan them. ctx->store is
 * there. Fails as images_load(), images_select() and plan_make(). */
int plan_run(struct plan_run *r, struct cairn_ctx *ctx, const struct plan_cmd_opts *o,
             const char *const *words, size_t n, struct cairn_err *err);
/* Only open the caches of cairn.yaml, which is loaded: a, net, net_pool, caches. */
int plan_run_caches(struct plan_run *r, struct cairn_ctx *ctx, struct cairn_err *err);
void plan_run_done(struct plan_run *r);
#define cleanup_plan_run __attribute__((cleanup(plan_run_done)))

#endif
