/* net/aws_priv.h - what the files aws_*.c share. */
#ifndef CAIRN_NET_AWS_PRIV_H
#define CAIRN_NET_AWS_PRIV_H

#include <pthread.h>

#include "aws.h"
#include "aws_creds.h"
#include "util/clock.h"

/* A session with the instance's metadata service. */
struct aws_imds {
	pthread_mutex_t lock;  /* of what follows */
	char *token;           /* owned; NULL: none yet */
	int64_t token_expires; /* ns since 1970 */
	bool absent;           /* the first question was not answered: not on EC2 */
	bool present;          /* it has answered once: failures are passing ones */
};

/* A token for the registries of a region. */
struct aws_ecr_token {
	char *region, *password; /* owned */
	int64_t expires;
};

struct aws {
	struct http_client *http, *metadata; /* borrowed, metadata unless it is own_metadata */
	struct http_client *own_metadata;    /* owned; NULL when one was given */
	char *const *envp;
	char *given_region; /* owned; NULL: to be found */
	int64_t (*now)(void);
	_Atomic(int64_t) skew; /* ns to be added to our clock */

	pthread_mutex_t lock; /* of what follows; held while credentials are renewed */
	struct aws_creds creds;
	uint64_t generation; /* of creds; 0: none yet */
	int64_t renew_at;    /* from then on better ones are looked for */

	pthread_mutex_t region_lock; /* of region */
	char *region;                /* owned; what aws_region() found */

	pthread_mutex_t ecr_lock; /* of ecr; held while a token is fetched */
	VEC(struct aws_ecr_token) ecr;

	struct aws_imds imds;
};

/* A variable of the environment; NULL when missing or empty. */
const char *aws_env(const struct aws *a, const char *name);

int64_t aws_now(const struct aws *a); /* ns since 1970, corrected */

/* The region without asking IMDS: owned, NULL when nothing says it. Takes no lock. */
int aws_region_offline(struct aws *a, char **ret, struct cairn_err *err);

/* Where the present credentials came from, for messages. */
void aws_source(struct aws *a, char ret[AWS_SOURCE_MAX]);

/* One signed request without renewal, to STS. */
int aws_send_as(struct aws *a, const struct aws_creds *creds, const char *service,
                const char *region, const struct http_request *req, struct http_response *r,
                struct cairn_err *err);

/* --- shared files (aws_profile.c) ---------------------------------------------------- */

/* A value of the profile in use, or NULL: owned. Fails with CAIRN_E_AUTH when AWS_PROFILE names
 * one that does not exist, CAIRN_E_SYSTEM when a file cannot be read. */
int aws_profile_value(struct aws *a, const char *key, char **ret, struct cairn_err *err);

/* --- roles (aws_sts.c) ----------------------------------------------------------------- */

struct aws_role {
	const char *arn;
	const char *session;          /* NULL: AWS_ROLE_SESSION_NAME, else "cairn" */
	const char *external_id;      /* NULL: none */
	const char *duration;         /* seconds, in digits; NULL: STS's own */
	const char *token_file;       /* web identity; NULL: signed with base */
	const struct aws_creds *base; /* NULL with a token_file */
	const char *source;           /* for people */
};
int aws_sts_assume(struct aws *a, const struct aws_role *role, struct aws_creds *ret,
                   struct cairn_err *err);

/* --- metadata (aws_metadata.c) ----------------------------------------------------------- */

/* Is IMDS allowed to be asked? */
bool aws_imds_enabled(const struct aws *a);

/* GET "/latest/..." from IMDSv2, appended to out. *ret_found is false for 404.
 * Fails as aws_notice(). */
int aws_imds_get(struct aws *a, const char *path, struct strbuf *out, bool *ret_found,
                 struct cairn_err *err);

#endif
