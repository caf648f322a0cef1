/* registry/auth_header.h - the challenge of a 401 answer.
 *
 *	WWW-Authenticate: Bearer realm="https://auth.example/token",service="reg",scope="..."
 *
 * RFC 9110 section 11.6.1; only the schemes that registries use are told apart.
 */
#ifndef CAIRN_REGISTRY_AUTH_HEADER_H
#define CAIRN_REGISTRY_AUTH_HEADER_H

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

enum auth_scheme {
	AUTH_OTHER, /* known to nobody here */
	AUTH_BASIC,
	AUTH_BEARER,
	AUTH_N_,
};

struct auth_challenge {
	enum auth_scheme scheme;
	str realm;   /* BEARER: URL of the token server */
	str service; /* "" when absent */
	str scope;   /* "" when absent */
};

/* Parse one WWW-Authenticate value, which may hold several challenges: a Bearer with a
 * realm wins over Basic, Basic over what is unknown. Strings live in `a`.
 * Fails with CAIRN_E_SYNTAX. */
int auth_header_parse(struct arena *a, str value, struct auth_challenge *ret,
                      struct cairn_err *err);

#endif
