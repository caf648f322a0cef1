/* net/aws_sign.h - Signature Version 4.
 *
 * libcurl's own (CURLOPT_AWS_SIGV4) does not do: up to 7.88, which Debian 12 has, it does not sort
 * or encode the query, signs host and date and not the request's further headers, and knows
 * nothing of x-amz-content-sha256 and of paths that S3 encodes once and others twice.
 *
 * HMAC stands here on util/digest.h: libcrypto's own comes with all of its providers.
 */
#ifndef CAIRN_NET_AWS_SIGN_H
#define CAIRN_NET_AWS_SIGN_H

#include "aws_creds.h"
#include "http.h"

struct aws_sign {
	const struct aws_creds *creds;
	const char *service; /* "s3" has its own rules for paths and payloads */
	const char *region;
	int64_t now; /* ns since 1970 */
};

/* What is to be sent. */
struct aws_signed {
	VEC(struct http_field)
	fields;              /* owned; the strings are borrowed from the request, the
	                        credentials and this struct */
	char *authorization; /* owned; a secret for some minutes */
	char date[17];       /* X-Amz-Date: "20150830T123600Z" */
	char hash[65];       /* x-amz-content-sha256 */
};

void aws_signed_done(struct aws_signed *s);
#define cleanup_aws_signed __attribute__((cleanup(aws_signed_done)))

/* Sign `req`: all its fields, host, x-amz-date, the session token when there is one, and with S3
 * x-amz-content-sha256. A field of that name in req is taken as the body's hash; without one the
 * body is hashed (CAIRN_E_BUG when it is a source). `ret` must not move afterwards. */
int aws_sign(const struct aws_sign *s, const struct http_request *req, struct aws_signed *ret,
             struct cairn_err *err);

/* Append the path of a URL in canonical form: with once, as S3 wants it; else normalised, and
 * encoded again. */
void aws_canonical_path(struct strbuf *out, str path, bool once);

/* Append the query of a URL (without '?') in canonical form: sorted, each name with a '='. */
void aws_canonical_query(struct strbuf *out, str query);

/* HMAC-SHA-256 (RFC 2104). */
struct digest aws_hmac(str key, str data);

#endif
