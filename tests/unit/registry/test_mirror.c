/* Mirrors: who is asked, in which order, and what is told. */
#include "harness.h"

#include "net/fake_transport.h"
#include "registry/registry.h"

#define HUB   "https://registry-1.docker.io/v2/library/x/"
#define ONE   "http://localhost:1/v2/hub/library/x/"
#define TWO   "http://localhost:2/v2/library/x/"
#define COPY  "http://localhost:3/v2/base/docker.io/library/x/"
#define BYTES "0123456789abcdefghij"

/* A registry with mirrors over a scripted network, and what it tells. */
struct world {
	struct http_client *http;
	struct registry *registry;
	struct strbuf told;
	struct strbuf out;
};

static const struct registry_mirror mirrors[] = {
	{ NULL, "localhost:3/base" },
	{ "docker.io", "localhost:1/hub" },
	{ "other.example", "localhost:4" },
	{ "docker.io", "localhost:2" },
};

static void warn(void *ctx, str text)
{
	strbuf_str(ctx, text);
	strbuf_char(ctx, '\n');
}

static void world_init(struct world *w, size_t first, const struct fake_step *steps, size_t n)
{
	struct registry_opts o = { .docker_config = harness_dir(),
		                   .mirrors = mirrors + first,
		                   .n_mirrors = ARRAY_SIZE(mirrors) - first,
		                   .warn = warn,
		                   .warn_ctx = &w->told };

	o.http = w->http = fake_client_new(steps, n);
	w->registry = registry_new(&o);
	strbuf_init(&w->told, 65536);
	strbuf_init(&w->out, MANIFEST_MAX);
}

static void world_done(struct world *w)
{
	registry_free(w->registry);
	http_client_free(w->http);
	strbuf_done(&w->told);
	strbuf_done(&w->out);
}
#define cleanup_world __attribute__((cleanup(world_done)))
#define WORLD(w, first, steps)        \
	struct world w cleanup_world; \
	world_init(&w, first, steps, ARRAY_SIZE(steps))

#define GET(u, st, b)                                                     \
	{                                                                 \
		.method = "GET", .url = (u), .status = (st), .body = S(b) \
	}

static struct reference ref_of(const char *text)
{
	struct reference r;
	struct cairn_err err;

	assert_ok(reference_parse(str_of(text), &r, &err));
	return r;
}

/* Ask for the manifest of `name`; *ret_from is who had it: "localhost:2/library/x". */
static int find(struct world *w, const char *name, char ret_from[REFERENCE_TEXT_MAX],
                struct cairn_err *err)
{
	struct reference ref = ref_of(name), from;
	cleanup_free char *type = NULL;

	TRY(registry_manifest_find(w->registry, &ref, &w->out, &type, &from, err));
	(void)reference_name(&from, ret_from);
	return 0;
}

void test_mirror__in_order_then_the_registry(void **state)
{
	static const struct fake_step steps[] = {
		GET(COPY "manifests/1", 404, "{}"),
		GET(ONE "manifests/1", 404, "{}"),
		GET(TWO "manifests/1", 403, "{}"),
		GET(HUB "manifests/1", 200, "m"),
		/* again: nothing is told twice */
		GET(COPY "manifests/1", 404, "{}"),
		GET(ONE "manifests/1", 200, "m"),
	};
	char from[REFERENCE_TEXT_MAX];
	struct cairn_err err;
	WORLD(w, 0, steps);

	(void)state;
	assert_ok(find(&w, "x:1", from, &err));
	assert_string_equal(from, "docker.io/library/x");
	assert_non_null(strstr(w.told.ptr, "mirror localhost:1/hub is passed over: "));
	assert_non_null(strstr(w.told.ptr, "mirror localhost:2 is passed over: "));
	assert_null(strstr(w.told.ptr, "localhost:3")); /* a copy that was not made */
	strbuf_clear(&w.told);
	assert_ok(find(&w, "x:1", from, &err));
	assert_string_equal(from, "localhost:1/hub/library/x");
	assert_int_equal(w.told.len, 0);
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

void test_mirror__down_is_not_asked_again(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "GET", .url = ONE "manifests/1" }, /* no connection, three times */
		{ .method = "GET", .url = ONE "manifests/1" },
		{ .method = "GET", .url = ONE "manifests/1" },
		GET(TWO "manifests/1", 200, "m"),
		GET(TWO "manifests/2", 200, "m"),
	};
	char from[REFERENCE_TEXT_MAX];
	struct cairn_err err;
	WORLD(w, 1, steps);

	(void)state;
	assert_ok(find(&w, "x:1", from, &err));
	assert_ok(find(&w, "x:2", from, &err));
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

/* What has a digest is compared with it, and who was wrong is passed over. */
void test_mirror__lies_are_passed_over(void **state)
{
	struct digest d = digest_of("m", 1);
	cleanup_free char *name = xasprintf("x@%s", digest_text(&d).s);
	cleanup_free char *one = xasprintf(ONE "manifests/%s", digest_text(&d).s);
	cleanup_free char *two = xasprintf(TWO "manifests/%s", digest_text(&d).s);
	const struct fake_step steps[] = { GET(one, 200, "other"), GET(two, 200, "m") };
	char from[REFERENCE_TEXT_MAX];
	struct cairn_err err;
	WORLD(w, 1, steps);

	(void)state;
	assert_ok(find(&w, name, from, &err));
	assert_str(strbuf_view(&w.out), "m");
	assert_string_equal(from, "localhost:2/library/x");
	assert_non_null(strstr(w.told.ptr, "localhost:1/hub is passed over: "));
}

void test_mirror__not_of_this_registry(void **state)
{
	static const struct fake_step steps[] = {
		GET("https://quay.io/v2/x/y/manifests/1", 200, "m"),
	};
	char from[REFERENCE_TEXT_MAX];
	struct cairn_err err;
	WORLD(w, 1, steps);

	(void)state;
	assert_ok(find(&w, "quay.io/x/y:1", from, &err));
	assert_string_equal(from, "quay.io/x/y");
}

void test_mirror__the_error_is_that_of_the_last(void **state)
{
	static const struct fake_step steps[] = {
		GET(ONE "manifests/1", 404, "{}"),
		GET(TWO "manifests/1", 404, "{}"),
		GET(HUB "manifests/1", 404, "{}"),
	};
	char from[REFERENCE_TEXT_MAX];
	struct cairn_err err;
	WORLD(w, 1, steps);

	(void)state;
	assert_fails(find(&w, "x:1", from, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "docker.io answered 404"));
}

static int add(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

/* A layer that breaks off at one mirror goes on at the next place: each byte once. */
void test_mirror__blob_goes_on_elsewhere(void **state)
{
	struct descriptor d = { .digest = digest_of(BYTES, strlen(BYTES)), .size = strlen(BYTES) };
	cleanup_free char *one = xasprintf(ONE "blobs/%s", digest_text(&d.digest).s);
	cleanup_free char *two = xasprintf(TWO "blobs/%s", digest_text(&d.digest).s);
	cleanup_free char *hub = xasprintf(HUB "blobs/%s", digest_text(&d.digest).s);
	const struct fake_step steps[] = {
		{ .method = "GET", .url = one, .status = 200, .body = S("01234567"), .cut = true },
		{ .method = "GET",
		  .url = one,
		  .status = 404,
		  .range = "bytes=8-",
		  .body = S("{}") },
		{ .method = "GET",
		  .url = two,
		  .status = 404,
		  .range = "bytes=8-",
		  .body = S("{}") },
		{ .method = "GET",
		  .url = hub,
		  .status = 206,
		  .range = "bytes=8-",
		  .headers = "Content-Range: bytes 8-19/20",
		  .body = S("89abcdefghij") },
		/* who had it is asked first the next time */
		{ .method = "GET", .url = hub, .status = 200, .body = S(BYTES) },
	};
	struct reference repo = ref_of("x");
	struct cairn_err err;
	WORLD(w, 1, steps);
	struct registry_sink sink = { .write = add, .ctx = &w.out };

	(void)state;
	assert_ok(registry_blob_get(w.registry, &repo, &d, &sink, &err));
	assert_str(strbuf_view(&w.out), BYTES);
	strbuf_clear(&w.out);
	assert_ok(registry_blob_get(w.registry, &repo, &d, &sink, &err));
	assert_str(strbuf_view(&w.out), BYTES);
	assert_int_equal(fake_played(), ARRAY_SIZE(steps));
}

void test_mirror__names(void **state)
{
	static const struct {
		struct registry_mirror mirror;
		const char *ref, *want;
	} cases[] = {
		{ { "docker.io", "1.dkr.ecr.eu-central-1.amazonaws.com/docker-hub" },
		  "debian:12",
		  "1.dkr.ecr.eu-central-1.amazonaws.com/docker-hub/library/debian:12" },
		{ { NULL, "reg.example/base" },
		  "debian:12",
		  "reg.example/base/docker.io/library/debian:12" },
		{ { NULL, "reg.example/base" },
		  "localhost:5000/a/b:1",
		  "reg.example/base/localhost-5000/a/b:1" },
		{ { "quay.io", "reg.example" }, "quay.io/a/b", "reg.example/a/b:latest" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct reference ref = ref_of(cases[i].ref), got;
		char text[REFERENCE_TEXT_MAX];
		struct cairn_err err;

		assert_ok(registry_mirror_name(&cases[i].mirror, &ref, &got, &err));
		assert_string_equal(reference_text(&got, text), cases[i].want);
	}
}
