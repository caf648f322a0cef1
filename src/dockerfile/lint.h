/* lint.h - the checks that need nothing but the Dockerfile itself. */
#ifndef CAIRN_DOCKERFILE_LINT_H
#define CAIRN_DOCKERFILE_LINT_H

#include "dockerfile.h"

/* Fill df->warnings and df->check_error, by `# check=` and its forms above single
 * instructions. Fails with CAIRN_E_SYNTAX when the directive is malformed. */
int lint(struct dockerfile *df, struct cairn_err *err);

#endif
