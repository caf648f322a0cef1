/* ci/codebuild.h - AWS CodeBuild: start builds, follow them, stop them, read their logs.
 *
 * https://docs.aws.amazon.com/codebuild/latest/APIReference/ (StartBuild, BatchGetBuilds,
 * StopBuild) and
 * https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_GetLogEvents.html.
 *
 * Functions block; several threads may call them.  Errors are those of aws_call(): CAIRN_E_AUTH
 * says who was refused, CAIRN_E_TRANSIENT may work later.
 */
#ifndef CAIRN_CI_CODEBUILD_H
#define CAIRN_CI_CODEBUILD_H

#include "net/net.h"
#include "util/arena.h"
#include "util/vec.h"

#define CODEBUILD_IDS_MAX    100u /* builds that one BatchGetBuilds may ask for */
#define CODEBUILD_PHASES_MAX 64u  /* phases of a build that are read */
#define CODEBUILD_LOG_PAGES  15u  /* of at most 1 MB each, that one look at a log reads */

enum codebuild_status {
	CODEBUILD_IN_PROGRESS,
	CODEBUILD_SUCCEEDED,
	CODEBUILD_FAILED,
	CODEBUILD_FAULT, /* of the service */
	CODEBUILD_TIMED_OUT,
	CODEBUILD_STOPPED,
	CODEBUILD_N_,
};

/* What a build shall do. "" and 0: as the project says. */
struct codebuild_start {
	const char *region; /* NULL: that of the credentials */
	str project;
	str source_version;       /* commit, branch, "pr/7" */
	str buildspec;            /* its text, or a file's name */
	str image;                /* of the build's environment */
	str compute_type;         /* "BUILD_GENERAL1_LARGE" */
	str environment_type;     /* "LINUX_CONTAINER", "ARM_CONTAINER", "LINUX_GPU_CONTAINER" */
	bool privileged;          /* set it; false: as the project says */
	unsigned timeout_minutes; /* 5 to 2160 */
	const struct http_field *env; /* variables, in plain text */
	size_t n_env;
	str token; /* the same token within five minutes starts one build */
};

struct codebuild_phase {
	str name;         /* "PROVISIONING" */
	str status;       /* "SUCCEEDED"; "" while it runs */
	uint64_t seconds; /* 0 while it runs */
	str message;      /* why it failed; "" else */
};

struct codebuild_build {
	str id;  /* "project:uuid" */
	str url; /* of its log, for people; "" = not known */
	enum codebuild_status status;
	str phase; /* where it is */
	struct codebuild_phase *phases;
	size_t n_phases;
	str log_group, log_stream; /* "" until it writes one */
	int64_t started, ended;    /* ns since 1970; 0 = not known */
	bool out_of_memory; /* a phase's message says so (exit code 137, "Cannot allocate memory")
	                     */
};

/* Start a build. *ret_limit: the account runs as many as it may (AccountLimitExceededException);
 * then it fails with CAIRN_E_TRANSIENT. Allocated in `a`. */
int codebuild_start(struct aws *aws, const struct codebuild_start *s, struct arena *a,
                    struct codebuild_build *ret, bool *ret_limit, struct cairn_err *err);

/* Look at n (1..CODEBUILD_IDS_MAX) builds. ret[i] is that of ids[i]; a build that the service does
 * not know fails with CAIRN_E_NOT_FOUND. Allocated in `a`. */
int codebuild_get(struct aws *aws, const char *region, const str *ids, size_t n, struct arena *a,
                  struct codebuild_build *ret, struct cairn_err *err);

/* Stop a build; one that has ended already is success. */
int codebuild_stop(struct aws *aws, const char *region, str id, struct cairn_err *err);

/* What a build has written since the last call.
 *
 * token  where to go on; NULL in the beginning; replaced, owned by the caller
 * out    the lines are appended
 *
 * Reads page after page until the service says that there is no other one, CODEBUILD_LOG_PAGES at
 * most: the rest comes with the next call. A log that is not there yet is nothing new. */
int codebuild_logs(struct aws *aws, const char *region, const struct codebuild_build *b,
                   char **token, struct strbuf *out, struct cairn_err *err);

/* "IN_PROGRESS", "SUCCEEDED", ...; static. */
const char *codebuild_status_name(enum codebuild_status s);

/* The body of StartBuild, as it would be sent; owned. */
json_t *codebuild_request(const struct codebuild_start *s);

#endif
