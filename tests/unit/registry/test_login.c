/* ECR's registries: tokens of AWS where Docker's config.json has no login. */
#include "harness.h"

#include "net/fake_transport.h"
#include "registry/registry.h"
#include "util/clock.h"

#define DOMAIN    "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
#define MANIFEST  "https://" DOMAIN "/v2/a/manifests/1"
#define CHALLENGE "WWW-Authenticate: Basic realm=\"https://" DOMAIN "/\""
#define ECR       "https://api.ecr.eu-west-1.amazonaws.com/"
#define ONE       "Basic QVdTOm9uZQ==" /* AWS:one */
#define TWO       "Basic QVdTOnR3bw==" /* AWS:two */
#define START     (1700000000 * CLOCK_SEC)
#define HALF_DAY  (12 * 3600 * CLOCK_SEC)

static int64_t the_time;

static int64_t the_clock(void)
{
	return the_time;
}

#define GET(auth, st, h)                                                               \
	{                                                                              \
		.method = "GET", .url = MANIFEST, .authorization = auth, .status = st, \
		.headers = h, .body = S("m")                                           \
	}
#define TOKEN(value, expires)                                                                      \
	{                                                                                          \
		.method = "POST", .url = ECR, .authorization = "AWS4-HMAC-SHA256*", .status = 200, \
		.body = S("{\"authorizationData\":[{\"authorizationToken\":\"" value               \
		          "\",\"expiresAt\":" expires "}]}")                                       \
	}

struct world {
	struct http_client *http;
	struct aws *aws;
	struct registry *registry;
	struct reference ref;
};

static void world_init(struct world *w, const struct fake_step *steps, size_t n)
{
	static char id[] = "AWS_ACCESS_KEY_ID=AK", key[] = "AWS_SECRET_ACCESS_KEY=hush",
		    region[] = "AWS_REGION=eu-west-1";
	static char *env[] = { id, key, region, NULL };
	struct aws_opts ao = { .envp = env, .now = the_clock };
	struct registry_opts o = { .docker_config = harness_dir() };
	struct cairn_err err;

	the_time = START;
	o.http = ao.http = w->http = fake_client_new(steps, n);
	o.aws = w->aws = aws_new(&ao);
	w->registry = registry_new(&o);
	assert_ok(reference_parse(S(DOMAIN "/a:1"), &w->ref, &err));
}

static void world_done(struct world *w)
{
	registry_free(w->registry);
	aws_free(w->aws);
	http_client_free(w->http);
}
#define cleanup_world __attribute__((cleanup(world_done)))

static int get(struct world *w, struct cairn_err *err)
{
	struct strbuf out cleanup_strbuf;
	cleanup_free char *type = NULL;

	strbuf_init(&out, MANIFEST_MAX);
	return registry_manifest_get(w->registry, &w->ref, &out, &type, err);
}

void test_login__ecr_token_is_made_and_renewed(void **state)
{
	static const struct fake_step steps[] = {
		GET(NULL, 401, CHALLENGE), TOKEN("QVdTOm9uZQ==", "1700043200"), GET(ONE, 200, NULL),
		GET(ONE, 200, NULL), /* known now */
		GET(ONE, 401, CHALLENGE),  TOKEN("QVdTOnR3bw==", "1700086400"), GET(TWO, 200, NULL),
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, steps, ARRAY_SIZE(steps));
	assert_ok(get(&w, &err));
	assert_ok(get(&w, &err));
	the_time += HALF_DAY;
	assert_ok(get(&w, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

#define EXPIRED                                                                                  \
	"{\"errors\":[{\"code\":\"DENIED\",\"message\":\"Your authorization token has expired. " \
	"Reauthenticate and try again.\"}]}"

/* One that has worked and is refused before its time. */
void test_login__ecr_token_that_ends_early(void **state)
{
	static const struct fake_step steps[] = {
		GET(NULL, 401, CHALLENGE),
		TOKEN("QVdTOm9uZQ==", "1700043200"),
		GET(ONE, 200, NULL),
		GET(ONE, 401, CHALLENGE),
		TOKEN("QVdTOnR3bw==", "1700043200"),
		GET(TWO, 200, NULL),
		{ .method = "GET",
		  .url = MANIFEST,
		  .authorization = TWO,
		  .status = 403,
		  .body = S(EXPIRED) },
		TOKEN("QVdTOm9uZQ==", "1700043200"),
		GET(ONE, 200, NULL),
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, steps, ARRAY_SIZE(steps));
	for (int i = 0; i < 3; i++)
		assert_ok(get(&w, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

/* A fresh token that is refused is refused: no endless asking. */
void test_login__ecr_refuses(void **state)
{
	static const struct fake_step steps[] = {
		GET(NULL, 401, CHALLENGE),
		TOKEN("QVdTOm9uZQ==", "1700043200"),
		GET(ONE, 401, CHALLENGE),
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, steps, ARRAY_SIZE(steps));
	assert_fails(get(&w, &err), CAIRN_E_AUTH);
	assert_non_null(strstr(err.msg, "AWS credentials"));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

/* A login in config.json goes first. */
void test_login__ecr_with_a_login_of_its_own(void **state)
{
	static const struct fake_step steps[] = {
		GET(NULL, 401, CHALLENGE),
		GET(TWO, 200, NULL),
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	harness_write("config.json", S("{\"auths\":{\"" DOMAIN "\":{\"auth\":\"QVdTOnR3bw==\"}}}"));
	world_init(&w, steps, ARRAY_SIZE(steps));
	assert_ok(get(&w, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

/* The address of the token server is remembered: the next scope costs no 401. */
void test_login__the_realm_is_remembered(void **state)
{
#define BEARER "WWW-Authenticate: Bearer realm=\"https://t.example/t\",service=\"s\""
#define AT(repo, auth, st, h)                                                        \
	{                                                                            \
		.method = "GET", .url = "https://r.example/v2/" repo "/manifests/1", \
		.authorization = auth, .status = st, .headers = h, .body = S("m")    \
	}
#define SCOPE(repo, t)                                                                    \
	{                                                                                 \
		.method = "GET", .status = 200,                                           \
		.body = S("{\"token\":\"" t "\",\"expires_in\":300}"),                    \
		.url = "https://t.example/t?service=s&scope=repository%3A" repo "%3Apull" \
	}
	static const struct fake_step steps[] = {
		AT("a", NULL, 401, BEARER),     SCOPE("a", "T"),
		AT("a", "Bearer T", 200, NULL), SCOPE("b", "U"),
		AT("b", "Bearer U", 200, NULL),
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, steps, ARRAY_SIZE(steps));
	assert_ok(reference_parse(S("r.example/a:1"), &w.ref, &err));
	assert_ok(get(&w, &err));
	assert_ok(reference_parse(S("r.example/b:1"), &w.ref, &err));
	assert_ok(get(&w, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

/* What the user has just typed is tried, not what config.json says. */
void test_login__check(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "GET",
		  .url = "https://r.example/v2/",
		  .status = 401,
		  .headers = "WWW-Authenticate: Basic realm=r" },
		{ .method = "GET",
		  .url = "https://r.example/v2/",
		  .authorization = "Basic bWU6c2VjcmV0",
		  .status = 200 },
		{ .method = "GET",
		  .url = "https://r.example/v2/",
		  .authorization = "Basic bWU6d3Jvbmc=",
		  .status = 401,
		  .headers = "WWW-Authenticate: Basic realm=r" },
	};
	struct credentials good = { CREDENTIALS_BASIC, (char[]){ "me" }, (char[]){ "secret" } };
	struct credentials bad = { CREDENTIALS_BASIC, (char[]){ "me" }, (char[]){ "wrong" } };
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	harness_write("config.json", S("{\"auths\":{\"r.example\":{\"auth\":\"YTpi\"}}}"));
	world_init(&w, steps, ARRAY_SIZE(steps));
	assert_ok(registry_check_login(w.registry, "r.example", &good, &err));
	assert_fails(registry_check_login(w.registry, "r.example", &bad, &err), CAIRN_E_AUTH);
	assert_null(strstr(err.msg, "wrong"));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}
