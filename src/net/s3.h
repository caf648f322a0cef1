/* net/s3.h - objects in a bucket of S3, or of a server that speaks its protocol.
 *
 * Path-style or virtual-hosted requests, signed (aws.h); payloads in one PUT up to 64 MiB and in
 * parts beyond; conditional writes (If-None-Match, If-Match), of which 412 means "another was
 * first" and 409 "try again".
 */
#ifndef CAIRN_NET_S3_H
#define CAIRN_NET_S3_H

#include "aws.h"

struct s3_client;

struct s3_opts {
	struct aws *aws;          /* borrowed */
	struct http_client *http; /* borrowed */
	const char *bucket;       /* copied, as the others */
	const char *region;       /* NULL: aws_region() */
	const char *endpoint_url; /* NULL: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's */
	bool path_style;          /* always with an endpoint that is an address */
};

int s3_new(const struct s3_opts *opts, struct s3_client **ret, struct cairn_err *err);
void s3_free(struct s3_client *c); /* NULL is fine */
DEFINE_CLEANUP(struct s3_client *, s3_free);
#define cleanup_s3 __attribute__((cleanup(s3_free_p_)))

const char *s3_bucket(const struct s3_client *c);

/* GET. sink gets the body; offset and len select a range (len 0: to the end). *ret_etag may be
 * NULL; else owned, NULL when not found. A transfer that broke is resumed. */
struct s3_get {
	const char *key;
	uint64_t offset, len;
	const struct http_sink *sink; /* NULL: appended to out */
	struct strbuf *out;
};
int s3_get(struct s3_client *c, const struct s3_get *get, bool *ret_found, char **ret_etag,
           struct cairn_err *err);

/* HEAD; ret_size may be NULL. */
int s3_head(struct s3_client *c, const char *key, bool *ret_found, uint64_t *ret_size,
            struct cairn_err *err);

struct s3_put {
	const char *key;
	int fd; /* read with pread(); -1: bytes. Borrowed */
	str bytes;
	uint64_t size;       /* of the file */
	bool if_absent;      /* If-None-Match: * */
	const char *if_etag; /* If-Match; NULL: none */
};
/* *ret_lost: a condition did not hold, nothing was written. */
int s3_put(struct s3_client *c, const struct s3_put *put, bool *ret_lost, struct cairn_err *err);

int s3_delete(struct s3_client *c, const char *key, struct cairn_err *err);

/* Call fn with each key below a prefix, in order, with its size and time (ns since 1970). */
struct s3_object {
	const char *key;
	uint64_t size;
	int64_t modified;
};
int s3_list(struct s3_client *c, const char *prefix,
            int (*fn)(void *ctx, const struct s3_object *o, struct cairn_err *err), void *ctx,
            struct cairn_err *err);

#endif
