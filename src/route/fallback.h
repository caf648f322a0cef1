/* route/fallback.h - an attempt ended: what next.
 *
 * A table of what happened and how often; nothing in it waits or starts anything. Whoever attempts
 * keeps a struct fallback_state, does what is said, and puts `why` into the record of the next
 * attempt (history_build.fallback), which feeds the next prediction.
 */
#ifndef CAIRN_ROUTE_FALLBACK_H
#define CAIRN_ROUTE_FALLBACK_H

#include "choose.h"

enum fallback_action {
	FALLBACK_DONE,    /* it went well */
	FALLBACK_STOP,    /* no attempt would help, or there were enough */
	FALLBACK_AGAIN,   /* the same runner: finished steps come from the cache */
	FALLBACK_WAIT,    /* the same runner, after wait_ns */
	FALLBACK_BIGGER,  /* choose again: memory_floor (or disk_floor) was raised */
	FALLBACK_OTHER,   /* choose again, without this runner */
	FALLBACK_NO_SPOT, /* choose again, without spot machines */
	FALLBACK_ACTIONS_,
};

struct fallback_limits {
	unsigned attempts;      /* in all */
	unsigned interruptions; /* of spot machines, before it goes on demand */
	unsigned unavailable;   /* of a runner, before another is taken */
	uint64_t back_off;      /* ns: the first wait; each further one is twice as long */
	uint64_t back_off_max;
};
#define FALLBACK_LIMITS_INIT                            \
	{                                               \
		6, 2, 3, 5000000000ull, 300000000000ull \
	}

/* Of an image, over its attempts; zeroed at first. */
struct fallback_state {
	unsigned attempts, interruptions;
	unsigned unavailable;              /* of the present runner, one after the other */
	uint64_t memory_floor, disk_floor; /* bytes that were not enough */
	bool no_spot;
};

struct fallback_next {
	enum fallback_action action;
	uint64_t wait_ns;
	const char *why; /* one phrase; static */
};

/* An attempt on `runner` ended with `outcome`. Changes *s. */
void fallback_next(const struct fallback_limits *limits, const struct runner *runner,
                   enum history_outcome outcome, struct fallback_state *s,
                   struct fallback_next *ret);

/* "again", "bigger", ...; static. */
const char *fallback_action_name(enum fallback_action a);

#endif
