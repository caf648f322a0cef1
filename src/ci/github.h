/* ci/github.h - GitHub's workflows: start a run, find it, follow it, cancel it.
 *
 * https://docs.github.com/rest/actions/workflows (create a workflow dispatch event),
 * https://docs.github.com/rest/actions/workflow-runs and .../workflow-jobs.
 *
 * A dispatch answers with nothing that names its run: it is found by an input that the workflow
 * puts into its run-name.
 *
 * Functions block; several threads may call them.  They fail with CAIRN_E_AUTH when the token is
 * missing, refused or not allowed to (what it needs is said), CAIRN_E_NOT_FOUND for a repository,
 * workflow or run that it cannot see, CAIRN_E_SYNTAX for what GitHub refuses to do (422), and
 * CAIRN_E_TRANSIENT when it is down or its rate limit is used up.  The token is in no message.
 */
#ifndef CAIRN_CI_GITHUB_H
#define CAIRN_CI_GITHUB_H

#include "net/net.h"
#include "util/arena.h"
#include "util/json.h"

#define GITHUB_WORKFLOW "build-containers.yml" /* that `cairn ci init` writes */
#define GITHUB_LOG_MAX  (16u << 20)            /* bytes of a job's log */

struct github {
	struct http_client *http; /* borrowed */
	const char *api;          /* "https://api.github.com"; no slash at its end */
	const char *token;        /* a secret; NULL = none */
};

/* From the environment: GITHUB_API_URL; GITHUB_TOKEN, else GH_TOKEN. Borrows. */
void github_init(struct github *g, struct http_client *http, char *const *envp);

/* Whose workflow. */
struct github_workflow {
	str repository; /* "owner/name" */
	str file;       /* "build-containers.yml" */
};

enum github_status {
	GITHUB_QUEUED, /* also waiting, requested, pending */
	GITHUB_IN_PROGRESS,
	GITHUB_COMPLETED,
};

/* A run, or a job of one. */
struct github_run {
	uint64_t id;
	str url; /* for people */
	enum github_status status;
	str word;       /* its status or conclusion as GitHub says it */
	str conclusion; /* "success", "failure", "cancelled", ...; "" until it is completed */
	int64_t created, started, ended; /* ns since 1970; 0 = not known */
};

/* The URL and the body of a dispatch, as they would be sent; allocated, owned. inputs: borrowed. */
char *github_dispatch_url(const struct github *g, const struct github_workflow *w);
json_t *github_dispatch_body(str ref, json_t *inputs);

/* Start a run of the workflow as it is at `ref` (branch or tag). Sent once: whether it was started
 * is not known after CAIRN_E_TIMEOUT. */
int github_dispatch(const struct github *g, const struct github_workflow *w, str ref,
                    json_t *inputs, struct cairn_err *err);

/* The run of that workflow whose name holds `needle`; *ret_found false: there is none yet. */
int github_find(const struct github *g, const struct github_workflow *w, str needle,
                struct arena *a, struct github_run *ret, bool *ret_found, struct cairn_err *err);

int github_get(const struct github *g, str repository, uint64_t run, struct arena *a,
               struct github_run *ret, struct cairn_err *err);

/* The run's first job that was not skipped; *ret_found false: it has none yet. */
int github_job(const struct github *g, str repository, uint64_t run, struct arena *a,
               struct github_run *ret, bool *ret_found, struct cairn_err *err);

/* Append the log of a job that has ended, without the times in front of its lines; one that
 * GitHub does not have (any more) is nothing. */
int github_log(const struct github *g, str repository, uint64_t job, struct strbuf *out,
               struct cairn_err *err);

/* Cancel a run; one that has ended is success. */
int github_cancel(const struct github *g, str repository, uint64_t run, struct cairn_err *err);

#endif
