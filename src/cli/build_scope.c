#include "build_scope.h"

#include "ctx.h"
#include "util/fs.h"
#include "util/json.h"

#define EVENT_MAX (16u << 20) /* bytes of an event's description */

/* What the build is about. */
struct where {
	str head;           /* branch or tag; empty: not in CI, or not known */
	bool tag;           /* head is a tag */
	bool pull_request;  /* head is to be merged into base */
	str number;         /* of the pull request, or empty */
	str base;           /* branch, or empty */
	str default_branch; /* empty: not known */
};

static str env(char *const *envp, const char *name)
{
	return str_of(ctx_env(envp, name));
}

static str without(str s, str prefix)
{
	return str_starts(s, prefix) ? str_skip(s, prefix.len) : s;
}

/* N of "pr/N" and "refs/pull/N/merge"; empty for anything else. */
static str pull_number(str ref)
{
	str rest = without(without(ref, S("refs/pull/")), S("pr/")), number, tail;

	if (rest.len == ref.len)
		return S("");
	(void)str_cut(rest, '/', &number, &tail);
	return number;
}

/* "repository": {"default_branch": ...} of the event's description; doubt is "not known". */
static str event_default(const char *path, struct arena *a)
{
	cleanup_json json_t *j = NULL;
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;
	const char *name;

	strbuf_init(&text, EVENT_MAX);
	if (!path || fs_read_file(AT_FDCWD, path, &text, &ignored) < 0 ||
	    json_parse(strbuf_view(&text), "event", &j, &ignored) < 0)
		return S("");
	name = json_string_value(
		json_object_get(json_object_get(j, "repository"), "default_branch"));
	return name ? str_of(arena_cstr(a, str_of(name))) : S("");
}

/* https://docs.github.com/actions/reference/variables */
static bool github(char *const *envp, struct arena *a, struct where *w)
{
	if (!ctx_env(envp, "GITHUB_ACTIONS") && !ctx_env(envp, "GITHUB_REF_NAME"))
		return false;
	w->base = env(envp, "GITHUB_BASE_REF");
	w->head = env(envp, "GITHUB_HEAD_REF");
	w->pull_request =
		w->head.len || w->base.len || str_starts(env(envp, "GITHUB_REF"), S("refs/pull/"));
	w->number = pull_number(env(envp, "GITHUB_REF"));
	if (!w->head.len)
		w->head = env(envp, "GITHUB_REF_NAME");
	w->tag = str_is(env(envp, "GITHUB_REF_TYPE"), "tag");
	w->default_branch = event_default(ctx_env(envp, "GITHUB_EVENT_PATH"), a);
	return true;
}

/* https://docs.aws.amazon.com/codebuild/latest/userguide/build-env-ref-env-vars.html */
static bool codebuild(char *const *envp, struct where *w)
{
	str trigger = env(envp, "CODEBUILD_WEBHOOK_TRIGGER"); /* branch/x, tag/x, pr/N */
	str head = env(envp, "CODEBUILD_WEBHOOK_HEAD_REF"), name;
	str source = env(envp, "CODEBUILD_SOURCE_VERSION");

	if (!ctx_env(envp, "CODEBUILD_BUILD_ID") && !head.len)
		return false;
	w->base = without(env(envp, "CODEBUILD_WEBHOOK_BASE_REF"), S("refs/heads/"));
	w->pull_request = w->base.len || str_starts(trigger, S("pr/"));
	w->tag = str_starts(head, S("refs/tags/")) || str_starts(trigger, S("tag/"));
	w->head = without(without(head, S("refs/heads/")), S("refs/tags/"));
	if (!w->head.len && str_cut(trigger, '/', &head, &name))
		w->head = name;
	/* A build that no event started: only what was asked for tells of a pull request. */
	w->number = pull_number(w->pull_request ? trigger : source);
	if (!w->head.len && w->number.len) {
		w->pull_request = true;
		w->head = w->number;
	}
	return true;
}

static bool is_default(const struct where *w, str branch)
{
	if (w->default_branch.len)
		return str_eq(branch, w->default_branch);
	return str_is(branch, "main") || str_is(branch, "master");
}

static void add(struct remote_scopes *s, const char **list, const char *scope)
{
	if (strcmp(scope, s->write) == 0)
		return;
	for (size_t i = 0; i < s->n_read; i++)
		if (strcmp(list[i], scope) == 0)
			return;
	list[s->n_read++] = scope;
}

void build_scopes(char *const *envp, struct arena *a, struct remote_scopes *ret)
{
	const char **read = arena_array(a, const char *, 2);
	struct where w = { 0 };

	*ret = (struct remote_scopes){ .write = "", .read = read };
	if ((!github(envp, a, &w) && !codebuild(envp, &w)) || !w.head.len)
		return;
	if (w.pull_request)
		ret->write = arena_printf(a, "pr~%.*s", STR(w.number.len ? w.number : w.head));
	else if (w.tag)
		ret->write = arena_printf(a, "tag~%.*s", STR(w.head));
	else if (!is_default(&w, w.head))
		ret->write = arena_cstr(a, w.head);
	if (w.pull_request && w.base.len && !is_default(&w, w.base))
		add(ret, read, arena_cstr(a, w.base));
	add(ret, read, "");
}
