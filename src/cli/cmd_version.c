#include "commands.h"

struct version_opts {
	bool json;
};

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct version_opts *o = call->opts;

	(void)err;
	if (o->json)
		(void)fprintf(call->ctx->out, "{\"version\":\"%s\"}\n", CAIRN_VERSION);
	else
		(void)fprintf(call->ctx->out, "cairn %s\n", CAIRN_VERSION);
	return 0;
}

static const struct cli_opt opts[] = {
	{ "json", 0, OPT_FLAG(struct version_opts, json), .help = "Print JSON" },
	{ 0 },
};

const struct cli_cmd cmd_version = {
	.name = "version",
	.group = "This program",
	.summary = "Print the version of cairn",
	.args = "[OPTIONS]",
	.opts = opts,
	.opts_size = sizeof(struct version_opts),
	.run = run,
};
