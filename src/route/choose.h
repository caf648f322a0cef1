/* route/choose.h - the machine for an image: cheapest in time, or fastest within the money.
 *
 * Counted beside the price of the minutes: the start of the machine, rounding, re-runs of spot
 * machines that are taken away (finished steps come from the cache: lost is half of the longest
 * step and a start), and the risk that memory runs out (a second build).
 */
#ifndef CAIRN_ROUTE_CHOOSE_H
#define CAIRN_ROUTE_CHOOSE_H

#include "predict.h"

/* What is wanted. */
enum route_aim {
	ROUTE_CHEAP, /* least money, within the deadline */
	ROUTE_FAST,  /* least time, within the budget */
};

struct route_goal {
	enum route_aim aim;
	uint64_t deadline; /* ns; of images that have none of their own; 0 = none */
	uint64_t budget;   /* 1e-6 USD an image; 0 = none */
	bool catalogue;    /* also machines that cairn.yaml does not declare */
	bool no_spot;
	unsigned drivers; /* only runners of these: 1u << enum runner_driver; 0 = all */
};

/* Why a machine cannot do it. */
enum route_refusal {
	ROUTE_FITS,
	ROUTE_NOT_DECLARED, /* only in the catalogue: nothing is predicted */
	ROUTE_NAMED_OTHER,  /* the image names another runner: nothing is predicted */
	ROUTE_DRIVER, /* it cannot be started from where the plan goes: nothing is predicted */
	ROUTE_ARCH,
	ROUTE_GPU, /* the build needs one */
	ROUTE_MEMORY,
	ROUTE_DISK,
	ROUTE_PRICE, /* it is not known */
	ROUTE_SPOT,  /* spot is not wanted */
	ROUTE_REFUSALS_,
};

struct route_option {
	const struct runner *runner; /* borrowed */
	enum route_refusal refusal;
	struct prediction predicted;
	uint64_t time;  /* ns: expected, from asking for the machine to the end, with re-runs */
	uint64_t cost;  /* expected */
	double oom;     /* probability that memory runs out */
	double reruns;  /* expected number of them, of spot */
	bool late;      /* it misses the deadline */
	bool expensive; /* it is above the budget */
};

struct route_decision {
	struct route_option *options; /* one a runner, best first; those that cannot last */
	size_t n;
	const struct route_option *chosen, *runner_up; /* NULL: none */
	bool tie;    /* runner_up costs (takes) within 1 % the same */
	str reason;  /* one phrase: "cheapest that meets 20m00s" */
	str problem; /* chosen NULL: why, and what to do */
};

/* The machine for `w`; allocated in `a`. Nobody in time: the fastest, and the reason says so. */
void route_choose(const struct predictor *p, const struct runners *runners,
                  const struct route_work *w, const struct route_goal *goal, struct arena *a,
                  struct route_decision *ret);

/* What `ns` of a machine cost, rounded up as it is billed. */
uint64_t route_price(const struct runner *r, uint64_t ns);

/* One phrase; static. */
const char *route_refusal_text(enum route_refusal r);

#endif
