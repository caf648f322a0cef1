/* workspace/plan_steps.h - which steps of images that are built will hit. Private to plan*.c. */
#ifndef CAIRN_WORKSPACE_PLAN_STEPS_H
#define CAIRN_WORKSPACE_PLAN_STEPS_H

#include "plan_input.h"

/* Fill the steps of images that are built: by their definition keys, in the store, then in the
 * remotes, many at once. A step on an image that is built as well is not known before that. */
int plan_steps(struct plan *p, const struct plan_inputs *in, struct cairn_err *err);

#endif
