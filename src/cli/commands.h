/* cli/commands.h - the list of all commands. */
#ifndef CAIRN_CLI_COMMANDS_H
#define CAIRN_CLI_COMMANDS_H

#include "cmd.h"

/* In the order of `cairn help`; ends with NULL. */
extern const struct cli_cmd *const cli_commands[];

/* NULL when there is none of that name. */
const struct cli_cmd *cli_command_find(const char *name);

/* Print the error line for `name`: CAIRN_E_USAGE with a suggestion. */
int cli_command_unknown(const char *name, struct cairn_err *err);

extern const struct cli_cmd cmd_build, cmd_parse, cmd_run;
extern const struct cli_cmd cmd_history, cmd_images, cmd_import, cmd_inspect, cmd_rmi, cmd_tag;
extern const struct cli_cmd cmd_copy, cmd_login, cmd_logout, cmd_pull, cmd_tags;
extern const struct cli_cmd cmd_doctor, cmd_help, cmd_version;

#endif
