#include "commands.h"
#include "help.h"

static int run(struct cli_call *call, struct cairn_err *err)
{
	int words = 0, r = 0;
	const struct cli_cmd *cmd = cli_command_of(call->argc, call->argv, &words);
	struct strbuf text;

	strbuf_init(&text, HELP_MAX);
	if (call->argc == 0)
		help_overview(&text);
	else if (!cmd)
		r = cli_command_unknown(call->argv[0], err);
	else if (words < call->argc)
		r = cmd->is_group ? cli_command_incomplete(cmd, call->argv[1], err)
		                  : cairn_fail(err, CAIRN_E_USAGE, "unexpected word '%s'",
		                               call->argv[words]);
	else
		help_command(cmd, &text);
	(void)fwrite(text.ptr, 1, text.len, call->ctx->out);
	strbuf_done(&text);
	return r;
}

const struct cli_cmd cmd_help = {
	.name = "help",
	.group = "This program",
	.summary = "List the commands, or explain one",
	.args = "[COMMAND]",
	.max_args = 2,
	.hint = CLI_HINT_COMMAND,
	.run = run,
};
