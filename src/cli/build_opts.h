/* cli/build_opts.h - what `cairn build` was asked for.
 *
 * cmd_build.c fills it from the option table, build_run.c acts on it.  All
 * strings are borrowed from the command line.
 */
#ifndef CAIRN_CLI_BUILD_OPTS_H
#define CAIRN_CLI_BUILD_OPTS_H

#include "cmd.h"
#include "progress.h"

struct cli_build_opts {
	const char *config;         /* --config; NULL: see settings_load() */
	const char *file;           /* -f; NULL: Dockerfile in the context; "-": standard input */
	struct cli_list tags;       /* -t NAME[:TAG] */
	const char *target;         /* stage name or number; NULL: the last */
	struct cli_list build_args; /* KEY=VALUE, or KEY: the value of the environment */
	struct cli_list labels;     /* KEY=VALUE */
	struct cli_list contexts;   /* NAME=PATH|IMAGE, see build_pair_parse() */
	struct cli_list secrets;    /* see build_secret_parse() */
	struct cli_list ssh;        /* default|ID[=SOCKET|KEY] */
	struct cli_list add_hosts;  /* HOST:IP */
	const char *network;        /* default, none, host; NULL: default */
	struct cli_list platforms;  /* OS/ARCH[/VARIANT], comma lists allowed */
	bool no_cache;
	struct cli_list no_cache_filter; /* stage names, comma lists allowed */
	bool pull;
	const char *iidfile;       /* gets the image id, without newline as docker writes it */
	const char *metadata_file; /* gets JSON about the result */
	enum progress_mode progress;
	bool quiet;                           /* as --progress=quiet */
	struct cli_list outputs;              /* see build_output_parse(); empty: into the store */
	bool push;                            /* as -o type=registry */
	const char *cache_mounts;             /* see build_mounts_parse() */
	struct cli_list cache_from, cache_to; /* see build_cache_parse() */
	struct cli_list ulimits;              /* see build_ulimit_parse() */
	uint64_t shm_size;                    /* bytes of /dev/shm; 0: 64 MiB */
	bool check;                           /* lint only, do not build */
	uint64_t jobs;                        /* steps that run at once; 0: as many as CPUs */
	const char *context;                  /* the word: folder, or "-" */
};

/* Carry out a build: the engine, its observer, the outputs.
 *
 * Prints results to ctx->out and progress to ctx->err. Fails with whatever the
 * build fails with; CAIRN_E_STEP when a command of it failed (its report is
 * then on ctx->err already).
 *
 * ret_status  set when the work was done by another process (cairn again, in a user
 *             namespace): its exit status, to be passed on; else left alone
 */
int build_run(const struct cli_build_opts *o, struct cairn_ctx *ctx, int *ret_status,
              struct cairn_err *err);

/* Plan the build and hand over what it would do and why, to `use`; nothing runs. The report and
 * what it points to live as long as that call. Fails as build_run(). */
struct report;
int build_planned(const struct cli_build_opts *o, struct cairn_ctx *ctx,
                  void (*use)(void *use_ctx, const struct report *r), void *use_ctx,
                  struct cairn_err *err);

/* Plan the build and print what it would do and why; nothing runs. Fails as build_run(). */
int build_explain(const struct cli_build_opts *o, struct cairn_ctx *ctx, bool json,
                  struct cairn_err *err);

#endif
