#include "build_opts.h"

int build_run(const struct cli_build_opts *o, struct cairn_ctx *ctx, struct cairn_err *err)
{
	(void)o;
	(void)ctx;
	return cairn_fail(err, CAIRN_E_UNSUPPORTED, "building is not connected yet");
}
