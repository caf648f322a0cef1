/* net/s3_priv.h - what the files s3*.c share. */
#ifndef CAIRN_NET_S3_PRIV_H
#define CAIRN_NET_S3_PRIV_H

#include <pthread.h>

#include "aws_error.h"
#include "s3.h"

struct s3_client {
	struct aws *aws;
	struct http_client *http;
	char *bucket;
	char *endpoint; /* of another server, without a slash at its end; NULL: AWS's */
	bool path_style;
	pthread_mutex_t lock; /* of region */
	char region[AWS_REGION_MAX];
};

/* One request of the protocol. */
struct s3_call {
	const char *method;
	const char *action; /* what a policy has to allow: "s3:GetObject" */
	const char *key;    /* NULL: the bucket itself */
	const char *query;  /* percent-encoded, without '?'; NULL: none */
	const struct http_field *fields;
	size_t n_fields;
	str body;
	const struct http_source *source; /* instead of body; needs a hash */
	const char *hash;                 /* x-amz-content-sha256; NULL: of the body */
	const struct http_sink *sink;
	size_t max_body;
};

/* Send, once more when the bucket turns out to be in another region. */
int s3_send(struct s3_client *c, const struct s3_call *call, struct http_response *r,
            struct cairn_err *err);

/* Turn an answer that is a refusal into one line. */
int s3_fail(struct s3_client *c, const struct s3_call *call, const struct http_response *r,
            struct cairn_err *err);

/* The same, where the answer was read already. */
int s3_fail_as(struct s3_client *c, const struct s3_call *call, int status,
               const struct aws_error *e, struct cairn_err *err);

/* Is the payload to be left unsigned when its hash is not known? */
bool s3_unsigned_ok(struct s3_client *c, struct cairn_err *err);

/* --- writing (s3_put.c, s3_multipart.c) ---------------------------------------------- */

/* What became of a write. */
enum s3_outcome {
	S3_WRITTEN,
	S3_LOST,     /* a condition did not hold */
	S3_CONFLICT, /* another writer was at work: begin again */
};

/* If-None-Match or If-Match of a put: how many fields (0..1). */
size_t s3_condition(const struct s3_put *put, struct http_field ret[1]);

/* What an answer to a conditional write means. */
int s3_outcome(struct s3_client *c, const struct s3_call *call, const struct http_response *r,
               enum s3_outcome *ret, struct cairn_err *err);

/* A payload of more than S3_PUT_MAX, in parts. */
int s3_put_parts(struct s3_client *c, const struct s3_put *put, enum s3_outcome *ret,
                 struct cairn_err *err);

/* Part of a payload, and what sends it. */
struct s3_payload {
	uint64_t offset, len;       /* which part: set by the caller */
	const struct digest *known; /* its SHA-256; NULL: not known */
	struct http_file file;
	struct http_source source;
	char hash[DIGEST_HEX_LEN + 1];
};
/* Set body or source, and hash, of *call, which borrows p from then on. */
int s3_payload(struct s3_client *c, const struct s3_put *put, struct s3_payload *p,
               struct s3_call *call, struct cairn_err *err);

#endif
