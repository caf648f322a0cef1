/* route/schedule.h - a batch over machines: what starts when.
 *
 * List scheduling: of the images whose parents are built, the one with the longest way to the end
 * starts first, as soon as its runner has a place (its concurrency).
 */
#ifndef CAIRN_ROUTE_SCHEDULE_H
#define CAIRN_ROUTE_SCHEDULE_H

#include "choose.h"

struct schedule_slot {
	uint64_t start, end; /* ns from the beginning; both 0: it goes nowhere */
};

struct schedule {
	struct schedule_slot *slots; /* one an image */
	uint64_t time;               /* until the last one ends */
	uint64_t cost;
	size_t unplaced; /* images without a runner, and those that stand on them */
};

/* works and decisions are n; work.after has indexes below n and no cycle (an image of a cycle is
 * left unplaced). Allocated in `a`. */
void route_schedule(const struct route_work *works, const struct route_decision *decisions,
                    size_t n, struct arena *a, struct schedule *ret);

#endif
