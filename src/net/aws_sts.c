/* net/aws_sts.c - credentials of a role, from the Security Token Service.
 *
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
 * https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
 */
#include "aws_error.h"
#include "aws_priv.h"
#include "util/fs.h"
#include "xml.h"

#define BODY_MAX   (128u << 10)
#define TOKEN_FILE (64u << 10) /* bytes of a web identity token */

/* The regional endpoint, or the global one where no region is known. */
static int endpoint(struct aws *a, char ret[AWS_ENDPOINT_MAX], char **ret_region,
                    struct cairn_err *err)
{
	static const char global[] = "https://sts.amazonaws.com";

	TRY(aws_region_offline(a, ret_region, err));
	if (*ret_region && !aws_region_valid(str_of(*ret_region)))
		return cairn_fail(err, CAIRN_E_AUTH, "'%.60s' is not an AWS region", *ret_region);
	if (*ret_region || aws_env(a, "AWS_ENDPOINT_URL") || aws_env(a, "AWS_ENDPOINT_URL_STS")) {
		TRY(aws_endpoint(a, "sts", *ret_region ? *ret_region : "us-east-1", ret, err));
	} else {
		memcpy(ret, global, sizeof(global));
	}
	if (!*ret_region)
		*ret_region = xstrdup("us-east-1");
	return 0;
}

static void add(struct strbuf *body, const char *name, const char *value)
{
	if (!value)
		return;
	strbuf_printf(body, "%s%s=", body->len ? "&" : "", name);
	http_escape(body, str_of(value));
}

static int make_body(struct aws *a, const struct aws_role *role, struct strbuf *body,
                     struct cairn_err *err)
{
	const char *session = role->session ? role->session : aws_env(a, "AWS_ROLE_SESSION_NAME");
	struct strbuf token cleanup_strbuf;

	strbuf_init(&token, TOKEN_FILE);
	add(body, "Action", role->token_file ? "AssumeRoleWithWebIdentity" : "AssumeRole");
	add(body, "Version", "2011-06-15");
	add(body, "RoleArn", role->arn);
	add(body, "RoleSessionName", session ? session : "cairn");
	add(body, "ExternalId", role->external_id);
	add(body, "DurationSeconds", role->duration);
	if (role->token_file) {
		if (fs_read_file(AT_FDCWD, role->token_file, &token, err) < 0) {
			err->code = CAIRN_E_AUTH;
			return cairn_wrap(err, "web identity token of AWS");
		}
		strbuf_cstr(body, "&WebIdentityToken=");
		http_escape(body, str_trim(strbuf_view(&token)));
	}
	return strbuf_check(body, "the request to STS", err);
}

/* What is in <Credentials>. */
struct answer {
	char *id, *secret, *token, *expires; /* owned */
};

static void answer_done(struct answer *x)
{
	char **members[] = { &x->id, &x->secret, &x->token, &x->expires };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++) {
		if (*members[i])
			explicit_bzero(*members[i], strlen(*members[i]));
		free(*members[i]);
	}
}
#define cleanup_answer __attribute__((cleanup(answer_done)))

static int on_element(void *ctx, const char *path, str text, struct cairn_err *err)
{
	struct answer *x = ctx;
	const struct {
		const char *path;
		char **to;
	} members[] = {
		{ "Credentials/AccessKeyId", &x->id },
		{ "Credentials/SecretAccessKey", &x->secret },
		{ "Credentials/SessionToken", &x->token },
		{ "Credentials/Expiration", &x->expires },
	};

	(void)err;
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (xml_path_ends(path, members[i].path) && !*members[i].to)
			*members[i].to = str_dup(str_trim(text));
	return 0;
}

static int read_answer(const struct http_response *r, const char *source, struct aws_creds *ret,
                       struct cairn_err *err)
{
	struct answer x cleanup_answer = { 0 };
	struct cairn_err hidden;
	int64_t expires = AWS_CREDS_FOREVER;
	int rc = xml_parse(strbuf_view(&r->body), on_element, &x, err);

	if (rc == CAIRN_E_UNSUPPORTED)
		return rc;
	if (rc < 0 || (x.expires && clock_parse(str_of(x.expires), &expires, &hidden) < 0))
		return cairn_fail(err, CAIRN_E_AUTH, "%s: the answer of STS makes no sense",
		                  source);
	TRY(aws_creds_set(ret, str_of(x.id), str_of(x.secret), str_of(x.token), source, err));
	ret->expires = expires;
	return 0;
}

int aws_sts_assume(struct aws *a, const struct aws_role *role, struct aws_creds *ret,
                   struct cairn_err *err)
{
	static const struct http_field form[] = {
		{ "Content-Type", "application/x-www-form-urlencoded; charset=utf-8" },
		{ "Accept", "application/xml" },
	};
	struct http_response r cleanup_http_response;
	struct strbuf body cleanup_strbuf;
	cleanup_free char *region = NULL, *what = NULL, *slash = NULL;
	char url[AWS_ENDPOINT_MAX];
	struct http_request req = { .method = "POST",
		                    .fields = form,
		                    .n_fields = ARRAY_SIZE(form),
		                    .keep_redirects = true,
		                    .max_body = AWS_CREDS_MAX };
	int rc;

	http_response_init(&r);
	strbuf_init(&body, BODY_MAX);
	TRY(endpoint(a, url, &region, err));
	rc = make_body(a, role, &body, err);
	slash = xasprintf("%s/", url);
	req.url = slash;
	req.body = strbuf_view(&body);
	if (rc == 0)
		rc = role->token_file ? http_send(a->http, &req, &r, err)
		                      : aws_send_as(a, role->base, "sts", region, &req, &r, err);
	if (body.cap)
		explicit_bzero(body.ptr, body.cap);
	if (rc == 0 && r.status != 200) {
		what = xasprintf("%s: STS refuses %.200s", role->source, role->arn);
		rc = aws_fail(&r, what, err);
		if (rc == CAIRN_E_SYSTEM || rc == CAIRN_E_NOT_FOUND)
			err->code = CAIRN_E_AUTH;
		return err->code;
	}
	return rc < 0 ? rc : read_answer(&r, role->source, ret, err);
}
