#include "commands.h"
#include "exit.h"
#include "table.h"
#include "up_run.h"
#include "util/num.h"

struct up_command {
	struct plan_cmd_opts plan;
	struct up_opts up;
	bool exit_code;
};

static const char *const states[UP_STATES_] = {
	[UP_SKIPPED] = "unchanged", [UP_WAITING] = "not built", [UP_RUNNING] = "running",
	[UP_BUILT] = "built",       [UP_RETAGGED] = "retagged", [UP_FAILED] = "failed",
	[UP_BLOCKED] = "not built",
};

static void cell(struct table *t, str s)
{
	cleanup_free char *text = str_dup(s);

	table_cell(t, text);
}

static void summary(const struct up *u, FILE *out)
{
	static const char *const headings[] = { "IMAGE", "RESULT", "TIME", "WHY", NULL };
	struct table *t = table_new(headings);
	bool any = false;

	for (size_t k = 0; k < u->len; k++) {
		const struct up_image *i = &u->ptr[k];
		char time[32] = "-";

		if (i->state == UP_SKIPPED)
			continue;
		any = true;
		cell(t, i->plan->image->name);
		table_cell(t, states[i->state]);
		table_cell(t, i->wall_ns ? num_human_ns(i->wall_ns, time, sizeof(time)) : time);
		cell(t, i->why.len ? i->why : i->plan->why);
	}
	table_print(t, any ? out : NULL);
	(void)fprintf(out, "%zu built, %zu retagged, %zu unchanged, %zu failed, %zu not built\n",
	              u->n[UP_BUILT], u->n[UP_RETAGGED], u->n[UP_SKIPPED], u->n[UP_FAILED],
	              u->n[UP_BLOCKED]);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct up_command *o = call->opts;
	struct plan_run r cleanup_plan_run = { 0 };
	struct up u cleanup_up = { 0 };

	o->plan.pushed = o->up.push;
	o->up.config = o->plan.config;
	TRY(plan_run(&r, call->ctx, &o->plan, (const char *const *)call->argv, (size_t)call->argc,
	             err));
	TRY(up_run(&r, &o->up, &u, err));
	if (!o->up.quiet)
		summary(&u, call->ctx->out);
	if (u.n[UP_FAILED])
		return cairn_fail(err, CAIRN_E_STEP, "%zu of %zu images failed; see above",
		                  u.n[UP_FAILED], u.len);
	if (o->exit_code && !u.n[UP_BUILT] && !u.n[UP_RETAGGED])
		call->exit_code = EXIT_CODE_NOTHING;
	return 0;
}

#define T struct up_command

static const struct cli_opt opts[] = {
	PLAN_BAKE_OPTION(T, plan.bake),
	SETTINGS_OPTION(T, plan.config),
	{ "exit-code", 0, OPT_FLAG(T, exit_code),
	  .help = "Exit with 13 when there was nothing to do" },
	{ "jobs", 'j', OPT_UINT(T, up.jobs), .arg = "N",
	  .help = "Images that are built at once (default: as memory, disk and processors allow)" },
	{ "push", 0, OPT_FLAG(T, up.push), .help = "Push images whose tags name a registry" },
	{ "quiet", 'q', OPT_FLAG(T, up.quiet), .help = "Print only what fails" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn up", "build what changed, in the right order" },
	{ "cairn up --push api worker", "these two, with what they stand on, and push them" },
	{ 0 },
};

const struct cli_cmd cmd_up = {
	.name = "up",
	.group = "Building",
	.summary = "Build the images of a repository that need it",
	.description =
		"Does what 'cairn plan' says: builds the images whose input has changed, those first on which "
		"others stand, several at once as far as memory and disk allow; sets tags that are missing "
		"without moving bytes. An image that fails stops only those that stand on it.",
	.args = "[OPTIONS] [IMAGE|GROUP|PATTERN...]",
	.max_args = CLI_ARGS_ANY,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
