#include "schedule.h"

#include "util/vec.h"

/* --- the smallest first ------------------------------------------------------------------ */

struct item {
	uint64_t key;
	size_t job; /* decides between equal keys, so that the order depends on nothing else */
};

struct heap {
	VEC(struct item) items;
};

static bool before(const struct item *a, const struct item *b)
{
	return a->key != b->key ? a->key < b->key : a->job < b->job;
}

static void swap(struct item *a, struct item *b)
{
	struct item t = *a;

	*a = *b;
	*b = t;
}

static void heap_put(struct heap *h, uint64_t key, size_t job)
{
	size_t i = h->items.len;

	vec_push(&h->items, (struct item){ key, job });
	for (; i && before(&h->items.ptr[i], &h->items.ptr[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&h->items.ptr[i], &h->items.ptr[(i - 1) / 2]);
}

/* It is not empty. */
static struct item heap_take(struct heap *h)
{
	struct item *all = h->items.ptr, first = all[0];
	size_t n = --h->items.len;

	all[0] = all[n];
	for (size_t i = 0, k; (k = 2 * i + 1) < n; i = k) {
		k += k + 1 < n && before(&all[k + 1], &all[k]);
		if (!before(&all[k], &all[i]))
			break;
		swap(&all[i], &all[k]);
	}
	return first;
}

/* --- the batch ------------------------------------------------------------------------------ */

struct place {
	const struct runner *runner;
	uint64_t running;
	struct heap ready; /* for it; of them the one with the longest way comes first */
};

struct job {
	uint64_t rank;  /* of the longest way from its start to the end of the batch */
	size_t missing; /* parents that have not ended */
	size_t place;
	size_t first, n; /* those that stand on it: in children */
};

struct batch {
	const struct route_work *works;
	const struct route_decision *decisions;
	struct job *jobs;
	size_t *children;
	struct schedule_slot *slots;
	size_t n;
	VEC(struct place) places;
	struct heap ends; /* of jobs that run */
};

static uint64_t time_of(const struct batch *b, size_t i)
{
	return b->decisions[i].chosen ? b->decisions[i].chosen->time : 0;
}

/* A way has at most n images: further passes would only run round a cycle. Parents mostly come
 * before those that stand on them, so that from the end one pass does. */
static void rank(struct batch *b)
{
	bool changed = true;

	for (size_t i = 0; i < b->n; i++)
		b->jobs[i].rank = time_of(b, i);
	for (size_t pass = 0; changed && pass < b->n; pass++) {
		changed = false;
		for (size_t i = b->n; i-- > 0;)
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

static void find_children(struct batch *b, struct arena *a)
{
	size_t sum = 0;

	for (size_t i = 0; i < b->n; i++) {
		b->jobs[i].missing = b->works[i].n_after;
		for (size_t k = 0; k < b->works[i].n_after; k++)
			b->jobs[b->works[i].after[k]].n++;
	}
	for (size_t i = 0; i < b->n; i++) {
		b->jobs[i].first = sum;
		sum += b->jobs[i].n;
		b->jobs[i].n = 0;
	}
	b->children = arena_array(a, size_t, sum + 1);
	for (size_t i = 0; i < b->n; i++)
		for (size_t k = 0; k < b->works[i].n_after; k++) {
			struct job *up = &b->jobs[b->works[i].after[k]];

			b->children[up->first + up->n++] = i;
		}
}

static size_t place_of(struct batch *b, const struct runner *runner)
{
	for (size_t i = 0; i < b->places.len; i++)
		if (b->places.ptr[i].runner == runner)
			return i;
	vec_push(&b->places, (struct place){ .runner = runner });
	return b->places.len - 1;
}

/* All its parents have ended. One that goes nowhere never starts, nor does what stands on it. */
static void is_ready(struct batch *b, size_t i)
{
	struct job *j = &b->jobs[i];

	if (!b->decisions[i].chosen)
		return;
	j->place = place_of(b, b->decisions[i].chosen->runner);
	heap_put(&b->places.ptr[j->place].ready, UINT64_MAX - j->rank, i);
}

static void start(struct batch *b, size_t i, uint64_t at, struct schedule *ret)
{
	b->slots[i] = (struct schedule_slot){ at, at + time_of(b, i) };
	b->places.ptr[b->jobs[i].place].running++;
	heap_put(&b->ends, b->slots[i].end, i);
	ret->cost += b->decisions[i].chosen->cost;
	ret->unplaced--;
	if (b->slots[i].end > ret->time)
		ret->time = b->slots[i].end;
}

static void start_ready(struct batch *b, uint64_t at, struct schedule *ret)
{
	vec_foreach (p, &b->places)
		while (p->ready.items.len && p->running < p->runner->c.concurrency)
			start(b, heap_take(&p->ready).job, at, ret);
}

static void end(struct batch *b, size_t i)
{
	const struct job *j = &b->jobs[i];

	b->places.ptr[j->place].running--;
	for (size_t k = 0; k < j->n; k++) {
		size_t child = b->children[j->first + k];

		if (--b->jobs[child].missing == 0)
			is_ready(b, child);
	}
}

void route_schedule(const struct route_work *works, const struct route_decision *decisions,
                    size_t n, struct arena *a, struct schedule *ret)
{
	struct batch b = { .works = works,
		           .decisions = decisions,
		           .jobs = arena_array(a, struct job, n),
		           .slots = arena_array(a, struct schedule_slot, n),
		           .n = n };
	uint64_t at = 0;

	*ret = (struct schedule){ .slots = b.slots, .unplaced = n };
	rank(&b);
	find_children(&b, a);
	for (size_t i = 0; i < n; i++)
		if (!b.jobs[i].missing)
			is_ready(&b, i);
	for (;;) {
		start_ready(&b, at, ret);
		if (!b.ends.items.len)
			break;
		at = b.ends.items.ptr[0].key;
		while (b.ends.items.len && b.ends.items.ptr[0].key == at)
			end(&b, heap_take(&b.ends).job);
	}
	vec_foreach (p, &b.places)
		vec_free(&p->ready.items);
	vec_free(&b.places);
	vec_free(&b.ends.items);
}
