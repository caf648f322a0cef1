/* cli/commands.h - the list of all commands. */
#ifndef CAIRN_CLI_COMMANDS_H
#define CAIRN_CLI_COMMANDS_H

#include "cmd.h"

/* In the order of `cairn help`; ends with NULL. */
extern const struct cli_cmd *const cli_commands[];

/* NULL when there is none of that name ("build", "base list"). */
const struct cli_cmd *cli_command_find(const char *name);

/* The command that words begin with; *ret_words is how many are its name. A group followed by none
 * of its commands is the group itself; NULL when the first word is no command. */
const struct cli_cmd *cli_command_of(int argc, char *const *argv, int *ret_words);

/* Is `c` a command of the group `g`? Its own word is then cli_command_word(). */
bool cli_command_in(const struct cli_cmd *c, const struct cli_cmd *g);
bool cli_command_top(const struct cli_cmd *c);         /* its name is one word */
const char *cli_command_word(const struct cli_cmd *c); /* last word of the name; borrowed */
char *cli_command_dashed(const struct cli_cmd *c);     /* "base-list"; owned */

/* The error line for a first word that is no command: CAIRN_E_USAGE with a suggestion. */
int cli_command_unknown(const char *name, struct cairn_err *err);

/* The same for the word behind a group; NULL: there is none. */
int cli_command_incomplete(const struct cli_cmd *group, const char *word, struct cairn_err *err);

extern const struct cli_cmd cmd_build, cmd_explain, cmd_parse, cmd_plan, cmd_run, cmd_up;
extern const struct cli_cmd cmd_report, cmd_runners;
extern const struct cli_cmd cmd_history, cmd_images, cmd_import, cmd_inspect, cmd_rmi, cmd_tag;
extern const struct cli_cmd cmd_copy, cmd_login, cmd_logout, cmd_pull, cmd_push, cmd_tags;
extern const struct cli_cmd cmd_base, cmd_base_list, cmd_base_lock, cmd_base_sync, cmd_base_update;
extern const struct cli_cmd cmd_ci, cmd_ci_check, cmd_ci_init, cmd_ci_run;
extern const struct cli_cmd cmd_doctor, cmd_help, cmd_version;

#endif
