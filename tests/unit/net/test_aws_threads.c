/* One identity for all threads: renewed once, however many notice that it is too old. */
#include <pthread.h>
#include <stdio.h>

#include "harness.h"

#include "net/net.h"
#include "util/mem.h"

#define THREADS  8u
#define REQUESTS 40u
#define REVOKED  50u /* requests after which the present key is worthless */

/* A service, and the container's agent that hands out keys for it. */
struct service {
	struct http_transport base;
	pthread_mutex_t lock;
	unsigned n_keys;    /* handed out */
	unsigned n_good;    /* requests signed with the newest */
	unsigned n_refused; /* with an older one */
};

static int exchange(struct http_transport *t, const struct http_request *req,
                    struct http_response *r, struct cairn_err *err)
{
	struct service *s = (struct service *)t;
	char newest[40];

	(void)err;
	(void)pthread_mutex_lock(&s->lock);
	r->status = 200;
	if (strcmp(req->url, "http://169.254.170.2/creds") == 0) {
		strbuf_printf(
			&r->body,
			"{\"AccessKeyId\":\"AK%u\",\"SecretAccessKey\":\"hush\",\"Token\":\"t\"}",
			++s->n_keys);
	} else {
		(void)snprintf(newest, sizeof(newest), "Credential=AK%u/", s->n_keys);
		if (strstr(req->authorization, newest) && s->n_good < s->n_keys * REVOKED) {
			s->n_good++;
		} else {
			s->n_refused++;
			r->status = 400;
			strbuf_cstr(&r->body, "{\"__type\":\"ExpiredTokenException\"}");
		}
	}
	(void)pthread_mutex_unlock(&s->lock);
	return 0;
}

static void no_free(struct http_transport *t)
{
	(void)t; /* on the stack */
}

static void *requests(void *aws)
{
	struct http_request req = { .method = "GET",
		                    .url = "https://ecr.example/",
		                    .max_body = 1000 };
	struct cairn_err err;
	uintptr_t failed = 0;

	for (unsigned good = 0; good < REQUESTS && !failed;) {
		struct http_response r cleanup_http_response;

		http_response_init(&r);
		if (aws_send(aws, "ecr", "us-east-1", &req, &r, &err) < 0)
			failed++;
		/* A thread that slept may meet two keys that are too old, one after the other. */
		if (r.status == 200)
			good++;
	}
	return (void *)failed;
}

void test_aws_threads__renew_once(void **state)
{
	char variable[] = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/creds";
	char *const env[] = { variable, NULL };
	struct service s = { .base = { exchange, no_free } };
	struct http_opts ho = HTTP_OPTS_INIT;
	struct aws_opts ao = { .envp = env };
	cleanup_http_client struct http_client *http = NULL;
	cleanup_aws struct aws *aws = NULL;
	pthread_t threads[THREADS];
	void *failed;

	(void)state;
	(void)pthread_mutex_init(&s.lock, NULL);
	ho.transport = &s.base;
	http = ao.http = ao.metadata = http_client_new(&ho);
	aws = aws_new(&ao);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, requests, aws), 0);
	for (size_t i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(s.n_good, THREADS * REQUESTS);
	/* 320 requests, 50 for each key. */
	assert_int_equal(s.n_keys, (THREADS * REQUESTS + REVOKED - 1) / REVOKED);
}
