#include "commands.h"
#include "help.h"

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct strbuf text;
	int r = 0;

	strbuf_init(&text, HELP_MAX);
	if (call->argc == 0)
		help_overview(&text);
	else if (cli_command_find(call->argv[0]))
		help_command(cli_command_find(call->argv[0]), &text);
	else
		r = cli_command_unknown(call->argv[0], err);
	(void)fwrite(text.ptr, 1, text.len, call->ctx->out);
	strbuf_done(&text);
	return r;
}

const struct cli_cmd cmd_help = {
	.name = "help",
	.group = "This program",
	.summary = "List the commands, or explain one",
	.args = "[COMMAND]",
	.max_args = 1,
	.hint = CLI_HINT_COMMAND,
	.run = run,
};
