/* cli/plan_print.h - a plan as people and programs read it. */
#ifndef CAIRN_CLI_PLAN_PRINT_H
#define CAIRN_CLI_PLAN_PRINT_H

#include <stdio.h>

#include "plan_route.h"
#include "workspace/workspace.h"

/* A row an image, those that are built first, and one line with the sum. */
void plan_print_table(const struct plan *p, const struct plan_route *r, FILE *out);

/* Everything about one image. */
void plan_print_image(const struct plan *p, const struct plan_route *r, const struct plan_image *i,
                      FILE *out);

/* One JSON object; docs/plan.md says what is in it. */
void plan_print_json(const struct plan *p, const struct plan_route *r, FILE *out);

/* Of goal.drivers: what runs-on, and a batch of CodeBuild, can start. */
#define PLAN_GITHUB_DRIVERS    (1u << RUNNER_GITHUB | 1u << RUNNER_CODEBUILD_RUNNER)
#define PLAN_CODEBUILD_DRIVERS (1u << RUNNER_CODEBUILD)

/* Where what is for GitHub goes. */
struct plan_github {
	const char *output;        /* GITHUB_OUTPUT; NULL: to the FILE */
	const char *summary;       /* GITHUB_STEP_SUMMARY; NULL: nowhere */
	const char *run, *attempt; /* GITHUB_RUN_ID, GITHUB_RUN_ATTEMPT; NULL: not known */
};

/* Appends `any`, `images`, `retag` and `matrix` to the file `output` and a table to `summary`. */
int plan_print_github(const struct plan *p, const struct plan_route *r,
                      const struct plan_github *to, FILE *out, struct cairn_err *err);

/* For AWS CodeBuild: the `batch:` section of a buildspec, a build-graph. */
void plan_print_codebuild(const struct plan *p, const struct plan_route *r, FILE *out);

/* --- shared by them ------------------------------------------------------------------------- */

#define PLAN_TEXT_MAX 48

/* The runner of an image and what it takes there; NULL: it is not built, or has none. */
const struct route_option *plan_chosen(const struct plan_route *r, const struct plan_image *i);

/* "2m10s", "1.20 GB"; "~" in front of what is guessed. buf is returned. */
const char *plan_time_text(const struct route_option *o, char buf[PLAN_TEXT_MAX]);
const char *plan_memory_text(const struct route_option *o, char buf[PLAN_TEXT_MAX]);
const char *plan_money_text(uint64_t micro_usd, char buf[PLAN_TEXT_MAX]); /* "$0.035" */

/* What the step is expected to take, ns; of a hit what it took. *runs counts the steps that run: 0
 * before the first step of the image. */
uint64_t plan_step_time(const struct plan_route *r, const struct plan_image *i, size_t step,
                        size_t *runs);

/* "2 to build, 0 to retag, 1 unchanged; about 3m20s, $0.03". */
void plan_sum_text(const struct plan *p, const struct plan_route *r, struct strbuf *out);

#endif
