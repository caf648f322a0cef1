#include "check.h"

const struct check_rule check_rules[] = {
	{ "cache-min",
	  "only the last stage is cached: every other stage is built again on an empty runner",
	  "add mode=max", check_min_cache },
	{ "cache-path", "a cache is restored and saved on every run, and nothing is in it",
	  "take the path out, or point it at what the commands write", check_cache_path },
	{ "diff-base",
	  "a push of several commits, a force-push or a merge misses images, or builds too many",
	  "decide by content: cairn plan; else compare with the push's own base "
	  "(github.event.before, CODEBUILD_WEBHOOK_PREV_COMMIT)",
	  check_diff_base },
	{ "ecr-cache",
	  "ECR rejects the cache (400 Bad Request) with BuildKit before 0.21: nothing is cached",
	  "add image-manifest=true,oci-mediatypes=true", check_ecr_cache },
	{ "inline-cache",
	  "an inline cache holds the last stage alone: the steps of all others run again on every runner",
	  "use type=registry,mode=max (inline knows no mode=max)", check_inline_cache },
	{ "load-push",
	  "the whole image is written to the local store, and then read again to be pushed",
	  "build with --push", check_load_push },
	{ "prune", "what the job has just filled, and means to save, is deleted",
	  "prune before the build, or take the prune out: the runner is thrown away", check_prune },
	{ "substring", "an image is built, or not, because its name is a part of another's",
	  "compare whole names: grep -x, or == in place of *NAME*", check_substring },
	{ "unpinned", "a cache hit gives yesterday's code, a miss gives other code than was tested",
	  "name a commit or an exact version", check_unpinned },
	{ "unread-pull", "gigabytes are pulled that no build reads",
	  "take the pull out: a cache (--cache-from) fetches only what is a hit",
	  check_unread_pull },
	{ "unused-build-arg", "the value reaches nothing: the build ignores it",
	  "declare it with ARG in the stage that uses it, or take it out", check_unused_arg },
	{ "version-redirect",
	  "the shell takes '>' for a redirection: any version is installed, into a file named "
	  "like the version goes the output",
	  "quote the requirement", check_redirect },
	{ 0 },
};

void check_add(struct check_result *r, const struct check_rule *rule,
               const struct pipeline_place *at, unsigned line, str text)
{
	vec_push(&r->findings, (struct check_finding){ rule, at->file, line, text });
}

static int by_place(const void *a, const void *b)
{
	const struct check_finding *x = a, *y = b;
	int c = str_cmp(x->file, y->file);

	if (c == 0)
		c = (x->line > y->line) - (x->line < y->line);
	if (c == 0)
		c = (x->rule > y->rule) - (x->rule < y->rule);
	return c != 0 ? c : str_cmp(x->text, y->text);
}

void check_pipeline(struct pipeline *p, struct check_result *ret)
{
	for (const struct check_rule *rule = check_rules; rule->name; rule++)
		rule->look(p, rule, ret);
	if (ret->findings.len)
		qsort(ret->findings.ptr, ret->findings.len, sizeof(*ret->findings.ptr), by_place);
}

void check_result_done(struct check_result *r)
{
	vec_free(&r->findings);
}
