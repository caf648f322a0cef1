/* A build from plan to image. */
#include "build.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/sysinfo.h>

#include "step.h"
#include "util/clock.h"

#define JOBS_MIN 4 /* steps often wait for the network */

void build_emit(struct engine_build *b, const struct build_event *ev)
{
	struct build_event e = *ev;

	e.time_ns = clock_monotonic();
	b->opts->observer->event(b->opts->observer->ctx, &e);
}

void build_warn(struct engine_build *b, unsigned step, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	build_emit(b, &(struct build_event){
			      .kind = EVENT_WARNING, .step = step, .text = str_of(text) });
}

struct step *build_step(struct engine_build *b, const struct graph_node *n)
{
	return &b->steps[n->id];
}

void build_step_done(struct step *s, const struct chain *chain, bool hit)
{
	s->chain = chain;
	s->hit = hit;
	s->state = STEP_DONE;
}

int engine_plan(const struct engine_opts *opts, struct engine_build **ret, struct cairn_err *err)
{
	struct engine_build *b = xcalloc(1, sizeof(*b));
	int r;

	b->opts = opts;
	b->arena = arena_new();
	b->n = opts->graph->n_nodes;
	b->steps = arena_array(b->arena, struct step, b->n);
	for (size_t i = 0; i < b->n; i++) {
		b->steps[i].b = b;
		b->steps[i].node = opts->graph->nodes[i];
	}
	b->target = build_step(b, opts->graph->target->last);
	b->jobs = opts->jobs ? opts->jobs : (unsigned)get_nprocs();
	if (!opts->jobs && b->jobs < JOBS_MIN)
		b->jobs = JOBS_MIN;
	r = arrive_limits(&b->limits, err);
	if (r == 0)
		r = lookup_plan(b, err);
	if (r == 0)
		*ret = b;
	else
		engine_free(b);
	return r;
}

unsigned engine_work(const struct engine_build *b)
{
	unsigned n = 0;

	for (size_t i = 0; i < b->n; i++)
		n += b->steps[i].state == STEP_WAITING;
	return n;
}

bool engine_ran(const struct engine_build *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->steps[i].state == STEP_DONE && !b->steps[i].hit)
			return true;
	return false;
}

bool engine_demoted(const struct engine_build *b)
{
	return b->demoted;
}

static void inherit_from(struct step *of, const char *from)
{
	if (!of->needed && !of->from)
		of->from = from;
}

/* Steps below a hit of a remote, which are not looked at, come from there as well. */
static void set_origins(struct engine_build *b)
{
	for (size_t i = b->n; i-- > 0;) { /* what a step stands on comes before it */
		const struct step *s = &b->steps[i];
		const struct graph_node *n = s->node;

		if (!s->from)
			continue;
		if (n->parent)
			inherit_from(build_step(b, n->parent), s->from);
		for (size_t k = 0; k < n->n_inputs; k++)
			inherit_from(build_step(b, n->inputs[k]), s->from);
	}
}

/* All steps in the order of the Dockerfile; those that a hit made unnecessary are cached too. */
static void announce(struct engine_build *b)
{
	set_origins(b);
	for (size_t i = 0; i < b->n; i++) {
		b->steps[i].number = ++b->n_numbers;
		step_emit(&b->steps[i], EVENT_PLAN);
	}
	for (size_t i = 0; i < b->n; i++)
		if (b->steps[i].state == STEP_DONE || !b->steps[i].needed)
			step_emit(&b->steps[i], EVENT_CACHED);
}

int engine_run(struct engine_build *b, struct engine_image *ret, struct cairn_err *err)
{
	announce(b);
	loop_run(b);
	if (b->stopping) {
		*err = b->err;
		return err->code;
	}
	return result_image(b, ret, err);
}

void engine_free(struct engine_build *b)
{
	if (!b)
		return;
	map_foreach (e, &b->trees)
		tree_unref(e->value);
	map_done(&b->trees);
	map_done(&b->pinned);
	map_done(&b->ahead);
	vec_foreach (a, &b->fetched)
		arena_free(*a);
	vec_free(&b->fetched);
	sources_free(b);
	rootfs_close(b->rootfs);
	sandbox_host_free(b->host);
	free(b->trees_dir);
	arena_free(b->arena);
	free(b);
}
