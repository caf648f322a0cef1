#include "plan_route.h"

#include "history_share.h"
#include "util/log.h"

/* Newest records that predictions are drawn from. */
#define RECORDS_MAX 2000

void plan_route_local(struct runners *r, const struct host_machine *m)
{
	const struct platform host = platform_host();

	for (size_t i = 0; i < r->len; i++) {
		struct workspace_runner *c = &r->ptr[i].c;

		if (c->driver != RUNNER_LOCAL)
			continue;
		if (!c->vcpu)
			c->vcpu = m->cpus;
		if (!c->memory)
			c->memory = m->available ? m->available : m->memory;
		if (!c->disk)
			c->disk = m->disk;
		for (unsigned a = 0; !c->arch && a < RUNNER_ARCHS_; a++)
			if (strcmp(host.arch, runner_arch_name((enum runner_arch)a)) == 0)
				c->arch = (enum runner_arch)a;
	}
}

/* What others measured. A store that cannot be written does without. */
static void merge_history(const struct plan_route_opts *o)
{
	cleanup_history struct history *h = NULL;
	struct cairn_err why;
	size_t added;

	if (!o->n_remotes)
		return;
	if (history_open(o->home, false, &h, &why) < 0 ||
	    history_share_get(o->remotes, o->n_remotes, o->net, h, &added, &why) < 0)
		log_debug("records of other machines are not used: %s", why.msg);
}

static void read_history(struct plan_route *r, const struct plan_route_opts *o)
{
	struct history_query q = { .limit = RECORDS_MAX, .steps = true, .worked = true };
	cleanup_history struct history *h = NULL;
	struct history_build *builds = NULL;
	struct cairn_err why;
	size_t n = 0;

	if (r->n)
		merge_history(o);
	if (r->n && (history_open(o->home, true, &h, &why) < 0 ||
	             history_find(h, &q, r->a, &builds, &n, &why) < 0)) {
		n = 0;
		r->note = str_of(
			arena_printf(r->a, "nothing is predicted from records: %s", why.msg));
	}
	r->predictor = predictor_new(builds, n);
}

static void choose(struct plan_route *r)
{
	r->decisions = arena_array(r->a, struct route_decision, r->n);
	for (size_t i = 0; i < r->n; i++)
		route_choose(r->predictor, r->runners, &r->works[i], &r->goal, r->a,
		             &r->decisions[i]);
	route_schedule(r->works, r->decisions, r->n, r->a, &r->schedule);
}

/* Where none of those drivers is declared the limit says nothing. */
static void limit_drivers(struct plan_route *r)
{
	for (size_t i = 0; i < r->runners->len; i++)
		if (r->runners->ptr[i].declared &&
		    r->goal.drivers & 1u << r->runners->ptr[i].c.driver)
			return;
	r->goal.drivers = 0;
}

int plan_route_make(const struct plan_route_opts *o, struct plan_route **ret, struct cairn_err *err)
{
	cleanup_plan_route struct plan_route *r = xcalloc(1, sizeof(*r));
	struct host_machine m;
	size_t *of;

	r->a = arena_new();
	r->goal = o->goal;
	TRY(runners_load(o->config, &r->runners, err));
	limit_drivers(r);
	machine_measure(o->home, &m);
	plan_route_local(r->runners, &m);
	route_works_of_plan(o->plan, r->a, &r->works, &of, &r->n);
	r->images = arena_array(r->a, const struct plan_image *, r->n);
	for (size_t i = 0; i < r->n; i++)
		r->images[i] = &o->plan->ptr[of[i]];
	read_history(r, o);
	choose(r);
	*ret = steal_ptr(&r);
	return 0;
}

bool plan_route_find(const struct plan_route *r, const struct plan_image *i, size_t *ret)
{
	size_t low = 0, high = r->n; /* in the order of the plan, which is one array */

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (r->images[mid] < i)
			low = mid + 1;
		else
			high = mid;
	}
	*ret = low;
	return low < r->n && r->images[low] == i;
}

void plan_route_free(struct plan_route *r)
{
	if (!r)
		return;
	predictor_free(r->predictor);
	runners_free(r->runners);
	arena_free(r->a);
	free(r);
}
