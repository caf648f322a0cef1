/* What is said at the end: why a step failed, and what the build came to. */
#include "progress_text.h"
#include "progress_view.h"
#include "util/fs.h"
#include "util/num.h"

#define AROUND     3                 /* lines of the Dockerfile shown before and after */
#define STEP_LINES 40                /* lines of the step itself; the rest is left out */
#define SOURCE_MAX (4 * 1024 * 1024) /* a larger Dockerfile is not shown */

/* The Dockerfile with the step's lines marked:
 *
 *	Dockerfile:12
 *	  11 |     COPY . .
 *	  12 | >>> RUN make
 */
static void put_source(const struct progress *p, const struct progress_step *step, str text,
                       struct strbuf *out)
{
	unsigned last = step->end_line > step->line ? step->end_line : step->line;
	unsigned from = step->line > AROUND ? step->line - AROUND : 1, n = 0, to;
	str line;

	if (last - step->line > STEP_LINES)
		last = step->line + STEP_LINES;
	to = last + AROUND;
	strbuf_printf(out, "%s:%u\n", step->file, step->line);
	while (str_next(&text, '\n', &line)) {
		bool mine;

		n++;
		if (n < from)
			continue;
		if (n > to || (text.ptr == NULL && line.len == 0))
			break;
		mine = n >= step->line && n <= last;
		strbuf_printf(out, "%s%4u |%s", mine ? paint(p, PAINT_RED) : "", n,
		              mine           ? " >>> "
		              : line.len > 0 ? "     "
		                             : "");
		text_clean(line, out);
		strbuf_printf(out, "%s\n", mine ? paint(p, PAINT_OFF) : "");
	}
}

static void put_tail(const struct progress_step *step, size_t max, struct strbuf *out)
{
	cleanup_strbuf struct strbuf raw;
	bool cut = step->tail.cut || step->tail.len > max;
	str text, line;

	strbuf_init(&raw, PROGRESS_TAIL_MAX);
	tail_copy(&step->tail, max, &raw);
	text = strbuf_view(&raw);
	if (cut) { /* begin with a whole line */
		ptrdiff_t nl = str_find(text, '\n');

		if (nl >= 0)
			text = str_skip(text, (size_t)nl + 1);
		strbuf_cstr(out, "[older output is left out]\n");
	}
	while (str_next(&text, '\n', &line)) {
		if (line.len == 0 && (text.ptr == NULL || text.len == 0))
			continue;
		text_clean(line, out);
		strbuf_char(out, '\n');
	}
}

static void put_cause(const struct progress_step *step, struct strbuf *out)
{
	if (step->oom && step->exit_code >= 0)
		strbuf_printf(out, "killed: out of memory (exit code %d)\n", step->exit_code);
	else if (step->oom)
		strbuf_cstr(out, "killed: out of memory\n");
	else if (step->exit_code >= 0)
		strbuf_printf(out, "exit code %d\n", step->exit_code);
}

void report_failure(const struct progress *p, size_t max_tail, struct strbuf *out)
{
	const struct progress_step *step;
	cleanup_strbuf struct strbuf file;
	struct cairn_err ignored;
	str text = { 0 };

	strbuf_init(&file, SOURCE_MAX);
	if (!p->state.failed)
		return;
	step = &p->state.steps.ptr[p->state.failed - 1];
	strbuf_printf(out, "------\n %s> %s:%s\n", paint(p, PAINT_BOLD), step->name,
	              paint(p, PAINT_OFF));
	put_tail(step, max_tail, out);
	put_cause(step, out);
	strbuf_cstr(out, "------\n");
	if (p->src_file && strcmp(p->src_file, step->file) == 0)
		text = p->src_text;
	else if (*step->file && fs_read_file(AT_FDCWD, step->file, &file, &ignored) == 0)
		text = strbuf_view(&file);
	if (text.len > 0 && step->line > 0)
		put_source(p, step, text, out);
}

void report_summary(const struct progress *p, const struct progress_result *r, struct strbuf *out)
{
	const unsigned *n = p->state.count;
	unsigned steps = state_count(&p->state, STEP_N_);
	const char *word = r->ok                                         ? "Built"
	                   : n[STEP_FAILED] == 0 && n[STEP_CANCELED] > 0 ? "Stopped"
	                                                                 : "Failed";
	char time[32];
	int64_t wall = p->now_ns - p->o.start_ns;

	if (!r->ok && p->state.steps.len == 0) /* the error line says it all */
		return;
	strbuf_printf(out, "%s%s%s in %s: %u step%s, %u cached, %u run",
	              paint(p, r->ok ? PAINT_BLUE : PAINT_RED), word, paint(p, PAINT_OFF),
	              num_human_ns((uint64_t)(wall > 0 ? wall : 0), time, sizeof(time)), steps,
	              steps == 1 ? "" : "s", state_count(&p->state, STEP_CACHED),
	              state_count(&p->state, STEP_DONE));
	if (n[STEP_FAILED])
		strbuf_printf(out, ", %u failed", n[STEP_FAILED]);
	if (n[STEP_CANCELED])
		strbuf_printf(out, ", %u canceled", n[STEP_CANCELED]);
	strbuf_char(out, '\n');
	if (r->image_id)
		strbuf_printf(out, "  %s\n", r->image_id);
	for (size_t i = 0; r->names && r->names[i]; i++)
		strbuf_printf(out, "  %s\n", r->names[i]);
}
