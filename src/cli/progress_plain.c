/* The plain view: a line for each thing that happens, in the manner of docker:
 *
 *	#5 [build 3/7] RUN make
 *	#5 0.312 cc -c main.c
 *	#5 DONE 1.2s
 */
#include "progress_text.h"
#include "progress_view.h"

#define LINE_OUT_MAX     (16 * PROGRESS_LINE_MAX) /* a line of nothing but tabs fits */
#define PLAIN_REPORT_MAX (1024 * 1024)
#define ADVANCE_EVERY    (5 * 1000000000ll)  /* ns between two lines about a transfer */
#define SILENT_EVERY     (60 * 1000000000ll) /* ns, when the second says what the first did */
#define TAIL_SHOWN       (4 * 1024)          /* the output is in the log already: only a reminder */

/* Output of several steps comes interleaved: name the step where it changes. */
static void switch_to(struct progress *p, struct progress_step *step, bool header, struct strbuf *b)
{
	bool same = p->last == step->id;

	if (same && !header)
		return;
	if (p->last && !p->fresh)
		strbuf_char(b, '\n');
	strbuf_printf(b, "#%u %s\n", step->id, step->name);
	p->last = step->id;
	p->fresh = false;
}

static void line(struct progress *p, struct progress_step *step, str text)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, LINE_OUT_MAX);
	switch_to(p, step, false, &b);
	strbuf_printf(&b, "#%u %.3f ", step->id, state_seconds(step, p->now_ns));
	text_clean(text, &b);
	strbuf_char(&b, '\n');
	view_write(p, &b);
}

/* Now and then; and when all has arrived, once. Where nothing moves, seldom. */
static bool is_due(const struct progress *p, const struct progress_step *step)
{
	bool same = step->current == step->shown_current && step->total == step->shown_total;
	int64_t since = p->now_ns - step->shown_ns;

	if (!step->shown_ns || (!same && step->total && step->current == step->total))
		return true;
	return since >= (same ? SILENT_EVERY : ADVANCE_EVERY);
}

static void advance(struct progress *p, struct progress_step *step, struct strbuf *b)
{
	if (!is_due(p, step))
		return;
	step->shown_ns = p->now_ns;
	step->shown_current = step->current;
	step->shown_total = step->total;
	switch_to(p, step, false, b);
	strbuf_printf(b, "#%u ", step->id);
	view_advance(step, b);
	strbuf_char(b, '\n');
}

static void ending(struct progress *p, struct progress_step *step, const char *from,
                   struct strbuf *b)
{
	double s = state_seconds(step, p->now_ns);

	switch_to(p, step, step->status == STEP_CACHED, b);
	if (step->status == STEP_CACHED)
		strbuf_printf(b, "#%u CACHED%s%s\n", step->id, from ? " from " : "",
		              from ? from : "");
	else if (step->status == STEP_DONE)
		strbuf_printf(b, "#%u DONE %.1fs\n", step->id, s);
	else if (step->status == STEP_CANCELED)
		strbuf_printf(b, "#%u CANCELED\n", step->id);
	else
		strbuf_printf(b, "#%u ERROR: %s\n", step->id, step->err.msg);
	strbuf_char(b, '\n');
	p->fresh = true;
}

static void event(struct progress *p, struct progress_step *step, const struct build_event *ev)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, LINE_OUT_MAX);
	if (ev->kind == EVENT_WARNING) {
		strbuf_cstr(&b, "WARN: ");
		text_clean(ev->text, &b);
		strbuf_char(&b, '\n');
	} else if (!step || ev->kind == EVENT_PLAN || ev->kind == EVENT_OUTPUT) {
		return;
	} else if (ev->kind == EVENT_START) {
		switch_to(p, step, true, &b);
	} else if (ev->kind == EVENT_PROGRESS) {
		advance(p, step, &b);
	} else {
		ending(p, step, ev->from, &b);
	}
	view_write(p, &b);
}

static void end(struct progress *p, const struct progress_result *r)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, PLAIN_REPORT_MAX);
	report_failure(p, TAIL_SHOWN, &b);
	report_summary(p, r, &b);
	view_write(p, &b);
}

const struct progress_view progress_plain = { .event = event, .line = line, .end = end };
