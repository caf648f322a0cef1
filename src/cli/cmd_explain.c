#include "build_opts.h"
#include "build_report.h"
#include "commands.h"
#include "image_lookup.h"

struct explain_opts {
	bool json, last, dry_run;
	struct cli_build_opts build; /* --dry-run */
};

/* The image's own build, or the last one of all. */
static int find(struct cli_call *call, struct arena *a, struct report **ret, struct cairn_err *err)
{
	struct store *s = call->ctx->store;
	struct image_hit hit;
	int r;

	if (!call->argc)
		return s ? build_report_find(s, NULL, a, ret, err) : 0;
	TRY(image_lookup(s, call->argv[0], &hit, err));
	r = build_report_find(s, &hit.image.config, a, ret, err);
	image_hit_done(&hit);
	return r;
}

static int show(struct cli_call *call, struct cairn_err *err)
{
	const struct explain_opts *o = call->opts;
	cleanup_arena struct arena *a = arena_new();
	struct report *r = NULL;

	TRY(find(call, a, &r, err));
	if (!r && call->argc)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "no report of how '%s' was built is in the store; it was built "
		                  "elsewhere, or imported",
		                  call->argv[0]);
	if (!r)
		return cairn_fail(
			err, CAIRN_E_NOT_FOUND,
			"no build is known here yet; 'cairn explain --dry-run PATH' tells "
			"what a build would do");
	if (o->json)
		build_report_json(r, call->ctx->out);
	else
		build_report_print(r, call->ctx->color_out, call->ctx->out);
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct explain_opts *o = call->opts;

	if (!o->dry_run)
		return show(call, err);
	o->build.context = call->argc ? call->argv[0] : ".";
	o->build.progress = PROGRESS_QUIET;
	return build_explain(&o->build, call->ctx, o->json, err);
}

#define T struct explain_opts

static const struct cli_opt opts[] = {
	{ "build-arg", 0, OPT_LIST(T, build.build_args), .arg = "KEY[=VALUE]",
	  .help = "With --dry-run: as for build" },
	{ "build-context", 0, OPT_LIST(T, build.contexts), .arg = "NAME=PATH",
	  .help = "With --dry-run: as for build" },
	{ "cache-from", 0, OPT_LIST(T, build.cache_from), .arg = "REF|type=TYPE,...",
	  .help = "With --dry-run: as for build" },
	{ "cache-to", 0, OPT_LIST(T, build.cache_to), .arg = "REF|type=TYPE,...",
	  .help = "With --dry-run: taken as for build; nothing is written" },
	{ "dry-run", 0, OPT_FLAG(T, dry_run),
	  .help = "Tell what a build of PATH would do; nothing is built" },
	{ "file", 'f', OPT_STRING(T, build.file), .arg = "FILE", .hint = CLI_HINT_FILE,
	  .help = "With --dry-run: the Dockerfile" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "last", 0, OPT_FLAG(T, last), .help = "The last build (the default without IMAGE)" },
	{ "no-cache", 0, OPT_FLAG(T, build.no_cache), .help = "With --dry-run: as for build" },
	{ "platform", 0, OPT_LIST(T, build.platforms), .arg = "OS/ARCH",
	  .help = "With --dry-run: as for build" },
	{ "tag", 't', OPT_LIST(T, build.tags), .arg = "NAME[:TAG]",
	  .help = "With --dry-run: the name that builds of this image get" },
	{ "target", 0, OPT_STRING(T, build.target), .arg = "STAGE",
	  .help = "With --dry-run: as for build" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn explain", "why the last build ran what it ran" },
	{ "cairn explain --dry-run -t app .", "what a build would run now, and why" },
	{ 0 },
};

const struct cli_cmd cmd_explain = {
	.name = "explain",
	.group = "Building",
	.summary = "Show for every step of a build why it was a cache hit or a miss",
	.description =
		"Each step is a hit, with where it was found and what it saved, or a miss, with the reason by "
		"name: the file that changed, the mode bit, the variable, the base image, a result that was "
		"evicted, or that the step was never built.\n"
		"\n"
		"Reasons come from comparing with the build before: of the same image name (without its tag), "
		"target and platform. Without a name it is the last build of the same Dockerfile: on this "
		"machine whatever it was called, elsewhere one that had no name either. Values of variables "
		"are not kept, only digests that tell whether they changed.",
	.args = "[OPTIONS] [IMAGE | --last | --dry-run PATH]",
	.min_args = 0,
	.max_args = 1,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE_READ,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
