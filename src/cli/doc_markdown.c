/* docs/commands.md. */
#include "commands.h"
#include "doc.h"
#include "exit.h"
#include "help.h"

/* A cell of a table: a bar would end it. */
static void cell(struct strbuf *out, const char *s)
{
	for (; *s; s++)
		strbuf_printf(out, *s == '|' ? "\\%c" : "%c", *s);
}

static void options(struct strbuf *out, const struct cli_cmd *cmd)
{
	bool any = false;

	if (!cmd->opts)
		return;
	strbuf_cstr(out, "\n| option | |\n| --- | --- |\n");
	opt_foreach(o, cmd->opts)
	{
		cleanup_strbuf struct strbuf label;

		if (o->unsupported)
			continue;
		strbuf_init(&label, HELP_MAX);
		help_option_label(o, &label);
		strbuf_cstr(out, "| `");
		cell(out, str_starts(strbuf_view(&label), S("    ")) ? label.ptr + 4 : label.ptr);
		strbuf_cstr(out, "` | ");
		cell(out, o->help);
		strbuf_cstr(out, " |\n");
	}
	opt_foreach(o, cmd->opts)
	{
		if (!o->unsupported)
			continue;
		strbuf_printf(out, "%s`--%s`",
		              any ? ", " : "\nNot built yet (these fail, they are never ignored): ",
		              o->name);
		any = true;
	}
	strbuf_cstr(out, any ? ".\n" : "");
}

static void command(struct strbuf *out, const struct cli_cmd *cmd)
{
	strbuf_printf(out, "\n## cairn %s\n\n%s.\n\n    cairn %s%s%s\n", cmd->name, cmd->summary,
	              cmd->name, *cmd->args ? " " : "", cmd->args);
	if (cmd->description)
		strbuf_printf(out, "\n%s\n", cmd->description);
	options(out, cmd);
	if (!cmd->examples)
		return;
	strbuf_cstr(out, "\nExamples:\n\n");
	for (const struct cli_example *e = cmd->examples; e->line; e++)
		strbuf_printf(out, "* `%s`: %s\n", e->line, e->what);
}

void doc_markdown(struct strbuf *out)
{
	const struct exit_row *rows;
	size_t n;

	strbuf_cstr(
		out,
		"# Commands of cairn\n\n"
		"<!-- Made from the option tables in src/cli: ninja -C build update-docs -->\n\n"
		"Every command takes `--help` (`-h`). Options may be written `--name=value`, `--name value`, "
		"`-f value` or `-fvalue`; `--` ends them. An option that does not exist, or that is not "
		"built yet, is an error.\n");
	for (size_t i = 0; cli_commands[i]; i++)
		command(out, cli_commands[i]);
	strbuf_cstr(out, "\n## Exit codes\n\n| code | |\n| --- | --- |\n");
	rows = exit_table(&n);
	for (size_t i = 0; i < n; i++)
		strbuf_printf(out, "| %d | %s |\n", rows[i].code, rows[i].text);
	strbuf_cstr(
		out,
		"\n`cairn run` passes the exit code of the command it ran through. A failure prints one "
		"line to standard error: `cairn: error: FILE:LINE:COLUMN: what is wrong`.\n"
		"\n## Environment\n\n| variable | |\n| --- | --- |\n");
	for (const struct doc_env *e = doc_env; e->name; e++)
		strbuf_printf(out, "| `%s` | %s |\n", e->name, e->text);
}

void doc_names(struct strbuf *out)
{
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_cmd *c = cli_commands[i];

		strbuf_printf(out, "%s\n", c->name);
		if (c->opts)
			opt_foreach(o, c->opts) if (!o->unsupported)
				strbuf_printf(out, "%s --%s\n", c->name, o->name);
		strbuf_printf(out, "%s --help\n", c->name);
	}
}
