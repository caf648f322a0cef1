/* cli/main.c - wiring only. */
#include <unistd.h>

#include "ctx.h"
#include "dispatch.h"

extern char **environ;

int main(int argc, char **argv)
{
	struct cairn_ctx ctx = {
		.out = stdout, .err = stderr, .envp = environ, .argv = argv, .argc = argc
	};
	int code;

	ctx.color_out = ctx_color(environ, isatty(STDOUT_FILENO));
	ctx.color_err = ctx_color(environ, isatty(STDERR_FILENO));
	code = dispatch(&ctx, argc, argv);
	free(ctx.home);
	return code;
}
