#include "util/str.h"

#include "util/mem.h"

int str_cmp(str a, str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.ptr, b.ptr, n) : 0;

	if (c)
		return c;
	return a.len < b.len ? -1 : a.len > b.len;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool str_eq_nocase(str a, str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (lower(a.ptr[i]) != lower(b.ptr[i]))
			return false;
	return true;
}

bool str_starts(str s, str prefix)
{
	return s.len >= prefix.len && str_eq(str_n(s.ptr, prefix.len), prefix);
}

bool str_ends(str s, str suffix)
{
	return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

static bool blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

str str_trim_left(str s)
{
	while (s.len && blank(s.ptr[0]))
		s = str_skip(s, 1);
	return s;
}

str str_trim_right(str s)
{
	while (s.len && blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

str str_trim(str s)
{
	return str_trim_left(str_trim_right(s));
}

str str_skip(str s, size_t n)
{
	if (n > s.len)
		n = s.len;
	return n ? str_n(s.ptr + n, s.len - n) : s;
}

ptrdiff_t str_find(str s, char c)
{
	const char *p = s.len ? memchr(s.ptr, c, s.len) : NULL;

	return p ? p - s.ptr : -1;
}

ptrdiff_t str_rfind(str s, char c)
{
	const char *p = s.len ? memrchr(s.ptr, c, s.len) : NULL;

	return p ? p - s.ptr : -1;
}

ptrdiff_t str_search(str s, str needle)
{
	const char *p;

	if (!needle.len)
		return 0;
	p = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
	return p ? p - s.ptr : -1;
}

bool str_cut(str s, char sep, str *head, str *tail)
{
	ptrdiff_t i = str_find(s, sep);

	if (i < 0) {
		*head = s;
		*tail = str_n(NULL, 0);
		return false;
	}
	*head = str_n(s.ptr, (size_t)i);
	*tail = str_skip(s, (size_t)i + 1);
	return true;
}

bool str_next(str *rest, char sep, str *ret_piece)
{
	ptrdiff_t i;

	if (!rest->ptr)
		return false;
	i = str_find(*rest, sep);
	if (i < 0) {
		*ret_piece = *rest;
		*rest = str_n(NULL, 0);
	} else {
		*ret_piece = str_n(rest->ptr, (size_t)i);
		*rest = str_n(rest->ptr + i + 1, rest->len - (size_t)i - 1);
	}
	return true;
}

char *str_dup(str s)
{
	char *p = xmalloc(s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	p[s.len] = '\0';
	return p;
}

#define SUGGEST_MAX 40 /* longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Optimal string alignment: insert, delete, replace, swap two neighbours. */
static unsigned distance(str a, str b)
{
	unsigned rows[3][SUGGEST_MAX + 1];
	unsigned *before = rows[0], *prev = rows[1], *row = rows[2], *free_row;

	for (unsigned j = 0; j <= b.len; j++)
		prev[j] = before[j] = j;
	for (unsigned i = 1; i <= a.len; i++) {
		row[0] = i;
		for (unsigned j = 1; j <= b.len; j++) {
			unsigned cost = lower(a.ptr[i - 1]) != lower(b.ptr[j - 1]);

			row[j] = min3(row[j - 1] + 1, prev[j] + 1, prev[j - 1] + cost);
			if (i > 1 && j > 1 && lower(a.ptr[i - 1]) == lower(b.ptr[j - 2]) &&
			    lower(a.ptr[i - 2]) == lower(b.ptr[j - 1]) &&
			    before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		free_row = before;
		before = prev;
		prev = row;
		row = free_row;
	}
	return prev[b.len];
}

const char *str_suggest(str s, const char *const *names)
{
	const char *best = NULL;
	unsigned best_d = s.len / 3 < 2 ? (unsigned)(s.len / 3) : 2;

	if (s.len == 0 || s.len > SUGGEST_MAX)
		return NULL;
	if (best_d == 0)
		best_d = 1;
	for (; *names; names++) {
		str n = str_of(*names);
		unsigned d;

		if (n.len > SUGGEST_MAX)
			continue;
		d = distance(s, n);
		if (d <= best_d && (!best || d < best_d)) {
			best = *names;
			best_d = d;
		}
	}
	return best;
}

const char *str_did_you_mean(str s, const char *const *names, char buf[STR_HINT_MAX])
{
	const char *near = str_suggest(s, names);

	buf[0] = '\0';
	if (near)
		(void)snprintf(buf, STR_HINT_MAX, "; did you mean '%s'?", near);
	return buf;
}
