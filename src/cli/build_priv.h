/* cli/build_priv.h - private to build_*.c: what a build holds, from its options to its image. */
#ifndef CAIRN_CLI_BUILD_PRIV_H
#define CAIRN_CLI_BUILD_PRIV_H

#include "build_opts.h"
#include "engine/engine.h"
#include "interrupt.h"
#include "store/store.h"
#include "workspace/workspace.h"

/* Everything a build holds, released in one place. */
struct build_run {
	const struct cli_build_opts *o;
	struct cairn_ctx *ctx;
	struct arena *a;
	struct store *store;
	struct pool *pool;
	struct layer_press *press;
	struct progress *progress;
	struct dockerfile *df;
	struct graph *graph;
	struct engine_build *build;
	const char *path; /* of the Dockerfile, as shown */
	struct ignore *ignore;
	struct map build_args, contexts, context_values;
	struct bases *bases;
	struct base_lock *lock; /* digests that base images are pinned to */
	struct graph_opts gopts;
	struct engine_opts eopts;
	struct engine_observer observer;
	struct engine_context context;
	struct outputs_opts oopts;
	struct outputs *outputs;
	int64_t started; /* clock_monotonic() */
	struct interrupt *interrupt;
	int cancel_fd; /* of the interrupt */
};

/* --- build_engine.c: options of the command line as those of graph and engine --- */

/* --build-arg, --build-context, and the variables of the environment that are arguments. */
int build_set_pairs(struct build_run *r, struct cairn_err *err);
int build_set_graph_opts(struct build_run *r, struct cairn_err *err);
int build_set_engine_opts(struct build_run *r, struct cairn_err *err);

#endif
