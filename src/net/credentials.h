/* net/credentials.h - who to be at a registry.
 *
 * Read from Docker's config.json, in Docker's order: the helper that "credHelpers" names
 * for the registry, else the one of "credsStore", else the entry in "auths".
 *
 *	{"auths": {"reg.example": {"auth": base64("user:password")}},
 *	 "credsStore": "secretservice",
 *	 "credHelpers": {"123.dkr.ecr.eu-central-1.amazonaws.com": "ecr-login"}}
 *
 * A helper is the program docker-credential-NAME, run with the argument "get", the
 * registry on its standard input, and {"Username","Secret"} on its standard output
 * (https://github.com/docker/docker-credential-helpers).  It is found in $PATH and run
 * without a shell.
 *
 * Secrets are wiped when released and never appear in an error.
 */
#ifndef CAIRN_NET_CREDENTIALS_H
#define CAIRN_NET_CREDENTIALS_H

#include "util/err.h"
#include "util/str.h"
#include "util/strbuf.h"

/* What Docker Hub is called in config.json. */
#define CREDENTIALS_HUB "https://index.docker.io/v1/"

enum credentials_kind {
	CREDENTIALS_NONE,     /* be anonymous */
	CREDENTIALS_BASIC,    /* user and password */
	CREDENTIALS_IDENTITY, /* secret is an OAuth2 refresh token, to be exchanged */
	CREDENTIALS_BEARER,   /* secret is a bearer token, to be sent as it is */
	CREDENTIALS_N_,
};

struct credentials {
	enum credentials_kind kind;
	char *user;   /* owned; BASIC: not NULL */
	char *secret; /* owned; not NULL unless NONE */
};

void credentials_done(struct credentials *c); /* wipes; c is NONE afterwards */
#define cleanup_credentials __attribute__((cleanup(credentials_done)))

/* The directory of config.json: $DOCKER_CONFIG, else $HOME/.docker; owned, NULL when
 * neither is set. */
char *credentials_dir(void);

/* Look `registry` up ("reg.example:5000"; "docker.io" for Docker Hub).
 *
 * dir  where config.json lies; NULL, a missing directory or file: anonymous
 *
 * Starts a helper program when config.json names one; at most 30 s. May be called from a
 * pool thread: the child is started with posix_spawn and awaited by its own pid.
 *
 * Fails with CAIRN_E_SYNTAX for a broken config.json and with CAIRN_E_AUTH when a helper
 * is missing or fails (one that does not know the registry means anonymous). */
int credentials_find(const char *dir, str registry, struct credentials *ret, struct cairn_err *err);

/* Keep a login (kind BASIC), as `docker login` does: by the helper that config.json names, else in
 * config.json itself, which is made (0600) when it is missing and keeps its other members.
 * *ret_where: the file or the helper; owned.
 *
 * Fails with CAIRN_E_SYNTAX for a broken config.json, CAIRN_E_AUTH when a helper is missing or
 * fails, CAIRN_E_SYSTEM. */
int credentials_store(const char *dir, str registry, const struct credentials *creds,
                      char **ret_where, struct cairn_err *err);

/* Forget a login, likewise. *ret_was: there was one. */
int credentials_erase(const char *dir, str registry, bool *ret_was, struct cairn_err *err);

/* Append the value of a Basic Authorization header: "Basic dXNlcjpwYXNz". */
void credentials_basic(const struct credentials *c, struct strbuf *out);

#endif
