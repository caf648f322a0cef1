#include <errno.h>
#include <unistd.h>

#include "commands.h"
#include "dockerfile/dockerfile.h"
#include "util/fs.h"

static int read_source(const char *path, struct strbuf *text, struct cairn_err *err)
{
	char buf[64 * 1024];
	size_t n;

	if (strcmp(path, "-") != 0)
		return fs_read_file(AT_FDCWD, path, text, err);
	do {
		TRY(fs_read_full(STDIN_FILENO, buf, sizeof(buf), &n, "standard input", err));
		strbuf_add(text, buf, n);
	} while (n == sizeof(buf) && !text->overflow);
	return strbuf_check(text, "the Dockerfile", err);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text, out;
	cleanup_dockerfile struct dockerfile *df = NULL;
	cleanup_json json_t *j = NULL;
	const char *path = call->argv[0];

	strbuf_init(&text, DOCKERFILE_MAX);
	strbuf_init(&out, SIZE_MAX / 2);
	TRY(read_source(path, &text, err));
	TRY(dockerfile_parse(strbuf_view(&text), strcmp(path, "-") == 0 ? "Dockerfile" : path, &df,
	                     err));
	j = dockerfile_to_json(df);
	json_write(j, &out);
	strbuf_char(&out, '\n');
	(void)fwrite(out.ptr, 1, out.len, call->ctx->out);
	return 0;
}

static const struct cli_example examples[] = {
	{ "cairn parse Dockerfile | jq '.instructions[].name'",
	  "the instructions of a Dockerfile" },
	{ 0 },
};

const struct cli_cmd cmd_parse = {
	.name = "parse",
	.group = "Building",
	.summary = "Print a Dockerfile as JSON",
	.description =
		"Prints one object: the instructions with their lines, flags and arguments as written, "
		"the directives, and warnings. Nothing is expanded and no file but FILE is read; - is "
		"standard input.",
	.args = "FILE",
	.min_args = 1,
	.max_args = 1,
	.hint = CLI_HINT_FILE,
	.run = run,
	.examples = examples,
};
