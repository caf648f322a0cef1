/* engine/operands.h - what a step reads beside the tree it stands on, private to engine/.
 *
 * COPY has one operand unless its text is in the Dockerfile, RUN one for each mount with files.  An
 * operand is a selection out of a view: files of a context, or of another step's tree.  Its digest
 * is a part of the step's keys (cache/keys.h).
 */
#ifndef CAIRN_ENGINE_OPERANDS_H
#define CAIRN_ENGINE_OPERANDS_H

#include "util/err.h"

struct engine_build;
struct step;

/* While planning: the operands, views and selections of all steps, and their definition keys; what
 * is read of contexts is selected and hashed. Warns of patterns that match nothing. Fails with the
 * Dockerfile's line when something named does not exist, and as the context does. */
int operands_plan(struct engine_build *b, struct cairn_err *err);

/* The steps that operands read are done, and the indexes of their layers are in the store: select
 * from their trees. Fails with the Dockerfile's line when something named is not there. */
int operands_complete(struct step *s, struct cairn_err *err);

#endif
