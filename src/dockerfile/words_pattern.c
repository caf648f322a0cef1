/* Patterns of ${x#p}, ${x%p} and ${x/p/r}: * and ? and \ as escape, no classes.
 *
 * One table answers all questions: far[i] is where a match that begins at i ends, or
 * NONE.  It is filled from the right in O(value * pattern) steps, so that no pattern
 * can make it explode. */
#include "util/mem.h"
#include "words_lex.h"

#define NONE UINT32_MAX

struct token {
	enum {
		TOK_CHAR,
		TOK_ONE,
		TOK_ANY
	} kind;
	uint32_t c;
};

/* A value as characters, so that ? takes a whole UTF-8 sequence. */
struct text {
	uint32_t *c;  /* code point; an invalid byte is itself + 0x80000000 */
	uint32_t *at; /* its byte offset; at[n] is the length in bytes */
	size_t n;
};

static size_t utf8_take(str s, uint32_t *ret)
{
	unsigned char b = (unsigned char)s.ptr[0];
	size_t need = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
	uint32_t c = need > 1 ? b & (0x7fu >> need) : b;

	for (size_t i = 1; i < need; i++) {
		if (i >= s.len || ((unsigned char)s.ptr[i] & 0xc0) != 0x80) {
			need = 0;
			break;
		}
		c = c << 6 | ((unsigned char)s.ptr[i] & 0x3f);
	}
	*ret = need ? c : 0x80000000u + b;
	return need ? need : 1;
}

static void text_init(struct text *t, str s)
{
	size_t at = 0;

	t->c = xreallocarray(NULL, s.len + 1, sizeof(*t->c));
	t->at = xreallocarray(NULL, s.len + 1, sizeof(*t->at));
	t->n = 0;
	while (at < s.len) {
		t->at[t->n] = (uint32_t)at;
		at += utf8_take(str_skip(s, at), &t->c[t->n++]);
	}
	t->at[t->n] = (uint32_t)at;
}

static void text_done(struct text *t)
{
	free(t->c);
	free(t->at);
}

/* Take the pattern apart; -1 and a reason when it is malformed. */
static ptrdiff_t compile(str p, struct token *out, const char **ret_why)
{
	size_t n = 0;

	if (p.len > WORDS_PATTERN_MAX) {
		*ret_why = "the pattern is longer than 1024 bytes";
		return -1;
	}
	while (p.len) {
		uint32_t c;

		p = str_skip(p, utf8_take(p, &c));
		if (c == '\\' && p.len && (p.ptr[0] == '}' || p.ptr[0] == '/'))
			continue; /* was there for the sake of ${} only */
		if (c == '\\') {
			if (!p.len || !strchr("*?\\", p.ptr[0]) || !p.ptr[0]) {
				*ret_why = "the pattern has a backslash before something else than "
					   "* ? \\ } /";
				return -1;
			}
			p = str_skip(p, utf8_take(p, &c));
			out[n++] = (struct token){ TOK_CHAR, c };
		} else if (c == '*') {
			out[n++] = (struct token){ TOK_ANY, 0 };
		} else {
			out[n++] = (struct token){ c == '?' ? TOK_ONE : TOK_CHAR, c };
		}
	}
	return (ptrdiff_t)n;
}

static uint32_t better(uint32_t a, uint32_t b, bool longest)
{
	if (a == NONE || b == NONE)
		return a == NONE ? b : a;
	return longest ? (a > b ? a : b) : (a < b ? a : b);
}

/* far[i] for all i in 0..n.  anchored: matches must end at n. */
static uint32_t *match_all(const struct text *t, const struct token *tok, size_t m, bool longest,
                           bool anchored)
{
	uint32_t *far = xreallocarray(NULL, t->n + 1, sizeof(*far));
	cleanup_free uint32_t *row = xreallocarray(NULL, m + 1, sizeof(*row));
	cleanup_free uint32_t *right = xreallocarray(NULL, m + 1, sizeof(*right));

	for (size_t i = t->n + 1; i-- > 0;) {
		bool more = i < t->n;
		/* "." of the regular expressions that BuildKit makes of it: no newline */
		bool any = more && t->c[i] != '\n';

		row[m] = !anchored || i == t->n ? (uint32_t)i : NONE;
		for (size_t j = m; j-- > 0;) {
			switch (tok[j].kind) {
			case TOK_CHAR:
				row[j] = more && t->c[i] == tok[j].c ? right[j + 1] : NONE;
				break;
			case TOK_ONE:
				row[j] = any ? right[j + 1] : NONE;
				break;
			case TOK_ANY:
				row[j] = better(row[j + 1], any ? right[j] : NONE, longest);
				break;
			}
		}
		far[i] = row[0];
		memcpy(right, row, (m + 1) * sizeof(*row));
	}
	return far;
}

static bool prepare(str value, str pattern, struct token *tok, size_t *ret_m, const char **ret_why)
{
	ptrdiff_t m = compile(pattern, tok, ret_why);

	if (m < 0)
		return false;
	if (value.len > WORDS_PATTERN_VALUE_MAX) {
		*ret_why = "the value is too long for a pattern (more than 64 KiB)";
		return false;
	}
	*ret_m = (size_t)m;
	return true;
}

int words_pattern_trim(str value, str pattern, enum words_trim how, str *ret, const char **ret_why)
{
	bool longest = how == WORDS_PREFIX_LONG || how == WORDS_SUFFIX_LONG;
	bool suffix = how == WORDS_SUFFIX_SHORT || how == WORDS_SUFFIX_LONG;
	struct token tok[WORDS_PATTERN_MAX];
	cleanup_free uint32_t *far = NULL;
	struct text t;
	size_t m = 0;

	if (!prepare(value, pattern, tok, &m, ret_why))
		return CAIRN_E_SYNTAX;
	text_init(&t, value);
	far = match_all(&t, tok, m, longest, suffix);
	*ret = value;
	if (!suffix) {
		if (far[0] != NONE)
			*ret = str_skip(value, t.at[far[0]]);
	} else {
		/* the shortest suffix begins last */
		for (size_t k = 0; k <= t.n; k++) {
			size_t i = longest ? k : t.n - k;

			if (far[i] == NONE)
				continue;
			*ret = str_n(value.ptr, t.at[i]);
			break;
		}
	}
	text_done(&t);
	return 0;
}

int words_pattern_replace(str value, str pattern, str replacement, bool all, struct strbuf *out,
                          const char **ret_why)
{
	struct token tok[WORDS_PATTERN_MAX];
	cleanup_free uint32_t *far = NULL;
	size_t m = 0, done = 0, last_end = SIZE_MAX;
	struct text t;

	if (!prepare(value, pattern, tok, &m, ret_why))
		return CAIRN_E_SYNTAX;
	text_init(&t, value);
	far = match_all(&t, tok, m, true, false);
	for (size_t i = 0; i <= t.n;) {
		/* an empty match does not count where the last one ended */
		if (far[i] == NONE || (far[i] == i && i == last_end)) {
			i++;
			continue;
		}
		strbuf_add(out, value.ptr + t.at[done], t.at[i] - t.at[done]);
		strbuf_str(out, replacement);
		done = last_end = far[i];
		i = far[i] > i ? far[i] : i + 1;
		if (!all)
			break;
	}
	if (value.len)
		strbuf_add(out, value.ptr + t.at[done], value.len - t.at[done]);
	text_done(&t);
	return 0;
}
