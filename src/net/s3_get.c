/* net/s3_get.c - reading objects. */
#include <stdio.h>

#include "s3_priv.h"
#include "util/num.h"

/* After so much progress a broken connection counts as the first again. */
#define PROGRESS_BYTES (1u << 20)

#define ETAG_MAX 256u

/* An object, or a range of it, on its way. */
struct transfer {
	const struct s3_get *get;
	uint64_t done;       /* bytes delivered */
	uint64_t pos;        /* where in the object the next arriving byte lies */
	char etag[ETAG_MAX]; /* of the first answer; "" */
	bool changed;        /* a later answer was about another object */
};

static uint64_t wanted(const struct transfer *t)
{
	return t->get->offset + t->done;
}

/* First byte's position in "bytes 100-199/200". */
static int range_start(const struct http_response *r, uint64_t *ret, struct cairn_err *err)
{
	str s = str_of(http_header(r, "Content-Range")), first, rest;

	if (!str_starts(s, S("bytes ")) || !str_cut(str_trim(str_skip(s, 6)), '-', &first, &rest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "S3 sent a senseless Content-Range");
	return num_u64(str_trim(first), UINT64_MAX, ret, err);
}

static int on_begin(void *ctx, const struct http_response *r, struct cairn_err *err)
{
	struct transfer *t = ctx;
	const char *etag = http_header(r, "ETag");

	if (etag && strlen(etag) >= sizeof(t->etag))
		etag = NULL; /* no server's */
	t->pos = 0;          /* 200: everything */
	if (r->status == 206)
		TRY(range_start(r, &t->pos, err));
	if (t->pos > wanted(t))
		return cairn_fail(err, CAIRN_E_SYNTAX, "S3 sent another range than asked for");
	t->changed = t->done && etag && t->etag[0] && strcmp(etag, t->etag) != 0;
	if (t->changed) /* no code that means "try the same again" */
		return cairn_fail(err, CAIRN_E_DIGEST, "the object changed while it was read");
	if (!t->done && etag)
		(void)snprintf(t->etag, sizeof(t->etag), "%s", etag);
	return 0;
}

/* Bytes before the wanted ones are dropped (a server without ranges), and those behind. */
static int on_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct transfer *t = ctx;
	const struct s3_get *g = t->get;
	uint64_t skip = wanted(t) - t->pos;
	const char *bytes = p;

	if (skip > n)
		skip = n;
	t->pos += skip;
	bytes += skip;
	n -= (size_t)skip;
	if (g->len && n > g->len - t->done)
		n = (size_t)(g->len - t->done);
	if (!n)
		return 0;
	if (g->sink) {
		TRY(g->sink->write(g->sink->ctx, bytes, n, err));
	} else {
		strbuf_add(g->out, bytes, n);
		TRY(strbuf_check(g->out, "an object", err));
	}
	t->done += n;
	t->pos += n;
	return 0;
}

/* The caller's begin, before its first byte. */
static int on_first(void *ctx, const struct http_response *r, struct cairn_err *err)
{
	struct transfer *t = ctx;
	const struct http_sink *sink = t->get->sink;
	bool first = t->done == 0;

	TRY(on_begin(ctx, r, err));
	return first && sink && sink->begin ? sink->begin(sink->ctx, r, err) : 0;
}

/* One attempt, from where the last one ended. */
static int attempt(struct s3_client *c, struct transfer *t, bool *ret_found, struct cairn_err *err)
{
	const struct s3_get *g = t->get;
	const struct http_sink sink = { on_first, on_bytes, t };
	struct http_response r cleanup_http_response;
	struct http_field fields[2];
	struct s3_call call = { .method = "GET",
		                .action = "s3:GetObject",
		                .key = g->key,
		                .fields = fields,
		                .sink = &sink };
	struct aws_error e;
	char range[64], end[24] = "";

	http_response_init(&r);
	if (g->len)
		(void)snprintf(end, sizeof(end), "%llu",
		               (unsigned long long)(g->offset + g->len - 1));
	(void)snprintf(range, sizeof(range), "bytes=%llu-%s", (unsigned long long)wanted(t), end);
	if (wanted(t) || g->len)
		fields[call.n_fields++] = (struct http_field){ "Range", range };
	if (t->done && t->etag[0])
		fields[call.n_fields++] = (struct http_field){ "If-Match", t->etag };
	TRY(s3_send(c, &call, &r, err));
	*ret_found = true;
	if (r.status == 200 || r.status == 206)
		return 0;
	aws_error_read(&r, &e);
	if (r.status == 404 && strcmp(e.code, "NoSuchBucket") != 0 && !t->done) {
		*ret_found = false;
		return 0;
	}
	if (t->done && (r.status == 412 || r.status == 404))
		return cairn_fail(err, CAIRN_E_TRANSIENT,
		                  "s3://%s/%.200s changed while it was read", c->bucket, g->key);
	if (r.status == 416)
		return cairn_fail(err, CAIRN_E_DIGEST, "s3://%s/%.200s ends before its byte %llu",
		                  c->bucket, g->key, (unsigned long long)wanted(t));
	return s3_fail_as(c, &call, r.status, &e, err);
}

int s3_get(struct s3_client *c, const struct s3_get *get, bool *ret_found, char **ret_etag,
           struct cairn_err *err)
{
	struct transfer t = { .get = get };
	struct http_retry retry = { .reading = get->sink != NULL };
	bool found = false;

	for (;;) {
		uint64_t before = t.done;
		int rc = attempt(c, &t, &found, err);

		if (rc == 0)
			break;
		if (t.changed) {
			err->code = CAIRN_E_TRANSIENT;
			return CAIRN_E_TRANSIENT;
		}
		if (rc != CAIRN_E_TRANSIENT || t.done == before)
			return rc;
		if (t.done - before >= PROGRESS_BYTES)
			retry.used = 0;
		TRY(http_retry_wait(c->http, &retry, NULL, err));
	}
	if (found && get->len && t.done < get->len)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "s3://%s/%.200s has only %llu of %llu bytes from byte %llu on",
		                  c->bucket, get->key, (unsigned long long)t.done,
		                  (unsigned long long)get->len, (unsigned long long)get->offset);
	*ret_found = found;
	if (ret_etag)
		*ret_etag = found && t.etag[0] ? xstrdup(t.etag) : NULL;
	return 0;
}

/* --- HEAD ------------------------------------------------------------------------------------- */

static int length(const char *digits, uint64_t *ret, struct cairn_err *err)
{
	if (num_u64(str_trim(str_of(digits)), INT64_MAX, ret, err) < 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "S3 sent no size of the object");
	return 0;
}

/* A refusal of HEAD has no body that says why: ask for one byte. That also renews credentials and
 * finds the region, which HEAD cannot. */
static int head_by_get(struct s3_client *c, const char *key, bool *ret_found, uint64_t *ret_size,
                       struct cairn_err *err)
{
	static const struct http_field range = { "Range", "bytes=0-0" };
	struct http_response r cleanup_http_response;
	const struct s3_call call = { .method = "GET",
		                      .action = "s3:GetObject",
		                      .key = key,
		                      .fields = &range,
		                      .n_fields = 1,
		                      .max_body = HTTP_ERROR_MAX };
	const char *total;
	struct aws_error e;

	http_response_init(&r);
	TRY(s3_send(c, &call, &r, err));
	aws_error_read(&r, &e);
	*ret_found = r.status / 100 == 2 || r.status == 416; /* 416: it is empty */
	*ret_size = r.body.len;
	if (r.status == 416)
		*ret_size = 0;
	if (r.status == 206) {
		total = strrchr(http_header(&r, "Content-Range") ? http_header(&r, "Content-Range")
		                                                 : "",
		                '/');
		return length(total ? total + 1 : "", ret_size, err);
	}
	if (*ret_found || (r.status == 404 && strcmp(e.code, "NoSuchBucket") != 0))
		return 0;
	return s3_fail_as(c, &call, r.status, &e, err);
}

int s3_head(struct s3_client *c, const char *key, bool *ret_found, uint64_t *ret_size,
            struct cairn_err *err)
{
	struct http_response r cleanup_http_response;
	const struct s3_call call = { .method = "HEAD", .action = "s3:GetObject", .key = key };
	uint64_t size = 0;
	bool found = false;

	http_response_init(&r);
	TRY(s3_send(c, &call, &r, err));
	if (r.status == 200) {
		found = true;
		TRY(length(http_header(&r, "Content-Length"), &size, err));
	} else if (r.status == 400 || r.status == 401 || r.status == 403) {
		TRY(head_by_get(c, key, &found, &size, err));
	} else if (r.status != 404) {
		return s3_fail(c, &call, &r, err);
	}
	*ret_found = found;
	if (ret_size)
		*ret_size = size;
	return 0;
}
