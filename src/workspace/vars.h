/* workspace/vars.h - ${...} in the values of cairn.yaml, docker-bake.json and compose files.
 *
 *	CAIRN    ${name} ${name:-default} ${name-default}, $${ for ${; other dollars stay
 *	BAKE     ${name}, $${ for ${; other expressions of HCL are refused
 *	COMPOSE  $name ${name}, with :- - :? ? :+ + and a word, $$ for $
 *
 * Words behind the signs are expanded themselves.  A variable that is not set is a mistake for
 * CAIRN and BAKE, and nothing for COMPOSE, as its own tools have it.
 */
#ifndef CAIRN_WORKSPACE_VARS_H
#define CAIRN_WORKSPACE_VARS_H

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

#define VARS_RESULT_MAX (1u << 20) /* bytes of an expanded text */
#define VARS_DEPTH_MAX  16         /* ${a:-${b:-...}} */

enum vars_style {
	VARS_CAIRN,
	VARS_BAKE,
	VARS_COMPOSE,
};

struct vars {
	enum vars_style style;
	struct arena *arena; /* owns results; a text without dollars is returned as it is */
	/* True and the value when the variable is set. The value is borrowed until the expansion
	 * returns. */
	bool (*lookup)(void *ctx, str name, str *ret);
	void *ctx;
};

/* Fails with CAIRN_E_SYNTAX, without a place. */
int vars_expand(const struct vars *v, str text, str *ret, struct cairn_err *err);

#endif
