#include "plan_print.h"

#include "table.h"
#include "util/clock.h"
#include "util/num.h"

#define WHY_COLUMNS    60
#define REASON_COLUMNS 4000
#define SUM_MAX        1000

/* --- what is expected ---------------------------------------------------------------------- */

const struct route_option *plan_chosen(const struct plan_route *r, const struct plan_image *i)
{
	size_t at;

	return plan_route_find(r, i, &at) ? r->decisions[at].chosen : NULL;
}

/* Drawn from builds of other images, or from nothing. */
static bool is_guess(const struct prediction *p)
{
	return !p->n_builds || p->n_guessed;
}

const char *plan_time_text(const struct route_option *o, char buf[PLAN_TEXT_MAX])
{
	char text[32];

	(void)snprintf(buf, PLAN_TEXT_MAX, "%s%s", is_guess(&o->predicted) ? "~" : "",
	               num_human_ns(o->time, text, sizeof(text)));
	return buf;
}

const char *plan_memory_text(const struct route_option *o, char buf[PLAN_TEXT_MAX])
{
	char text[32];

	(void)snprintf(buf, PLAN_TEXT_MAX, "%s%s", o->predicted.enough ? "" : "~",
	               num_human_bytes(o->predicted.memory, text, sizeof(text)));
	return buf;
}

uint64_t plan_step_time(const struct plan_route *r, const struct plan_image *i, size_t step,
                        size_t *runs)
{
	const struct plan_step *s = &i->steps[step];
	const struct route_option *o = plan_chosen(r, i);
	size_t at;

	if (s->result == REPORT_HIT || str_is(s->kind, REPORT_KIND_BASE) ||
	    !plan_route_find(r, i, &at))
		return s->cost_ns;
	return predict_step(r->predictor, &r->works[at], (*runs)++,
	                    o ? (unsigned)o->runner->c.vcpu : 0);
}

/* Two decimals at least, four at most; of nothing none. */
const char *plan_money_text(uint64_t micro, char buf[PLAN_TEXT_MAX])
{
	uint64_t shown = (micro + 50) / 100; /* 1e-4 USD */
	int n;

	if (!shown) {
		(void)snprintf(buf, PLAN_TEXT_MAX, micro ? "<$0.0001" : "$0");
		return buf;
	}
	n = snprintf(buf, PLAN_TEXT_MAX, "$%" PRIu64 ".%04" PRIu64, shown / 10000, shown % 10000);
	for (int zeros = 0; zeros < 2 && n > 0 && buf[n - 1] == '0'; zeros++)
		buf[--n] = '\0';
	return buf;
}

void plan_sum_text(const struct plan *p, const struct plan_route *r, struct strbuf *out)
{
	size_t n[PLAN_VERDICTS_] = { 0 }, errors = 0;
	char time[32], money[PLAN_TEXT_MAX];

	for (size_t i = 0; i < p->len; i++) {
		n[p->ptr[i].verdict] += !p->ptr[i].error;
		errors += p->ptr[i].error;
	}
	strbuf_printf(out, "%zu to build, %zu to retag, %zu unchanged", n[PLAN_BUILD],
	              n[PLAN_RETAG], n[PLAN_SKIP]);
	if (errors)
		strbuf_printf(out, ", %zu cannot be planned", errors);
	if (r->n > r->schedule.unplaced)
		strbuf_printf(out, "; about %s, %s",
		              num_human_ns(r->schedule.time, time, sizeof(time)),
		              plan_money_text(r->schedule.cost, money));
	if (r->schedule.unplaced)
		strbuf_printf(out, "; %zu without a runner", r->schedule.unplaced);
}

/* --- the table ------------------------------------------------------------------------------ */

static const char *steps_text(const struct plan_image *i, char buf[64])
{
	(void)snprintf(buf, 64, "-");
	if (i->verdict == PLAN_BUILD && i->n_steps)
		(void)snprintf(buf, 64, "%zu of %zu", i->n_runs, i->n_runs + i->n_hits);
	return buf;
}

static void cell(struct table *t, str s)
{
	cleanup_free char *text = str_dup(s);

	table_cell(t, text);
}

/* TIME, MEMORY, RUNNER, COST. */
static void route_cells(struct table *t, const struct plan_route *r, const struct plan_image *i)
{
	const struct route_option *o = plan_chosen(r, i);
	char text[PLAN_TEXT_MAX];

	if (!o) {
		table_cell(t, "-");
		table_cell(t, "-");
		table_cell(t, i->verdict == PLAN_BUILD && !i->error ? "none" : "-");
		table_cell(t, "-");
		return;
	}
	table_cell(t, plan_time_text(o, text));
	table_cell(t, plan_memory_text(o, text));
	cell(t, o->runner->c.name);
	table_cell(t, plan_money_text(o->cost, text));
}

static void row(struct table *t, const struct plan_route *r, const struct plan_image *i)
{
	char steps[64];
	cleanup_free char *why = NULL;

	cell(t, i->image->name);
	table_cell(t, plan_verdict_name(i->verdict));
	table_cell(t, steps_text(i, steps));
	route_cells(t, r, i);
	why = xasprintf("%s%.*s%s", i->error ? "cannot be planned: " : "",
	                (int)(i->why.len > WHY_COLUMNS ? WHY_COLUMNS : i->why.len), i->why.ptr,
	                i->why.len > WHY_COLUMNS ? "..." : "");
	table_cell(t, why);
}

static void print_problems(const struct plan_route *r, FILE *out)
{
	for (size_t i = 0; i < r->n; i++)
		if (!r->decisions[i].chosen)
			(void)fprintf(out, "%.*s\n", STR(r->decisions[i].problem));
	if (r->note.len)
		(void)fprintf(out, "%.*s\n", STR(r->note));
}

void plan_print_table(const struct plan *p, const struct plan_route *r, FILE *out)
{
	static const char *const headings[] = { "IMAGE",  "DO",   "STEPS", "TIME", "MEMORY",
		                                "RUNNER", "COST", "WHY",   NULL };
	static const enum plan_verdict order[] = { PLAN_BUILD, PLAN_RETAG, PLAN_SKIP };
	struct table *t = table_new(headings);
	cleanup_strbuf struct strbuf sum;

	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		for (size_t i = 0; i < p->len; i++)
			if (p->ptr[i].verdict == order[k])
				row(t, r, &p->ptr[i]);
	table_print(t, p->len ? out : NULL);
	strbuf_init(&sum, SUM_MAX);
	plan_sum_text(p, r, &sum);
	(void)fprintf(out, "%s\n", sum.ptr);
	print_problems(r, out);
	if (p->base_note.len)
		(void)fprintf(out, "%.*s\n", STR(p->base_note));
}

/* --- one image ------------------------------------------------------------------------------ */

static void print_known(const struct plan_known *k, FILE *out)
{
	char ago[32];

	if (!k->time)
		return;
	(void)fprintf(out, "  built      %s%s%.*s, known to %.*s\n",
	              table_ago(k->time, clock_now(), ago), k->commit.len ? " from " : "",
	              STR(k->commit), STR(k->where));
	(void)fprintf(out, "  image      %s\n", digest_text(&k->config).s);
	if (k->repository.len)
		(void)fprintf(out, "  pushed     %.*s@%s\n", STR(k->repository),
		              digest_text(&k->manifest).s);
}

static void print_reasons(const struct plan_step *s, FILE *out)
{
	for (size_t i = 0; i < s->n_reasons; i++) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, REASON_COLUMNS);
		report_reason_text(&s->reasons[i], &text);
		(void)fprintf(out, "             %.*s\n", (int)text.len, text.ptr);
	}
}

static void print_steps(const struct plan_image *i, const struct plan_route *r, FILE *out)
{
	size_t runs = 0;

	for (size_t k = 0; k < i->n_steps; k++) {
		const struct plan_step *s = &i->steps[k];
		uint64_t ns = plan_step_time(r, i, k, &runs);
		char time[32];

		(void)fprintf(out, "  %-9s  %.*s", s->result == REPORT_HIT ? "cached" : "would run",
		              STR(s->name));
		if (s->from.len)
			(void)fprintf(out, "  from %.*s", STR(s->from));
		if (ns)
			(void)fprintf(out, "  %s", num_human_ns(ns, time, sizeof(time)));
		(void)fputc('\n', out);
		print_reasons(s, out);
	}
}

/* "codebuild-large: 2m10s, 3.00 GB of memory, $0.06". */
static void print_option(const char *word, const struct route_option *o, FILE *out)
{
	char time[PLAN_TEXT_MAX], memory[PLAN_TEXT_MAX], money[PLAN_TEXT_MAX], disk[32];

	(void)fprintf(out, "  %-9s  %.*s: %s, %s of memory, %s of disk, %s", word,
	              STR(o->runner->c.name), plan_time_text(o, time), plan_memory_text(o, memory),
	              num_human_bytes(o->predicted.disk, disk, sizeof(disk)),
	              plan_money_text(o->cost, money));
	if (o->late)
		(void)fputs("; too late", out);
	if (o->expensive)
		(void)fputs("; above the budget", out);
	if (o->oom > 0)
		(void)fprintf(out, "; memory runs out in %.0f %% of builds", o->oom * 100);
	if (o->reruns > 0)
		(void)fprintf(out, "; interrupted %.2f times", o->reruns);
	(void)fputc('\n', out);
}

static void print_route(const struct plan_route *r, const struct plan_image *i, FILE *out)
{
	const struct route_decision *d;
	size_t at;

	if (!plan_route_find(r, i, &at))
		return;
	d = &r->decisions[at];
	if (!d->chosen) {
		(void)fprintf(out, "  runner     %.*s\n", STR(d->problem));
		return;
	}
	print_option("runner", d->chosen, out);
	(void)fprintf(out, "             %.*s; predicted from %s\n", STR(d->reason),
	              d->chosen->predicted.basis);
	if (d->runner_up)
		print_option("runner-up", d->runner_up, out);
	for (size_t k = 0; k < d->n; k++)
		if (d->options[k].refusal > ROUTE_DRIVER)
			(void)fprintf(out, "             %.*s %s\n",
			              STR(d->options[k].runner->c.name),
			              route_refusal_text(d->options[k].refusal));
	if (r->note.len)
		(void)fprintf(out, "             %.*s\n", STR(r->note));
}

static void print_change(const struct plan_change *c, FILE *out)
{
	for (size_t k = 0; k < c->n_files; k++)
		(void)fprintf(out, "  changed    %.*s\n", STR(c->files[k]));
	for (size_t k = 0; k < c->n_commits; k++)
		(void)fprintf(out, "  commit     %.*s %.*s\n",
		              (int)(c->commits[k].id.len > 12 ? 12 : c->commits[k].id.len),
		              c->commits[k].id.ptr, STR(c->commits[k].subject));
}

void plan_print_image(const struct plan *p, const struct plan_route *r, const struct plan_image *i,
                      FILE *out)
{
	(void)fprintf(out, "%.*s: %s: %.*s\n", STR(i->image->name), plan_verdict_name(i->verdict),
	              STR(i->why));
	(void)fprintf(out, "  described  %.*s", STR(i->image->file));
	if (i->image->line)
		(void)fprintf(out, ":%u", i->image->line);
	(void)fprintf(out, ", context %.*s\n", STR(i->image->context));
	if (!digest_none(&i->key))
		(void)fprintf(out, "  input key  %s\n", digest_text(&i->key).s);
	print_known(&i->known, out);
	for (size_t k = 0; k < i->retag.len; k++)
		(void)fprintf(out, "  to set     %.*s\n", STR(i->retag.ptr[k]));
	(void)fprintf(out, "  category   %s%s\n", image_category_name(i->category.category),
	              i->category.declared ? " (declared)" : "");
	for (size_t k = 0; k < i->category.n_evidence; k++)
		(void)fprintf(out, "             %s: %.*s\n",
		              image_category_name(i->category.evidence[k].category),
		              STR(i->category.evidence[k].text));
	print_change(&i->change, out);
	if (p->base_note.len)
		(void)fprintf(out, "  git        %.*s\n", STR(p->base_note));
	print_route(r, i, out);
	print_steps(i, r, out);
}
