/* cli/run_opts.h - what `cairn run` was asked for. */
#ifndef CAIRN_CLI_RUN_OPTS_H
#define CAIRN_CLI_RUN_OPTS_H

#include "cmd.h"

enum run_network {
	RUN_NETWORK_HOST,
	RUN_NETWORK_NONE,
};

enum run_pull {
	RUN_PULL_MISSING, /* images that the store lacks */
	RUN_PULL_ALWAYS,
	RUN_PULL_NEVER,
};

struct cli_run_opts {
	struct cli_list env;     /* NAME=VALUE, or NAME: the value of cairn's environment */
	const char *user;        /* NULL: the image's */
	const char *workdir;     /* NULL: the image's */
	const char *entrypoint;  /* NULL: the image's; "" none. Its CMD is then not used */
	struct cli_list volumes; /* HOST:INSIDE[:ro|:rw] */
	enum run_network network;
	enum run_pull pull;
	bool rm, interactive, tty; /* accepted: always so */
};

/* Run the command of an image (argv[0] names it, the rest replaces its CMD) over the image's
 * layers; what it changes is thrown away.
 *
 * ret_exit  exit code of the command, 128 + signal when one ended it
 *
 * Fails before the command could run: CAIRN_E_NOT_FOUND (image, user, command),
 * CAIRN_E_DENIED (this machine cannot), CAIRN_E_USAGE (a bad value), and as pull_images(). */
int run_image(const struct cli_run_opts *o, struct cli_call *call, int *ret_exit,
              struct cairn_err *err);

/* HOST:INSIDE[:ro|rw] of --volume; strings in a. Fails with CAIRN_E_USAGE. */
struct arena;
struct run_volume {
	const char *host, *inside; /* absolute */
	bool read_only;
};
int run_volume_parse(const char *text, struct arena *a, struct run_volume *ret,
                     struct cairn_err *err);

/* Environment of the command: the image's, then `extra` over it, PATH and HOME when they
 * are missing. */
struct image_config;
const char **run_environment(const struct image_config *c, const struct cli_list *extra,
                             char *const *envp, const char *home, struct arena *a, size_t *ret_n);

/* What the user said about the command. */
struct run_words {
	const char *entrypoint; /* NULL: the image's; "" none */
	char **words;           /* n of them */
	size_t n;
};

/* The command line: entrypoint and words, or entrypoint and CMD; strings in a or borrowed.
 * Fails with CAIRN_E_USAGE when nothing is to be run. */
int run_command_line(const struct image_config *c, const struct run_words *w, struct arena *a,
                     const char *const **ret, size_t *ret_n, struct cairn_err *err);

#endif
