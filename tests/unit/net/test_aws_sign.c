/* Signature Version 4: AWS's published vectors.
 *
 * The "get-vanilla" family is the Signature Version 4 test suite that AWS published; the "s3"
 * ones are the examples of its S3 documentation (Authenticating requests: using the Authorization
 * header). tests/integration/aws.bats compares with botocore.
 */
#include "harness.h"

#include "net/aws_sign.h"
#include "util/clock.h"
#include "util/digest.h"

#define EXAMPLE      "https://example.amazonaws.com"
#define BUCKET       "https://examplebucket.s3.amazonaws.com"
#define SUITE_DATE   (1440938160 * CLOCK_SEC) /* 20150830T123600Z */
#define S3_DATE      (1369353600 * CLOCK_SEC) /* 20130524T000000Z */
#define FIELDS_MAX   3u
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static char suite_id[] = "AKIDEXAMPLE";
static char suite_secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
static char s3_id[] = "AKIAIOSFODNN7EXAMPLE";
static char s3_secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const struct aws_creds suite = { .id = suite_id, .secret = suite_secret };
static const struct aws_creds s3_user = { .id = s3_id, .secret = s3_secret };

struct vector {
	const char *method, *url;
	struct http_field fields[FIELDS_MAX];
	const char *body;
	const char *names, *signature; /* what must come out */
};

static void check(const struct aws_sign *sign, const struct vector *v)
{
	struct http_request req = { .method = v->method, .url = v->url, .fields = v->fields };
	struct aws_signed is cleanup_aws_signed = { 0 };
	cleanup_free char *names = xasprintf("SignedHeaders=%s,", v->names);
	cleanup_free char *signature = xasprintf("Signature=%s", v->signature);
	struct cairn_err err;

	while (req.n_fields < FIELDS_MAX && v->fields[req.n_fields].name)
		req.n_fields++;
	req.body = str_of(v->body);
	assert_ok(aws_sign(sign, &req, &is, &err));
	if (!strstr(is.authorization, names) ||
	    !str_ends(str_of(is.authorization), str_of(signature)))
		fail_msg("%s %s: %s", v->method, v->url, is.authorization);
}

void test_aws_sign__suite(void **state)
{
	static const struct vector vectors[] = {
		/* get-vanilla */
		{ "GET", EXAMPLE "/", .names = "host;x-amz-date",
		  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
		/* get-vanilla-query-order-key-case */
		{ "GET", EXAMPLE "/?Param2=value2&Param1=value1", .names = "host;x-amz-date",
		  .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500" },
		/* post-vanilla */
		{ "POST", EXAMPLE "/", .names = "host;x-amz-date",
		  .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b" },
		/* normalised: get-relative, get-slash, get-slash-dot-slash */
		{ "GET", EXAMPLE "/example/..", .names = "host;x-amz-date",
		  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
		{ "GET", EXAMPLE "//", .names = "host;x-amz-date",
		  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
		{ "GET", EXAMPLE "/./", .names = "host;x-amz-date",
		  .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31" },
		/* get-header-value-trim */
		{ "GET",
		  EXAMPLE "/",
		  { { "My-Header1", " value1" }, { "My-Header2", " \"a   b   c\"" } },
		  .names = "host;my-header1;my-header2;x-amz-date",
		  .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736" },
		/* post-x-www-form-urlencoded */
		{ "POST",
		  EXAMPLE "/",
		  { { "Content-Type", "application/x-www-form-urlencoded" } },
		  .body = "Param1=value1",
		  .names = "content-type;host;x-amz-date",
		  .signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a" },
	};
	const struct aws_sign sign = { &suite, "service", "us-east-1", SUITE_DATE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check(&sign, &vectors[i]);
}

void test_aws_sign__s3(void **state)
{
	static const struct vector vectors[] = {
		{ "GET",
		  BUCKET "/test.txt",
		  { { "Range", "bytes=0-9" } },
		  .names = "host;range;x-amz-content-sha256;x-amz-date",
		  .signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41" },
		{ "PUT",
		  BUCKET "/test%24file.text",
		  { { "Date", "Fri, 24 May 2013 00:00:00 GMT" },
		    { "x-amz-storage-class", "REDUCED_REDUNDANCY" } },
		  .body = "Welcome to Amazon S3.",
		  .names = "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
		  .signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd" },
		{ "GET", BUCKET "/?lifecycle", .names = "host;x-amz-content-sha256;x-amz-date",
		  .signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543" },
		{ "GET", BUCKET "/?max-keys=2&prefix=J",
		  .names = "host;x-amz-content-sha256;x-amz-date",
		  .signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7" },
	};
	const struct aws_sign sign = { &s3_user, "s3", "us-east-1", S3_DATE };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++)
		check(&sign, &vectors[i]);
}

void test_aws_sign__path(void **state)
{
	static const struct {
		const char *path, *once, *twice;
	} cases[] = {
		{ "", "/", "/" },
		{ "/", "/", "/" },
		{ "/\xe1\x88\xb4", "/%E1%88%B4", "/%E1%88%B4" },                 /* get-utf8 */
		{ "/example space/", "/example%20space/", "/example%20space/" }, /* get-space */
		{ "/a%20b/c", "/a%20b/c", "/a%2520b/c" },
		{ "/%7euser", "/~user", "/%257euser" },
		{ "/a//b/./c/../d/", "/a//b/./c/../d/", "/a/b/d/" },
		{ "/../..", "/../..", "/" },
		{ "/%2", "/%252", "/%252" },
		{ "/a=b+c:d", "/a%3Db%2Bc%3Ad", "/a%3Db%2Bc%3Ad" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf once cleanup_strbuf, twice cleanup_strbuf;

		strbuf_init(&once, 1000);
		strbuf_init(&twice, 1000);
		aws_canonical_path(&once, str_of(cases[i].path), true);
		aws_canonical_path(&twice, str_of(cases[i].path), false);
		assert_str(strbuf_view(&once), cases[i].once);
		assert_str(strbuf_view(&twice), cases[i].twice);
	}
}

void test_aws_sign__query(void **state)
{
	static const char *const cases[][2] = {
		{ "", "" },
		{ "uploads", "uploads=" },
		{ "b=2&a=1&a=0&", "a=0&a=1&b=2" },
		{ "a=%7e%2f+", "a=~%2F%2B" },
		{ "a=b=c", "a=b%3Dc" },
		/* bytewise: upper case first, and by the name before the '=' */
		{ "a=1&B=2", "B=2&a=1" },
		{ "a-b=1&a=2", "a=2&a-b=1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct strbuf out cleanup_strbuf;

		strbuf_init(&out, 1000);
		aws_canonical_query(&out, str_of(cases[i][0]));
		assert_str(strbuf_view(&out), cases[i][1]);
	}
}

/* RFC 4231, cases 1, 2 and 6 (a key longer than a block). */
void test_aws_sign__hmac(void **state)
{
	char long_key[131], key[20];
	struct digest d;

	(void)state;
	memset(key, 0x0b, sizeof(key));
	memset(long_key, 0xaa, sizeof(long_key));
	d = aws_hmac(str_n(key, sizeof(key)), S("Hi There"));
	assert_string_equal(digest_hex(&d).s,
	                    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	d = aws_hmac(S("Jefe"), S("what do ya want for nothing?"));
	assert_string_equal(digest_hex(&d).s,
	                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	d = aws_hmac(str_n(long_key, sizeof(long_key)),
	             S("Test Using Larger Than Block-Size Key - Hash Key First"));
	assert_string_equal(digest_hex(&d).s,
	                    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* The value of a field that is to be sent, or NULL. */
static const char *sent(const struct aws_signed *is, const char *name)
{
	vec_foreach (f, &is->fields)
		if (str_eq_nocase(str_of(f->name), str_of(name)))
			return f->value;
	return NULL;
}

void test_aws_sign__what_is_sent(void **state)
{
	static char token[] = "TOKEN/+=";
	struct aws_creds creds = { .id = suite_id, .secret = suite_secret, .token = token };
	struct aws_sign sign = { &creds, "s3", "eu-west-1", SUITE_DATE };
	const struct http_field hash = { "X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD" };
	const struct http_source source = { .size = 1 };
	struct http_request req = { .method = "GET", .url = "http://127.0.0.1:5000/b/k?x=y" };
	struct cairn_err err;

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct aws_signed is cleanup_aws_signed = { 0 };

		sign.service = i == 3 ? "ecr" : "s3";
		req.fields = i == 1 ? &hash : NULL;
		req.n_fields = i == 1;
		req.source = i == 2 ? &source : NULL;
		if (i == 2) { /* a body that cannot be hashed here */
			assert_fails(aws_sign(&sign, &req, &is, &err), CAIRN_E_BUG);
			continue;
		}
		assert_ok(aws_sign(&sign, &req, &is, &err));
		assert_string_equal(sent(&is, "x-amz-date"), "20150830T123600Z");
		assert_string_equal(sent(&is, "x-amz-security-token"), token);
		if (i == 3)
			assert_null(sent(&is, "x-amz-content-sha256"));
		else
			assert_string_equal(sent(&is, "x-amz-content-sha256"),
			                    i == 1 ? "UNSIGNED-PAYLOAD" : EMPTY_SHA256);
		assert_non_null(strstr(is.authorization, "x-amz-security-token"));
		assert_null(strstr(is.authorization, token));
		assert_null(strstr(is.authorization, suite_secret));
	}
}
