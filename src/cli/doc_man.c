/* Manual pages in man(7) macros. */
#include "commands.h"
#include "doc.h"
#include "exit.h"

const struct doc_env doc_env[] = {
	{ "CAIRN_HOME", "Folder of the store, absolute. Default: /var/lib/cairn for root, else "
	                "$XDG_DATA_HOME/cairn or ~/.local/share/cairn" },
	{ "CAIRN_CONFIG", "The configuration to use in place of the repository's cairn.yaml" },
	{ "CAIRN_DEBUG", "1: print what cairn does inside, for a report of a problem" },
	{ "NO_COLOR", "Not empty: no colours" },
	{ "DOCKER_CONFIG", "Folder of config.json with registry credentials. Default: ~/.docker" },
	{ "SSL_CERT_FILE",
	  "File of certificate authorities (PEM) for registries. Default: the system's" },
	{ "SOURCE_DATE_EPOCH",
	  "Seconds since 1970: created times of the image, so that two builds give "
	  "the same bytes" },
	{ 0 },
};

/* Text as roff reads it: backslashes and dashes kept, no line starts with a control character. */
static void roff(struct strbuf *out, const char *s)
{
	bool start = out->len == 0 || out->ptr[out->len - 1] == '\n';

	for (; *s; s++) {
		if (start && (*s == '.' || *s == '\''))
			strbuf_cstr(out, "\\&");
		if (*s == '\\')
			strbuf_cstr(out, "\\e");
		else if (*s == '-')
			strbuf_cstr(out, "\\-");
		else
			strbuf_char(out, *s);
		start = *s == '\n';
	}
}

static void roff_line(struct strbuf *out, const char *s)
{
	roff(out, s);
	strbuf_char(out, '\n');
}

static void heading(struct strbuf *out, const char *name)
{
	strbuf_printf(out, ".TH %s 1 \"\" \"cairn %s\" \"User Commands\"\n.SH NAME\n", name,
	              CAIRN_VERSION);
}

static void paragraphs(struct strbuf *out, const char *text)
{
	str rest = str_of(text);

	while (rest.len > 0) {
		ptrdiff_t end = str_search(rest, S("\n\n"));
		str para = end < 0 ? rest : str_n(rest.ptr, (size_t)end);
		cleanup_free char *copy = str_dup(para);
		bool keep = str_starts(para, S("  "));

		rest = end < 0 ? str_n(NULL, 0) : str_skip(rest, (size_t)end + 2);
		strbuf_cstr(out, keep ? ".PP\n.EX\n" : ".PP\n");
		roff_line(out, copy);
		if (keep)
			strbuf_cstr(out, ".EE\n");
	}
}

static void option(struct strbuf *out, const struct cli_opt *o)
{
	strbuf_cstr(out, ".TP\n");
	if (o->letter)
		strbuf_printf(out, "\\fB\\-%c\\fR, ", o->letter);
	strbuf_cstr(out, "\\fB\\-\\-");
	roff(out, o->name);
	strbuf_cstr(out, "\\fR");
	if (o->kind == CLI_ENUM) {
		strbuf_char(out, ' ');
		for (size_t i = 0; o->choices[i]; i++)
			strbuf_printf(out, "%s\\fB%s\\fR", i ? "|" : "", o->choices[i]);
	} else if (o->kind != CLI_FLAG) {
		strbuf_cstr(out, " \\fI");
		roff(out, o->arg);
		strbuf_cstr(out, "\\fR");
	}
	strbuf_char(out, '\n');
	roff_line(out, o->help);
}

static void unsupported(struct strbuf *out, const struct cli_cmd *cmd)
{
	bool any = false;

	if (cmd->opts) {
		opt_foreach(o, cmd->opts)
		{
			if (!o->unsupported)
				continue;
			strbuf_cstr(out, any ? ",\n"
			                     : ".PP\nNot built yet (these fail, they are never "
			                       "ignored):\n");
			roff(out, "--");
			roff(out, o->name);
			any = true;
		}
	}
	if (any)
		strbuf_cstr(out, ".\n");
}

static void examples(struct strbuf *out, const struct cli_cmd *cmd)
{
	if (!cmd->examples)
		return;
	strbuf_cstr(out, ".SH EXAMPLES\n");
	for (const struct cli_example *e = cmd->examples; e->line; e++) {
		strbuf_cstr(out, ".TP\n.B ");
		roff_line(out, e->line);
		roff_line(out, e->what);
	}
}

void doc_man_command(const struct cli_cmd *cmd, struct strbuf *out)
{
	static const struct cli_opt help = { "help", 'h', CLI_FLAG,
		                             .help = "Print a summary of this page" };
	cleanup_free char *dashed = cli_command_dashed(cmd);
	cleanup_free char *name = xasprintf("cairn-%s", dashed);

	heading(out, name);
	roff(out, name);
	strbuf_cstr(out, " \\- ");
	roff_line(out, cmd->summary);
	strbuf_printf(out, ".SH SYNOPSIS\n.B cairn %s\n", cmd->name);
	if (*cmd->args)
		roff_line(out, cmd->args);
	strbuf_cstr(out, ".SH DESCRIPTION\n");
	roff_line(out, cmd->summary);
	if (cmd->description)
		paragraphs(out, cmd->description);
	strbuf_cstr(out, ".SH OPTIONS\n");
	if (cmd->opts)
		opt_foreach(o, cmd->opts) if (!o->unsupported) option(out, o);
	option(out, &help);
	unsupported(out, cmd);
	examples(out, cmd);
	strbuf_cstr(out, ".SH EXIT STATUS\nThe codes stand in\n.BR cairn (1).\n"
	                 ".SH SEE ALSO\n.BR cairn (1)\n");
}

void doc_man_overview(struct strbuf *out)
{
	const struct exit_row *rows;
	size_t n;

	heading(out, "cairn");
	strbuf_cstr(out, "cairn \\- a container image builder without a daemon\n"
	                 ".SH SYNOPSIS\n.B cairn\nCOMMAND [OPTIONS] [WORDS]\n.SH COMMANDS\n");
	for (size_t i = 0; cli_commands[i]; i++) {
		cleanup_free char *dashed = cli_command_dashed(cli_commands[i]);

		strbuf_cstr(out, ".TP\n.BR cairn\\-");
		roff(out, dashed);
		strbuf_cstr(out, " (1)\n");
		roff_line(out, cli_commands[i]->summary);
	}
	strbuf_cstr(out, ".SH ENVIRONMENT\n");
	for (const struct doc_env *e = doc_env; e->name; e++) {
		strbuf_printf(out, ".TP\n.B %s\n", e->name);
		roff_line(out, e->text);
	}
	strbuf_cstr(out, ".SH EXIT STATUS\n");
	rows = exit_table(&n);
	for (size_t i = 0; i < n; i++) {
		strbuf_printf(out, ".TP\n.B %d\n", rows[i].code);
		roff_line(out, rows[i].text);
	}
	strbuf_cstr(out,
	            ".PP\n.B cairn run\npasses the exit code of the command it ran through.\n");
}
