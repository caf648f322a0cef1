#include "commands.h"
#include "ctx.h"
#include "plan_print.h"
#include "plan_reasons.h"
#include "plan_run.h"
#include "util/num.h"

enum plan_format {
	FORMAT_TABLE,
	FORMAT_JSON,
	FORMAT_GITHUB,
	FORMAT_CODEBUILD,
};

static const char *const formats[] = { "table", "json", "github", "codebuild", NULL };

struct plan_command {
	struct plan_cmd_opts plan;
	enum plan_format format;
	bool json;
	const char *explain, *budget;
};

/* What starts the machines decides which can be chosen. */
static const unsigned drivers[] = {
	[FORMAT_TABLE] = 0,
	[FORMAT_JSON] = 0,
	[FORMAT_GITHUB] = PLAN_GITHUB_DRIVERS,
	[FORMAT_CODEBUILD] = PLAN_CODEBUILD_DRIVERS,
};

/* one: of --explain, or NULL */
static int show(const struct plan_run *r, const struct plan_route *route,
                const struct plan_command *o, const struct plan_image *one, struct cairn_err *err)
{
	struct cairn_ctx *ctx = r->ctx;
	struct plan_github to = { ctx_env(ctx->envp, "GITHUB_OUTPUT"),
		                  ctx_env(ctx->envp, "GITHUB_STEP_SUMMARY"),
		                  ctx_env(ctx->envp, "GITHUB_RUN_ID"),
		                  ctx_env(ctx->envp, "GITHUB_RUN_ATTEMPT") };

	if (one && !o->json) {
		plan_print_image(r->plan, route, one, ctx->out);
		return 0;
	}
	switch (o->json ? FORMAT_JSON : o->format) {
	case FORMAT_JSON:
		plan_print_json(r->plan, route, ctx->out);
		break;
	case FORMAT_GITHUB:
		return plan_print_github(r->plan, route, &to, ctx->out, err);
	case FORMAT_CODEBUILD:
		plan_print_codebuild(r->plan, route, ctx->out);
		break;
	case FORMAT_TABLE:
		plan_print_table(r->plan, route, ctx->out);
		break;
	}
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct plan_command *o = call->opts;
	cleanup_plan_route struct plan_route *route = NULL;
	struct plan_run r cleanup_plan_run = { 0 };
	struct plan_route_opts ro = { .home = call->ctx->home };
	struct plan_image *one = NULL;

	if (o->budget) {
		if (num_money(str_of(o->budget), &ro.goal.budget, err) < 0)
			return cairn_fail(err, CAIRN_E_USAGE,
			                  "--budget: '%s' is no amount of USD, such as 0.05",
			                  o->budget);
		ro.goal.aim = ROUTE_FAST;
	}
	ro.goal.drivers = drivers[o->json ? FORMAT_JSON : o->format];
	o->plan.git = true;
	TRY(plan_run(&r, call->ctx, &o->plan, (const char *const *)call->argv, (size_t)call->argc,
	             err));
	ro.plan = r.plan;
	ro.config = call->ctx->config;
	ro.remotes = r.caches->remotes;
	ro.n_remotes = r.caches->n;
	ro.net = r.net_pool;
	TRY(plan_route_make(&ro, &route, err));
	if (o->explain) {
		one = plan_get(r.plan, str_of(o->explain));
		if (!one)
			return cairn_fail(err, CAIRN_E_NOT_FOUND,
			                  "there is no image '%s' in the plan", o->explain);
		plan_reasons(&r, one);
	}
	return show(&r, route, o, one, err);
}

#define T struct plan_command

static const struct cli_opt opts[] = {
	PLAN_BAKE_OPTION(T, plan.bake),
	{ "base", 0, OPT_STRING(T, plan.base), .arg = "REV",
	  .help = "Revision of git that changes are told from; decides nothing" },
	{ "budget", 0, OPT_STRING(T, budget), .arg = "USD",
	  .help = "Take the fastest runner that costs no more than this an image, not the cheapest" },
	SETTINGS_OPTION(T, plan.config),
	{ "explain", 0, OPT_STRING(T, explain), .arg = "IMAGE",
	  .help = "Tell everything about one image, and why each step runs" },
	{ "format", 0, OPT_ENUM(T, format, formats), .arg = "table|json|github|codebuild",
	  .help = "How to print: for people, as JSON, for GitHub Actions, as a batch of CodeBuild" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "pushed", 0, OPT_FLAG(T, plan.pushed),
	  .help = "An image that was built and never pushed is to be built" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn plan", "which images of this repository need building, and why" },
	{ "cairn plan --explain api", "everything about one image" },
	{ "cairn plan --format github", "in a workflow: a matrix for the job that builds" },
	{ 0 },
};

const struct cli_cmd cmd_plan = {
	.name = "plan",
	.group = "Building",
	.summary = "Show which images of a repository need building, and why",
	.description =
		"The images are those of cairn.yaml, of --bake FILE, or every Dockerfile of the repository. "
		"What decides is content: an image's input key is made of what its Dockerfile means, the files "
		"that its steps can reach, its arguments, its base images and the images it stands on. When an "
		"image with the same input was built before, here or by anybody who shares the caches of "
		"cairn.yaml, it is not built again: whichever commit it was built from, and whatever git says.\n"
		"\n"
		"Nothing is built and nothing is written but what the store remembers of files and of builds. The exit code is "
		"0 whatever is to be done; docs/plan.md describes the formats.",
	.args = "[OPTIONS] [IMAGE|GROUP|PATTERN...]",
	.max_args = CLI_ARGS_ANY,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
