#include "build_history.h"

#include "build_priv.h"
#include "ctx.h"
#include "exit.h"
#include "machine.h"
#include "util/clock.h"

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

/* The first name it gets, without its tag; else the Dockerfile's path. */
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
	return arena_str(r->a, str_of(reference_name(&ref, text)));
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

int build_history_keep(struct build_run *r, int result, const struct cairn_err *why,
                       struct cairn_err *err)
{
	cleanup_history struct history *h = NULL;
	struct report rep = { 0 };
	struct history_build b = { 0 };

	if (store_read_only(r->store) || (result == 0 && !engine_ran(r->build)))
		return 0;
	engine_report(r->build, false, &rep, r->a);
	b.wall_ns = (uint64_t)(clock_monotonic() - r->started);
	b.time = clock_now() - (int64_t)b.wall_ns;
	b.image = image_name(r);
	b.category = str_of(ctx_env(r->ctx->envp, "CAIRN_CATEGORY"));
	b.base = base_name(&rep);
	b.commit = commit(r);
	b.input = engine_key(r->build);
	b.outcome = outcome_of(&rep, result, why);
	build_history_machine(r->ctx->envp, r->ctx->home, r->a, &b.runner);
	set_steps(&rep, r->a, &b);
	TRY(history_open(r->ctx->home, false, &h, err));
	return history_add(h, &b, err);
}
