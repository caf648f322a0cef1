/* What machines elsewhere check out. */
#include "ci_view.h"

#include "ctx.h"
#include "util/proc.h"

#define GIT_TIMEOUT (30ull * 1000000000)
#define GIT_OUTPUT  (1u << 20)

/* What git says, allocated and without space at its end; "" when it says nothing or is not there.
 */
static str git(struct ci *c, const char *const *words)
{
	const char *argv[12] = { "git", "-C", c->env.root };
	struct proc_opts o = { .argv = argv, .timeout_ns = GIT_TIMEOUT };
	struct proc_result r cleanup_proc_result;
	struct cairn_err ignored;
	str line = { 0 };

	for (size_t n = 3; *words && n + 1 < ARRAY_SIZE(argv); n++, words++)
		argv[n] = *words;
	proc_result_init(&r, GIT_OUTPUT);
	if (proc_run(&o, &r, &ignored) == 0 && r.exit_code == 0)
		line = arena_str(c->plan->a, str_trim_right(strbuf_view(&r.output)));
	return line;
}

static str variable(struct ci *c, const char *const *names)
{
	for (; *names; names++) {
		str v = str_of(ctx_env(c->plan->ctx->envp, *names));

		if (str_starts(v, S("refs/heads/")))
			v = str_skip(v, sizeof("refs/heads/") - 1);
		if (v.len)
			return v;
	}
	return (str){ 0 };
}

/* "git@github.com:owner/name.git", "https://github.com/owner/name": the last two parts. */
static str repository_of(struct arena *a, str url)
{
	str path = url;
	ptrdiff_t at;

	while (path.len && path.ptr[path.len - 1] == '/')
		path.len--;
	if (str_ends(path, S(".git")))
		path.len -= 4;
	at = str_rfind(path, '/');
	if (at <= 0 || str_search(url, S("github")) < 0)
		return (str){ 0 };
	for (at--; at >= 0 && path.ptr[at] != '/' && path.ptr[at] != ':';)
		at--;
	return at < 0 ? (str){ 0 } : arena_str(a, str_skip(path, (size_t)at + 1));
}

void ci_source(struct ci *c)
{
	static const char *const commits[] = { "CODEBUILD_RESOLVED_SOURCE_VERSION", "GITHUB_SHA",
		                               NULL };
	static const char *const refs[] = { "GITHUB_HEAD_REF", "GITHUB_REF_NAME",
		                            "CODEBUILD_WEBHOOK_HEAD_REF", NULL };
	static const char *const repositories[] = { "GITHUB_REPOSITORY", NULL };
	static const char *const builds[] = { "CODEBUILD_BUILD_ID", NULL };
	str rest;

	c->env.commit = variable(c, commits);
	c->pushed = c->env.commit.len; /* CI has it from there */
	if (!c->env.commit.len)
		c->env.commit = git(c, (const char *const[]){ "rev-parse", "HEAD", NULL });
	c->env.ref = variable(c, refs);
	if (!c->env.ref.len)
		c->env.ref = git(
			c, (const char *const[]){ "symbolic-ref", "-q", "--short", "HEAD", NULL });
	c->env.repository = variable(c, repositories);
	if (!c->env.repository.len)
		c->env.repository = repository_of(
			c->plan->a,
			git(c, (const char *const[]){ "remote", "get-url", "origin", NULL }));
	(void)str_cut(variable(c, builds), ':', &c->env.project, &rest);
}

/* --- is it what is here? ------------------------------------------------------------------ */

#define NAMED 3 /* files of a warning */

static void warn_files(struct ci *c, const struct ci_image *i)
{
	const struct ws_image *w = i->plan->image;
	const char *words[] = { "status",
		                "--porcelain",
		                "-z",
		                "--untracked-files=normal",
		                "--",
		                arena_cstr(c->plan->a, w->context),
		                arena_cstr(c->plan->a, w->dockerfile),
		                NULL };
	cleanup_strbuf struct strbuf names;
	str rest = git(c, words), entry;
	size_t n = 0;

	strbuf_init(&names, GIT_OUTPUT);
	while (str_next(&rest, '\0', &entry)) {
		if (entry.len <= 3) /* "XY name" */
			continue;
		if (n++ < NAMED)
			strbuf_printf(&names, "%s%.*s", n > 1 ? ", " : "", STR(str_skip(entry, 3)));
		if (entry.ptr[0] == 'R' || entry.ptr[0] == 'C')
			(void)str_next(&rest, '\0', &entry); /* what it was */
	}
	if (n)
		(void)fprintf(
			c->plan->ctx->err,
			"cairn: warning: %.*s is built elsewhere from commit %.12s, which has "
			"not what is here: %s%s\n",
			STR(w->name), arena_cstr(c->plan->a, c->env.commit), names.ptr,
			n > NAMED ? ", ..." : "");
}

void ci_source_warn(struct ci *c, const struct ci_image *i)
{
	const char *commit = arena_cstr(c->plan->a, c->env.commit);

	if (!c->env.commit.len)
		return;
	ci_view_end(c->view);
	warn_files(c, i);
	if (!c->pushed && git(c, (const char *const[]){ "remote", NULL }).len &&
	    !git(c, (const char *const[]){ "branch", "-r", "--contains", commit, NULL }).len)
		(void)fprintf(c->plan->ctx->err,
		              "cairn: warning: commit %.12s is on no branch of a remote: machines "
		              "elsewhere cannot check it out; 'git push' it\n",
		              commit);
	c->pushed = true;
}
