/* engine/event.h - what the engine tells while it builds.
 *
 * The engine does not know who listens: cli wires the observer to the progress
 * display, later also to the build history.  Events come from the main thread,
 * in order; everything an event points to dies when the observer returns.
 */
#ifndef CAIRN_ENGINE_EVENT_H
#define CAIRN_ENGINE_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

enum event_kind {
	EVENT_PLAN,     /* a step became known; all steps come before the first START */
	EVENT_START,    /* a step runs */
	EVENT_CACHED,   /* a step was answered by the cache; START and DONE do not come */
	EVENT_OUTPUT,   /* bytes a step's command wrote; need not end at a line */
	EVENT_PROGRESS, /* a transfer or a scan advanced */
	EVENT_DONE,     /* a step ended well */
	EVENT_FAILED,   /* a step ended badly; the build will fail */
	EVENT_CANCELED, /* a step was stopped because another failed or the user asked */
	EVENT_WARNING,  /* something the user should know; step may be 0 */
	EVENT_N_,
};

/* What a step cost, measured; 0 where the machine cannot tell. */
struct step_cost {
	uint64_t wall_ns;
	uint64_t cpu_ns;     /* user + system, the command and its children */
	uint64_t peak_bytes; /* highest memory use, of the cgroup or else of the largest process */
	uint64_t written_bytes; /* size of the files in the step's layer */
};

struct build_event {
	enum event_kind kind;
	int64_t time_ns; /* clock_monotonic() */
	unsigned step;   /* number of the step, from 1; 0 for the build as a whole */
	str name; /* PLAN, START, CACHED: "[build 3/7] RUN apt-get update" or "[internal] load build
	             context" */
	str file; /* PLAN: Dockerfile of the step, or empty */
	unsigned line, end_line; /* PLAN: its lines there, 1-based; 0 = none */
	/* PLAN: no step of the build but work after it (an output, publishing): has a number of its
	 * own and is not counted among the steps. */
	bool extra;
	int stream; /* OUTPUT: 1 stdout, 2 stderr */
	str text;   /* OUTPUT: the bytes; WARNING: one line; PROGRESS: what advances ("extracting
	               sha256:ab12...") */
	uint64_t current;            /* PROGRESS: bytes so far */
	uint64_t total;              /* PROGRESS: bytes in all, 0 = not known */
	struct step_cost cost;       /* DONE, CACHED (what it cost when it ran) */
	const char *from;            /* CACHED: name of the remote that had it; NULL: it was here */
	const struct cairn_err *err; /* FAILED */
	int exit_code;               /* FAILED: of the command, else -1 */
	bool oom;                    /* FAILED: killed because memory ran out */
};

struct engine_observer {
	void (*event)(void *ctx, const struct build_event *ev);
	void *ctx; /* borrowed */
};

#endif
