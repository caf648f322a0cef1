/* Copies from repository to repository, over a scripted network; one request after the other. */
#include "harness.h"

#include "net/fake_transport.h"
#include "registry/registry.h"

#define LAYER "layer"
#define CONFIG \
	"{\"architecture\":\"arm64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}"
#define MORE 16 /* most steps of a script */

/* An image of one layer, and an index of it; written in URLs as {L} {C} {M} {I}. */
struct world {
	struct arena *arena;
	const char *digest[4]; /* of L, C, M, I */
	char *manifest, *index;
	struct fake_step steps[MORE];
	size_t n;
	struct http_client *http;
	struct registry *registry;
	struct reference src, dst;
	struct digest result;
	uint64_t moved;
};

static const char letters[] = "LCMI";

static char *digest(struct world *w, const char *bytes)
{
	struct digest d = digest_of(bytes, strlen(bytes));

	return arena_printf(w->arena, "%s", digest_text(&d).s);
}

/* Digests for their letters. */
static const char *expand(struct world *w, const char *text)
{
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, 1u << 16);
	for (const char *p = text; *p; p++) {
		const char *l = p[0] == '{' && p[1] && p[2] == '}' ? strchr(letters, p[1]) : NULL;

		if (l) {
			strbuf_cstr(&b, w->digest[l - letters]);
			p += 2;
		} else {
			strbuf_char(&b, *p);
		}
	}
	return arena_cstr(w->arena, strbuf_view(&b));
}

static void make_image(struct world *w)
{
	w->digest[0] = digest(w, LAYER);
	w->digest[1] = digest(w, CONFIG);
	w->manifest = arena_printf(
		w->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
		"\"size\":%zu},\"layers\":[{\"mediaType\":\"%s+gzip\",\"digest\":\"%s\",\"size\":%zu}]}",
		MEDIA_OCI_MANIFEST, MEDIA_OCI_CONFIG, w->digest[1], strlen(CONFIG), MEDIA_OCI_LAYER,
		w->digest[0], strlen(LAYER));
	w->digest[2] = digest(w, w->manifest);
	w->index = arena_printf(
		w->arena,
		"{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[{\"mediaType\":\"%s\",\"digest\":"
		"\"%s\",\"size\":%zu,\"platform\":{\"architecture\":\"arm64\",\"os\":\"linux\"}}]}",
		MEDIA_OCI_INDEX, MEDIA_OCI_MANIFEST, w->digest[2], strlen(w->manifest));
	w->digest[3] = digest(w, w->index);
}

/* Bodies: "L", "C", "M", "I" stand for those bytes. */
static str body(const struct world *w, str text)
{
	if (str_is(text, "L"))
		return S(LAYER);
	if (str_is(text, "C"))
		return S(CONFIG);
	if (str_is(text, "M"))
		return str_of(w->manifest);
	return str_is(text, "I") ? str_of(w->index) : text;
}

static void world_done(struct world *w)
{
	registry_free(w->registry);
	http_client_free(w->http);
	arena_free(w->arena);
}
#define cleanup_world __attribute__((cleanup(world_done)))

struct copy_case {
	const char *name, *src, *dst;
	const char *platform;
	struct fake_step steps[MORE];
	uint64_t moved;
	int code;
	const char *message;
};

static void world_init(struct world *w, const struct copy_case *c)
{
	struct registry_opts o = { 0 };
	struct cairn_err err;

	memset(w, 0, sizeof(*w));
	w->arena = arena_new();
	make_image(w);
	for (; w->n < MORE && c->steps[w->n].method; w->n++) {
		struct fake_step *s = &w->steps[w->n];

		*s = c->steps[w->n];
		s->url = expand(w, s->url);
		if (s->headers)
			s->headers = expand(w, s->headers);
		s->body = body(w, s->body);
		if (s->request_body)
			s->request_body = body(w, str_of(s->request_body)).ptr;
	}
	o.http = w->http = fake_client_new(w->steps, w->n);
	w->registry = registry_new(&o);
	assert_ok(reference_parse(str_of(c->src), &w->src, &err));
	assert_ok(reference_parse(str_of(c->dst), &w->dst, &err));
}

#define A "http://127.0.0.1:1/v2/"
#define B "http://127.0.0.2:1/v2/"
#define GET(u, b)                                                      \
	{                                                              \
		.method = "GET", .url = u, .status = 200, .body = S(b) \
	}
#define HEAD(u, s)                                      \
	{                                               \
		.method = "HEAD", .url = u, .status = s \
	}
#define IS(u, d)                                                                                  \
	{                                                                                         \
		.method = "HEAD", .url = u, .status = 200, .headers = "Docker-Content-Digest: " d \
	}
#define MOUNT(u, s)                                                                 \
	{                                                                           \
		.method = "POST", .url = u, .status = s, .headers = "Location: /up" \
	}
#define OPEN(u)                                                                       \
	{                                                                             \
		.method = "POST", .url = u, .status = 202, .headers = "Location: /up" \
	}
#define PUT(u, b)                                                           \
	{                                                                   \
		.method = "PUT", .url = u, .request_body = b, .status = 201 \
	}
#define LOST(u)                                                                  \
	{                                                                        \
		.method = "PUT", .url = u, .status = 400,                        \
		.body = S("{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\"}]}") \
	}

static const struct copy_case copies[] = {
	{ .name = "a retag sends the manifest alone",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/a:2",
	  .steps = { GET(A "a/manifests/1", "M"), HEAD(A "a/manifests/2", 404),
	             PUT(A "a/manifests/2", "M") } },
	{ .name = "an index within a repository, too",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/a:2",
	  .steps = { GET(A "a/manifests/1", "I"), HEAD(A "a/manifests/2", 404),
	             PUT(A "a/manifests/2", "I") } },
	{ .name = "the tag means it already",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "I"), IS(B "b/manifests/1", "{I}") } },
	{ .name = "within a registry blobs are mounted",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/b:1",
	  .steps = { GET(A "a/manifests/1", "M"), HEAD(A "b/manifests/1", 404),
	             MOUNT(A "b/blobs/uploads/?mount={C}&from=a", 201),
	             MOUNT(A "b/blobs/uploads/?mount={L}&from=a", 201),
	             PUT(A "b/manifests/1", "M") } },
	{ .name = "one that does not mount gets the bytes",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/b:1",
	  .steps = { GET(A "a/manifests/1", "M"),
	             HEAD(A "b/manifests/1", 404),
	             MOUNT(A "b/blobs/uploads/?mount={C}&from=a", 201),
	             MOUNT(A "b/blobs/uploads/?mount={L}&from=a", 202),
	             HEAD(A "b/blobs/{L}", 404),
	             GET(A "a/blobs/{L}", "L"),
	             { .method = "PUT", .url = "http://127.0.0.1:1/up?digest={L}", .status = 201 },
	             PUT(A "b/manifests/1", "M") },
	  .moved = strlen(LAYER) },
	{ .name = "another registry gets what it lacks",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "M"),
	             HEAD(B "b/manifests/1", 404),
	             HEAD(B "b/blobs/{C}", 200),
	             HEAD(B "b/blobs/{L}", 404),
	             OPEN(B "b/blobs/uploads/"),
	             GET(A "a/blobs/{L}", "L"),
	             { .method = "PUT",
	               .url = "http://127.0.0.2:1/up?digest={L}",
	               .request_body = "L",
	               .status = 201 },
	             PUT(B "b/manifests/1", "M") },
	  .moved = strlen(LAYER) },
	{ .name = "an index: its image first",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "I"), HEAD(B "b/manifests/1", 404),
	             HEAD(B "b/manifests/{M}", 404), GET(A "a/manifests/{M}", "M"),
	             HEAD(B "b/blobs/{C}", 200), HEAD(B "b/blobs/{L}", 200),
	             PUT(B "b/manifests/{M}", "M"), PUT(B "b/manifests/1", "I") } },
	{ .name = "an image that is there is believed to have its blobs",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "I"), HEAD(B "b/manifests/1", 404),
	             IS(B "b/manifests/{M}", "{M}"), PUT(B "b/manifests/1", "I") } },
	{ .name = "until the registry says otherwise",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "I"), HEAD(B "b/manifests/1", 404),
	             IS(B "b/manifests/{M}", "{M}"), LOST(B "b/manifests/1"),
	             GET(A "a/manifests/{M}", "M"), HEAD(B "b/blobs/{C}", 200),
	             HEAD(B "b/blobs/{L}", 200), PUT(B "b/manifests/{M}", "M"),
	             PUT(B "b/manifests/1", "I") } },
	{ .name = "one platform: the image without its index",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/a:2",
	  .platform = "linux/arm64",
	  .steps = { GET(A "a/manifests/1", "I"), GET(A "a/manifests/{M}", "M"),
	             HEAD(A "a/manifests/2", 404), PUT(A "a/manifests/2", "M") } },
	{ .name = "a platform that is not there",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/a:2",
	  .platform = "linux/s390x",
	  .steps = { GET(A "a/manifests/1", "I") },
	  .code = CAIRN_E_NOT_FOUND,
	  .message = "linux/arm64" },
	{ .name = "an image without index for another platform",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.1:1/a:2",
	  .platform = "linux/s390x",
	  .steps = { GET(A "a/manifests/1", "M"), GET(A "a/blobs/{C}", "C") },
	  .code = CAIRN_E_NOT_FOUND,
	  .message = "for linux/arm64 alone" },
	{ .name = "bytes that are not what they are called",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { GET(A "a/manifests/1", "M"), HEAD(B "b/manifests/1", 404),
	             HEAD(B "b/blobs/{C}", 200), HEAD(B "b/blobs/{L}", 404),
	             OPEN(B "b/blobs/uploads/"), GET(A "a/blobs/{L}", "lAyer") },
	  .code = CAIRN_E_DIGEST,
	  .message = "copy 127.0.0.1:1/a:1 to 127.0.0.2:1/b:1: blob" },
	{ .name = "no such tag",
	  .src = "127.0.0.1:1/a:1",
	  .dst = "127.0.0.2:1/b:1",
	  .steps = { { .method = "GET", .url = A "a/manifests/1", .status = 404 } },
	  .code = CAIRN_E_NOT_FOUND,
	  .message = "127.0.0.1:1/a:1: not found" },
};

/* The colon of a digest in a query is escaped. */
static void escape_queries(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		const char *q = strstr(w->steps[i].url, "?digest=sha256:");

		if (q)
			w->steps[i].url = arena_printf(w->arena, "%.*s?digest=sha256%%3A%s",
			                               (int)(q - w->steps[i].url), w->steps[i].url,
			                               q + strlen("?digest=sha256:"));
	}
}

void test_copy__scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
		const struct copy_case *c = &copies[i];
		struct registry_copy_opts opts = { .parallel = 1 };
		struct world w cleanup_world;
		struct platform platform;
		struct cairn_err err;
		int rc;

		world_init(&w, c);
		escape_queries(&w);
		if (c->platform) {
			assert_ok(platform_parse(str_of(c->platform), &platform, &err));
			opts.platforms = &platform;
			opts.n_platforms = 1;
		}
		rc = registry_copy(w.registry, &w.src, &w.dst, &opts, &w.result, &w.moved, &err);
		if (rc != c->code || (rc < 0 && !strstr(err.msg, c->message)))
			fail_msg("%s: %d, %s", c->name, rc, rc < 0 ? err.msg : "");
		if (fake_played() != w.n || (rc == 0 && w.moved != c->moved))
			fail_msg("%s: %zu of %zu requests, %llu bytes", c->name, fake_played(), w.n,
			         (unsigned long long)w.moved);
	}
}
