/* net/s3.c - the client: where a bucket is, and what it answers. */
#include "s3.h"

#include <stdio.h>

#include "aws_priv.h"
#include "s3_priv.h"
#include "url.h"
#include "util/log.h"

#define BUCKET_MAX 255u /* bytes; 63 since 2018 */
#define FIELDS_MAX 8u   /* of one request */

/* --- names ----------------------------------------------------------------------------------- */

static bool valid_bucket(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool inner = c == '-' || c == '.' || c == '_';

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      (inner && i && i + 1 < n)) ||
		    (c == '.' && name[i + 1] == '.'))
			return false;
	}
	return n >= 3 && n <= BUCKET_MAX;
}

/* Can it stand in front of the host's name? With a dot the certificate would not cover it. */
static bool is_label(const char *bucket)
{
	for (const char *c = bucket; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-'))
			return false;
	return strlen(bucket) <= 63;
}

/* An address, or a name that no other can stand in front of. */
static bool is_address(const char *endpoint)
{
	struct url u;

	if (!url_split(str_of(endpoint), &u))
		return false;
	if (u.host.ptr[0] == '[' || str_find(u.host, '.') < 0)
		return true;
	for (size_t i = 0; i < u.host.len; i++)
		if (u.host.ptr[i] != '.' && (u.host.ptr[i] < '0' || u.host.ptr[i] > '9'))
			return false;
	return true;
}

/* Dot segments would be taken out of the URL on the way. */
static int check_key(const struct s3_client *c, const char *key, struct cairn_err *err)
{
	str rest = str_of(key), piece;
	bool dots = false;

	while (str_next(&rest, '/', &piece))
		dots = dots || str_is(piece, ".") || str_is(piece, "..");
	if (!key[0] || strlen(key) > S3_KEY_MAX || dots)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "s3://%s: a key has 1 to %u bytes and no part '.' or '..'",
		                  c->bucket, S3_KEY_MAX);
	return 0;
}

/* --- a client ----------------------------------------------------------------------------------
 */

static int set_endpoint(struct s3_client *c, const struct s3_opts *o, struct cairn_err *err)
{
	bool given = o->endpoint_url || aws_env(o->aws, "AWS_ENDPOINT_URL_S3") ||
	             aws_env(o->aws, "AWS_ENDPOINT_URL");
	char buf[AWS_ENDPOINT_MAX];
	struct url u;
	str s;

	if (!given)
		return 0;
	s = str_of(o->endpoint_url);
	if (!o->endpoint_url) {
		TRY(aws_endpoint(o->aws, "s3", "", buf, err));
		s = str_of(buf);
	}
	while (str_ends(s, S("/")))
		s.len--;
	if (!url_split(s, &u) || u.query.len || u.user.len || s.len >= AWS_ENDPOINT_MAX)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "S3 endpoint: not an http or https URL (\"https://host:port\")");
	c->endpoint = str_dup(s);
	return 0;
}

static int set_region(struct s3_client *c, const struct s3_opts *o, struct cairn_err *err)
{
	cleanup_free char *offline = NULL;
	const char *region = o->region;

	if (!region && c->endpoint) { /* other servers have none: no time is lost on asking */
		TRY(aws_region_offline(o->aws, &offline, err));
		region = offline ? offline : "us-east-1";
	}
	if (!region)
		TRY(aws_region(o->aws, &region, err));
	if (!aws_region_valid(str_of(region)))
		return cairn_fail(err, CAIRN_E_USAGE, "s3://%s: '%.60s' is not a region", c->bucket,
		                  region);
	(void)snprintf(c->region, sizeof(c->region), "%s", region);
	return 0;
}

int s3_new(const struct s3_opts *opts, struct s3_client **ret, struct cairn_err *err)
{
	cleanup_s3 struct s3_client *c = NULL;

	if (!valid_bucket(opts->bucket))
		return cairn_fail(
			err, CAIRN_E_USAGE,
			"'%.80s' is not the name of an S3 bucket: 3 to 63 lower-case letters, "
			"digits, '.' and '-'",
			opts->bucket);
	c = xcalloc(1, sizeof(*c));
	(void)pthread_mutex_init(&c->lock, NULL);
	c->aws = opts->aws;
	c->http = opts->http;
	c->bucket = xstrdup(opts->bucket);
	TRY(set_endpoint(c, opts, err));
	TRY(set_region(c, opts, err));
	c->path_style = opts->path_style || !is_label(c->bucket) ||
	                (c->endpoint && is_address(c->endpoint));
	*ret = steal_ptr(&c);
	return 0;
}

void s3_free(struct s3_client *c)
{
	if (!c)
		return;
	(void)pthread_mutex_destroy(&c->lock);
	free(c->bucket);
	free(c->endpoint);
	free(c);
}

const char *s3_bucket(const struct s3_client *c)
{
	return c->bucket;
}

const char *s3_endpoint(const struct s3_client *c)
{
	return c->endpoint;
}

struct http_client *s3_http(const struct s3_client *c)
{
	return c->http;
}

/* --- requests
 * -------------------------------------------------------------------------------------- */

static void get_region(struct s3_client *c, char ret[AWS_REGION_MAX])
{
	(void)pthread_mutex_lock(&c->lock);
	memcpy(ret, c->region, AWS_REGION_MAX);
	(void)pthread_mutex_unlock(&c->lock);
}

static int endpoint(const struct s3_client *c, const char *region, char ret[AWS_ENDPOINT_MAX],
                    struct cairn_err *err)
{
	if (!c->endpoint)
		return aws_endpoint(c->aws, "s3", region, ret, err);
	(void)snprintf(ret, AWS_ENDPOINT_MAX, "%s", c->endpoint);
	return 0;
}

static int make_url(const struct s3_client *c, const struct s3_call *call, const char *region,
                    struct strbuf *out, struct cairn_err *err)
{
	char base[AWS_ENDPOINT_MAX];
	struct url u;

	TRY(endpoint(c, region, base, err));
	if (c->path_style) {
		strbuf_printf(out, "%s/%s", base, c->bucket);
	} else {
		if (!url_split(str_of(base), &u))
			return cairn_fail(err, CAIRN_E_USAGE, "S3 endpoint: not a URL");
		strbuf_printf(out, "%.*s://%s.%.*s%s%.*s%.*s", STR(u.scheme), c->bucket,
		              STR(u.host), u.port.len ? ":" : "", STR(u.port), STR(u.path));
	}
	strbuf_char(out, '/');
	for (const char *k = call->key; k && *k; k++)
		if (*k == '/')
			strbuf_char(out, '/');
		else
			http_escape(out, str_n(k, 1));
	if (call->query)
		strbuf_printf(out, "?%s", call->query);
	return strbuf_check(out, "the URL of an object", err);
}

bool s3_unsigned_ok(struct s3_client *c, struct cairn_err *err)
{
	char base[AWS_ENDPOINT_MAX];

	return endpoint(c, "us-east-1", base, err) == 0 && str_starts(str_of(base), S("https:"));
}

static int send_to(struct s3_client *c, const char *region, const struct s3_call *call,
                   struct http_response *r, struct cairn_err *err)
{
	struct http_field fields[FIELDS_MAX];
	struct strbuf url cleanup_strbuf;
	struct http_request req = { .method = call->method,
		                    .fields = fields,
		                    .body = call->body,
		                    .source = call->source,
		                    .sink = call->sink,
		                    .max_body = call->max_body };

	if (call->n_fields + 2 > FIELDS_MAX)
		CAIRN_BUG("%zu fields", call->n_fields);
	strbuf_init(&url, HTTP_URL_MAX - 1);
	TRY(make_url(c, call, region, &url, err));
	for (size_t i = 0; i < call->n_fields; i++)
		fields[req.n_fields++] = call->fields[i];
	if (call->hash)
		fields[req.n_fields++] = (struct http_field){ "x-amz-content-sha256", call->hash };
	if (strcmp(call->method, "PUT") == 0 || strcmp(call->method, "POST") == 0)
		fields[req.n_fields++] =
			(struct http_field){ "Content-Type", "application/octet-stream" };
	req.url = url.ptr;
	return aws_send(c->aws, "s3", region, &req, r, err);
}

/* Does the answer say that the bucket is somewhere else? *ret gets the region. */
static bool elsewhere(const struct http_response *r, const char *region, char ret[AWS_REGION_MAX])
{
	static const int statuses[] = { 301, 307, 308, 400 };
	struct aws_error e;
	bool may = false;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		may = may || r->status == statuses[i];
	if (!may)
		return false;
	aws_error_read(r, &e);
	if (!e.region[0] || strcmp(e.region, region) == 0)
		return false;
	memcpy(ret, e.region, AWS_REGION_MAX);
	return true;
}

int s3_send(struct s3_client *c, const struct s3_call *call, struct http_response *r,
            struct cairn_err *err)
{
	char region[AWS_REGION_MAX], there[AWS_REGION_MAX];

	if (call->key)
		TRY(check_key(c, call->key, err));
	get_region(c, region);
	if (send_to(c, region, call, r, err) < 0)
		return cairn_wrap(err, "s3://%s", c->bucket);
	if (!elsewhere(r, region, there))
		return 0;
	log_debug("the bucket %s is in %s, not in %s", c->bucket, there, region);
	(void)pthread_mutex_lock(&c->lock);
	memcpy(c->region, there, sizeof(there));
	(void)pthread_mutex_unlock(&c->lock);
	if (send_to(c, there, call, r, err) < 0)
		return cairn_wrap(err, "s3://%s", c->bucket);
	return 0;
}

/* --- refusals
 * --------------------------------------------------------------------------------------- */

static int refused(struct s3_client *c, const struct s3_call *call, const char *name,
                   const struct aws_error *e, struct cairn_err *err)
{
	char source[AWS_SOURCE_MAX];
	bool read = strcmp(call->action, "s3:GetObject") == 0;

	aws_source(c->aws, source);
	if (e->kind == AWS_ERROR_EXPIRED)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "%s: the AWS credentials from %s have expired; renew them", name,
		                  source);
	if (e->kind == AWS_ERROR_SKEW)
		return cairn_fail(err, CAIRN_E_AUTH, "%s: %s: set the clock of this machine", name,
		                  e->code);
	if (e->kind == AWS_ERROR_SIGNATURE)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "%s: the secret key from %s does not belong to its access key id "
		                  "(%s)",
		                  name, source, e->code);
	if (strcmp(e->code, "InvalidAccessKeyId") == 0)
		return cairn_fail(err, CAIRN_E_AUTH,
		                  "%s: the access key id from %s is not known there", name, source);
	return cairn_fail(
		err, CAIRN_E_AUTH, "%s: %s is not allowed with the AWS credentials from %s%s%s%s",
		name, call->action, source, e->message[0] ? ": " : "", e->message,
		read ? " (S3 says so of missing objects too, without s3:ListBucket)" : "");
}

int s3_fail_as(struct s3_client *c, const struct s3_call *call, int status,
               const struct aws_error *e, struct cairn_err *err)
{
	cleanup_free char *name = xasprintf("s3://%s%s%.200s", c->bucket, call->key ? "/" : "",
	                                    call->key ? call->key : "");
	char number[24];
	enum cairn_code code = CAIRN_E_SYSTEM;

	(void)snprintf(number, sizeof(number), "HTTP status %d", status);
	switch (e->kind) {
	case AWS_ERROR_EXPIRED:
	case AWS_ERROR_SKEW:
	case AWS_ERROR_SIGNATURE:
	case AWS_ERROR_REFUSED:
		return refused(c, call, name, e, err);
	case AWS_ERROR_MISSING:
		code = CAIRN_E_NOT_FOUND;
		break;
	case AWS_ERROR_BUSY:
		code = CAIRN_E_TRANSIENT;
		break;
	case AWS_ERROR_OTHER:
	case AWS_ERROR_N_:
		break;
	}
	if (strcmp(e->code, "NoSuchBucket") == 0)
		return cairn_fail(err, code, "the S3 bucket '%s' does not exist%s%s", c->bucket,
		                  c->endpoint ? " at " : "", c->endpoint ? c->endpoint : "");
	if (strcmp(e->code, "BadDigest") == 0 || strcmp(e->code, "XAmzContentSHA256Mismatch") == 0)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "%s: other bytes arrived there than were to be sent", name);
	if (status / 100 == 3)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s: the bucket is at another endpoint; name its region", name);
	return cairn_fail(err, code, "%s: %s: %s%s%s", name, call->action,
	                  e->code[0] ? e->code : number, e->message[0] ? ": " : "", e->message);
}

int s3_fail(struct s3_client *c, const struct s3_call *call, const struct http_response *r,
            struct cairn_err *err)
{
	struct aws_error e;

	aws_error_read(r, &e);
	return s3_fail_as(c, call, r->status, &e, err);
}

int s3_delete(struct s3_client *c, const char *key, struct cairn_err *err)
{
	struct http_response r cleanup_http_response;
	const struct s3_call call = { .method = "DELETE", .action = "s3:DeleteObject", .key = key };
	struct aws_error e;

	http_response_init(&r);
	TRY(s3_send(c, &call, &r, err));
	if (r.status / 100 == 2)
		return 0;
	aws_error_read(&r, &e);
	if (r.status == 404 && strcmp(e.code, "NoSuchBucket") != 0)
		return 0;
	return s3_fail_as(c, &call, r.status, &e, err);
}
