/* net/aws_creds.h - keys of AWS, and where they come from. */
#ifndef CAIRN_NET_AWS_CREDS_H
#define CAIRN_NET_AWS_CREDS_H

#include <stdint.h>

#include "util/err.h"
#include "util/strbuf.h"

#define AWS_CREDS_MAX     (64u << 10) /* bytes of a document with credentials */
#define AWS_TOKEN_MAX     (32u << 10) /* bytes of one member */
#define AWS_SOURCE_MAX    200u        /* of the name of a source, with its NUL */
#define AWS_CREDS_FOREVER INT64_MAX

struct aws_creds {
	char *id, *secret;           /* owned */
	char *token;                 /* owned; NULL for keys of a user */
	int64_t expires;             /* ns since 1970; AWS_CREDS_FOREVER */
	char source[AWS_SOURCE_MAX]; /* for people: "the environment" */
};

void aws_creds_done(struct aws_creds *c); /* wipes; c is empty afterwards */
#define cleanup_aws_creds __attribute__((cleanup(aws_creds_done)))

void aws_creds_copy(const struct aws_creds *from, struct aws_creds *ret);

/* Set the keys, which must be printable and not too long (they become headers).
 * token   "": none
 * source  cut to AWS_SOURCE_MAX
 * ret must be empty. Fails with CAIRN_E_AUTH. */
int aws_creds_set(struct aws_creds *ret, str id, str secret, str token, const char *source,
                  struct cairn_err *err);

/* {"AccessKeyId", "SecretAccessKey", TOKEN_NAME, "Expiration"}; the last two may be missing.
 * Fails with CAIRN_E_AUTH; what is in the text never appears in the message. */
int aws_creds_json(struct aws_creds *ret, str text, const char *token_name, const char *source,
                   struct cairn_err *err);

struct aws;

/* Go through the chain (aws.h). Blocks; a->lock is held by the caller. Fails with CAIRN_E_AUTH
 * when no source has any, naming them. */
int aws_creds_find(struct aws *a, struct aws_creds *ret, struct cairn_err *err);

/* The sources. *ret_found is false when one is not configured (CAIRN_OK); ret is empty then. */
int aws_env_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err);
int aws_identity_creds(struct aws *a, struct aws_creds *ret, bool *ret_found,
                       struct cairn_err *err);
int aws_profile_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err);
int aws_container_creds(struct aws *a, struct aws_creds *ret, bool *ret_found,
                        struct cairn_err *err);
int aws_imds_creds(struct aws *a, struct aws_creds *ret, bool *ret_found, struct cairn_err *err);

#endif
