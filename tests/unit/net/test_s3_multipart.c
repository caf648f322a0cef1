/* Uploads in parts, into a bucket in memory that several threads write to. */
#include <pthread.h>
#include <stdio.h>

#include "harness.h"

#include "net/fake_transport.h"
#include "util/fs.h"
#include "util/num.h"

#define BASE      "https://bucket.s3.us-east-1.amazonaws.com/k"
#define PART_SIZE (16u << 20)
#define SIZE      (S3_PUT_MAX + PART_SIZE / 2) /* five parts, the last one half */
#define PARTS     5u

/* What is to go wrong. */
enum fault {
	FAULT_NONE,
	FAULT_DENIED_CREATE,
	FAULT_DENIED_PART, /* the third part */
	FAULT_NO_ETAG,
	FAULT_NO_ID,
	FAULT_EXISTS,        /* 412 at the end */
	FAULT_CONFLICT_ONCE, /* 409 at the end, the first time */
	FAULT_ERROR_AFTER_200,
	FAULT_BUSY_AFTER_200, /* the first time */
};

struct bucket {
	struct http_transport base;
	enum fault fault;
	pthread_mutex_t lock;
	struct digest parts[PARTS];
	unsigned n_created, n_parts, n_completed, n_aborted;
	char *last; /* the last list of parts */
};

static void answer(struct http_response *r, int status, const char *body)
{
	r->status = status;
	strbuf_cstr(&r->body, body);
}

static int add_part(struct bucket *b, const struct http_request *req, struct http_response *r,
                    struct cairn_err *err)
{
	str query = str_of(strstr(req->url, "partNumber=") + 11), number, rest;
	cleanup_free char *buf = xmalloc(1u << 20);
	struct sha256 h;
	uint64_t n = 0;
	size_t got;

	(void)str_cut(query, '&', &number, &rest);
	TRY(num_u64(number, PARTS, &n, err));
	if (b->fault == FAULT_DENIED_PART && n == 3) {
		answer(r, 403, "<Error><Code>AccessDenied</Code></Error>");
		return 0;
	}
	sha256_init(&h);
	if (!req->source)
		sha256_add(&h, req->body.ptr, req->body.len);
	for (uint64_t at = 0; req->source && at < req->source->size; at += got) {
		TRY(req->source->read(req->source->ctx, at, buf, 1u << 20, &got, err));
		sha256_add(&h, buf, got);
	}
	b->parts[n - 1] = sha256_end(&h);
	b->n_parts++;
	if (b->fault != FAULT_NO_ETAG)
		vec_push(&r->fields,
		         (struct http_field){ xstrdup("ETag"), xasprintf("\"e%d\"", (int)n) });
	answer(r, 200, "");
	return 0;
}

static void complete(struct bucket *b, const struct http_request *req, struct http_response *r)
{
	free(b->last);
	b->last = str_dup(req->body);
	if (b->fault == FAULT_EXISTS)
		answer(r, 412, "<Error><Code>PreconditionFailed</Code></Error>");
	else if (b->fault == FAULT_CONFLICT_ONCE && b->n_created == 1)
		answer(r, 409, "<Error><Code>ConditionalRequestConflict</Code></Error>");
	else if (b->fault == FAULT_ERROR_AFTER_200)
		answer(r, 200, "<Error><Code>AccessDenied</Code></Error>");
	else if (b->fault == FAULT_BUSY_AFTER_200 && b->n_completed == 0)
		answer(r, 200, "<Error><Code>InternalError</Code></Error>");
	else
		answer(r, 200, "<CompleteMultipartUploadResult/>");
	b->n_completed++;
}

static int exchange(struct http_transport *t, const struct http_request *req,
                    struct http_response *r, struct cairn_err *err)
{
	struct bucket *b = (struct bucket *)t;
	int rc = 0;

	(void)pthread_mutex_lock(&b->lock);
	if (strcmp(req->url, BASE "?uploads=") == 0) {
		b->n_created++;
		answer(r, b->fault == FAULT_DENIED_CREATE ? 403 : 200,
		       b->fault == FAULT_NO_ID ? "<InitiateMultipartUploadResult/>"
		                               : "<InitiateMultipartUploadResult><UploadId>a/b="
		                                 "</UploadId></InitiateMultipartUploadResult>");
	} else if (strcmp(req->method, "PUT") == 0 && strstr(req->url, "&uploadId=a%2Fb%3D")) {
		rc = add_part(b, req, r, err);
	} else if (strcmp(req->url, BASE "?uploadId=a%2Fb%3D") == 0) {
		if (strcmp(req->method, "POST") == 0) {
			complete(b, req, r);
		} else {
			b->n_aborted++;
			answer(r, 204, "");
		}
	} else {
		rc = cairn_fail(err, CAIRN_E_BUG, "unexpected %s %s", req->method, req->url);
	}
	(void)pthread_mutex_unlock(&b->lock);
	return rc;
}

static void bucket_free(struct http_transport *t)
{
	(void)t; /* on the stack */
}

static char *const env[] = { (char[]){ "AWS_ACCESS_KEY_ID=AKENV" },
	                     (char[]){ "AWS_SECRET_ACCESS_KEY=hush" },
	                     (char[]){ "AWS_REGION=us-east-1" }, NULL };

/* Put SIZE bytes, from memory or from a file. */
static int put(struct bucket *b, const char *bytes, int fd, bool *lost, struct cairn_err *err)
{
	struct http_opts ho = HTTP_OPTS_INIT;
	cleanup_http_client struct http_client *http = NULL;
	cleanup_aws struct aws *aws = NULL;
	cleanup_s3 struct s3_client *s3 = NULL;
	struct aws_opts ao = { .envp = env };
	struct s3_opts so = { .bucket = "bucket" };
	struct s3_put p = { .key = "k",
		            .fd = fd,
		            .bytes = str_n(bytes, fd < 0 ? SIZE : 0),
		            .size = SIZE,
		            .if_absent = true };

	b->base = (struct http_transport){ exchange, bucket_free };
	(void)pthread_mutex_init(&b->lock, NULL);
	ho.transport = &b->base;
	ho.backoff_ns = 1000;
	http = ao.http = so.http = http_client_new(&ho);
	aws = so.aws = aws_new(&ao);
	TRY(s3_new(&so, &s3, err));
	return s3_put(s3, &p, lost, err);
}

static char *make_bytes(void)
{
	char *bytes = xmalloc(SIZE);

	for (size_t i = 0; i < SIZE; i += 4096)
		memset(bytes + i, (int)(i >> 12) & 0xff, 4096);
	return bytes;
}

void test_s3_multipart__parts(void **state)
{
	cleanup_free char *bytes = make_bytes();
	cleanup_fd int fd = -1;
	struct cairn_err err;

	(void)state;
	harness_write("big", str_n(bytes, SIZE));
	fd = openat(harness_dirfd(), "big", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		struct bucket b = { .fault = FAULT_NONE };
		bool lost = true;

		assert_ok(put(&b, bytes, i ? fd : -1, &lost, &err));
		assert_false(lost);
		assert_int_equal(b.n_parts, PARTS);
		assert_int_equal(b.n_completed, 1);
		assert_int_equal(b.n_aborted, 0);
		for (size_t n = 0; n < PARTS; n++) {
			size_t at = n * PART_SIZE;
			struct digest d = digest_of(bytes + at,
			                            SIZE - at < PART_SIZE ? SIZE - at : PART_SIZE);

			assert_true(digest_eq(&d, &b.parts[n]));
		}
		assert_string_equal(
			b.last,
			"<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
			"<Part><PartNumber>1</PartNumber><ETag>\"e1\"</ETag></Part>"
			"<Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag></Part>"
			"<Part><PartNumber>3</PartNumber><ETag>\"e3\"</ETag></Part>"
			"<Part><PartNumber>4</PartNumber><ETag>\"e4\"</ETag></Part>"
			"<Part><PartNumber>5</PartNumber><ETag>\"e5\"</ETag></Part>"
			"</CompleteMultipartUpload>");
		free(b.last);
	}
}

/* Nothing is left behind, whatever happens. */
void test_s3_multipart__faults(void **state)
{
	static const struct {
		enum fault fault;
		int code;
		bool lost;
		unsigned n_created, n_aborted;
	} cases[] = {
		{ FAULT_DENIED_CREATE, CAIRN_E_AUTH, false, 1, 0 },
		{ FAULT_DENIED_PART, CAIRN_E_AUTH, false, 1, 1 },
		{ FAULT_NO_ETAG, CAIRN_E_SYNTAX, false, 1, 1 },
		{ FAULT_NO_ID, CAIRN_E_SYNTAX, false, 1, 0 },
		{ FAULT_EXISTS, 0, true, 1, 1 },
		{ FAULT_CONFLICT_ONCE, 0, false, 2, 1 },
		{ FAULT_ERROR_AFTER_200, CAIRN_E_AUTH, false, 1, 1 },
		{ FAULT_BUSY_AFTER_200, 0, false, 1, 0 },
	};
	cleanup_free char *bytes = make_bytes();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bucket b = { .fault = cases[i].fault };
		struct cairn_err err = { .msg = "" };
		bool lost = false;
		int rc = put(&b, bytes, -1, &lost, &err);

		if (rc != cases[i].code || lost != cases[i].lost ||
		    b.n_created != cases[i].n_created || b.n_aborted != cases[i].n_aborted)
			fail_msg("case %zu: %d %d, %u created, %u aborted: %s", i, rc, lost,
			         b.n_created, b.n_aborted, err.msg);
		free(b.last);
	}
}
