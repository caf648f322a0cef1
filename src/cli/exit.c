#include "exit.h"

#include <errno.h>

#include "util/mem.h"

static const struct exit_row rows[] = {
	{ EXIT_CODE_OK, "ok", "Success" },
	{ EXIT_CODE_FAILURE, "failure", "A system call failed, or anything not named below" },
	{ EXIT_CODE_USAGE, "usage", "Wrong command line" },
	{ EXIT_CODE_INPUT, "input", "A mistake in a Dockerfile or another file of yours" },
	{ EXIT_CODE_NOT_FOUND, "not-found",
	  "An image, a file or a stage that was named is not there" },
	{ EXIT_CODE_UNSUPPORTED, "unsupported", "Valid, but this version of cairn cannot do it" },
	{ EXIT_CODE_STEP, "step", "A command of the build failed; its output says why" },
	{ EXIT_CODE_AUTH, "auth", "A registry refused the credentials, or there were none" },
	{ EXIT_CODE_CORRUPT, "corrupt", "Damaged data, or data written by a newer cairn" },
	{ EXIT_CODE_DENIED, "denied",
	  "This machine or this user may not do that; see cairn doctor" },
	{ EXIT_CODE_EXISTS, "exists", "The thing is there already, or is in use" },
	{ EXIT_CODE_UNAVAILABLE, "unavailable",
	  "No answer from a network or a lock; may work later" },
	{ EXIT_CODE_DISK_FULL, "disk-full",
	  "No space is left where cairn writes: free some, or point CAIRN_HOME to another disk" },
	{ EXIT_CODE_NOTHING, "nothing", "There was nothing to do (cairn up --exit-code)" },
	{ EXIT_CODE_BUG, "bug", "cairn itself is broken; please report it" },
	{ EXIT_CODE_INTERRUPTED, "interrupted", "Stopped by a signal; finished steps are kept" },
	{ EXIT_CODE_RUN, "run", "cairn run failed before the command could run" },
};

const struct exit_row *exit_table(size_t *ret_n)
{
	*ret_n = ARRAY_SIZE(rows);
	return rows;
}

bool exit_disk_full(const struct cairn_err *err)
{
	return err->code == CAIRN_E_SYSTEM && (err->sys == ENOSPC || err->sys == EDQUOT);
}

int exit_of(const struct cairn_err *err)
{
	switch (err->code) {
	case CAIRN_OK:
		return EXIT_CODE_OK;
	case CAIRN_E_BUG:
		return EXIT_CODE_BUG;
	case CAIRN_E_NOT_FOUND:
		return EXIT_CODE_NOT_FOUND;
	case CAIRN_E_SYNTAX:
		return EXIT_CODE_INPUT;
	case CAIRN_E_TRANSIENT:
	case CAIRN_E_TIMEOUT:
		return EXIT_CODE_UNAVAILABLE;
	case CAIRN_E_AUTH:
		return EXIT_CODE_AUTH;
	case CAIRN_E_DIGEST:
		return EXIT_CODE_CORRUPT;
	case CAIRN_E_DENIED:
		return EXIT_CODE_DENIED;
	case CAIRN_E_EXISTS:
		return EXIT_CODE_EXISTS;
	case CAIRN_E_CANCELLED:
		return EXIT_CODE_INTERRUPTED;
	case CAIRN_E_SYSTEM:
		return exit_disk_full(err) ? EXIT_CODE_DISK_FULL : EXIT_CODE_FAILURE;
	case CAIRN_E_USAGE:
		return EXIT_CODE_USAGE;
	case CAIRN_E_UNSUPPORTED:
		return EXIT_CODE_UNSUPPORTED;
	case CAIRN_E_STEP:
		return EXIT_CODE_STEP;
	}
	return EXIT_CODE_FAILURE;
}
