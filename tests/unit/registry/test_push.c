/* Uploads, mounts, manifests, tags and copies, over a scripted network. */
#include "harness.h"

#include <fcntl.h>
#include <unistd.h>

#include "net/fake_transport.h"
#include "registry/registry.h"

#define HOST "http://localhost"
#define BLOB "0123456789abcdefghij"

/* A scripted network, and a registry over it. URLs that begin with '/' are of HOST; "@" in a URL
 * is the digest of BLOB, "%" at its end the same escaped. */
struct world {
	struct arena *arena;
	struct fake_step *steps;
	size_t n;
	struct http_client *http;
	struct registry *registry;
	struct reference ref;
	struct descriptor blob;
};

static char *expand(struct world *w, const char *url)
{
	const char *at = strchr(url, '@');
	const char *host = url[0] == '/' ? HOST : "";

	if (!at)
		return arena_printf(w->arena, "%s%s", host, url);
	return arena_printf(w->arena, "%s%.*s%s%s", host, (int)(at - url), url,
	                    digest_text(&w->blob.digest).s, at + 1);
}

static void world_init(struct world *w, const struct registry_opts *opts, const char *ref,
                       const struct fake_step *steps, size_t n)
{
	struct registry_opts o = opts ? *opts : (struct registry_opts){ .piece = 8 };
	struct cairn_err err;

	memset(w, 0, sizeof(*w));
	w->arena = arena_new();
	w->blob = (struct descriptor){ .size = strlen(BLOB),
		                       .digest = digest_of(BLOB, strlen(BLOB)) };
	w->steps = arena_array(w->arena, struct fake_step, n);
	w->n = n;
	for (size_t i = 0; i < n; i++) {
		w->steps[i] = steps[i];
		w->steps[i].url = expand(w, steps[i].url);
		if (steps[i].headers)
			w->steps[i].headers = arena_printf(w->arena, "%s", steps[i].headers);
	}
	o.http = w->http = fake_client_new(w->steps, n);
	o.docker_config = harness_dir();
	w->registry = registry_new(&o);
	assert_ok(reference_parse(str_of(ref), &w->ref, &err));
}

static void world_done(struct world *w)
{
	registry_free(w->registry);
	http_client_free(w->http);
	arena_free(w->arena);
}
#define cleanup_world __attribute__((cleanup(world_done)))

/* --- uploads --------------------------------------------------------------------- */

#define POST(st, h)                                                                         \
	{                                                                                   \
		.method = "POST", .url = "/v2/a/blobs/uploads/", .status = st, .headers = h \
	}
#define OPENED POST(202, "Location: /u?s=0")
#define HEAD(st)                                                       \
	{                                                              \
		.method = "HEAD", .url = "/v2/a/blobs/@", .status = st \
	}
#define PATCH(u, cr, b, st, h)                                                                 \
	{                                                                                      \
		.method = "PATCH", .url = u, .sends = "Content-Range: " cr, .request_body = b, \
		.status = st, .headers = h                                                     \
	}
#define BROKEN(m, u)                                              \
	{                                                         \
		.method = m, .url = u, .status = 202, .cut = true \
	}
#define ASK(u, st, h)                                                 \
	{                                                             \
		.method = "GET", .url = u, .status = st, .headers = h \
	}
#define PUT(u, b, st)                                                      \
	{                                                                  \
		.method = "PUT", .url = u, .request_body = b, .status = st \
	}
#define ERROR(c) .body = S("{\"errors\":[{\"code\":\"" c "\",\"message\":\"m\"}]}")

struct upload_case {
	const char *name;
	uint64_t piece;
	struct fake_step steps[16];
	int code;
	const char *message;
};

static const struct upload_case uploads[] = {
	{ "few bytes: POST and PUT", 64, { OPENED, PUT("/u?s=0&digest=%", BLOB, 201) }, 0, NULL },
	{ "pieces, each answer tells where the next goes",
	  8,
	  { OPENED, PATCH("/u?s=0", "0-7", "01234567", 202, "Location: /u?s=1\nRange: 0-7"),
	    PATCH("/u?s=1", "8-15", "89abcdef", 202, "Location: http://localhost/u?s=2"),
	    PATCH("/u?s=2", "16-19", "ghij", 202, "Location: /u\nRange: bytes=0-19"),
	    PUT("/u?digest=%", "", 201) },
	  0,
	  NULL },
	{ "the registry asks for larger pieces",
	  8,
	  { POST(202, "Location: /u?s=0\nOCI-Chunk-Min-Length: 16"),
	    PATCH("/u?s=0", "0-15", "0123456789abcdef", 202, NULL),
	    PATCH("/u?s=0", "16-19", "ghij", 202, NULL), PUT("/u?s=0&digest=%", "", 201) },
	  0,
	  NULL },
	{ "a part of a piece arrived before the connection broke",
	  8,
	  { OPENED, BROKEN("PATCH", "/u?s=0"), ASK("/u?s=0", 204, "Range: 0-3\nLocation: /u?s=4"),
	    PATCH("/u?s=4", "4-11", "456789ab", 202, NULL),
	    PATCH("/u?s=4", "12-19", "cdefghij", 202, NULL), PUT("/u?s=4&digest=%", "", 201) },
	  0,
	  NULL },
	{ "nothing of a piece arrived",
	  12,
	  { OPENED, BROKEN("PATCH", "/u?s=0"), ASK("/u?s=0", 204, "Range: 0-0"),
	    PATCH("/u?s=0", "0-11", "0123456789ab", 202, NULL),
	    PATCH("/u?s=0", "12-19", "cdefghij", 202, NULL), PUT("/u?s=0&digest=%", "", 201) },
	  0,
	  NULL },
	{ "416: ask, go on",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 416, NULL), ASK("/u?s=0", 204, "Range: 0-9"),
	    PATCH("/u?s=0", "10-19", "abcdefghij", 202, NULL), PUT("/u?s=0&digest=%", "", 201) },
	  0,
	  NULL },
	{ "overloaded while it is asked, too",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 503, "Retry-After: 0"), ASK("/u?s=0", 503, NULL),
	    ASK("/u?s=0", 204, "Range: 0-11"), PATCH("/u?s=0", "12-19", "cdefghij", 202, NULL),
	    PUT("/u?s=0&digest=%", "", 201) },
	  0,
	  NULL },
	{ "the registry has lost the upload: everything again",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", "0123456789ab", 202, NULL), BROKEN("PATCH", "/u?s=0"),
	    ASK("/u?s=0", 404, NULL), HEAD(404), POST(202, "Location: /v"),
	    PATCH("/v", "0-11", "0123456789ab", 202, NULL),
	    PATCH("/v", "12-19", "cdefghij", 202, NULL), PUT("/v?digest=%", "", 201) },
	  0,
	  NULL },
	{ "a piece is not known any more: everything again",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 404, NULL), HEAD(404), POST(202, "Location: /v"),
	    PATCH("/v", "0-11", NULL, 202, NULL), PATCH("/v", "12-19", NULL, 202, NULL),
	    PUT("/v?digest=%", "", 201) },
	  0,
	  NULL },
	{ "somebody else has sent it meanwhile",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 404, NULL), HEAD(200) },
	  0,
	  NULL },
	{ "the answer of the last request was lost",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 202, NULL),
	    PATCH("/u?s=0", "12-19", NULL, 202, NULL), BROKEN("PUT", "/u?s=0&digest=%"),
	    ASK("/u?s=0", 404, NULL), HEAD(200) },
	  0,
	  NULL },
	{ "the last request did not arrive",
	  12,
	  { OPENED, PATCH("/u?s=0", "0-11", NULL, 202, NULL),
	    PATCH("/u?s=0", "12-19", NULL, 202, NULL), BROKEN("PUT", "/u?s=0&digest=%"),
	    ASK("/u?s=0", 204, "Range: 0-19"), PUT("/u?s=0&digest=%", "", 201) },
	  0,
	  NULL },
	{ "one PUT that broke is not trusted: a new upload",
	  64,
	  { OPENED, BROKEN("PUT", "/u?s=0&digest=%"), HEAD(404), POST(202, "Location: /v"),
	    PUT("/v?digest=%", BLOB, 201) },
	  0,
	  NULL },
	{ "bytes were doubled by a retry on the way: a new upload",
	  12,
	  { OPENED,
	    PATCH("/u?s=0", "0-11", NULL, 503, NULL),
	    ASK("/u?s=0", 204, "Range: 0-11"),
	    PATCH("/u?s=0", "12-19", NULL, 202, NULL),
	    { .method = "PUT", .url = "/u?s=0&digest=%", .status = 400, ERROR("DIGEST_INVALID") },
	    HEAD(404),
	    HEAD(404),
	    POST(202, "Location: /v"),
	    PATCH("/v", "0-11", NULL, 202, NULL),
	    PATCH("/v", "12-19", NULL, 202, NULL),
	    PUT("/v?digest=%", "", 201) },
	  0,
	  NULL },
	{ "other bytes than promised",
	  64,
	  { OPENED,
	    { .method = "PUT", .url = "/u?s=0&digest=%", .status = 400, ERROR("DIGEST_INVALID") } },
	  CAIRN_E_DIGEST,
	  "other bytes arrived" },
	{ "the registry says more has arrived than was sent",
	  8,
	  { OPENED, PATCH("/u?s=0", "0-7", NULL, 202, "Range: 0-99"), HEAD(200) },
	  0,
	  NULL },
	{ "busy at the beginning",
	  64,
	  { POST(429, "Retry-After: 0"), POST(502, NULL), OPENED,
	    PUT("/u?s=0&digest=%", BLOB, 201) },
	  0,
	  NULL },
	{ "uploads go to another host, which gets no login",
	  64,
	  { POST(202, "Location: http://upload.example/x?sig=1"),
	    PUT("http://upload.example/x?sig=1&digest=%", BLOB, 201) },
	  0,
	  NULL },
	{ "no such repository",
	  64,
	  { { .method = "POST",
	      .url = "/v2/a/blobs/uploads/",
	      .status = 404,
	      ERROR("NAME_UNKNOWN") } },
	  CAIRN_E_NOT_FOUND,
	  "no such repository" },
	{ "not allowed",
	  64,
	  { { .method = "POST", .url = "/v2/a/blobs/uploads/", .status = 403, ERROR("DENIED") } },
	  CAIRN_E_AUTH,
	  "cairn login" },
	{ "too large for a proxy",
	  64,
	  { OPENED, PUT("/u?s=0&digest=%", BLOB, 413) },
	  CAIRN_E_SYNTAX,
	  "answered 413" },
	{ "no Location", 64, { POST(202, NULL) }, CAIRN_E_SYNTAX, "without a Location" },
	{ "busy for ever",
	  8,
	  { OPENED, PATCH("/u?s=0", "0-7", NULL, 503, NULL), ASK("/u?s=0", 204, "Range: 0-0"),
	    PATCH("/u?s=0", "0-7", NULL, 429, "Retry-After: 0"), ASK("/u?s=0", 204, "Range: 0-0"),
	    PATCH("/u?s=0", "0-7", NULL, 503, NULL), ASK("/u?s=0", 204, "Range: 0-0"),
	    PATCH("/u?s=0", "0-7", NULL, 503, NULL), ASK("/u?s=0", 204, "Range: 0-0"),
	    PATCH("/u?s=0", "0-7", NULL, 503, NULL) },
	  CAIRN_E_TRANSIENT,
	  "answered 503, 5 times" },
	{ "it never comes back",
	  8,
	  { OPENED, BROKEN("PATCH", "/u?s=0"), ASK("/u?s=0", 204, "Range: 0-0"),
	    BROKEN("PATCH", "/u?s=0"), ASK("/u?s=0", 204, "Range: 0-0"), BROKEN("PATCH", "/u?s=0"),
	    ASK("/u?s=0", 204, "Range: 0-0"), BROKEN("PATCH", "/u?s=0"),
	    ASK("/u?s=0", 204, "Range: 0-0"), BROKEN("PATCH", "/u?s=0") },
	  CAIRN_E_TRANSIENT,
	  "connection broke" },
};

static void note_progress(void *ctx, uint64_t done)
{
	uint64_t *last = ctx;

	assert_true(done > *last);
	*last = done;
}

/* "%" at the end of a URL is the digest of BLOB, escaped. */
static void set_digest(struct world *w, struct fake_step *steps, size_t n)
{
	struct digest d = digest_of(BLOB, strlen(BLOB));

	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(steps[i].url);

		if (len && steps[i].url[len - 1] == '%')
			steps[i].url = arena_printf(w->arena, "%.*ssha256%%3A%s", (int)len - 1,
			                            steps[i].url, digest_hex(&d).s);
	}
}

void test_push__uploads(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(uploads); i++) {
		const struct upload_case *c = &uploads[i];
		struct registry_opts o = { .piece = c->piece };
		struct world w cleanup_world;
		struct cairn_err err;
		uint64_t seen = 0;
		struct registry_source source = {
			.fd = -1, .bytes = S(BLOB), .progress = note_progress, .ctx = &seen
		};
		size_t n = 0;
		int rc;

		while (n < ARRAY_SIZE(c->steps) && c->steps[n].method)
			n++;
		world_init(&w, &o, "localhost/a", c->steps, n);
		set_digest(&w, w.steps, n);
		rc = registry_blob_put(w.registry, &w.ref, &w.blob, &source, &err);
		if (rc != c->code)
			fail_msg("%s: %d, %s", c->name, rc, rc < 0 ? err.msg : "");
		if (rc < 0 && !strstr(err.msg, c->message))
			fail_msg("%s: it says '%s'", c->name, err.msg);
		if (fake_played() != n)
			fail_msg("%s: %zu of %zu requests", c->name, fake_played(), n);
	}
}

/* From a file, of which a part has to be sent again. */
void test_push__upload_from_a_file(void **state)
{
	static const struct fake_step steps[] = {
		OPENED,
		PATCH("/u?s=0", "0-7", "01234567", 202, NULL),
		{ .method = "PATCH",
		  .url = "/u?s=0",
		  .request_body = "89abcdef",
		  .status = 202,
		  .cut = true },
		ASK("/u?s=0", 204, "Range: 0-9"),
		PATCH("/u?s=0", "10-17", "abcdefgh", 202, NULL),
		PATCH("/u?s=0", "18-19", "ij", 202, NULL),
		PUT("/u?s=0&digest=%", "", 201),
	};
	struct registry_source source = { .fd = -1 };
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, NULL, "localhost/a", steps, ARRAY_SIZE(steps));
	set_digest(&w, w.steps, w.n);
	harness_write("blob", S(BLOB));
	source.fd = openat(harness_dirfd(), "blob", O_RDONLY | O_CLOEXEC);
	assert_true(source.fd >= 0);
	assert_ok(registry_blob_put(w.registry, &w.ref, &w.blob, &source, &err));
	close(source.fd);
	assert_int_equal(fake_played(), w.n);
}

/* --- mounts ------------------------------------------------------------------------- */

#define MOUNT_URL "/v2/a/blobs/uploads/?mount=@&from=lib%2Fb"
#define CHALLENGE "WWW-Authenticate: Bearer realm=\"http://localhost/t\",service=\"s\""

static void check_mount(const char *name, const struct fake_step *steps, size_t n, bool want)
{
	struct world w cleanup_world;
	struct cairn_err err;
	bool done = !want;

	world_init(&w, NULL, "localhost/a", steps, n);
	if (registry_blob_mount(w.registry, &w.ref, &w.blob.digest, "lib/b", &done, &err) < 0)
		fail_msg("%s: %s", name, err.msg);
	if (done != want || fake_played() != n)
		fail_msg("%s: %d after %zu requests", name, done, fake_played());
}

void test_push__mounts(void **state)
{
	static const struct fake_step mounted[] = {
		{ .method = "POST", .url = MOUNT_URL, .status = 201 },
	};
	static const struct fake_step opened[] = {
		{ .method = "POST", .url = MOUNT_URL, .status = 202, .headers = "Location: /u" },
	};
	static const struct fake_step refused[] = {
		{ .method = "POST", .url = MOUNT_URL, .status = 405 },
		OPENED,
	};
	/* One token for both repositories; the next request knows where to ask. */
	static const struct fake_step scopes[] = {
		{ .method = "POST", .url = MOUNT_URL, .status = 401, .headers = CHALLENGE },
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Alib%2Fb"
		         "%3Apull",
		  .status = 200,
		  .body = S("{\"token\":\"T\",\"expires_in\":300}") },
		{ .method = "POST", .url = MOUNT_URL, .authorization = "Bearer T", .status = 201 },
	};
	/* No right to read the other one: not mounted, and no failure. */
	static const struct fake_step denied[] = {
		{ .method = "POST", .url = MOUNT_URL, .status = 401, .headers = CHALLENGE },
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush&scope=repository%3Alib%2Fb"
		         "%3Apull",
		  .status = 403 },
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush",
		  .status = 200,
		  .body = S("{\"token\":\"U\",\"expires_in\":300}") },
		{ .method = "POST",
		  .url = "/v2/a/blobs/uploads/",
		  .authorization = "Bearer U",
		  .status = 202,
		  .headers = "Location: /u" },
	};

	(void)state;
	check_mount("201", mounted, ARRAY_SIZE(mounted), true);
	check_mount("202", opened, ARRAY_SIZE(opened), false);
	check_mount("405", refused, ARRAY_SIZE(refused), false);
	check_mount("scopes", scopes, ARRAY_SIZE(scopes), true);
	check_mount("denied", denied, ARRAY_SIZE(denied), false);
}

/* --- logins ------------------------------------------------------------------------- */

/* A token that ends while pieces are sent is renewed, and the piece is sent again. */
void test_push__token_expires_in_the_middle(void **state)
{
	static const struct fake_step steps[] = {
		POST(401, CHALLENGE),
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush",
		  .status = 200,
		  .body = S("{\"token\":\"T\",\"expires_in\":300}") },
		{ .method = "POST",
		  .url = "/v2/a/blobs/uploads/",
		  .authorization = "Bearer T",
		  .status = 202,
		  .headers = "Location: /u" },
		{ .method = "PATCH", .url = "/u", .authorization = "Bearer T", .status = 202 },
		{ .method = "PATCH",
		  .url = "/u",
		  .authorization = "Bearer T",
		  .status = 401,
		  .headers = CHALLENGE },
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush",
		  .status = 200,
		  .body = S("{\"token\":\"U\",\"expires_in\":300}") },
		{ .method = "PATCH",
		  .url = "/u",
		  .authorization = "Bearer U",
		  .sends = "Content-Range: 8-15",
		  .request_body = "89abcdef",
		  .status = 202 },
		{ .method = "PATCH", .url = "/u", .authorization = "Bearer U", .status = 202 },
		{ .method = "PUT",
		  .url = "/u?digest=%",
		  .authorization = "Bearer U",
		  .status = 201 },
	};
	struct registry_source source = { .fd = -1, .bytes = S(BLOB) };
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, NULL, "localhost/a", steps, ARRAY_SIZE(steps));
	set_digest(&w, w.steps, w.n);
	assert_ok(registry_blob_put(w.registry, &w.ref, &w.blob, &source, &err));
	assert_int_equal(fake_played(), w.n);
}

/* One token for looking and sending, where sending is expected. */
void test_push__one_token_serves_reading_and_writing(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "HEAD", .url = "/v2/a/blobs/@", .status = 401, .headers = CHALLENGE },
		{ .method = "GET",
		  .url = "/t?service=s&scope=repository%3Aa%3Apull%2Cpush",
		  .status = 200,
		  .body = S("{\"token\":\"T\",\"expires_in\":300}") },
		{ .method = "HEAD",
		  .url = "/v2/a/blobs/@",
		  .authorization = "Bearer T",
		  .status = 404 },
		{ .method = "POST",
		  .url = "/v2/a/blobs/uploads/",
		  .authorization = "Bearer T",
		  .status = 202,
		  .headers = "Location: /u" },
		{ .method = "PUT",
		  .url = "/u?digest=%",
		  .authorization = "Bearer T",
		  .status = 201 },
	};
	struct registry_opts o = { .piece = 64 };
	struct registry_source source = { .fd = -1, .bytes = S(BLOB) };
	struct world w cleanup_world;
	struct cairn_err err;
	bool there = true;

	(void)state;
	world_init(&w, &o, "localhost/a", steps, ARRAY_SIZE(steps));
	set_digest(&w, w.steps, w.n);
	registry_expect_push(w.registry, &w.ref);
	assert_ok(registry_blob_has(w.registry, &w.ref, &w.blob.digest, &there, &err));
	assert_false(there);
	assert_ok(registry_blob_put(w.registry, &w.ref, &w.blob, &source, &err));
	assert_int_equal(fake_played(), w.n);
}

/* The address of an upload may not lead out of TLS. */
void test_push__upload_leaves_tls(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "POST",
		  .url = "https://reg.example/v2/a/blobs/uploads/",
		  .status = 202,
		  .headers = "Location: http://reg.example/u" },
	};
	struct registry_source source = { .fd = -1, .bytes = S(BLOB) };
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, NULL, "reg.example/a", steps, ARRAY_SIZE(steps));
	assert_fails(registry_blob_put(w.registry, &w.ref, &w.blob, &source, &err), CAIRN_E_SYNTAX);
	assert_non_null(strstr(err.msg, "plain HTTP"));
}

/* --- manifests ------------------------------------------------------------------------ */

#define MANIFEST        "{}"
#define MANIFEST_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
#define OTHER_DIGEST    "sha256:0000000000000000000000000000000000000000000000000000000000000001"
#define PUT_TAG(st, ...)                                                               \
	{                                                                              \
		.method = "PUT", .url = "/v2/a/manifests/1", .request_body = MANIFEST, \
		.status = st, __VA_ARGS__                                              \
	}
#define HEAD_TAG(d)                                                          \
	{                                                                    \
		.method = "HEAD", .url = "/v2/a/manifests/1", .status = 200, \
		.headers = "Docker-Content-Digest: " d                       \
	}

void test_push__manifests(void **state)
{
	static const struct {
		struct fake_step steps[4];
		int code;
		const char *message;
	} cases[] = {
		{ { PUT_TAG(201, .sends = "Content-Type: " MEDIA_OCI_MANIFEST) }, 0, NULL },
		{ { PUT_TAG(500, .headers = NULL), PUT_TAG(201, .headers = NULL) }, 0, NULL },
		/* ECR's words for an immutable tag; others use the status */
		{ { PUT_TAG(400, ERROR("TAG_INVALID")), HEAD_TAG(MANIFEST_DIGEST) }, 0, NULL },
		{ { PUT_TAG(400, ERROR("TAG_INVALID")), HEAD_TAG(OTHER_DIGEST) },
		  CAIRN_E_EXISTS,
		  "immutable" },
		{ { PUT_TAG(409, .headers = NULL), HEAD_TAG(MANIFEST_DIGEST) }, 0, NULL },
		{ { PUT_TAG(412, .headers = NULL), HEAD_TAG(OTHER_DIGEST) },
		  CAIRN_E_EXISTS,
		  "already" },
		{ { PUT_TAG(400, ERROR("MANIFEST_BLOB_UNKNOWN")) },
		  CAIRN_E_NOT_FOUND,
		  "lacks a blob" },
		/* docker-registry, while another upload of a blob ends */
		{ { PUT_TAG(400, ERROR("DIGEST_INVALID")), PUT_TAG(400, ERROR("DIGEST_INVALID")),
		    PUT_TAG(201, .headers = NULL) },
		  0,
		  NULL },
		{ { PUT_TAG(400, ERROR("DIGEST_INVALID")), PUT_TAG(400, ERROR("DIGEST_INVALID")),
		    PUT_TAG(400, ERROR("DIGEST_INVALID")), PUT_TAG(400, ERROR("DIGEST_INVALID")) },
		  CAIRN_E_DIGEST,
		  "other bytes arrived" },
		{ { PUT_TAG(400, ERROR("MANIFEST_INVALID")) },
		  CAIRN_E_SYNTAX,
		  "MANIFEST_INVALID m" },
		{ { PUT_TAG(405, .headers = NULL) }, CAIRN_E_UNSUPPORTED, "does not do that" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w cleanup_world;
		struct cairn_err err;
		size_t n = 0;
		int rc;

		while (n < ARRAY_SIZE(cases[i].steps) && cases[i].steps[n].method)
			n++;
		world_init(&w, NULL, "localhost/a:1", cases[i].steps, n);
		rc = registry_manifest_put(w.registry, &w.ref, S(MEDIA_OCI_MANIFEST), S(MANIFEST),
		                           &err);
		if (rc != cases[i].code || (rc < 0 && !strstr(err.msg, cases[i].message)))
			fail_msg("case %zu: %d, %s", i, rc, rc < 0 ? err.msg : "");
		assert_int_equal(fake_played(), n);
	}
}

void test_push__manifest_by_digest(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "PUT", .url = "/v2/a/manifests/" MANIFEST_DIGEST, .status = 201 },
	};
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, NULL, "localhost/a:1@" MANIFEST_DIGEST, steps, 1);
	assert_ok(registry_manifest_put(w.registry, &w.ref, S(MEDIA_OCI_MANIFEST), S(MANIFEST),
	                                &err));
}

/* --- ranges --------------------------------------------------------------------------- */

static int add(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

void test_push__ranges(void **state)
{
	static const struct {
		struct fake_step steps[3];
		uint64_t offset, len;
		int code;
		const char *want;
	} cases[] = {
		{ { { .status = 206,
		      .range = "bytes=5-8",
		      .headers = "Content-Range: bytes 5-8/20",
		      .body = S("5678") } },
		  5,
		  4,
		  0,
		  "5678" },
		/* a registry that knows no ranges */
		{ { { .status = 200, .range = "bytes=5-8", .body = S(BLOB) } }, 5, 4, 0, "5678" },
		/* resumed */
		{ { { .status = 206,
		      .range = "bytes=0-9",
		      .headers = "Content-Range: bytes 0-9/20",
		      .body = S("012"),
		      .cut = true },
		    { .status = 206,
		      .range = "bytes=3-9",
		      .headers = "Content-Range: bytes 3-9/20",
		      .body = S("3456789") } },
		  0,
		  10,
		  0,
		  "0123456789" },
		{ { { 0 } }, 15, 6, CAIRN_E_SYNTAX, "only 20" },
		{ { { 0 } }, 7, 0, 0, "" },
		{ { { .status = 206,
		      .range = "bytes=5-8",
		      .headers = "Content-Range: bytes 9-12/20",
		      .body = S("9abc") } },
		  5,
		  4,
		  CAIRN_E_SYNTAX,
		  "another range" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_step steps[3];
		struct world w cleanup_world;
		struct strbuf out cleanup_strbuf;
		struct registry_sink sink = { .write = add, .ctx = &out };
		struct cairn_err err;
		size_t n = 0;
		int rc;

		strbuf_init(&out, 100);
		for (; n < ARRAY_SIZE(steps) && cases[i].steps[n].status; n++) {
			steps[n] = cases[i].steps[n];
			steps[n].method = "GET";
			steps[n].url = "/v2/a/blobs/@";
		}
		world_init(&w, NULL, "localhost/a", steps, n);
		rc = registry_blob_range(w.registry, &w.ref, &w.blob, cases[i].offset, cases[i].len,
		                         &sink, &err);
		if (rc != cases[i].code || !strstr(rc < 0 ? err.msg : out.ptr, cases[i].want))
			fail_msg("case %zu: %d, %s", i, rc, rc < 0 ? err.msg : "");
		assert_int_equal(fake_played(), n);
	}
}

/* --- tags -------------------------------------------------------------------------------- */

void test_push__tags(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "GET",
		  .url = "/v2/a/tags/list?n=1000",
		  .status = 200,
		  .headers = "Link: </v2/a/tags/list?n=1000&last=c>; rel=\"next\"",
		  .body = S("{\"name\":\"a\",\"tags\":[\"c\",\"a\"]}") },
		{ .method = "GET",
		  .url = "/v2/a/tags/list?n=1000&last=c",
		  .status = 200,
		  .body = S("{\"name\":\"a\",\"tags\":[\"b\",\"c\"]}") },
	};
	struct image_strs tags = { 0 };
	struct world w cleanup_world;
	struct cairn_err err;

	(void)state;
	world_init(&w, NULL, "localhost/a", steps, ARRAY_SIZE(steps));
	assert_ok(registry_tags(w.registry, &w.ref, w.arena, &tags, &err));
	assert_int_equal(tags.len, 3);
	assert_str(tags.ptr[0], "a");
	assert_str(tags.ptr[1], "b");
	assert_str(tags.ptr[2], "c");
}

void test_push__tags_that_make_no_sense(void **state)
{
	static const struct {
		struct fake_step step;
		int code;
		const char *message;
	} cases[] = {
		{ { .status = 200, .body = S("{\"name\":\"a\",\"tags\":null}") }, 0, NULL },
		{ { .status = 404, ERROR("NAME_UNKNOWN") },
		  CAIRN_E_NOT_FOUND,
		  "no such repository" },
		{ { .status = 200, .body = S("[]") }, CAIRN_E_SYNTAX, "not an object" },
		{ { .status = 200, .body = S("{\"tags\":[1]}") }, CAIRN_E_SYNTAX, "not a string" },
		{ { .status = 200,
		    .body = S("{\"tags\":[]}"),
		    .headers = "Link: <http://evil.example/>; rel=\"next\"" },
		  CAIRN_E_SYNTAX,
		  "another host" },
		{ { .status = 200,
		    .body = S("{\"tags\":[]}"),
		    .headers = "Link: </v2/a/tags/list?n=1000>; rel=\"next\"" },
		  CAIRN_E_SYNTAX,
		  "same page" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_step step = cases[i].step;
		struct image_strs tags = { 0 };
		struct world w cleanup_world;
		struct cairn_err err;
		int rc;

		step.method = "GET";
		step.url = "/v2/a/tags/list?n=1000";
		world_init(&w, NULL, "localhost/a", &step, 1);
		rc = registry_tags(w.registry, &w.ref, w.arena, &tags, &err);
		if (rc != cases[i].code || (rc < 0 && !strstr(err.msg, cases[i].message)))
			fail_msg("case %zu: %d, %s", i, rc, rc < 0 ? err.msg : "");
	}
}
