/* cli/main.c - wiring only. */
#include <unistd.h>

#include "background_sync.h"
#include "ctx.h"
#include "dispatch.h"
#include "engine/engine.h"

extern char **environ;

int main(int argc, char **argv)
{
	struct cairn_ctx ctx = {
		.out = stdout, .err = stderr, .envp = environ, .argv = argv, .argc = argc
	};
	int code;

	if (argc > 1 && strcmp(argv[1], SANDBOX_HELPER_ARG) == 0)
		return sandbox_main(argc, argv);
	if (argc > 1 && strcmp(argv[1], BACKGROUND_SYNC_ARG) == 0)
		return background_sync_main(argc, argv);
	ctx.color_out = ctx_color(environ, isatty(STDOUT_FILENO));
	ctx.color_err = ctx_color(environ, isatty(STDERR_FILENO));
	code = dispatch(&ctx, argc, argv);
	free(ctx.home);
	return code;
}
