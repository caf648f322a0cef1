/* Completion for bash, zsh and fish. */
#include "commands.h"
#include "doc.h"

/* What each shell completes for a hint. */
static const struct {
	const char *bash, *zsh, *fish;
} hints[] = {
	[CLI_HINT_NONE] = { "", "", "-x" },
	[CLI_HINT_FILE] = { "compgen -f -- \"$cur\"", "_files", "-rF" },
	[CLI_HINT_DIR] = { "compgen -d -- \"$cur\"", "_files -/",
	                   "-xa '(__fish_complete_directories)'" },
	[CLI_HINT_IMAGE] = { "compgen -W \"$(cairn images --names 2>/dev/null)\" -- \"$cur\"",
	                     "_cairn_images", "-xa '(cairn images --names 2>/dev/null)'" },
	[CLI_HINT_COMMAND] = { "compgen -W \"$commands\" -- \"$cur\"", "_cairn_commands",
	                       "-xa '(__cairn_commands)'" },
};

static void command_names(struct strbuf *out)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_top(cli_commands[i]))
			strbuf_printf(out, "%s%s", i ? " " : "", cli_commands[i]->name);
}

/* The commands of a group. */
static void words_of(const struct cli_cmd *group, struct strbuf *out)
{
	const char *sep = "";

	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_in(cli_commands[i], group)) {
			strbuf_printf(out, "%s%s", sep, cli_command_word(cli_commands[i]));
			sep = " ";
		}
}

static void choices(const struct cli_opt *o, struct strbuf *out)
{
	for (size_t i = 0; o->choices[i]; i++)
		strbuf_printf(out, "%s%s", i ? " " : "", o->choices[i]);
}

/* Text inside single quotes of any of the shells: no quote, colon or bracket in it. */
static void plain(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		strbuf_char(out, strchr("'[]:\\", *s) ? ' ' : *s);
}

static void bash_value(const struct cli_opt *o, struct strbuf *out)
{
	if (o->unsupported || o->kind == CLI_FLAG)
		return;
	strbuf_printf(out, "\t\t--%s", o->name);
	if (o->letter)
		strbuf_printf(out, " | -%c", o->letter);
	if (o->kind == CLI_ENUM) {
		strbuf_cstr(out, ") COMPREPLY=($(compgen -W \"");
		choices(o, out);
		strbuf_cstr(out, "\" -- \"$cur\")); return ;;\n");
	} else if (*hints[o->hint].bash) {
		strbuf_printf(out, ") COMPREPLY=($(%s)); return ;;\n", hints[o->hint].bash);
	} else {
		strbuf_cstr(out, ") return ;;\n");
	}
}

static void bash_command(const struct cli_cmd *c, struct strbuf *out)
{
	strbuf_printf(out, "\t'%s')\n\t\tcase $prev in\n", c->name);
	if (c->opts)
		opt_foreach(o, c->opts) bash_value(o, out);
	strbuf_cstr(out,
	            "\t\tesac\n\t\tif [[ $cur == -* ]]; then\n\t\t\tCOMPREPLY=($(compgen -W \"");
	if (c->opts)
		opt_foreach(o, c->opts) if (!o->unsupported) strbuf_printf(out, "--%s ", o->name);
	strbuf_cstr(out, "--help\" -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n");
	if (c->is_group) {
		strbuf_cstr(out, "\t\tCOMPREPLY=($(compgen -W \"");
		words_of(c, out);
		strbuf_cstr(out, "\" -- \"$cur\"))\n");
	}
	if (*hints[c->hint].bash)
		strbuf_printf(out, "\t\tCOMPREPLY=($(%s))\n", hints[c->hint].bash);
	strbuf_cstr(out, "\t\t;;\n");
}

/* A shell's `case` branch that joins the first two words where the first is a group. */
static void join_groups(struct strbuf *out, const char *line)
{
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_commands[i]->is_group)
			strbuf_printf(out, "\t%s) %s ;;\n", cli_commands[i]->name, line);
}

void doc_bash(struct strbuf *out)
{
	strbuf_cstr(out,
	            "# bash completion for cairn, made from its option tables\n"
	            "_cairn()\n{\n"
	            "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	            "\tlocal commands=\"");
	command_names(out);
	strbuf_cstr(out,
	            "\"\n\tCOMPREPLY=()\n"
	            "\t# bash makes three words of --name=value\n"
	            "\tif [[ $cur == = ]]; then\n\t\tcur=\n"
	            "\telif [[ $prev == = ]]; then\n\t\tprev=${COMP_WORDS[COMP_CWORD - 2]}\n\tfi\n"
	            "\tif [[ $COMP_CWORD == 1 ]]; then\n"
	            "\t\tCOMPREPLY=($(compgen -W \"$commands --help --version\" -- \"$cur\"))\n"
	            "\t\treturn\n\tfi\n"
	            "\tlocal command=${COMP_WORDS[1]}\n"
	            "\t(( COMP_CWORD > 2 )) && case $command in\n");
	join_groups(out, "command+=\" ${COMP_WORDS[2]}\"");
	strbuf_cstr(out, "\tesac\n\tcase $command in\n");
	for (size_t i = 0; cli_commands[i]; i++)
		bash_command(cli_commands[i], out);
	strbuf_cstr(out, "\tesac\n}\ncomplete -o filenames -F _cairn cairn\n");
}

static void zsh_option(const struct cli_opt *o, struct strbuf *out)
{
	const char *many = o->kind == CLI_LIST ? "*" : "", *eq = o->kind == CLI_FLAG ? "" : "=";

	for (int letter = 0; letter < (o->letter ? 2 : 1); letter++) {
		strbuf_printf(out, " \\\n\t\t\t'%s", many);
		if (letter)
			strbuf_printf(out, "-%c%s[", o->letter, *eq ? "+" : "");
		else
			strbuf_printf(out, "--%s%s[", o->name, eq);
		plain(out, o->help);
		strbuf_char(out, ']');
		if (o->kind != CLI_FLAG) {
			strbuf_cstr(out, ":value:");
			if (o->kind == CLI_ENUM) {
				strbuf_char(out, '(');
				choices(o, out);
				strbuf_char(out, ')');
			} else {
				strbuf_cstr(out, hints[o->hint].zsh);
			}
		}
		strbuf_char(out, '\'');
	}
}

void doc_zsh(struct strbuf *out)
{
	static const struct cli_opt help = { "help", 'h', CLI_FLAG, .help = "Print help" };

	strbuf_cstr(out,
	            "#compdef cairn\n# zsh completion for cairn, made from its option tables\n"
	            "_cairn_images() { compadd -- ${(f)\"$(cairn images --names 2>/dev/null)\"} }\n"
	            "_cairn_commands() {\n\tlocal -a list=(\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		if (!cli_command_top(cli_commands[i]))
			continue;
		strbuf_printf(out, "\t\t'%s:", cli_commands[i]->name);
		plain(out, cli_commands[i]->summary);
		strbuf_cstr(out, "'\n");
	}
	strbuf_cstr(
		out,
		"\t)\n\t_describe command list\n}\n"
		"_cairn() {\n\tif (( CURRENT == 2 )); then\n\t\t_cairn_commands\n\t\treturn\n\tfi\n"
		"\tshift words\n\t(( CURRENT-- ))\n\tlocal name=$words[1]\n"
		"\t(( CURRENT > 2 )) && case $name in\n");
	join_groups(out, "name+=\" $words[2]\"; shift words; (( CURRENT-- ))");
	strbuf_cstr(out, "\tesac\n\tcase $name in\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_cmd *c = cli_commands[i];

		strbuf_printf(out, "\t'%s')\n\t\t_arguments -s", c->name);
		if (c->opts)
			opt_foreach(o, c->opts) if (!o->unsupported) zsh_option(o, out);
		zsh_option(&help, out);
		if (c->is_group) {
			strbuf_cstr(out, " \\\n\t\t\t'1:command:(");
			words_of(c, out);
			strbuf_cstr(out, ")'");
		}
		if (*hints[c->hint].zsh)
			strbuf_printf(out, " \\\n\t\t\t'*:word:%s'", hints[c->hint].zsh);
		strbuf_cstr(out, "\n\t\t;;\n");
	}
	strbuf_cstr(out, "\tesac\n}\n_cairn \"$@\"\n");
}

/* "complete" for when the words of `c` were typed. */
static void fish_begin(const struct cli_cmd *c, struct strbuf *out)
{
	str first, second;

	(void)str_cut(str_of(c->name), ' ', &first, &second);
	strbuf_printf(out, "complete -c cairn -n '__fish_seen_subcommand_from %.*s", STR(first));
	if (second.len)
		strbuf_printf(out, "; and __fish_seen_subcommand_from %.*s", STR(second));
	strbuf_cstr(out, "' ");
}

static void fish_option(const struct cli_cmd *c, const struct cli_opt *o, struct strbuf *out)
{
	fish_begin(c, out);
	strbuf_printf(out, "-l %s", o->name);
	if (o->letter)
		strbuf_printf(out, " -s %c", o->letter);
	if (o->kind == CLI_ENUM) {
		strbuf_cstr(out, " -xa '");
		choices(o, out);
		strbuf_char(out, '\'');
	} else if (o->kind != CLI_FLAG) {
		strbuf_printf(out, " %s", hints[o->hint].fish);
	}
	strbuf_cstr(out, " -d '");
	plain(out, o->help);
	strbuf_cstr(out, "'\n");
}

void doc_fish(struct strbuf *out)
{
	static const struct cli_opt help = { "help", 'h', CLI_FLAG, .help = "Print help" };

	strbuf_cstr(out, "# fish completion for cairn, made from its option tables\n"
	                 "function __cairn_commands\n\tstring split ' ' '");
	command_names(out);
	strbuf_cstr(out, "'\nend\ncomplete -c cairn -f\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_cmd *c = cli_commands[i];

		if (cli_command_top(c)) {
			strbuf_printf(out, "complete -c cairn -n __fish_use_subcommand -a %s -d '",
			              c->name);
			plain(out, c->summary);
			strbuf_cstr(out, "'\n");
		}
		if (c->is_group) {
			fish_begin(c, out);
			strbuf_cstr(out, "-a '");
			words_of(c, out);
			strbuf_cstr(out, "'\n");
		}
		if (c->opts)
			opt_foreach(o, c->opts) if (!o->unsupported) fish_option(c, o, out);
		fish_option(c, &help, out);
		if (c->hint != CLI_HINT_NONE) {
			fish_begin(c, out);
			strbuf_printf(out, "%s\n",
			              c->hint == CLI_HINT_FILE ? "-F" : hints[c->hint].fish);
		}
	}
}
