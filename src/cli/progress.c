#include "progress_view.h"

#include <unistd.h>

#include "progress_text.h"
#include "util/num.h"

#define NOTES_MAX  (64 * 1024)
#define OUT_MAX    (1024 * 1024)
#define QUIET_TAIL PROGRESS_TAIL_MAX

const char *const progress_modes[] = { "auto", "tty", "plain", "json", "quiet", NULL };

static const struct progress_view *view_of(enum progress_mode mode)
{
	switch (mode) {
	case PROGRESS_TTY:
		return &progress_tty;
	case PROGRESS_PLAIN:
		return &progress_plain;
	case PROGRESS_JSON:
		return &progress_json;
	case PROGRESS_QUIET:
	case PROGRESS_AUTO:
		break;
	}
	return NULL;
}

static bool can_move_cursor(FILE *f)
{
	const char *term = getenv("TERM");

	return isatty(fileno(f)) && !(term && strcmp(term, "dumb") == 0);
}

struct progress *progress_new(const struct progress_opts *o)
{
	struct progress *p = xcalloc(1, sizeof(*p));

	p->o = *o;
	if (p->o.mode == PROGRESS_AUTO)
		p->o.mode = can_move_cursor(o->out) ? PROGRESS_TTY : PROGRESS_PLAIN;
	p->view = view_of(p->o.mode);
	p->now_ns = o->start_ns;
	strbuf_init(&p->live.notes, NOTES_MAX);
	return p;
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	state_done(&p->state);
	vec_free(&p->live.widths);
	vec_free(&p->live.ended);
	strbuf_done(&p->live.notes);
	free(p->src_file);
	free(p);
}

static void on_line(void *ctx, struct progress_step *step, str line)
{
	struct progress *p = ctx;

	if (p->view && p->view->line)
		p->view->line(p, step, line);
}

static bool ends_step(enum event_kind kind)
{
	return kind == EVENT_DONE || kind == EVENT_FAILED || kind == EVENT_CANCELED;
}

static void on_event(void *ctx, const struct build_event *ev)
{
	struct progress *p = ctx;
	struct progress_step *step = state_apply(&p->state, ev);

	if (ev->time_ns > p->now_ns)
		p->now_ns = ev->time_ns;
	if (step && (ev->kind == EVENT_OUTPUT || ends_step(ev->kind)))
		state_output(step, ev->kind == EVENT_OUTPUT ? ev->text : str_n(NULL, 0),
		             ends_step(ev->kind), on_line, p);
	if (step && ev->kind == EVENT_DONE)
		tail_done(&step->tail);
	if (p->view && p->view->event)
		p->view->event(p, step, ev);
}

struct engine_observer progress_observer(struct progress *p)
{
	return (struct engine_observer){ .event = on_event, .ctx = p };
}

void progress_source(struct progress *p, str file, str text)
{
	free(p->src_file);
	p->src_file = str_dup(file);
	p->src_text = text;
}

int64_t progress_tick(struct progress *p, int64_t now_ns)
{
	if (now_ns > p->now_ns)
		p->now_ns = now_ns;
	return p->view && p->view->tick ? p->view->tick(p, now_ns) : -1;
}

void progress_end(struct progress *p, const struct progress_result *r)
{
	if (r->time_ns > p->now_ns)
		p->now_ns = r->time_ns;
	if (p->view) {
		p->view->end(p, r);
	} else if (!r->ok) {
		cleanup_strbuf struct strbuf out;

		strbuf_init(&out, OUT_MAX);
		report_failure(p, QUIET_TAIL, &out);
		view_write(p, &out);
	}
}

const char *paint(const struct progress *p, enum paint c)
{
	static const char *const codes[] = {
		[PAINT_OFF] = "\033[0m",     [PAINT_RED] = "\033[31m", [PAINT_BLUE] = "\033[34m",
		[PAINT_YELLOW] = "\033[33m", [PAINT_DIM] = "\033[2m",  [PAINT_BOLD] = "\033[1m",
	};

	return p->o.color ? codes[c] : "";
}

void view_advance(const struct progress_step *step, struct strbuf *out)
{
	char now[32], total[32];

	strbuf_cstr(out, step->what);
	if (step->current || step->total)
		strbuf_printf(out, " %s", num_human_bytes(step->current, now, sizeof(now)));
	if (step->total)
		strbuf_printf(out, " / %s", num_human_bytes(step->total, total, sizeof(total)));
}

void view_write(struct progress *p, const struct strbuf *b)
{
	(void)fwrite(b->ptr, 1, b->len, p->o.out);
	(void)fflush(p->o.out);
}
