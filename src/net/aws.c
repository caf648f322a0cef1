/* net/aws.c - signed requests, with credentials that are renewed and a clock that is corrected. */
#include "aws.h"

#include <stdio.h>
#include <time.h>

#include "aws_error.h"
#include "aws_priv.h"
#include "aws_sign.h"
#include "url.h"
#include "util/log.h"

#define RENEW_EARLY (300 * CLOCK_SEC) /* before they expire */
#define RENEW_AGAIN (60 * CLOCK_SEC)  /* after an attempt that gave nothing better */

/* A difference of clocks worth correcting: AWS accepts 5 minutes, S3 15. */
#define SKEW_MIN (60 * CLOCK_SEC)

#define METADATA_TIMEOUT 1000000000ull /* ns: a link-local address answers at once or never */

/* Domains of regions that are not in amazonaws.com, by how their names begin
 * (https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json). */
static const struct {
	const char *prefix, *domain;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn" },    { "us-iso-", "c2s.ic.gov" },
	{ "us-isob-", "sc2s.sgov.gov" },  { "us-isof-", "csp.hci.ic.gov" },
	{ "eu-isoe-", "cloud.adc-e.uk" }, { "eusc-", "amazonaws.eu" },
};

struct aws *aws_new(const struct aws_opts *opts)
{
	struct http_opts o = HTTP_OPTS_INIT;
	struct aws *a = xcalloc(1, sizeof(*a));

	o.attempts = 1;
	o.connect_timeout_ns = METADATA_TIMEOUT;
	o.stall_timeout_ns = METADATA_TIMEOUT;
	a->http = opts->http;
	a->own_metadata = opts->metadata ? NULL : http_client_new(&o);
	a->metadata = opts->metadata ? opts->metadata : a->own_metadata;
	a->envp = opts->envp;
	a->given_region = opts->region ? xstrdup(opts->region) : NULL;
	a->now = opts->now ? opts->now : clock_now;
	(void)pthread_mutex_init(&a->lock, NULL);
	(void)pthread_mutex_init(&a->region_lock, NULL);
	(void)pthread_mutex_init(&a->ecr_lock, NULL);
	(void)pthread_mutex_init(&a->imds.lock, NULL);
	return a;
}

void aws_free(struct aws *a)
{
	if (!a)
		return;
	http_client_free(a->own_metadata);
	aws_creds_done(&a->creds);
	vec_foreach (t, &a->ecr) {
		explicit_bzero(t->password, strlen(t->password));
		free(t->password);
		free(t->region);
	}
	vec_free(&a->ecr);
	free(a->imds.token);
	free(a->given_region);
	free(a->region);
	(void)pthread_mutex_destroy(&a->lock);
	(void)pthread_mutex_destroy(&a->region_lock);
	(void)pthread_mutex_destroy(&a->ecr_lock);
	(void)pthread_mutex_destroy(&a->imds.lock);
	free(a);
}

const char *aws_env(const struct aws *a, const char *name)
{
	size_t n = strlen(name);

	for (char *const *e = a->envp; e && *e; e++)
		if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
			return (*e)[n + 1] ? *e + n + 1 : NULL;
	return NULL;
}

int64_t aws_now(const struct aws *a)
{
	return a->now() + atomic_load(&a->skew);
}

/* --- region and endpoint ------------------------------------------------------------------- */

int aws_region_offline(struct aws *a, char **ret, struct cairn_err *err)
{
	const char *given = a->given_region;

	if (!given)
		given = aws_env(a, "AWS_REGION");
	if (!given)
		given = aws_env(a, "AWS_DEFAULT_REGION");
	*ret = given ? xstrdup(given) : NULL;
	return given ? 0 : aws_profile_value(a, "region", ret, err);
}

static int find_region(struct aws *a, char **ret, struct cairn_err *err)
{
	struct strbuf b cleanup_strbuf;
	bool found = false;
	int rc;

	strbuf_init(&b, AWS_REGION_MAX);
	TRY(aws_region_offline(a, ret, err));
	if (*ret || !aws_imds_enabled(a))
		return 0;
	rc = aws_imds_get(a, "/latest/meta-data/placement/region", &b, &found, err);
	if (rc == CAIRN_E_CANCELLED)
		return rc;
	if (rc == 0 && found)
		*ret = str_dup(str_trim(strbuf_view(&b)));
	return 0;
}

int aws_region(struct aws *a, const char **ret, struct cairn_err *err)
{
	int rc = 0;

	(void)pthread_mutex_lock(&a->region_lock);
	if (!a->region) {
		cleanup_free char *r = NULL;

		rc = find_region(a, &r, err);
		if (rc == 0 && !r)
			rc = cairn_fail(err, CAIRN_E_AUTH,
			                "no AWS region; set AWS_REGION or 'region' in "
			                "~/.aws/config");
		else if (rc == 0 && !aws_region_valid(str_of(r)))
			rc = cairn_fail(err, CAIRN_E_AUTH, "'%.60s' is not an AWS region", r);
		else if (rc == 0)
			a->region = steal_ptr(&r);
	}
	if (rc == 0)
		*ret = a->region;
	(void)pthread_mutex_unlock(&a->region_lock);
	return rc;
}

static int given_endpoint(const char *name, const char *url, char ret[AWS_ENDPOINT_MAX],
                          struct cairn_err *err)
{
	str s = str_of(url);
	struct url parts;

	while (str_ends(s, S("/")))
		s.len--;
	if (!url_split(s, &parts) || parts.query.len || parts.user.len || s.len >= AWS_ENDPOINT_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s is not an http or https URL", name);
	(void)snprintf(ret, AWS_ENDPOINT_MAX, "%.*s", STR(s));
	return 0;
}

int aws_endpoint(const struct aws *a, const char *service, const char *region,
                 char ret[AWS_ENDPOINT_MAX], struct cairn_err *err)
{
	cleanup_free char *name = xasprintf("AWS_ENDPOINT_URL_%s", service);
	const char *domain = "amazonaws.com", *url;

	for (char *c = name; *c; c++)
		*c = *c == '-' ? '_' : *c >= 'a' && *c <= 'z' ? (char)(*c & ~0x20) : *c;
	url = aws_env(a, name);
	if (url)
		return given_endpoint(name, url, ret, err);
	url = aws_env(a, "AWS_ENDPOINT_URL");
	if (url)
		return given_endpoint("AWS_ENDPOINT_URL", url, ret, err);
	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
		if (str_starts(str_of(region), str_of(partitions[i].prefix)))
			domain = partitions[i].domain;
	(void)snprintf(ret, AWS_ENDPOINT_MAX, "https://%s%s.%s.%s",
	               strcmp(service, "ecr") == 0 ? "api." : "", service, region, domain);
	return 0;
}

/* --- credentials ----------------------------------------------------------------------------- */

static bool same_creds(const struct aws_creds *a, const struct aws_creds *b)
{
	return strcmp(a->id, b->id) == 0 && strcmp(a->secret, b->secret) == 0 &&
	       strcmp(a->token ? a->token : "", b->token ? b->token : "") == 0;
}

/* Look again. While those we have are still good, a failure is not one. */
static int renew(struct aws *a, bool refused, struct cairn_err *err)
{
	struct aws_creds c cleanup_aws_creds = { 0 };
	int64_t now = aws_now(a);
	int rc = aws_creds_find(a, &c, err);

	if (rc < 0) {
		if (!a->generation || refused || now >= a->creds.expires || rc == CAIRN_E_CANCELLED)
			return rc;
		log_debug("AWS credentials are not renewed yet: %s", err->msg);
		a->renew_at = now + RENEW_AGAIN;
		return 0;
	}
	a->renew_at = AWS_CREDS_FOREVER;
	if (c.expires != AWS_CREDS_FOREVER)
		a->renew_at = c.expires - RENEW_EARLY;
	if (a->renew_at < now + RENEW_AGAIN)
		a->renew_at = now + RENEW_AGAIN;
	if (a->generation && same_creds(&a->creds, &c))
		return 0;
	aws_creds_done(&a->creds);
	a->creds = c;
	c = (struct aws_creds){ 0 };
	a->generation++;
	log_debug("AWS credentials from %s", a->creds.source);
	return 0;
}

/* The present credentials. `refused`: the generation that a service did not take, 0: none. */
static int current(struct aws *a, uint64_t refused, struct aws_creds *ret, uint64_t *ret_generation,
                   struct cairn_err *err)
{
	int64_t now = aws_now(a);
	int rc = 0;

	(void)pthread_mutex_lock(&a->lock);
	if (!a->generation || now >= a->renew_at || now >= a->creds.expires ||
	    refused == a->generation)
		rc = renew(a, refused == a->generation, err);
	if (rc == 0) {
		aws_creds_copy(&a->creds, ret);
		*ret_generation = a->generation;
	}
	(void)pthread_mutex_unlock(&a->lock);
	return rc;
}

void aws_source(struct aws *a, char ret[AWS_SOURCE_MAX])
{
	(void)pthread_mutex_lock(&a->lock);
	(void)snprintf(ret, AWS_SOURCE_MAX, "%s", a->generation ? a->creds.source : "nowhere");
	(void)pthread_mutex_unlock(&a->lock);
}

/* --- requests -----------------------------------------------------------------------------------
 */

int aws_send_as(struct aws *a, const struct aws_creds *creds, const char *service,
                const char *region, const struct http_request *req, struct http_response *r,
                struct cairn_err *err)
{
	struct aws_sign sign = { creds, service, region, aws_now(a) };
	struct aws_signed is cleanup_aws_signed = { 0 };
	struct http_request signed_req = *req;

	TRY(aws_sign(&sign, req, &is, err));
	signed_req.fields = is.fields.ptr;
	signed_req.n_fields = is.fields.len;
	signed_req.authorization = is.authorization;
	signed_req.keep_redirects = true;
	return http_send(a->http, &signed_req, r, err);
}

/* Set our clock by the answer's. Was the one that the request was signed with wrong? (Another
 * thread may have corrected it meanwhile.) */
static bool correct_clock(struct aws *a, const struct http_response *r, int64_t signed_with)
{
	const char *date = http_header(r, "Date");
	struct tm tm = { 0 };
	int64_t skew;

	if (!date || !strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		return false;
	skew = (int64_t)timegm(&tm) * CLOCK_SEC - a->now();
	if (skew - signed_with < SKEW_MIN && signed_with - skew < SKEW_MIN)
		return false;
	log_debug("this machine's clock is %lld s off", (long long)(skew / CLOCK_SEC));
	atomic_store(&a->skew, skew);
	return true;
}

/* What has been tried for one request. */
struct tries {
	bool renewed, corrected;
	uint64_t generation; /* of the credentials last used */
	uint64_t refused;    /* generation that was refused; 0: none */
	int64_t skew;        /* of the clock last used */
	struct http_retry busy;
};

/* Is there a reason to send it again? 1 when there is, 0 when not. */
static int again(struct aws *a, struct tries *t, const struct http_response *r,
                 struct cairn_err *err)
{
	struct aws_error e;
	int rc;

	aws_error_read(r, &e);
	if ((e.kind == AWS_ERROR_SKEW || e.kind == AWS_ERROR_SIGNATURE) && !t->corrected) {
		t->corrected = true;
		if (correct_clock(a, r, t->skew))
			return 1;
	}
	if ((e.kind == AWS_ERROR_EXPIRED || strcmp(e.code, "RequestExpired") == 0) && !t->renewed) {
		t->renewed = true;
		t->refused = t->generation;
		return 1;
	}
	if (e.kind != AWS_ERROR_BUSY || http_status_transient(r->status))
		return 0; /* http_send() has done what it can */
	rc = http_retry_wait(a->http, &t->busy, r, err);
	return rc == CAIRN_E_TRANSIENT ? 0 : rc < 0 ? rc : 1;
}

int aws_send(struct aws *a, const char *service, const char *region, const struct http_request *req,
             struct http_response *r, struct cairn_err *err)
{
	struct tries t = { 0 };
	int rc;

	if (!region)
		TRY(aws_region(a, &region, err));
	do {
		struct aws_creds c cleanup_aws_creds = { 0 };

		TRY(current(a, t.refused, &c, &t.generation, err));
		if (t.refused == t.generation)
			return 0; /* nothing better: r still has the refusal */
		t.skew = atomic_load(&a->skew);
		TRY(aws_send_as(a, &c, service, region, req, r, err));
		if (r->status < 400)
			return 0;
		rc = again(a, &t, r, err);
	} while (rc > 0);
	return rc;
}
