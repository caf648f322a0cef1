/* cli/progress_state.h - what is known about the steps of a running build.
 *
 * Fed with the engine's events, read by the views.  Memory per step is bounded:
 * the tail of its output (PROGRESS_TAIL_MAX) and one unfinished line.
 */
#ifndef CAIRN_CLI_PROGRESS_STATE_H
#define CAIRN_CLI_PROGRESS_STATE_H

#include "engine/engine.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define PROGRESS_TAIL_MAX (64 * 1024) /* bytes of output kept of each step */
#define PROGRESS_LINE_MAX (16 * 1024) /* a longer line is shown in pieces */

enum step_status {
	STEP_WAITING,
	STEP_RUNNING,
	STEP_CACHED,
	STEP_DONE,
	STEP_FAILED,
	STEP_CANCELED,
	STEP_N_,
};

/* The last bytes of a stream, in a ring that grows up to its maximum. */
struct tail {
	char *ptr;         /* owned */
	size_t cap;        /* bytes allocated */
	size_t start, len; /* the bytes are ptr[(start + i) % cap] */
	bool cut;          /* older bytes were dropped */
};

void tail_add(struct tail *t, str bytes);
/* Append the last n bytes (or all, when there are fewer) to out. */
void tail_copy(const struct tail *t, size_t n, struct strbuf *out);
void tail_done(struct tail *t);

struct progress_step {
	unsigned id;             /* the engine's number, from 1 */
	char *name;              /* owned, clean */
	char *file;              /* owned; Dockerfile, or "" */
	unsigned line, end_line; /* 0: none */
	bool extra;              /* work after the build: not counted as a step */
	enum step_status status;
	int64_t start_ns, end_ns;
	struct tail tail;   /* of the output; released when the step ends well */
	struct strbuf part; /* of the output: bytes after the last newline */
	char *what;         /* owned, clean: what advances; NULL: nothing */
	uint64_t current, total;
	/* What a view last printed of the advance, and when; for the view. */
	int64_t shown_ns;
	uint64_t shown_current, shown_total;
	struct step_cost cost;
	struct cairn_err err; /* FAILED */
	int exit_code;
	bool oom;
};

struct progress_state {
	VEC(struct progress_step) steps; /* index = id - 1 */
	unsigned count[STEP_N_];         /* steps of each status, with extra ones */
	unsigned extra[STEP_N_];         /* of these, the extra ones */
	unsigned failed;                 /* id of the first step that failed; 0: none */
};

/* Take in an event. Returns its step, or NULL for one about the build as a whole
 * or with a number beyond what a build can have. Does not handle output. */
struct progress_step *state_apply(struct progress_state *s, const struct build_event *ev);

/* Steps of the build with that status, without extra ones; STEP_N_: all. */
unsigned state_count(const struct progress_state *s, enum step_status status);

/* Seconds a step took, or has taken until now. */
double state_seconds(const struct progress_step *step, int64_t now_ns);

/* Take output in: into the tail, then call line() for each line that became complete.
 * `bytes` empty and `end` set: the unfinished line is complete. */
void state_output(struct progress_step *step, str bytes, bool end,
                  void (*line)(void *ctx, struct progress_step *step, str line), void *ctx);

void state_done(struct progress_state *s);

#endif
