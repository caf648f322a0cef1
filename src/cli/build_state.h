/* cli/build_state.h - what `cairn plan` asks for: which input the image of a build was made from.
 */
#ifndef CAIRN_CLI_BUILD_STATE_H
#define CAIRN_CLI_BUILD_STATE_H

#include "engine/engine.h"

struct build_run;

/* Keep in the store, and in the caches that are written, what was built from this input. Costs one
 * look-up when that is known already. */
int build_state_keep(struct build_run *r, const struct engine_image *im,
                     const struct outputs_result *made, struct cairn_err *err);

#endif
