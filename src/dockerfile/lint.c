#include "lint.h"

#include <stdarg.h>
#include <stdio.h>

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

	if (skipped_at(l, node))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	vec_push(&l->found, (struct dockerfile_warning){ node->line, l->rule->name,
	                                                 arena_str(l->arena, str_of(text)) });
}

/* --- Rules over all instructions ------------------------------------------ */

#define EACH_NODE(n) \
	for (const struct dockerfile_node *n = l->df->nodes; n < l->df->nodes + l->df->n_nodes; n++)

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

static void no_empty_continuation(struct lint *l)
{
	EACH_NODE(n)
	if (n->empty_continuation)
		lint_warn(l, n, "Empty continuation line");
}

static void consistent_instruction_casing(struct lint *l)
{
	size_t lower = 0, upper = 0;

	EACH_NODE(n)
	{
		lower += all_lower(n->keyword);
		upper += all_upper(n->keyword);
	}
	EACH_NODE(n)
	{
		if (lower > upper ? !all_lower(n->keyword) : !all_upper(n->keyword))
			lint_warn(l, n,
			          "Command '%.*s' should match the case of the command majority "
			          "(%s)",
			          STR(n->keyword), lower > upper ? "lowercase" : "uppercase");
	}
}

static void maintainer_deprecated(struct lint *l)
{
	EACH_NODE(n)
	if (str_is(n->name, "maintainer"))
		lint_warn(l, n, "Maintainer instruction is deprecated in favor of using label");
}

static void legacy_key_value_format(struct lint *l)
{
	EACH_NODE(n)
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

static void secrets_used_in_arg_or_env(struct lint *l)
{
	static const char *const secret[] = { "apikey", "auth",   "credential", "credentials",
		                              "key",    "passwd", "password",   "pword",
		                              "secret", "token",  NULL };
	static const char *const harmless[] = { "public", NULL };

	EACH_NODE(n)
	{
		bool arg = str_is(n->name, "arg");

		if (!arg && !str_is(n->name, "env"))
			continue;
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
}

static void expose_proto_casing(struct lint *l)
{
	EACH_NODE(n)
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
}

static void expose_invalid_format(struct lint *l)
{
	EACH_NODE(n)
	for (size_t i = 0; str_is(n->name, "expose") && i < n->n_args; i++)
		if (str_find(n->args[i], ':') >= 0 && str_find(n->args[i], '$') < 0)
			lint_warn(l, n,
			          "EXPOSE instruction should not define an IP address or "
			          "host-port mapping, found '%.*s'",
			          STR(n->args[i]));
}

/* --- Rules over stages ---------------------------------------------------- */

#define EACH_STAGE(s) for (struct lint_stage *s = l->stages; s < l->stages + l->n_stages; s++)

/* The stage or one that it continues has an instruction called `name` before node `end`. */
static bool stage_has(const struct lint *l, const struct lint_stage *s, size_t end,
                      const char *name)
{
	for (;;) {
		for (size_t i = s->first; i < end; i++)
			if (str_is(l->df->nodes[i].name, name))
				return true;
		if (s->base < 0)
			return false;
		s = &l->stages[s->base];
		end = s->end;
	}
}

static void json_args_recommended(struct lint *l)
{
	EACH_STAGE(s)
	{
		for (size_t i = s->first; i < s->end; i++) {
			const struct dockerfile_node *n = &l->df->nodes[i];

			if (n->json ||
			    (!str_is(n->name, "cmd") && !str_is(n->name, "entrypoint")) ||
			    stage_has(l, s, i, "shell"))
				continue;
			lint_warn(l, n,
			          "JSON arguments recommended for %.*s to prevent unintended "
			          "behavior related to OS signals",
			          STR(n->keyword));
		}
	}
}

static void multiple_instructions_disallowed(struct lint *l)
{
	static const char *const once[] = { "cmd", "entrypoint", "healthcheck" };

	EACH_STAGE(s)
	{
		for (size_t k = 0; k < ARRAY_SIZE(once); k++) {
			const struct dockerfile_node *last = NULL;

			for (size_t i = s->first; i < s->end; i++) {
				const struct dockerfile_node *n = &l->df->nodes[i];

				if (!str_is(n->name, once[k]))
					continue;
				if (last)
					lint_warn(l, last,
					          "Multiple %.*s instructions should not be used "
					          "in the same stage because only the last one "
					          "will be used",
					          STR(last->keyword));
				last = n;
			}
		}
	}
}

static void workdir_relative_path(struct lint *l)
{
	EACH_STAGE(s)
	{
		for (size_t i = s->first; i < s->end; i++) {
			const struct dockerfile_node *n = &l->df->nodes[i];

			if (!str_is(n->name, "workdir") || !n->rest.len ||
			    strchr("/$\"'", n->rest.ptr[0]) || stage_has(l, s, i, "workdir"))
				continue;
			lint_warn(l, n,
			          "Relative workdir \"%.*s\" can have unexpected results if the "
			          "base image changes",
			          STR(n->rest));
		}
	}
}

static void invalid_definition_description(struct lint *l)
{
	EACH_NODE(n)
	{
		bool arg = str_is(n->name, "arg"), from = str_is(n->name, "from");
		str first, rest, name;

		if (!n->n_comments || !(arg || (from && n->n_args == 3)) || !n->n_args)
			continue;
		str_cut(n->comments[n->n_comments - 1], ' ', &first, &rest);
		str_cut(n->args[arg ? 0 : 2], '=', &name, &rest);
		if (!str_eq_nocase(first, name) && !str_starts(first, S("check=")))
			lint_warn(l, n,
			          "Comment for %s should follow the format: `# %.*s <description>`",
			          arg ? "argument" : "build stage", STR(name));
	}
}

/* In the order of Docker's documentation.  UndefinedVar, InvalidBaseImagePlatform and
 * CopyIgnoredFile need more than the Dockerfile and are not here. */
static const struct lint_rule rules[] = {
	{ "StageNameCasing", false, lint_stage_name_casing },
	{ "FromAsCasing", false, lint_from_as_casing },
	{ "NoEmptyContinuation", false, no_empty_continuation },
	{ "ConsistentInstructionCasing", false, consistent_instruction_casing },
	{ "DuplicateStageName", false, lint_duplicate_stage_name },
	{ "ReservedStageName", false, lint_reserved_stage_name },
	{ "JSONArgsRecommended", false, json_args_recommended },
	{ "MaintainerDeprecated", false, maintainer_deprecated },
	{ "UndefinedArgInFrom", false, lint_undefined_arg_in_from },
	{ "WorkdirRelativePath", false, workdir_relative_path },
	{ "MultipleInstructionsDisallowed", false, multiple_instructions_disallowed },
	{ "LegacyKeyValueFormat", false, legacy_key_value_format },
	{ "RedundantTargetPlatform", false, lint_redundant_target_platform },
	{ "SecretsUsedInArgOrEnv", false, secrets_used_in_arg_or_env },
	{ "InvalidDefaultArgInFrom", false, lint_invalid_default_arg_in_from },
	{ "FromPlatformFlagConstDisallowed", false, lint_platform_const },
	{ "InvalidDefinitionDescription", true, invalid_definition_description },
	{ "ExposeProtoCasing", false, expose_proto_casing },
	{ "ExposeInvalidFormat", false, expose_invalid_format },
};

/* --- The frame ------------------------------------------------------------ */

static int fail_check(const struct lint *l, str part, struct cairn_err *err)
{
	return cairn_fail_at(err, l->df->path, 0, 0,
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

static void find_stages(struct lint *l)
{
	const struct dockerfile *df = l->df;

	l->stages = arena_array(l->arena, struct lint_stage, df->n_nodes);
	l->n_global = df->n_nodes;
	for (size_t i = 0; i < df->n_nodes; i++) {
		const struct dockerfile_node *n = &df->nodes[i];
		struct lint_stage *s = &l->stages[l->n_stages];

		if (!str_is(n->name, "from"))
			continue;
		if (!l->n_stages)
			l->n_global = i;
		else
			s[-1].end = i;
		*s = (struct lint_stage){
			.first = i, .end = df->n_nodes, .base = -1, .name = S("")
		};
		if (n->n_args == 3)
			s->name = n->args[2];
		for (size_t k = 0; n->n_args && k < l->n_stages; k++)
			if (l->stages[k].name.len && str_eq_nocase(l->stages[k].name, n->args[0]))
				s->base = (ptrdiff_t)k;
		l->n_stages++;
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

int lint(struct dockerfile *df, struct cairn_err *err)
{
	struct lint l = { .df = df, .arena = df->arena };
	int r;

	find_stages(&l);
	r = parse_check(&l, df->check, err);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rules); i++) {
		l.rule = &rules[i];
		if (enabled(&l, l.rule))
			l.rule->check(&l);
	}
	if (r == 0) {
		give(&l);
		df->check_error = l.error;
	}
	vec_free(&l.found);
	vec_free(&l.skip);
	vec_free(&l.experimental);
	return r;
}
