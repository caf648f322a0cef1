/* net/aws.h - who to be at AWS, and signed requests.
 *
 * Credentials are looked for in the order of AWS's SDKs
 * (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html):
 *
 *	environment    AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
 *	web identity   AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN (STS AssumeRoleWithWebIdentity)
 *	shared files   the profile AWS_PROFILE (else "default") of ~/.aws/credentials and
 *	               ~/.aws/config (AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE): keys,
 *	               role_arn with source_profile, credential_source or
 *	               web_identity_token_file, credential_process
 *	container      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI, with
 *	               AWS_CONTAINER_AUTHORIZATION_TOKEN(_FILE) (CodeBuild, ECS, EKS)
 *	instance       IMDSv2, unless AWS_EC2_METADATA_DISABLED is "true"
 *
 * A source that is configured and broken is an error; the next one is not tried.
 * They are renewed five minutes before they expire, in the middle of a build as well; all
 * threads share them.
 *
 * Signature Version 4 as
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * says.  A clock that is wrong is corrected by the service's Date.  Secrets never appear in an
 * error.
 */
#ifndef CAIRN_NET_AWS_H
#define CAIRN_NET_AWS_H

#include "http.h"

#define AWS_REGION_MAX   32u  /* longest name of a region, with its NUL */
#define AWS_ENDPOINT_MAX 256u /* longest endpoint, with its NUL */

struct aws;

struct aws_opts {
	struct http_client *http; /* borrowed */
	char *const *envp;        /* the environment; borrowed; NULL: empty */
	const char *region;       /* NULL: AWS_REGION, AWS_DEFAULT_REGION, the profile, IMDS */
	/* For IMDS; borrowed. NULL: one of its own that gives up after a second. */
	struct http_client *metadata;
	int64_t (*now)(void); /* ns since 1970; NULL: clock_now() */
};

/* Asks nobody anything yet. */
struct aws *aws_new(const struct aws_opts *opts);
void aws_free(struct aws *a); /* no call may be running; NULL is fine */
DEFINE_CLEANUP(struct aws *, aws_free);
#define cleanup_aws __attribute__((cleanup(aws_free_p_)))

/* The region, or CAIRN_E_AUTH saying how to set it. Lives as long as a. */
int aws_region(struct aws *a, const char **ret, struct cairn_err *err);

/* "https://SERVICE.REGION.amazonaws.com" (with the domain of the region's partition), or
 * $AWS_ENDPOINT_URL_SERVICE or $AWS_ENDPOINT_URL; without a slash at its end.
 * Fails with CAIRN_E_SYNTAX when a variable is not an http or https URL. */
int aws_endpoint(const struct aws *a, const char *service, const char *region,
                 char ret[AWS_ENDPOINT_MAX], struct cairn_err *err);

/* One request to a service, signed with the present credentials; renewed and sent once more when
 * the service says that they have expired, corrected and sent once more when it says that the
 * clock is wrong, repeated with back-off when it is overloaded. Redirects are not followed: a
 * signature is for one host.
 *
 * service  "s3", "ecr", "codebuild", "sts", ...
 * region   NULL: aws_region()
 * req      its path and query percent-encoded as http_escape() does; all its fields are signed.
 *          A field x-amz-content-sha256 is taken as the hash of the body ("UNSIGNED-PAYLOAD" too);
 *          a req->source needs one.
 *
 * Fails as http_send(), and with CAIRN_E_AUTH when no credentials are found (naming the places that
 * were looked at). An answer of any status is success, as with http_send(); see aws_fail(). */
int aws_send(struct aws *a, const char *service, const char *region, const struct http_request *req,
             struct http_response *r, struct cairn_err *err);

/* Turn an answer of a service (JSON or XML) that is not 2xx into one line, "WHAT: CODE: message".
 * CAIRN_E_AUTH for credentials that are refused, CAIRN_E_TRANSIENT for an overloaded service,
 * CAIRN_E_NOT_FOUND for what is not there, else CAIRN_E_SYSTEM. */
int aws_fail(const struct http_response *r, const char *what, struct cairn_err *err);

/* Append where credentials would come from, for people ("profile 'ci' of /root/.aws/config,
 * role_arn"), without a request; "" when only IMDS is left. Never a secret. */
void aws_describe(struct aws *a, struct strbuf *out);

/* A token for ECR's registries (ecr:GetAuthorizationToken): user "AWS". domain:
 * "123456789012.dkr.ecr.eu-central-1.amazonaws.com". Kept until 15 minutes before it expires.
 * $AWS_ENDPOINT_URL_ECR or $AWS_ENDPOINT_URL replace the endpoint.
 * refused: a password that has worked and does no longer: another one is asked for; or NULL.
 * *ret_password is owned.
 * Fails as aws_send(), with CAIRN_E_AUTH when it is refused. */
int aws_ecr_login(struct aws *a, const char *domain, const char *refused, char **ret_password,
                  struct cairn_err *err);

/* Is this the name of an ECR registry? *ret_region (may be NULL) gets its region. */
bool aws_ecr_domain(const char *domain, char ret_region[AWS_REGION_MAX]);

/* Has this instance been told that it will be stopped (spot interruption), or that it may be
 * (rebalance recommendation)? Asks IMDSv2 at AWS_EC2_METADATA_SERVICE_ENDPOINT.
 *
 * Fails with CAIRN_E_NOT_FOUND where there is no IMDS (no need to ask again: later calls fail at
 * once), CAIRN_E_TRANSIENT when it does not answer now. */
enum aws_notice {
	AWS_NOTICE_NONE,
	AWS_NOTICE_REBALANCE,
	AWS_NOTICE_STOP, /* in two minutes: stop, terminate or hibernate */
};
int aws_notice(struct aws *a, enum aws_notice *ret, struct cairn_err *err);

#endif
