/* cli/ci_run.h - carry a plan out, each image on the machine that it is routed to.
 *
 * An image waits until those it stands on are built and its runner has a place; then it is
 * attempted (ci/driver.h).  What follows an attempt that ended badly says route/fallback.h: the
 * same runner again, after a wait, or another one.  Requests run in threads; everything else in the
 * main one, in one loop.
 *
 * Each attempt elsewhere is recorded in this machine's history; local builds record themselves.
 */
#ifndef CAIRN_CLI_CI_RUN_H
#define CAIRN_CLI_CI_RUN_H

#include "ci/ci.h"
#include "interrupt.h"
#include "plan_route.h"
#include "plan_run.h"
#include "util/pool.h"

struct ci_opts {
	const char *config; /* --config */
	bool push;          /* of local builds */
	bool quiet;         /* only what fails is told */
	bool logs;          /* show what builds print */
	uint64_t poll_ns;   /* how soon a build elsewhere is looked at again; grows as it runs */
	uint64_t back_off;  /* ns: the first wait for a runner that is at its limit */
};

enum ci_state {
	CI_UNCHANGED, /* nothing was to be done */
	CI_WAITING,   /* for others, for a place, or for a time */
	CI_STARTING,
	CI_QUEUED, /* the runner has taken it, no machine is there yet */
	CI_RUNNING,
	CI_STOPPING,
	CI_BUILT,
	CI_RETAGGED,
	CI_FAILED,
	CI_BLOCKED, /* an image it stands on was not built */
	CI_STOPPED, /* by a signal */
	CI_STATES_,
};

/* A request that is under way. */
enum ci_call {
	CI_CALL_NONE,
	CI_CALL_START,
	CI_CALL_LOOK,
	CI_CALL_STOP,
};

struct ci_attempt {
	struct driver_task task;
	str id, url; /* the service's; "" = it was not started */
	enum history_outcome outcome;
	str why;
	uint64_t queue_ns, wall_ns;
	uint64_t cost; /* 1e-6 USD */
	int64_t time;  /* ns since 1970, when it was asked for */
	int64_t asked; /* monotonic, likewise */
	int64_t ran;   /* monotonic, when a machine was there; 0 = never */
};

struct ci_image {
	struct ci *c;
	const struct plan_image *plan;
	const struct route_work *work; /* NULL: nothing is to be built */
	struct route_option expected;  /* of `runner` */
	enum ci_state state;
	str why; /* of FAILED, BLOCKED; of WAITING, what it waits for */
	VEC(struct ci_attempt *) attempts;
	struct fallback_state fallback;
	VEC(const struct runner *) avoid; /* runners that were down */
	const struct runner *runner;      /* of the next attempt; NULL = to be chosen */
	str moved;                        /* why the next attempt is not the first */
	int64_t not_before;               /* monotonic; of the next attempt */
	struct driver_run *run;           /* of the present attempt; NULL = not started */
	int64_t next_look;                /* monotonic */
	unsigned looks, lost; /* of this attempt; looks that failed, one after the other */
	bool given_up;        /* so many that it is asked to stop, and counts as gone */
	int64_t stop_by;      /* monotonic: STOPPING ends */
	bool stop_sent;
	enum ci_call call;
	char detail[48]; /* the service's word for where it is */
	/* Of the call that is under way: its thread's, until it is collected. */
	struct driver_state found;
	struct strbuf log;
};

struct ci_view;

/* Release with ci_run_done(), also after a failure. */
struct ci {
	struct plan_run *plan;
	const struct ci_opts *opts;
	struct plan_route *route;
	struct driver_env env;
	struct interrupt *interrupt; /* borrowed */
	struct ci_view *view;
	struct pool *pool;
	struct http_client *http, *http_polls;
	struct github github, github_polls;
	atomic_bool cancel;   /* looks that are under way */
	struct ci_image *ptr; /* as in the plan */
	size_t len;
	size_t n[CI_STATES_];
	bool stopping;
	bool denied; /* credentials failed */
	bool pushed; /* it is known, or was told, whether the commit is */
};

/* Route the plan and get ready; nothing is started. Fails as plan_route_make(). */
int ci_run_prepare(struct ci *c, struct plan_run *plan, const struct ci_opts *o,
                   struct cairn_err *err);

/* Carry it out; what becomes of each image is in c->ptr. Succeeds also when images fail. Fails with
 * CAIRN_E_CANCELLED after a signal, when what was started was asked to stop. */
int ci_run(struct ci *c, struct interrupt *in, struct cairn_err *err);

/* Print what ci_run() would send first for each image, and start nothing. */
int ci_run_dry(struct ci *c, FILE *out, struct cairn_err *err);

void ci_run_done(struct ci *c);
#define cleanup_ci __attribute__((cleanup(ci_run_done)))

/* --- its parts -------------------------------------------------------------------------- */

/* ci_route.c: set i->runner and i->expected for the next attempt. False: nobody can, i->why says
 * so. */
bool ci_choose(struct ci *c, struct ci_image *i);

/* ci_attempt.c: a new attempt on i->runner, not started. */
struct ci_attempt *ci_attempt_new(struct ci *c, struct ci_image *i);
/* It has ended: times, cost, and a record for predictions. */
void ci_attempt_end(struct ci *c, struct ci_image *i, enum history_outcome outcome, str why);

/* ci_source.c: what of the repository is built elsewhere; from CI's variables, else from git. */
void ci_source(struct ci *c);
/* Warn when the image that is about to be built elsewhere will not be what is here: files of it
 * are not as in the commit, or the commit is on no branch of a remote. */
void ci_source_warn(struct ci *c, const struct ci_image *i);

/* "waiting", ...; static. */
const char *ci_state_name(enum ci_state s);
/* A runner's place is taken. */
bool ci_state_live(enum ci_state s);

#endif
