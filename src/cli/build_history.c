#include "build_history.h"

#include "build_cache.h"
#include "build_priv.h"
#include "ctx.h"
#include "exit.h"
#include "history_share.h"
#include "machine.h"
#include "route/route.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/pool.h"

/* --- the machine ------------------------------------------------------------------------ */

/* The variable that each sets; the last row holds everywhere. */
static const struct {
	const char *variable, *driver;
} drivers[] = {
	{ "CODEBUILD_BUILD_ID", "codebuild" },
	{ "GITHUB_ACTIONS", "github" },
	{ NULL, "local" },
};

void build_history_machine(char *const *envp, const char *home, struct arena *a,
                           struct history_runner *ret)
{
	const struct platform host = platform_host();
	const char *name = ctx_env(envp, "CAIRN_RUNNER");
	struct host_machine m;
	size_t i = 0;

	machine_measure(home, &m);
	while (drivers[i].variable && !ctx_env(envp, drivers[i].variable))
		i++;
	*ret = (struct history_runner){ .name = str_of(name ? name : drivers[i].driver),
		                        .driver = str_of(drivers[i].driver),
		                        .cpus = m.cpus,
		                        .memory = m.memory,
		                        .disk = m.disk,
		                        .arch = arena_str(a, str_of(host.arch)) };
}

/* --- the build -------------------------------------------------------------------------- */

static bool any_oom(const struct report *rep)
{
	for (size_t i = 0; i < rep->n_steps; i++)
		if (rep->steps[i].oom)
			return true;
	return false;
}

static enum history_outcome outcome_of(const struct report *rep, int result,
                                       const struct cairn_err *why)
{
	if (result == 0)
		return HISTORY_OK;
	if (any_oom(rep))
		return HISTORY_MEMORY;
	if (exit_disk_full(why))
		return HISTORY_DISK;
	if (result == CAIRN_E_CANCELLED)
		return HISTORY_INTERRUPTED;
	if (result == CAIRN_E_TRANSIENT || result == CAIRN_E_TIMEOUT)
		return HISTORY_UNAVAILABLE;
	return HISTORY_FAILED;
}

/* The first name it gets, as people write it, without its tag; else the Dockerfile's path. */
static str image_name(const struct build_run *r)
{
	struct cairn_err ignored;
	struct reference ref;
	char text[REFERENCE_TEXT_MAX];
	const char *name = ctx_env(r->ctx->envp, "CAIRN_IMAGE");

	if (name)
		return str_of(name);
	if (!r->o->tags.len || reference_parse(str_of(r->o->tags.ptr[0]), &ref, &ignored) < 0)
		return str_of(r->path);
	ref.tag[0] = '\0';
	return arena_str(r->a, str_of(reference_familiar(&ref, text)));
}

/* The base of the last stage that has one: "[2/3] FROM debian:12" names it. */
static str base_name(const struct report *rep)
{
	str base = { 0 };

	for (size_t i = 0; i < rep->n_steps; i++)
		if (str_is(rep->steps[i].kind, REPORT_KIND_BASE))
			base = rep->steps[i].text;
	return str_starts(base, S("FROM ")) ? str_skip(base, 5) : base;
}

static str commit(const struct build_run *r)
{
	static const char *const variables[] = { "CODEBUILD_RESOLVED_SOURCE_VERSION",
		                                 "GITHUB_SHA" };

	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		if (ctx_env(r->ctx->envp, variables[i]))
			return str_of(ctx_env(r->ctx->envp, variables[i]));
	return (str){ 0 };
}

static void set_steps(const struct report *rep, struct arena *a, struct history_build *b)
{
	b->steps = arena_array(a, struct history_step, rep->n_steps);
	for (size_t i = 0; i < rep->n_steps; i++) {
		const struct report_step *s = &rep->steps[i];
		struct history_step *to = &b->steps[b->n_steps];

		if (s->result == REPORT_WOULD) /* it did not come to that */
			continue;
		*to = (struct history_step){ .name = s->name,
			                     .kind = s->kind,
			                     .key = s->key,
			                     .hit = s->result == REPORT_HIT,
			                     .cpu_ns = s->cpu_ns,
			                     .memory = s->memory,
			                     .bytes = s->bytes };
		if (!to->hit)
			to->wall_ns = s->cost_ns;
		if (to->memory > b->memory)
			b->memory = to->memory;
		b->disk += to->bytes;
		b->n_steps++;
	}
}

/* --- money and predictions ------------------------------------------------------------------ */

#define PREDICT_FROM 50 /* newest records of the image */

/* What the machine costs, where its name is known. */
static void set_cost(const struct runner *runner, struct history_build *b)
{
	if (!runner)
		return;
	b->runner.driver = str_of(runner_driver_name(runner->c.driver));
	b->runner.spot = runner->c.spot;
	b->cost = route_price(runner, b->queue_ns + b->wall_ns);
}

/* What would have been said before the build, of the steps that ran, from the records before it. */
static void set_prediction(struct build_run *r, const struct runner *runner,
                           struct history_build *b)
{
	struct history_query q = {
		.image = b->image, .limit = PREDICT_FROM, .steps = true, .worked = true
	};
	cleanup_history struct history *h = NULL;
	cleanup_predictor struct predictor *p = NULL;
	struct history_build *known;
	struct cairn_err ignored;
	struct route_work w;
	struct prediction got;
	size_t n;

	predict_work_of(b, r->a, &w);
	if (!w.n_steps || history_open(r->ctx->home, true, &h, &ignored) < 0 ||
	    history_find(h, &q, r->a, &known, &n, &ignored) < 0 || !n)
		return;
	p = predictor_new(known, n);
	predict(p, &w, b->runner.cpus, &got);
	b->predicted_ns = got.run_ns;
	b->predicted_memory = got.enough ? got.memory : 0;
	b->predicted_cost = runner ? route_price(runner, got.run_ns) : 0;
}

static void set_route(struct build_run *r, struct history_build *b)
{
	const char *name = ctx_env(r->ctx->envp, "CAIRN_RUNNER");
	cleanup_runners struct runners *runners = NULL;
	const struct runner *runner = NULL;
	struct cairn_err ignored;

	if (name && runners_load(r->ctx->config, &runners, &ignored) == 0)
		runner = runners_get(runners, str_of(name));
	b->fallback = str_of(ctx_env(r->ctx->envp, "CAIRN_FALLBACK"));
	b->attempt = str_of(ctx_env(r->ctx->envp, "CAIRN_ATTEMPT"));
	set_cost(runner, b);
	if (engine_ran(r->build))
		set_prediction(r, runner, b);
}

static void make(struct build_run *r, int result, const struct cairn_err *why,
                 struct history_build *b)
{
	struct report rep = { 0 };

	engine_report(r->build, false, &rep, r->a);
	b->wall_ns = (uint64_t)(clock_monotonic() - r->started);
	b->time = clock_now() - (int64_t)b->wall_ns;
	b->image = image_name(r);
	b->category = str_of(ctx_env(r->ctx->envp, "CAIRN_CATEGORY"));
	b->base = base_name(&rep);
	b->commit = commit(r);
	b->input = engine_key(r->build);
	b->outcome = outcome_of(&rep, result, why);
	build_history_machine(r->ctx->envp, r->ctx->home, r->a, &b->runner);
	set_steps(&rep, r->a, b);
	b->pulled = atomic_load(&r->traffic.received);
	b->pushed = atomic_load(&r->traffic.sent);
	set_route(r, b);
}

/* --- other machines ---------------------------------------------------------------------- */

/* A cache that is written and answers. */
struct told {
	struct build_record *record;
	struct remote *remote;
	struct history_before *before; /* what it held when the work was done; NULL: not known */
};

/* What is made once, and who is told of it. */
struct build_record {
	struct history_build b;
	struct told *to;
	size_t n;
	bool made; /* else it has only its id */
};

static void find_remotes(struct build_run *r, struct build_record *rec)
{
	const struct build_caches *c = r->caches;

	rec->to = arena_array(r->a, struct told, c ? c->n_targets : 0);
	for (size_t i = 0; c && i < c->n_targets; i++)
		if (remote_ready(c->targets[i].remote))
			rec->to[rec->n++] = (struct told){ rec, c->targets[i].remote, NULL };
}

static int look(void *ctx, struct cairn_err *err)
{
	struct told *t = ctx;

	return history_share_look(t->remote, &t->record->b, &t->before, err);
}

static int share(void *ctx, struct cairn_err *err)
{
	const struct told *t = ctx;

	if (history_share_put(t->remote, &t->record->b, t->before, err) < 0)
		log_debug("no record of this build is left in %s: %s", remote_name(t->remote),
		          err->msg);
	return 0;
}

static void for_all(struct build_run *r, int (*run)(void *ctx, struct cairn_err *err))
{
	for (size_t i = 0; i < r->record->n; i++)
		pool_add(build_remote_teller(r),
		         (struct pool_task){ .run = run, .ctx = &r->record->to[i] });
}

/* A record that has an id, and nothing else yet. */
static void begin(struct build_run *r, bool shared)
{
	struct cairn_err ignored;

	r->record = arena_new_of(r->a, struct build_record);
	if (history_id(&r->record->b, &ignored) == 0 && shared)
		find_remotes(r, r->record);
}

void build_history_ask(struct build_run *r)
{
	if (store_read_only(r->store) || r->record || !engine_ran(r->build))
		return;
	begin(r, true);
	for_all(r, look);
}

void build_history_share(struct build_run *r)
{
	if (store_read_only(r->store))
		return;
	if (!r->record)
		begin(r, engine_ran(r->build));
	make(r, 0, NULL, &r->record->b);
	r->record->made = true;
	for_all(r, share);
}

void build_history_drop(struct build_run *r)
{
	for (size_t i = 0; r->record && i < r->record->n; i++)
		history_before_free(steal_ptr(&r->record->to[i].before));
}

/* Who failed is told of when there is nothing more to be waited for. */
static void share_failure(struct build_run *r, int result, const struct cairn_err *why)
{
	struct cairn_err ignored;

	if (!r->record)
		begin(r, result < 0 || engine_ran(r->build));
	if (r->teller)
		pool_wait(r->teller); /* what looks at the record */
	make(r, result, why, &r->record->b);
	r->record->made = true;
	for (size_t i = 0; i < r->record->n && !atomic_load(&r->net_cancel); i++)
		(void)share(&r->record->to[i], &ignored);
}

int build_history_keep(struct build_run *r, int result, const struct cairn_err *why,
                       struct cairn_err *err)
{
	cleanup_history struct history *h = NULL;
	int got;

	if (store_read_only(r->store))
		return 0;
	if (!r->record || !r->record->made)
		share_failure(r, result, why);
	got = history_open(r->ctx->home, false, &h, err);
	if (got == 0)
		got = history_add(h, &r->record->b, err);
	return got;
}
