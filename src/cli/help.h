/* cli/help.h - texts made from the tables: --help and `cairn help`. */
#ifndef CAIRN_CLI_HELP_H
#define CAIRN_CLI_HELP_H

#include "cmd.h"
#include "util/strbuf.h"

#define HELP_MAX   (256 * 1024) /* bytes of a help text or manual page */
#define HELP_WIDTH 90           /* columns of help texts, whatever the terminal */

/* Append what `cairn CMD --help` prints. */
void help_command(const struct cli_cmd *cmd, struct strbuf *out);

/* Append what `cairn help` prints. */
void help_overview(struct strbuf *out);

/* Append the left column of an option: "-f, --file FILE" or "    --target STAGE". */
void help_option_label(const struct cli_opt *o, struct strbuf *out);

#endif
