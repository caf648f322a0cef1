/* What AWS, or somebody in its place, answers; and files that users write. The first byte says
 * which. */
#include <unistd.h>

#include "net/aws_error.h"
#include "net/aws_profile.h"
#include "net/aws_sign.h"
#include "net/net.h"

/* Every answer is the same one. */
struct echo {
	struct http_transport base;
	str body;
};

static int exchange(struct http_transport *t, const struct http_request *req,
                    struct http_response *r, struct cairn_err *err)
{
	(void)req;
	(void)err;
	r->status = 200;
	strbuf_str(&r->body, ((struct echo *)t)->body);
	return 0;
}

static void no_free(struct http_transport *t)
{
	(void)t;
}

static int look(void *ctx, const struct s3_object *o, struct cairn_err *err)
{
	(void)err;
	if (strlen(o->key) > S3_KEY_MAX || !o->key[0])
		CAIRN_BUG("a key of %zu bytes", strlen(o->key));
	(*(size_t *)ctx)++;
	return 0;
}

static char *const env[] = { (char[]){ "AWS_ACCESS_KEY_ID=AK" },
	                     (char[]){ "AWS_SECRET_ACCESS_KEY=hush" },
	                     (char[]){ "AWS_REGION=us-east-1" }, NULL };

static void list(str body)
{
	struct echo echo = { { exchange, no_free }, body };
	struct http_opts ho = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *http = NULL;
	cleanup_aws struct aws *aws = NULL;
	cleanup_s3 struct s3_client *s3 = NULL;
	struct s3_opts so = { .bucket = "bucket" };
	struct aws_opts ao = { .envp = env };
	struct cairn_err err;
	size_t n = 0;

	ho.transport = &echo.base;
	http = ao.http = so.http = http_client_new(&ho);
	aws = so.aws = aws_new(&ao);
	if (s3_new(&so, &s3, &err) < 0)
		CAIRN_BUG("%s", err.msg);
	(void)s3_list(s3, "", look, &n, &err);
}

static void error(str body)
{
	struct http_response r cleanup_http_response;
	struct aws_error e;

	http_response_init(&r);
	strbuf_init(&r.body, body.len + 1);
	strbuf_str(&r.body, body);
	r.status = 400;
	aws_error_read(&r, &e);
	for (const char *p = e.message; *p; p++)
		if (*p < ' ' || *p > '~')
			CAIRN_BUG("a message with byte %d", *p);
	if (e.region[0] && !aws_region_valid(str_of(e.region)))
		CAIRN_BUG("region %s", e.region);
}

static void profiles(str text)
{
	struct aws_profiles p cleanup_aws_profiles = { 0 };

	aws_profiles_add(&p, text, true);
	aws_profiles_add(&p, text, false);
	(void)aws_profiles_get(&p, "default", "region");
}

static void credentials(str text)
{
	struct aws_creds c cleanup_aws_creds = { 0 };
	struct cairn_err err;

	if (aws_creds_json(&c, text, "Token", "fuzz", &err) == 0 && (!c.id[0] || !c.secret[0]))
		CAIRN_BUG("credentials without a key");
}

static void canonical(str url)
{
	struct strbuf out cleanup_strbuf;
	str path, query;

	strbuf_init(&out, 1u << 20);
	(void)str_cut(url, '?', &path, &query);
	aws_canonical_path(&out, path, true);
	aws_canonical_path(&out, path, false);
	aws_canonical_query(&out, query);
}

static void (*const targets[])(str) = { profiles, error, credentials, canonical, list };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0)
		targets[data[0] % ARRAY_SIZE(targets)](str_n((const char *)data + 1, size - 1));
	return 0;
}
