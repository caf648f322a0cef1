#include "host.h"

#include <stdio.h>

#include "util/clock.h"
#include "util/json.h"

#define HUB_DOMAIN REFERENCE_DOCKER_IO
#define HUB_HOST   "registry-1.docker.io" /* where Docker Hub's API lives */

#define TOKEN_BODY_MAX (1u << 20)
#define TOKEN_LIFE     60 /* seconds, when the answer does not say; by the specification */
#define TOKEN_LIFE_MAX 86400
#define TOKEN_EARLY    10 /* seconds before its end a token is no longer used */
#define CLIENT_ID      "cairn"
#define MESSAGE_MAX    200 /* characters of a registry's own words in an error */

struct token {
	char *scope;     /* "repository:library/debian:pull" */
	char *value;     /* a secret */
	int64_t expires; /* clock_monotonic() */
};

struct host {
	struct host *next;
	char *domain;
	char *base;           /* "https://registry-1.docker.io" */
	pthread_mutex_t lock; /* of what follows */
	bool looked_up;       /* creds are what config.json says */
	struct credentials creds;
	bool basic; /* it asked for Basic: send it at once */
	VEC(struct token) tokens;
};

static void wipe_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

static void wipe_free_p(char **s)
{
	wipe_free(*s);
	*s = NULL;
}
#define cleanup_secret __attribute__((cleanup(wipe_free_p)))

static void host_free(struct host *h)
{
	vec_foreach (t, &h->tokens) {
		free(t->scope);
		wipe_free(t->value);
	}
	vec_free(&h->tokens);
	credentials_done(&h->creds);
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
	(void)pthread_mutex_destroy(&r->lock);
	free(r);
}

/* 127.0.0.0/8, as numbers: "127.evil.example" is not. */
static bool is_loopback(str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] != '.' && (name.ptr[i] < '0' || name.ptr[i] > '9'))
			return false;
	return str_starts(name, S("127."));
}

/* This machine, or a host the user named: plain HTTP. */
static bool is_plain(const struct registry *r, const char *domain)
{
	str host = str_of(domain), name, port;

	for (const char *const *p = r->opts.insecure; p && *p; p++)
		if (strcmp(*p, domain) == 0)
			return true;
	if (str_starts(host, S("[::1]")))
		return true;
	(void)str_cut(host, ':', &name, &port);
	return str_is(name, "localhost") || is_loopback(name);
}

/* The host's state, made when it is first met. Lives as long as the registry. */
static struct host *host_get(struct registry *r, const char *domain)
{
	struct host *h;

	(void)pthread_mutex_lock(&r->lock);
	for (h = r->hosts; h && strcmp(h->domain, domain) != 0;)
		h = h->next;
	if (!h) {
		h = xcalloc(1, sizeof(*h));
		(void)pthread_mutex_init(&h->lock, NULL);
		h->domain = xstrdup(domain);
		h->base = xasprintf("%s://%s", is_plain(r, domain) ? "http" : "https",
		                    strcmp(domain, HUB_DOMAIN) == 0 ? HUB_HOST : domain);
		h->next = r->hosts;
		r->hosts = h;
	}
	(void)pthread_mutex_unlock(&r->lock);
	return h;
}

/* All WWW-Authenticate headers as one; owned. */
static char *challenges(const struct http_response *resp)
{
	struct strbuf b;

	strbuf_init(&b, HTTP_HEADERS_MAX);
	for (size_t i = 0; i < resp->fields.len; i++) {
		const struct http_field *f = &resp->fields.ptr[i];

		if (str_eq_nocase(str_of(f->name), S("WWW-Authenticate")))
			strbuf_printf(&b, "%s%s", b.len ? ", " : "", f->value);
	}
	return strbuf_steal(&b);
}

/* What to put into Authorization, as far as known; owned, NULL = nothing. Lock held. */
static char *known_authorization(struct host *h, const char *scope)
{
	struct strbuf b;
	int64_t now = clock_monotonic();

	if (h->basic) {
		strbuf_init(&b, SIZE_MAX);
		credentials_basic(&h->creds, &b);
		return strbuf_steal(&b);
	}
	vec_foreach (t, &h->tokens)
		if (strcmp(t->scope, scope) == 0 && t->expires > now)
			return xasprintf("Bearer %s", t->value);
	return NULL;
}

static void keep_token(struct host *h, const char *scope, const char *value, int64_t seconds)
{
	int64_t life = seconds > TOKEN_LIFE_MAX ? TOKEN_LIFE_MAX : seconds;
	struct token *slot = NULL;

	vec_foreach (t, &h->tokens)
		if (strcmp(t->scope, scope) == 0)
			slot = t;
	if (!slot) {
		vec_push(&h->tokens, (struct token){ .scope = xstrdup(scope) });
		slot = vec_last(&h->tokens);
	}
	wipe_free(slot->value);
	slot->value = xstrdup(value);
	slot->expires = clock_monotonic() + (life - TOKEN_EARLY) * CLOCK_SEC;
}

static const char *login_hint(const struct host *h)
{
	return h->creds.kind == CREDENTIALS_NONE ? "log in with 'docker login'"
	                                         : "check the login in Docker's config.json";
}

static int keep_answer(struct host *h, const char *scope, const struct http_response *resp,
                       struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	const char *token = NULL;
	struct cairn_err hidden; /* a parser's message could quote the token */
	int64_t life = TOKEN_LIFE;

	if (json_parse(strbuf_view(&resp->body), "token", &j, &hidden) < 0 || !json_is_object(j) ||
	    json_get_str(j, "token", &token, &hidden) < 0 ||
	    (!token && json_get_str(j, "access_token", &token, &hidden) < 0) || !token ||
	    json_get_int(j, "expires_in", TOKEN_LIFE, &life, &hidden) < 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the token server of %s sent no token",
		                  h->domain);
	keep_token(h, scope, token, life < TOKEN_LIFE ? TOKEN_LIFE : life);
	return 0;
}

static void add_query(struct strbuf *b, const char *name, str value)
{
	if (value.len == 0)
		return;
	if (b->len)
		strbuf_char(b, '&');
	strbuf_printf(b, "%s=", name);
	http_escape(b, value);
}

/* Ask the token server; its answer goes into h->tokens. Lock held. */
static int fetch_token(struct registry *r, struct host *h, const struct auth_challenge *c,
                       const char *scope, struct cairn_err *err)
{
	static const struct http_field form = { "Content-Type",
		                                "application/x-www-form-urlencoded" };
	struct http_response resp cleanup_http_response;
	struct http_request req = { .method = "GET", .max_body = TOKEN_BODY_MAX };
	struct strbuf query cleanup_strbuf, url cleanup_strbuf, basic cleanup_strbuf;

	http_response_init(&resp);
	strbuf_init(&query, SIZE_MAX);
	strbuf_init(&url, SIZE_MAX);
	strbuf_init(&basic, SIZE_MAX);
	add_query(&query, "service", c->service);
	add_query(&query, "scope", scope[0] ? str_of(scope) : c->scope);
	strbuf_str(&url, c->realm);
	if (h->creds.kind == CREDENTIALS_IDENTITY) {
		add_query(&query, "grant_type", S("refresh_token"));
		add_query(&query, "client_id", S(CLIENT_ID));
		add_query(&query, "refresh_token", str_of(h->creds.secret));
		req.method = "POST";
		req.fields = &form;
		req.n_fields = 1;
		req.body = strbuf_view(&query);
	} else {
		strbuf_printf(&url, "%c%s", str_find(c->realm, '?') < 0 ? '?' : '&', query.ptr);
	}
	if (h->creds.kind == CREDENTIALS_BASIC) {
		credentials_basic(&h->creds, &basic);
		req.authorization = basic.ptr;
	}
	req.url = url.ptr;
	if (http_send(r->opts.http, &req, &resp, err) < 0)
		return cairn_wrap(err, "logging in to %s", h->domain);
	if (resp.status == 401 || resp.status == 403)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "%s refuses access to %s: the repository does not exist or needs "
		                  "another login; %s",
		                  h->domain, scope[0] ? scope : "its API", login_hint(h));
	if (resp.status != 200)
		return cairn_fail(
			err, http_status_transient(resp.status) ? CAIRN_E_TRANSIENT : CAIRN_E_AUTH,
			"the token server of %s answered %d", h->domain, resp.status);
	return keep_answer(h, scope, &resp, err);
}

static int look_up(struct registry *r, struct host *h, struct cairn_err *err)
{
	if (!h->looked_up)
		TRY(credentials_find(r->opts.docker_config, str_of(h->domain), &h->creds, err));
	h->looked_up = true;
	return 0;
}

/* Answer a 401. `sent` is what the refused request had as Authorization, or NULL.
 * After success known_authorization() knows something new. Lock held. */
static int log_in(struct registry *r, struct host *h, const char *scope, const char *sent,
                  const struct http_response *resp, struct cairn_err *err)
{
	cleanup_secret char *known = known_authorization(h, scope);
	cleanup_arena struct arena *a = arena_new();
	cleanup_free char *header = challenges(resp);
	struct auth_challenge c;

	if (known && (!sent || strcmp(known, sent) != 0))
		return 0; /* another thread was here */
	TRY(auth_header_parse(a, str_of(header), &c, err));
	TRY(look_up(r, h, err));
	if (c.scheme == AUTH_BASIC && h->creds.kind == CREDENTIALS_BASIC && !h->basic) {
		h->basic = true;
		return 0;
	}
	if (c.scheme == AUTH_BEARER && h->creds.kind == CREDENTIALS_BEARER && !known) {
		keep_token(h, scope, h->creds.secret, TOKEN_LIFE_MAX);
		return 0;
	}
	if (c.scheme == AUTH_BEARER && h->creds.kind != CREDENTIALS_BEARER) {
		/* The realm gets our password: never in the clear on behalf of an https host. */
		if (str_starts(str_of(h->base), S("https:")) && !str_starts(c.realm, S("https://")))
			return cairn_fail(err, CAIRN_E_AUTH,
			                  "%s wants a login over plain HTTP; refused", h->domain);
		return fetch_token(r, h, &c, scope, err);
	}
	return cairn_fail(err, CAIRN_E_AUTH, "%s %s; %s", h->domain,
	                  h->creds.kind == CREDENTIALS_NONE ? "needs a login"
	                                                    : "does not accept the login",
	                  login_hint(h));
}

static char *call_scope(const struct registry_call *call)
{
	return call->repo[0] ? xasprintf("repository:%s:%s", call->repo, call->actions)
	                     : xstrdup("");
}

int registry_send(struct registry *r, const struct registry_call *call, struct http_response *resp,
                  struct cairn_err *err)
{
	struct host *h = host_get(r, call->domain);
	cleanup_free char *scope = call_scope(call);
	cleanup_free char *url = xasprintf("%s/v2/%s%s%s", h->base, call->repo,
	                                   call->repo[0] ? "/" : "", call->path);
	struct http_request req = { .method = call->method,
		                    .url = url,
		                    .fields = call->fields,
		                    .n_fields = call->n_fields,
		                    .sink = call->sink,
		                    .max_body = call->max_body };

	for (int tries = 0;; tries++) {
		cleanup_secret char *authorization = NULL;
		int rc;

		(void)pthread_mutex_lock(&h->lock);
		authorization = known_authorization(h, scope);
		(void)pthread_mutex_unlock(&h->lock);
		req.authorization = authorization;
		TRY(http_send(r->opts.http, &req, resp, err));
		if (resp->status != 401)
			return 0;
		if (tries == 2) /* one for a token that has expired, one for a fresh one */
			return cairn_fail(err, CAIRN_E_AUTH,
			                  "%s/%s does not exist or needs another login; %s",
			                  call->domain, call->repo, login_hint(h));
		(void)pthread_mutex_lock(&h->lock);
		rc = log_in(r, h, scope, authorization, resp, err);
		(void)pthread_mutex_unlock(&h->lock);
		TRY(rc);
	}
}

/* The first of {"errors":[{"code","message"}]} as ": CODE message", or "". */
static void own_words(const struct http_response *resp, char *buf, size_t size)
{
	cleanup_json json_t *j = NULL;
	const json_t *e;
	const char *code, *message;
	struct cairn_err ignored;

	buf[0] = '\0';
	if (json_parse(strbuf_view(&resp->body), "", &j, &ignored) < 0)
		return;
	e = json_array_get(json_object_get(j, "errors"), 0);
	code = json_string_value(json_object_get(e, "code"));
	message = json_string_value(json_object_get(e, "message"));
	if (code || message)
		(void)snprintf(buf, size, ": %s%s%s", code ? code : "", code && message ? " " : "",
		               message ? message : "");
}

static const struct {
	int status;
	enum cairn_code code;
	const char *meaning;
} statuses[] = {
	{ 403, CAIRN_E_AUTH, "access denied; check the login in Docker's config.json" },
	{ 404, CAIRN_E_NOT_FOUND, "not found; check the name, the tag and the registry" },
	{ 429, CAIRN_E_TRANSIENT, "too many requests; log in for a higher limit or wait" },
};

int registry_fail(const struct registry_call *call, const struct http_response *resp,
                  const char *what, struct cairn_err *err)
{
	char words[MESSAGE_MAX];

	own_words(resp, words, sizeof(words));
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (statuses[i].status == resp->status)
			return cairn_fail(err, statuses[i].code, "%s: %s (%s answered %d%s)", what,
			                  statuses[i].meaning, call->domain, resp->status, words);
	return cairn_fail(err,
	                  http_status_transient(resp->status) ? CAIRN_E_TRANSIENT : CAIRN_E_SYNTAX,
	                  "%s: %s answered %d%s", what, call->domain, resp->status, words);
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
