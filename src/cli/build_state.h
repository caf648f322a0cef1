/* cli/build_state.h - what `cairn plan` asks for: which input the image of a build was made from.
 */
#ifndef CAIRN_CLI_BUILD_STATE_H
#define CAIRN_CLI_BUILD_STATE_H

#include "engine/engine.h"

struct build_run;

/* Begin to ask the caches that are written, where this machine does not know it. Main thread; fits
 * engine_opts.keyed, ctx is a struct build_run. */
void build_state_ask(void *ctx, const struct engine_build *b);

/* Keep in the store what was built from this input, and begin to tell the caches that are written,
 * in build_remote_teller(). Costs one look-up when that is known already. */
int build_state_keep(struct build_run *r, const struct engine_image *im,
                     const struct outputs_result *made, struct cairn_err *err);

/* That failed: who plans later builds an image too many; the image is there. */
void build_state_warn(struct build_run *r, const struct cairn_err *why);

#endif
