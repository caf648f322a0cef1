#include "schedule.h"

enum state {
	WAITING,
	PLACED,
	NOWHERE,
};

struct job {
	enum state state;
	uint64_t rank; /* of the longest way from its start to the end of the batch */
};

struct batch {
	const struct route_work *works;
	const struct route_decision *decisions;
	struct job *jobs;
	struct schedule_slot *slots;
	size_t n;
};

static uint64_t time_of(const struct batch *b, size_t i)
{
	return b->decisions[i].chosen ? b->decisions[i].chosen->time : 0;
}

/* A way has at most n images: further passes would only run round a cycle. */
static void rank(struct batch *b)
{
	bool changed = true;

	for (size_t i = 0; i < b->n; i++)
		b->jobs[i].rank = time_of(b, i);
	for (size_t pass = 0; changed && pass < b->n; pass++) {
		changed = false;
		for (size_t i = 0; i < b->n; i++)
			for (size_t k = 0; k < b->works[i].n_after; k++) {
				size_t up = b->works[i].after[k];
				uint64_t way = b->jobs[i].rank + time_of(b, up);

				if (way > b->jobs[up].rank) {
					b->jobs[up].rank = way;
					changed = true;
				}
			}
	}
}

/* When its parents are there; false: not known yet. NOWHERE spreads to those that stand on it. */
static bool ready(struct batch *b, size_t i, uint64_t *ret)
{
	*ret = 0;
	if (!b->decisions[i].chosen)
		b->jobs[i].state = NOWHERE;
	for (size_t k = 0; k < b->works[i].n_after; k++) {
		size_t up = b->works[i].after[k];

		if (b->jobs[up].state == NOWHERE)
			b->jobs[i].state = NOWHERE;
		if (b->jobs[up].state != PLACED)
			return false;
		if (b->slots[up].end > *ret)
			*ret = b->slots[up].end;
	}
	return b->jobs[i].state == WAITING;
}

static bool same_runner(const struct batch *b, size_t i, size_t k)
{
	return b->jobs[k].state == PLACED &&
	       b->decisions[k].chosen->runner == b->decisions[i].chosen->runner;
}

static uint64_t running(const struct batch *b, size_t i, uint64_t at)
{
	uint64_t n = 0;

	for (size_t k = 0; k < b->n; k++)
		n += same_runner(b, i, k) && b->slots[k].start <= at && b->slots[k].end > at;
	return n;
}

/* The first moment from `at` on when its runner has a place: one of those when a place is freed.
 * Later starts are placed already only by jobs of higher rank, so its whole length is looked at. */
static uint64_t place_from(const struct batch *b, size_t i, uint64_t at)
{
	uint64_t places = b->decisions[i].chosen->runner->c.concurrency, next;
	bool full = true;

	while (full) {
		uint64_t end = at + time_of(b, i);

		full = running(b, i, at) >= places;
		for (size_t k = 0; !full && k < b->n; k++)
			full = same_runner(b, i, k) && b->slots[k].start > at &&
			       b->slots[k].start < end &&
			       running(b, i, b->slots[k].start) >= places;
		if (!full)
			break;
		next = UINT64_MAX;
		for (size_t k = 0; k < b->n; k++)
			if (same_runner(b, i, k) && b->slots[k].end > at && b->slots[k].end < next)
				next = b->slots[k].end;
		at = next;
	}
	return at;
}

/* Of those that are ready, the one with the longest way; n: none. */
static size_t pick(struct batch *b, uint64_t *ret_at)
{
	size_t best = b->n;
	uint64_t at;

	for (size_t i = 0; i < b->n; i++)
		if (b->jobs[i].state == WAITING && ready(b, i, &at) &&
		    (best == b->n || b->jobs[i].rank > b->jobs[best].rank)) {
			best = i;
			*ret_at = at;
		}
	return best;
}

void route_schedule(const struct route_work *works, const struct route_decision *decisions,
                    size_t n, struct arena *a, struct schedule *ret)
{
	struct batch b = { works, decisions, arena_array(a, struct job, n),
		           arena_array(a, struct schedule_slot, n), n };
	uint64_t at = 0;
	size_t i;

	*ret = (struct schedule){ .slots = b.slots, .unplaced = n };
	rank(&b);
	while ((i = pick(&b, &at)) < n) {
		b.slots[i].start = place_from(&b, i, at);
		b.slots[i].end = b.slots[i].start + time_of(&b, i);
		b.jobs[i].state = PLACED;
		ret->cost += decisions[i].chosen->cost;
		ret->unplaced--;
		if (b.slots[i].end > ret->time)
			ret->time = b.slots[i].end;
	}
}
