/* cli/doc.h - manual pages, shell completion and docs/commands.md from the tables.
 *
 * Linked by the generator (gendoc.c), which runs while cairn is built, not by cairn.
 */
#ifndef CAIRN_CLI_DOC_H
#define CAIRN_CLI_DOC_H

#include "cmd.h"
#include "util/strbuf.h"

#define DOC_MAX (1024 * 1024) /* bytes of one document */

/* cairn(1): the list of commands, files, environment, exit codes. */
void doc_man_overview(struct strbuf *out);

/* cairn-NAME(1). */
void doc_man_command(const struct cli_cmd *cmd, struct strbuf *out);

void doc_bash(struct strbuf *out);
void doc_zsh(struct strbuf *out);
void doc_fish(struct strbuf *out);

/* docs/commands.md. */
void doc_markdown(struct strbuf *out);

/* "COMMAND" for each command and "COMMAND --OPTION" for each built option, one a line. */
void doc_names(struct strbuf *out);

/* Environment variables that cairn reads; ends with an empty row. */
struct doc_env {
	const char *name, *text;
};
extern const struct doc_env doc_env[];

#endif
