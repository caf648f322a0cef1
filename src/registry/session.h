/* registry/session.h - a registry client with all it needs, from the user's environment.
 *
 * HTTP client, AWS's credentials, Docker's config.json and the settings of hosts in one object.
 * Nothing is read and libcurl is not loaded before the first request.
 */
#ifndef CAIRN_REGISTRY_SESSION_H
#define CAIRN_REGISTRY_SESSION_H

#include "registry.h"

struct registry_session_opts {
	const char
		*ca_file; /* PEM file of authorities for all hosts; NULL = the system's; borrowed */
	const struct registry_host_settings *hosts; /* borrowed */
	size_t n_hosts;
	const struct registry_mirror *mirrors; /* borrowed */
	size_t n_mirrors;
	void (*warn)(void *ctx, str text); /* see registry_opts; may be NULL */
	void *warn_ctx;
	char *const *envp; /* for AWS; borrowed; NULL = no tokens of ECR are made */
	const atomic_bool *cancel, *stop_reading; /* see http_opts; may be NULL */
	struct http_traffic *traffic;             /* likewise */
	struct http_connections *connections;     /* likewise */
};

struct registry_session;

struct registry_session *registry_session_new(const struct registry_session_opts *opts);
void registry_session_free(struct registry_session *s); /* no call may be running; NULL is fine */
DEFINE_CLEANUP(struct registry_session *, registry_session_free);
#define cleanup_registry_session __attribute__((cleanup(registry_session_free_p_)))

/* Borrowed from s. */
struct registry *registry_session_registry(struct registry_session *s);
struct http_client *registry_session_http(struct registry_session *s);
struct aws *registry_session_aws(struct registry_session *s); /* NULL without envp */

#endif
