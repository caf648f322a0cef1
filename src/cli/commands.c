#include "commands.h"

#include "util/mem.h"
#include "util/str.h"

/* clang-format off */
const struct cli_cmd *const cli_commands[] = {
	&cmd_build,
	&cmd_explain,
	&cmd_plan,
	&cmd_up,
	&cmd_runners,
	&cmd_report,
	&cmd_run,
	&cmd_parse,
	&cmd_import,
	&cmd_images,
	&cmd_inspect,
	&cmd_history,
	&cmd_tag,
	&cmd_rmi,
	&cmd_pull,
	&cmd_push,
	&cmd_copy,
	&cmd_tags,
	&cmd_login,
	&cmd_logout,
	&cmd_base,
	&cmd_base_list,
	&cmd_base_sync,
	&cmd_base_lock,
	&cmd_base_update,
	&cmd_ci,
	&cmd_ci_init,
	&cmd_ci_check,
	&cmd_ci_run,
	&cmd_doctor,
	&cmd_version,
	&cmd_help,
	NULL,
};
/* clang-format on */

const struct cli_cmd *cli_command_find(const char *name)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (strcmp(cli_commands[i]->name, name) == 0)
			return cli_commands[i];
	return NULL;
}

const struct cli_cmd *cli_command_of(int argc, char *const *argv, int *ret_words)
{
	const struct cli_cmd *first = argc > 0 ? cli_command_find(argv[0]) : NULL;

	*ret_words = 1;
	if (!first || !first->is_group || argc < 2)
		return first;
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_in(cli_commands[i], first) &&
		    strcmp(cli_command_word(cli_commands[i]), argv[1]) == 0) {
			*ret_words = 2;
			return cli_commands[i];
		}
	return first;
}

bool cli_command_in(const struct cli_cmd *c, const struct cli_cmd *g)
{
	size_t n = strlen(g->name);

	return g->is_group && strncmp(c->name, g->name, n) == 0 && c->name[n] == ' ';
}

bool cli_command_top(const struct cli_cmd *c)
{
	return !strchr(c->name, ' ');
}

const char *cli_command_word(const struct cli_cmd *c)
{
	const char *blank = strrchr(c->name, ' ');

	return blank ? blank + 1 : c->name;
}

char *cli_command_dashed(const struct cli_cmd *c)
{
	char *s = xstrdup(c->name);

	for (char *p = s; *p; p++)
		if (*p == ' ')
			*p = '-';
	return s;
}

int cli_command_incomplete(const struct cli_cmd *group, const char *word, struct cairn_err *err)
{
	const char *words[ARRAY_SIZE(cli_commands)] = { NULL };
	const char *near;
	size_t n = 0;

	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_in(cli_commands[i], group))
			words[n++] = cli_command_word(cli_commands[i]);
	if (!word)
		return cairn_fail(err, CAIRN_E_USAGE, "'cairn %s' needs a second word: %s",
		                  group->name, group->args);
	near = str_suggest(str_of(word), words);
	if (near)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "unknown command '%s %s'; did you mean '%s %s'?", group->name,
		                  word, group->name, near);
	return cairn_fail(err, CAIRN_E_USAGE, "unknown command '%s %s'; there is %s", group->name,
	                  word, group->args);
}

int cli_command_unknown(const char *name, struct cairn_err *err)
{
	const char *names[ARRAY_SIZE(cli_commands)] = { NULL };
	const char *near;
	size_t n = 0;

	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_top(cli_commands[i]))
			names[n++] = cli_commands[i]->name;
	near = str_suggest(str_of(name), names);
	if (near)
		return cairn_fail(err, CAIRN_E_USAGE, "unknown command '%s'; did you mean '%s'?",
		                  name, near);
	return cairn_fail(err, CAIRN_E_USAGE, "unknown command '%s'; see 'cairn help'", name);
}
