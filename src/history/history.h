/* history/history.h - records of builds: what was built where, how long it took, what it needed.
 *
 * One record a build, one row a step.  Kept in an SQLite file of the store's directory; records
 * of other machines are merged in (history_merge()), so that a runner that starts empty
 * knows what the others measured.  A record never changes once it is written; its id is random.
 *
 * Nothing in it is secret: names, times, digests and sizes; no values of arguments.
 */
#ifndef CAIRN_HISTORY_HISTORY_H
#define CAIRN_HISTORY_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

#include "history_ring.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/strbuf.h"

#define HISTORY_ID 16 /* bytes of a record's id */

/* How a build ended. */
enum history_outcome {
	HISTORY_OK,
	HISTORY_FAILED,      /* a step, or the Dockerfile */
	HISTORY_MEMORY,      /* killed: out of memory */
	HISTORY_DISK,        /* the disk was full */
	HISTORY_INTERRUPTED, /* the machine was taken away, or somebody stopped it */
	HISTORY_UNAVAILABLE, /* the runner, or a service it needs, gave no answer */
	HISTORY_OUTCOMES_,
};

/* The machine that a build ran on. */
struct history_runner {
	str name;   /* of a runner in cairn.yaml or the catalogue; "local" when none is known */
	str driver; /* "local", "github", "codebuild", ... */
	bool spot;
	unsigned cpus;   /* that the build could use */
	uint64_t memory; /* bytes that it could use */
	uint64_t disk;   /* bytes that were free when it began */
	str arch;        /* "amd64" */
};

struct history_step {
	str name;          /* "[build 3/7] RUN make" */
	str kind;          /* "run", "copy", "workdir", "from" */
	struct digest key; /* definition key */
	bool hit;
	uint64_t wall_ns; /* 0 for a hit */
	uint64_t cpu_ns;  /* user and system time of its processes; 0 = not known */
	uint64_t memory;  /* bytes; most at one time; 0 = not known */
	uint64_t bytes;   /* of its layer's tar; 0 = none or not known */
};

struct history_build {
	uint8_t id[HISTORY_ID];
	int64_t time;        /* when it began; ns since 1970 */
	str image;           /* name in the workspace, or the first tag without its tag */
	str category;        /* "light", "heavy", "gpu", "" */
	str base;            /* reference of its base image; "" = not known */
	str commit;          /* of git; "" = not known */
	struct digest input; /* input key; none = not known */
	enum history_outcome outcome;
	struct history_runner runner;
	uint64_t queue_ns;       /* from asking for the machine to its being there; 0 = local */
	uint64_t wall_ns;        /* of the build itself */
	uint64_t pulled, pushed; /* bytes */
	uint64_t disk;           /* bytes that its files took */
	uint64_t memory;         /* bytes; most at one time; 0 = not known */
	uint64_t cost;           /* in 1e-6 USD; 0 = nothing, or not known */
	/* What was predicted; all 0: nothing was. */
	uint64_t predicted_ns, predicted_cost, predicted_memory;
	str fallback; /* why it runs here and not where it was meant to; "" = it was not
	                 moved */
	/* Who sends a build elsewhere gives it an id, which the build has in $CAIRN_ATTEMPT. Both
	 * keep a record; history_find() makes one of them. */
	str attempt; /* "" = nobody sent it */
	bool sender; /* the record of who sent it, not of the build */
	struct history_step *steps;
	size_t n_steps;
};

struct history;

/* Open the history in `dir` (created when it is missing).
 * read_only: nothing is written; a missing file is an empty history. */
int history_open(const char *dir, bool read_only, struct history **ret, struct cairn_err *err);
void history_close(struct history *h); /* NULL is fine */
DEFINE_CLEANUP(struct history *, history_close);
#define cleanup_history __attribute__((cleanup(history_close_p_)))

/* Give a record its random id, before it is kept here and there. */
int history_id(struct history_build *b, struct cairn_err *err);

/* Keep a record. An id of zeroes gets a random one; of one that is there nothing changes. */
int history_add(struct history *h, const struct history_build *b, struct cairn_err *err);

struct history_query {
	str image;     /* "" = of all */
	int64_t since; /* ns since 1970 */
	size_t limit;  /* newest so many; 0 = all */
	bool steps;    /* with their steps */
	bool worked;   /* without those that went well and ran no step: all was there */
};

/* Builds, newest first; allocated in `a`. Of an attempt that both told of there is the build's
 * record, with what only the sender knows: time in the queue, cost, what was predicted, why it was
 * moved, and the outcome where that was worse. */
int history_find(struct history *h, const struct history_query *q, struct arena *a,
                 struct history_build **ret, size_t *ret_n, struct cairn_err *err);

/* Append records as JSON lines, for another machine; and take such lines in (those that are known
 * are passed over, those that are damaged too: *ret_added says how many were new). */
int history_export(struct history *h, const struct history_query *q, struct strbuf *out,
                   struct cairn_err *err);
int history_merge(struct history *h, str lines, size_t *ret_added, struct cairn_err *err);

const char *history_outcome_name(enum history_outcome o); /* "ok", "failed", ...; static */

#endif
