/* cli/cmd.h - a command of cairn, and what it runs with.
 *
 * One file cmd_NAME.c a command, holding `const struct cli_cmd cmd_NAME`;
 * commands.c lists them all.  The dispatcher parses, checks the number of
 * words, runs, prints the one error line and chooses the exit code.
 */
#ifndef CAIRN_CLI_CMD_H
#define CAIRN_CLI_CMD_H

#include <stdio.h>

#include "opt.h"

struct store;
struct workspace_config;

/* What main() wires and every command gets. Nothing in it is global. */
struct cairn_ctx {
	FILE *out;           /* results, for people or programs */
	FILE *err;           /* progress, warnings, the error line */
	char *home;          /* folder of the store, absolute, owned; NULL without CLI_NEED_HOME */
	struct store *store; /* owned by the dispatcher; see enum cli_need */
	struct workspace_config *config; /* owned by the dispatcher; NULL before settings_load() */
	bool color_out;                  /* `out` is a terminal and colours are wanted */
	bool color_err;                  /* the same for `err` */
	char **envp;                     /* environment of this process; borrowed */
	char **argv; /* of this process, all argc words; for executing it again */
	int argc;
};

/* One run of a command. */
struct cli_call {
	struct cairn_ctx *ctx;
	const struct cli_cmd *cmd;
	void *opts;    /* the command's options struct, filled */
	int argc;      /* words that are no options; within cmd->min_args and max_args */
	char **argv;   /* ends with NULL */
	int exit_code; /* for the command to set; used when run() succeeds */
};

/* What the dispatcher prepares before it runs a command. */
enum cli_need {
	CLI_NEED_HOME = 1u << 0,  /* ctx->home */
	CLI_NEED_STORE = 1u << 1, /* ctx->store, made when missing */
	/* ctx->store, for reading; NULL when there is no store yet. */
	CLI_NEED_STORE_READ = 1u << 2,
	/* Not as root: the command runs in a user namespace (engine/userns.h). WANT goes on
	 * without one where that is not allowed. */
	CLI_NEED_USERNS = 1u << 3,
	CLI_WANT_USERNS = 1u << 4,
};

#define CLI_ARGS_ANY 0x7fff /* max_args: no limit */

struct cli_example {
	const char *line; /* "cairn build -t app ." */
	const char *what; /* one phrase */
};

struct cli_cmd {
	/* One word, or, behind a group's name, two: "base list". */
	const char *name;
	/* Only the first word of other commands ("base"): has no options and no run(). */
	bool is_group;
	const char *group;   /* heading in `cairn help` */
	const char *summary; /* one phrase for lists */
	/* Paragraphs, separated by an empty line; a paragraph whose lines start
	 * with two spaces is kept as it is. */
	const char *description;
	const char *args; /* words in the usage line: "[OPTIONS] PATH" */
	int min_args, max_args;
	enum cli_hint hint;         /* how a shell completes a word */
	bool stop_at_word;          /* options end at the first word (cairn run) */
	const struct cli_opt *opts; /* NULL: none */
	size_t opts_size;           /* of the options struct */
	const void *defaults;       /* initial options struct; NULL: zeroed */
	unsigned needs;             /* enum cli_need */
	int fail_exit; /* not 0: exit code of failures, unless call->exit_code says another */
	/* 0, with call->exit_code for the shell; or a failure. */
	int (*run)(struct cli_call *call, struct cairn_err *err);
	const struct cli_example *examples; /* ends with an empty row, or NULL */
};

#endif
