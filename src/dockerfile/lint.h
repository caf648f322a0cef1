/* lint.h - the checks of a Dockerfile. */
#ifndef CAIRN_DOCKERFILE_LINT_H
#define CAIRN_DOCKERFILE_LINT_H

#include "dockerfile.h"

/* Fill df->warnings and df->check_error, anew. ignore: NULL when it is not known; then rules that
 * need it find nothing. By `# check=` and its forms above single
 * instructions. Fails with CAIRN_E_SYNTAX when the directive is malformed. */
int lint(struct dockerfile *df, const struct ignore *ignore, struct cairn_err *err);

#endif
