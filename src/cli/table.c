#include "table.h"

#include "progress_text.h"
#include "util/clock.h"
#include "util/vec.h"

#define CELL_MAX (64 * 1024)

struct table {
	VEC(char *) cells; /* owned; row after row, the headings first */
	size_t columns;
};

void table_cell(struct table *t, const char *text)
{
	struct strbuf clean;

	strbuf_init(&clean, CELL_MAX);
	text_clean(str_of(text), &clean);
	vec_push(&t->cells, strbuf_steal(&clean));
}

struct table *table_new(const char *const *headings)
{
	struct table *t = xcalloc(1, sizeof(*t));

	while (headings[t->columns])
		table_cell(t, headings[t->columns++]);
	return t;
}

void table_print(struct table *t, FILE *out)
{
	size_t widths[TABLE_COLUMNS_MAX] = { 0 };

	for (size_t i = 0; i < t->cells.len; i++) {
		size_t w = text_width(str_of(t->cells.ptr[i]));

		if (w > widths[i % t->columns])
			widths[i % t->columns] = w;
	}
	for (size_t i = 0; i < t->cells.len; i++) {
		const char *cell = t->cells.ptr[i];
		bool last = (i + 1) % t->columns == 0;
		size_t pad = last ? 0 : widths[i % t->columns] + 3 - text_width(str_of(cell));

		if (out)
			(void)fprintf(out, "%s%*s%s", cell, (int)pad, "", last ? "\n" : "");
		free(t->cells.ptr[i]);
	}
	vec_free(&t->cells);
	free(t);
}

const char *table_ago(int64_t then_ns, int64_t now_ns, char buf[32])
{
	static const struct {
		int64_t seconds;
		const char *name;
	} units[] = {
		{ 365 * 86400, "year" }, { 30 * 86400, "month" }, { 7 * 86400, "week" },
		{ 86400, "day" },        { 3600, "hour" },        { 60, "minute" },
		{ 1, "second" },
	};
	int64_t s = (now_ns - then_ns) / CLOCK_SEC;

	(void)snprintf(buf, 32, "%s", then_ns <= 0 ? "-" : "now");
	for (size_t i = 0; then_ns > 0 && i < ARRAY_SIZE(units); i++) {
		/* As docker: 23 months rather than 1 year. */
		int64_t least =
			units[i].seconds > 1 && i < 4 ? 2 * units[i].seconds : units[i].seconds;

		if (s < least)
			continue;
		(void)snprintf(buf, 32, "%lld %s%s ago", (long long)(s / units[i].seconds),
		               units[i].name, s / units[i].seconds == 1 ? "" : "s");
		break;
	}
	return buf;
}
