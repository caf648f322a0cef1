#include "url.h"

#include <stdio.h>

#include "http.h"

static bool printable(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= 0x20 || s.ptr[i] >= 0x7f)
			return false;
	return true;
}

/* Cut s before the first of the characters in `set`; *tail begins with it. */
static str cut_before(str s, const char *set, str *tail)
{
	size_t n = 0;

	while (n < s.len && !strchr(set, s.ptr[n]))
		n++;
	*tail = str_skip(s, n);
	return str_n(s.ptr, n);
}

static bool split_authority(str a, struct url *u)
{
	ptrdiff_t at = str_rfind(a, '@'), end;
	str port;

	if (at >= 0) {
		u->user = str_n(a.ptr, (size_t)at);
		a = str_skip(a, (size_t)at + 1);
	}
	end = a.len && a.ptr[0] == '[' ? str_find(a, ']') : -1;
	if (end >= 0) {
		u->host = str_n(a.ptr, (size_t)end + 1);
		port = str_skip(a, (size_t)end + 1);
		if (port.len && port.ptr[0] != ':')
			return false;
		u->port = str_skip(port, 1);
	} else {
		(void)str_cut(a, ':', &u->host, &u->port);
	}
	for (size_t i = 0; i < u->port.len; i++)
		if (u->port.ptr[i] < '0' || u->port.ptr[i] > '9')
			return false;
	return u->host.len > 0;
}

bool url_split(str text, struct url *ret)
{
	struct url u = { 0 };
	str rest, authority, fragment;

	if (!printable(text) || text.len >= HTTP_URL_MAX)
		return false;
	(void)str_cut(text, '#', &text, &fragment);
	if (!str_cut(text, ':', &u.scheme, &rest) || !str_starts(rest, S("//")) ||
	    (!str_eq_nocase(u.scheme, S("http")) && !str_eq_nocase(u.scheme, S("https"))))
		return false;
	authority = cut_before(str_skip(rest, 2), "/?", &rest);
	u.path = cut_before(rest, "?", &u.query);
	if (!split_authority(authority, &u))
		return false;
	*ret = u;
	return true;
}

static str effective_port(const struct url *u)
{
	if (u->port.len)
		return u->port;
	return str_eq_nocase(u->scheme, S("https")) ? S("443") : S("80");
}

bool http_same_origin(const char *a, const char *b)
{
	struct url x, y;

	return url_split(str_of(a), &x) && url_split(str_of(b), &y) &&
	       str_eq_nocase(x.scheme, y.scheme) && str_eq_nocase(x.host, y.host) &&
	       str_eq(effective_port(&x), effective_port(&y));
}

const char *http_url_public(const char *url, char buf[HTTP_URL_MAX])
{
	struct url u;

	if (!url_split(str_of(url), &u))
		(void)snprintf(buf, HTTP_URL_MAX, "(not a URL)");
	else
		(void)snprintf(buf, HTTP_URL_MAX, "%.*s://%.*s%s%.*s%.*s", STR(u.scheme),
		               STR(u.host), u.port.len ? ":" : "", STR(u.port), STR(u.path));
	return buf;
}

/* Does it begin with "name:"? */
static bool has_scheme(str s)
{
	str head, tail;

	head = cut_before(s, ":/?#", &tail);
	return head.len > 0 && tail.len > 0 && tail.ptr[0] == ':';
}

int http_url_join(const char *base, const char *location, char ret[HTTP_URL_MAX],
                  struct cairn_err *err)
{
	str to = str_of(location), dir;
	struct url b, check;
	struct strbuf out cleanup_strbuf;

	strbuf_init(&out, HTTP_URL_MAX - 1);
	if (!url_split(str_of(base), &b))
		return cairn_fail(err, CAIRN_E_SYNTAX, "not an http or https URL");
	if (!has_scheme(to)) {
		strbuf_printf(&out, "%.*s:", STR(b.scheme));
		if (!str_starts(to, S("//")))
			strbuf_printf(&out, "//%.*s%s%.*s", STR(b.host), b.port.len ? ":" : "",
			              STR(b.port));
		if (to.len && to.ptr[0] != '/') {
			dir = str_n(b.path.ptr, (size_t)(str_rfind(b.path, '/') + 1));
			strbuf_str(&out, to.ptr[0] == '?' ? b.path : dir.len ? dir : S("/"));
		}
	}
	strbuf_str(&out, to);
	if (out.overflow || !url_split(strbuf_view(&out), &check))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "the server redirects to something that is no http or https URL");
	memcpy(ret, out.ptr, out.len + 1);
	return 0;
}

void http_escape(struct strbuf *out, str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-._~", c)))
			strbuf_char(out, (char)c);
		else
			strbuf_printf(out, "%%%02X", c);
	}
}
