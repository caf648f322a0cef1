/* cli/gendoc.c - the program that writes everything made from the option tables.
 *
 * usage: gendoc man DIR         cairn.1 and cairn-COMMAND.1
 *        gendoc completion DIR  cairn.bash, _cairn (zsh), cairn.fish
 *        gendoc markdown        docs/commands.md, to standard output
 *        gendoc schema          docs/cairn.schema.json, to standard output
 *        gendoc names           all commands and options, to standard output
 */
#include <stdio.h>

#include "commands.h"
#include "doc.h"
#include "util/fs.h"
#include "workspace/workspace.h"

static int save(const char *dir, const char *name, const struct strbuf *text)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);
	struct cairn_err err;

	if (strbuf_check(text, name, &err) == 0 &&
	    fs_write_file(AT_FDCWD, path, strbuf_view(text), 0644, &err) == 0)
		return 0;
	(void)fprintf(stderr, "gendoc: %s\n", err.msg);
	return 1;
}

static int save_made(const char *dir, const char *name, void (*make)(struct strbuf *))
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, DOC_MAX);
	make(&text);
	return save(dir, name, &text);
}

static int man(const char *dir)
{
	int r = save_made(dir, "cairn.1", doc_man_overview);

	for (size_t i = 0; cli_commands[i] && r == 0; i++) {
		cleanup_free char *dashed = cli_command_dashed(cli_commands[i]);
		cleanup_free char *name = xasprintf("cairn-%s.1", dashed);
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, DOC_MAX);
		doc_man_command(cli_commands[i], &text);
		r = save(dir, name, &text);
	}
	return r;
}

static int completion(const char *dir)
{
	return save_made(dir, "cairn.bash", doc_bash) || save_made(dir, "_cairn", doc_zsh) ||
	       save_made(dir, "cairn.fish", doc_fish);
}

static int print(void (*make)(struct strbuf *))
{
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, DOC_MAX);
	make(&text);
	return fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "man") == 0)
		return man(argv[2]);
	if (argc == 3 && strcmp(argv[1], "completion") == 0)
		return completion(argv[2]);
	if (argc == 2 && strcmp(argv[1], "markdown") == 0)
		return print(doc_markdown);
	if (argc == 2 && strcmp(argv[1], "schema") == 0)
		return print(workspace_config_schema);
	if (argc == 2 && strcmp(argv[1], "names") == 0)
		return print(doc_names);
	(void)fputs("usage: gendoc man DIR | completion DIR | markdown | schema | names\n", stderr);
	return 2;
}
