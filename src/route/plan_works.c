#include "plan_works.h"

static enum runner_arch arch_of(const struct ws_image *i)
{
	/* Of several platforms the first; the machine's own when none is told. */
	struct platform p = platform_host();
	struct cairn_err ignored;

	if (i->platforms.len)
		(void)platform_parse(i->platforms.ptr[0], &p, &ignored);
	if (strcmp(p.arch, "amd64") == 0)
		return RUNNER_AMD64;
	return strcmp(p.arch, "arm64") == 0 ? RUNNER_ARM64 : RUNNER_ANY_ARCH;
}

static void set_steps(const struct plan_image *pi, struct arena *a, struct route_work *w)
{
	w->steps = arena_array(a, struct route_step, pi->n_steps);
	for (size_t i = 0; i < pi->n_steps; i++) {
		const struct plan_step *s = &pi->steps[i];

		if (s->result == REPORT_HIT || str_is(s->kind, REPORT_KIND_BASE))
			continue;
		w->steps[w->n_steps++] = (struct route_step){
			.name = s->name, .kind = s->kind, .ns = s->cost_ns, .bytes = s->bytes
		};
		w->push += s->bytes;
	}
	w->all_steps = pi->n_hits == 0;
}

/* works[0..n) are of the images before this one: parents come first. */
static void set_after(const struct plan *plan, const struct plan_image *pi, const size_t *of,
                      size_t n, struct arena *a, struct route_work *w)
{
	size_t *after = arena_array(a, size_t, pi->image->n_parents);

	for (size_t i = 0; i < pi->image->n_parents; i++)
		for (size_t k = 0; k < n; k++)
			if (plan->ptr[of[k]].image == pi->image->parents[i])
				after[w->n_after++] = k;
	w->after = after;
}

void route_works_of_plan(const struct plan *plan, struct arena *a, struct route_work **ret,
                         size_t **ret_of, size_t *ret_n)
{
	struct route_work *works = arena_array(a, struct route_work, plan->len);
	size_t *of = arena_array(a, size_t, plan->len), n = 0;

	for (size_t i = 0; i < plan->len; i++) {
		const struct plan_image *pi = &plan->ptr[i];

		if (pi->verdict != PLAN_BUILD || pi->error)
			continue;
		works[n] = (struct route_work){ .image = pi->image->name,
			                        .category = pi->category.category,
			                        .arch = arch_of(pi->image),
			                        .deadline = pi->image->deadline,
			                        .runner = pi->image->runner };
		set_steps(pi, a, &works[n]);
		set_after(plan, pi, of, n, a, &works[n]);
		of[n++] = i;
	}
	*ret = works;
	*ret_of = of;
	*ret_n = n;
}
