/* net/s3_list.c - ListObjectsV2
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html).
 */
#include "s3_priv.h"
#include "util/clock.h"
#include "util/num.h"
#include "xml.h"

#define PAGE_MAX  (8u << 20) /* bytes of a page: 1000 keys, three times as long when encoded */
#define PAGES_MAX 100000u    /* a server that never comes to an end */
#define TOKEN_MAX 4096u

/* A listing, and the page of it that is being read. */
struct listing {
	struct s3_client *c;
	const char *prefix;
	int (*fn)(void *ctx, const struct s3_object *o, struct cairn_err *err);
	void *ctx;
	struct strbuf key;        /* of the object being read, decoded */
	struct strbuf token;      /* of the next page; empty: none */
	char last[TOKEN_MAX + 1]; /* of this page */
	struct s3_object now;
	bool truncated, encoded;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* encoding-type=url, where a blank is '+'. */
static void decode_key(struct listing *l, str text)
{
	strbuf_clear(&l->key);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		int hi, lo;

		if (c == '%' && i + 2 < text.len && (hi = hex_digit(text.ptr[i + 1])) >= 0 &&
		    (lo = hex_digit(text.ptr[i + 2])) >= 0) {
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		strbuf_char(&l->key, c);
	}
}

static int deliver(struct listing *l, struct cairn_err *err)
{
	str key = strbuf_view(&l->key);

	if (!key.len || str_find(key, '\0') >= 0 || !str_starts(key, str_of(l->prefix)))
		return cairn_fail(err, CAIRN_E_SYNTAX, "S3 lists keys that were not asked for");
	TRY(strbuf_check(&l->key, "a key", err));
	l->now.key = l->key.ptr;
	TRY(l->fn(l->ctx, &l->now, err));
	l->now = (struct s3_object){ 0 };
	strbuf_clear(&l->key);
	return 0;
}

static int on_element(void *ctx, const char *path, str text, struct cairn_err *err)
{
	struct listing *l = ctx;

	if (strcmp(path, "ListBucketResult/Contents") == 0)
		return deliver(l, err);
	if (strcmp(path, "ListBucketResult/Contents/Key") == 0) {
		if (l->encoded) {
			decode_key(l, text);
		} else {
			strbuf_clear(&l->key);
			strbuf_str(&l->key, text);
		}
	} else if (strcmp(path, "ListBucketResult/Contents/Size") == 0) {
		return num_u64(str_trim(text), INT64_MAX, &l->now.size, err);
	} else if (strcmp(path, "ListBucketResult/Contents/LastModified") == 0) {
		return clock_parse(str_trim(text), &l->now.modified, err);
	} else if (strcmp(path, "ListBucketResult/IsTruncated") == 0) {
		l->truncated = str_is(str_trim(text), "true");
	} else if (strcmp(path, "ListBucketResult/NextContinuationToken") == 0) {
		strbuf_clear(&l->token);
		strbuf_str(&l->token, str_trim(text));
	}
	return 0;
}

/* The answer may name its encoding behind the keys: look first. */
static int on_encoding(void *ctx, const char *path, str text, struct cairn_err *err)
{
	struct listing *l = ctx;

	(void)err;
	if (strcmp(path, "ListBucketResult/EncodingType") == 0)
		l->encoded = str_is(str_trim(text), "url");
	return 0;
}

static int page(struct listing *l, struct cairn_err *err)
{
	struct http_response r cleanup_http_response;
	struct strbuf query cleanup_strbuf;
	struct s3_call call = { .method = "GET", .action = "s3:ListBucket", .max_body = PAGE_MAX };
	int rc;

	http_response_init(&r);
	strbuf_init(&query, HTTP_URL_MAX);
	if (l->token.len) {
		strbuf_cstr(&query, "continuation-token=");
		http_escape(&query, strbuf_view(&l->token));
		strbuf_char(&query, '&');
	}
	strbuf_cstr(&query, "encoding-type=url&list-type=2&prefix=");
	http_escape(&query, str_of(l->prefix));
	TRY(strbuf_check(&query, "the prefix of a listing", err));
	call.query = query.ptr;
	TRY(s3_send(l->c, &call, &r, err));
	if (r.status != 200)
		return s3_fail(l->c, &call, &r, err);
	memcpy(l->last, l->token.ptr, l->token.len + 1);
	strbuf_clear(&l->token);
	l->truncated = l->encoded = false;
	rc = xml_parse(strbuf_view(&r.body), on_encoding, l, err);
	if (rc == 0)
		rc = xml_parse(strbuf_view(&r.body), on_element, l, err);
	return rc < 0 ? cairn_wrap(err, "listing s3://%s/%.200s", l->c->bucket, l->prefix) : 0;
}

int s3_list(struct s3_client *c, const char *prefix,
            int (*fn)(void *ctx, const struct s3_object *o, struct cairn_err *err), void *ctx,
            struct cairn_err *err)
{
	struct listing l = { .c = c, .prefix = prefix, .fn = fn, .ctx = ctx };
	int rc = 0;

	strbuf_init(&l.key, S3_KEY_MAX);
	strbuf_init(&l.token, TOKEN_MAX);
	for (unsigned n = 0;; n++) {
		rc = page(&l, err);
		if (rc < 0 || !l.truncated)
			break;
		rc = strbuf_check(&l.token, "S3's continuation token", err);
		if (rc == 0 && (!l.token.len || n == PAGES_MAX || strcmp(l.token.ptr, l.last) == 0))
			rc = cairn_fail(err, CAIRN_E_SYNTAX,
			                "listing s3://%s/%.200s: it has no end", c->bucket, prefix);
		if (rc < 0)
			break;
	}
	strbuf_done(&l.key);
	strbuf_done(&l.token);
	return rc;
}
