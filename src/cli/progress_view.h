/* cli/progress_view.h - the inside of the progress display: its parts and its views. */
#ifndef CAIRN_CLI_PROGRESS_VIEW_H
#define CAIRN_CLI_PROGRESS_VIEW_H

#include "progress.h"
#include "progress_state.h"

/* What a mode does with what happens. Any member may be NULL. */
struct progress_view {
	/* After the state took the event in. step: NULL for the build as a whole. */
	void (*event)(struct progress *p, struct progress_step *step, const struct build_event *ev);
	/* A line of output became complete; not cleaned. */
	void (*line)(struct progress *p, struct progress_step *step, str line);
	/* Time passed; returns ns until the next call, -1: none needed. */
	int64_t (*tick)(struct progress *p, int64_t now_ns);
	void (*end)(struct progress *p, const struct progress_result *r);
};

extern const struct progress_view progress_plain, progress_json, progress_tty;

/* The live area of the TTY view: what is on the screen below the finished lines. */
struct progress_live {
	VEC(size_t) widths; /* columns of each line drawn last time */
	VEC(unsigned)
	ended; /* steps that ended since, in order: printed for good at the next drawing */
	struct strbuf notes; /* warnings that came since, complete lines */
	int64_t drawn_ns;    /* when it was drawn last */
	bool dirty;          /* something changed since */
};

struct progress {
	struct progress_opts o;
	const struct progress_view *view; /* NULL: quiet */
	struct progress_state state;
	struct progress_live live;
	int64_t now_ns; /* time of the event or tick being handled */
	char *src_file; /* owned; progress_source(), or NULL */
	str src_text;   /* borrowed */
	unsigned last;  /* PLAIN: step of the line printed last */
	bool fresh;     /* PLAIN: an empty line was printed last */
};

/* "\033[31m" or "" without colours; PAINT_OFF ends it. */
enum paint {
	PAINT_OFF,
	PAINT_RED,
	PAINT_BLUE,
	PAINT_YELLOW,
	PAINT_DIM,
	PAINT_BOLD
};
const char *paint(const struct progress *p, enum paint c);

/* Append what advances and how far it is: "uploading 5 MB / 9 MB"; without bytes where none are
 * known. */
void view_advance(const struct progress_step *step, struct strbuf *out);

/* Append the report of the failed step, as lines: its Dockerfile lines, at most
 * max_tail bytes of its output, and how it ended. Nothing when no step failed. */
void report_failure(const struct progress *p, size_t max_tail, struct strbuf *out);

/* Append the summary line and the names of the result. */
void report_summary(const struct progress *p, const struct progress_result *r, struct strbuf *out);

/* Write and flush; a display that cannot be written to is not an error of the build. */
void view_write(struct progress *p, const struct strbuf *b);

#endif
