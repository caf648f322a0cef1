#include "help.h"

#include "commands.h"

#define LABEL_WIDTH 30 /* column where the texts of options start */

static void pad(struct strbuf *out, size_t n)
{
	while (n-- > 0)
		strbuf_char(out, ' ');
}

/* Append text, wrapped at HELP_WIDTH; `col` is where the cursor stands, new lines get `indent`. */
static void wrap(struct strbuf *out, str text, size_t col, size_t indent)
{
	str word;
	bool first = true;

	while (str_next(&text, ' ', &word)) {
		if (word.len == 0)
			continue;
		if (!first && col + 1 + word.len > HELP_WIDTH) {
			strbuf_char(out, '\n');
			pad(out, indent);
			col = indent;
			first = true;
		}
		if (!first) {
			strbuf_char(out, ' ');
			col++;
		}
		strbuf_str(out, word);
		col += word.len;
		first = false;
	}
	strbuf_char(out, '\n');
}

/* Paragraphs of a description: wrapped, or kept where they start with two blanks. */
static void paragraphs(struct strbuf *out, const char *text)
{
	str rest = str_of(text);

	while (rest.len > 0) {
		ptrdiff_t end = str_search(rest, S("\n\n"));
		str para = end < 0 ? rest : str_n(rest.ptr, (size_t)end);

		rest = end < 0 ? str_n(NULL, 0) : str_skip(rest, (size_t)end + 2);
		strbuf_char(out, '\n');
		if (str_starts(para, S("  "))) {
			strbuf_str(out, para);
			strbuf_char(out, '\n');
		} else {
			wrap(out, para, 0, 0);
		}
	}
}

void help_option_label(const struct cli_opt *o, struct strbuf *out)
{
	if (o->letter)
		strbuf_printf(out, "-%c, ", o->letter);
	else
		strbuf_cstr(out, "    ");
	strbuf_printf(out, "--%s", o->name);
	if (o->kind == CLI_ENUM) {
		strbuf_char(out, ' ');
		for (size_t i = 0; o->choices[i]; i++)
			strbuf_printf(out, "%s%s", i ? "|" : "", o->choices[i]);
	} else if (o->kind != CLI_FLAG) {
		strbuf_printf(out, " %s", o->arg ? o->arg : "VALUE");
	}
}

static void option_line(const struct cli_opt *o, struct strbuf *out)
{
	size_t start = out->len, used;

	strbuf_cstr(out, "  ");
	help_option_label(o, out);
	used = out->len - start;
	if (used + 2 > LABEL_WIDTH) {
		strbuf_char(out, '\n');
		used = 0;
	}
	pad(out, LABEL_WIDTH - used);
	wrap(out, str_of(o->help), LABEL_WIDTH, LABEL_WIDTH);
}

static void unsupported_lines(const struct cli_cmd *cmd, struct strbuf *out)
{
	struct strbuf list;
	bool any = false;

	strbuf_init(&list, HELP_MAX);
	opt_foreach(o, cmd->opts)
	{
		if (!o->unsupported)
			continue;
		strbuf_printf(&list, "%s--%s", any ? ", " : "", o->name);
		any = true;
	}
	if (any) {
		strbuf_cstr(out, "\nNot built yet (these fail, they are never ignored):\n  ");
		wrap(out, strbuf_view(&list), 2, 2);
	}
	strbuf_done(&list);
}

static void group_lines(const struct cli_cmd *group, struct strbuf *out)
{
	strbuf_cstr(out, "\nCommands:\n");
	for (size_t i = 0; cli_commands[i]; i++)
		if (cli_command_in(cli_commands[i], group))
			strbuf_printf(out, "  %-10s  %s\n", cli_command_word(cli_commands[i]),
			              cli_commands[i]->summary);
}

void help_command(const struct cli_cmd *cmd, struct strbuf *out)
{
	static const struct cli_opt help_row = { "help", 'h', CLI_FLAG, .help = "Print this text" };

	strbuf_printf(out, "Usage: cairn %s%s%s\n\n", cmd->name, *cmd->args ? " " : "", cmd->args);
	wrap(out, str_of(cmd->summary), 0, 0);
	if (cmd->description)
		paragraphs(out, cmd->description);
	if (cmd->is_group)
		group_lines(cmd, out);
	strbuf_cstr(out, "\nOptions:\n");
	if (cmd->opts)
		opt_foreach(o, cmd->opts) if (!o->unsupported) option_line(o, out);
	option_line(&help_row, out);
	if (cmd->opts)
		unsupported_lines(cmd, out);
	if (cmd->examples) {
		strbuf_cstr(out, "\nExamples:\n");
		for (const struct cli_example *e = cmd->examples; e->line; e++) {
			strbuf_printf(out, "  %s\n      ", e->line);
			wrap(out, str_of(e->what), 6, 6);
		}
	}
}

void help_overview(struct strbuf *out)
{
	const char *group = NULL;

	strbuf_cstr(out, "Usage: cairn COMMAND [OPTIONS] [WORDS]\n\n"
	                 "A container image builder without a daemon\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		const struct cli_cmd *c = cli_commands[i];

		if (!cli_command_top(c))
			continue;
		if (!group || strcmp(group, c->group) != 0)
			strbuf_printf(out, "\n%s:\n", c->group);
		group = c->group;
		strbuf_printf(out, "  %-10s  %s\n", c->name, c->summary);
	}
	strbuf_cstr(out, "\n'cairn COMMAND --help' says more about each; 'man cairn' about all.\n");
}
