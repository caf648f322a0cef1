#include "lint.h"

#include <stdarg.h>
#include <stdio.h>

#include "ignore.h"
#include "lint_rules.h"
#include "util/strbuf.h"

static bool has(const str *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (str_is(names[i], name))
			return true;
	return false;
}

/* A comment above the node says `check=skip=...` with the rule's name. */
static bool skipped_at(const struct lint *l, const struct dockerfile_node *node)
{
	for (size_t i = 0; i < node->n_comments; i++) {
		str key, rest = node->comments[i], name;

		if (!str_cut(rest, '=', &key, &rest) || !str_is(str_trim(key), "check") ||
		    !str_cut(rest, '=', &key, &rest) || !str_is(str_trim(key), "skip"))
			continue;
		while (str_next(&rest, ',', &name))
			if (str_is(str_trim(name), l->rule->name) || str_is(str_trim(name), "all"))
				return true;
	}
	return false;
}

void lint_warn(struct lint *l, const struct dockerfile_node *node, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (l->found.len == LINT_WARNINGS_MAX || skipped_at(l, node))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vec_push(&l->found, (struct dockerfile_warning){ node->line, l->rule->name,
	                                                 arena_str(l->arena, str_of(text)) });
}

/* --- Rules over all instructions ------------------------------------------ */

static bool all_lower(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
			return false;
	return true;
}

static bool all_upper(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'a' && s.ptr[i] <= 'z')
			return false;
	return true;
}

static void no_empty_continuation(struct lint *l, const struct dockerfile_node *n)
{
	if (n->empty_continuation)
		lint_warn(l, n, "Empty continuation line");
}

static void consistent_instruction_casing(struct lint *l)
{
	const struct dockerfile *df = l->df;
	size_t lower = 0, upper = 0;

	for (size_t i = 0; i < df->n_nodes; i++) {
		lower += all_lower(df->nodes[i].keyword);
		upper += all_upper(df->nodes[i].keyword);
	}
	for (size_t i = 0; i < df->n_nodes; i++) {
		str word = df->nodes[i].keyword;

		if (lower > upper ? !all_lower(word) : !all_upper(word))
			lint_warn(l, &df->nodes[i],
			          "Command '%.*s' should match the case of the command majority "
			          "(%s)",
			          STR(word), lower > upper ? "lowercase" : "uppercase");
	}
}

static void maintainer_deprecated(struct lint *l, const struct dockerfile_node *n)
{
	if (str_is(n->name, "maintainer"))
		lint_warn(l, n, "Maintainer instruction is deprecated in favor of using label");
}

static void legacy_key_value_format(struct lint *l, const struct dockerfile_node *n)
{
	if (n->legacy)
		lint_warn(l, n,
		          "\"%.*s key=value\" should be used instead of legacy \"%.*s key "
		          "value\" format",
		          STR(n->keyword), STR(n->keyword));
}

/* Is one of the words in `name`, between its ends or underscores? */
static bool has_token(str name, const char *const *words)
{
	str rest = name, part;

	while (str_next(&rest, '_', &part))
		for (size_t i = 0; words[i]; i++)
			if (str_eq_nocase(part, str_of(words[i])))
				return true;
	return false;
}

static void secrets_used_in_arg_or_env(struct lint *l, const struct dockerfile_node *n)
{
	static const char *const secret[] = { "apikey", "auth",   "credential", "credentials",
		                              "key",    "passwd", "password",   "pword",
		                              "secret", "token",  NULL };
	static const char *const harmless[] = { "public", NULL };
	bool arg = str_is(n->name, "arg");

	if (!arg && !str_is(n->name, "env"))
		return;
	for (size_t i = 0; i < n->n_args; i += arg ? 1 : 2) {
		str key, rest;

		str_cut(n->args[i], '=', &key, &rest);
		if (has_token(key, secret) && !has_token(key, harmless))
			lint_warn(l, n,
			          "Do not use ARG or ENV instructions for sensitive data "
			          "(%s \"%.*s\")",
			          arg ? "ARG" : "ENV", STR(key));
	}
}

static void expose_proto_casing(struct lint *l, const struct dockerfile_node *n)
{
	for (size_t i = 0; str_is(n->name, "expose") && i < n->n_args; i++) {
		str port, proto;

		if (str_cut(n->args[i], '/', &port, &proto) && !all_lower(proto) &&
		    str_find(proto, '$') < 0)
			lint_warn(l, n,
			          "Defined protocol '%.*s' in EXPOSE instruction should be "
			          "lowercase",
			          STR(n->args[i]));
	}
}

static void expose_invalid_format(struct lint *l, const struct dockerfile_node *n)
{
	for (size_t i = 0; str_is(n->name, "expose") && i < n->n_args; i++)
		if (str_find(n->args[i], ':') >= 0 && str_find(n->args[i], '$') < 0)
			lint_warn(l, n,
			          "EXPOSE instruction should not define an IP address or "
			          "host-port mapping, found '%.*s'",
			          STR(n->args[i]));
}

/* --- Rules over stages ---------------------------------------------------- */

static void json_args_recommended(struct lint *l, const struct lint_stage *s)
{
	/* who sets SHELL knows what he does */
	bool shell = s->base >= 0 && l->stages[s->base].shell;

	for (size_t i = s->first; i < s->end && !shell; i++) {
		const struct dockerfile_node *n = &l->df->nodes[i];

		shell = str_is(n->name, "shell");
		if (!n->json && (str_is(n->name, "cmd") || str_is(n->name, "entrypoint")))
			lint_warn(l, n,
			          "JSON arguments recommended for %.*s to prevent unintended "
			          "behavior related to OS signals",
			          STR(n->keyword));
	}
}

/* Warns at all but the last instruction called `name`. */
static void check_once(struct lint *l, const struct lint_stage *s, const char *name)
{
	const struct dockerfile_node *last = NULL;

	for (size_t i = s->first; i < s->end; i++) {
		const struct dockerfile_node *n = &l->df->nodes[i];

		if (!str_is(n->name, name))
			continue;
		if (last)
			lint_warn(l, last,
			          "Multiple %.*s instructions should not be used in the same stage "
			          "because only the last one will be used",
			          STR(last->keyword));
		last = n;
	}
}

static void multiple_instructions_disallowed(struct lint *l, const struct lint_stage *s)
{
	check_once(l, s, "cmd");
	check_once(l, s, "entrypoint");
	check_once(l, s, "healthcheck");
}

static void workdir_relative_path(struct lint *l, const struct lint_stage *s)
{
	bool set = s->base >= 0 && l->stages[s->base].workdir;

	for (size_t i = s->first; i < s->end && !set; i++) {
		const struct dockerfile_node *n = &l->df->nodes[i];

		set = str_is(n->name, "workdir");
		if (set && n->rest.len && !strchr("/$\"'", n->rest.ptr[0]))
			lint_warn(l, n,
			          "Relative workdir \"%.*s\" can have unexpected results if the "
			          "base image changes",
			          STR(n->rest));
	}
}

static void invalid_definition_description(struct lint *l, const struct dockerfile_node *n)
{
	bool arg = str_is(n->name, "arg"), from = str_is(n->name, "from");
	str first, rest, name;

	if (!n->n_comments || !(arg || (from && n->n_args == 3)) || !n->n_args)
		return;
	str_cut(n->comments[n->n_comments - 1], ' ', &first, &rest);
	str_cut(n->args[arg ? 0 : 2], '=', &name, &rest);
	if (!str_eq_nocase(first, name) && !str_starts(first, S("check=")))
		lint_warn(l, n, "Comment for %s should follow the format: `# %.*s <description>`",
		          arg ? "argument" : "build stage", STR(name));
}

/* In the order of Docker's documentation.  UndefinedVar and InvalidBaseImagePlatform need the base
 * images: graph/ finds them. */
static const struct lint_rule rules[] = {
	{ "StageNameCasing", false, .stage = lint_stage_name_casing },
	{ "FromAsCasing", false, .stage = lint_from_as_casing },
	{ "NoEmptyContinuation", false, .node = no_empty_continuation },
	{ "ConsistentInstructionCasing", false, .file = consistent_instruction_casing },
	{ "DuplicateStageName", false, .stage = lint_duplicate_stage_name },
	{ "ReservedStageName", false, .stage = lint_reserved_stage_name },
	{ "JSONArgsRecommended", false, .stage = json_args_recommended },
	{ "MaintainerDeprecated", false, .node = maintainer_deprecated },
	{ "UndefinedArgInFrom", false, .file = lint_undefined_arg_in_from },
	{ "WorkdirRelativePath", false, .stage = workdir_relative_path },
	{ "MultipleInstructionsDisallowed", false, .stage = multiple_instructions_disallowed },
	{ "LegacyKeyValueFormat", false, .node = legacy_key_value_format },
	{ "RedundantTargetPlatform", false, .stage = lint_redundant_target_platform },
	{ "SecretsUsedInArgOrEnv", false, .node = secrets_used_in_arg_or_env },
	{ "InvalidDefaultArgInFrom", false, .file = lint_invalid_default_arg_in_from },
	{ "FromPlatformFlagConstDisallowed", false, .stage = lint_platform_const },
	{ "InvalidDefinitionDescription", true, .node = invalid_definition_description },
	{ "ExposeProtoCasing", false, .node = expose_proto_casing },
	{ "ExposeInvalidFormat", false, .node = expose_invalid_format },
	{ "CopyIgnoredFile", true, .node = lint_copy_ignored },
};

/* --- The frame ------------------------------------------------------------ */

static int fail_check(const struct lint *l, str part, struct cairn_err *err)
{
	return cairn_fail_at(err, l->df->path, l->df->check_line, 0,
	                     "check directive has '%.*s'; it takes skip=RULES, error=true, "
	                     "experimental=RULES",
	                     (int)(part.len < 100 ? part.len : 100), part.ptr);
}

static int parse_check(struct lint *l, str check, struct cairn_err *err)
{
	str part, key, value, name;

	if (!check.len)
		return 0;
	while (str_next(&check, ';', &part)) {
		bool skip, experimental;

		if (!str_cut(part, '=', &key, &value))
			return fail_check(l, part, err);
		key = str_trim(key);
		value = str_trim(value);
		skip = str_is(key, "skip");
		experimental = str_is(key, "experimental");
		if (str_is(key, "error") && (str_is(value, "true") || str_is(value, "false"))) {
			l->error = str_is(value, "true");
			continue;
		}
		if (!skip && !experimental)
			return fail_check(l, part, err);
		if (str_is(value, "all")) {
			l->skip_all |= skip;
			l->experimental_all |= experimental;
			continue;
		}
		while (str_next(&value, ',', &name)) {
			if (skip)
				vec_push(&l->skip, str_trim(name));
			else
				vec_push(&l->experimental, str_trim(name));
		}
	}
	return 0;
}

/* The stage with all its instructions. */
static struct lint_stage make_stage(const struct lint *l, size_t first)
{
	const struct dockerfile *df = l->df;
	const struct dockerfile_node *from = &df->nodes[first];
	struct lint_stage s = { .first = first, .end = first + 1, .base = -1, .name = S("") };

	if (from->n_args == 3)
		s.name = from->args[2];
	for (size_t k = 0; from->n_args && k < l->n_stages; k++)
		if (l->stages[k].name.len && str_eq_nocase(l->stages[k].name, from->args[0]))
			s.base = (ptrdiff_t)k;
	if (s.base >= 0) {
		s.shell = l->stages[s.base].shell;
		s.workdir = l->stages[s.base].workdir;
	}
	for (; s.end < df->n_nodes && !str_is(df->nodes[s.end].name, "from"); s.end++) {
		s.shell |= str_is(df->nodes[s.end].name, "shell");
		s.workdir |= str_is(df->nodes[s.end].name, "workdir");
	}
	return s;
}

static void find_stages(struct lint *l)
{
	const struct dockerfile *df = l->df;
	size_t i = 0, max = df->n_nodes < LINT_STAGES_MAX ? df->n_nodes : LINT_STAGES_MAX;

	l->stages = arena_array(l->arena, struct lint_stage, max);
	while (i < df->n_nodes && !str_is(df->nodes[i].name, "from"))
		i++;
	l->n_global = i;
	while (i < df->n_nodes && l->n_stages < max) {
		l->stages[l->n_stages] = make_stage(l, i);
		i = l->stages[l->n_stages++].end;
	}
}

static bool enabled(const struct lint *l, const struct lint_rule *r)
{
	if (r->experimental)
		return l->experimental_all ||
		       has(l->experimental.ptr, l->experimental.len, r->name);
	return !l->skip_all && !has(l->skip.ptr, l->skip.len, r->name);
}

/* By line; within a line in the order of the rules. */
static void give(struct lint *l)
{
	struct dockerfile *df = l->df;

	df->warnings = arena_array(l->arena, struct dockerfile_warning, l->found.len);
	df->n_warnings = l->found.len;
	for (size_t i = 0; i < l->found.len; i++) {
		size_t at = i;

		for (; at && df->warnings[at - 1].line > l->found.ptr[i].line; at--)
			df->warnings[at] = df->warnings[at - 1];
		df->warnings[at] = l->found.ptr[i];
	}
}

static void run(struct lint *l, const struct lint_rule *rule)
{
	l->rule = rule;
	for (size_t i = 0; rule->node && i < l->df->n_nodes; i++)
		rule->node(l, &l->df->nodes[i]);
	for (size_t i = 0; rule->stage && i < l->n_stages; i++)
		rule->stage(l, &l->stages[i]);
	if (rule->file)
		rule->file(l);
}

int lint(struct dockerfile *df, const struct ignore *ignore, struct cairn_err *err)
{
	struct lint l = { .df = df, .ignore = ignore, .arena = df->arena };
	int r;

	find_stages(&l);
	r = parse_check(&l, df->check, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rules); i++)
		if (enabled(&l, &rules[i]))
			run(&l, &rules[i]);
	if (r == 0) {
		give(&l);
		df->check_error = l.error;
	}
	vec_free(&l.found);
	vec_free(&l.skip);
	vec_free(&l.experimental);
	return r;
}

int dockerfile_check(struct dockerfile *df, const struct ignore *ignore, struct cairn_err *err)
{
	return ignore && !ignore_empty(ignore) ? lint(df, ignore, err) : 0;
}

/* The instruction that begins in that line; NULL when there is none. */
static const struct dockerfile_node *node_at(const struct dockerfile *df, unsigned line)
{
	for (size_t i = 0; i < df->n_nodes; i++)
		if (df->nodes[i].line == line)
			return &df->nodes[i];
	return NULL;
}

/* Behind those of its line. */
static void insert(struct dockerfile *df, const struct dockerfile_warning *w)
{
	struct dockerfile_warning *more =
		arena_array(df->arena, struct dockerfile_warning, df->n_warnings + 1);
	size_t at = 0;

	while (at < df->n_warnings && df->warnings[at].line <= w->line)
		at++;
	if (at)
		memcpy(more, df->warnings, at * sizeof(*more));
	more[at] = *w;
	if (at < df->n_warnings)
		memcpy(more + at + 1, df->warnings + at, (df->n_warnings - at) * sizeof(*more));
	df->warnings = more;
	df->n_warnings++;
}

void dockerfile_warn(struct dockerfile *df, unsigned line, const char *rule, str text)
{
	const struct lint_rule r = { .name = rule };
	struct lint l = { .df = df, .arena = df->arena, .rule = &r };
	const struct dockerfile_node *node = node_at(df, line);
	struct cairn_err ignored;

	if (df->n_warnings < LINT_WARNINGS_MAX && parse_check(&l, df->check, &ignored) == 0 &&
	    enabled(&l, &r) && !(node && skipped_at(&l, node)))
		insert(df, &(struct dockerfile_warning){ line, rule, arena_str(df->arena, text) });
	vec_free(&l.skip);
	vec_free(&l.experimental);
}
