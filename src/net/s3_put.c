/* net/s3_put.c - writing objects in one request. */
#include <stdio.h>

#include "s3_priv.h"
#include "util/fs.h"

#define HASH_CHUNK (256u << 10)

size_t s3_condition(const struct s3_put *put, struct http_field ret[1])
{
	if (put->if_absent)
		ret[0] = (struct http_field){ "If-None-Match", "*" };
	else if (put->if_etag)
		ret[0] = (struct http_field){ "If-Match", put->if_etag };
	return put->if_absent || put->if_etag ? 1 : 0;
}

/* A condition did not hold; 404: If-Match of an object that is not there any more. */
static bool is_lost(const struct s3_call *call, int status, const struct aws_error *e)
{
	if (status == 412 || strcmp(e->code, "PreconditionFailed") == 0)
		return true;
	return status == 404 && call->n_fields && strcmp(e->code, "NoSuchBucket") != 0 &&
	       strcmp(e->code, "NoSuchUpload") != 0;
}

int s3_outcome(struct s3_client *c, const struct s3_call *call, const struct http_response *r,
               enum s3_outcome *ret, struct cairn_err *err)
{
	struct aws_error e;

	aws_error_read(r, &e);
	/* A multipart upload's end may say 200 first and fail then. */
	if (r->status / 100 == 2 && !e.code[0])
		*ret = S3_WRITTEN;
	else if (is_lost(call, r->status, &e))
		*ret = S3_LOST;
	else if (r->status == 409 || strcmp(e.code, "ConditionalRequestConflict") == 0 ||
	         strcmp(e.code, "NoSuchUpload") == 0)
		*ret = S3_CONFLICT;
	else
		return s3_fail_as(c, call, r->status, &e, err);
	return 0;
}

static int hash_file(int fd, uint64_t offset, uint64_t len, struct digest *ret,
                     struct cairn_err *err)
{
	cleanup_free char *buf = xmalloc(HASH_CHUNK);
	struct sha256 h;

	sha256_init(&h);
	while (len) {
		ssize_t n =
			pread(fd, buf, len < HASH_CHUNK ? (size_t)len : HASH_CHUNK, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? cairn_fail_sys(err, "reading what is to be sent")
			             : cairn_fail(err, CAIRN_E_SYSTEM,
			                          "what is to be sent became shorter");
		sha256_add(&h, buf, (size_t)n);
		offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	*ret = sha256_end(&h);
	return 0;
}

int s3_payload(struct s3_client *c, const struct s3_put *put, struct s3_payload *p,
               struct s3_call *call, struct cairn_err *err)
{
	bool file = put->fd >= 0 && p->len;
	struct digest d;

	if (file) {
		p->file = (struct http_file){ put->fd, p->offset };
		p->source = http_file_source(&p->file, p->len);
		call->source = &p->source;
	} else if (p->len) {
		call->body = str_n(put->bytes.ptr + p->offset, (size_t)p->len);
	}
	call->hash = p->hash;
	if (p->known) {
		d = *p->known;
	} else if (!file) {
		d = digest_of(call->body.ptr, call->body.len);
	} else if (s3_unsigned_ok(c, err)) {
		call->hash = "UNSIGNED-PAYLOAD";
		return 0;
	} else {
		TRY(hash_file(put->fd, p->offset, p->len, &d, err));
	}
	(void)snprintf(p->hash, sizeof(p->hash), "%s", digest_hex(&d).s);
	return 0;
}

static int put_once(struct s3_client *c, const struct s3_put *put, uint64_t size,
                    enum s3_outcome *ret, struct http_response *r, struct cairn_err *err)
{
	struct http_field condition[1];
	struct s3_call call = { .method = "PUT",
		                .action = "s3:PutObject",
		                .key = put->key,
		                .fields = condition,
		                .n_fields = s3_condition(put, condition),
		                .max_body = HTTP_ERROR_MAX };
	struct s3_payload p = { .len = size, .known = put->sha256 };

	TRY(s3_payload(c, put, &p, &call, err));
	TRY(s3_send(c, &call, r, err));
	return s3_outcome(c, &call, r, ret, err);
}

int s3_put(struct s3_client *c, const struct s3_put *put, bool *ret_lost, struct cairn_err *err)
{
	uint64_t size = put->fd >= 0 ? put->size : put->bytes.len;
	struct http_retry retry = { 0 };
	enum s3_outcome outcome;

	for (;;) {
		struct http_response r cleanup_http_response;

		http_response_init(&r);
		if (size <= S3_PUT_MAX)
			TRY(put_once(c, put, size, &outcome, &r, err));
		else
			TRY(s3_put_parts(c, put, &outcome, err));
		if (outcome != S3_CONFLICT)
			break;
		(void)cairn_fail(err, CAIRN_E_TRANSIENT,
		                 "s3://%s/%.200s: others write it all the time", c->bucket,
		                 put->key);
		TRY(http_retry_wait(c->http, &retry, NULL, err));
	}
	*ret_lost = outcome == S3_LOST;
	return 0;
}
