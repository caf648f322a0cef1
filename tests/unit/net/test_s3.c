/* Objects of a bucket, over a scripted network. */
#include <stdio.h>

#include "harness.h"

#include "net/fake_transport.h"
#include "util/clock.h"
#include "util/fs.h"

#define SIGNED    "AWS4-HMAC-SHA256 Credential=AKENV/*"
#define BASE      "https://bucket.s3.us-east-1.amazonaws.com/"
#define STEPS_MAX 8u
#define EMPTY     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define HELLO     "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

/* One request of the script; what follows are further members. */
#define STEP(m, u, st, ...)                                                               \
	{                                                                                 \
		.method = m, .url = u, .authorization = SIGNED, .status = st, __VA_ARGS__ \
	}
#define XML_ERROR(code) S("<Error><Code>" code "</Code><Message>because</Message></Error>")

struct world {
	struct http_client *http;
	struct aws *aws;
	struct s3_client *s3;
	size_t n;
};

static char *const env[] = { (char[]){ "AWS_ACCESS_KEY_ID=AKENV" },
	                     (char[]){ "AWS_SECRET_ACCESS_KEY=hush" },
	                     (char[]){ "AWS_REGION=us-east-1" }, NULL };

static void begin_at(struct world *w, const struct fake_step *steps, const char *endpoint,
                     const char *bucket, bool path_style)
{
	struct aws_opts ao = { .envp = env };
	struct s3_opts so = { .bucket = bucket,
		              .endpoint_url = endpoint,
		              .path_style = path_style };
	struct cairn_err err;

	memset(w, 0, sizeof(*w));
	while (w->n < STEPS_MAX && steps[w->n].method)
		w->n++;
	w->http = ao.http = ao.metadata = so.http = fake_client_new(steps, w->n);
	w->aws = so.aws = aws_new(&ao);
	assert_ok(s3_new(&so, &w->s3, &err));
}

static void begin(struct world *w, const struct fake_step *steps)
{
	begin_at(w, steps, NULL, "bucket", false);
}

static void end(struct world *w)
{
	assert_int_equal(fake_played(), w->n);
	s3_free(w->s3);
	aws_free(w->aws);
	http_client_free(w->http);
}

static int read_object(struct world *w, const char *key, struct strbuf *out, bool *found,
                       struct cairn_err *err)
{
	struct s3_get get = { .key = key, .out = out };

	strbuf_init(out, 20);
	return s3_get(w->s3, &get, found, NULL, err);
}

/* --- where an object is --------------------------------------------------------------------- */

void test_s3__urls(void **state)
{
	static const struct {
		const char *endpoint, *bucket;
		bool path_style;
		const char *key, *url;
	} cases[] = {
		{ NULL, "bucket", false, "a/b c", BASE "a/b%20c" },
		{ NULL, "bucket", true, "k", "https://s3.us-east-1.amazonaws.com/bucket/k" },
		{ NULL, "a.b", false, "k", "https://s3.us-east-1.amazonaws.com/a.b/k" },
		{ NULL, "Old_Bucket", false, "k",
		  "https://s3.us-east-1.amazonaws.com/Old_Bucket/k" },
		{ NULL, "bucket", false, "/a//b+\xc3\xbc:%", BASE "/a//b%2B%C3%BC%3A%25" },
		{ "http://127.0.0.1:9000", "bucket", false, "k", "http://127.0.0.1:9000/bucket/k" },
		{ "http://[::1]:9000/", "bucket", false, "k", "http://[::1]:9000/bucket/k" },
		{ "http://minio:9000", "bucket", false, "k", "http://minio:9000/bucket/k" },
		{ "https://s3.example:8443/x", "bucket", false, "k",
		  "https://bucket.s3.example:8443/x/k" },
		{ "https://s3.example", "bucket", true, "k", "https://s3.example/bucket/k" },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fake_step steps[STEPS_MAX] = { STEP("GET", cases[i].url, 200,
			                                         .body = S("x")) };
		struct strbuf out cleanup_strbuf;
		struct world w;
		bool found;

		begin_at(&w, steps, cases[i].endpoint, cases[i].bucket, cases[i].path_style);
		assert_ok(read_object(&w, cases[i].key, &out, &found, &err));
		assert_true(found);
		end(&w);
	}
}

void test_s3__names_that_are_refused(void **state)
{
	static const struct fake_step none[STEPS_MAX];
	static const char *const buckets[] = { "",    "ab",  "a..b",    "-ab",
		                               "a/b", "a b", "bucket.", "arn:aws:s3:::x" };
	static const char *const keys[] = { "", ".", "..", "a/../b", "a/.", "./a" };
	struct strbuf out cleanup_strbuf, key cleanup_strbuf;
	struct cairn_err err;
	struct world w;
	bool found;

	(void)state;
	begin(&w, none);
	for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
		struct s3_opts o = { .aws = w.aws, .http = w.http, .bucket = buckets[i] };
		struct s3_client *c = NULL;

		assert_fails(s3_new(&o, &c, &err), CAIRN_E_USAGE);
	}
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		assert_fails(read_object(&w, keys[i], &out, &found, &err), CAIRN_E_USAGE);
	strbuf_init(&key, 2000);
	while (key.len <= S3_KEY_MAX)
		strbuf_char(&key, 'x');
	assert_fails(read_object(&w, key.ptr, &out, &found, &err), CAIRN_E_USAGE);
	end(&w);
}

void test_s3__bucket_elsewhere(void **state)
{
	static const char there[] = "https://bucket.s3.eu-west-1.amazonaws.com/k";
	static const struct fake_step firsts[] = {
		STEP("GET", BASE "k", 301, .headers = "x-amz-bucket-region: eu-west-1"),
		STEP("GET", BASE "k", 307,
		     .headers = "x-amz-bucket-region: eu-west-1\nLocation: http://evil.example/"),
		STEP("GET", BASE "k", 400,
		     .body = S("<Error><Code>AuthorizationHeaderMalformed</Code>"
		               "<Region>eu-west-1</Region></Error>")),
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(firsts); i++) {
		const struct fake_step steps[STEPS_MAX] = {
			firsts[i], STEP("GET", there, 200, .body = S("x")),
			STEP("GET", there, 200, .body = S("x")), /* remembered */
		};
		struct strbuf out cleanup_strbuf, again cleanup_strbuf;
		struct world w;
		bool found;

		begin(&w, steps);
		assert_ok(read_object(&w, "k", &out, &found, &err));
		assert_ok(read_object(&w, "k", &again, &found, &err));
		end(&w);
	}
}

/* Two regions that send us to each other, and a redirect that leads nowhere. */
void test_s3__followed_once(void **state)
{
	static const struct fake_step circle[STEPS_MAX] = {
		STEP("GET", BASE "k", 301, .headers = "x-amz-bucket-region: eu-west-1"),
		STEP("GET", "https://bucket.s3.eu-west-1.amazonaws.com/k", 301,
		     .headers = "x-amz-bucket-region: us-east-1"),
	};
	static const struct fake_step nowhere[STEPS_MAX] = {
		STEP("GET", BASE "k", 307, .headers = "Location: http://evil.example/"),
	};
	const struct fake_step *const scripts[] = { circle, nowhere };
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(scripts); i++) {
		struct strbuf out cleanup_strbuf;
		struct world w;
		bool found;

		begin(&w, scripts[i]);
		assert_fails(read_object(&w, "k", &out, &found, &err), CAIRN_E_SYNTAX);
		assert_non_null(strstr(err.msg, "at another endpoint"));
		end(&w);
	}
}

/* --- refusals ----------------------------------------------------------------------------------
 */

void test_s3__errors(void **state)
{
	static const struct {
		int status;
		str body;
		int code;
		const char *says;
	} cases[] = {
		{ 403, XML_ERROR("AccessDenied"), CAIRN_E_AUTH,
		  "s3://bucket/k: s3:GetObject is not allowed with the AWS credentials from the "
		  "environment: because (S3 says so of missing objects too" },
		{ 403, XML_ERROR("InvalidAccessKeyId"), CAIRN_E_AUTH,
		  "the access key id from the environment is not known there" },
		{ 403, XML_ERROR("SignatureDoesNotMatch"), CAIRN_E_AUTH,
		  "the secret key from the environment does not belong" },
		{ 403, XML_ERROR("RequestTimeTooSkewed"), CAIRN_E_AUTH, "set the clock" },
		{ 400, XML_ERROR("ExpiredToken"), CAIRN_E_AUTH, "have expired; renew them" },
		{ 404, XML_ERROR("NoSuchBucket"), CAIRN_E_NOT_FOUND,
		  "the S3 bucket 'bucket' does not exist" },
		{ 400, XML_ERROR("XAmzContentSHA256Mismatch"), CAIRN_E_DIGEST, "other bytes" },
		{ 501, XML_ERROR("NotImplemented"), CAIRN_E_SYSTEM,
		  "s3://bucket/k: s3:GetObject: NotImplemented: because" },
		{ 418, S(""), CAIRN_E_SYSTEM, "HTTP status 418" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct fake_step steps[STEPS_MAX] = { STEP("GET", BASE "k", cases[i].status,
			                                         .body = cases[i].body) };
		struct strbuf out cleanup_strbuf;
		struct cairn_err err;
		struct world w;
		bool found;

		begin(&w, steps);
		assert_fails(read_object(&w, "k", &out, &found, &err), cases[i].code);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("case %zu: %s", i, err.msg);
		assert_null(strstr(err.msg, "hush"));
		end(&w);
	}
}

void test_s3__slow_down(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		STEP("GET", BASE "k", 503, .body = XML_ERROR("SlowDown")),
		STEP("GET", BASE "k", 503, .body = XML_ERROR("SlowDown")),
		STEP("GET", BASE "k", 200, .body = S("x")),
	};
	struct strbuf out cleanup_strbuf;
	struct cairn_err err;
	struct world w;
	bool found;

	(void)state;
	begin(&w, steps);
	assert_ok(read_object(&w, "k", &out, &found, &err));
	end(&w);
}

/* --- reading
 * -------------------------------------------------------------------------------------- */

void test_s3__get(void **state)
{
	static const struct {
		uint64_t offset, len;
		struct fake_step steps[STEPS_MAX];
		int code;
		const char *want; /* NULL: not found */
	} cases[] = {
		{ 0,
		  0,
		  { STEP("GET", BASE "k", 200, .body = S("hello, world")) },
		  0,
		  "hello, world" },
		{ 0, 0, { STEP("GET", BASE "k", 200, .body = S("")) }, 0, "" },
		{ 0, 0, { STEP("GET", BASE "k", 404, .body = XML_ERROR("NoSuchKey")) }, 0, NULL },
		/* resumed, with the same object */
		{ 0,
		  0,
		  { STEP("GET", BASE "k", 200, .headers = "ETag: \"1\"", .body = S("hello, "),
		         .cut = true),
		    STEP("GET", BASE "k", 206, .range = "bytes=7-", .sends = "If-Match: \"1\"",
		         .headers = "Content-Range: bytes 7-11/12\nETag: \"1\"",
		         .body = S("world")) },
		  0,
		  "hello, world" },
		{ 0,
		  0,
		  { STEP("GET", BASE "k", 200, .headers = "ETag: \"1\"", .body = S("hello, "),
		         .cut = true),
		    STEP("GET", BASE "k", 412, .range = "bytes=7-") },
		  CAIRN_E_TRANSIENT,
		  NULL },
		{ 0,
		  0,
		  { STEP("GET", BASE "k", 200, .headers = "ETag: \"1\"", .body = S("hello, "),
		         .cut = true),
		    STEP("GET", BASE "k", 206, .range = "bytes=7-",
		         .headers = "Content-Range: bytes 7-11/12\nETag: \"2\"",
		         .body = S("world")) },
		  CAIRN_E_TRANSIENT,
		  NULL },
		/* ranges */
		{ 3,
		  4,
		  { STEP("GET", BASE "k", 206, .range = "bytes=3-6",
		         .headers = "Content-Range: bytes 3-6/12", .body = S("lo, ")) },
		  0,
		  "lo, " },
		{ 3,
		  0,
		  { STEP("GET", BASE "k", 206, .range = "bytes=3-",
		         .headers = "Content-Range: bytes 3-11/12", .body = S("lo, world")) },
		  0,
		  "lo, world" },
		{ 3,
		  9,
		  { STEP("GET", BASE "k", 206, .range = "bytes=3-11",
		         .headers = "Content-Range: bytes 3-11/12", .body = S("lo,"), .cut = true),
		    STEP("GET", BASE "k", 206, .range = "bytes=6-11",
		         .headers = "Content-Range: bytes 6-11/12", .body = S(" world")) },
		  0,
		  "lo, world" },
		/* a server without ranges */
		{ 3,
		  4,
		  { STEP("GET", BASE "k", 200, .range = "bytes=3-6", .body = S("hello, world")) },
		  0,
		  "lo, " },
		/* lies */
		{ 3,
		  4,
		  { STEP("GET", BASE "k", 206, .range = "bytes=3-6",
		         .headers = "Content-Range: bytes 4-7/12", .body = S("o, w")) },
		  CAIRN_E_SYNTAX,
		  NULL },
		{ 3,
		  4,
		  { STEP("GET", BASE "k", 206, .range = "bytes=3-6", .body = S("lo, ")) },
		  CAIRN_E_SYNTAX,
		  NULL },
		/* too short, too long */
		{ 10,
		  5,
		  { STEP("GET", BASE "k", 206, .range = "bytes=10-14",
		         .headers = "Content-Range: bytes 10-11/12", .body = S("ld")) },
		  CAIRN_E_DIGEST,
		  NULL },
		{ 20,
		  5,
		  { STEP("GET", BASE "k", 416, .range = "bytes=20-24") },
		  CAIRN_E_DIGEST,
		  NULL },
		{ 0,
		  0,
		  { STEP("GET", BASE "k", 200, .body = S("more than twenty bytes")) },
		  CAIRN_E_SYNTAX,
		  NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;
		struct s3_get get = { "k", cases[i].offset, cases[i].len, NULL, &out };
		struct cairn_err err = { .msg = "" };
		cleanup_free char *etag = NULL;
		bool found = false;
		struct world w;
		int rc;

		strbuf_init(&out, 20);
		begin(&w, cases[i].steps);
		rc = s3_get(w.s3, &get, &found, &etag, &err);
		if (rc != cases[i].code)
			fail_msg("case %zu: %d %s", i, rc, err.msg);
		assert_int_equal(found, rc == 0 && cases[i].want);
		if (cases[i].want)
			assert_str(strbuf_view(&out), cases[i].want);
		end(&w);
	}
}

void test_s3__head(void **state)
{
	static const struct {
		struct fake_step steps[STEPS_MAX];
		int code;
		bool found;
		uint64_t size;
	} cases[] = {
		{ { STEP("HEAD", BASE "k", 200, .headers = "Content-Length: 7") }, 0, true, 7 },
		{ { STEP("HEAD", BASE "k", 404) }, 0, false, 0 },
		{ { STEP("HEAD", BASE "k", 200) }, CAIRN_E_SYNTAX, false, 0 },
		/* a refusal is asked for its reason */
		{ { STEP("HEAD", BASE "k", 403), STEP("GET", BASE "k", 403, .range = "bytes=0-0",
		                                      .body = XML_ERROR("AccessDenied")) },
		  CAIRN_E_AUTH,
		  false,
		  0 },
		{ { STEP("HEAD", BASE "k", 400),
		    STEP("GET", BASE "k", 400, .range = "bytes=0-0",
		         .body = S("<Error><Code>AuthorizationHeaderMalformed</Code>"
		                   "<Region>eu-west-1</Region></Error>")),
		    STEP("GET", "https://bucket.s3.eu-west-1.amazonaws.com/k", 206,
		         .range = "bytes=0-0", .headers = "Content-Range: bytes 0-0/9",
		         .body = S("x")) },
		  0,
		  true,
		  9 },
		{ { STEP("HEAD", BASE "k", 403), STEP("GET", BASE "k", 416, .range = "bytes=0-0",
		                                      .body = XML_ERROR("InvalidRange")) },
		  0,
		  true,
		  0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t size = 0;
		struct cairn_err err;
		struct world w;
		bool found = false;

		begin(&w, cases[i].steps);
		assert_fails(s3_head(w.s3, "k", &found, &size, &err), cases[i].code);
		assert_int_equal(found, cases[i].found);
		assert_int_equal(size, cases[i].size);
		end(&w);
	}
}

/* --- writing
 * -------------------------------------------------------------------------------------- */

void test_s3__put(void **state)
{
	static const struct {
		struct s3_put put; /* fd 1: a file with the same bytes */
		struct fake_step steps[STEPS_MAX];
		int code;
		bool lost;
	} cases[] = {
		{ { .fd = -1, .bytes = S("hello") },
		  { STEP("PUT", BASE "k", 200, .request_body = "hello",
		         .sends = "x-amz-content-sha256: " HELLO
		                  "\nContent-Type: application/octet-stream") },
		  0,
		  false },
		{ { .fd = -1 },
		  { STEP("PUT", BASE "k", 200, .request_body = "",
		         .sends = "x-amz-content-sha256: " EMPTY) },
		  0,
		  false },
		{ { .fd = 1 },
		  { STEP("PUT", BASE "k", 200, .request_body = "",
		         .sends = "x-amz-content-sha256: " EMPTY) },
		  0,
		  false },
		/* over https a file is not read twice */
		{ { .fd = 1, .size = 5 },
		  { STEP("PUT", BASE "k", 200, .request_body = "hello",
		         .sends = "x-amz-content-sha256: UNSIGNED-PAYLOAD") },
		  0,
		  false },
		{ { .fd = -1, .bytes = S("hello"), .if_absent = true },
		  { STEP("PUT", BASE "k", 412, .sends = "If-None-Match: *",
		         .body = XML_ERROR("PreconditionFailed")) },
		  0,
		  true },
		{ { .fd = -1, .bytes = S("hello"), .if_etag = "\"1\"" },
		  { STEP("PUT", BASE "k", 409, .sends = "If-Match: \"1\"",
		         .body = XML_ERROR("ConditionalRequestConflict")),
		    STEP("PUT", BASE "k", 200, .sends = "If-Match: \"1\"") },
		  0,
		  false },
		{ { .fd = -1, .bytes = S("hello"), .if_etag = "\"1\"" },
		  { STEP("PUT", BASE "k", 404, .body = XML_ERROR("NoSuchKey")) },
		  0,
		  true },
		{ { .fd = -1, .bytes = S("hello"), .if_absent = true },
		  { STEP("PUT", BASE "k", 404, .body = XML_ERROR("NoSuchBucket")) },
		  CAIRN_E_NOT_FOUND,
		  false },
		{ { .fd = -1, .bytes = S("hello") },
		  { STEP("PUT", BASE "k", 403, .body = XML_ERROR("AccessDenied")) },
		  CAIRN_E_AUTH,
		  false },
		{ { .fd = -1, .bytes = S("hello") },
		  { STEP("PUT", BASE "k", 409, .body = XML_ERROR("OperationAborted")),
		    STEP("PUT", BASE "k", 409, .body = XML_ERROR("OperationAborted")),
		    STEP("PUT", BASE "k", 409, .body = XML_ERROR("OperationAborted")),
		    STEP("PUT", BASE "k", 409, .body = XML_ERROR("OperationAborted")),
		    STEP("PUT", BASE "k", 409, .body = XML_ERROR("OperationAborted")) },
		  CAIRN_E_TRANSIENT,
		  false },
	};
	cleanup_fd int fd = -1;

	(void)state;
	harness_write("hello", S("hello"));
	fd = openat(harness_dirfd(), "hello", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct s3_put put = cases[i].put;
		struct cairn_err err = { .msg = "" };
		struct world w;
		bool lost = false;
		int rc;

		put.key = "k";
		if (put.fd == 1)
			put.fd = fd;
		begin(&w, cases[i].steps);
		rc = s3_put(w.s3, &put, &lost, &err);
		if (rc != cases[i].code || lost != cases[i].lost)
			fail_msg("case %zu: %d %d %s", i, rc, lost, err.msg);
		end(&w);
	}
}

/* A file over plain HTTP is hashed first; a hash that is known is not made again. */
void test_s3__put_signs_files(void **state)
{
	static const char url[] = "http://127.0.0.1:9/bucket/k";
	static const struct fake_step steps[STEPS_MAX] = {
		STEP("PUT", url, 200, .request_body = "hello",
		     .sends = "x-amz-content-sha256: " HELLO),
		STEP("PUT", url, 200, .request_body = "hello",
		     .sends = "x-amz-content-sha256: " EMPTY),
	};
	struct digest other = digest_of("", 0);
	struct s3_put put = { .key = "k", .size = 5 };
	cleanup_fd int fd = -1;
	struct cairn_err err;
	struct world w;
	bool lost;

	(void)state;
	harness_write("hello", S("hello"));
	put.fd = fd = openat(harness_dirfd(), "hello", O_RDONLY | O_CLOEXEC);
	begin_at(&w, steps, "http://127.0.0.1:9", "bucket", false);
	assert_ok(s3_put(w.s3, &put, &lost, &err));
	put.sha256 = &other; /* believed: the server compares */
	assert_ok(s3_put(w.s3, &put, &lost, &err));
	put.sha256 = NULL;
	put.size = 6;
	assert_fails(s3_put(w.s3, &put, &lost, &err), CAIRN_E_SYSTEM);
	end(&w);
}

void test_s3__delete(void **state)
{
	static const struct {
		struct fake_step steps[STEPS_MAX];
		int code;
	} cases[] = {
		{ { STEP("DELETE", BASE "k", 204) }, 0 },
		{ { STEP("DELETE", BASE "k", 404, .body = XML_ERROR("NoSuchKey")) }, 0 },
		{ { STEP("DELETE", BASE "k", 404, .body = XML_ERROR("NoSuchBucket")) },
		  CAIRN_E_NOT_FOUND },
		{ { STEP("DELETE", BASE "k", 403, .body = XML_ERROR("AccessDenied")) },
		  CAIRN_E_AUTH },
	};
	struct cairn_err err;
	struct world w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(&w, cases[i].steps);
		assert_fails(s3_delete(w.s3, "k", &err), cases[i].code);
		end(&w);
	}
}

/* --- listing
 * --------------------------------------------------------------------------------------- */

#define LIST(token) BASE "?" token "encoding-type=url&list-type=2&prefix=p%2F"
#define KEY(k)                                                                            \
	"<Contents><Key>" k "</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>" \
	"<Size>7</Size></Contents>"
#define RESULT(text)                                  \
	S("<?xml version=\"1.0\"?><ListBucketResult " \
	  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" text "</ListBucketResult>")
#define URL_ENCODED "<EncodingType>url</EncodingType>"
#define MORE(token) \
	"<IsTruncated>true</IsTruncated><NextContinuationToken>" token "</NextContinuationToken>"

static int note(void *ctx, const struct s3_object *o, struct cairn_err *err)
{
	if (strcmp(o->key, "p/stop") == 0)
		return cairn_fail(err, CAIRN_E_EXISTS, "stop");
	strbuf_printf(ctx, "%s %llu %lld|", o->key, (unsigned long long)o->size,
	              (long long)(o->modified / CLOCK_SEC));
	return 0;
}

void test_s3__list(void **state)
{
	static const struct {
		struct fake_step steps[STEPS_MAX];
		int code;
		const char *want;
	} cases[] = {
		{ { STEP("GET", LIST(""), 200,
		         .body = RESULT("<IsTruncated>false</IsTruncated>")) },
		  0,
		  "" },
		{ { STEP("GET", LIST(""), 200,
		         .body = RESULT(MORE("t/=") KEY("p/a+b%2B%26%C3%BC") URL_ENCODED)),
		    STEP("GET", LIST("continuation-token=t%2F%3D&"), 200,
		         .body = RESULT(KEY("p/z"))) },
		  0,
		  "p/a b+&\xc3\xbc 7 1767323045|p/z 7 1767323045|" },
		/* a server that does not encode */
		{ { STEP("GET", LIST(""), 200, .body = RESULT(KEY("p/a+b%2B&amp;"))) },
		  0,
		  "p/a+b%2B& 7 1767323045|" },
		{ { STEP("GET", LIST(""), 200,
		         .body = RESULT(KEY("p/a") KEY("p/stop") KEY("p/z"))) },
		  CAIRN_E_EXISTS,
		  "p/a 7 1767323045|" },
		/* lies */
		{ { STEP("GET", LIST(""), 200, .body = RESULT(KEY("other"))) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 200, .body = RESULT(URL_ENCODED KEY("p/%00"))) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 200, .body = RESULT("<Contents></Contents>")) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 200,
		         .body = RESULT("<Contents><Size>-1</Size></Contents>")) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 200, .body = RESULT("<IsTruncated>true</IsTruncated>")) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 200, .body = S("<ListBucketResult>")) },
		  CAIRN_E_SYNTAX,
		  "" },
		{ { STEP("GET", LIST(""), 403, .body = XML_ERROR("AccessDenied")) },
		  CAIRN_E_AUTH,
		  "" },
		{ { STEP("GET", LIST(""), 404, .body = XML_ERROR("NoSuchBucket")) },
		  CAIRN_E_NOT_FOUND,
		  "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;
		struct cairn_err err = { .msg = "" };
		struct world w;
		int rc;

		strbuf_init(&out, 1000);
		begin(&w, cases[i].steps);
		rc = s3_list(w.s3, "p/", note, &out, &err);
		if (rc != cases[i].code)
			fail_msg("case %zu: %d %s", i, rc, err.msg);
		assert_str(strbuf_view(&out), cases[i].want);
		end(&w);
	}
}

/* A list that leads back to itself ends. */
void test_s3__list_without_an_end(void **state)
{
	static const struct fake_step steps[STEPS_MAX] = {
		STEP("GET", LIST(""), 200, .body = RESULT(KEY("p/a") MORE("t"))),
		STEP("GET", LIST("continuation-token=t&"), 200,
		     .body = RESULT(KEY("p/a") MORE("t"))),
	};
	struct strbuf out cleanup_strbuf;
	struct cairn_err err;
	struct world w;

	(void)state;
	strbuf_init(&out, 1000);
	begin(&w, steps);
	assert_fails(s3_list(w.s3, "p/", note, &out, &err), CAIRN_E_SYNTAX);
	end(&w);
}
