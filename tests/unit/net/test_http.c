/* Retries and redirects, over a scripted network. */
#include <dlfcn.h>

#include "harness.h"

#include "net/fake_transport.h"
#include "util/clock.h"

static int get(struct http_client *c, const char *url, struct http_response *r,
               struct cairn_err *err)
{
	struct http_request req = {
		.method = "GET", .url = url, .authorization = "secret", .max_body = 1000
	};

	return http_send(c, &req, r, err);
}

/* Play a script for GET http://a/x. */
static int play(const struct fake_step *steps, size_t n, struct http_response *r,
                struct cairn_err *err)
{
	cleanup_http_client struct http_client *c = fake_client_new(steps, n);

	return get(c, steps[0].url, r, err);
}

/* DECISIONS 32: a client costs nothing until its first request. (Files are tested in the order
 * of their names: nothing before this one uses the network.) */
void test_http__libcurl_is_not_loaded_before_use(void **state)
{
	struct http_opts o = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *c = http_client_new(&o);

	(void)state;
	assert_non_null(c);
	assert_null(dlopen("libcurl.so.4", RTLD_NOW | RTLD_NOLOAD));
}

#define STEP(u, auth, st, h, b)                                                               \
	{                                                                                     \
		.method = "GET", .url = u, .authorization = auth, .status = st, .headers = h, \
		.body = S(b)                                                                  \
	}
#define PLAY(steps) play(steps, ARRAY_SIZE(steps), &r, &err)

void test_http__retries_what_may_pass(void **state)
{
	static const struct fake_step steps[] = {
		STEP("http://a/x", "secret", 0, NULL, ""),
		STEP("http://a/x", "secret", 503, "Retry-After: 1", "busy"),
		STEP("http://a/x", "secret", 429, "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT", ""),
		STEP("http://a/x", "secret", 200, "X-A: b", "fine"),
	};
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_ok(PLAY(steps));
	assert_int_equal(r.status, 200);
	assert_str(strbuf_view(&r.body), "fine"); /* nothing of the failed answers */
	assert_string_equal(http_header(&r, "x-a"), "b");
	assert_null(http_header(&r, "retry-after"));
	assert_int_equal(fake_played(), 4);
}

void test_http__gives_up(void **state)
{
	static const struct fake_step busy[] = {
		STEP("http://a/x", "secret", 500, NULL, "1"),
		STEP("http://a/x", "secret", 500, NULL, "2"),
		STEP("http://a/x", "secret", 500, NULL, "3"),
		STEP("http://a/x", "secret", 500, NULL, "4"),
		STEP("http://a/x", "secret", 500, NULL, "5"),
	};
	static const struct fake_step away[] = {
		STEP("http://a/x", "secret", 0, NULL, ""),
		STEP("http://a/x", "secret", 0, NULL, ""),
		STEP("http://a/x", "secret", 0, NULL, ""),
	};
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_ok(PLAY(busy)); /* the caller sees the status */
	assert_int_equal(r.status, 500);
	assert_str(strbuf_view(&r.body), "5");
	assert_fails(PLAY(away), CAIRN_E_TRANSIENT);
	assert_int_equal(fake_played(), 3);
}

void test_http__does_not_retry_what_is_final(void **state)
{
	static const int statuses[] = { 200, 304, 400, 401, 403, 404, 416, 501 };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct fake_step step[] = { STEP("http://a/x", "secret", statuses[i], NULL, "") };
		struct http_response r cleanup_http_response;

		http_response_init(&r);
		assert_ok(PLAY(step));
		assert_int_equal(r.status, statuses[i]);
	}
}

void test_http__redirect_keeps_secrets_at_home(void **state)
{
	static const struct fake_step steps[] = {
		STEP("https://a/x", "secret", 302, "Location: /y", ""),
		STEP("https://a/y", "secret", 307, "Location: https://b.example/z?sig=1", ""),
		STEP("https://b.example/z?sig=1", NULL, 301, "Location: https://a:443/w", ""),
		STEP("https://a:443/w", "secret", 200, NULL, "here"),
	};
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_ok(PLAY(steps));
	assert_str(strbuf_view(&r.body), "here");
	assert_string_equal(r.url, "https://a:443/w");
}

void test_http__redirects_that_are_refused(void **state)
{
	static const struct fake_step down[] = { STEP("https://a/x", "secret", 302,
		                                      "Location: http://a/x", "") };
	static const struct fake_step file[] = { STEP("https://a/x", "secret", 302,
		                                      "Location: file:///etc/passwd", "") };
	struct fake_step loop[11];
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	for (size_t i = 0; i < ARRAY_SIZE(loop); i++)
		loop[i] = (struct fake_step)STEP("http://a/x", "secret", 302, "Location: /x", "");
	assert_fails(PLAY(down), CAIRN_E_SYNTAX);
	assert_fails(PLAY(file), CAIRN_E_SYNTAX);
	assert_fails(PLAY(loop), CAIRN_E_SYNTAX);
	assert_null(strstr(err.msg, "secret"));
}

static int collect(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

/* Bytes that a sink has got cannot be taken back: no retry behind its back. */
void test_http__does_not_retry_after_delivery(void **state)
{
	static const struct fake_step steps[] = {
		{ .method = "GET",
		  .url = "http://a/x",
		  .status = 200,
		  .body = S("12345678"),
		  .cut = true },
	};
	cleanup_http_client struct http_client *c = fake_client_new(steps, ARRAY_SIZE(steps));
	struct strbuf got cleanup_strbuf;
	struct http_sink sink = { .write = collect, .ctx = &got };
	struct http_request req = { .method = "GET", .url = "http://a/x", .sink = &sink };
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	strbuf_init(&got, 100);
	http_response_init(&r);
	assert_fails(http_send(c, &req, &r, &err), CAIRN_E_TRANSIENT);
	assert_str(strbuf_view(&got), "12345678");
	assert_int_equal(fake_played(), 1);
}

void test_http__cancelled_while_waiting(void **state)
{
	static const struct fake_step steps[] = { STEP("http://a/x", "secret", 0, NULL, "") };
	struct http_opts o = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *c = NULL;
	atomic_bool cancel = false;
	struct http_retry retry = { 0 };
	struct cairn_err err = { .code = CAIRN_E_TRANSIENT };
	int64_t start = clock_monotonic();

	(void)state;
	o.transport = fake_transport_new(steps, 1);
	o.cancel = &cancel;
	o.backoff_ns = o.backoff_max_ns = 60ull * CLOCK_SEC; /* half of it at least */
	c = http_client_new(&o);
	atomic_store(&cancel, true);
	assert_fails(http_retry_wait(c, &retry, NULL, &err), CAIRN_E_CANCELLED);
	assert_true(clock_monotonic() - start < 20 * CLOCK_SEC);
}

/* --- guards --------------------------------------------------------------------- */

struct patience {
	int64_t left; /* what is left after each question is one less */
	int answers;
};

static int64_t patience_left(void *ctx)
{
	struct patience *p = ctx;

	return p->left--;
}

static void patience_heard(void *ctx, bool answered)
{
	struct patience *p = ctx;

	p->answers += answered;
}

static int get_guarded(struct http_client *c, struct patience *p, struct http_response *r,
                       struct cairn_err *err)
{
	struct http_guard g = { .left = patience_left, .heard = patience_heard, .ctx = p };
	int rc;

	http_guard_begin(c, &g);
	rc = get(c, "http://a/x", r, err);
	http_guard_end(c, &g);
	return rc;
}

void test_http__a_guard_ends_the_tries(void **state)
{
	static const struct fake_step steps[] = {
		STEP("http://a/x", "secret", 503, NULL, "1"),
		STEP("http://a/x", "secret", 200, NULL, "fine"),
	};
	cleanup_http_client struct http_client *c = fake_client_new(steps, ARRAY_SIZE(steps));
	struct http_response r cleanup_http_response;
	struct patience p = { .left = 1 };
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_ok(get_guarded(c, &p, &r, &err));
	assert_int_equal(r.status, 503); /* there was no time for a second try */
	assert_int_equal(p.answers, 0);
	p.left = 100;
	assert_ok(get_guarded(c, &p, &r, &err));
	assert_int_equal(r.status, 200);
	assert_int_equal(p.answers, 1);
	assert_int_equal(fake_played(), 2);
}

void test_http__a_guard_without_time_asks_nobody(void **state)
{
	cleanup_http_client struct http_client *c = fake_client_new(NULL, 0);
	struct http_response r cleanup_http_response;
	struct patience p = { .left = 0 };
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_fails(get_guarded(c, &p, &r, &err), CAIRN_E_TRANSIENT);
	assert_non_null(strstr(err.msg, "GET http://a/x: no answer"));
}

/* One that is begun twice, as in a thread that works for another. */
void test_http__copies_of_a_guard(void **state)
{
	cleanup_http_client struct http_client *c = fake_client_new(NULL, 0);
	struct http_guard none = http_guard_copy(c), copy;
	struct patience p = { .left = 7 };
	struct http_guard g = { .left = patience_left, .heard = patience_heard, .ctx = &p };

	(void)state;
	assert_null(none.left);
	http_guard_begin(c, &none);
	http_guard_end(c, &none);
	http_guard_begin(c, &g);
	copy = http_guard_copy(c);
	http_guard_begin(c, &copy);
	assert_int_equal(http_guard_copy(c).left(copy.ctx), 7);
	http_guard_end(c, &copy);
	http_guard_end(c, &g);
	assert_null(http_guard_copy(c).left);
}
