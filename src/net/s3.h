/* net/s3.h - objects in a bucket of S3, or of a server that speaks its protocol.
 *
 * Path-style or virtual-hosted requests, signed (aws.h); payloads in one PUT up to S3_PUT_MAX and
 * in parts beyond; conditional writes (If-None-Match, If-Match), of which 412 means "another was
 * first" and 409 "try again".  A bucket that lies in another region than was said is found there.
 *
 * A payload whose SHA-256 is known is signed with it; else it is not signed over https, which
 * proves it as well, and hashed first over http.
 *
 * Every function may be called from any thread and blocks it.
 *
 * Errors: CAIRN_E_AUTH no or wrong credentials, or not allowed (says which action on which
 * object); CAIRN_E_NOT_FOUND there is no such bucket; CAIRN_E_TRANSIENT unreachable or overloaded,
 * after retries; CAIRN_E_DIGEST other bytes than promised; CAIRN_E_SYNTAX an answer that makes no
 * sense; CAIRN_E_USAGE a bucket or key that S3 does not allow; CAIRN_E_CANCELLED; CAIRN_E_SYSTEM.
 */
#ifndef CAIRN_NET_S3_H
#define CAIRN_NET_S3_H

#include "aws.h"
#include "util/digest.h"

#define S3_KEY_MAX 1024u         /* bytes of a key */
#define S3_PUT_MAX (64ull << 20) /* bytes of one PUT; larger objects go in parts */

struct s3_client;

struct s3_opts {
	struct aws *aws;          /* borrowed */
	struct http_client *http; /* borrowed */
	const char *bucket;       /* copied, as the others */
	const char *region;       /* NULL: aws_region(), "us-east-1" with an endpoint */
	const char *endpoint_url; /* NULL: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's */
	/* Always with an endpoint that is an address or has no dot, and for a bucket whose name
	 * cannot be part of a host's. */
	bool path_style;
};

/* Asks nobody anything but, where nothing else says the region, IMDS. */
int s3_new(const struct s3_opts *opts, struct s3_client **ret, struct cairn_err *err);
void s3_free(struct s3_client *c); /* NULL is fine */
DEFINE_CLEANUP(struct s3_client *, s3_free);
#define cleanup_s3 __attribute__((cleanup(s3_free_p_)))

const char *s3_bucket(const struct s3_client *c);
/* The URL that was given or configured; NULL: AWS's own. Lives as long as c. */
const char *s3_endpoint(const struct s3_client *c);
/* What it talks with; borrowed from the options. */
struct http_client *s3_http(const struct s3_client *c);

struct s3_get {
	const char *key;
	uint64_t offset, len;         /* a range; len 0: to the end */
	const struct http_sink *sink; /* NULL: appended to out */
	struct strbuf *out;           /* initialised; its maximum is a bound */
};
/* GET. A transfer that broke is resumed, with the same object only (CAIRN_E_TRANSIENT when it has
 * changed meanwhile). *ret_found may be false only before the sink was called; *ret_etag (may be
 * NULL) is owned, NULL when not found or not sent. A range that reaches beyond the end is
 * CAIRN_E_DIGEST. */
int s3_get(struct s3_client *c, const struct s3_get *get, bool *ret_found, char **ret_etag,
           struct cairn_err *err);

/* HEAD; ret_size may be NULL. */
int s3_head(struct s3_client *c, const char *key, bool *ret_found, uint64_t *ret_size,
            struct cairn_err *err);

struct s3_put {
	const char *key;
	int fd; /* read with pread() from offset 0; -1: bytes. Borrowed */
	str bytes;
	uint64_t size;               /* of the file */
	const struct digest *sha256; /* of the whole payload; NULL: not known */
	bool if_absent;              /* If-None-Match: * */
	const char *if_etag;         /* If-Match; NULL: none */
};
/* *ret_lost: a condition did not hold, nothing was written (or, after a connection that broke, our
 * own earlier attempt was). */
int s3_put(struct s3_client *c, const struct s3_put *put, bool *ret_lost, struct cairn_err *err);

/* One that is not there is fine. */
int s3_delete(struct s3_client *c, const char *key, struct cairn_err *err);

struct s3_object {
	const char *key;  /* dies after the call */
	uint64_t size;    /* bytes */
	int64_t modified; /* ns since 1970 */
};
/* Call fn with each key below a prefix, in the order of the server (bytewise at AWS), with its size
 * and time. A failure of fn ends the listing and is returned. */
int s3_list(struct s3_client *c, const char *prefix,
            int (*fn)(void *ctx, const struct s3_object *o, struct cairn_err *err), void *ctx,
            struct cairn_err *err);

#endif
