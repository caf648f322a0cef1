#include <errno.h>

#include "commands.h"
#include "exit.h"
#include "run_opts.h"

static int run(struct cli_call *call, struct cairn_err *err)
{
	int r = run_image(call->opts, call, &call->exit_code, err);

	/* The shell's own codes: not found, not executable. */
	if (r == CAIRN_E_STEP)
		call->exit_code = err->sys == EACCES ? 126 : 127;
	return r;
}

#define T struct cli_run_opts

static const char *const pulls[] = { "missing", "always", "never", NULL };
static const char *const networks[] = { "host", "none", NULL };

static const struct cli_opt opts[] = {
	{ "entrypoint", 0, OPT_STRING(T, entrypoint), .arg = "COMMAND",
	  .help = "Run this instead of the image's ENTRYPOINT and CMD" },
	{ "env", 'e', OPT_LIST(T, env), .arg = "NAME[=VALUE]",
	  .help = "Set a variable; without a value, from the environment" },
	{ "interactive", 'i', OPT_FLAG(T, interactive),
	  .help = "Accepted: standard input is always "
	          "the command's" },
	{ "network", 0, OPT_ENUM(T, network, networks),
	  .help = "The host's network (default), or none" },
	{ "pull", 0, OPT_ENUM(T, pull, pulls),
	  .help = "Get the image from its registry: missing (default: when the store lacks it), "
	          "always, never" },
	{ "rm", 0, OPT_FLAG(T, rm),
	  .help = "Accepted: what the command changes is always thrown away" },
	{ "tty", 't', OPT_FLAG(T, tty),
	  .help = "Accepted: the command always has cairn's terminal" },
	{ "user", 'u', OPT_STRING(T, user), .arg = "USER[:GROUP]",
	  .help = "Run as this user of the image" },
	{ "volume", 'v', OPT_LIST(T, volumes), .arg = "HOST:INSIDE[:ro]", .hint = CLI_HINT_DIR,
	  .help = "Show a folder or file of the host inside" },
	{ "workdir", 'w', OPT_STRING(T, workdir), .arg = "DIR", .help = "Folder to start in" },
	{ "detach", 'd', OPT_UNSUPPORTED(false, "start cairn run in the background instead") },
	{ "init", 0, OPT_UNSUPPORTED(false, "") },
	{ "memory", 'm', OPT_UNSUPPORTED(true, "") },
	{ "mount", 0, OPT_UNSUPPORTED(true, "use --volume") },
	{ "name", 0, OPT_UNSUPPORTED(true, "nothing is left of a run that could have a name") },
	{ "platform", 0, OPT_UNSUPPORTED(true, "") },
	{ "privileged", 0, OPT_UNSUPPORTED(false, "") },
	{ "publish", 'p', OPT_UNSUPPORTED(true, "the network is the host's, ports need none") },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn run debian:12 cat /etc/os-release", "one command" },
	{ "cairn run -it -v $PWD:/src -w /src debian:12 bash", "a shell with this folder in it" },
	{ 0 },
};

const struct cli_cmd cmd_run = {
	.name = "run",
	.group = "Building",
	.summary = "Run a command in an image of the store",
	.description =
		"For trying out what was built: the command runs in the sandbox of RUN steps, on the "
		"image's layers and a throw-away layer. Nothing it changes is kept, and nothing runs on "
		"after it. An image that the store lacks is pulled, and layers that a build left at a "
		"registry, because nothing needed them, are fetched first.\n\n"
		"Exits with the command's exit code, 128 + N when signal N ended it, and 125 when cairn "
		"could not start it (127: there is no such command, 126: it cannot be executed).",
	.args = "[OPTIONS] IMAGE [COMMAND [WORD...]]",
	.min_args = 1,
	.max_args = CLI_ARGS_ANY,
	.hint = CLI_HINT_IMAGE,
	.stop_at_word = true,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_NEED_USERNS,
	.fail_exit = EXIT_CODE_RUN,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
