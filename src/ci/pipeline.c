#include "pipeline.h"

#include "util/fs.h"

#define FILE_MAX (1u << 20) /* bytes of a script or a YAML file */

struct pipeline *pipeline_new(void)
{
	struct pipeline *p = xcalloc(1, sizeof(*p));

	p->arena = arena_new();
	return p;
}

void pipeline_free(struct pipeline *p)
{
	if (!p)
		return;
	vec_foreach (s, &p->scripts)
		shell_script_done(&s->shell);
	vec_foreach (b, &p->builds) {
		vec_free(&b->args);
		vec_free(&b->cache_from);
		vec_free(&b->cache_to);
		vec_free(&b->tags);
	}
	vec_foreach (d, &p->dockerfiles)
		dockerfile_free(d->df);
	vec_free(&p->scripts);
	vec_free(&p->builds);
	vec_free(&p->cached);
	vec_free(&p->conditions);
	vec_free(&p->dockerfiles);
	vec_free(&p->notes);
	arena_free(p->arena);
	free(p);
}

static void note(struct pipeline *p, str file, const struct cairn_err *err)
{
	struct pipeline_note n = { file, err->line, arena_str(p->arena, str_of(err->msg)) };

	vec_push(&p->notes, n);
}

static void add_script(struct pipeline *p, enum pipeline_kind kind, const struct pipeline_place *at,
                       str text)
{
	struct pipeline_script s = { .at = *at, .kind = kind };

	shell_split(text, at->line, p->arena, &s.shell);
	vec_foreach (c, &s.shell.commands)
		if (kind != PIPELINE_DOCKERFILE)
			pipeline_add_command(p, at, c);
	vec_push(&p->scripts, s);
}

/* --- YAML -------------------------------------------------------------------------- */

static const struct conf_node *get(const struct conf_node *n, const char *key)
{
	for (size_t i = 0; n && n->kind == CONF_MAP && i < n->n; i++)
		if (str_is(n->pairs[i].key, key))
			return n->pairs[i].value;
	return NULL;
}

static str text_of(const struct conf_node *n)
{
	return n && n->kind == CONF_SCALAR ? n->text : S("");
}

/* A block begins on the line after its indicator. */
static unsigned first_line(const struct conf_node *n)
{
	return n->line + (str_find(n->text, '\n') >= 0 ? 1 : 0);
}

static void add_node_script(struct pipeline *p, enum pipeline_kind kind, struct pipeline_place at,
                            const struct conf_node *n)
{
	if (!text_of(n).len)
		return;
	at.line = first_line(n);
	add_script(p, kind, &at, n->text);
}

static void add_cached(struct pipeline *p, struct pipeline_place at, const struct conf_node *n)
{
	unsigned line;
	str rest, one;

	if (n && n->kind == CONF_LIST) {
		for (size_t i = 0; i < n->n; i++)
			add_cached(p, at, n->items[i]);
		return;
	}
	if (!n)
		return;
	rest = text_of(n);
	line = first_line(n);
	for (; str_next(&rest, '\n', &one); line++) {
		at.line = line;
		if (str_trim(one).len && !str_starts(str_trim(one), S("!")))
			vec_push(&p->cached, (struct pipeline_cached){ at, str_trim(one) });
	}
}

static void add_step(struct pipeline *p, struct pipeline_place at, const struct conf_node *step)
{
	str uses = text_of(get(step, "uses"));
	const struct conf_node *with = get(step, "with"), *condition = get(step, "if");

	at.line = step->line;
	if (condition && text_of(condition).len) {
		struct pipeline_condition c = { at, condition->text };

		c.at.line = condition->line;
		vec_push(&p->conditions, c);
	}
	add_node_script(p, PIPELINE_WORKFLOW, at, get(step, "run"));
	if (str_starts(uses, S("docker/build-push-action@")))
		pipeline_add_action(p, &at, with);
	if (str_starts(uses, S("actions/cache@")) || str_starts(uses, S("actions/cache/save@")))
		add_cached(p, at, get(with, "path"));
}

static void add_steps(struct pipeline *p, struct pipeline_place at, const struct conf_node *steps)
{
	for (size_t i = 0; steps && steps->kind == CONF_LIST && i < steps->n; i++)
		add_step(p, at, steps->items[i]);
}

static void add_workflow(struct pipeline *p, str file, const struct conf_node *root)
{
	const struct conf_node *jobs = get(root, "jobs");

	add_steps(p, (struct pipeline_place){ file, 1, p->n_jobs++ },
	          get(get(root, "runs"), "steps")); /* a composite action */
	for (size_t i = 0; jobs && jobs->kind == CONF_MAP && i < jobs->n; i++) {
		struct pipeline_place at = { file, jobs->pairs[i].line, p->n_jobs++ };

		add_steps(p, at, get(jobs->pairs[i].value, "steps"));
	}
}

static void add_buildspec(struct pipeline *p, str file, const struct conf_node *root)
{
	struct pipeline_place at = { file, 1, p->n_jobs++ };
	const struct conf_node *phases = get(root, "phases");

	for (size_t i = 0; phases && phases->kind == CONF_MAP && i < phases->n; i++) {
		static const char *const lists[] = { "commands", "finally" };

		for (size_t k = 0; k < ARRAY_SIZE(lists); k++) {
			const struct conf_node *list = get(phases->pairs[i].value, lists[k]);

			for (size_t c = 0; list && list->kind == CONF_LIST && c < list->n; c++)
				add_node_script(p, PIPELINE_BUILDSPEC, at, list->items[c]);
		}
	}
	add_cached(p, at, get(get(root, "cache"), "paths"));
}

static void add_yaml(struct pipeline *p, enum pipeline_kind kind, str file, str text)
{
	struct conf_node *root = NULL;
	struct cairn_err err;

	if (conf_parse(text, file.ptr, p->arena, &root, &err) < 0)
		note(p, file, &err);
	else if (kind == PIPELINE_WORKFLOW)
		add_workflow(p, file, root);
	else
		add_buildspec(p, file, root);
}

/* --- Dockerfiles --------------------------------------------------------------------- */

/* The lines of a RUN without its keyword and flags, comments between continued lines taken out. */
static str run_text(struct pipeline *p, const struct dockerfile *df, const struct instr *in)
{
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, DOCKERFILE_MAX);
	for (unsigned n = in->line; n <= in->end_line; n++) {
		str line = dockerfile_line(df, n), trimmed = str_trim(line);

		if (n == in->line) {
			line = str_trim_left(str_skip(str_trim_left(line), sizeof("RUN") - 1));
			while (str_starts(line, S("--"))) {
				while (line.len && line.ptr[0] != ' ' && line.ptr[0] != '\t')
					line = str_skip(line, 1);
				line = str_trim_left(line);
			}
		} else if (!trimmed.len || trimmed.ptr[0] == '#') {
			line = S("\\");
		}
		strbuf_str(&b, line);
		strbuf_char(&b, '\n');
	}
	return arena_str(p->arena, strbuf_view(&b));
}

static void add_run(struct pipeline *p, struct pipeline_place at, const struct dockerfile *df,
                    const struct instr *in)
{
	if (in->run.cmd.exec)
		return;
	at.line = in->line;
	if (!in->run.n_heredocs) {
		add_script(p, PIPELINE_DOCKERFILE, &at, run_text(p, df, in));
		return;
	}
	for (size_t i = 0; i < in->run.n_heredocs; i++) {
		at.line = in->run.heredocs[i].line;
		add_script(p, PIPELINE_DOCKERFILE, &at, in->run.heredocs[i].content);
	}
}

static void add_dockerfile(struct pipeline *p, str file, str text)
{
	struct pipeline_dockerfile d = { .file = file };
	struct pipeline_place at = { file, 1, p->n_jobs++ };
	struct cairn_err err;

	if (dockerfile_parse(text, file.ptr, &d.df, &err) < 0) {
		note(p, file, &err);
		return;
	}
	if (dockerfile_instrs(d.df, &d.list, &err) < 0) {
		note(p, file, &err);
		dockerfile_free(d.df);
		return;
	}
	for (size_t i = 0; i < d.list.len; i++) {
		d.n_stages += d.list.ptr[i].kind == INSTR_FROM;
		if (d.list.ptr[i].kind == INSTR_RUN)
			add_run(p, at, d.df, &d.list.ptr[i]);
	}
	vec_push(&p->dockerfiles, d);
}

/* --- all files --------------------------------------------------------------------- */

void pipeline_add(struct pipeline *p, enum pipeline_kind kind, str file, str text)
{
	str own = arena_str(p->arena, text);

	file = arena_str(p->arena, file);
	switch (kind) {
	case PIPELINE_WORKFLOW:
	case PIPELINE_BUILDSPEC:
		add_yaml(p, kind, file, own);
		break;
	case PIPELINE_SCRIPT:
		add_script(p, kind, &(struct pipeline_place){ file, 1, p->n_jobs++ }, own);
		break;
	case PIPELINE_DOCKERFILE:
		add_dockerfile(p, file, own);
		break;
	}
}

static bool is_yaml(str path)
{
	return str_ends(path, S(".yml")) || str_ends(path, S(".yaml"));
}

/* What kind of file is it? -1: none that is read. */
static int kind_of(str path)
{
	str name = str_skip(path, (size_t)(str_rfind(path, '/') + 1));

	if (str_starts(path, S(".github/")) && is_yaml(path))
		return PIPELINE_WORKFLOW;
	if (str_starts(name, S("buildspec")) && is_yaml(name))
		return PIPELINE_BUILDSPEC;
	if (str_ends(name, S(".sh")) || str_is(name, "Makefile"))
		return PIPELINE_SCRIPT;
	return base_scan_is_dockerfile(path) ? PIPELINE_DOCKERFILE : -1;
}

static bool wanted(str path)
{
	return kind_of(path) >= 0;
}

int pipeline_load(const char *dir, struct pipeline **ret, struct cairn_err *err)
{
	static const struct repo_filter filter = { wanted, NULL };
	struct repo_files files cleanup_repo_files = { 0 };
	cleanup_pipeline struct pipeline *p = pipeline_new();
	cleanup_fd int fd = -1;

	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	TRY(repo_files_find(dir, &filter, p->arena, &files, err));
	vec_foreach (path, &files.paths) {
		cleanup_strbuf struct strbuf text;
		struct cairn_err why;

		strbuf_init(&text, FILE_MAX);
		if (fs_read_file(fd, path->ptr, &text, &why) < 0)
			note(p, *path, &why);
		else
			pipeline_add(p, (enum pipeline_kind)kind_of(*path), *path,
			             strbuf_view(&text));
	}
	*ret = steal_ptr(&p);
	return 0;
}

const struct pipeline_dockerfile *pipeline_dockerfile(const struct pipeline *p,
                                                      const struct pipeline_build *b)
{
	const char *join = b->dockerfile.len
	                           ? arena_printf(p->arena, "%.*s", STR(b->dockerfile))
	                           : arena_printf(p->arena, "%.*s/Dockerfile", STR(b->context));
	str path = str_skip(arena_clean_path(p->arena, str_of(join)), 1);

	if (str_find(path, '$') >= 0)
		return NULL;
	vec_foreach (d, &p->dockerfiles)
		if (str_eq(d->file, path))
			return d;
	return NULL;
}
