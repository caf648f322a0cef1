/* cli/progress.h - what a person or a program sees while a build runs.
 *
 * The display is an observer of the engine (engine/event.h).  The engine's loop
 * also calls progress_tick(), so that times move while nothing happens.  Output
 * of steps is shown with control characters removed.  Main thread only.
 *
 *	struct progress *p = progress_new(&opts);
 *	... run the engine with progress_observer(p), calling progress_tick() ...
 *	progress_end(p, &result);
 *	progress_free(p);
 *
 * Lines of --progress=json: one object a line, all with "time" (RFC 3339) and
 * "event"; docs/progress.md lists the members.
 */
#ifndef CAIRN_CLI_PROGRESS_H
#define CAIRN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/engine.h"
#include "util/mem.h"

enum progress_mode {
	PROGRESS_AUTO,  /* TTY when `out` is a terminal that can move its cursor, else PLAIN */
	PROGRESS_TTY,   /* a live view */
	PROGRESS_PLAIN, /* a line for each thing that happens, as docker prints them */
	PROGRESS_JSON,  /* an object for each thing that happens */
	PROGRESS_QUIET, /* nothing, except the report of a failed step */
};

/* "auto", "tty", "plain", "json", "quiet": for the option table. */
extern const char *const progress_modes[];

struct progress;

struct progress_opts {
	enum progress_mode mode;
	FILE *out;        /* where to; borrowed */
	bool color;       /* colours are wanted */
	int columns;      /* width to use instead of the terminal's; 0: ask it (80 when unknown) */
	int rows;         /* the same for the height */
	int64_t start_ns; /* clock_monotonic() when the build started */
	int64_t start_wall_ns; /* clock_now() at the same moment; JSON lines count from it */
};

struct progress *progress_new(const struct progress_opts *o);
void progress_free(struct progress *p); /* NULL is fine */
DEFINE_CLEANUP(struct progress *, progress_free);
#define cleanup_progress __attribute__((cleanup(progress_free_p_)))

/* To be given to the engine; valid as long as p. */
struct engine_observer progress_observer(struct progress *p);

/* Text of a Dockerfile, for the report of a failed step. Without it the report
 * reads the file that the step's EVENT_PLAN names. file is copied, text is
 * borrowed until progress_free(). */
void progress_source(struct progress *p, str file, str text);

/* Let time pass: redraws when it is due (at most 12 times a second).
 * Returns the ns after which it wants to be called again, -1: no need. */
int64_t progress_tick(struct progress *p, int64_t now_ns);

struct progress_result {
	bool ok;
	int64_t time_ns;          /* clock_monotonic() at the end */
	const char *image_id;     /* "sha256:...", or NULL */
	const char *const *names; /* what was tagged or written, ends with NULL; or NULL */
};

/* The last words: takes the live view away, reports the failed step (the lines of
 * the Dockerfile around it, the tail of its output, how it ended) and prints the
 * summary. Called once. */
void progress_end(struct progress *p, const struct progress_result *r);

#endif
