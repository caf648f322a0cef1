/* One attempt of an image: what it is started with, and what is kept of it. */
#include "ci_run.h"

#include <sys/random.h>

#include "util/clock.h"

#define ATTEMPT_BYTES 12

static str attempt_id(struct arena *a)
{
	uint8_t raw[ATTEMPT_BYTES];
	char *text = arena_alloc(a, sizeof(raw) * 2 + 1);

	if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
		CAIRN_BUG("getrandom failed");
	for (size_t k = 0; k < sizeof(raw); k++)
		(void)snprintf(text + k * 2, 3, "%02x", raw[k]);
	return str_of(text);
}

/* What a machine elsewhere does, too: it plans again, so that an image that was built
 * anywhere meanwhile is taken as it is now. */
static char **local_argv(const struct ci *c, const struct ci_image *i)
{
	struct arena *a = c->plan->a;
	char **argv = arena_array(a, char *, 8);
	size_t n = 0;

	argv[n++] = arena_cstr(a, S("cairn"));
	argv[n++] = arena_cstr(a, S("up"));
	if (c->opts->push)
		argv[n++] = arena_cstr(a, S("--push"));
	if (c->opts->config)
		argv[n++] = arena_printf(a, "--config=%s", c->opts->config);
	argv[n++] = arena_cstr(a, S("--"));
	argv[n++] = arena_cstr(a, i->plan->image->name);
	return argv;
}

struct ci_attempt *ci_attempt_new(struct ci *c, struct ci_image *i)
{
	struct ci_attempt *a = arena_new_of(c->plan->a, struct ci_attempt);

	a->task = (struct driver_task){ .image = i->plan->image->name,
		                        .attempt = attempt_id(c->plan->a),
		                        .runner = i->runner,
		                        .fallback = i->moved,
		                        .argv = local_argv(c, i) };
	a->time = clock_now();
	a->asked = clock_monotonic();
	vec_push(&i->attempts, a);
	return a;
}

static void record(struct ci *c, const struct ci_image *i, const struct ci_attempt *a)
{
	const struct workspace_runner *r = &a->task.runner->c;
	cleanup_history struct history *h = NULL;
	struct cairn_err err;
	struct history_build b = {
		.time = a->time,
		.image = i->plan->image->name,
		.category = str_of(image_category_name(i->plan->category.category)),
		.commit = c->env.commit,
		.input = i->plan->key,
		.outcome = a->outcome,
		.runner = { .name = r->name,
		            .driver = str_of(runner_driver_name(r->driver)),
		            .spot = r->spot,
		            .cpus = (unsigned)r->vcpu,
		            .memory = r->memory,
		            .disk = r->disk,
		            .arch = str_of(runner_arch_name(r->arch)) },
		.queue_ns = a->queue_ns,
		.wall_ns = a->wall_ns,
		.cost = a->cost,
		.predicted_ns = i->expected.time,
		.predicted_cost = i->expected.cost,
		.predicted_memory = i->expected.predicted.memory,
		.fallback = a->task.fallback,
		.attempt = a->task.attempt,
		.sender = true,
	};

	if (i->work)
		b.base = i->work->base;
	if (history_open(c->plan->ctx->home, false, &h, &err) < 0 || history_add(h, &b, &err) < 0)
		(void)fprintf(c->plan->ctx->err, "cairn: warning: %s\n", err.msg);
}

void ci_attempt_end(struct ci *c, struct ci_image *i, enum history_outcome outcome, str why)
{
	struct ci_attempt *a = *vec_last(&i->attempts);
	int64_t now = clock_monotonic();

	a->outcome = outcome;
	a->why = arena_str(c->plan->a, why);
	a->queue_ns = i->found.queue_ns;
	a->wall_ns = i->found.wall_ns;
	/* What the service does not say is what was seen. */
	if (!a->queue_ns && a->task.runner->c.driver != RUNNER_LOCAL)
		a->queue_ns = (uint64_t)((a->ran ? a->ran : now) - a->asked);
	if (!a->wall_ns && a->ran)
		a->wall_ns = (uint64_t)(now - a->ran);
	if (a->ran)
		a->cost = route_price(a->task.runner, a->wall_ns);
	if (a->task.runner->c.driver != RUNNER_LOCAL)
		record(c, i, a);
}
