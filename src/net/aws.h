/* net/aws.h - who to be at AWS, and signed requests.
 *
 * Credentials are looked for in the order of AWS's SDKs
 * (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html):
 *
 *	environment      AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	web identity     AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN (STS AssumeRoleWithWebIdentity)
 *	shared files     ~/.aws/credentials, ~/.aws/config, AWS_PROFILE,
 *AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE; credential_process container
 *AWS_CONTAINER_CREDENTIALS_RELATIVE_URI / _FULL_URI (CodeBuild, ECS) instance         IMDSv2,
 *unless AWS_EC2_METADATA_DISABLED
 *
 * They are renewed five minutes before they expire, in the middle of a build as well; all
 * threads share them.
 *
 * Signature Version 4 as
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * says.  Secrets never appear in an error.
 */
#ifndef CAIRN_NET_AWS_H
#define CAIRN_NET_AWS_H

#include "http.h"

struct aws;

struct aws_opts {
	struct http_client *http; /* borrowed */
	char *const *envp;        /* the environment; borrowed; NULL: empty */
	const char *region;       /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile, IMDS */
};

struct aws *aws_new(const struct aws_opts *opts);
void aws_free(struct aws *a); /* NULL is fine */
DEFINE_CLEANUP(struct aws *, aws_free);
#define cleanup_aws __attribute__((cleanup(aws_free_p_)))

/* The region, or CAIRN_E_AUTH saying how to set it. Lives as long as a. */
int aws_region(struct aws *a, const char **ret, struct cairn_err *err);

/* One request to a service, signed with the present credentials; renewed and sent once more when
 * the service says that they have expired. fields: further headers; all are signed.
 *
 * service  "s3", "ecr", "codebuild", "sts", ...
 * region   NULL: aws_region()
 *
 * Fails as http_send(), and with CAIRN_E_AUTH when no credentials are found (naming the places that
 * were looked at). An answer of any status is success, as with http_send(). */
int aws_send(struct aws *a, const char *service, const char *region, const struct http_request *req,
             struct http_response *r, struct cairn_err *err);

/* A token for ECR's registries (ecr:GetAuthorizationToken): user "AWS". domain:
 * "123456789012.dkr.ecr.eu-central-1.amazonaws.com". Kept until shortly before it expires.
 * $AWS_ENDPOINT_URL_ECR or $AWS_ENDPOINT_URL replace the endpoint.
 * *ret_password is owned. */
int aws_ecr_login(struct aws *a, const char *domain, char **ret_password, struct cairn_err *err);

/* Is this the name of an ECR registry? *ret_region (may be NULL) gets its region. */
bool aws_ecr_domain(const char *domain, char ret_region[32]);

/* Has this instance been told that it will be stopped (spot interruption), or that it may be
 * (rebalance recommendation)? Asks IMDSv2 at AWS_EC2_METADATA_SERVICE_ENDPOINT. */
enum aws_notice {
	AWS_NOTICE_NONE,
	AWS_NOTICE_REBALANCE,
	AWS_NOTICE_STOP, /* in two minutes: stop, terminate or hibernate */
};
int aws_notice(struct aws *a, enum aws_notice *ret, struct cairn_err *err);

#endif
