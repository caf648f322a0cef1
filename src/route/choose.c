#include "choose.h"

#include "util/num.h"

#define MINUTE 60000000000ull
#define SECOND 1000000000ull

/* Memory above this share of the machine's may run out: predictions are off by a quarter. */
#define MEMORY_SAFE  0.8
#define OOM_MOST     0.3  /* probability when all of the memory is wanted */
#define OOM_PRIOR    0.5  /* share of it when the need is a mere prior */
#define TIE          0.01 /* relative difference that is none */
#define SPOT_DEFAULT 5    /* interruptions in 100 hours where none are told */

static const char *const refusals[ROUTE_REFUSALS_] = {
	[ROUTE_FITS] = "fits",
	[ROUTE_NOT_DECLARED] = "is not declared under runners: in cairn.yaml",
	[ROUTE_NAMED_OTHER] = "the image names another runner",
	[ROUTE_DRIVER] = "is not started from here",
	[ROUTE_ARCH] = "has another architecture",
	[ROUTE_GPU] = "has no GPU",
	[ROUTE_MEMORY] = "has too little memory",
	[ROUTE_DISK] = "has too little disk",
	[ROUTE_PRICE] = "has no known price",
	[ROUTE_SPOT] = "is spot",
};

const char *route_refusal_text(enum route_refusal r)
{
	return (unsigned)r < ROUTE_REFUSALS_ ? refusals[r] : "unknown";
}

uint64_t route_price(const struct runner *r, uint64_t ns)
{
	uint64_t unit = r->c.rounding == RUNNER_MINUTE ? MINUTE : SECOND;
	uint64_t units = ns / unit + (ns % unit > 0);

	return (uint64_t)((double)units * (double)r->c.price * (double)unit / (double)MINUTE + 0.5);
}

/* Those that are not asked: nothing is predicted for them. */
static enum route_refusal unasked(const struct runner *r, const struct route_work *w,
                                  const struct route_goal *goal)
{
	bool named = w->runner.len && str_eq(w->runner, r->c.name);

	if (w->runner.len && !named)
		return ROUTE_NAMED_OTHER;
	if (!r->declared && !goal->catalogue && !named)
		return ROUTE_NOT_DECLARED;
	if (goal->drivers && !(goal->drivers & 1u << r->c.driver))
		return ROUTE_DRIVER;
	return ROUTE_FITS;
}

static enum route_refusal refusal_of(const struct runner *r, const struct route_work *w,
                                     const struct route_goal *goal, const struct prediction *p)
{
	const struct workspace_runner *c = &r->c;
	/* A mere guess keeps nobody from building on the machine that he has. */
	bool guess = c->driver == RUNNER_LOCAL && !p->enough;

	if (w->arch && c->arch && w->arch != c->arch)
		return ROUTE_ARCH;
	if (w->gpu && !c->gpu)
		return ROUTE_GPU;
	if (c->memory && ((p->memory > c->memory && !guess) || w->memory_floor >= c->memory))
		return ROUTE_MEMORY;
	if (c->disk && ((p->disk > c->disk && !guess) || w->disk_floor >= c->disk))
		return ROUTE_DISK;
	if (!c->has_price)
		return ROUTE_PRICE;
	return c->spot && goal->no_spot ? ROUTE_SPOT : ROUTE_FITS;
}

static double oom_risk(const struct runner *r, const struct prediction *p)
{
	double share = r->c.memory ? (double)p->memory / (double)r->c.memory : 0;
	double risk = (share - MEMORY_SAFE) / (1 - MEMORY_SAFE) * OOM_MOST;

	if (risk <= 0)
		return 0;
	return (risk > OOM_MOST ? OOM_MOST : risk) * (p->enough ? 1 : OOM_PRIOR);
}

/* Time and money, with what may go wrong. */
static void expect(const struct route_work *w, const struct route_goal *goal,
                   struct route_option *o)
{
	const struct workspace_runner *c = &o->runner->c;
	double run = (double)o->predicted.run_ns, start = (double)c->latency, again, total;
	uint64_t rate = c->interruptions ? c->interruptions : SPOT_DEFAULT;
	uint64_t deadline = w->deadline ? w->deadline : goal->deadline;

	if (c->spot)
		o->reruns = run / (60.0 * (double)MINUTE) * (double)rate / 100;
	o->oom = oom_risk(o->runner, &o->predicted);
	again = o->reruns * (start + (double)o->predicted.longest / 2);
	total = start + run + again + o->oom * (start + run);
	o->time = (uint64_t)total;
	o->cost = (uint64_t)((double)route_price(o->runner, (uint64_t)(start + run + again)) *
	                             (1 + o->oom) +
	                     0.5);
	o->late = deadline && o->time > deadline;
	o->expensive = goal->budget && o->cost > goal->budget;
}

/* --- the order -------------------------------------------------------------------------- */

static int cmp_u64(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static bool within(uint64_t a, uint64_t b)
{
	uint64_t most = a > b ? a : b, less = a > b ? b : a;

	return (double)(most - less) <= (double)most * TIE;
}

/* Those that keep the limit first; among those that break it, the ones that break it least. */
static int compare(const struct route_option *x, const struct route_option *y, enum route_aim aim)
{
	bool fast = aim == ROUTE_FAST;
	bool bad_x = fast ? x->expensive : x->late, bad_y = fast ? y->expensive : y->late;
	int r = (x->refusal != ROUTE_FITS) - (y->refusal != ROUTE_FITS);

	if (!r)
		r = bad_x - bad_y;
	if (!r && x->refusal == ROUTE_FITS && fast != bad_x)
		r = cmp_u64(x->time, y->time);
	if (!r)
		r = cmp_u64(x->cost, y->cost);
	if (!r)
		r = cmp_u64(x->time, y->time);
	return r ? r : str_cmp(x->runner->c.name, y->runner->c.name);
}

static int cheap_first(const void *a, const void *b)
{
	return compare(a, b, ROUTE_CHEAP);
}

static int fast_first(const void *a, const void *b)
{
	return compare(a, b, ROUTE_FAST);
}

/* --- words ------------------------------------------------------------------------------ */

static size_t asked(const struct route_decision *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++)
		n += d->options[i].refusal == ROUTE_FITS || d->options[i].refusal > ROUTE_DRIVER;
	return n;
}

static str reason_of(const struct route_decision *d, const struct route_work *w,
                     const struct route_goal *goal, struct arena *a)
{
	uint64_t deadline = w->deadline ? w->deadline : goal->deadline;
	const char *what = goal->aim == ROUTE_CHEAP ? "cheapest" : "fastest";
	char ns[32];

	(void)num_human_ns(deadline, ns, sizeof(ns));
	if (w->runner.len)
		return S("the image names it");
	if (!d->runner_up)
		return asked(d) > 1 ? S("no other runner can hold it") : S("the only runner");
	if (goal->aim == ROUTE_CHEAP && d->chosen->late)
		return str_of(arena_printf(a, "fastest; no runner meets %s", ns));
	if (goal->aim == ROUTE_FAST && d->chosen->expensive)
		return S("cheapest; no runner is within the budget");
	if (d->tie)
		return str_of(arena_printf(a, "%s, nearly as %.*s", what,
		                           STR(d->runner_up->runner->c.name)));
	if (goal->aim == ROUTE_CHEAP && deadline)
		return str_of(arena_printf(a, "cheapest that meets %s", ns));
	return str_of(what);
}

/* The refusal of the machine that came nearest. */
static str problem_of(const struct route_decision *d, const struct route_work *w, struct arena *a)
{
	uint64_t memory = 0, disk = 0;
	const struct route_option *most_memory = NULL, *most_disk = NULL;
	char need[32], has[32];

	for (size_t i = 0; i < d->n; i++) {
		const struct route_option *o = &d->options[i];

		if (o->refusal == ROUTE_MEMORY && o->runner->c.memory > memory) {
			memory = o->runner->c.memory;
			most_memory = o;
		}
		if (o->refusal == ROUTE_DISK && o->runner->c.disk > disk) {
			disk = o->runner->c.disk;
			most_disk = o;
		}
	}
	if (most_memory && !most_disk)
		return str_of(arena_printf(
			a,
			"no runner can hold '%.*s': it wants %s of memory (%s) and the largest, "
			"%.*s, has %s; declare a larger one under runners:",
			STR(w->image),
			num_human_bytes(most_memory->predicted.memory, need, sizeof(need)),
			most_memory->predicted.basis, STR(most_memory->runner->c.name),
			num_human_bytes(memory, has, sizeof(has))));
	if (most_disk)
		return str_of(arena_printf(
			a,
			"no runner can hold '%.*s': it wants %s of disk (%s) and %.*s has %s; "
			"declare a larger one under runners:",
			STR(w->image),
			num_human_bytes(most_disk->predicted.disk, need, sizeof(need)),
			most_disk->predicted.basis, STR(most_disk->runner->c.name),
			num_human_bytes(disk, has, sizeof(has))));
	if (w->runner.len)
		for (size_t i = 0; i < d->n; i++)
			if (str_eq(d->options[i].runner->c.name, w->runner))
				return str_of(
					arena_printf(a, "the runner '%.*s', which '%.*s' names, %s",
				                     STR(w->runner), STR(w->image),
				                     route_refusal_text(d->options[i].refusal)));
	if (w->runner.len)
		return str_of(arena_printf(a,
		                           "there is no runner '%.*s', which '%.*s' names; see "
		                           "'cairn runners'",
		                           STR(w->runner), STR(w->image)));
	return str_of(arena_printf(a,
	                           "no runner fits '%.*s'; declare one under runners: in "
	                           "cairn.yaml",
	                           STR(w->image)));
}

void route_choose(const struct predictor *p, const struct runners *runners,
                  const struct route_work *w, const struct route_goal *goal, struct arena *a,
                  struct route_decision *ret)
{
	size_t fits = 0;

	*ret = (struct route_decision){ .options =
		                                arena_array(a, struct route_option, runners->len),
		                        .n = runners->len };
	for (size_t i = 0; i < ret->n; i++) {
		struct route_option *o = &ret->options[i];

		o->runner = &runners->ptr[i];
		o->refusal = unasked(o->runner, w, goal);
		if (o->refusal != ROUTE_FITS)
			continue;
		predict(p, w, (unsigned)o->runner->c.vcpu, &o->predicted);
		o->refusal = refusal_of(o->runner, w, goal, &o->predicted);
		expect(w, goal, o);
		fits += o->refusal == ROUTE_FITS;
	}
	if (ret->n)
		qsort(ret->options, ret->n, sizeof(*ret->options),
		      goal->aim == ROUTE_CHEAP ? cheap_first : fast_first);
	if (!fits) {
		ret->problem = problem_of(ret, w, a);
		return;
	}
	ret->chosen = &ret->options[0];
	ret->runner_up = fits > 1 ? &ret->options[1] : NULL;
	ret->tie = ret->runner_up && ret->runner_up->late == ret->chosen->late &&
	           (goal->aim == ROUTE_CHEAP ? within(ret->chosen->cost, ret->runner_up->cost)
	                                     : within(ret->chosen->time, ret->runner_up->time));
	ret->reason = reason_of(ret, w, goal, a);
}
