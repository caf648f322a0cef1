/* cairn ci init */
#include "ci/ci.h"
#include "commands.h"
#include "settings.h"
#include "util/proc.h"

#define GIT_TIMEOUT_NS (10ull * 1000000000ull)

struct init_cli_opts {
	int driver;
	const char *region, *cache, *branch;
	bool force, undo, dry_run;
};

static const char *const drivers[] = {
	[INIT_GITHUB] = "github", [INIT_CODEBUILD] = "codebuild", [INIT_HYBRID] = "hybrid", NULL
};

static const char *const actions[] = {
	[INIT_WRITE] = "wrote",        [INIT_REPLACE] = "replaced", [INIT_EXTEND] = "extended",
	[INIT_KEEP] = "left as it is", [INIT_REMOVE] = "removed",   [INIT_RESTORE] = "restored",
};

/* What git calls the branch that others start from; "main" when it says nothing. */
static str default_branch(const char *root, struct arena *a)
{
	static const char *const questions[][3] = {
		{ "symbolic-ref", "--short", "refs/remotes/origin/HEAD" },
		{ "symbolic-ref", "--short", "HEAD" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(questions); i++) {
		const char *const argv[] = {
			"git", "-C", root, questions[i][0], questions[i][1], questions[i][2], NULL
		};
		const struct proc_opts o = { .argv = argv, .timeout_ns = GIT_TIMEOUT_NS };
		struct proc_result r cleanup_proc_result;
		struct cairn_err ignored;
		str name;

		proc_result_init(&r, 1024);
		if (proc_run(&o, &r, &ignored) < 0 || r.exit_code != 0)
			continue;
		name = str_trim(strbuf_view(&r.output));
		if (str_starts(name, S("origin/")))
			name = str_skip(name, sizeof("origin/") - 1);
		if (name.len)
			return arena_str(a, name);
	}
	return S("main");
}

static void print(const struct init_result *r, bool texts, FILE *out)
{
	vec_foreach (f, &r->files) {
		if (!texts)
			(void)fprintf(out, "%-13s %.*s\n", actions[f->action], STR(f->path));
		else if (f->action != INIT_KEEP)
			(void)fprintf(out, "--- %.*s\n%.*s", STR(f->path), STR(f->text));
	}
}

static void print_next(const struct init_cli_opts *o, FILE *out)
{
	(void)fputs("\nNext:\n", out);
	if (!o->cache)
		(void)fputs("  name a bucket or a registry under `cache:` in cairn.yaml\n", out);
	if (o->driver != INIT_CODEBUILD)
		(void)fputs(
			"  set the secrets AWS_ROLE and CAIRN_URL of the repository (the workflow says what they are)\n",
			out);
	if (o->driver != INIT_GITHUB)
		(void)fputs("  set CAIRN_URL of the CodeBuild project, and privileged mode\n", out);
	(void)fputs("  cairn plan      what would be built now\n"
	            "  cairn ci check  what older CI files cost\n",
	            out);
}

static int write_files(struct cli_call *call, const char *root, struct init_result *r,
                       struct cairn_err *err)
{
	const struct init_cli_opts *o = call->opts;
	struct init_opts opts = {
		.root = root,
		.driver = (enum init_driver)o->driver,
		.region = str_of(o->region),
		.cache = str_of(o->cache),
		.force = o->force,
	};

	opts.branch = o->branch ? str_of(o->branch) : default_branch(root, r->arena);
	TRY(init_plan(&opts, r, err));
	if (o->dry_run) {
		print(r, true, call->ctx->out);
		return 0;
	}
	TRY(init_write(&opts, r, err));
	print(r, false, call->ctx->out);
	print_next(o, call->ctx->out);
	return 0;
}

/* What goes into a text must not change what the text says. */
static int check_value(const char *option, const char *value, struct cairn_err *err)
{
	for (const char *c = value ? value : ""; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"'#{}[],&*!|>%@`\\", *c))
			return cairn_fail(err, CAIRN_E_USAGE, "--%s: '%c' cannot stand in '%s'",
			                  option, *c, value);
	return 0;
}

/* What is written is what every later command reads. */
static int check_cache(const char *url, struct cairn_err *err)
{
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_free char *text = xasprintf("cache: %s\n", url ? url : "");
	struct cairn_err why;

	TRY(check_value("cache", url, err));
	if (url && workspace_config_parse(str_of(text), "--cache", "/", &c, &why) < 0)
		return cairn_fail(err, CAIRN_E_USAGE, "--cache: %s", why.msg);
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct init_cli_opts *o = call->opts;
	const char *root = call->argc ? call->argv[0] : ".";
	struct init_result r __attribute__((cleanup(init_result_done)));

	init_result_init(&r);
	TRY(check_value("region", o->region, err));
	TRY(check_value("branch", o->branch, err));
	TRY(check_cache(o->cache, err));
	if (!o->undo)
		return write_files(call, root, &r, err);
	TRY(init_undo(root, o->force, &r, err));
	print(&r, false, call->ctx->out);
	return 0;
}

#define T struct init_cli_opts

static const struct cli_opt opts[] = {
	{ "branch", 0, OPT_STRING(T, branch), .arg = "NAME",
	  .help = "Build pushes to this branch (default: git's default branch)" },
	{ "cache", 0, OPT_STRING(T, cache), .arg = "URL",
	  .help = "Where machines share results, as in cairn.yaml: s3://BUCKET/PREFIX, registry://HOST/REPOSITORY" },
	{ "driver", 0, OPT_ENUM(T, driver, drivers), .arg = "github|codebuild|hybrid",
	  .help = "Whose files to write (default: github)" },
	{ "dry-run", 0, OPT_FLAG(T, dry_run), .help = "Print what would be written" },
	{ "force", 0, OPT_FLAG(T, force),
	  .help = "Replace files that are there; with --undo: also edited ones" },
	{ "region", 0, OPT_STRING(T, region), .arg = "REGION",
	  .help = "AWS region (default: us-east-1)" },
	{ "undo", 0, OPT_FLAG(T, undo), .help = "Take back what the last run wrote" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn ci init --region eu-central-1 --cache s3://my-bucket/cairn",
	  "a workflow, and a section of cairn.yaml" },
	{ "cairn ci init --undo", "everything as it was" },
	{ 0 },
};

static const struct init_cli_opts defaults = { .region = "us-east-1" };

const struct cli_cmd cmd_ci_init = {
	.name = "ci init",
	.group = "Pipeline",
	.summary = "Write the CI files of a repository",
	.description =
		"Writes a GitHub workflow (.github/workflows/build-containers.yml), a buildspec.yml, or both, and a section "
		"of cairn.yaml: plan, build what changed, share results between runners, credentials by OIDC. They are "
		"short, commented, and yours to edit. A file that is there is not touched without --force.\n"
		"\n"
		"--undo restores every file byte for byte; one that was edited since is not touched without --force.",
	.args = "[OPTIONS] [PATH]",
	.min_args = 0,
	.max_args = 1,
	.hint = CLI_HINT_DIR,
	.opts = opts,
	.opts_size = sizeof(T),
	.defaults = &defaults,
	.run = run,
	.examples = examples,
};
