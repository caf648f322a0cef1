#include "session.h"

struct registry_session {
	struct http_client *http;
	struct aws *aws;
	char *docker_config;
	struct registry *registry;
};

struct registry_session *registry_session_new(const struct registry_session_opts *opts)
{
	struct registry_session *s = xcalloc(1, sizeof(*s));
	struct http_opts ho = HTTP_OPTS_INIT;

	ho.cancel = opts->cancel;
	ho.stop_reading = opts->stop_reading;
	ho.traffic = opts->traffic;
	ho.connections = opts->connections;
	ho.ca_file = opts->ca_file;
	s->http = http_client_new(&ho);
	if (opts->envp)
		s->aws = aws_new(&(struct aws_opts){ .http = s->http, .envp = opts->envp });
	s->docker_config = credentials_dir();
	s->registry = registry_new(&(struct registry_opts){ .http = s->http,
	                                                    .docker_config = s->docker_config,
	                                                    .hosts = opts->hosts,
	                                                    .n_hosts = opts->n_hosts,
	                                                    .mirrors = opts->mirrors,
	                                                    .n_mirrors = opts->n_mirrors,
	                                                    .warn = opts->warn,
	                                                    .warn_ctx = opts->warn_ctx,
	                                                    .aws = s->aws });
	return s;
}

void registry_session_free(struct registry_session *s)
{
	if (!s)
		return;
	registry_free(s->registry);
	aws_free(s->aws);
	http_client_free(s->http);
	free(s->docker_config);
	free(s);
}

struct registry *registry_session_registry(struct registry_session *s)
{
	return s->registry;
}

struct http_client *registry_session_http(struct registry_session *s)
{
	return s->http;
}

struct aws *registry_session_aws(struct registry_session *s)
{
	return s->aws;
}
