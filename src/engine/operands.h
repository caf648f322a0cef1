/* engine/operands.h - what a step reads beside the tree it stands on, private to engine/.
 *
 * COPY has one operand unless its text is in the Dockerfile, RUN one for each mount with files.  An
 * operand is a selection out of a view: files of a context, or of another step's tree.  Its digest
 * is a part of the step's keys (cache/keys.h).
 */
#ifndef CAIRN_ENGINE_OPERANDS_H
#define CAIRN_ENGINE_OPERANDS_H

#include "util/err.h"

struct step;

/* While planning: allocate the operands, views and selections of a step; those of contexts are
 * selected and hashed, those of steps name them by their definition keys, which are known. Warns of
 * patterns that match nothing. Fails with the Dockerfile's line when something named does not
 * exist, and as the context does. */
int operands_plan(struct step *s, struct cairn_err *err);

/* The steps that operands read are done, and the indexes of their layers are in the store: select
 * from their trees. Fails with the Dockerfile's line when something named is not there. */
int operands_complete(struct step *s, struct cairn_err *err);

#endif
