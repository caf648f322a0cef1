#include "commands.h"

#include "util/mem.h"
#include "util/str.h"

const struct cli_cmd *const cli_commands[] = {
	&cmd_build,  &cmd_run,     &cmd_parse,                                        /* */
	&cmd_import, &cmd_images,  &cmd_inspect, &cmd_history, &cmd_tag,    &cmd_rmi, /* */
	&cmd_pull,   &cmd_copy,    &cmd_tags,    &cmd_login,   &cmd_logout,           /* */
	&cmd_doctor, &cmd_version, &cmd_help,    NULL,
};

const struct cli_cmd *cli_command_find(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

int cli_command_unknown(const char *name, struct cairn_err *err)
{
	const char *names[ARRAY_SIZE(cli_commands)] = { NULL };
	const char *near;

	for (size_t i = 0; cli_commands[i]; i++)
		names[i] = cli_commands[i]->name;
	near = str_suggest(str_of(name), names);
	if (near)
		return cairn_fail(err, CAIRN_E_USAGE, "unknown command '%s'; did you mean '%s'?",
		                  name, near);
	return cairn_fail(err, CAIRN_E_USAGE, "unknown command '%s'; see 'cairn help'", name);
}
