/* cli/plan_reasons.h - why the steps of an image that is built will run. */
#ifndef CAIRN_CLI_PLAN_REASONS_H
#define CAIRN_CLI_PLAN_REASONS_H

#include "plan_run.h"

/* Give the steps of an image that will run their reasons, as `cairn explain --dry-run` finds them:
 * by planning the build. Texts are in r->a. An image that cannot be planned so, because an image it
 * stands on is built first or its Dockerfile stands in a batch file, keeps none. */
void plan_reasons(struct plan_run *r, struct plan_image *i);

#endif
