#include "auth_header.h"

#define HEADER_MAX (16u << 10)

static const struct {
	const char *name;
	enum auth_scheme scheme;
} schemes[] = { { "Basic", AUTH_BASIC }, { "Bearer", AUTH_BEARER } };

/* tchar of RFC 9110 section 5.6.2. */
static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static str take_token(str *s)
{
	size_t n = 0;
	str t;

	while (n < s->len && is_token_char(s->ptr[n]))
		n++;
	t = str_n(s->ptr, n);
	*s = str_skip(*s, n);
	return t;
}

static bool at(str s, char c)
{
	return s.len && s.ptr[0] == c;
}

/* A token or a quoted string, unescaped into the arena. */
static int take_value(struct arena *a, str *s, str *ret, struct cairn_err *err)
{
	char *out;
	size_t n = 0, i = 1;

	if (!at(*s, '"')) {
		*ret = arena_str(a, take_token(s));
		return 0;
	}
	out = arena_alloc(a, s->len);
	for (; i < s->len && s->ptr[i] != '"'; i++) {
		if (s->ptr[i] == '\\' && i + 1 < s->len)
			i++;
		out[n++] = s->ptr[i];
	}
	if (i == s->len)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a quoted value does not end");
	*s = str_skip(*s, i + 1);
	*ret = str_n(out, n);
	return 0;
}

static void set_param(struct auth_challenge *c, str name, str value)
{
	if (str_eq_nocase(name, S("realm")))
		c->realm = value;
	else if (str_eq_nocase(name, S("service")))
		c->service = value;
	else if (str_eq_nocase(name, S("scope")))
		c->scope = value;
}

/* "name=value, name=value" up to the next scheme; or credentials without names
 * (token68), which are skipped. */
static int take_params(struct arena *a, str *s, struct auth_challenge *c, struct cairn_err *err)
{
	for (;;) {
		str before, name, value = { 0 };

		while (at(*s, ',') || at(*s, ' ') || at(*s, '\t'))
			*s = str_skip(*s, 1);
		before = *s;
		name = take_token(s);
		*s = str_trim_left(*s);
		if (name.len == 0 || !at(*s, '=')) {
			*s = before;
			return 0;
		}
		*s = str_trim_left(str_skip(*s, 1));
		if (at(*s, '=') || at(*s, ',') || s->len == 0) { /* "abc==": a token68 */
			while (at(*s, '='))
				*s = str_skip(*s, 1);
			continue;
		}
		TRY(take_value(a, s, &value, err));
		set_param(c, name, value);
		*s = str_trim_left(*s);
		if (s->len && !at(*s, ','))
			return cairn_fail(err, CAIRN_E_SYNTAX, "no comma after '%.*s'", STR(name));
	}
}

/* Is b to be preferred to a? */
static bool better(const struct auth_challenge *a, const struct auth_challenge *b)
{
	return b->scheme > a->scheme;
}

static int parse(struct arena *a, str s, struct auth_challenge *ret, struct cairn_err *err)
{
	bool any = false;

	for (;;) {
		struct auth_challenge c = { 0 };
		str scheme;

		while (at(s, ',') || at(s, ' ') || at(s, '\t'))
			s = str_skip(s, 1);
		if (s.len == 0)
			break;
		scheme = take_token(&s);
		if (scheme.len == 0 || (s.len && !at(s, ' ') && !at(s, ',') && !at(s, '\t')))
			return cairn_fail(err, CAIRN_E_SYNTAX, "no scheme where one is expected");
		for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
			if (str_eq_nocase(scheme, str_of(schemes[i].name)))
				c.scheme = schemes[i].scheme;
		if (at(s, ' ') || at(s, '\t'))
			TRY(take_params(a, &s, &c, err));
		if (c.scheme == AUTH_BEARER && c.realm.len == 0)
			c.scheme = AUTH_OTHER;
		if (!any || better(ret, &c))
			*ret = c;
		any = true;
	}
	return any ? 0 : cairn_fail(err, CAIRN_E_SYNTAX, "it is empty");
}

int auth_header_parse(struct arena *a, str value, struct auth_challenge *ret, struct cairn_err *err)
{
	struct auth_challenge c = { 0 };

	if (value.len > HEADER_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "WWW-Authenticate is longer than %u bytes",
		                  HEADER_MAX);
	if (parse(a, value, &c, err) < 0)
		return cairn_wrap(err, "WWW-Authenticate");
	*ret = c;
	return 0;
}
