/* cli/plan_print.h - a plan as people and programs read it. */
#ifndef CAIRN_CLI_PLAN_PRINT_H
#define CAIRN_CLI_PLAN_PRINT_H

#include <stdio.h>

#include "workspace/workspace.h"

/* A row an image, those that are built first, and one line with the sum. */
void plan_print_table(const struct plan *p, FILE *out);

/* Everything about one image. */
void plan_print_image(const struct plan *p, const struct plan_image *i, FILE *out);

/* One JSON object; docs/plan.md says what is in it. */
void plan_print_json(const struct plan *p, FILE *out);

/* For GitHub Actions: appends `any`, `images`, `retag` and `matrix` to the file `output`
 * (GITHUB_OUTPUT) and a table to `summary` (GITHUB_STEP_SUMMARY); NULL: to `out`, or nowhere. */
int plan_print_github(const struct plan *p, const char *output, const char *summary, FILE *out,
                      struct cairn_err *err);

/* For AWS CodeBuild: the `batch:` section of a buildspec, a build-graph. */
void plan_print_codebuild(const struct plan *p, FILE *out);

#endif
