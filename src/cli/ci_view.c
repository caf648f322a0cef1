#include "ci_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "progress_text.h"
#include "util/clock.h"
#include "util/num.h"

#define DRAW_EVERY (200 * 1000000ll) /* ns */
#define LINE_MAX_  (64u << 10)
#define OUT_MAX    (4u << 20)

struct ci_view {
	const struct ci *c;
	FILE *out;
	bool table;   /* it is a terminal */
	size_t drawn; /* lines of the table that stand there */
	int64_t last; /* monotonic; of the last drawing */
	int width;    /* of the longest name */
};

struct ci_view *ci_view_new(const struct ci *c)
{
	struct ci_view *v = xcalloc(1, sizeof(*v));

	v->c = c;
	v->out = c->plan->ctx->err;
	v->table = !c->opts->quiet && isatty(fileno(v->out));
	for (size_t k = 0; k < c->len; k++)
		if ((int)c->ptr[k].plan->image->name.len > v->width)
			v->width = (int)c->ptr[k].plan->image->name.len;
	return v;
}

void ci_view_free(struct ci_view *v)
{
	free(v);
}

void ci_view_end(struct ci_view *v)
{
	if (v->drawn)
		(void)fprintf(v->out, "\033[%zuF\033[J", v->drawn);
	v->drawn = 0;
	v->last = 0;
	(void)fflush(v->out);
}

/* A line for people: nothing in it steers a terminal. */
static void put(struct ci_view *v, str line)
{
	cleanup_strbuf struct strbuf clean;

	strbuf_init(&clean, LINE_MAX_);
	text_clean(line, &clean);
	(void)fprintf(v->out, "%s\n", clean.ptr);
}

void ci_view_tell(struct ci_view *v, const struct ci_image *i, bool failure, const char *what,
                  const char *more)
{
	cleanup_strbuf struct strbuf line;

	strbuf_init(&line, LINE_MAX_);
	if (v->c->opts->quiet && !failure)
		return;
	strbuf_printf(&line, "%-9s %.*s%s%s", what, STR(i->plan->image->name), *more ? " " : "",
	              more);
	ci_view_end(v);
	put(v, strbuf_view(&line));
	(void)fflush(v->out);
}

void ci_view_log(struct ci_view *v, const struct ci_image *i, str lines)
{
	str rest = lines, line;

	if (!v->c->opts->logs || v->c->opts->quiet || !lines.len)
		return;
	ci_view_end(v);
	while (str_next(&rest, '\n', &line)) {
		if (!line.len && !rest.len)
			break;
		(void)fprintf(v->out, "%.*s | ", STR(i->plan->image->name));
		put(v, line);
	}
	(void)fflush(v->out);
}

/* --- the table -------------------------------------------------------------------------- */

static void row(const struct ci_view *v, const struct ci_image *i, int64_t now, size_t columns,
                struct strbuf *out)
{
	const struct ci_attempt *a = i->attempts.len ? *vec_last(&i->attempts) : NULL;
	cleanup_strbuf struct strbuf text, clean;
	char time[32] = "";

	strbuf_init(&text, LINE_MAX_);
	strbuf_init(&clean, LINE_MAX_);
	if (ci_state_live(i->state) && a)
		(void)num_human_ns((uint64_t)(now - a->asked), time, sizeof(time));
	strbuf_printf(&text, " %-*.*s  %-9s %7s", v->width, STR(i->plan->image->name),
	              ci_state_name(i->state), time);
	if (ci_state_live(i->state) && a)
		strbuf_printf(&text, "  %.*s  %s  %.*s", STR(a->task.runner->c.name), i->detail,
		              STR(a->url));
	else if (i->why.len)
		strbuf_printf(&text, "  %.*s", STR(i->why));
	text_clean(strbuf_view(&text), &clean);
	(void)text_fit(strbuf_view(&clean), columns, out);
	strbuf_cstr(out, "\033[K\n");
}

void ci_view_draw(struct ci_view *v)
{
	int64_t now = clock_monotonic();
	struct winsize w = { 0 };
	cleanup_strbuf struct strbuf out;
	size_t rows = 0, room, columns;

	strbuf_init(&out, OUT_MAX);
	if (!v->table || (v->drawn && now - v->last < DRAW_EVERY))
		return;
	(void)ioctl(fileno(v->out), TIOCGWINSZ, &w);
	columns = w.ws_col > 20 ? w.ws_col - 1u : 79;
	room = w.ws_row > 4 ? w.ws_row - 3u : 20;
	for (size_t k = 0; k < v->c->len; k++) {
		const struct ci_image *i = &v->c->ptr[k];

		if ((!ci_state_live(i->state) && i->state != CI_WAITING) || rows == room)
			continue;
		row(v, i, now, columns, &out);
		rows++;
	}
	ci_view_end(v);
	(void)fputs(out.ptr, v->out);
	(void)fflush(v->out);
	v->drawn = rows;
	v->last = now;
}
