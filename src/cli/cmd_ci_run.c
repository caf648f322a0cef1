#include "ci_run.h"
#include "commands.h"
#include "exit.h"
#include "table.h"
#include "util/json.h"
#include "util/num.h"

struct ci_command {
	struct plan_cmd_opts plan;
	struct ci_opts ci;
	bool dry_run, exit_code, json, no_logs;
};

#define OUT_MAX (16u << 20)

/* --- the result ------------------------------------------------------------------------- */

static void set_text(json_t *o, const char *key, str value)
{
	if (value.len)
		(void)json_object_set_new(o, key, json_str(value));
}

static json_t *attempt_json(const struct ci_attempt *a)
{
	json_t *o = json_object();

	set_text(o, "runner", a->task.runner->c.name);
	set_text(o, "driver", str_of(runner_driver_name(a->task.runner->c.driver)));
	set_text(o, "id", a->id);
	set_text(o, "url", a->url);
	set_text(o, "outcome", str_of(history_outcome_name(a->outcome)));
	set_text(o, "why", a->why);
	set_text(o, "fallback", a->task.fallback);
	(void)json_object_set_new(o, "queue_ns", json_integer((json_int_t)a->queue_ns));
	(void)json_object_set_new(o, "wall_ns", json_integer((json_int_t)a->wall_ns));
	(void)json_object_set_new(o, "cost_micro_usd", json_integer((json_int_t)a->cost));
	return o;
}

static void print_json(const struct ci *c, FILE *out)
{
	cleanup_json json_t *top = json_object();
	cleanup_strbuf struct strbuf text;
	json_t *images = json_array();

	for (size_t k = 0; k < c->len; k++) {
		const struct ci_image *i = &c->ptr[k];
		json_t *o = json_object(), *attempts = json_array();

		set_text(o, "image", i->plan->image->name);
		set_text(o, "result", str_of(ci_state_name(i->state)));
		set_text(o, "why", i->why.len ? i->why : i->plan->why);
		vec_foreach (a, &i->attempts)
			(void)json_array_append_new(attempts, attempt_json(*a));
		(void)json_object_set_new(o, "attempts", attempts);
		(void)json_array_append_new(images, o);
	}
	(void)json_object_set_new(top, "images", images);
	strbuf_init(&text, OUT_MAX);
	json_write(top, &text);
	(void)fprintf(out, "%s\n", text.ptr);
}

static void cell(struct table *t, str s)
{
	cleanup_free char *text = str_dup(s);

	table_cell(t, text);
}

static void summary_row(const struct ci_image *i, struct table *t)
{
	const struct ci_attempt *last = i->attempts.len ? *vec_last(&i->attempts) : NULL;
	char text[64] = "-";
	uint64_t ns = 0, cost = 0;

	vec_foreach (a, &i->attempts) {
		ns += (*a)->queue_ns + (*a)->wall_ns;
		cost += (*a)->cost;
	}
	cell(t, i->plan->image->name);
	table_cell(t, ci_state_name(i->state));
	cell(t, last ? last->task.runner->c.name : S("-"));
	(void)snprintf(text, sizeof(text), "%zu", i->attempts.len);
	table_cell(t, text);
	table_cell(t, ns ? num_human_ns(ns, text, sizeof(text)) : "-");
	(void)snprintf(text, sizeof(text), "%.4f", (double)cost / 1e6);
	table_cell(t, text);
	cell(t, i->why.len ? i->why : i->plan->why);
}

static void summary(const struct ci *c, FILE *out)
{
	static const char *const headings[] = { "IMAGE", "RESULT", "RUNNER", "ATTEMPTS",
		                                "TIME",  "USD",    "WHY",    NULL };
	struct table *t = table_new(headings);
	bool any = false;

	for (size_t k = 0; k < c->len; k++) {
		if (c->ptr[k].state == CI_UNCHANGED)
			continue;
		any = true;
		summary_row(&c->ptr[k], t);
	}
	table_print(t, any ? out : NULL);
	(void)fprintf(out, "%zu built, %zu retagged, %zu unchanged, %zu failed, %zu not built\n",
	              c->n[CI_BUILT], c->n[CI_RETAGGED], c->n[CI_UNCHANGED], c->n[CI_FAILED],
	              c->n[CI_BLOCKED] + c->n[CI_STOPPED]);
}

/* --- the command ------------------------------------------------------------------------ */

static int carry_out(struct cli_call *call, const struct ci_command *o, struct ci *c,
                     struct interrupt *in, struct cairn_err *err)
{
	int r = ci_run(c, in, err);

	if (o->json)
		print_json(c, call->ctx->out);
	else if (!o->ci.quiet)
		summary(c, call->ctx->out);
	TRY(r);
	if (c->n[CI_FAILED])
		return cairn_fail(err, c->denied ? CAIRN_E_AUTH : CAIRN_E_STEP,
		                  "%zu of %zu images failed; see above", c->n[CI_FAILED], c->len);
	if (o->exit_code && !c->n[CI_BUILT] && !c->n[CI_RETAGGED])
		call->exit_code = EXIT_CODE_NOTHING;
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct ci_command *o = call->opts;
	cleanup_interrupt struct interrupt *in = NULL;
	struct plan_run r cleanup_plan_run = { 0 };
	struct ci c cleanup_ci = { 0 };

	o->plan.git = true; /* steps are predicted */
	o->plan.pushed = o->ci.push;
	o->ci.config = o->plan.config;
	o->ci.logs = !o->no_logs;
	TRY(interrupt_new(call->ctx->envp, &in, err));
	TRY(plan_run(&r, call->ctx, &o->plan, (const char *const *)call->argv, (size_t)call->argc,
	             err));
	TRY(ci_run_prepare(&c, &r, &o->ci, err));
	return o->dry_run ? ci_run_dry(&c, call->ctx->out, err) : carry_out(call, o, &c, in, err);
}

#define T struct ci_command

static const struct cli_opt opts[] = {
	{ "back-off", 0, OPT_DURATION(T, ci.back_off), .arg = "DURATION",
	  .help = "First wait for a runner that is down or at its limit; it doubles (default 5s)" },
	{ "bake", 0, OPT_STRING(T, plan.bake), .arg = "FILE", .hint = CLI_HINT_FILE,
	  .help = "Read the images from docker-bake.json or a compose file" },
	SETTINGS_OPTION(T, plan.config),
	{ "dry-run", 0, OPT_FLAG(T, dry_run),
	  .help = "Print the requests that would start builds, and start none" },
	{ "exit-code", 0, OPT_FLAG(T, exit_code),
	  .help = "Exit with 13 when there was nothing to do" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print the result as JSON" },
	{ "no-logs", 0, OPT_FLAG(T, no_logs), .help = "Do not show what builds print" },
	{ "poll", 0, OPT_DURATION(T, ci.poll_ns), .arg = "DURATION",
	  .help = "How soon a build elsewhere is looked at again; grows up to 15s (default 3s)" },
	{ "push", 0, OPT_FLAG(T, ci.push),
	  .help = "Push what is built here, as 'cairn up --push'" },
	{ "quiet", 'q', OPT_FLAG(T, ci.quiet), .help = "Print only what fails" },
	{ 0 },
};

static const struct ci_command defaults = {
	.ci = { .poll_ns = 3000000000ull, .back_off = 5000000000ull },
};

static const struct cli_example examples[] = {
	{ "cairn ci run --dry-run", "what would be started where" },
	{ "cairn ci run --push", "build what changed, each image on its runner" },
	{ 0 },
};

const struct cli_cmd cmd_ci_run = {
	.name = "ci run",
	.group = "Pipeline",
	.summary = "Build what changed, each image on the machine that it is routed to",
	.description =
		"Does what 'cairn plan' says on the runners that it names: starts builds of CodeBuild, runs of a "
		"GitHub workflow and processes of this machine, several at once as far as runners have places, "
		"those first on which others stand. What they print is shown behind the image's name. Out of "
		"memory, it goes to a larger machine; interrupted, again from the cache; a runner that is down or "
		"at its account's limit is asked again, then another one. Each attempt is kept in the history. "
		"Ctrl-C and SIGTERM stop what was started.\n"
		"\n"
		"Machines elsewhere build the commit that is checked out here: it has to be pushed. CodeBuild "
		"wants AWS credentials with codebuild:StartBuild, BatchGetBuilds, StopBuild and "
		"logs:GetLogEvents; GitHub a token in GITHUB_TOKEN or GH_TOKEN with 'actions: write'. docs/ci.md "
		"says what the project and the workflow have to do.",
	.args = "[OPTIONS] [IMAGE|GROUP|PATTERN...]",
	.max_args = CLI_ARGS_ANY,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE,
	.opts = opts,
	.opts_size = sizeof(T),
	.defaults = &defaults,
	.run = run,
	.examples = examples,
};
