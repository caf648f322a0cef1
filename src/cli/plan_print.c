#include "plan_print.h"

#include "table.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

#define WHY_COLUMNS 100

/* --- for people ------------------------------------------------------------------------ */

static const char *steps_text(const struct plan_image *i, char buf[64])
{
	(void)snprintf(buf, 64, "-");
	if (i->verdict == PLAN_BUILD && i->n_steps)
		(void)snprintf(buf, 64, "%zu run, %zu cached", i->n_runs, i->n_hits);
	return buf;
}

/* What the steps that run took when they ran last. */
static const char *time_text(const struct plan_image *i, char buf[32])
{
	uint64_t ns = 0;

	for (size_t k = 0; k < i->n_steps; k++)
		if (i->steps[k].result == REPORT_WOULD)
			ns += i->steps[k].cost_ns;
	if (!ns) {
		(void)snprintf(buf, 32, "-");
		return buf;
	}
	return num_human_ns(ns, buf, 32);
}

static void cell(struct table *t, str s)
{
	cleanup_free char *text = str_dup(s);

	table_cell(t, text);
}

static void row(struct table *t, const struct plan_image *i)
{
	char steps[64], time[32];
	cleanup_free char *why = NULL;

	cell(t, i->image->name);
	table_cell(t, plan_verdict_name(i->verdict));
	table_cell(t, image_category_name(i->category.category));
	table_cell(t, steps_text(i, steps));
	table_cell(t, time_text(i, time));
	why = xasprintf("%s%.*s%s", i->error ? "cannot be planned: " : "",
	                (int)(i->why.len > WHY_COLUMNS ? WHY_COLUMNS : i->why.len), i->why.ptr,
	                i->why.len > WHY_COLUMNS ? "..." : "");
	table_cell(t, why);
}

static void count(const struct plan *p, size_t n[PLAN_VERDICTS_])
{
	for (size_t i = 0; i < p->len; i++)
		n[p->ptr[i].verdict]++;
}

void plan_print_table(const struct plan *p, FILE *out)
{
	static const char *const headings[] = { "IMAGE", "DO",  "CATEGORY", "STEPS",
		                                "TIME",  "WHY", NULL };
	static const enum plan_verdict order[] = { PLAN_BUILD, PLAN_RETAG, PLAN_SKIP };
	struct table *t = table_new(headings);
	size_t n[PLAN_VERDICTS_] = { 0 };

	count(p, n);
	for (size_t k = 0; k < ARRAY_SIZE(order); k++)
		for (size_t i = 0; i < p->len; i++)
			if (p->ptr[i].verdict == order[k])
				row(t, &p->ptr[i]);
	table_print(t, p->len ? out : NULL);
	(void)fprintf(out, "%zu to build, %zu to retag, %zu unchanged\n", n[PLAN_BUILD],
	              n[PLAN_RETAG], n[PLAN_SKIP]);
	if (p->base_note.len)
		(void)fprintf(out, "%.*s\n", STR(p->base_note));
}

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

static void print_steps(const struct plan_image *i, FILE *out)
{
	for (size_t k = 0; k < i->n_steps; k++) {
		const struct plan_step *s = &i->steps[k];
		char time[32];

		(void)fprintf(out, "  %-9s  %.*s", s->result == REPORT_HIT ? "cached" : "would run",
		              STR(s->name));
		if (s->from.len)
			(void)fprintf(out, "  from %.*s", STR(s->from));
		if (s->cost_ns)
			(void)fprintf(out, "  %s", num_human_ns(s->cost_ns, time, sizeof(time)));
		(void)fputc('\n', out);
	}
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

void plan_print_image(const struct plan *p, const struct plan_image *i, FILE *out)
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
	print_steps(i, out);
}

/* --- JSON -------------------------------------------------------------------------------- */

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

static json_t *steps_json(const struct plan_image *i)
{
	json_t *list = json_array();

	for (size_t k = 0; k < i->n_steps; k++) {
		const struct plan_step *s = &i->steps[k];
		json_t *j = json_object();

		set_str(j, "name", s->name);
		(void)json_object_set_new(j, "line", json_integer(s->line));
		set_str(j, "kind", s->kind);
		set_str(j, "result", s->result == REPORT_HIT ? S("hit") : S("run"));
		set_str(j, "from", s->from);
		set_digest(j, "key", &s->key);
		(void)json_object_set_new(j, "cost_ns", json_integer((json_int_t)s->cost_ns));
		(void)json_object_set_new(j, "bytes", json_integer((json_int_t)s->bytes));
		(void)json_array_append_new(list, j);
	}
	return list;
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

static json_t *image_json(const struct plan_image *i)
{
	const struct ws_image *w = i->image;
	json_t *j = json_object(), *parents = json_array();

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
	(void)json_object_set_new(j, "steps", steps_json(i));
	return j;
}

void plan_print_json(const struct plan *p, FILE *out)
{
	cleanup_json json_t *j = json_object();
	json_t *list = json_array();
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, 1u << 30);
	(void)json_object_set_new(j, "version", json_integer(1));
	set_str(j, "base", p->base);
	set_str(j, "base_note", p->base_note);
	for (size_t i = 0; i < p->len; i++)
		(void)json_array_append_new(list, image_json(&p->ptr[i]));
	(void)json_object_set_new(j, "images", list);
	json_write(j, &text);
	(void)fprintf(out, "%s\n", text.ptr);
}
