#include "fallback.h"

static const char *const names[FALLBACK_ACTIONS_] = {
	[FALLBACK_DONE] = "done",         [FALLBACK_STOP] = "stop",     [FALLBACK_AGAIN] = "again",
	[FALLBACK_WAIT] = "wait",         [FALLBACK_BIGGER] = "bigger", [FALLBACK_OTHER] = "other",
	[FALLBACK_NO_SPOT] = "on-demand",
};

const char *fallback_action_name(enum fallback_action a)
{
	return (unsigned)a < FALLBACK_ACTIONS_ ? names[a] : "unknown";
}

/* When a row of the table holds. */
enum when {
	ALWAYS,
	ON_SPOT,      /* the runner is spot */
	SPOT_ENOUGH,  /* and was taken away as often as is borne */
	DOWN_ENOUGH,  /* the runner was unavailable as often as is borne */
	FIXED_MEMORY, /* memory of the runner is not known: no larger one can be told */
};

/* The first row that holds counts. */
static const struct rule {
	enum history_outcome outcome;
	enum when when;
	enum fallback_action action;
	const char *why;
} rules[] = {
	{ HISTORY_OK, ALWAYS, FALLBACK_DONE, "built" },
	{ HISTORY_FAILED, ALWAYS, FALLBACK_STOP, "it failed, and would again" },
	{ HISTORY_MEMORY, FIXED_MEMORY, FALLBACK_OTHER, "out of memory" },
	{ HISTORY_MEMORY, ALWAYS, FALLBACK_BIGGER, "out of memory: the next larger one" },
	{ HISTORY_DISK, ALWAYS, FALLBACK_BIGGER, "the disk was full: the next larger one" },
	{ HISTORY_INTERRUPTED, SPOT_ENOUGH, FALLBACK_NO_SPOT,
	  "interrupted too often: on demand now" },
	{ HISTORY_INTERRUPTED, ON_SPOT, FALLBACK_AGAIN, "interrupted: goes on from the cache" },
	{ HISTORY_INTERRUPTED, ALWAYS, FALLBACK_STOP, "somebody stopped it" },
	{ HISTORY_UNAVAILABLE, DOWN_ENOUGH, FALLBACK_OTHER,
	  "down, or at its account's limit: another runner" },
	{ HISTORY_UNAVAILABLE, ALWAYS, FALLBACK_WAIT,
	  "down, or at its account's limit: asked again later" },
};

static bool holds(enum when when, const struct fallback_limits *l, const struct runner *r,
                  const struct fallback_state *s)
{
	switch (when) {
	case ALWAYS:
		return true;
	case ON_SPOT:
		return r->c.spot;
	case SPOT_ENOUGH:
		return r->c.spot && s->interruptions >= l->interruptions;
	case DOWN_ENOUGH:
		return s->unavailable >= l->unavailable;
	case FIXED_MEMORY:
		return !r->c.memory;
	}
	CAIRN_BUG("no such condition");
}

static void count(const struct runner *r, enum history_outcome outcome, struct fallback_state *s)
{
	s->attempts++;
	if (outcome == HISTORY_INTERRUPTED && r->c.spot)
		s->interruptions++;
	s->unavailable = outcome == HISTORY_UNAVAILABLE ? s->unavailable + 1 : 0;
	if (outcome == HISTORY_MEMORY && r->c.memory > s->memory_floor)
		s->memory_floor = r->c.memory;
	if (outcome == HISTORY_DISK && r->c.disk > s->disk_floor)
		s->disk_floor = r->c.disk;
}

static uint64_t back_off(const struct fallback_limits *l, unsigned times)
{
	uint64_t ns = l->back_off;

	for (unsigned i = 1; i < times && ns < l->back_off_max; i++)
		ns *= 2;
	return ns < l->back_off_max ? ns : l->back_off_max;
}

void fallback_next(const struct fallback_limits *limits, const struct runner *runner,
                   enum history_outcome outcome, struct fallback_state *s,
                   struct fallback_next *ret)
{
	const struct rule *rule = rules;

	count(runner, outcome, s);
	while (rule->outcome != outcome || !holds(rule->when, limits, runner, s))
		rule++;
	*ret = (struct fallback_next){ .action = rule->action, .why = rule->why };
	if (ret->action != FALLBACK_DONE && ret->action != FALLBACK_STOP &&
	    s->attempts >= limits->attempts)
		*ret = (struct fallback_next){ FALLBACK_STOP, 0, "there were attempts enough" };
	if (ret->action == FALLBACK_WAIT)
		ret->wait_ns = back_off(limits, s->unavailable);
	if (ret->action == FALLBACK_OTHER)
		s->unavailable = 0;
	if (ret->action == FALLBACK_NO_SPOT)
		s->no_spot = true;
}
