/* Where the next attempt of an image goes. */
#include "ci_run.h"

static bool avoided(const struct ci_image *i, const struct runner *r)
{
	vec_foreach (a, &i->avoid)
		if (*a == r)
			return true;
	return false;
}

/* Tags are set where the plan was made. */
static bool choose_local(struct ci *c, struct ci_image *i)
{
	i->runner = runners_get(c->route->runners, S("local"));
	i->expected = (struct route_option){ .runner = i->runner };
	return i->runner != NULL;
}

bool ci_choose(struct ci *c, struct ci_image *i)
{
	struct route_goal goal = c->route->goal;
	struct route_decision d = { 0 };
	struct route_work w;

	if (!i->work)
		return choose_local(c, i);
	w = *i->work;
	w.memory_floor = i->fallback.memory_floor;
	w.disk_floor = i->fallback.disk_floor;
	goal.no_spot |= i->fallback.no_spot;
	route_choose(c->route->predictor, c->route->runners, &w, &goal, c->plan->a, &d);
	for (size_t k = 0; k < d.n && d.options[k].refusal == ROUTE_FITS; k++)
		if (!avoided(i, d.options[k].runner)) {
			i->runner = d.options[k].runner;
			i->expected = d.options[k];
			return true;
		}
	i->why = d.problem.len ? d.problem : S("every runner that could take it is down");
	if (i->moved.len)
		i->why = str_of(
			arena_printf(c->plan->a, "%.*s; then: %.*s", STR(i->moved), STR(i->why)));
	return false;
}
