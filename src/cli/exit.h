/* cli/exit.h - the exit codes of cairn, a contract with scripts.
 *
 * A code never changes its meaning.  docs/commands.md and cairn(1) are made
 * from the table behind exit_table().
 */
#ifndef CAIRN_CLI_EXIT_H
#define CAIRN_CLI_EXIT_H

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

enum cli_exit {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILURE = 1,      /* a system call failed, or anything not named below */
	EXIT_CODE_USAGE = 2,        /* wrong command line */
	EXIT_CODE_INPUT = 3,        /* mistake in a file of the user: Dockerfile, cairn.yaml, ... */
	EXIT_CODE_NOT_FOUND = 4,    /* an image, a file or a stage that was named does not exist */
	EXIT_CODE_UNSUPPORTED = 5,  /* valid, but this version of cairn cannot do it */
	EXIT_CODE_STEP = 6,         /* a command of the build failed */
	EXIT_CODE_AUTH = 7,         /* a registry refused the credentials */
	EXIT_CODE_CORRUPT = 8,      /* damaged data, or data of a newer version of cairn */
	EXIT_CODE_DENIED = 9,       /* this machine or this user may not do that */
	EXIT_CODE_EXISTS = 10,      /* the thing is there already, or is in use */
	EXIT_CODE_UNAVAILABLE = 11, /* a network or a lock gave no answer; may work later */
	EXIT_CODE_DISK_FULL = 12,   /* no space is left where cairn writes */
	EXIT_CODE_NOTHING = 13,     /* there was nothing to do, and that was asked */
	EXIT_CODE_BUG = 70,         /* cairn itself is broken */
	EXIT_CODE_INTERRUPTED = 75, /* stopped by a signal; finished steps are kept */
	EXIT_CODE_RUN = 125,        /* `cairn run` failed before the command could run */
};

struct exit_row {
	int code;
	const char *name; /* "input" */
	const char *text; /* one line for people */
};

/* All codes, in ascending order; *ret_n of them. */
const struct exit_row *exit_table(size_t *ret_n);

/* No space is left on a disk, or in the user's share of it. */
bool exit_disk_full(const struct cairn_err *err);

/* The exit code for a failure; 0 for CAIRN_OK. */
int exit_of(const struct cairn_err *err);

#endif
