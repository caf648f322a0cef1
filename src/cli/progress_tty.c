/* The live view.  Finished steps are printed for good, one line each; below them
 * stands a small area that is drawn again a few times a second: the running
 * steps with their time, the last lines of their output, and a summary line.
 *
 * Each drawing is one write: cursor up over the old area, new lines (each
 * cleared to its end), clear what is left below.  Nothing needs to be restored
 * on a terminal when cairn is killed in between.
 */
#include <sys/ioctl.h>

#include "progress_text.h"
#include "progress_view.h"
#include "util/num.h"

#define DRAW_EVERY   (80 * 1000000ll)  /* ns: at most 12 drawings a second */
#define IDLE_EVERY   (100 * 1000000ll) /* ns: running times have one decimal */
#define OUTPUT_LINES 6                 /* of each running step */
#define OUTPUT_BYTES (8 * 1024)        /* looked at to find them */
#define TIME_COLUMNS 8                 /* right column */
#define SCREEN_MAX   (4 * 1024 * 1024)
#define LINE_OUT_MAX (64 * 1024)
#define COLUMNS_MIN  20

struct screen {
	struct progress *p;
	struct strbuf out;
	size_t columns; /* usable: one less than the terminal has */
	size_t rows;
	bool live; /* lines go into the live area: remember their widths */
};

static void get_size(const struct progress *p, struct screen *s)
{
	struct winsize w = { 0 };
	int columns = p->o.columns, rows = p->o.rows;

	if ((!columns || !rows) && ioctl(fileno(p->o.out), TIOCGWINSZ, &w) == 0) {
		columns = columns ? columns : w.ws_col;
		rows = rows ? rows : w.ws_row;
	}
	s->columns = (size_t)(columns > COLUMNS_MIN ? columns : columns > 0 ? COLUMNS_MIN : 80) - 1;
	s->rows = (size_t)(rows > 3 ? rows : rows > 0 ? 3 : 24);
}

/* One line: colour, text cut to fit, and something at the right edge ("" for none). */
static void put_line(struct screen *s, enum paint color, str text, const char *right)
{
	size_t room = s->columns - (*right ? TIME_COLUMNS + 1 : 0), used;

	strbuf_cstr(&s->out, color == PAINT_OFF ? "" : paint(s->p, color));
	used = text_fit(text, room, &s->out);
	if (*right) {
		for (; used < room; used++)
			strbuf_char(&s->out, ' ');
		strbuf_printf(&s->out, " %*s", TIME_COLUMNS, right);
		used = s->columns;
	}
	strbuf_printf(&s->out, "%s\033[K\n", color == PAINT_OFF ? "" : paint(s->p, PAINT_OFF));
	if (s->live)
		vec_push(&s->p->live.widths, used);
}

/* Cursor to the first line of the area drawn last time. A terminal that was made
 * narrower has wrapped those lines since. */
static void go_up(struct screen *s)
{
	size_t up = 0;

	vec_foreach (w, &s->p->live.widths)
		up += *w > s->columns + 1 ? (*w + s->columns) / (s->columns + 1) : 1;
	s->p->live.widths.len = 0;
	if (up > 0)
		strbuf_printf(&s->out, "\033[%zuF", up);
}

static const char *seconds(double s, char buf[32])
{
	if (s < 100)
		(void)snprintf(buf, 32, "%.1fs", s);
	else
		(void)num_human_ns((uint64_t)(s * 1e9), buf, 32);
	return buf;
}

static void put_ended(struct screen *s, const struct progress_step *step)
{
	static const struct {
		const char *mark;
		enum paint color;
	} looks[] = {
		[STEP_WAITING] = { "", PAINT_OFF },
		[STEP_RUNNING] = { "", PAINT_OFF },
		[STEP_CACHED] = { "CACHED ", PAINT_BLUE },
		[STEP_DONE] = { "", PAINT_BLUE },
		[STEP_FAILED] = { "ERROR ", PAINT_RED },
		[STEP_CANCELED] = { "CANCELED ", PAINT_YELLOW },
	};
	cleanup_strbuf struct strbuf text;
	char time[32];

	strbuf_init(&text, LINE_OUT_MAX);
	strbuf_printf(&text, " => %s%s", looks[step->status].mark, step->name);
	put_line(s, looks[step->status].color, strbuf_view(&text),
	         step->status == STEP_CACHED ? ""
	                                     : seconds(state_seconds(step, s->p->now_ns), time));
}

/* The start of the last `lines` lines of text; a newline at the end does not count. */
static str last_lines(str text, size_t lines)
{
	size_t i = text.len;

	if (i > 0 && text.ptr[i - 1] == '\n')
		i--;
	text.len = i;
	for (; i > 0; i--)
		if (text.ptr[i - 1] == '\n' && --lines == 0)
			break;
	return str_skip(text, i);
}

static void put_output(struct screen *s, const struct progress_step *step, size_t lines)
{
	cleanup_strbuf struct strbuf raw;
	str rest, line;

	strbuf_init(&raw, OUTPUT_BYTES);
	tail_copy(&step->tail, OUTPUT_BYTES, &raw);
	rest = last_lines(strbuf_view(&raw), lines);
	if (rest.len == 0)
		return;
	while (str_next(&rest, '\n', &line)) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, LINE_OUT_MAX);
		strbuf_cstr(&text, "    | ");
		text_clean(line, &text);
		put_line(s, PAINT_DIM, strbuf_view(&text), "");
	}
}

static size_t output_lines(const struct progress_step *step, size_t max)
{
	cleanup_strbuf struct strbuf raw;
	str rest, line;
	size_t n = 0;

	strbuf_init(&raw, OUTPUT_BYTES);
	tail_copy(&step->tail, OUTPUT_BYTES, &raw);
	rest = last_lines(strbuf_view(&raw), max);
	while (rest.len > 0 && str_next(&rest, '\n', &line))
		n++;
	return n;
}

static void put_running(struct screen *s, const struct progress_step *step, size_t lines)
{
	cleanup_strbuf struct strbuf text;
	char time[32];

	strbuf_init(&text, LINE_OUT_MAX);
	strbuf_printf(&text, " -> %s", step->name);
	put_line(s, PAINT_OFF, strbuf_view(&text),
	         seconds(state_seconds(step, s->p->now_ns), time));
	if (step->what && lines > 0) {
		strbuf_clear(&text);
		strbuf_cstr(&text, "    | ");
		view_advance(step, &text);
		if (step->total)
			strbuf_printf(
				&text, " (%u%%)",
				(unsigned)((double)step->current * 100.0 / (double)step->total));
		put_line(s, PAINT_DIM, strbuf_view(&text), "");
		lines--;
	}
	if (lines > 0)
		put_output(s, step, lines);
}

static void put_summary(struct screen *s)
{
	const struct progress_state *st = &s->p->state;
	unsigned cached = state_count(st, STEP_CACHED), running = state_count(st, STEP_RUNNING);
	cleanup_strbuf struct strbuf text;
	char time[32];

	strbuf_init(&text, LINE_OUT_MAX);
	strbuf_printf(&text, "[+] Building: %u of %u steps", state_count(st, STEP_DONE) + cached,
	              state_count(st, STEP_N_));
	if (cached)
		strbuf_printf(&text, ", %u cached", cached);
	if (running)
		strbuf_printf(&text, ", %u running", running);
	put_line(s, PAINT_BOLD, strbuf_view(&text),
	         seconds((double)(s->p->now_ns - s->p->o.start_ns) / 1e9, time));
}

/* Lines of output each running step may show, so that the area fits the rows. */
static size_t share_rows(const struct screen *s, size_t *ret_shown)
{
	struct progress_state *st = &s->p->state;
	size_t room = s->rows - 2; /* the summary, and the line of the cursor */
	size_t running = st->count[STEP_RUNNING];

	*ret_shown = running <= room ? running : room - 1;
	for (size_t lines = OUTPUT_LINES; lines > 0; lines--) {
		size_t need = running;

		vec_foreach (step, &st->steps)
			if (step->status == STEP_RUNNING)
				need += output_lines(step, lines) + (step->what != NULL);
		if (need <= room)
			return lines;
	}
	return 0;
}

static void put_live(struct screen *s)
{
	size_t shown, lines = share_rows(s, &shown), n = 0;
	size_t running = s->p->state.count[STEP_RUNNING];

	s->live = true;
	vec_foreach (step, &s->p->state.steps) {
		if (step->status != STEP_RUNNING || n == shown)
			continue;
		put_running(s, step, lines);
		n++;
	}
	if (n < running) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, LINE_OUT_MAX);
		strbuf_printf(&text, "    and %zu more running", running - n);
		put_line(s, PAINT_DIM, strbuf_view(&text), "");
	}
	put_summary(s);
}

static void draw(struct progress *p, bool live)
{
	struct screen s = { .p = p };
	str notes = strbuf_view(&p->live.notes), line;

	strbuf_init(&s.out, SCREEN_MAX);
	get_size(p, &s);
	strbuf_cstr(&s.out, "\033[?7l"); /* no wrapping while the size may have changed */
	go_up(&s);
	vec_foreach (id, &p->live.ended)
		put_ended(&s, &p->state.steps.ptr[*id - 1]);
	while (notes.len > 0 && str_next(&notes, '\n', &line))
		put_line(&s, PAINT_YELLOW, line, "");
	p->live.ended.len = 0;
	strbuf_clear(&p->live.notes);
	if (live)
		put_live(&s);
	strbuf_cstr(&s.out, "\033[J\033[?7h");
	view_write(p, &s.out);
	strbuf_done(&s.out);
	p->live.drawn_ns = p->now_ns;
	p->live.dirty = false;
}

static int64_t tick(struct progress *p, int64_t now_ns)
{
	int64_t since = now_ns - p->live.drawn_ns;

	if (since >= (p->live.dirty ? DRAW_EVERY : IDLE_EVERY)) {
		draw(p, true);
		return IDLE_EVERY;
	}
	return (p->live.dirty ? DRAW_EVERY : IDLE_EVERY) - since;
}

static void event(struct progress *p, struct progress_step *step, const struct build_event *ev)
{
	p->live.dirty = true;
	if (ev->kind == EVENT_WARNING) {
		strbuf_cstr(&p->live.notes, " WARN: ");
		text_clean(ev->text, &p->live.notes);
		strbuf_char(&p->live.notes, '\n');
	}
	if (step && (step->status == STEP_CACHED || step->status >= STEP_DONE) &&
	    ev->kind != EVENT_WARNING && ev->kind != EVENT_OUTPUT && ev->kind != EVENT_PROGRESS)
		vec_push(&p->live.ended, step->id);
	if (p->now_ns - p->live.drawn_ns >= DRAW_EVERY)
		draw(p, true);
}

static void end(struct progress *p, const struct progress_result *r)
{
	cleanup_strbuf struct strbuf b;

	draw(p, false);
	strbuf_init(&b, SCREEN_MAX);
	report_failure(p, PROGRESS_TAIL_MAX, &b);
	report_summary(p, r, &b);
	view_write(p, &b);
}

const struct progress_view progress_tty = { .event = event, .tick = tick, .end = end };
