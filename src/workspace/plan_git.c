#include "plan_git.h"

#include "plan_changes.h"
#include "util/fs.h"
#include "util/json.h"

#define EVENT_MAX   (8u << 20) /* bytes of GitHub's description of an event */
#define COMMITS_MAX 200        /* that are looked at */
#define FILES_MAX   100u       /* of an image that are named */

struct git {
	struct plan *plan;
	const struct plan_inputs *in;
	struct arena *a;
	const struct repo_git *repo; /* NULL: its index cannot be read */
};

static bool git(struct git *g, const char *const *words, str *ret)
{
	return repo_git_run(g->in->opts->root, words, g->a, ret);
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

static bool has_line(str lines, const char *line)
{
	str one;

	while (str_next(&lines, '\n', &one))
		if (str_is(one, line))
			return true;
	return false;
}

/* Where the branch left the first of these that there is. */
static bool try_default_branch(struct git *g)
{
	static const char *const branches[] = { "refs/remotes/origin/HEAD",
		                                "refs/remotes/origin/main",
		                                "refs/remotes/origin/master", "refs/heads/main",
		                                "refs/heads/master" };
	const char *words[ARRAY_SIZE(branches) + 3] = { "for-each-ref", "--format=%(refname)" };
	str all, out;

	memcpy(words + 2, branches, sizeof(branches));
	if (!git(g, words, &all))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(branches); i++) {
		const char *const base[] = { "merge-base", "HEAD", branches[i], NULL };

		if (has_line(all, branches[i]) && git(g, base, &out) && out.len) {
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

	if (!g->repo && !git(g, inside, &out))
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

static void take_files(struct git *g, const struct plan_input *in, const struct image_strs *files,
                       struct plan_image *i)
{
	struct plan_scopes scopes;

	plan_scopes(in, g->a, &scopes);
	i->change.files = arena_array(g->a, str, FILES_MAX);
	for (size_t k = 0; k < files->len && i->change.n_files < FILES_MAX; k++)
		if (plan_scopes_have(&scopes, files->ptr[k]))
			i->change.files[i->change.n_files++] = files->ptr[k];
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

/* --- commits ---------------------------------------------------------------------------------- */

/* Images whose change a file is part of. */
struct concerned {
	struct plan_image *image;
	struct concerned *next;
};

static void index_files(struct git *g, struct map *ret)
{
	for (size_t i = 0; i < g->plan->len; i++) {
		struct plan_image *image = &g->plan->ptr[i];

		for (size_t k = 0; k < image->change.n_files; k++) {
			struct concerned *c = arena_new_of(g->a, struct concerned);

			*c = (struct concerned){ image, map_get(ret, image->change.files[k]) };
			map_put(ret, image->change.files[k], c);
		}
	}
}

static void add_commit(struct git *g, struct plan_image *i, const struct plan_commit *c)
{
	struct plan_change *change = &i->change;

	if (change->n_commits && str_eq(change->commits[change->n_commits - 1].id, c->id))
		return;
	if (!change->commits)
		change->commits = arena_array(g->a, struct plan_commit, COMMITS_MAX);
	if (change->n_commits < COMMITS_MAX)
		change->commits[change->n_commits++] = *c;
}

/* "\1ID\tSUBJECT", then the names of its files, each ended by a NUL. */
static void find_commits(struct git *g)
{
	const char *range = arena_printf(g->a, "%.*s..HEAD", STR(g->plan->base));
	const char *const words[] = { "log",         "-z",
		                      "-n",          arena_printf(g->a, "%d", COMMITS_MAX),
		                      "--name-only", "--no-renames",
		                      "-m",          "--first-parent",
		                      "--relative",  "--format=%x01%H%x09%s",
		                      range,         "--",
		                      NULL };
	struct map files cleanup_map = { 0 };
	struct plan_commit c = { 0 };
	str rest, piece;

	index_files(g, &files);
	if (!files.len || !git(g, words, &rest))
		return;
	while (str_next(&rest, '\0', &piece)) {
		piece = str_trim(piece);
		if (piece.len && piece.ptr[0] == '\1') {
			(void)str_cut(str_skip(piece, 1), '\t', &c.id, &c.subject);
			continue;
		}
		for (struct concerned *of = map_get(&files, piece); of; of = of->next)
			add_commit(g, of->image, &c);
	}
}

void plan_git(struct plan *p, const struct plan_inputs *in)
{
	cleanup_repo_git struct repo_git *own =
		p->images->git ? NULL : repo_git_open(in->opts->root);
	struct git g = { .plan = p, .in = in, .a = p->arena, .repo = own ? own : p->images->git };
	struct image_strs files = { 0 };

	if (!find_base(&g) || !plan_changes(p, in, g.repo, &files))
		return;
	for (size_t i = 0; i < p->len; i++) {
		if (p->ptr[i].verdict != PLAN_BUILD || p->ptr[i].error)
			continue;
		take_files(&g, &in->ptr[i], &files, &p->ptr[i]);
		say_why(&g, &p->ptr[i]);
	}
	find_commits(&g);
}
