/* cli/plan_route.h - the machine, the time and the money for each image that a plan builds.
 *
 * Puts together what is measured (this machine), recorded (the history) and declared (cairn.yaml),
 * and asks route/ for its answer; `cairn plan`, `cairn up` and `cairn ci run` share it. A history
 * that cannot be read is no failure: priors do, and `note` says so.
 */
#ifndef CAIRN_CLI_PLAN_ROUTE_H
#define CAIRN_CLI_PLAN_ROUTE_H

#include "cache/cache.h"
#include "history/history.h"
#include "machine.h"
#include "route/route.h"
#include "util/pool.h"
#include "workspace/workspace.h"

/* All is borrowed until plan_route_make() returns, but plan, which outlives what is made. */
struct plan_route_opts {
	const struct plan *plan;
	const struct workspace_config *config; /* NULL: nothing is declared */
	const char *home;                      /* folder of the store: its history, its disk */
	/* Caches that hold records of other machines, merged into the history; none: it is as it
	 * is. Asked only when an image is to be built. */
	struct remote *const *remotes;
	size_t n_remotes;
	struct pool *net;
	struct route_goal goal; /* drivers: unless no such runner is declared */
};

/* Owned as a whole, plan_route_free(). */
struct plan_route {
	struct arena *a;
	struct runners *runners; /* "local" has the figures of this machine */
	struct predictor *predictor;
	struct route_goal goal;
	str note; /* why the history is not used; "" = it is */

	/* One each for every image that is built and could be planned, in the order of the plan. */
	size_t n;
	const struct plan_image **images;
	struct route_work *works; /* `after` are indexes here */
	struct route_decision *decisions;
	struct schedule schedule; /* the whole batch; slots[i] is of images[i] */
};

/* Route a plan. Fails as runners_load(). Without an image to build nothing is read. */
int plan_route_make(const struct plan_route_opts *o, struct plan_route **ret,
                    struct cairn_err *err);
void plan_route_free(struct plan_route *r); /* NULL is fine */
DEFINE_CLEANUP(struct plan_route *, plan_route_free);
#define cleanup_plan_route __attribute__((cleanup(plan_route_free_p_)))

/* Index of an image in the arrays above; false: it is not built. */
bool plan_route_find(const struct plan_route *r, const struct plan_image *i, size_t *ret);

/* What is not told of the runners of driver "local" is that of this machine: processors, memory
 * that can be had, free disk, architecture. */
void plan_route_local(struct runners *r, const struct host_machine *m);

#endif
