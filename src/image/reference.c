#include "reference.h"

#include <stdio.h>

#define HUB_ALIAS "index.docker.io"
#define HUB_USER  "library/"

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_lower(c) || is_upper(c) || is_digit(c) || c == '_';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool has_upper(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_upper(s.ptr[i]))
			return true;
	return false;
}

/* Letters, digits and inner hyphens. */
static bool host_label(str s)
{
	if (s.len == 0 || s.ptr[0] == '-' || s.ptr[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++)
		if ((!is_word(s.ptr[i]) && s.ptr[i] != '-') || s.ptr[i] == '_')
			return false;
	return true;
}

static bool all(str s, bool (*is)(char), size_t min)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is(s.ptr[i]))
			return false;
	return s.len >= min;
}

static bool is_ipv6_char(char c)
{
	return is_hex(c) || c == ':';
}

/* host[:port], host a dotted name or [IPv6]. */
static bool valid_domain(str d)
{
	str host = d, port = { 0 }, label;
	ptrdiff_t end = d.len && d.ptr[0] == '[' ? str_find(d, ']') : -1;

	if (end >= 0) {
		host = str_n(d.ptr + 1, (size_t)end - 1);
		port = str_skip(d, (size_t)end + 1);
		if (!all(host, is_ipv6_char, 2))
			return false;
		return port.len == 0 || (port.ptr[0] == ':' && all(str_skip(port, 1), is_digit, 1));
	}
	if (str_cut(d, ':', &host, &port) && !all(port, is_digit, 1))
		return false;
	while (str_next(&host, '.', &label))
		if (!host_label(label))
			return false;
	return d.len > 0 && d.ptr[d.len - 1] != '.';
}

/* [a-z0-9]+ joined by one '.', one or two '_', or any number of '-'. */
static bool valid_component(str s)
{
	size_t i = 0;

	for (;;) {
		size_t start = i;

		while (i < s.len && (is_lower(s.ptr[i]) || is_digit(s.ptr[i])))
			i++;
		if (i == start)
			return false;
		if (i == s.len)
			return true;
		if (s.ptr[i] == '-') {
			while (i < s.len && s.ptr[i] == '-')
				i++;
		} else if (s.ptr[i] == '_') {
			i += i + 1 < s.len && s.ptr[i + 1] == '_' ? 2 : 1;
		} else if (s.ptr[i] == '.') {
			i++;
		} else {
			return false;
		}
	}
}

static bool valid_tag(str s)
{
	if (s.len == 0 || s.len > REFERENCE_TAG_MAX || !is_word(s.ptr[0]))
		return false;
	for (size_t i = 1; i < s.len; i++)
		if (!is_word(s.ptr[i]) && s.ptr[i] != '.' && s.ptr[i] != '-')
			return false;
	return true;
}

static void put(char *to, str s)
{
	memcpy(to, s.ptr, s.len);
	to[s.len] = '\0';
}

/* Is the part before the first '/' a domain, by Docker's rule? */
static bool is_domain(str first)
{
	return str_find(first, '.') >= 0 || str_find(first, ':') >= 0 ||
	       str_is(first, "localhost") || has_upper(first);
}

static int check_path(str path, str text, struct cairn_err *err)
{
	str rest = path, part;

	if (path.len == 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "image name '%.*s' has no repository",
		                  STR(text));
	if (has_upper(path))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "image name '%.*s': the repository must be lower-case",
		                  STR(text));
	while (str_next(&rest, '/', &part))
		if (!valid_component(part))
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "image name '%.*s': '%.*s' is not a valid part of a name "
			                  "(a-z, 0-9, single '.', '_', '-' between them)",
			                  STR(text), STR(part));
	return 0;
}

/* Split "domain/path", fill in docker.io and library/. */
static int split_name(str name, str text, struct reference *r, struct cairn_err *err)
{
	str domain = S(REFERENCE_DOCKER_IO), path = name, head, tail;
	str user = { 0 };

	if (str_cut(name, '/', &head, &tail) && is_domain(head)) {
		domain = str_is(head, HUB_ALIAS) ? domain : head;
		path = tail;
		if (!valid_domain(domain))
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "image name '%.*s': '%.*s' is not a registry host",
			                  STR(text), STR(domain));
	}
	TRY(check_path(path, text, err));
	if (str_is(domain, REFERENCE_DOCKER_IO) && str_find(path, '/') < 0)
		user = S(HUB_USER);
	if (domain.len + 1 + user.len + path.len > REFERENCE_NAME_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "image name is longer than %d characters",
		                  REFERENCE_NAME_MAX);
	put(r->domain, domain);
	(void)snprintf(r->path, sizeof(r->path), "%.*s%.*s", STR(user), STR(path));
	return 0;
}

/* Cut a ":tag" off the name: a colon after the last slash. */
static int cut_tag(str *name, str text, struct reference *r, struct cairn_err *err)
{
	ptrdiff_t slash = str_rfind(*name, '/'), colon = str_rfind(*name, ':');
	str tag;

	if (colon < 0 || colon < slash)
		return 0;
	tag = str_skip(*name, (size_t)colon + 1);
	if (!valid_tag(tag))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "image name '%.*s': '%.*s' is not a valid tag "
		                  "(letters, digits, '_', '.', '-', at most %d)",
		                  STR(text), STR(tag), REFERENCE_TAG_MAX);
	put(r->tag, tag);
	name->len = (size_t)colon;
	return 0;
}

int reference_parse(str text, struct reference *ret, struct cairn_err *err)
{
	struct reference r = { 0 };
	str name = text, digest;

	if (text.len == 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "image name is empty");
	if (text.len >= REFERENCE_TEXT_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "image name is longer than %d characters",
		                  REFERENCE_TEXT_MAX - 1);
	if (text.len == DIGEST_HEX_LEN && all(text, is_hex, 1) && !has_upper(text))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "image name '%.*s' is a bare digest; write NAME@sha256:%.*s",
		                  STR(text), STR(text));
	if (str_cut(text, '@', &name, &digest) && digest_parse(digest, &r.digest, err) < 0)
		return cairn_wrap(err, "image name '%.*s'", STR(text));
	TRY(cut_tag(&name, text, &r, err));
	TRY(split_name(name, text, &r, err));
	if (r.tag[0] == '\0' && digest_none(&r.digest))
		put(r.tag, S(REFERENCE_DEFAULT_TAG));
	*ret = r;
	return 0;
}

/* ":tag" and "@digest" behind `n` characters in buf. */
static const char *add_suffix(const struct reference *r, char buf[REFERENCE_TEXT_MAX], int n)
{
	if (r->tag[0])
		n += snprintf(buf + n, REFERENCE_TEXT_MAX - (size_t)n, ":%s", r->tag);
	if (!digest_none(&r->digest))
		(void)snprintf(buf + n, REFERENCE_TEXT_MAX - (size_t)n, "@%s",
		               digest_text(&r->digest).s);
	return buf;
}

const char *reference_name(const struct reference *r, char buf[REFERENCE_TEXT_MAX])
{
	(void)snprintf(buf, REFERENCE_TEXT_MAX, "%s/%s", r->domain, r->path);
	return buf;
}

const char *reference_text(const struct reference *r, char buf[REFERENCE_TEXT_MAX])
{
	return add_suffix(r, buf, snprintf(buf, REFERENCE_TEXT_MAX, "%s/%s", r->domain, r->path));
}

const char *reference_familiar(const struct reference *r, char buf[REFERENCE_TEXT_MAX])
{
	str path = str_of(r->path), rest = str_skip(path, sizeof(HUB_USER) - 1), first, tail;

	/* "docker.io/a.b/c" without its domain would be "c" at a.b. */
	if (strcmp(r->domain, REFERENCE_DOCKER_IO) != 0 ||
	    (str_cut(path, '/', &first, &tail) && is_domain(first)))
		return reference_text(r, buf);
	if (str_starts(path, S(HUB_USER)) && str_find(rest, '/') < 0)
		path = rest;
	return add_suffix(r, buf, snprintf(buf, REFERENCE_TEXT_MAX, "%.*s", STR(path)));
}

bool reference_eq(const struct reference *a, const struct reference *b)
{
	return strcmp(a->domain, b->domain) == 0 && strcmp(a->path, b->path) == 0 &&
	       strcmp(a->tag, b->tag) == 0 && digest_eq(&a->digest, &b->digest);
}
