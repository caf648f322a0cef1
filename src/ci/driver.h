/* ci/driver.h - builds that run somewhere: start one, look at it from time to time, stop it.
 *
 * One build of one image, on one runner, is an attempt.  There are three drivers:
 *
 *	local      a process of this machine
 *	codebuild  a build of AWS CodeBuild (codebuild.h)
 *	github     a run of a GitHub workflow (github.h), on whatever machine its labels mean; also
 *	           that of runners behind CodeBuild (driver "codebuild-runner")
 *
 * Drivers print nothing and decide nothing: what follows a failure is route/fallback.h's.
 * Functions block as long as their requests take; of one run, one is called at a time, of different
 * runs several, by any thread.
 */
#ifndef CAIRN_CI_DRIVER_H
#define CAIRN_CI_DRIVER_H

#include "github.h"
#include "net/net.h"
#include "route/route.h"

#define DRIVER_LOG_MAX (16u << 20) /* bytes that one look may find */

/* What drivers work with; borrowed by their runs. */
struct driver_env {
	char *const *envp;     /* of this process */
	const char *root;      /* folder that local builds run in */
	struct aws *aws;       /* starts and stops builds */
	struct aws *aws_polls; /* looks at them; its requests may be cancelled */
	struct github *github; /* likewise */
	struct github *github_polls;
	str project;    /* CodeBuild: of runners that name none; "" = none */
	str repository; /* GitHub: likewise, "owner/name" */
	str commit;     /* that is built elsewhere */
	str ref;        /* branch or tag whose workflow GitHub runs */
};

struct driver_task {
	str image;                   /* name in the workspace */
	str attempt;                 /* letters and digits; no other attempt has it. What runs
	                              * elsewhere gets it as CAIRN_ATTEMPT */
	const struct runner *runner; /* where */
	str fallback;                /* why it is not where it was meant to be; "" = it is */
	char *const *argv;           /* local: what is run, by this program; ends with NULL */
	/* Variables that the build gets beside CAIRN_IMAGE, CAIRN_RUNNER and CAIRN_FALLBACK; local
	 * builds alone. */
	const struct http_field *variables;
	size_t n_variables;
};

enum driver_phase {
	DRIVER_QUEUED, /* no machine yet */
	DRIVER_RUNNING,
	DRIVER_ENDED,
};

/* What a look found; texts live until the next one. */
struct driver_state {
	enum driver_phase phase;
	str detail;                   /* the service's word for it: "PROVISIONING" */
	enum history_outcome outcome; /* ENDED */
	str why;                      /* ENDED and not well: one phrase */
	uint64_t queue_ns, wall_ns;   /* as the service says; 0 = it does not */
};

struct driver_run;

struct driver_ops {
	const char *name;
	/* Append what start() would send or run, for people; sends nothing. Fails as start() does
	 * for what is not configured. */
	int (*request)(const struct driver_env *env, const struct driver_task *t,
	               struct strbuf *out, struct cairn_err *err);
	/* Fails with CAIRN_E_TRANSIENT when the runner is down or its account at a limit; what else
	 * it fails with would come again. The task is borrowed as long as the run lives. */
	int (*start)(const struct driver_env *env, const struct driver_task *t,
	             struct driver_run **ret, struct cairn_err *err);
	/* Look: log gets the lines that are new. Fails with CAIRN_E_AUTH when credentials have
	 * expired, with CAIRN_E_TRANSIENT when a later look may go better: the build goes on. */
	int (*poll)(struct driver_run *r, struct driver_state *ret, struct strbuf *log,
	            struct cairn_err *err);
	/* Ask it to end; one that has ended is success. */
	int (*stop)(struct driver_run *r, struct cairn_err *err);
	void (*free)(struct driver_run *r); /* what runs goes on, but local builds */
};

/* What all runs have; drivers embed it first. */
struct driver_run {
	const struct driver_ops *ops;
	const struct driver_env *env;
	const struct driver_task *task;
	struct arena *a;       /* as long as the run */
	struct arena *scratch; /* of the last look */
	str id;                /* the service's: "project:uuid", a run's number, a process */
	str url;               /* for people; "" = none */
	/* What the log said about its end; FAILED while it said nothing (driver_marks()). */
	enum history_outcome marked;
	bool stopped;  /* it was asked to end, and nobody has to look whether it does */
	bool log_lost; /* its log could not be read, and was told */
};

/* How runners of that kind are driven; NULL for RUNNER_UNKNOWN. */
const struct driver_ops *driver_of(enum runner_driver kind);

/* --- for drivers ------------------------------------------------------------------------ */

/* A run of `size` bytes that begins with a struct driver_run. */
void *driver_run_new(size_t size, const struct driver_ops *ops, const struct driver_env *env,
                     const struct driver_task *t);
void driver_run_free(struct driver_run *r);

/* A look begins: what the last one allocated is gone. */
struct arena *driver_look(struct driver_run *r);

/* Find out from a log why a build ended: cairn's own words, and those of the services. */
void driver_marks(str lines, enum history_outcome *marked);

/* Its log cannot be read, which says nothing about the build: a line in `log` says so, once. Fails
 * with CAIRN_E_CANCELLED when that is why. */
int driver_log_lost(struct driver_run *r, const struct cairn_err *why, struct strbuf *log);

extern const struct driver_ops driver_local, driver_codebuild, driver_github;

#endif
