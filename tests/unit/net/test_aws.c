/* Who to be at AWS, and when again: over a scripted network. */
#include <stdio.h>

#include "harness.h"

#include "net/fake_transport.h"
#include "util/clock.h"

#define SIGNED(id) "AWS4-HMAC-SHA256 Credential=" id "/*"
#define URL        "https://ecr.example/"
#define IMDS       "http://169.254.169.254/latest"
#define ROLES      IMDS "/meta-data/iam/security-credentials/"
#define ENV_MAX    12u
#define STEPS_MAX  8u
#define NOW        (1440938160 * CLOCK_SEC) /* 20150830T123600Z */
#define STS(action)      \
	"Action=" action \
	"&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName="

#define CREDS_JSON(id, expires)                                                         \
	S("{\"AccessKeyId\":\"" id "\",\"SecretAccessKey\":\"hush\",\"Token\":\"tok\"," \
	  "\"Expiration\":\"" expires "\"}")
#define STS_XML(id)                                                                      \
	S("<R xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"    \
	  "<AssumedRoleUser><Arn>x</Arn></AssumedRoleUser><Credentials><AccessKeyId>" id \
	  "</AccessKeyId><SecretAccessKey>hush</SecretAccessKey><SessionToken>tok"       \
	  "</SessionToken><Expiration>2015-08-30T13:36:00Z</Expiration></Credentials>"   \
	  "</AssumeRoleResult></R>")
#define ASK(id)                                                                         \
	{                                                                               \
		.method = "GET", .url = URL, .authorization = SIGNED(id), .status = 200 \
	}

static int64_t the_time;

static int64_t now(void)
{
	return the_time;
}

/* An AWS with an environment of its own and a network that follows a script. */
struct world {
	char *env[ENV_MAX + 2];
	struct http_client *http;
	struct aws *aws;
};

/* In a value, '@' stands for the test's directory, which is HOME too. */
static char *expand(const char *s)
{
	const char *at = strchr(s, '@');

	return at ? xasprintf("%.*s%s%s", (int)(at - s), s, harness_dir(), at + 1) : xstrdup(s);
}

static void begin(struct world *w, const char *const env[ENV_MAX], const struct fake_step *steps)
{
	struct aws_opts o = { .envp = w->env, .now = now };
	size_t n = 0;

	memset(w, 0, sizeof(*w));
	the_time = NOW;
	w->env[0] = expand("HOME=@");
	for (size_t i = 0; i < ENV_MAX && env[i]; i++)
		w->env[i + 1] = expand(env[i]);
	while (n < STEPS_MAX && steps[n].method)
		n++;
	w->http = o.http = o.metadata = fake_client_new(steps, n);
	w->aws = aws_new(&o);
}

static void end(struct world *w, const struct fake_step *steps)
{
	size_t n = 0;

	while (n < STEPS_MAX && steps[n].method)
		n++;
	assert_int_equal(fake_played(), n);
	aws_free(w->aws);
	http_client_free(w->http);
	for (size_t i = 0; w->env[i]; i++)
		free(w->env[i]);
}

static int ask(struct world *w, int *ret_status, struct cairn_err *err)
{
	struct http_request req = { .method = "GET", .url = URL, .max_body = 1000 };
	struct http_response r cleanup_http_response;

	http_response_init(&r);
	TRY(aws_send(w->aws, "ecr", "us-east-1", &req, &r, err));
	*ret_status = r.status;
	return 0;
}

/* Requests that follow each other get answers of these statuses. */
static void answers(const char *const env[ENV_MAX], const struct fake_step *steps, const int *want,
                    size_t n)
{
	struct cairn_err err;
	struct world w;

	begin(&w, env, steps);
	for (size_t i = 0; i < n; i++) {
		int status = 0;

		assert_ok(ask(&w, &status, &err));
		assert_int_equal(status, want[i]);
	}
	end(&w, steps);
}
#define ANSWERS(env, steps, ...)                          \
	answers(env, steps, (const int[]){ __VA_ARGS__ }, \
	        ARRAY_SIZE(((const int[]){ __VA_ARGS__ })))

/* --- the chain ------------------------------------------------------------------------------- */

#define KEYS_ENV "AWS_ACCESS_KEY_ID=AKENV", "AWS_SECRET_ACCESS_KEY=hush"
#define WEB_ENV                                                                    \
	"AWS_WEB_IDENTITY_TOKEN_FILE=@/web", "AWS_ROLE_ARN=arn:aws:iam::1:role/r", \
		"AWS_ROLE_SESSION_NAME=me"
#define WEB_STEP                                                                            \
	{                                                                                   \
		.method = "POST", .url = "https://sts.amazonaws.com/",                      \
		.request_body = STS("AssumeRoleWithWebIdentity") "me&WebIdentityToken=j.w", \
		.status = 200, .body = STS_XML("AKWEB")                                     \
	}
#define CONTAINER_ENV "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/x"
#define CONTAINER_STEP                                                              \
	{                                                                           \
		.method = "GET", .url = "http://169.254.170.2/v2/x", .status = 200, \
		.body = CREDS_JSON("AKBOX", "2015-08-30T13:36:00Z")                 \
	}
#define IMDS_TOKEN_STEP                                                                \
	{                                                                              \
		.method = "PUT", .url = IMDS "/api/token",                             \
		.sends = "X-aws-ec2-metadata-token-ttl-seconds: 21600", .status = 200, \
		.body = S("imds-token")                                                \
	}
#define IMDS_STEP(u, st, text)                                                \
	{                                                                     \
		.method = "GET", .url = u, .status = st,                      \
		.sends = "X-aws-ec2-metadata-token: imds-token", .body = text \
	}
#define NO_IMDS                                            \
	{                                                  \
		.method = "PUT", .url = IMDS "/api/token", \
	}

struct chain_case {
	const char *env[ENV_MAX];
	const char *config, *credentials; /* files; NULL: none */
	struct fake_step steps[STEPS_MAX];
	const char *error; /* part of the message; NULL: a request was signed */
};

static const struct chain_case chain[] = {
	/* each source before the next */
	{ { KEYS_ENV, WEB_ENV, CONTAINER_ENV },
	  NULL,
	  "[default]\naws_access_key_id=AKFILE\n"
	  "aws_secret_access_key=hush\n",
	  { ASK("AKENV") },
	  NULL },
	{ { "AWS_ACCESS_KEY_ID=AKENV", "AWS_SECRET_ACCESS_KEY=hush", "AWS_SESSION_TOKEN=tik" },
	  NULL,
	  NULL,
	  { { .method = "GET",
	      .url = URL,
	      .authorization = SIGNED("AKENV"),
	      .sends = "X-Amz-Security-Token: tik",
	      .status = 200 } },
	  NULL },
	{ { WEB_ENV, CONTAINER_ENV },
	  NULL,
	  "[default]\naws_access_key_id=AKFILE\n"
	  "aws_secret_access_key=hush\n",
	  { WEB_STEP, ASK("AKWEB") },
	  NULL },
	{ { CONTAINER_ENV },
	  NULL,
	  "[default]\naws_access_key_id=AKFILE\n"
	  "aws_secret_access_key=hush\n",
	  { ASK("AKFILE") },
	  NULL },
	{ { CONTAINER_ENV },
	  "[default]\nregion=x\n",
	  NULL,
	  { CONTAINER_STEP, ASK("AKBOX") },
	  NULL },
	{ { NULL },
	  NULL,
	  NULL,
	  { IMDS_TOKEN_STEP, IMDS_STEP(ROLES, 200, S("my-role\n")),
	    IMDS_STEP(ROLES "my-role", 200, CREDS_JSON("AKEC2", "2015-08-30T13:36:00Z")),
	    ASK("AKEC2") },
	  NULL },
	/* nobody is there */
	{ { NULL }, NULL, NULL, { NO_IMDS }, "no AWS credentials found; looked for" },
	{ { "AWS_EC2_METADATA_DISABLED=true" }, NULL, NULL, { { 0 } }, "no AWS credentials found" },
	{ { NULL },
	  NULL,
	  NULL,
	  { IMDS_TOKEN_STEP, IMDS_STEP(ROLES, 404, S("")) },
	  "no AWS credentials found" },
	{ { NULL },
	  NULL,
	  NULL,
	  { { .method = "PUT", .url = IMDS "/api/token", .status = 403 } },
	  "no AWS credentials found" },
	/* what is half set */
	{ { "AWS_ACCESS_KEY_ID=AKENV" }, NULL, NULL, { { 0 } }, "AWS_SECRET_ACCESS_KEY is not" },
	{ { "AWS_WEB_IDENTITY_TOKEN_FILE=@/web" }, NULL, NULL, { { 0 } }, "AWS_ROLE_ARN is not" },
	{ { "AWS_WEB_IDENTITY_TOKEN_FILE=@/none", "AWS_ROLE_ARN=a" },
	  NULL,
	  NULL,
	  { { 0 } },
	  "web identity token" },
	{ { "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", CONTAINER_ENV },
	  NULL,
	  NULL,
	  { CONTAINER_STEP, ASK("AKBOX") },
	  NULL },
	{ { WEB_ENV },
	  NULL,
	  NULL,
	  { { .method = "POST",
	      .url = "https://sts.amazonaws.com/",
	      .status = 400,
	      .body = S("<E><Error><Code>InvalidIdentityToken</Code><Message>No provider"
	                "</Message></Error></E>") } },
	  "STS refuses arn:aws:iam::1:role/r: InvalidIdentityToken: No provider" },
	/* containers */
	{ { "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://10.0.0.1/x" },
	  NULL,
	  NULL,
	  { { 0 } },
	  "http is for this machine" },
	{ { "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1.example/x" },
	  NULL,
	  NULL,
	  { { 0 } },
	  "http is for this machine" },
	{ { "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://169.254.170.23/v1/c",
	    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=@/web",
	    "AWS_CONTAINER_AUTHORIZATION_TOKEN=other" },
	  NULL,
	  NULL,
	  { { .method = "GET",
	      .url = "http://169.254.170.23/v1/c",
	      .authorization = "j.w",
	      .status = 200,
	      .body = CREDS_JSON("AKEKS", "2015-08-30T13:36:00Z") },
	    ASK("AKEKS") },
	  NULL },
	{ { CONTAINER_ENV, "AWS_CONTAINER_AUTHORIZATION_TOKEN=Basic x" },
	  NULL,
	  NULL,
	  { { .method = "GET",
	      .url = "http://169.254.170.2/v2/x",
	      .authorization = "Basic x",
	      .status = 200,
	      .body = S("{\"AccessKeyId\":\"A\",\"SecretAccessKey\":7}") } },
	  "the answer is not JSON with" },
	{ { CONTAINER_ENV },
	  NULL,
	  NULL,
	  { { .method = "GET",
	      .url = "http://169.254.170.2/v2/x",
	      .status = 403,
	      .body = S("{\"code\":\"AccessDenied\",\"message\":\"no\"}") } },
	  "AWS credentials of this container: AccessDenied: no" },
	/* profiles */
	{ { "AWS_PROFILE=ci" },
	  "[profile ci]\nrole_arn = arn:aws:iam::1:role/r\n"
	  "source_profile = base\nexternal_id = e/x\n"
	  "role_session_name=s\nregion=eu-west-3\n",
	  "[base]\naws_access_key_id=AKBASE\naws_secret_access_key=hush\n",
	  { { .method = "POST",
	      .url = "https://sts.eu-west-3.amazonaws.com/",
	      .authorization = SIGNED("AKBASE"),
	      .request_body = STS("AssumeRole") "s&ExternalId=e%2Fx",
	      .status = 200,
	      .body = STS_XML("AKROLE") },
	    ASK("AKROLE") },
	  NULL },
	{ { "AWS_PROFILE=ci", KEYS_ENV }, "[profile ci]\nregion=x", NULL, { ASK("AKENV") }, NULL },
	{ { "AWS_PROFILE=ci", "AWS_CONFIG_FILE=@/other" },
	  NULL,
	  NULL,
	  { { 0 } },
	  "AWS_PROFILE is 'ci', which neither" },
	{ { CONTAINER_ENV },
	  "[default]\nrole_arn=arn:aws:iam::1:role/r\n"
	  "credential_source=EcsContainer\n",
	  NULL,
	  { CONTAINER_STEP,
	    { .method = "POST",
	      .url = "https://sts.amazonaws.com/",
	      .authorization = SIGNED("AKBOX"),
	      .request_body = STS("AssumeRole") "cairn",
	      .status = 200,
	      .body = STS_XML("AKROLE") },
	    ASK("AKROLE") },
	  NULL },
	{ { NULL },
	  "[default]\nrole_arn=r\nsource_profile=default\n",
	  "[default]\naws_access_key_id=AKSELF\naws_secret_access_key=hush\n",
	  { { .method = "POST",
	      .url = "https://sts.amazonaws.com/",
	      .authorization = SIGNED("AKSELF"),
	      .status = 200,
	      .body = STS_XML("AKROLE") },
	    ASK("AKROLE") },
	  NULL },
	{ { NULL },
	  "[default]\nrole_arn=r\nsource_profile=a\n[profile a]\nrole_arn=r\n"
	  "source_profile=default\n",
	  NULL,
	  { { 0 } },
	  "more than 8 source_profiles" },
	{ { NULL }, "[default]\nrole_arn=r\n", NULL, { { 0 } }, "needs either source_profile or" },
	{ { NULL },
	  "[default]\nrole_arn=r\nsource_profile=b\n",
	  NULL,
	  { { 0 } },
	  "'b' does not exist" },
	{ { NULL },
	  "[default]\nrole_arn=r\nsource_profile=b\nmfa_serial=m\n",
	  NULL,
	  { { 0 } },
	  "mfa_serial" },
	{ { NULL },
	  "[default]\nsso_session=s\n",
	  NULL,
	  { { 0 } },
	  "signs in with a browser (sso_session)" },
	{ { NULL },
	  "[default]\ncredential_process = printf "
	  "'{\"Version\":1,\"AccessKeyId\":\"AKPROC\",\"SecretAccessKey\":\"hush\"}'\n",
	  NULL,
	  { ASK("AKPROC") },
	  NULL },
	{ { NULL },
	  "[default]\ncredential_process = echo oh no >&2; exit 3\n",
	  NULL,
	  { { 0 } },
	  "ended with exit code 3: oh no" },
	{ { NULL },
	  "[default]\ncredential_process = echo hush\n",
	  NULL,
	  { { 0 } },
	  "the answer is not JSON with" },
	{ { NULL },
	  NULL,
	  "[default]\naws_access_key_id=AKFILE\n",
	  { { 0 } },
	  "the secret access key is missing" },
	{ { NULL },
	  NULL,
	  "[default]\naws_access_key_id=AK FILE\naws_secret_access_key=h\n",
	  { { 0 } },
	  "the access key id makes no sense" },
};

static void try_chain(const struct chain_case *c, size_t i)
{
	struct cairn_err err = { .msg = "" };
	struct world w;
	int status, rc;

	harness_write("web", S("j.w\n"));
	harness_write(".aws/config", str_of(c->config));
	harness_write(".aws/credentials", str_of(c->credentials));
	begin(&w, c->env, c->steps);
	rc = ask(&w, &status, &err);
	if (!c->error && rc < 0)
		fail_msg("case %zu: %s", i, err.msg);
	if (c->error && (rc != CAIRN_E_AUTH || !strstr(err.msg, c->error)))
		fail_msg("case %zu: %d %s", i, rc, err.msg);
	if (strstr(err.msg, "hush") || strstr(err.msg, "tok\""))
		fail_msg("case %zu says a secret: %s", i, err.msg);
	end(&w, c->steps);
}

void test_aws__chain(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chain); i++)
		try_chain(&chain[i], i);
}

/* --- time --------------------------------------------------------------------------------------
 */

static const char *const container_env[ENV_MAX] = { CONTAINER_ENV };
static const char *const keys_env[ENV_MAX] = { KEYS_ENV };

#define BOX(id, expires)                                                            \
	{                                                                           \
		.method = "GET", .url = "http://169.254.170.2/v2/x", .status = 200, \
		.body = CREDS_JSON(id, expires)                                     \
	}

void test_aws__renewed_before_they_expire(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		BOX("AK1", "2015-08-30T12:46:00Z"), /* in ten minutes */
		ASK("AK1"),
		ASK("AK1"),
		BOX("AK2", "2015-08-30T13:36:00Z"),
		ASK("AK2"),
	};
	struct cairn_err err;
	struct world w;
	int status;

	(void)state;
	begin(&w, container_env, steps);
	assert_ok(ask(&w, &status, &err));
	the_time += 299 * CLOCK_SEC;
	assert_ok(ask(&w, &status, &err));
	the_time += 2 * CLOCK_SEC;
	assert_ok(ask(&w, &status, &err));
	end(&w, steps);
}

/* While the old ones are good, a source that is down does not matter. */
void test_aws__renewal_that_fails(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		BOX("AK1", "2015-08-30T12:46:00Z"),
		ASK("AK1"),
		{ .method = "GET", .url = "http://169.254.170.2/v2/x", .status = 404 },
		ASK("AK1"),
		ASK("AK1"), /* not asked again within a minute */
		{ .method = "GET", .url = "http://169.254.170.2/v2/x", .status = 404 },
	};
	struct cairn_err err;
	struct world w;
	int status;

	(void)state;
	begin(&w, container_env, steps);
	assert_ok(ask(&w, &status, &err));
	the_time += 400 * CLOCK_SEC;
	assert_ok(ask(&w, &status, &err));
	assert_ok(ask(&w, &status, &err));
	the_time += 200 * CLOCK_SEC; /* expired */
	assert_fails(ask(&w, &status, &err), CAIRN_E_AUTH);
	end(&w, steps);
}

#define REFUSE(id, st, h, b)                                                            \
	{                                                                               \
		.method = "GET", .url = URL, .authorization = SIGNED(id), .status = st, \
		.headers = h, .body = S(b)                                              \
	}

void test_aws__expired_in_an_answer(void **state)
{
	static const struct fake_step bodies[] = {
		REFUSE("AK1", 403, NULL, "<Error><Code>ExpiredToken</Code></Error>"),
		REFUSE("AK1", 400, NULL, "{\"__type\":\"com.amazon.coral#ExpiredTokenException\"}"),
		REFUSE("AK1", 400, "x-amzn-ErrorType: RequestExpired:http://x/", "{}"),
		REFUSE("AK1", 400, NULL, "<R><Error><Code>InvalidToken</Code></Error></R>"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		const struct fake_step steps[STEPS_MAX] = {
			BOX("AK1", "2015-08-30T13:36:00Z"),
			bodies[i],
			BOX("AK2", "2015-08-30T13:36:00Z"),
			ASK("AK2"),
			ASK("AK2"),
		};

		ANSWERS(container_env, steps, 200, 200);
	}
}

/* The same ones again would be refused again; and only once. */
void test_aws__expired_for_good(void **state)
{
	static const struct fake_step env_steps[STEPS_MAX] = {
		REFUSE("AKENV", 403, NULL, "<Error><Code>ExpiredToken</Code></Error>"),
	};
	static const struct fake_step box_steps[STEPS_MAX] = {
		BOX("AK1", "2015-08-30T13:36:00Z"),
		REFUSE("AK1", 403, NULL, "<Error><Code>ExpiredToken</Code></Error>"),
		BOX("AK2", "2015-08-30T13:36:00Z"),
		REFUSE("AK2", 403, NULL, "<Error><Code>ExpiredToken</Code></Error>"),
	};

	(void)state;
	ANSWERS(keys_env, env_steps, 403);
	ANSWERS(container_env, box_steps, 403);
}

#define DATED(st, h, b, when)                                                                \
	{                                                                                    \
		.method = "GET", .url = URL, .authorization = SIGNED("AKENV"), .status = st, \
		.sends = "X-Amz-Date: " when, .headers = h, .body = S(b)                     \
	}

void test_aws__clock_is_corrected(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		DATED(403, "Date: Sun, 30 Aug 2015 14:36:00 GMT",
		      "<Error><Code>RequestTimeTooSkewed</Code></Error>", "20150830T123600Z"),
		DATED(200, NULL, "", "20150830T143600Z"),
		DATED(200, NULL, "", "20150830T143600Z"), /* remembered */
		/* a wrong secret looks alike, but for the clock */
		DATED(403, "Date: Sun, 30 Aug 2015 14:36:10 GMT",
		      "<Error><Code>SignatureDoesNotMatch</Code></Error>", "20150830T143600Z"),
	};

	(void)state;
	ANSWERS(keys_env, steps, 200, 200, 403);
}

void test_aws__busy(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		REFUSE("AKENV", 400, "x-amzn-ErrorType: ThrottlingException", "{}"),
		REFUSE("AKENV", 503, NULL, "<Error><Code>SlowDown</Code></Error>"),
		ASK("AKENV"),
	};

	(void)state;
	ANSWERS(keys_env, steps, 200);
}

/* A signature is for one host. */
void test_aws__redirects_are_answers(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		REFUSE("AKENV", 307, "Location: https://elsewhere.example/", ""),
	};

	(void)state;
	ANSWERS(keys_env, steps, 307);
}

/* --- region and endpoint --------------------------------------------------------------------- */

void test_aws__region(void **state)
{
	static const struct {
		const char *env[ENV_MAX];
		const char *config;
		struct fake_step steps[STEPS_MAX];
		const char *want; /* NULL: none */
	} cases[] = {
		{ { "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=b-1" },
		  "",
		  { { 0 } },
		  "eu-west-1" },
		{ { "AWS_DEFAULT_REGION=eu-west-2" },
		  "[default]\nregion=a-1",
		  { { 0 } },
		  "eu-west-2" },
		{ { NULL }, "[default]\nregion = eu-west-3 # home\n", { { 0 } }, "eu-west-3" },
		{ { "AWS_PROFILE=p" },
		  "[profile p]\nregion=p-1\n[default]\nregion=d-1",
		  { { 0 } },
		  "p-1" },
		{ { NULL },
		  "",
		  { IMDS_TOKEN_STEP,
		    IMDS_STEP(IMDS "/meta-data/placement/region", 200, S("us-west-2")) },
		  "us-west-2" },
		{ { NULL }, "", { NO_IMDS }, NULL },
		{ { "AWS_EC2_METADATA_DISABLED=TRUE" }, "", { { 0 } }, NULL },
		{ { "AWS_REGION=evil.example/x" }, "", { { 0 } }, NULL },
		{ { "AWS_REGION=-a" }, "", { { 0 } }, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = NULL;
		struct cairn_err err;
		struct world w;
		int rc;

		harness_write(".aws/config", str_of(cases[i].config));
		begin(&w, cases[i].env, cases[i].steps);
		rc = aws_region(w.aws, &got, &err);
		if (cases[i].want) {
			assert_int_equal(rc, 0);
			assert_string_equal(got, cases[i].want);
		} else {
			assert_int_equal(rc, CAIRN_E_AUTH);
		}
		end(&w, cases[i].steps);
	}
}

void test_aws__endpoint(void **state)
{
	static const struct fake_step none[STEPS_MAX];
	static const struct {
		const char *env[ENV_MAX];
		const char *service, *region, *want; /* NULL: refused */
	} cases[] = {
		{ { NULL }, "s3", "eu-west-1", "https://s3.eu-west-1.amazonaws.com" },
		{ { NULL }, "ecr", "us-east-1", "https://api.ecr.us-east-1.amazonaws.com" },
		{ { NULL }, "sts", "cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn" },
		{ { NULL }, "s3", "us-gov-west-1", "https://s3.us-gov-west-1.amazonaws.com" },
		{ { "AWS_ENDPOINT_URL=http://h:1/" }, "s3", "r", "http://h:1" },
		{ { "AWS_ENDPOINT_URL=http://h:1", "AWS_ENDPOINT_URL_API_X=https://g/p" },
		  "api-x",
		  "r",
		  "https://g/p" },
		{ { "AWS_ENDPOINT_URL=h:1" }, "s3", "r", NULL },
		{ { "AWS_ENDPOINT_URL=http://h?x" }, "s3", "r", NULL },
		{ { "AWS_ENDPOINT_URL=http://u:p@h" }, "s3", "r", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char got[AWS_ENDPOINT_MAX];
		struct cairn_err err;
		struct world w;
		int rc;

		begin(&w, cases[i].env, none);
		rc = aws_endpoint(w.aws, cases[i].service, cases[i].region, got, &err);
		if (cases[i].want) {
			assert_int_equal(rc, 0);
			assert_string_equal(got, cases[i].want);
		} else {
			assert_int_equal(rc, CAIRN_E_SYNTAX);
		}
		end(&w, none);
	}
}

void test_aws__describe(void **state)
{
	static const struct fake_step none[STEPS_MAX];
	static const struct {
		const char *env[ENV_MAX];
		const char *config, *want;
	} cases[] = {
		{ { KEYS_ENV }, "", "the environment: AWS_ACCESS_KEY_ID ...KENV" },
		{ { CONTAINER_ENV }, "", "the role of this container" },
		{ { CONTAINER_ENV }, "[default]\nrole_arn=x", "profile 'default': its role" },
		{ { "AWS_PROFILE=p" },
		  "[profile p]\ncredential_process=x",
		  "profile 'p': its credential_process" },
		{ { NULL }, "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;
		struct world w;

		strbuf_init(&out, 1000);
		harness_write(".aws/config", str_of(cases[i].config));
		begin(&w, cases[i].env, none);
		aws_describe(w.aws, &out);
		assert_str(strbuf_view(&out), cases[i].want);
		end(&w, none);
	}
}

/* --- ECR ----------------------------------------------------------------------------------------
 */

void test_aws__ecr_domain(void **state)
{
	static const struct {
		const char *domain, *region; /* NULL: not one */
	} cases[] = {
		{ "123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1" },
		{ "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1" },
		{ "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "cn-north-1" },
		{ "123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1" },
		{ "12345678901.dkr.ecr.eu-central-1.amazonaws.com", NULL },
		{ "a23456789012.dkr.ecr.eu-central-1.amazonaws.com", NULL },
		{ "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example", NULL },
		{ "123456789012.dkr.ecr.x.evil.amazonaws.com", NULL },
		{ "123456789012.dkr.ecr..amazonaws.com", NULL },
		{ "public.ecr.aws", NULL },
		{ "docker.io", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char region[AWS_REGION_MAX];

		if (aws_ecr_domain(cases[i].domain, region) != !!cases[i].region)
			fail_msg("%s", cases[i].domain);
		if (cases[i].region)
			assert_string_equal(region, cases[i].region);
	}
}

#define ECR_STEP(st, b)                                                                \
	{                                                                              \
		.method = "POST", .url = "https://api.ecr.eu-west-1.amazonaws.com/",   \
		.authorization = SIGNED("AKENV"), .request_body = "{}",                \
		.sends = "X-Amz-Target: "                                              \
			 "AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken", \
		.status = st, .body = S(b)                                             \
	}

void test_aws__ecr_login(void **state)
{
	/* base64 of "AWS:pass:word", valid for twelve hours, and of "AWS:next" */
	static const struct fake_step steps[STEPS_MAX] = {
		ECR_STEP(200, "{\"authorizationData\":[{\"authorizationToken\":"
		              "\"QVdTOnBhc3M6d29yZA==\",\"expiresAt\":1440981360.5}]}"),
		ECR_STEP(200, "{\"authorizationData\":[{\"authorizationToken\":"
		              "\"QVdTOm5leHQ=\",\"expiresAt\":1.5e9}]}"),
	};
	static const char domain[] = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
	const char *const wants[] = { "pass:word", "pass:word", "next" };
	struct cairn_err err;
	struct world w;

	(void)state;
	begin(&w, keys_env, steps);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		cleanup_free char *password = NULL;

		if (i == 2)
			the_time += (12 * 3600 - 800) * CLOCK_SEC;
		assert_ok(aws_ecr_login(w.aws, domain, NULL, &password, &err));
		assert_string_equal(password, wants[i]);
	}
	end(&w, steps);
}

/* Who asks for FIPS gets its token from there. */
void test_aws__ecr_fips(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		{ .method = "POST",
		  .url = "https://ecr-fips.us-gov-west-1.amazonaws.com/",
		  .authorization = SIGNED("AKENV"),
		  .status = 200,
		  .body = S("{\"authorizationData\":[{\"authorizationToken\":\"QVdTOm5leHQ=\","
		            "\"expiresAt\":1.5e9}]}") },
	};
	cleanup_free char *password = NULL;
	struct cairn_err err;
	struct world w;

	(void)state;
	begin(&w, keys_env, steps);
	assert_ok(aws_ecr_login(w.aws, "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
	                        NULL, &password, &err));
	assert_string_equal(password, "next");
	end(&w, steps);
}

void test_aws__ecr_answers_that_make_no_sense(void **state)
{
	static const struct {
		struct fake_step steps[STEPS_MAX];
		int code;
	} cases[] = {
		{ { ECR_STEP(200, "[]") }, CAIRN_E_SYNTAX },
		{ { ECR_STEP(200, "hush") }, CAIRN_E_SYNTAX },
		{ { ECR_STEP(200, "{\"authorizationData\":[]}") }, CAIRN_E_SYNTAX },
		{ { ECR_STEP(200, "{\"authorizationData\":[{\"authorizationToken\":\"!!\","
		                  "\"expiresAt\":1}]}") },
		  CAIRN_E_AUTH },
		{ { ECR_STEP(200, "{\"authorizationData\":[{\"authorizationToken\":\"QVdT\","
		                  "\"expiresAt\":1}]}") },
		  CAIRN_E_AUTH },
		{ { ECR_STEP(200, "{\"authorizationData\":[{\"authorizationToken\":\"QVdTOng=\","
		                  "\"expiresAt\":1e300}]}") },
		  CAIRN_E_SYNTAX },
		{ { ECR_STEP(400,
		             "{\"__type\":\"AccessDeniedException\",\"Message\":\"User: x\"}") },
		  CAIRN_E_AUTH },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *password = NULL;
		struct cairn_err err;
		struct world w;

		begin(&w, keys_env, cases[i].steps);
		assert_fails(aws_ecr_login(w.aws, "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
		                           NULL, &password, &err),
		             cases[i].code);
		assert_null(strstr(err.msg, "hush"));
		assert_non_null(strstr(err.msg, "token for 123456789012.dkr.ecr"));
		end(&w, cases[i].steps);
	}
}

/* --- notices -------------------------------------------------------------------------------------
 */

#define ACTION    IMDS "/meta-data/spot/instance-action"
#define REBALANCE IMDS "/meta-data/events/recommendations/rebalance"

void test_aws__notice(void **state)
{
	static const struct {
		struct fake_step steps[STEPS_MAX];
		int code;
		enum aws_notice want;
	} cases[] = {
		{ { IMDS_TOKEN_STEP, IMDS_STEP(ACTION, 404, S("")),
		    IMDS_STEP(REBALANCE, 404, S("")) },
		  0,
		  AWS_NOTICE_NONE },
		{ { IMDS_TOKEN_STEP, IMDS_STEP(ACTION, 200, S("{\"action\":\"stop\"}")) },
		  0,
		  AWS_NOTICE_STOP },
		{ { IMDS_TOKEN_STEP, IMDS_STEP(ACTION, 404, S("")),
		    IMDS_STEP(REBALANCE, 200, S("{\"noticeTime\":\"x\"}")) },
		  0,
		  AWS_NOTICE_REBALANCE },
		/* a token that the instance has forgotten */
		{ { IMDS_TOKEN_STEP, IMDS_STEP(ACTION, 401, S("")), IMDS_TOKEN_STEP,
		    IMDS_STEP(ACTION, 200, S("{}")) },
		  0,
		  AWS_NOTICE_STOP },
		{ { NO_IMDS }, CAIRN_E_NOT_FOUND, 0 },
		{ { IMDS_TOKEN_STEP, { .method = "GET", .url = ACTION, .status = 400 } },
		  CAIRN_E_TRANSIENT,
		  0 },
	};
	static const char *const env[ENV_MAX] = { NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		enum aws_notice got = AWS_NOTICE_NONE;
		struct cairn_err err;
		struct world w;

		begin(&w, env, cases[i].steps);
		assert_fails(aws_notice(w.aws, &got, &err), cases[i].code);
		assert_int_equal(got, cases[i].want);
		if (cases[i].code == CAIRN_E_NOT_FOUND) /* at once, without a question */
			assert_fails(aws_notice(w.aws, &got, &err), CAIRN_E_NOT_FOUND);
		end(&w, cases[i].steps);
	}
}
