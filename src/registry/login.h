/* registry/login.h - who to be at one registry, and the tokens it gave. Private.
 *
 * The token protocol (https://distribution.github.io/distribution/spec/auth/token/): a 401 names a
 * token server and we ask it for a scope, "repository:library/debian:pull"; several scopes of one
 * token are separated by blanks here.  The server's address is remembered: the next scope
 * needs no 401.
 *
 * ECR: without a login in config.json the password is a token of AWS (net/aws.h).
 *
 * No locks here: the caller lets one thread in at a time.
 */
#ifndef CAIRN_REGISTRY_LOGIN_H
#define CAIRN_REGISTRY_LOGIN_H

#include "net/net.h"
#include "registry.h"

struct token {
	char *scope;     /* "repository:library/debian:pull" */
	char *value;     /* a secret */
	int64_t expires; /* clock_monotonic() */
};

struct login {
	const struct registry_opts *opts; /* borrowed */
	const char *domain;               /* borrowed */
	const struct http_tls *tls;       /* borrowed; for the token server too */
	bool secure;                      /* the registry is spoken to by HTTPS */
	bool looked_up;                   /* creds are what config.json says */
	bool given;                       /* creds are what the user just typed */
	bool ecr;                         /* creds are a token of AWS */
	/* The registry has let us in with what it then refuses: that has expired. Any thread. */
	atomic_bool worked;
	unsigned renewals; /* how often creds were looked up again */
	struct credentials creds;
	bool basic;    /* it asked for Basic: send it at once */
	char *realm;   /* of the token server that the registry named last; NULL: none yet */
	char *service; /* likewise */
	VEC(struct token) tokens;
};

void login_done(struct login *l);

/* What to put into Authorization, as far as known; an owned secret, NULL = nothing. Asks a token
 * server that is known for a scope that is not. */
int login_known(struct login *l, const char *scope, char **ret, struct cairn_err *err);

/* May this answer say that what we are known by has expired, though it is no 401? ECR says so with
 * a 403. Needs no lock. */
bool login_expired(const struct login *l, const struct http_response *resp);

/* Answer a 401, or what login_expired() is true of. `sent` is what the refused request had as
 * Authorization, or NULL.  *ret_again: login_known() knows something new; always so after success
 * with a 401.  Fails as http_send() and with CAIRN_E_AUTH. */
int login_answer(struct login *l, const char *scope, const char *sent,
                 const struct http_response *resp, bool *ret_again, struct cairn_err *err);

/* What the user can do about a refusal. Static. */
const char *login_hint(const struct login *l);

/* Release a secret; NULL is fine. */
void secret_free(char *s);

static inline void secret_free_p_(char **s)
{
	secret_free(*s);
	*s = NULL;
}
#define cleanup_secret __attribute__((cleanup(secret_free_p_)))

#endif
