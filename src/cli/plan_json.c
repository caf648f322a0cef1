#include "plan_print.h"

#include "util/clock.h"
#include "util/json.h"

#define OUT_MAX    (1u << 30)
#define REASON_MAX 4000

static void set_str(json_t *j, const char *key, str s)
{
	(void)json_object_set_new(j, key, json_str(s));
}

static void set_digest(json_t *j, const char *key, const struct digest *d)
{
	if (!digest_none(d))
		(void)json_object_set_new(j, key, json_string(digest_text(d).s));
}

static json_t *strs(const str *list, size_t n)
{
	json_t *j = json_array();

	for (size_t i = 0; i < n; i++)
		(void)json_array_append_new(j, json_str(list[i]));
	return j;
}

static json_t *known_json(const struct plan_known *k)
{
	json_t *j = json_object();
	char time[CLOCK_TEXT_MAX];

	set_digest(j, "config", &k->config);
	set_digest(j, "manifest", &k->manifest);
	set_str(j, "repository", k->repository);
	set_str(j, "where", k->where);
	set_str(j, "time", str_of(clock_text(k->time, time)));
	set_str(j, "commit", k->commit);
	return j;
}

static json_t *category_json(const struct category *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->n_evidence; i++) {
		json_t *e = json_object();

		set_str(e, "category", str_of(image_category_name(c->evidence[i].category)));
		set_str(e, "text", c->evidence[i].text);
		(void)json_array_append_new(list, e);
	}
	return list;
}

static json_t *reasons_json(const struct plan_step *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_reasons; i++) {
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, REASON_MAX);
		report_reason_text(&s->reasons[i], &text);
		(void)json_array_append_new(list, json_str(strbuf_view(&text)));
	}
	return list;
}

static void set_num(json_t *j, const char *key, uint64_t n)
{
	(void)json_object_set_new(j, key, json_integer((json_int_t)n));
}

static json_t *steps_json(const struct plan_image *i, const struct plan_route *r)
{
	json_t *list = json_array();
	size_t runs = 0;

	for (size_t k = 0; k < i->n_steps; k++) {
		const struct plan_step *s = &i->steps[k];
		uint64_t ns = plan_step_time(r, i, k, &runs);
		json_t *j = json_object();

		set_str(j, "name", s->name);
		set_num(j, "line", s->line);
		set_str(j, "kind", s->kind);
		set_str(j, "result", s->result == REPORT_HIT ? S("hit") : S("run"));
		set_str(j, "from", s->from);
		set_digest(j, "key", &s->key);
		set_num(j, "cost_ns", s->cost_ns);
		set_num(j, "expected_ns", s->result == REPORT_HIT ? 0 : ns);
		set_num(j, "bytes", s->bytes);
		if (s->n_reasons)
			(void)json_object_set_new(j, "reasons", reasons_json(s));
		(void)json_array_append_new(list, j);
	}
	return list;
}

/* --- the route ------------------------------------------------------------------------------ */

static json_t *option_json(const struct route_option *o)
{
	json_t *j = json_object();

	set_str(j, "runner", o->runner->c.name);
	set_str(j, "driver", str_of(runner_driver_name(o->runner->c.driver)));
	if (o->refusal != ROUTE_FITS)
		set_str(j, "refusal", str_of(route_refusal_text(o->refusal)));
	set_num(j, "time_ns", o->time);
	set_num(j, "run_ns", o->predicted.run_ns);
	set_num(j, "memory", o->predicted.memory);
	set_num(j, "disk", o->predicted.disk);
	set_num(j, "cost_micro_usd", o->cost);
	set_str(j, "basis", str_of(o->predicted.basis));
	(void)json_object_set_new(j, "late", json_boolean(o->late));
	(void)json_object_set_new(j, "above_budget", json_boolean(o->expensive));
	(void)json_object_set_new(j, "out_of_memory_risk", json_real(o->oom));
	(void)json_object_set_new(j, "reruns", json_real(o->reruns));
	return j;
}

/* Those that were asked, best first. */
static json_t *options_json(const struct route_decision *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->n; i++)
		if (d->options[i].refusal == ROUTE_FITS || d->options[i].refusal > ROUTE_DRIVER)
			(void)json_array_append_new(list, option_json(&d->options[i]));
	return list;
}

static json_t *route_json(const struct plan_route *r, size_t at)
{
	const struct route_decision *d = &r->decisions[at];
	json_t *j = d->chosen ? option_json(d->chosen) : json_object();

	if (!d->chosen)
		(void)json_object_set_new(j, "runner", json_null());
	set_str(j, "reason", d->reason);
	set_str(j, "problem", d->problem);
	(void)json_object_set_new(j, "runner_up",
	                          d->runner_up ? json_str(d->runner_up->runner->c.name)
	                                       : json_null());
	(void)json_object_set_new(j, "tie", json_boolean(d->tie));
	set_num(j, "start_ns", r->schedule.slots[at].start);
	set_num(j, "end_ns", r->schedule.slots[at].end);
	(void)json_object_set_new(j, "options", options_json(d));
	return j;
}

static json_t *batch_json(const struct plan_route *r)
{
	json_t *j = json_object();

	set_num(j, "time_ns", r->schedule.time);
	set_num(j, "cost_micro_usd", r->schedule.cost);
	set_num(j, "unplaced", r->schedule.unplaced);
	set_str(j, "note", r->note);
	return j;
}

static json_t *commits_json(const struct plan_change *c)
{
	json_t *list = json_array();

	for (size_t k = 0; k < c->n_commits; k++) {
		json_t *j = json_object();

		set_str(j, "id", c->commits[k].id);
		set_str(j, "subject", c->commits[k].subject);
		(void)json_array_append_new(list, j);
	}
	return list;
}

static json_t *image_json(const struct plan_image *i, const struct plan_route *r)
{
	const struct ws_image *w = i->image;
	json_t *j = json_object(), *parents = json_array();
	size_t at;

	set_str(j, "name", w->name);
	set_str(j, "verdict", str_of(plan_verdict_name(i->verdict)));
	set_str(j, "why", i->why);
	(void)json_object_set_new(j, "error", json_boolean(i->error));
	set_digest(j, "key", &i->key);
	set_str(j, "context", w->context);
	set_str(j, "dockerfile", w->dockerfile);
	set_str(j, "target", w->target);
	(void)json_object_set_new(j, "tags", strs(w->tags.ptr, w->tags.len));
	(void)json_object_set_new(j, "retag", strs(i->retag.ptr, i->retag.len));
	for (size_t k = 0; k < w->n_parents; k++)
		(void)json_array_append_new(parents, json_str(w->parents[k]->name));
	(void)json_object_set_new(j, "parents", parents);
	set_str(j, "category", str_of(image_category_name(i->category.category)));
	(void)json_object_set_new(j, "evidence", category_json(&i->category));
	if (i->known.time)
		(void)json_object_set_new(j, "known", known_json(&i->known));
	(void)json_object_set_new(j, "files", strs(i->change.files, i->change.n_files));
	(void)json_object_set_new(j, "commits", commits_json(&i->change));
	(void)json_object_set_new(j, "steps", steps_json(i, r));
	if (plan_route_find(r, i, &at))
		(void)json_object_set_new(j, "route", route_json(r, at));
	return j;
}

void plan_print_json(const struct plan *p, const struct plan_route *r, FILE *out)
{
	cleanup_json json_t *j = json_object();
	json_t *list = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, OUT_MAX);
	(void)json_object_set_new(j, "version", json_integer(1));
	set_str(j, "base", p->base);
	set_str(j, "base_note", p->base_note);
	for (size_t i = 0; i < p->len; i++)
		(void)json_array_append_new(list, image_json(&p->ptr[i], r));
	(void)json_object_set_new(j, "images", list);
	(void)json_object_set_new(j, "batch", batch_json(r));
	json_write(j, &text);
	(void)fprintf(out, "%s\n", text.ptr);
}
