#include "host.h"

#include <stdio.h>

#include "push.h"

#define HUB_DOMAIN REFERENCE_DOCKER_IO
#define HUB_HOST   "registry-1.docker.io" /* where Docker Hub's API lives */

struct host {
	struct host *next;
	char *domain;
	char *base;           /* "https://registry-1.docker.io" */
	struct http_tls tls;  /* from the user's settings */
	pthread_mutex_t lock; /* of login */
	struct login login;
};

static void host_free(struct host *h)
{
	login_done(&h->login);
	(void)pthread_mutex_destroy(&h->lock);
	free(h->domain);
	free(h->base);
	free(h);
}

struct registry *registry_new(const struct registry_opts *opts)
{
	struct registry *r = xcalloc(1, sizeof(*r));

	(void)pthread_mutex_init(&r->lock, NULL);
	r->opts = *opts;
	r->mirrors = mirrors_new(&r->opts);
	return r;
}

void registry_free(struct registry *r)
{
	if (!r)
		return;
	while (r->hosts) {
		struct host *h = r->hosts;

		r->hosts = h->next;
		host_free(h);
	}
	vec_foreach (p, &r->pushed)
		free(*p);
	vec_free(&r->pushed);
	mirrors_free(r->mirrors);
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

struct http_client *registry_http(const struct registry *r)
{
	return r->opts.http;
}

/* 127.0.0.0/8, as numbers: "127.evil.example" is not. */
static bool is_loopback(str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] != '.' && (name.ptr[i] < '0' || name.ptr[i] > '9'))
			return false;
	return str_starts(name, S("127."));
}

static bool is_this_machine(const char *domain)
{
	str host = str_of(domain), name, port;

	if (str_starts(host, S("[::1]")))
		return true;
	(void)str_cut(host, ':', &name, &port);
	return str_is(name, "localhost") || is_loopback(name);
}

/* What the user says about the host; else this machine is spoken to by plain HTTP. */
static bool settings(const struct registry *r, const char *domain, struct http_tls *ret)
{
	for (size_t i = 0; i < r->opts.n_hosts; i++) {
		const struct registry_host_settings *s = &r->opts.hosts[i];

		if (strcmp(s->host, domain) != 0)
			continue;
		*ret = (struct http_tls){ s->ca_file, s->cert_file, s->key_file, s->skip_verify };
		return s->plain_http;
	}
	return is_this_machine(domain);
}

static struct host *host_new(struct registry *r, const char *domain)
{
	struct host *h = xcalloc(1, sizeof(*h));
	bool plain = settings(r, domain, &h->tls);

	(void)pthread_mutex_init(&h->lock, NULL);
	h->domain = xstrdup(domain);
	h->base = xasprintf("%s://%s", plain ? "http" : "https",
	                    strcmp(domain, HUB_DOMAIN) == 0 ? HUB_HOST : domain);
	h->login.opts = &r->opts;
	h->login.domain = h->domain;
	h->login.tls = &h->tls;
	h->login.secure = !plain;
	return h;
}

/* The host's state, made when it is first met. Lives as long as the registry. */
static struct host *host_get(struct registry *r, const char *domain)
{
	struct host *h;

	(void)pthread_mutex_lock(&r->lock);
	for (h = r->hosts; h && strcmp(h->domain, domain) != 0;)
		h = h->next;
	if (!h) {
		h = host_new(r, domain);
		h->next = r->hosts;
		r->hosts = h;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return h;
}

/* --- scopes --------------------------------------------------------------------- */

void registry_expect_push(struct registry *r, const struct reference *repo)
{
	char text[REFERENCE_TEXT_MAX];
	bool known = false;

	(void)reference_name(repo, text);
	(void)pthread_mutex_lock(&r->lock);
	vec_foreach (p, &r->pushed)
		known |= strcmp(*p, text) == 0;
	if (!known)
		vec_push(&r->pushed, xstrdup(text));
	(void)pthread_mutex_unlock(&r->lock);
}

static bool expects_push(struct registry *r, const struct registry_call *call)
{
	cleanup_free char *name = xasprintf("%s/%s", call->domain, call->repo);
	bool yes = false;

	(void)pthread_mutex_lock(&r->lock);
	vec_foreach (p, &r->pushed)
		yes |= strcmp(*p, name) == 0;
	(void)pthread_mutex_unlock(&r->lock);
	return yes;
}

/* What the token must allow; owned. */
static char *call_scope(struct registry *r, const struct registry_call *call)
{
	const char *actions = call->actions;

	if (!call->repo[0])
		return xstrdup("");
	if (strcmp(actions, "pull") == 0 && expects_push(r, call))
		actions = "pull,push";
	if (!call->from_repo)
		return xasprintf("repository:%s:%s", call->repo, actions);
	return xasprintf("repository:%s:%s repository:%s:pull", call->repo, actions,
	                 call->from_repo);
}

/* --- requests --------------------------------------------------------------------- */

static int refused(const struct host *h, const struct registry_call *call, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_AUTH, "%s%s%s %s; %s", call->domain,
	                  call->repo[0] ? "/" : "", call->repo,
	                  call->repo[0] ? "does not exist or needs another login"
	                                : "does not accept the login",
	                  login_hint(&h->login));
}

/* Send until it is not a 401. */
static int send_authorized(struct registry *r, struct host *h, const struct registry_call *call,
                           struct http_request *req, struct http_response *resp,
                           struct cairn_err *err)
{
	cleanup_free char *scope = call_scope(r, call);

	for (int tries = 0;; tries++) {
		cleanup_secret char *authorization = NULL;
		bool again = false;
		int rc;

		(void)pthread_mutex_lock(&h->lock);
		rc = login_known(&h->login, scope, &authorization, err);
		(void)pthread_mutex_unlock(&h->lock);
		TRY(rc);
		req->authorization = authorization;
		TRY(http_send(r->opts.http, req, resp, err));
		req->authorization = NULL;
		if (resp->status != 401 && !(authorization && login_expired(&h->login, resp))) {
			if (authorization && (resp->status < 400 || resp->status == 404))
				atomic_store(&h->login.worked, true);
			return 0;
		}
		if (tries == 2) /* one for a token that has expired, one for a fresh one */
			return resp->status == 401 ? refused(h, call, err) : 0;
		(void)pthread_mutex_lock(&h->lock);
		rc = login_answer(&h->login, scope, authorization, resp, &again, err);
		(void)pthread_mutex_unlock(&h->lock);
		if (rc == 0 && !again)
			return 0;
		TRY(rc);
	}
}

int registry_send(struct registry *r, const struct registry_call *call, struct http_response *resp,
                  struct cairn_err *err)
{
	struct host *h = host_get(r, call->domain);
	cleanup_free char *own = xasprintf("%s/v2/%s%s%s", h->base, call->repo,
	                                   call->repo[0] ? "/" : "", call->path ? call->path : "");
	struct http_request req = { .method = call->method,
		                    .url = call->url ? call->url : own,
		                    .fields = call->fields,
		                    .n_fields = call->n_fields,
		                    .body = call->body,
		                    .source = call->source,
		                    .once = call->once,
		                    .sink = call->sink,
		                    .max_body = call->max_body,
		                    .tls = &h->tls };

	if (http_same_origin(req.url, own))
		return send_authorized(r, h, call, &req, resp, err);
	req.tls = NULL;
	return http_send(r->opts.http, &req, resp, err);
}

int registry_ping(struct registry *r, const char *domain, struct cairn_err *err)
{
	struct registry_call call = {
		.domain = domain, .repo = "", .actions = "", .method = "GET", .path = ""
	};
	struct http_response resp cleanup_http_response;

	http_response_init(&resp);
	TRY(registry_send(r, &call, &resp, err));
	return resp.status / 100 == 2 ? 0 : registry_fail(&call, &resp, domain, err);
}

int registry_check_login(struct registry *r, const char *domain, const struct credentials *c,
                         struct cairn_err *err)
{
	struct host *h = host_get(r, domain);

	(void)pthread_mutex_lock(&h->lock);
	credentials_done(&h->login.creds);
	h->login.creds = (struct credentials){ .kind = c->kind,
		                               .user = c->user ? xstrdup(c->user) : NULL,
		                               .secret = c->secret ? xstrdup(c->secret) : NULL };
	h->login.looked_up = h->login.given = true;
	(void)pthread_mutex_unlock(&h->lock);
	return registry_ping(r, domain, err);
}
