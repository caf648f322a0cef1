#include "dispatch.h"

#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "ctx.h"
#include "engine/engine.h"
#include "exit.h"
#include "help.h"
#include "store/store.h"
#include "util/mem.h"
#include "util/str.h"
#include "workspace/workspace.h"

#define USERNS_WARNING_MAX 256 /* as userns_reexec() wants it */

static void put_clean(FILE *f, const char *s)
{
	for (; *s; s++)
		(void)fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, f);
}

void dispatch_error(struct cairn_ctx *ctx, const struct cairn_err *err)
{
	(void)fprintf(ctx->err, "%scairn: error:%s ", ctx->color_err ? "\033[31;1m" : "",
	              ctx->color_err ? "\033[0m" : "");
	if (err->path[0]) {
		put_clean(ctx->err, err->path);
		if (err->line)
			(void)fprintf(ctx->err, ":%u", err->line);
		if (err->line && err->col)
			(void)fprintf(ctx->err, ":%u", err->col);
		(void)fputs(": ", ctx->err);
	}
	put_clean(ctx->err, err->msg);
	(void)fputc('\n', ctx->err);
}

static int check_words(const struct cli_cmd *cmd, const struct opt_result *words,
                       struct cairn_err *err)
{
	if (words->argc >= cmd->min_args && words->argc <= cmd->max_args)
		return 0;
	if (words->argc > cmd->max_args)
		return cairn_fail(err, CAIRN_E_USAGE, "unexpected word '%s'; usage: cairn %s%s%s",
		                  words->argv[cmd->max_args], cmd->name, *cmd->args ? " " : "",
		                  cmd->args);
	return cairn_fail(err, CAIRN_E_USAGE, "too few words; usage: cairn %s%s%s", cmd->name,
	                  *cmd->args ? " " : "", cmd->args);
}

/* Results that did not reach their file are a failure, or a full disk goes unseen. */
static int flush_out(struct cairn_ctx *ctx, struct cairn_err *err)
{
	if (fflush(ctx->out) != 0 || ferror(ctx->out))
		return cairn_fail_sys(err, "writing the result");
	return 0;
}

static int print_help(struct cairn_ctx *ctx, const struct cli_cmd *cmd)
{
	struct strbuf text;

	strbuf_init(&text, HELP_MAX);
	help_command(cmd, &text);
	(void)fwrite(text.ptr, 1, text.len, ctx->out);
	strbuf_done(&text);
	return 0;
}

static int open_store(struct cairn_ctx *ctx, bool read_only, struct cairn_err *err)
{
	struct store_opts o = { .path = ctx->home, .read_only = read_only };

	if (store_open(&o, &ctx->store, err) == 0)
		return 0;
	return read_only && err->code == CAIRN_E_NOT_FOUND ? 0 : err->code;
}

/* Run this command line again in a user namespace, where that is needed: *ret_done is then
 * set, and *ret_exit is its exit code. */
static int enter_userns(struct cairn_ctx *ctx, const struct cli_cmd *cmd, bool *ret_done,
                        int *ret_exit, struct cairn_err *err)
{
	char warning[USERNS_WARNING_MAX] = "";
	int r;

	*ret_done = false;
	if (!(cmd->needs & (CLI_NEED_USERNS | CLI_WANT_USERNS)) || !userns_needed())
		return 0;
	r = userns_reexec(ctx->argv, NULL, warning, ret_exit, err);
	if (warning[0])
		(void)fprintf(ctx->err, "cairn: warning: %s\n", warning);
	if (r < 0 && cmd->needs & CLI_WANT_USERNS && err->code == CAIRN_E_DENIED)
		return 0;
	*ret_done = r == 0;
	return r;
}

/* The user who called cairn: inside our user namespace everybody is root. */
static uid_t caller(void)
{
	uint32_t uid = 0;

	return userns_inside(&uid, NULL) ? uid : geteuid();
}

/* Everything in cmd->needs but the user namespace. */
static int prepare(struct cairn_ctx *ctx, const struct cli_cmd *cmd, struct cairn_err *err)
{
	if (cmd->needs & CLI_NEED_HOME)
		TRY(ctx_home(ctx->envp, caller(), &ctx->home, err));
	if (cmd->needs & (CLI_NEED_STORE | CLI_NEED_STORE_READ))
		TRY(open_store(ctx, !(cmd->needs & CLI_NEED_STORE), err));
	return 0;
}

static int run_command(struct cairn_ctx *ctx, const struct cli_cmd *cmd, int argc, char **argv,
                       int *ret_exit, struct cairn_err *err)
{
	static const struct cli_opt none[] = { { 0 } };
	const struct cli_opt *opts = cmd->opts ? cmd->opts : none;
	struct opt_spec spec = { cmd->name, opts, cmd->stop_at_word };
	struct cli_call call = { .ctx = ctx, .cmd = cmd };
	struct opt_result words;
	cleanup_free void *into = xcalloc(1, cmd->opts_size + 1);
	bool done = false;
	int r;

	if (cmd->defaults)
		memcpy(into, cmd->defaults, cmd->opts_size);
	r = opt_parse(&spec, argc, argv, into, &words, err);
	if (r == 0 && words.help) {
		r = print_help(ctx, cmd);
	} else if (r == 0) {
		r = check_words(cmd, &words, err);
		call.opts = into;
		call.argc = words.argc;
		call.argv = words.argv;
		if (r == 0)
			r = enter_userns(ctx, cmd, &done, &call.exit_code, err);
		if (r == 0 && !done)
			r = prepare(ctx, cmd, err);
		if (r == 0 && !done)
			r = cmd->run(&call, err);
	}
	store_close(ctx->store);
	ctx->store = NULL;
	workspace_config_free(ctx->config);
	ctx->config = NULL;
	opt_done(opts, into);
	opt_result_done(&words);
	if (r == 0)
		r = flush_out(ctx, err);
	*ret_exit = call.exit_code;
	return r;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

/* Words before a command are the global --help and --version. */
static const char *command_name(const char *word)
{
	if (is_help(word))
		return "help";
	if (strcmp(word, "--version") == 0)
		return "version";
	return word;
}

/* A group without one of its commands: its help, or what is wrong. */
static int run_group(struct cairn_ctx *ctx, const struct cli_cmd *group, const char *word,
                     struct cairn_err *err)
{
	if (!word || !is_help(word))
		return cli_command_incomplete(group, word, err);
	(void)print_help(ctx, group);
	return flush_out(ctx, err);
}

/* What to do about it, below the error line. */
static void put_hint(struct cairn_ctx *ctx, const struct cli_cmd *cmd, const struct cairn_err *err)
{
	if (err->code == CAIRN_E_USAGE && cmd)
		(void)fprintf(ctx->err, "hint: 'cairn %s --help' lists what it takes\n", cmd->name);
	else if (exit_disk_full(err) && !strstr(err->msg, "free space"))
		(void)fputs("hint: free space on that disk; CAIRN_HOME points the store to another "
		            "one\n",
		            ctx->err);
}

int dispatch(struct cairn_ctx *ctx, int argc, char **argv)
{
	const char *name = argc > 1 ? command_name(argv[1]) : "help";
	const struct cli_cmd *cmd = cli_command_find(name);
	struct cairn_err err = { 0 };
	int code = 0, used = 1, r;

	if (cmd && cmd->is_group)
		cmd = cli_command_of(argc - 1, argv + 1, &used);
	if (cmd && cmd->is_group) {
		r = run_group(ctx, cmd, argc > 2 ? argv[2] : NULL, &err);
	} else if (cmd) {
		int skip = argc > used ? used + 1 : argc;

		r = run_command(ctx, cmd, argc - skip, argv + skip, &code, &err);
	} else if (name[0] == '-') {
		r = cairn_fail(&err, CAIRN_E_USAGE,
		               "unknown option %s before the command; see 'cairn help'", name);
	} else {
		r = cli_command_unknown(name, &err);
	}
	if (r == 0)
		return code;
	dispatch_error(ctx, &err);
	put_hint(ctx, cmd, &err);
	if (cmd && cmd->fail_exit)
		return code ? code : cmd->fail_exit;
	return exit_of(&err);
}
