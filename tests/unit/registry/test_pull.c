/* Login, manifests and blobs, over a scripted network. */
#include "harness.h"

#include "net/fake_transport.h"
#include "registry/registry.h"

#define HUB "https://registry-1.docker.io"
#define TOKEN \
	"https://auth.docker.io/token?service=registry.docker.io&scope=repository%3Alibrary%2Fx%3Apull"
#define CHALLENGE                                                                             \
	"WWW-Authenticate: Bearer realm=\"https://auth.docker.io/token\",service=\"registry." \
	"docker.io\",scope=\"repository:library/x:pull\""
#define ERROR_BODY "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"no such tag\"}]}"

/* A scripted network, a registry over it, and a place for results. */
struct world {
	struct http_client *http;
	struct registry *registry;
	struct reference ref;
	struct strbuf out;
	char *type;
};

static void world_done(struct world *w)
{
	registry_free(w->registry);
	http_client_free(w->http);
	strbuf_done(&w->out);
	free(w->type);
}
#define cleanup_world __attribute__((cleanup(world_done)))

static void world_init(struct world *w, const char *ref, const struct fake_step *steps, size_t n)
{
	struct registry_opts o = { 0 };
	struct cairn_err err;

	memset(w, 0, sizeof(*w));
	o.http = w->http = fake_client_new(steps, n);
	o.docker_config = harness_dir();
	w->registry = registry_new(&o);
	strbuf_init(&w->out, MANIFEST_MAX);
	assert_ok(reference_parse(str_of(ref), &w->ref, &err));
}

static int get_manifest(struct world *w, struct cairn_err *err)
{
	return registry_manifest_get(w->registry, &w->ref, &w->out, &w->type, err);
}

#define WORLD(w, ref, steps)          \
	struct world w cleanup_world; \
	world_init(&w, ref, steps, ARRAY_SIZE(steps))
#define GET(u, auth, st, h, b)                                                                \
	{                                                                                     \
		.method = "GET", .url = u, .authorization = auth, .status = st, .headers = h, \
		.body = S(b)                                                                  \
	}

void test_pull__token_is_fetched_once(void **state)
{
	static const struct fake_step steps[] = {
		GET(HUB "/v2/library/x/manifests/latest", NULL, 401, CHALLENGE, "{}"),
		GET(TOKEN, NULL, 200, NULL, "{\"token\":\"T\",\"expires_in\":300}"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 200, "Content-Type: text/x",
		    "m"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 200, NULL, "m"),
	};
	struct cairn_err err;
	WORLD(w, "x", steps);

	(void)state;
	assert_ok(get_manifest(&w, &err));
	assert_string_equal(w.type, "text/x");
	free(steal_ptr(&w.type));
	assert_ok(get_manifest(&w, &err));
	assert_str(strbuf_view(&w.out), "mm");
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

void test_pull__token_with_password(void **state)
{
	static const struct fake_step steps[] = {
		GET(HUB "/v2/library/x/manifests/latest", NULL, 401, CHALLENGE, "{}"),
		GET(TOKEN, "Basic dXNlcjpwYXNz", 200, NULL, "{\"access_token\":\"T\"}"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 200, NULL, "m"),
	};
	struct cairn_err err;
	WORLD(w, "x", steps);

	(void)state;
	harness_write(
		"config.json",
		S("{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"}}}"));
	assert_ok(get_manifest(&w, &err));
}

void test_pull__token_with_refresh_token(void **state)
{
	static const struct fake_step steps[] = {
		GET(HUB "/v2/library/x/manifests/latest", NULL, 401, CHALLENGE, "{}"),
		{ .method = "POST",
		  .url = "https://auth.docker.io/token",
		  .status = 200,
		  .request_body =
		          "service=registry.docker.io&scope=repository%3Alibrary%2Fx%3Apull&"
		          "grant_type=refresh_token&client_id=cairn&refresh_token=R%2F",
		  .body = S("{\"access_token\":\"T\"}") },
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 200, NULL, "m"),
	};
	struct cairn_err err;
	WORLD(w, "x", steps);

	(void)state;
	harness_write("config.json", S("{\"auths\":{\"docker.io\":{\"identitytoken\":\"R/\"}}}"));
	assert_ok(get_manifest(&w, &err));
}

void test_pull__expired_token_is_renewed(void **state)
{
	static const struct fake_step steps[] = {
		GET(HUB "/v2/library/x/manifests/latest", NULL, 401, CHALLENGE, "{}"),
		GET(TOKEN, NULL, 200, NULL, "{\"token\":\"T\",\"expires_in\":300}"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 200, NULL, "m"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer T", 401, CHALLENGE, "{}"),
		GET(TOKEN, NULL, 200, NULL, "{\"token\":\"U\",\"expires_in\":300}"),
		GET(HUB "/v2/library/x/manifests/latest", "Bearer U", 200, NULL, "m"),
	};
	struct cairn_err err;
	WORLD(w, "x", steps);

	(void)state;
	assert_ok(get_manifest(&w, &err));
	free(steal_ptr(&w.type));
	assert_ok(get_manifest(&w, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

void test_pull__basic(void **state)
{
	static const struct fake_step steps[] = {
		GET("https://reg.example/v2/a/manifests/1", NULL, 401,
		    "WWW-Authenticate: Basic realm=\"r\"", "{}"),
		GET("https://reg.example/v2/a/manifests/1", "Basic dXNlcjpwYXNz", 200, NULL, "m"),
		GET("https://reg.example/v2/a/manifests/1", "Basic dXNlcjpwYXNz", 200, NULL, "m"),
	};
	struct cairn_err err;
	WORLD(w, "reg.example/a:1", steps);

	(void)state;
	harness_write("config.json",
	              S("{\"auths\":{\"reg.example\":{\"auth\":\"dXNlcjpwYXNz\"}}}"));
	assert_ok(get_manifest(&w, &err));
	free(steal_ptr(&w.type));
	assert_ok(get_manifest(&w, &err)); /* sent at once */
}

/* What a registry can answer, and what the user reads. */
void test_pull__errors(void **state)
{
	static const struct {
		struct fake_step steps[4];
		size_t n;
		int code;
		const char *message;
	} cases[] = {
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 404, NULL, ERROR_BODY) },
		  1,
		  CAIRN_E_NOT_FOUND,
		  "localhost:5/a:1: not found" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 404, NULL, ERROR_BODY) },
		  1,
		  CAIRN_E_NOT_FOUND,
		  "MANIFEST_UNKNOWN no such tag" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 403, NULL, "<html>") },
		  1,
		  CAIRN_E_AUTH,
		  "access denied" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 400, NULL,
		        "{\"errors\":[]}") },
		  1,
		  CAIRN_E_SYNTAX,
		  "answered 400" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 401,
		        "WWW-Authenticate: Basic realm=\"r\"", "") },
		  1,
		  CAIRN_E_AUTH,
		  "cairn login" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 401, NULL, "") },
		  1,
		  CAIRN_E_AUTH,
		  "localhost:5 answered 401 and does not say how to log in" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 401,
		        "WWW-Authenticate: Bearer realm=\"http://t/\"", ""),
		    GET("http://t/?scope=repository%3Aa%3Apull", NULL, 403, NULL, "") },
		  2,
		  CAIRN_E_AUTH,
		  "does not exist or needs another login" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 401,
		        "WWW-Authenticate: Bearer realm=\"http://t/\"", ""),
		    GET("http://t/?scope=repository%3Aa%3Apull", NULL, 200, NULL,
		        "{\"token\":1}") },
		  2,
		  CAIRN_E_SYNTAX,
		  "sent no token" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 200,
		        "Docker-Content-Digest: sha256:00000000000000000000000000000000"
		        "00000000000000000000000000000001",
		        "m") },
		  1,
		  CAIRN_E_DIGEST,
		  "and calls it" },
		{ { GET("http://localhost:5/v2/a/manifests/1", NULL, 0, NULL, ""),
		    GET("http://localhost:5/v2/a/manifests/1", NULL, 0, NULL, ""),
		    GET("http://localhost:5/v2/a/manifests/1", NULL, 0, NULL, "") },
		  3,
		  CAIRN_E_TRANSIENT,
		  "no connection" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cairn_err err;
		struct world w cleanup_world;

		world_init(&w, "localhost:5/a:1", cases[i].steps, cases[i].n);
		assert_fails(get_manifest(&w, &err), cases[i].code);
		if (!strstr(err.msg, cases[i].message))
			fail_msg("case %zu says '%s'", i, err.msg);
		assert_int_equal(fake_played(), cases[i].n);
	}
}

/* An https registry cannot make us send a password in the clear. */
void test_pull__realm_without_tls(void **state)
{
	static const struct fake_step steps[] = {
		GET("https://reg.example/v2/a/manifests/1", NULL, 401,
		    "WWW-Authenticate: Bearer realm=\"http://evil.example/\"", ""),
	};
	struct cairn_err err;
	WORLD(w, "reg.example/a:1", steps);

	(void)state;
	assert_fails(get_manifest(&w, &err), CAIRN_E_AUTH);
	assert_int_equal(fake_played(), 1);
}

void test_pull__insecure_hosts(void **state)
{
	static const struct {
		const char *ref, *url;
	} cases[] = {
		{ "127.0.0.1:80/a:1", "http://127.0.0.1:80/v2/a/manifests/1" },
		{ "[::1]:80/a:1", "http://[::1]:80/v2/a/manifests/1" },
		{ "localhost/a:1", "http://localhost/v2/a/manifests/1" },
		{ "plain.example/a:1", "http://plain.example/v2/a/manifests/1" },
		{ "localhost:1/a:1", "https://localhost:1/v2/a/manifests/1" },
		{ "localhost.evil.example/a:1", "https://localhost.evil.example/v2/a/manifests/1" },
		{ "127.0.0.1.evil/a:1", "https://127.0.0.1.evil/v2/a/manifests/1" },
	};
	static const struct registry_host_settings hosts[] = {
		{ .host = "plain.example", .plain_http = true },
		{ .host = "localhost:1", .skip_verify = true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_step steps[] = { GET(cases[i].url, NULL, 200, NULL, "m") };
		struct cairn_err err;
		struct world w cleanup_world;
		struct registry_opts o = { .hosts = hosts, .n_hosts = ARRAY_SIZE(hosts) };

		world_init(&w, cases[i].ref, steps, 1);
		registry_free(w.registry);
		o.http = w.http;
		w.registry = registry_new(&o);
		assert_ok(get_manifest(&w, &err));
	}
}

void test_pull__head(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "HEAD",
		  .url = "http://localhost/v2/a/manifests/1",
		  .status = 200,
		  .headers = "Content-Type: " MEDIA_OCI_INDEX "\nDocker-Content-Digest: sha256:"
		             "0000000000000000000000000000000000000000000000000000000000000001" },
	};
	const struct media_type *type;
	struct cairn_err err;
	struct digest d;
	WORLD(w, "localhost/a:1", steps);

	(void)state;
	assert_ok(registry_head(w.registry, &w.ref, &d, &type, &err));
	assert_int_equal(type->kind, MEDIA_INDEX);
	assert_int_equal(d.b[31], 1);
}

/* A blob of 20 bytes, "0123456789abcdefghij", on unreliable ways. */
#define BLOB     "0123456789abcdefghij"
#define BLOB_LEN (sizeof(BLOB) - 1)

struct blob_case {
	struct fake_step steps[4]; /* url and method are filled in */
	size_t n;
	int code;
	const char *message;
};

static int blob_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

static void blob_progress(void *ctx, uint64_t done, uint64_t total)
{
	const struct strbuf *b = ctx;

	assert_int_equal(done, b->len);
	assert_int_equal(total, BLOB_LEN);
}

static void play_blob(const struct blob_case *c, size_t number)
{
	struct descriptor d = { .size = BLOB_LEN, .digest = digest_of(BLOB, BLOB_LEN) };
	cleanup_free char *url =
		xasprintf("http://localhost/v2/a/blobs/%s", digest_text(&d.digest).s);
	struct fake_step steps[ARRAY_SIZE(c->steps)];
	struct world w cleanup_world;
	struct registry_sink sink = { blob_write, blob_progress, &w.out };
	struct cairn_err err = { .msg = "no error" };
	int rc;

	for (size_t i = 0; i < c->n; i++) {
		steps[i] = c->steps[i];
		steps[i].method = "GET";
		steps[i].url = url;
	}
	world_init(&w, "localhost/a", steps, c->n);
	rc = registry_blob_get(w.registry, &w.ref, &d, &sink, &err);
	if (rc != c->code || fake_played() != c->n || (c->message && !strstr(err.msg, c->message)))
		fail_msg("case %zu: %d after %zu requests, '%s'", number, rc, fake_played(),
		         err.msg);
	if (rc == 0)
		assert_str(strbuf_view(&w.out), BLOB);
}

void test_pull__blob(void **state)
{
	static const struct blob_case cases[] = {
		/* in one go */
		{ { { .status = 200, .body = S(BLOB) } }, 1, 0, NULL },
		/* broken twice, resumed twice */
		{ { { .status = 200, .body = S("01234567"), .cut = true },
		    { .status = 206,
		      .range = "bytes=8-",
		      .headers = "Content-Range: bytes 8-19/20",
		      .body = S("89a"),
		      .cut = true },
		    { .status = 206,
		      .range = "bytes=11-",
		      .headers = "Content-Range: bytes 11-19/20",
		      .body = S("bcdefghij") } },
		  3,
		  0,
		  NULL },
		/* a server without Range: what is there is skipped */
		{ { { .status = 200, .body = S("0123456789"), .cut = true },
		    { .status = 200, .range = "bytes=10-", .body = S(BLOB) } },
		  2,
		  0,
		  NULL },
		/* a server that begins earlier than asked */
		{ { { .status = 200, .body = S("0123456789"), .cut = true },
		    { .status = 206,
		      .range = "bytes=10-",
		      .headers = "Content-Range: bytes 8-19/20",
		      .body = S("89abcdefghij") } },
		  2,
		  0,
		  NULL },
		/* later than asked: a hole */
		{ { { .status = 200, .body = S("0123456789"), .cut = true },
		    { .status = 206,
		      .range = "bytes=10-",
		      .headers = "Content-Range: bytes 12-19/20",
		      .body = S("cdefghij") } },
		  2,
		  CAIRN_E_SYNTAX,
		  "another range" },
		{ { { .status = 200, .body = S("0123456789"), .cut = true },
		    { .status = 206, .range = "bytes=10-", .body = S("abcdefghij") } },
		  2,
		  CAIRN_E_SYNTAX,
		  "another range" },
		/* other bytes, fewer bytes, more bytes */
		{ { { .status = 200, .body = S("0123456789abcdefghiX") } },
		  1,
		  CAIRN_E_DIGEST,
		  "digest" },
		{ { { .status = 200, .body = S("0123456789") },
		    { .status = 206,
		      .range = "bytes=10-",
		      .headers = "Content-Range: bytes 10-9/10" } },
		  2,
		  CAIRN_E_DIGEST,
		  "only 10 of 20" },
		{ { { .status = 200, .body = S(BLOB "k") } }, 1, CAIRN_E_DIGEST, "more than" },
		{ { { .status = 404, .body = S("{}") } }, 1, CAIRN_E_NOT_FOUND, "not found" },
		/* busy for a moment, then there */
		{ { { .status = 503 }, { .status = 200, .body = S(BLOB) } }, 2, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		play_blob(&cases[i], i);
}

static int full_disk(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)ctx;
	(void)p;
	(void)n;
	return cairn_fail(err, CAIRN_E_SYSTEM, "no space left");
}

/* The sink's own failure is what the caller sees, at once. */
void test_pull__blob_sink_fails(void **state)
{
	struct descriptor d = { .size = BLOB_LEN, .digest = digest_of(BLOB, BLOB_LEN) };
	cleanup_free char *url =
		xasprintf("http://localhost/v2/a/blobs/%s", digest_text(&d.digest).s);
	struct fake_step steps[] = { GET(url, NULL, 200, NULL, BLOB) };
	struct registry_sink sink = { .write = full_disk };
	struct cairn_err err;
	WORLD(w, "localhost/a", steps);

	(void)state;
	assert_fails(registry_blob_get(w.registry, &w.ref, &d, &sink, &err), CAIRN_E_SYSTEM);
	assert_non_null(strstr(err.msg, "no space left"));
}

/* Index -> manifest -> config, for one platform. */
void test_pull__resolve(void **state)
{
	static const char diff[] =
		"sha256:1111111111111111111111111111111111111111111111111111111111111111";
	cleanup_free char *config =
		xasprintf("{\"architecture\":\"arm64\",\"os\":\"linux\",\"rootfs\":"
	                  "{\"type\":\"layers\",\"diff_ids\":[\"%s\"]}}",
	                  diff);
	struct digest config_digest = digest_of(config, strlen(config));
	cleanup_free char *manifest = xasprintf(
		"{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu},"
		"\"layers\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":3}]}",
		MEDIA_DOCKER_CONFIG, digest_text(&config_digest).s, strlen(config),
		MEDIA_DOCKER_LAYER, diff);
	struct digest manifest_digest = digest_of(manifest, strlen(manifest));
	cleanup_free char *index = xasprintf(
		"{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu,"
		"\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\"}}]}",
		MEDIA_DOCKER_MANIFEST, digest_text(&manifest_digest).s, strlen(manifest));
	cleanup_free char *manifest_url =
		xasprintf("http://localhost/v2/a/manifests/%s", digest_text(&manifest_digest).s);
	cleanup_free char *config_url =
		xasprintf("http://localhost/v2/a/blobs/%s", digest_text(&config_digest).s);
	struct fake_step steps[] = {
		GET("http://localhost/v2/a/manifests/1", NULL, 200,
		    "Content-Type: " MEDIA_DOCKER_LIST, ""),
		GET(manifest_url, NULL, 200, "Content-Type: " MEDIA_DOCKER_MANIFEST, ""),
		GET(config_url, NULL, 200, NULL, ""),
		GET("http://localhost/v2/a/manifests/1", NULL, 200,
		    "Content-Type: " MEDIA_DOCKER_LIST, ""),
	};
	struct digest index_digest = digest_of(index, strlen(index));
	cleanup_registry_image struct registry_image *i = NULL;
	struct platform arm, riscv;
	struct cairn_err err;
	WORLD(w, "localhost/a:1", steps);

	(void)state;
	steps[0].body = steps[3].body = str_of(index);
	steps[1].body = str_of(manifest);
	steps[2].body = str_of(config);
	assert_ok(platform_parse(S("linux/arm64"), &arm, &err));
	assert_ok(platform_parse(S("linux/riscv64"), &riscv, &err));
	assert_ok(registry_resolve(w.registry, &w.ref, &arm, &i, &err));
	assert_true(digest_eq(&i->top_digest, &index_digest));
	assert_true(digest_eq(&i->manifest_digest, &manifest_digest));
	assert_str(i->manifest_bytes, manifest);
	assert_str(i->manifest_type, MEDIA_DOCKER_MANIFEST);
	assert_str(i->config_bytes, config);
	assert_int_equal(i->config.n_diff_ids, 1);
	registry_image_free(steal_ptr(&i));
	assert_fails(registry_resolve(w.registry, &w.ref, &riscv, &i, &err), CAIRN_E_NOT_FOUND);
	assert_string_equal(err.msg,
	                    "image localhost/a:1: there is no image for linux/riscv64; there "
	                    "are images for: linux/arm64");
}
