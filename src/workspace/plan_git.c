#include "plan_git.h"

#include "util/fs.h"
#include "util/json.h"
#include "util/proc.h"

#define GIT_OUTPUT_MAX (64u << 20)
#define GIT_TIMEOUT_NS (60ull * 1000000000ull)
#define GIT_ARGS_MAX   24
#define EVENT_MAX      (8u << 20) /* bytes of GitHub's description of an event */
#define COMMITS_MAX    "200"      /* that are looked at */
#define FILES_MAX      100u       /* of an image that are named */

struct git {
	struct plan *plan;
	const struct plan_inputs *in;
	struct arena *a;
	struct image_strs files; /* that differ from the base; relative to the root */
};

/* --- the program ------------------------------------------------------------------------ */

/* Run git in the root; its output lives in the plan. False: it says no, or there is none. */
static bool git(struct git *g, const char *const *words, str *ret)
{
	/* A repository's own settings must not start programs. */
	const char *argv[GIT_ARGS_MAX] = { "git",
		                           "-C",
		                           g->in->opts->root,
		                           "-c",
		                           "core.fsmonitor=false",
		                           "-c",
		                           "diff.external=",
		                           "-c",
		                           "core.quotePath=false" };
	size_t n = 9;
	struct proc_opts o = { .argv = argv, .timeout_ns = GIT_TIMEOUT_NS };
	struct proc_result r cleanup_proc_result;
	struct cairn_err ignored;

	while (*words && n < GIT_ARGS_MAX - 1)
		argv[n++] = *words++;
	proc_result_init(&r, GIT_OUTPUT_MAX);
	if (proc_run(&o, &r, &ignored) < 0 || r.exit_code != 0)
		return false;
	*ret = arena_str(g->a, strbuf_view(&r.output));
	return true;
}

/* --- the base ------------------------------------------------------------------------------ */

static const char *environment(const struct git *g, const char *name)
{
	size_t len = strlen(name);

	for (char *const *e = g->in->opts->envp; *e; e++)
		if (strncmp(*e, name, len) == 0 && (*e)[len] == '=' && (*e)[len + 1])
			return *e + len + 1;
	return NULL;
}

/* `before` of a push, the base of a pull request. */
static const char *event_base(struct git *g)
{
	const char *path = environment(g, "GITHUB_EVENT_PATH"), *sha;
	cleanup_json json_t *j = NULL;
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;

	strbuf_init(&text, EVENT_MAX);
	if (!path || fs_read_file(AT_FDCWD, path, &text, &ignored) < 0 ||
	    json_parse(strbuf_view(&text), "event", &j, &ignored) < 0)
		return NULL;
	sha = json_string_value(json_object_get(
		json_object_get(json_object_get(j, "pull_request"), "base"), "sha"));
	if (!sha)
		sha = json_string_value(json_object_get(j, "before"));
	return sha ? arena_cstr(g->a, str_of(sha)) : NULL;
}

static bool is_zero(const char *sha)
{
	return sha[strspn(sha, "0")] == '\0';
}

static bool resolve(struct git *g, const char *rev)
{
	const char *spec = arena_printf(g->a, "%s^{commit}", rev);
	const char *const words[] = { "rev-parse",        "--verify", "--quiet",
		                      "--end-of-options", spec,       NULL };
	str out;

	if (!git(g, words, &out) || !out.len)
		return false;
	g->plan->base = str_trim(out);
	return true;
}

static void note(struct git *g, const char *text)
{
	if (!g->plan->base_note.len)
		g->plan->base_note = str_of(arena_cstr(g->a, str_of(text)));
}

static bool try_named(struct git *g, const char *what, const char *rev)
{
	if (!rev)
		return false;
	if (is_zero(rev)) {
		note(g, arena_printf(g->a, "%s names no commit: the branch is new", what));
		return false;
	}
	if (resolve(g, rev))
		return true;
	note(g, arena_printf(g->a,
	                     "%s is %s, which is not in this clone: it is shallow, or the branch "
	                     "was force-pushed",
	                     what, rev));
	return false;
}

static bool try_default_branch(struct git *g)
{
	static const char *const branches[] = { "origin/HEAD", "origin/main", "origin/master",
		                                "main", "master" };

	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		const char *const words[] = { "merge-base", "HEAD", branches[i], NULL };
		str out;

		if (git(g, words, &out) && out.len) {
			g->plan->base = str_trim(out);
			return true;
		}
	}
	return false;
}

static bool find_base(struct git *g)
{
	static const char *const inside[] = { "rev-parse", "--is-inside-work-tree", NULL };
	str out;

	if (!git(g, inside, &out))
		return false;
	if (try_named(g, "--base", g->in->opts->base) ||
	    try_named(g, "CODEBUILD_WEBHOOK_PREV_COMMIT",
	              environment(g, "CODEBUILD_WEBHOOK_PREV_COMMIT")) ||
	    try_named(g, "the base of GitHub's event", event_base(g)) || try_default_branch(g))
		return true;
	note(g, "git knows no revision to compare with");
	return false;
}

/* --- what changed ----------------------------------------------------------------------------- */

static void add_list(struct git *g, str list, struct image_strs *ret)
{
	size_t n = ret->len + 1;
	str rest = list, piece, *all;

	for (size_t i = 0; i < list.len; i++)
		n += list.ptr[i] == '\0';
	all = arena_array(g->a, str, n);
	if (ret->len)
		memcpy(all, ret->ptr, ret->len * sizeof(*all));
	ret->ptr = all;
	while (str_next(&rest, '\0', &piece))
		if (piece.len)
			all[ret->len++] = piece;
}

/* Both names of a file that was renamed: without -M git tells them as two. */
static bool find_files(struct git *g)
{
	const char *base = arena_cstr(g->a, g->plan->base);
	const char *const diff[] = { "diff",         "--name-only", "-z",
		                     "--no-renames", "--relative",  "--no-ext-diff",
		                     base,           "--",          NULL };
	static const char *const others[] = { "ls-files", "-z", "--others", "--exclude-standard",
		                              NULL };
	str out;

	if (!git(g, diff, &out))
		return false;
	add_list(g, out, &g->files);
	if (git(g, others, &out))
		add_list(g, out, &g->files);
	return true;
}

/* Where a file is in a folder; false: it is not in it. */
static bool in_folder(str dir, str file, str *ret)
{
	if (str_is(dir, ".") || !dir.len) {
		*ret = file;
		return true;
	}
	if (!layer_path_below(file, dir) || file.len == dir.len)
		return false;
	*ret = str_skip(file, dir.len + 1);
	return true;
}

static bool reads(const struct plan_input *in, str context, str dir, const struct ignore *ignore,
                  str file)
{
	cleanup_arena struct arena *a = arena_new();
	str *needed = NULL, rel;
	size_t n = 0;

	if (!in_folder(dir, file, &rel) || !define_needed(in->graph, context, a, &needed, &n) ||
	    ignore_match(ignore, rel))
		return false;
	for (size_t i = 0; i < n; i++)
		if (layer_path_below(rel, needed[i]) || layer_path_below(needed[i], rel))
			return true;
	return n == 0;
}

static bool concerns(const struct plan_input *in, str file)
{
	if (str_is(file, in->path) || str_ends(file, S(".dockerignore")))
		return true;
	if (reads(in, S(""), in->image->context, in->ignore, file))
		return true;
	map_foreach (e, &in->contexts)
		if (str_search(str_of(e->value), S("://")) < 0 &&
		    reads(in, e->key, str_of(e->value), NULL, file))
			return true;
	return false;
}

static void take_files(struct git *g, const struct plan_input *in, struct plan_image *i)
{
	i->change.files = arena_array(g->a, str, FILES_MAX);
	for (size_t k = 0; k < g->files.len && i->change.n_files < FILES_MAX; k++)
		if (concerns(in, g->files.ptr[k]))
			i->change.files[i->change.n_files++] = g->files.ptr[k];
}

static void say_why(struct git *g, struct plan_image *i)
{
	const struct plan_change *c = &i->change;

	if (!c->n_files || !str_is(i->why, "no build of this input is known"))
		return;
	if (c->n_files == 1)
		i->why = str_of(arena_printf(g->a, "%.*s changed", STR(c->files[0])));
	else
		i->why = str_of(arena_printf(g->a, "%.*s and %zu more changed", STR(c->files[0]),
		                             c->n_files - 1));
}

/* --- commits ------------------------------------------------------------------------------------
 */

static bool names_file(const struct plan_image *i, str file)
{
	for (size_t k = 0; k < i->change.n_files; k++)
		if (str_eq(i->change.files[k], file))
			return true;
	return false;
}

static void add_commit(struct git *g, struct plan_image *i, const struct plan_commit *c)
{
	struct plan_commit *all;

	if (i->change.n_commits && str_eq(i->change.commits[i->change.n_commits - 1].id, c->id))
		return;
	all = arena_array(g->a, struct plan_commit, i->change.n_commits + 1);
	if (i->change.n_commits)
		memcpy(all, i->change.commits, i->change.n_commits * sizeof(*all));
	all[i->change.n_commits++] = *c;
	i->change.commits = all;
}

/* "\1ID\tSUBJECT", then the names of its files, each ended by a NUL. */
static void find_commits(struct git *g)
{
	const char *range = arena_printf(g->a, "%.*s..HEAD", STR(g->plan->base));
	const char *const words[] = { "log",         "-z",
		                      "-n",          COMMITS_MAX,
		                      "--name-only", "--no-renames",
		                      "-m",          "--first-parent",
		                      "--relative",  "--format=%x01%H%x09%s",
		                      range,         "--",
		                      NULL };
	struct plan_commit c = { 0 };
	str rest, piece;

	if (!git(g, words, &rest))
		return;
	while (str_next(&rest, '\0', &piece)) {
		piece = str_trim(piece);
		if (piece.len && piece.ptr[0] == '\1') {
			(void)str_cut(str_skip(piece, 1), '\t', &c.id, &c.subject);
			continue;
		}
		for (size_t i = 0; piece.len && i < g->plan->len; i++)
			if (names_file(&g->plan->ptr[i], piece))
				add_commit(g, &g->plan->ptr[i], &c);
	}
}

void plan_git(struct plan *p, const struct plan_inputs *in)
{
	struct git g = { .plan = p, .in = in, .a = p->arena };

	if (!find_base(&g) || !find_files(&g))
		return;
	for (size_t i = 0; i < p->len; i++) {
		if (p->ptr[i].verdict != PLAN_BUILD || p->ptr[i].error)
			continue;
		take_files(&g, &in->ptr[i], &p->ptr[i]);
		say_why(&g, &p->ptr[i]);
	}
	find_commits(&g);
}
