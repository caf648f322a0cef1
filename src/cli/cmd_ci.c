/* cairn ci, and cairn ci check. */
#include "ci/ci.h"
#include "commands.h"
#include "settings.h"
#include "util/json.h"

const struct cli_cmd cmd_ci = {
	.name = "ci",
	.is_group = true,
	.group = "Pipeline",
	.summary = "CI services: write their files, find what is slow in them, start builds",
	.description =
		"Knows GitHub's workflows (.github/), CodeBuild's buildspecs (buildspec*.yml), shell "
		"scripts and Dockerfiles.",
	.args = "init|check|run",
};

struct check_opts {
	bool json;
};

static void print_json(const struct pipeline *p, const struct check_result *r, FILE *out)
{
	cleanup_json json_t *top = json_object();
	json_t *findings = json_array(), *notes = json_array();
	cleanup_strbuf struct strbuf text;

	vec_foreach (f, &r->findings) {
		json_t *o = json_object();

		json_object_set_new(o, "file", json_str(f->file));
		json_object_set_new(o, "line", json_integer(f->line));
		json_object_set_new(o, "rule", json_string(f->rule->name));
		json_object_set_new(o, "text", json_str(f->text));
		json_object_set_new(o, "cost", json_string(f->rule->cost));
		json_object_set_new(o, "mend", json_string(f->rule->mend));
		json_array_append_new(findings, o);
	}
	vec_foreach (n, &p->notes) {
		json_t *o = json_object();

		json_object_set_new(o, "file", json_str(n->file));
		json_object_set_new(o, "line", json_integer(n->line));
		json_object_set_new(o, "why", json_str(n->why));
		json_array_append_new(notes, o);
	}
	json_object_set_new(top, "findings", findings);
	json_object_set_new(top, "not_read", notes);
	strbuf_init(&text, SIZE_MAX);
	json_write(top, &text);
	(void)fprintf(out, "%.*s\n", STR(strbuf_view(&text)));
}

static void print_notes(const struct pipeline *p, FILE *out)
{
	vec_foreach (n, &p->notes) {
		char line[16] = "";

		if (n->line)
			(void)snprintf(line, sizeof(line), ":%u", n->line);
		(void)fprintf(out, "cairn: warning: %.*s%s: not looked at: %.*s\n", STR(n->file),
		              line, STR(n->why));
	}
}

static void print(const struct check_result *r, FILE *out)
{
	vec_foreach (f, &r->findings)
		(void)fprintf(out, "%.*s:%u: %s: %.*s\n    costs: %s\n    mend:  %s\n",
		              STR(f->file), f->line, f->rule->name, STR(f->text), f->rule->cost,
		              f->rule->mend);
}

static int run_check(struct cli_call *call, struct cairn_err *err)
{
	const struct check_opts *o = call->opts;
	const char *dir = call->argc ? call->argv[0] : ".";
	cleanup_pipeline struct pipeline *p = NULL;
	struct check_result r __attribute__((cleanup(check_result_done))) = { 0 };

	TRY(pipeline_load(dir, &p, err));
	check_pipeline(p, &r);
	if (o->json) {
		print_json(p, &r, call->ctx->out);
	} else {
		print_notes(p, call->ctx->err);
		print(&r, call->ctx->out);
	}
	if (r.findings.len)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s: %zu finding%s", dir, r.findings.len,
		                  r.findings.len == 1 ? "" : "s");
	if (!o->json)
		(void)fprintf(call->ctx->out,
		              "%s: nothing found in %zu script%s, %zu build%s, %zu Dockerfile%s\n",
		              dir, p->scripts.len, p->scripts.len == 1 ? "" : "s", p->builds.len,
		              p->builds.len == 1 ? "" : "s", p->dockerfiles.len,
		              p->dockerfiles.len == 1 ? "" : "s");
	return 0;
}

#define T struct check_opts

static const struct cli_opt check_opts[] = {
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ 0 },
};

static const struct cli_example check_examples[] = {
	{ "cairn ci check", "what costs the pipeline of this repository time" },
	{ 0 },
};

const struct cli_cmd cmd_ci_check = {
	.name = "ci check",
	.group = "Pipeline",
	.summary = "Point at what costs a pipeline time, or does nothing",
	.description =
		"Reads workflows, buildspecs, shell scripts and Dockerfiles at and below PATH and tells for each "
		"finding the file, the line, what it costs and how to mend it: build arguments that no "
		"Dockerfile declares, caches that nothing fills or that ECR rejects, images that are pulled and "
		"not read, images that are loaded to be pushed, HEAD~1 as the base of a diff, names that match "
		"other names, inputs without a version. docs/ci.md lists the rules.\n"
		"\n"
		"The exit code is 3 when there is a finding. What has variables in its name is not guessed at.",
	.args = "[OPTIONS] [PATH]",
	.min_args = 0,
	.max_args = 1,
	.hint = CLI_HINT_DIR,
	.opts = check_opts,
	.opts_size = sizeof(T),
	.run = run_check,
	.examples = check_examples,
};
