/* cli/build_check.h - `cairn build --check`: what should be written differently. */
#ifndef CAIRN_CLI_BUILD_CHECK_H
#define CAIRN_CLI_BUILD_CHECK_H

#include <stdio.h>

#include "dockerfile/dockerfile.h"
#include "graph/graph.h"

/* Let the file have the warnings that lowering it has found. */
void build_check_add(struct dockerfile *df, const struct graph *g);

/* Print every warning with its line, then how many there are.
 * Fails with CAIRN_E_SYNTAX when there is one, so that a pipeline stops. */
int build_check(const struct dockerfile *df, FILE *out, struct cairn_err *err);

#endif
