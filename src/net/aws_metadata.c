/* net/aws_metadata.c - credentials of a container and of an instance.
 *
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
 *
 * Only version 2 of IMDS is spoken: version 1 gives its answers to whoever can make a server fetch
 * a URL.
 */
#include <stdio.h>

#include "aws_error.h"
#include "aws_priv.h"
#include "url.h"
#include "util/fs.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define IMDS_V4        "http://169.254.169.254"
#define IMDS_V6        "http://[fd00:ec2::254]"
#define IMDS_TTL       "21600" /* s that a token of IMDS lives */
#define IMDS_TTL_NS    (21600 * CLOCK_SEC)
#define IMDS_TOKEN_MAX 1024u
#define IMDS_ROLES     "/latest/meta-data/iam/security-credentials/"
#define TOKEN_FILE_MAX (16u << 10)

/* --- container ------------------------------------------------------------------------------- */

/* Where plain HTTP may carry credentials: this machine and the agents of ECS and EKS. */
static bool local_host(str host)
{
	static const char *const hosts[] = { "localhost", "[::1]", "169.254.170.2",
		                             "169.254.170.23", "[fd00:ec2::23]" };

	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++)
		if (str_is(host, hosts[i]))
			return true;
	/* 127.0.0.0/8, and no name that begins so. */
	for (size_t i = 0; i < host.len; i++)
		if (host.ptr[i] != '.' && (host.ptr[i] < '0' || host.ptr[i] > '9'))
			return false;
	return str_starts(host, S("127."));
}

static int container_url(const struct aws *a, char **ret, struct cairn_err *err)
{
	const char *relative = aws_env(a, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env(a, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
	cleanup_free char *url = NULL;
	struct url u;

	if (!relative && !full)
		return 0;
	url = relative
	              ? xasprintf("%s%s%s", CONTAINER_HOST, relative[0] == '/' ? "" : "/", relative)
	              : xstrdup(full);
	if (!url_split(str_of(url), &u))
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS_CONTAINER_CREDENTIALS_%s_URI makes no sense",
		                  relative ? "RELATIVE" : "FULL");
	if (!str_eq_nocase(u.scheme, S("https")) && !local_host(u.host))
		return cairn_fail(
			err, CAIRN_E_AUTH,
			"AWS_CONTAINER_CREDENTIALS_FULL_URI: http is for this machine, and "
			"%.*s is another; use https",
			STR(u.host));
	*ret = steal_ptr(&url);
	return 0;
}

/* What the agent wants to see: owned, NULL when nothing. */
static int container_token(const struct aws *a, char **ret, struct cairn_err *err)
{
	const char *file = aws_env(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *given = aws_env(a, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
	struct strbuf text cleanup_strbuf;

	strbuf_init(&text, TOKEN_FILE_MAX);
	if (file && fs_read_file(AT_FDCWD, file, &text, err) < 0) {
		err->code = CAIRN_E_AUTH;
		return cairn_wrap(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	}
	if (file)
		*ret = str_dup(str_trim(strbuf_view(&text)));
	else if (given)
		*ret = xstrdup(given);
	if (*ret && strpbrk(*ret, "\r\n"))
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "AWS_CONTAINER_AUTHORIZATION_TOKEN has a line break");
	return 0;
}

int aws_container_creds(struct aws *a, struct aws_creds *ret, bool *ret_found,
                        struct cairn_err *err)
{
	static const struct http_field accept = { "Accept", "application/json" };
	struct http_response r cleanup_http_response;
	cleanup_free char *url = NULL, *token = NULL;
	struct http_request req = { .method = "GET",
		                    .fields = &accept,
		                    .n_fields = 1,
		                    .max_body = AWS_CREDS_MAX,
		                    .keep_redirects = true,
		                    .direct = true };

	*ret_found = false;
	http_response_init(&r);
	TRY(container_url(a, &url, err));
	if (!url)
		return 0;
	TRY(container_token(a, &token, err));
	req.url = url;
	req.authorization = token;
	if (http_send(a->http, &req, &r, err) < 0)
		return cairn_wrap(err, "AWS credentials of this container");
	if (r.status != 200) {
		(void)aws_fail(&r, "AWS credentials of this container", err);
		if (err->code != CAIRN_E_TRANSIENT)
			err->code = CAIRN_E_AUTH;
		return err->code;
	}
	*ret_found = true;
	return aws_creds_json(ret, strbuf_view(&r.body), "Token", "the role of this container",
	                      err);
}

/* --- instance ----------------------------------------------------------------------------------
 */

bool aws_imds_enabled(const struct aws *a)
{
	return !str_eq_nocase(str_of(aws_env(a, "AWS_EC2_METADATA_DISABLED")), S("true"));
}

static char *imds_url(const struct aws *a, const char *path)
{
	const char *base = aws_env(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_env(a, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	str s;

	if (!base)
		base = str_eq_nocase(str_of(mode), S("ipv6")) ? IMDS_V6 : IMDS_V4;
	s = str_of(base);
	while (str_ends(s, S("/")))
		s.len--;
	return xasprintf("%.*s%s", STR(s), path);
}

static int absent(struct aws_imds *m, struct cairn_err *err)
{
	m->absent = true;
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "this machine has no EC2 instance metadata");
}

/* A session. What does not answer the first time is not there. */
static int imds_token(struct aws *a, struct cairn_err *err)
{
	static const struct http_field ttl = { "X-aws-ec2-metadata-token-ttl-seconds", IMDS_TTL };
	struct aws_imds *m = &a->imds;
	struct http_response r cleanup_http_response;
	cleanup_free char *url = imds_url(a, "/latest/api/token");
	struct http_request req = { .method = "PUT",
		                    .url = url,
		                    .fields = &ttl,
		                    .n_fields = 1,
		                    .max_body = IMDS_TOKEN_MAX,
		                    .once = true,
		                    .keep_redirects = true,
		                    .direct = true };
	str token;
	int rc;

	http_response_init(&r);
	if (m->absent)
		return absent(m, err);
	if (m->token && a->now() < m->token_expires)
		return 0;
	free(m->token);
	m->token = NULL;
	rc = http_send(a->metadata, &req, &r, err);
	if (rc == CAIRN_E_CANCELLED)
		return rc;
	token = str_trim(strbuf_view(&r.body));
	if (rc < 0 || r.status != 200 || !token.len || token.len > IMDS_TOKEN_MAX) {
		if (!m->present)
			return absent(m, err);
		return rc < 0 ? rc
		              : cairn_fail(err, CAIRN_E_TRANSIENT,
		                           "instance metadata: no token (status %d)", r.status);
	}
	m->present = true;
	m->token = str_dup(token);
	m->token_expires = a->now() + IMDS_TTL_NS - 60 * CLOCK_SEC;
	return 0;
}

static int imds_get(struct aws *a, const char *path, struct strbuf *out, int *ret_status,
                    struct cairn_err *err)
{
	struct http_response r cleanup_http_response;
	cleanup_free char *url = imds_url(a, path);
	struct http_field token = { "X-aws-ec2-metadata-token", NULL };
	struct http_request req = { .method = "GET",
		                    .url = url,
		                    .fields = &token,
		                    .n_fields = 1,
		                    .max_body = AWS_CREDS_MAX,
		                    .keep_redirects = true,
		                    .direct = true };

	http_response_init(&r);
	TRY(imds_token(a, err));
	token.value = a->imds.token;
	TRY(http_send(a->metadata, &req, &r, err));
	if (r.status == 200)
		strbuf_str(out, strbuf_view(&r.body));
	*ret_status = r.status;
	return strbuf_check(out, path, err);
}

int aws_imds_get(struct aws *a, const char *path, struct strbuf *out, bool *ret_found,
                 struct cairn_err *err)
{
	struct aws_imds *m = &a->imds;
	int status = 0, rc;

	(void)pthread_mutex_lock(&m->lock);
	rc = imds_get(a, path, out, &status, err);
	if (rc == 0 && status == 401) { /* the instance was stopped and started meanwhile */
		m->token_expires = 0;
		rc = imds_get(a, path, out, &status, err);
	}
	(void)pthread_mutex_unlock(&m->lock);
	if (rc == 0 && status != 200 && status != 404)
		rc = cairn_fail(err, CAIRN_E_TRANSIENT, "instance metadata: %s answered %d", path,
		                status);
	if (rc == 0)
		*ret_found = status == 200;
	return rc;
}

int aws_imds_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err)
{
	struct strbuf role cleanup_strbuf, text cleanup_strbuf;
	cleanup_free char *path = NULL;
	char name[128];
	str first, rest;
	bool found = false;
	int rc;

	*ret_found = false;
	strbuf_init(&role, AWS_CREDS_MAX);
	strbuf_init(&text, AWS_CREDS_MAX);
	if (!aws_imds_enabled(a))
		return 0;
	rc = aws_imds_get(a, IMDS_ROLES, &role, &found, err);
	if (rc == CAIRN_E_NOT_FOUND || (rc == 0 && !found))
		return 0; /* not on EC2, or an instance without a role */
	TRY(rc);
	(void)str_cut(str_trim(strbuf_view(&role)), '\n', &first, &rest);
	aws_error_text(name, sizeof(name), str_trim(first));
	if (!name[0])
		return 0;
	path = xasprintf(IMDS_ROLES "%s", name);
	TRY(aws_imds_get(a, path, &text, &found, err));
	if (!found)
		return 0;
	*ret_found = true;
	rc = aws_creds_json(ret, strbuf_view(&text), "Token", "the role of this instance", err);
	if (text.cap)
		explicit_bzero(text.ptr, text.cap);
	return rc;
}
