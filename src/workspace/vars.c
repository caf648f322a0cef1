#include "vars.h"

#include "util/strbuf.h"

static int expand(const struct vars *v, str text, unsigned depth, struct strbuf *out,
                  struct cairn_err *err);

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* Bytes of the variable's name that `s` begins with. Members have dots between them. */
static size_t name_length(const struct vars *v, str s)
{
	size_t n = 0;

	if (s.len && s.ptr[0] >= '0' && s.ptr[0] <= '9')
		return 0;
	while (n < s.len &&
	       (name_char(s.ptr[n]) || (n && s.ptr[n] == '.' && v->style != VARS_COMPOSE)))
		n++;
	return n;
}

/* Index of the brace that closes the one before `s`, or -1. */
static ptrdiff_t closing(str s)
{
	unsigned open = 1;

	for (size_t i = 0; i < s.len; i++) {
		if (s.ptr[i] == '{' && i && s.ptr[i - 1] == '$')
			open++;
		else if (s.ptr[i] == '}' && --open == 0)
			return (ptrdiff_t)i;
	}
	return -1;
}

static int fail_braces(const struct vars *v, str inner, struct cairn_err *err)
{
	if (v->style == VARS_BAKE)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "expressions such as '${%.*s}' are not understood here, only "
		                  "${NAME}; let 'docker buildx bake --print' write the file out",
		                  STR(inner));
	return cairn_fail(err, CAIRN_E_SYNTAX,
	                  "'${%.*s}' is no variable; a mere dollar is written "
	                  "'%s'",
	                  STR(inner), v->style == VARS_COMPOSE ? "$$" : "$${");
}

/* What stands between the braces. */
static int braces(const struct vars *v, str inner, unsigned depth, struct strbuf *out,
                  struct cairn_err *err)
{
	size_t n = name_length(v, inner);
	str name = str_n(inner.ptr, n), word = str_skip(inner, n), value = { NULL, 0 };
	bool set = n && v->lookup(v->ctx, name, &value), colon = false;
	char op = '\0';

	if (word.len && v->style != VARS_BAKE) {
		colon = word.ptr[0] == ':';
		word = str_skip(word, colon);
		op = word.len ? word.ptr[0] : '\0';
		word = str_skip(word, 1);
		if (!op || !strchr(v->style == VARS_COMPOSE ? "-?+" : "-", op))
			n = 0;
	} else if (word.len) {
		n = 0;
	}
	if (!n)
		return fail_braces(v, inner, err);
	if (colon && !value.len)
		set = false;
	if (op == '+')
		return set ? expand(v, word, depth + 1, out, err) : 0;
	if (op == '-' && !set)
		return expand(v, word, depth + 1, out, err);
	if (op == '?' && !set)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%.*s: %.*s", STR(name),
		                  STR(word.len ? word : S("it has no value")));
	if (!set && v->style != VARS_COMPOSE)
		return cairn_fail(err, CAIRN_E_SYNTAX, "the variable '%.*s' has no value",
		                  STR(name));
	strbuf_str(out, value);
	return 0;
}

/* A dollar at s.ptr[0]; *used: bytes that it takes. */
static int dollar(const struct vars *v, str s, unsigned depth, struct strbuf *out, size_t *used,
                  struct cairn_err *err)
{
	str rest = str_skip(s, 1), value = { NULL, 0 };
	ptrdiff_t end;
	size_t n;

	*used = 1;
	if (str_starts(rest, v->style == VARS_COMPOSE ? S("$") : S("${"))) {
		*used = 1 + (v->style == VARS_COMPOSE ? 1 : 2);
		strbuf_str(out, v->style == VARS_COMPOSE ? S("$") : S("${"));
		return 0;
	}
	if (str_starts(rest, S("{"))) {
		rest = str_skip(rest, 1);
		end = closing(rest);
		if (end < 0)
			return cairn_fail(err, CAIRN_E_SYNTAX, "a '${' has no '}'");
		*used = (size_t)end + 3;
		return braces(v, str_n(rest.ptr, (size_t)end), depth, out, err);
	}
	n = v->style == VARS_COMPOSE ? name_length(v, rest) : 0;
	if (v->style == VARS_COMPOSE && !n)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "a dollar stands before no name; a mere dollar is written '$$'");
	if (!n)
		strbuf_char(out, '$');
	else if (v->lookup(v->ctx, str_n(rest.ptr, n), &value))
		strbuf_str(out, value);
	*used = 1 + n;
	return 0;
}

static int expand(const struct vars *v, str text, unsigned depth, struct strbuf *out,
                  struct cairn_err *err)
{
	size_t used;

	if (depth > VARS_DEPTH_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "more than %d '${' in each other",
		                  VARS_DEPTH_MAX);
	for (size_t i = 0; i < text.len; i += used) {
		used = 1;
		if (text.ptr[i] == '$')
			TRY(dollar(v, str_skip(text, i), depth, out, &used, err));
		else if (v->style == VARS_BAKE && str_starts(str_skip(text, i), S("%{")))
			return fail_braces(v, S("...}, %{"), err);
		else
			strbuf_char(out, text.ptr[i]);
	}
	return 0;
}

int vars_expand(const struct vars *v, str text, str *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf out;

	strbuf_init(&out, VARS_RESULT_MAX);
	if (str_find(text, '$') < 0 && (v->style != VARS_BAKE || str_search(text, S("%{")) < 0)) {
		*ret = text;
		return 0;
	}
	TRY(expand(v, text, 0, &out, err));
	TRY(strbuf_check(&out, "the expanded text", err));
	*ret = arena_str(v->arena, strbuf_view(&out));
	return 0;
}
