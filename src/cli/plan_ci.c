/* A plan for CI services. */
#include "plan_print.h"

#include <errno.h>

#include "util/fs.h"
#include "util/json.h"

#define OUTPUT_MAX (1u << 20) /* GitHub refuses more for an output */

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

/* https://docs.github.com/actions/using-jobs/using-a-matrix-for-your-jobs: {"include":[...]}. */
static json_t *matrix(const struct plan *p)
{
	json_t *j = json_object(), *list = json_array();

	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *pi = &p->ptr[i];
		json_t *e;

		if (!named(pi, PLAN_BUILD))
			continue;
		e = json_object();
		(void)json_object_set_new(e, "image", json_str(pi->image->name));
		(void)json_object_set_new(e, "category",
		                          json_string(image_category_name(pi->category.category)));
		(void)json_object_set_new(e, "runner", json_str(pi->image->runner));
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

static void add_summary(const struct plan *p, struct strbuf *b)
{
	size_t skipped = 0;

	strbuf_cstr(b, "### Images\n\n");
	for (size_t i = 0; i < p->len; i++)
		skipped += named(&p->ptr[i], PLAN_SKIP);
	if (skipped < p->len)
		strbuf_cstr(b, "| Image | Do | Category | Steps | Why |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *pi = &p->ptr[i];
		char steps[64] = "";

		if (named(pi, PLAN_SKIP))
			continue;
		if (pi->n_steps)
			(void)snprintf(steps, sizeof(steps), "%zu run, %zu cached", pi->n_runs,
			               pi->n_hits);
		strbuf_char(b, '|');
		add_cell(b, pi->image->name);
		add_cell(b, str_of(plan_verdict_name(pi->verdict)));
		add_cell(b, str_of(image_category_name(pi->category.category)));
		add_cell(b, str_of(steps));
		add_cell(b, pi->why);
		strbuf_char(b, '\n');
	}
	strbuf_printf(b, "%s%zu of %zu images are unchanged.\n", skipped < p->len ? "\n" : "",
	              skipped, p->len);
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

int plan_print_github(const struct plan *p, const char *output, const char *summary, FILE *out,
                      struct cairn_err *err)
{
	cleanup_strbuf struct strbuf text, shown;
	json_t *m = matrix(p);
	bool any = json_array_size(json_object_get(m, "include")) > 0;

	strbuf_init(&text, OUTPUT_MAX);
	strbuf_init(&shown, OUTPUT_MAX);
	/* A matrix without a member is an error there: a job asks for `any` first. */
	strbuf_printf(&text, "any=%s\n", any ? "true" : "false");
	add_output(&text, "images", names(p, PLAN_BUILD));
	add_output(&text, "retag", names(p, PLAN_RETAG));
	add_output(&text, "matrix", m);
	add_summary(p, &shown);
	TRY(strbuf_check(&text, "the output for GitHub", err));
	if (!output)
		(void)fputs(text.ptr, out);
	else
		TRY(append(output, &text, err));
	return summary && !shown.overflow ? append(summary, &shown, err) : 0;
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

/* https://docs.aws.amazon.com/codebuild/latest/userguide/batch-build-buildspec.html */
void plan_print_codebuild(const struct plan *p, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < p->len; i++) {
		const struct plan_image *pi = &p->ptr[i];
		char id[128];

		if (!named(pi, PLAN_BUILD))
			continue;
		if (!any)
			(void)fputs("batch:\n  fast-fail: false\n  build-graph:\n", out);
		any = true;
		identifier(p, pi, id);
		(void)fprintf(out, "    - identifier: %s\n", id);
		(void)fputs("      env:\n        variables:\n          CAIRN_IMAGE: ", out);
		print_quoted(pi->image->name, out);
		(void)fputc('\n', out);
		print_depends(p, pi, out);
	}
	if (!any) /* CodeBuild takes no empty graph */
		(void)fputs("# nothing to build\n", out);
}
