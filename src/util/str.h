/* util/str.h - a view of bytes: pointer and length, owning nothing.
 *
 * All parsing works on views; C strings appear only at system-call borders.
 * A view may contain any byte, NUL included.  ptr may be NULL when len is 0.
 */
#ifndef CAIRN_UTIL_STR_H
#define CAIRN_UTIL_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct {
	const char *ptr;
	size_t len;
} str;

/* For "%.*s". */
#define STR(s) (int)(s).len, ((s).ptr ? (s).ptr : "")

/* A view of a string literal. */
#define S(lit) ((str){ "" lit, sizeof(lit) - 1 })

static inline str str_of(const char *s) /* NULL gives the empty view */
{
	return (str){ s, s ? strlen(s) : 0 };
}

static inline str str_n(const char *s, size_t n)
{
	return (str){ s, n };
}

static inline bool str_eq(str a, str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_is(str a, const char *b)
{
	return str_eq(a, str_of(b));
}

int str_cmp(str a, str b);        /* bytewise order; a prefix sorts first */
bool str_eq_nocase(str a, str b); /* ASCII only */
bool str_starts(str s, str prefix);
bool str_ends(str s, str suffix);
str str_trim(str s); /* ASCII blanks off both ends, newlines too */
str str_trim_left(str s);
str str_trim_right(str s);
str str_skip(str s, size_t n);           /* without the first n bytes (at most all) */
ptrdiff_t str_find(str s, char c);       /* index of the first c, or -1 */
ptrdiff_t str_rfind(str s, char c);      /* index of the last c, or -1 */
ptrdiff_t str_search(str s, str needle); /* index of needle, or -1; empty needle is 0 */

/* Cut `s` at the first `sep`: *head gets what is before it, *tail what is after.
 * Without a sep: head is all, tail is empty, false is returned. */
bool str_cut(str s, char sep, str *head, str *tail);

/* Take the next piece up to `sep` off *rest; false when *rest is used up.
 * "a::b" with ':' gives "a", "", "b".  A rest with ptr NULL is used up. */
bool str_next(str *rest, char sep, str *ret_piece);

char *str_dup(str s); /* owned, NUL-terminated copy (a NUL inside cuts what C sees) */

/* The candidate nearest to `s` by edit distance, for "did you mean"; NULL when
 * none is near (distance above 2 or a third of the length).  names ends with NULL. */
const char *str_suggest(str s, const char *const *names);

/* The same as the end of a message: "; did you mean 'NAME'?" in buf, or "". Returns buf. */
#define STR_HINT_MAX 64
const char *str_did_you_mean(str s, const char *const *names, char buf[STR_HINT_MAX]);

#endif
