/* libcurl against a server that misbehaves. */
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

#include "harness.h"

#include "net/fake_server.h"
#include "net/net.h"
#include "util/clock.h"
#include "util/fs.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static struct http_opts one_attempt(void)
{
	struct http_opts o = HTTP_OPTS_INIT;

	o.attempts = 1;
	return o;
}

static int get(const struct http_opts *o, const char *url, struct http_response *r,
               struct cairn_err *err)
{
	cleanup_http_client struct http_client *c = http_client_new(o);
	struct http_request req = { .method = "GET", .url = url, .max_body = 100 };

	return http_send(c, &req, r, err);
}

void test_transport__answers(void **state)
{
	static const struct {
		struct fake_answer answer;
		int code, status;
		const char *body;
	} cases[] = {
		{ { OK, FAKE_CLOSE }, 0, 200, "hello" },
		{ { "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", FAKE_CLOSE },
		  0,
		  404,
		  "no" },
		{ { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		    FAKE_CLOSE },
		  0,
		  200,
		  "abc" },
		{ { "HTTP/1.0 200 OK\r\n\r\nuntil the end", FAKE_CLOSE }, 0, 200, "until the end" },
		{ { "HTTP/1.1 100 Continue\r\nX-A: no\r\n\r\n" OK, FAKE_CLOSE }, 0, 200, "hello" },
		/* a body that ends too early, in four ways */
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", FAKE_CLOSE },
		  CAIRN_E_TRANSIENT,
		  0,
		  NULL },
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", FAKE_RESET },
		  CAIRN_E_TRANSIENT,
		  0,
		  NULL },
		{ { "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", FAKE_CLOSE },
		  CAIRN_E_TRANSIENT,
		  0,
		  NULL },
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", FAKE_STALL },
		  CAIRN_E_TRANSIENT,
		  0,
		  NULL },
		/* no answer at all */
		{ { "", FAKE_CLOSE }, CAIRN_E_TRANSIENT, 0, NULL },
		{ { "HTTP/1.1 2", FAKE_RESET }, CAIRN_E_TRANSIENT, 0, NULL },
		/* larger than we want */
		{ { "HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n", FAKE_CLOSE },
		  CAIRN_E_TRANSIENT,
		  0,
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fake_server *s = fake_server_new(&cases[i].answer, 1);
		struct http_response r cleanup_http_response;
		struct http_opts o = one_attempt();
		struct cairn_err err = { .msg = "no error" };
		int rc;

		if (cases[i].answer.end == FAKE_STALL)
			o.stall_timeout_ns = CLOCK_SEC;
		http_response_init(&r);
		rc = get(&o, fake_server_url(s), &r, &err);
		if (rc != cases[i].code || (rc == 0 && r.status != cases[i].status))
			fail_msg("case %zu: %d, status %d: %s", i, rc, r.status, err.msg);
		if (rc == 0) {
			assert_str(strbuf_view(&r.body), cases[i].body);
			assert_null(http_header(&r, "X-A"));
		}
		fake_server_free(s);
	}
}

void test_transport__request(void **state)
{
	static const struct fake_answer answers[] = { { OK, FAKE_CLOSE } };
	struct fake_server *s = fake_server_new(answers, 1);
	const struct http_field fields[] = { { "Accept", "a/b" }, { "X-Y", "z" } };
	struct http_opts o = one_attempt();
	cleanup_http_client struct http_client *c = http_client_new(&o);
	cleanup_free char *url = xasprintf("%s/a/b?c=d", fake_server_url(s));
	struct http_request req = { .method = "GET",
		                    .url = url,
		                    .fields = fields,
		                    .n_fields = 2,
		                    .authorization = "Bearer t",
		                    .max_body = 100 };
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_ok(http_send(c, &req, &r, &err));
	fake_server_stop(s);
	assert_non_null(strstr(fake_server_requests(s), "GET /a/b?c=d HTTP/1.1\r\n"));
	assert_non_null(strstr(fake_server_requests(s), "\r\nAccept: a/b\r\nX-Y: z\r\n"));
	assert_non_null(strstr(fake_server_requests(s), "\r\nAuthorization: Bearer t\r\n"));
	assert_non_null(strstr(fake_server_requests(s), "\r\nUser-Agent: cairn/"));
	fake_server_free(s);
}

/* A token from a hostile server must not become a header of its own. */
void test_transport__header_injection(void **state)
{
	struct http_opts o = one_attempt();
	cleanup_http_client struct http_client *c = http_client_new(&o);
	struct http_request req = { .method = "GET",
		                    .url = "http://127.0.0.1:1/",
		                    .authorization = "Bearer a\r\nX: y" };
	struct http_response r cleanup_http_response;
	struct cairn_err err;

	(void)state;
	http_response_init(&r);
	assert_fails(http_send(c, &req, &r, &err), CAIRN_E_SYNTAX);
	assert_null(strstr(err.msg, "Bearer"));
}

void test_transport__connection_is_kept(void **state)
{
	static const struct fake_answer answers[] = { { OK, FAKE_KEEP }, { OK, FAKE_CLOSE } };
	struct fake_server *s = fake_server_new(answers, 2);
	struct http_opts o = one_attempt();
	cleanup_http_client struct http_client *c = http_client_new(&o);
	struct http_request req = { .method = "GET", .url = fake_server_url(s), .max_body = 100 };
	struct cairn_err err;

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct http_response r cleanup_http_response;

		http_response_init(&r);
		assert_ok(http_send(c, &req, &r, &err));
	}
	fake_server_free(s);
}

/* What one client has opened another goes on with, also when the first is gone: the server answers
 * nobody else before that connection ends. */
void test_transport__connections_are_shared(void **state)
{
	static const struct fake_answer answers[] = { { OK, FAKE_KEEP },
		                                      { OK, FAKE_KEEP },
		                                      { OK, FAKE_CLOSE } };
	struct fake_server *s = fake_server_new(answers, 3);
	struct http_opts o = one_attempt();
	struct http_connections *connections = http_connections_new();
	struct http_client *one, *two;
	struct http_request req = { .method = "GET", .url = fake_server_url(s), .max_body = 100 };
	struct cairn_err err;

	(void)state;
	o.connections = connections;
	one = http_client_new(&o);
	two = http_client_new(&o);
	for (int i = 0; i < 3; i++) {
		struct http_response r cleanup_http_response;

		http_response_init(&r);
		assert_ok(http_send(i == 1 ? two : one, &req, &r, &err));
		if (i == 1) {
			http_client_free(two);
			two = NULL;
		}
	}
	http_client_free(one);
	http_connections_free(connections);
	fake_server_free(s);
}

void test_transport__nobody_there(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	/* Bound only: nobody answers, and nobody else gets the port. */
	cleanup_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cleanup_free char *url = NULL;
	struct http_response r cleanup_http_response;
	struct http_opts o = one_attempt();
	struct cairn_err err;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	url = xasprintf("http://127.0.0.1:%d", ntohs(a.sin_port));
	http_response_init(&r);
	assert_fails(get(&o, url, &r, &err), CAIRN_E_TRANSIENT);
	assert_int_equal(err.sys, EHOSTUNREACH);
	assert_non_null(strstr(err.msg, url));
}

void test_transport__too_large(void **state)
{
	static const struct fake_answer answers[] = { { OK, FAKE_CLOSE } };
	struct fake_server *s;
	cleanup_free char *headers = xmalloc(400000);
	struct fake_answer many[] = { { headers, FAKE_CLOSE } };
	struct http_response r cleanup_http_response;
	struct http_opts o = one_attempt();
	struct cairn_err err;
	size_t n = (size_t)snprintf(headers, 100, "HTTP/1.1 200 OK\r\n");

	(void)state;
	(void)answers;
	while (n < 390000)
		n += (size_t)snprintf(headers + n, 100, "X-%zu: %060d\r\n", n, 0);
	(void)snprintf(headers + n, 100, "\r\n");
	s = fake_server_new(many, 1);
	http_response_init(&r);
	assert_fails(get(&o, fake_server_url(s), &r, &err), CAIRN_E_SYNTAX);
	fake_server_free(s);
}

static void *cancel_soon(void *flag)
{
	struct timespec ts = { .tv_nsec = 100000000 };

	(void)nanosleep(&ts, NULL);
	atomic_store((atomic_bool *)flag, true);
	return NULL;
}

void test_transport__cancelled_in_a_transfer(void **state)
{
	static const struct fake_answer answers[] = {
		{ "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", FAKE_STALL }
	};
	struct fake_server *s = fake_server_new(answers, 1);
	struct http_response r cleanup_http_response;
	struct http_opts o = HTTP_OPTS_INIT;
	atomic_bool cancel = false;
	struct cairn_err err;
	int64_t start = clock_monotonic();
	pthread_t thread;

	(void)state;
	o.cancel = &cancel;
	http_response_init(&r);
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
	assert_fails(get(&o, fake_server_url(s), &r, &err), CAIRN_E_CANCELLED);
	assert_true(clock_monotonic() - start < (int64_t)o.stall_timeout_ns / 2);
	(void)pthread_join(thread, NULL);
	fake_server_free(s);
}
