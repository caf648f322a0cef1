/* net/aws_error.h - what a service says when it refuses. */
#ifndef CAIRN_NET_AWS_ERROR_H
#define CAIRN_NET_AWS_ERROR_H

#include "aws.h"

/* What can be done about it. */
enum aws_error_kind {
	AWS_ERROR_OTHER,
	AWS_ERROR_EXPIRED,   /* the credentials are too old: renew them */
	AWS_ERROR_SKEW,      /* our clock is wrong */
	AWS_ERROR_SIGNATURE, /* perhaps our clock is wrong, else the secret */
	AWS_ERROR_REFUSED,   /* credentials not known or not allowed to do that */
	AWS_ERROR_BUSY,      /* come again */
	AWS_ERROR_MISSING,   /* the thing does not exist */
	AWS_ERROR_N_,
};

/* Members are "" when the answer does not say; printable ASCII, cut to their size. */
struct aws_error {
	enum aws_error_kind kind;
	char code[64]; /* "AccessDenied" */
	char message[256];
	char region[AWS_REGION_MAX]; /* S3: where the bucket is; a valid name of a region */
};

/* Read an answer in JSON (x-amzn-ErrorType, "__type", "message") or XML (<Error><Code>). The
 * kind follows from the code, and where there is none (HEAD) from the status. */
void aws_error_read(const struct http_response *r, struct aws_error *ret);

/* Copy what is printable, blanks for the rest. */
void aws_error_text(char *to, size_t size, str from);

/* Is this the name of a region (it becomes part of a host's name)? */
bool aws_region_valid(str name);

#endif
