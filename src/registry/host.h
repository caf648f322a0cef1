/* registry/host.h - what is known about each registry, and requests to it. Private.
 *
 * A host's lock is held while a token is fetched, so that eight threads that meet the
 * same 401 fetch one token.
 */
#ifndef CAIRN_REGISTRY_HOST_H
#define CAIRN_REGISTRY_HOST_H

#include <pthread.h>

#include "login.h"
#include "mirror.h"
#include "registry.h"

struct host;

struct registry {
	struct registry_opts opts;
	pthread_mutex_t lock; /* of hosts and pushed */
	struct host *hosts;   /* owned list */
	VEC(char *) pushed;   /* "domain/repository" of registry_expect_push() */
	struct mirrors *mirrors;
};

/* One call of a registry's API. */
struct registry_call {
	const char *domain;    /* as in a reference: "docker.io", "localhost:5000" */
	const char *repo;      /* "library/debian"; "" for the API's root */
	const char *actions;   /* "pull", "pull,push": what the token must allow; "" for the root */
	const char *from_repo; /* another repository that must be readable (a mount), or NULL */
	const char *method;
	const char *path; /* behind "/v2/REPO/": "manifests/12"; "" for the root */
	/* Absolute; instead of path when not NULL. Authorization is sent to the registry's own
	 * origin only. */
	const char *url;
	const struct http_field *fields;
	size_t n_fields;
	str body;
	const struct http_source *source; /* instead of body, see http_request */
	bool once;                        /* see http_request; after a 401 it is sent again */
	const struct http_sink *sink;
	size_t max_body;
};

/* Send, logging in when the registry asks for it. Any status but 401 is success.
 * Fails as http_send(), and with CAIRN_E_AUTH. */
int registry_send(struct registry *r, const struct registry_call *call, struct http_response *resp,
                  struct cairn_err *err);

/* --- errors.c --- */

/* The error of an answer that is not 2xx; `what` names the thing asked for. */
int registry_fail(const struct registry_call *call, const struct http_response *resp,
                  const char *what, struct cairn_err *err);

/* Is `code` among the error codes that the answer's body tells? */
bool registry_says(const struct http_response *resp, const char *code);

#endif
