#include "login.h"

#include "util/clock.h"
#include "util/json.h"

#define TOKEN_BODY_MAX (1u << 20)
#define TOKEN_LIFE     60 /* seconds, when the answer does not say; by the specification */
#define TOKEN_LIFE_MAX 86400
#define TOKEN_EARLY    10 /* seconds before its end a token is no longer used */
#define CLIENT_ID      "cairn"
#define ECR_USER       "AWS"
#define RENEWALS_MAX   8 /* a token lasts for hours; a refusal may mean something else */

void secret_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

void login_done(struct login *l)
{
	vec_foreach (t, &l->tokens) {
		free(t->scope);
		secret_free(t->value);
	}
	vec_free(&l->tokens);
	credentials_done(&l->creds);
	free(l->realm);
	free(l->service);
}

const char *login_hint(const struct login *l)
{
	if (l->given)
		return "check user name and password";
	if (l->ecr)
		return "check what the AWS credentials allow";
	return l->creds.kind == CREDENTIALS_NONE ? "log in with 'cairn login'"
	                                         : "check the login in Docker's config.json";
}

/* --- tokens ------------------------------------------------------------------- */

/* Does a token of one scope ("repository:x:pull,push") allow another ("repository:x:pull")? */
static bool scope_allows(str have, str want)
{
	if (str_eq(have, want))
		return true;
	return str_ends(want, S(":pull")) && have.len == want.len + 5 && str_starts(have, want) &&
	       str_ends(have, S(",push"));
}

static bool scopes_allow(str have, str want)
{
	str rest = want, one, others, other;

	while (str_next(&rest, ' ', &one)) {
		bool ok = false;

		for (others = have; str_next(&others, ' ', &other);)
			ok |= scope_allows(other, one);
		if (!ok)
			return false;
	}
	return true;
}

/* A token for exactly this scope, else one that allows more. */
static const struct token *find_token(const struct login *l, const char *scope)
{
	int64_t now = clock_monotonic();
	const struct token *found = NULL;

	for (size_t i = 0; i < l->tokens.len; i++) {
		const struct token *t = &l->tokens.ptr[i];

		if (t->expires <= now)
			continue;
		if (strcmp(t->scope, scope) == 0)
			return t;
		if (!found && scope[0] && scopes_allow(str_of(t->scope), str_of(scope)))
			found = t;
	}
	return found;
}

static void keep_token(struct login *l, const char *scope, const char *value, int64_t seconds)
{
	int64_t life = seconds > TOKEN_LIFE_MAX ? TOKEN_LIFE_MAX : seconds;
	struct token *slot = NULL;

	vec_foreach (t, &l->tokens)
		if (strcmp(t->scope, scope) == 0)
			slot = t;
	if (!slot) {
		vec_push(&l->tokens, (struct token){ .scope = xstrdup(scope) });
		slot = vec_last(&l->tokens);
	}
	secret_free(slot->value);
	slot->value = xstrdup(value);
	slot->expires = clock_monotonic() + (life - TOKEN_EARLY) * CLOCK_SEC;
}

static int keep_answer(struct login *l, const char *scope, const struct http_response *resp,
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
		                  l->domain);
	keep_token(l, scope, token, life < TOKEN_LIFE ? TOKEN_LIFE : life);
	return 0;
}

/* --- the token server ---------------------------------------------------------- */

static void add_query(struct strbuf *b, const char *name, str value)
{
	if (value.len == 0)
		return;
	if (b->len)
		strbuf_char(b, '&');
	strbuf_printf(b, "%s=", name);
	http_escape(b, value);
}

/* One parameter each in a GET, one for all in the form of a POST (RFC 6749 section 3.3). */
static void add_scopes(struct strbuf *b, str scopes, bool form)
{
	str rest = scopes, one;

	if (form) {
		add_query(b, "scope", scopes);
		return;
	}
	while (str_next(&rest, ' ', &one))
		add_query(b, "scope", one);
}

static int token_failure(const struct login *l, const char *scope, int status,
                         struct cairn_err *err)
{
	if (status == 401 || status == 403)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "%s refuses access to %s: the repository does not exist or needs "
		                  "another login; %s",
		                  l->domain, scope[0] ? scope : "its API", login_hint(l));
	return cairn_fail(err, http_status_transient(status) ? CAIRN_E_TRANSIENT : CAIRN_E_AUTH,
	                  "the token server of %s answered %d", l->domain, status);
}

/* Ask the token server; its answer goes into l->tokens. challenge_scope: what the registry
 * asked for, where the caller does not know. */
static int fetch_token(struct login *l, const char *scope, str challenge_scope,
                       struct cairn_err *err)
{
	static const struct http_field form = { "Content-Type",
		                                "application/x-www-form-urlencoded" };
	struct http_response resp cleanup_http_response;
	struct http_request req = { .method = "GET", .max_body = TOKEN_BODY_MAX, .tls = l->tls };
	struct strbuf query cleanup_strbuf, url cleanup_strbuf, basic cleanup_strbuf;
	bool post = l->creds.kind == CREDENTIALS_IDENTITY;

	http_response_init(&resp);
	strbuf_init(&query, SIZE_MAX);
	strbuf_init(&url, SIZE_MAX);
	strbuf_init(&basic, SIZE_MAX);
	add_query(&query, "service", str_of(l->service));
	add_scopes(&query, scope[0] ? str_of(scope) : challenge_scope, post);
	strbuf_cstr(&url, l->realm);
	if (post) {
		add_query(&query, "grant_type", S("refresh_token"));
		add_query(&query, "client_id", S(CLIENT_ID));
		add_query(&query, "refresh_token", str_of(l->creds.secret));
		req.method = "POST";
		req.fields = &form;
		req.n_fields = 1;
		req.body = strbuf_view(&query);
	} else {
		strbuf_printf(&url, "%c%s", strchr(l->realm, '?') ? '&' : '?', query.ptr);
	}
	if (l->creds.kind == CREDENTIALS_BASIC) {
		credentials_basic(&l->creds, &basic);
		req.authorization = basic.ptr;
	}
	req.url = url.ptr;
	if (http_send(l->opts->http, &req, &resp, err) < 0)
		return cairn_wrap(err, "logging in to %s", l->domain);
	if (resp.status != 200)
		return token_failure(l, scope, resp.status, err);
	return keep_answer(l, scope, &resp, err);
}

/* --- credentials ---------------------------------------------------------------- */

/* *ret_new: a token of AWS that was not known is now the password. worked: what we have is no
 * longer good, whatever it says about itself. */
static int ecr_login(struct login *l, bool worked, bool *ret_new, struct cairn_err *err)
{
	cleanup_secret char *password = NULL;

	*ret_new = false;
	if (l->given || !l->opts->aws || !aws_ecr_domain(l->domain, NULL))
		return 0;
	TRY(aws_ecr_login(l->opts->aws, l->domain, worked && l->ecr ? l->creds.secret : NULL,
	                  &password, err));
	if (l->creds.kind == CREDENTIALS_BASIC && strcmp(l->creds.secret, password) == 0)
		return 0;
	credentials_done(&l->creds);
	l->creds = (struct credentials){ .kind = CREDENTIALS_BASIC,
		                         .user = xstrdup(ECR_USER),
		                         .secret = steal_ptr(&password) };
	l->ecr = true;
	*ret_new = true;
	return 0;
}

static int look_up(struct login *l, struct cairn_err *err)
{
	bool is_new;

	if (l->looked_up)
		return 0;
	TRY(credentials_find(l->opts->docker_config, str_of(l->domain), &l->creds, err));
	if (l->creds.kind == CREDENTIALS_NONE)
		TRY(ecr_login(l, false, &is_new, err));
	l->looked_up = true;
	return 0;
}

/* A helper may have a new password when the old one has expired. */
static int look_again(struct login *l, bool *ret_new, struct cairn_err *err)
{
	struct credentials now = { 0 };

	TRY(credentials_find(l->opts->docker_config, str_of(l->domain), &now, err));
	*ret_new = now.kind == l->creds.kind && now.secret && l->creds.secret &&
	           strcmp(now.secret, l->creds.secret) != 0;
	if (!*ret_new) {
		credentials_done(&now);
		return 0;
	}
	credentials_done(&l->creds);
	l->creds = now;
	return 0;
}

/* What we are known by is refused: is there something newer? */
static int renew(struct login *l, bool *ret_new, struct cairn_err *err)
{
	bool worked = atomic_exchange(&l->worked, false) && l->renewals < RENEWALS_MAX;

	*ret_new = false;
	l->renewals += worked;
	if (worked && !l->ecr && !l->given)
		TRY(look_again(l, ret_new, err));
	return *ret_new ? 0 : ecr_login(l, worked, ret_new, err);
}

static char *basic_authorization(const struct login *l)
{
	struct strbuf b;

	strbuf_init(&b, SIZE_MAX);
	credentials_basic(&l->creds, &b);
	return strbuf_steal(&b);
}

static char *authorization(const struct login *l, const char *scope)
{
	const struct token *t;

	if (l->basic)
		return basic_authorization(l);
	t = find_token(l, scope);
	return t ? xasprintf("Bearer %s", t->value) : NULL;
}

int login_known(struct login *l, const char *scope, char **ret, struct cairn_err *err)
{
	struct cairn_err ignored;
	char *known = authorization(l, scope);

	if (!known && l->realm && scope[0]) {
		int rc = fetch_token(l, scope, S(""), &ignored);

		if (rc == CAIRN_E_CANCELLED) {
			*err = ignored;
			return rc;
		}
		/* A refusal is no failure yet: the registry says what it thinks of no token. */
		known = rc < 0 ? NULL : authorization(l, scope);
	}
	*ret = known;
	return 0;
}

/* --- a 401 ---------------------------------------------------------------------- */

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

static int answer_bearer(struct login *l, const struct auth_challenge *c, const char *scope,
                         struct cairn_err *err)
{
	/* The realm gets our password: never in the clear on behalf of an https host. */
	if (l->secure && !str_starts(c->realm, S("https://")))
		return cairn_fail(err, CAIRN_E_AUTH, "%s wants a login over plain HTTP; refused",
		                  l->domain);
	free(l->realm);
	free(l->service);
	l->realm = str_dup(c->realm);
	l->service = str_dup(c->service);
	return fetch_token(l, scope, c->scope, err);
}

static bool says_expired(const struct http_response *resp)
{
	static const char text[] = "authorization token has expired";

	return resp->body.len && memmem(resp->body.ptr, resp->body.len, text, strlen(text)) != NULL;
}

bool login_expired(const struct login *l, const struct http_response *resp)
{
	/* An answer to HEAD says nothing. */
	return resp->status == 403 &&
	       (resp->body.len ? says_expired(resp) : aws_ecr_domain(l->domain, NULL));
}

static int fail_no_challenge(const struct login *l, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_AUTH,
	                  "%s answered 401 and does not say how to log in (no WWW-Authenticate): "
	                  "is it a registry, is a proxy in between? Else %s",
	                  l->domain, login_hint(l));
}

int login_answer(struct login *l, const char *scope, const char *sent,
                 const struct http_response *resp, bool *ret_again, struct cairn_err *err)
{
	cleanup_secret char *known = authorization(l, scope);
	cleanup_arena struct arena *a = arena_new();
	cleanup_free char *header = challenges(resp);
	struct auth_challenge c;
	bool renewed = false;

	*ret_again = true;
	if (known && (!sent || strcmp(known, sent) != 0))
		return 0; /* another thread was here */
	if (resp->status != 401) {
		if (says_expired(resp))
			atomic_store(&l->worked, true); /* so it has, for somebody */
		return renew(l, ret_again, err);
	}
	TRY(look_up(l, err));
	if (header[0] == '\0') {
		TRY(renew(l, &renewed, err));
		return renewed ? 0 : fail_no_challenge(l, err);
	}
	if (auth_header_parse(a, str_of(header), &c, err) < 0)
		return cairn_wrap(err, "%s answered 401", l->domain);
	if (c.scheme == AUTH_BASIC && l->creds.kind == CREDENTIALS_BASIC && !l->basic) {
		l->basic = true;
		return 0;
	}
	if (c.scheme == AUTH_BASIC)
		TRY(renew(l, &renewed, err));
	if (renewed)
		return 0;
	if (c.scheme == AUTH_BEARER && l->creds.kind == CREDENTIALS_BEARER && !known) {
		keep_token(l, scope, l->creds.secret, TOKEN_LIFE_MAX);
		return 0;
	}
	if (c.scheme == AUTH_BEARER && l->creds.kind != CREDENTIALS_BEARER)
		return answer_bearer(l, &c, scope, err);
	return cairn_fail(err, CAIRN_E_AUTH, "%s %s; %s", l->domain,
	                  l->creds.kind == CREDENTIALS_NONE ? "needs a login"
	                                                    : "does not accept the login",
	                  login_hint(l));
}
