/* cli/dispatch.h - from the words of the command line to an exit code. */
#ifndef CAIRN_CLI_DISPATCH_H
#define CAIRN_CLI_DISPATCH_H

#include "cmd.h"

/* Run `cairn argv[1] ...`: find the command, parse, run, print at most one error
 * line and one hint to ctx->err. Returns the exit code (cli/exit.h). */
int dispatch(struct cairn_ctx *ctx, int argc, char **argv);

/* Print "cairn: error: FILE:LINE:COL: message" to ctx->err; control characters
 * of the message are shown as '?'. */
void dispatch_error(struct cairn_ctx *ctx, const struct cairn_err *err);

#endif
