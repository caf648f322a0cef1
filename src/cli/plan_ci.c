/* A plan for CI services. */
#include "plan_print.h"

#include "util/fs.h"
#include "util/json.h"

#define OUTPUT_MAX (1u << 20) /* GitHub refuses more for an output */
#define SECOND     1000000000u

static bool named(const struct plan_image *i, enum plan_verdict v)
{
	return i->verdict == v;
}

static json_t *names(const struct plan *p, enum plan_verdict v)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->len; i++)
		if (named(&p->ptr[i], v))
			(void)json_array_append_new(list, json_str(p->ptr[i].image->name));
	return list;
}

/* --- GitHub Actions ------------------------------------------------------------------------ */

static void replace(struct strbuf *b, str text, const char *what, const char *by)
{
	ptrdiff_t at;

	while (by && (at = str_search(text, str_of(what))) >= 0) {
		strbuf_str(b, str_n(text.ptr, (size_t)at));
		strbuf_cstr(b, by);
		text = str_skip(text, (size_t)at + strlen(what));
	}
	strbuf_str(b, text);
}

/* Expressions in a value of a matrix are not evaluated: those of a label are known here. */
static json_t *label(str text, const struct plan_github *to)
{
	cleanup_strbuf struct strbuf once, twice;

	strbuf_init(&once, OUTPUT_MAX);
	strbuf_init(&twice, OUTPUT_MAX);
	replace(&once, text, "${{ github.run_id }}", to->run);
	replace(&twice, strbuf_view(&once), "${{ github.run_attempt }}", to->attempt);
	return json_str(strbuf_view(&twice));
}

/* For runs-on: a label, several, or "" for a machine that GitHub cannot start. */
static json_t *runs_on(const struct route_option *o, const struct plan_github *to)
{
	const struct image_strs *l = o ? &o->runner->c.labels : NULL;
	json_t *list;

	if (!l || !l->len || !(PLAN_GITHUB_DRIVERS & 1u << o->runner->c.driver))
		return json_string("");
	if (l->len == 1)
		return label(l->ptr[0], to);
	list = json_array();
	for (size_t i = 0; i < l->len; i++)
		(void)json_array_append_new(list, label(l->ptr[i], to));
	return list;
}

/* https://docs.github.com/actions/using-jobs/using-a-matrix-for-your-jobs: {"include":[...]}. */
static json_t *matrix(const struct plan *p, const struct plan_route *r,
                      const struct plan_github *to)
{
	json_t *j = json_object(), *list = json_array();

	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *pi = &p->ptr[i];
		const struct route_option *o = plan_chosen(r, pi);
		json_t *e;

		if (!named(pi, PLAN_BUILD))
			continue;
		e = json_object();
		(void)json_object_set_new(e, "image", json_str(pi->image->name));
		(void)json_object_set_new(e, "category",
		                          json_string(image_category_name(pi->category.category)));
		(void)json_object_set_new(e, "runner",
		                          o ? json_str(o->runner->c.name) : json_string(""));
		(void)json_object_set_new(e, "runs_on", runs_on(o, to));
		(void)json_object_set_new(e, "expected_seconds",
		                          json_integer(o ? (json_int_t)(o->time / SECOND) + 1 : 0));
		(void)json_array_append_new(list, e);
	}
	(void)json_object_set_new(j, "include", list);
	return j;
}

static void add_output(struct strbuf *b, const char *name, json_t *owned)
{
	strbuf_printf(b, "%s=", name);
	json_write(owned, b);
	strbuf_char(b, '\n');
	json_decref(owned);
}

/* In a cell of a table of Markdown. */
static void add_cell(struct strbuf *b, str s)
{
	strbuf_cstr(b, " ");
	for (size_t i = 0; i < s.len; i++) {
		if (strchr("|\\`<*_", s.ptr[i]))
			strbuf_char(b, '\\');
		strbuf_char(b, s.ptr[i] == '\n' ? ' ' : s.ptr[i]);
	}
	strbuf_cstr(b, " |");
}

static void add_row(const struct plan_image *pi, const struct plan_route *r, struct strbuf *b)
{
	const struct route_option *o = plan_chosen(r, pi);
	char steps[64] = "", text[PLAN_TEXT_MAX];

	if (pi->n_steps)
		(void)snprintf(steps, sizeof(steps), "%zu of %zu", pi->n_runs,
		               pi->n_runs + pi->n_hits);
	strbuf_char(b, '|');
	add_cell(b, pi->image->name);
	add_cell(b, str_of(plan_verdict_name(pi->verdict)));
	add_cell(b, str_of(steps));
	add_cell(b, str_of(o ? plan_time_text(o, text) : ""));
	add_cell(b, str_of(o ? plan_memory_text(o, text) : ""));
	add_cell(b, o ? o->runner->c.name : S(""));
	add_cell(b, str_of(o ? plan_money_text(o->cost, text) : ""));
	add_cell(b, pi->why);
	strbuf_char(b, '\n');
}

static void add_summary(const struct plan *p, const struct plan_route *r, struct strbuf *b)
{
	size_t skipped = 0;

	strbuf_cstr(b, "### Images\n\n");
	for (size_t i = 0; i < p->len; i++)
		skipped += named(&p->ptr[i], PLAN_SKIP);
	if (skipped < p->len)
		strbuf_cstr(b, "| Image | Do | Steps | Time | Memory | Runner | Cost | Why |\n"
		               "|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < p->len; i++)
		if (!named(&p->ptr[i], PLAN_SKIP))
			add_row(&p->ptr[i], r, b);
	if (skipped < p->len)
		strbuf_char(b, '\n');
	plan_sum_text(p, r, b);
	strbuf_cstr(b, ".\n");
	for (size_t i = 0; i < r->n; i++)
		if (!r->decisions[i].chosen)
			strbuf_printf(b, "\n%.*s\n", STR(r->decisions[i].problem));
	if (p->base_note.len)
		strbuf_printf(b, "\n%.*s\n", STR(p->base_note));
}

static int append(const char *path, const struct strbuf *text, struct cairn_err *err)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	return fs_write_all(fd, text->ptr, text->len, path, err);
}

int plan_print_github(const struct plan *p, const struct plan_route *r,
                      const struct plan_github *to, FILE *out, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text, shown;
	json_t *m = matrix(p, r, to);
	bool any = json_array_size(json_object_get(m, "include")) > 0;

	strbuf_init(&text, OUTPUT_MAX);
	strbuf_init(&shown, OUTPUT_MAX);
	/* A matrix without a member is an error there: a job asks for `any` first. */
	strbuf_printf(&text, "any=%s\n", any ? "true" : "false");
	add_output(&text, "images", names(p, PLAN_BUILD));
	add_output(&text, "retag", names(p, PLAN_RETAG));
	add_output(&text, "matrix", m);
	add_summary(p, r, &shown);
	TRY(strbuf_check(&text, "the output for GitHub", err));
	if (!to->output)
		(void)fputs(text.ptr, out);
	else
		TRY(append(to->output, &text, err));
	return to->summary && !shown.overflow ? append(to->summary, &shown, err) : 0;
}

/* --- AWS CodeBuild ---------------------------------------------------------------------------
 */

/* Identifiers have letters, digits and underscores; two images stay two. */
static void identifier(const struct plan *p, const struct plan_image *i, char buf[128])
{
	size_t n = 0;

	for (size_t k = 0; k < i->image->name.len && n < 100; k++) {
		char c = i->image->name.ptr[k];
		bool plain =
			(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		buf[n++] = plain ? c : '_';
	}
	(void)snprintf(buf + n, 128 - n, "_%zu", (size_t)(i - p->ptr));
}

/* As YAML's double-quoted scalar, which JSON's strings are. */
static void print_quoted(str s, FILE *out)
{
	cleanup_json json_t *j = json_str(s);
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, 1u << 20);
	json_write(j, &text);
	(void)fputs(text.ptr, out);
}

static void print_depends(const struct plan *p, const struct plan_image *i, FILE *out)
{
	bool first = true;

	for (size_t k = 0; k < i->image->n_parents; k++) {
		const struct plan_image *parent = plan_get(p, i->image->parents[k]->name);
		char id[128];

		if (!parent || !named(parent, PLAN_BUILD))
			continue;
		if (first)
			(void)fputs("      depend-on:\n", out);
		first = false;
		identifier(p, parent, id);
		(void)fprintf(out, "        - %s\n", id);
	}
}

/* What of the build's machine differs from the project's. */
static void print_machine(const struct route_option *o, FILE *out)
{
	const struct workspace_runner *c = o ? &o->runner->c : NULL;

	if (!c || c->driver != RUNNER_CODEBUILD)
		return;
	if (c->compute.len)
		(void)fprintf(out, "        compute-type: %.*s\n", STR(c->compute));
	if (c->environment.len)
		(void)fprintf(out, "        type: %.*s\n", STR(c->environment));
	if (c->image.len) {
		(void)fputs("        image: ", out);
		print_quoted(c->image, out);
		(void)fputc('\n', out);
	}
	if (c->privileged)
		(void)fputs("        privileged-mode: true\n", out);
}

static void print_build(const struct plan *p, const struct plan_route *r,
                        const struct plan_image *pi, FILE *out)
{
	const struct route_option *o = plan_chosen(r, pi);
	char id[128], time[PLAN_TEXT_MAX], money[PLAN_TEXT_MAX];

	identifier(p, pi, id);
	if (o)
		(void)fprintf(out, "    # %s, %s\n", plan_time_text(o, time),
		              plan_money_text(o->cost, money));
	(void)fprintf(out, "    - identifier: %s\n      env:\n", id);
	print_machine(o, out);
	(void)fputs("        variables:\n          CAIRN_IMAGE: ", out);
	print_quoted(pi->image->name, out);
	(void)fputc('\n', out);
	if (o && o->runner->c.driver == RUNNER_CODEBUILD) {
		(void)fputs("          CAIRN_RUNNER: ", out);
		print_quoted(o->runner->c.name, out);
		(void)fputc('\n', out);
	}
	print_depends(p, pi, out);
}

/* https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html */
void plan_print_codebuild(const struct plan *p, const struct plan_route *r, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < p->len; i++) {
		if (!named(&p->ptr[i], PLAN_BUILD))
			continue;
		if (!any)
			(void)fputs("batch:\n  fast-fail: false\n  build-graph:\n", out);
		any = true;
		print_build(p, r, &p->ptr[i], out);
	}
	if (!any) /* CodeBuild takes no empty graph */
		(void)fputs("# nothing to build\n", out);
	for (size_t i = 0; i < r->n; i++)
		if (!r->decisions[i].chosen)
			(void)fprintf(out, "# %.*s\n", STR(r->decisions[i].problem));
}
