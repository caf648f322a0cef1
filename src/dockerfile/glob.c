#include "glob.h"

#include <string.h>

#include "util/mem.h"

/* Next character; an invalid byte is a character of its own that no pattern but ?, * and
 * a negated class matches. */
static uint32_t take(const char *p, const char *end, const char **ret_next)
{
	unsigned char b = (unsigned char)*p;
	int need = b < 0x80 ? 1 : b < 0xc2 ? 0 : b < 0xe0 ? 2 : b < 0xf0 ? 3 : b < 0xf5 ? 4 : 0;
	uint32_t c = b;

	*ret_next = p + 1;
	if (need == 1)
		return c;
	if (need == 0 || end - p < need)
		return 0x80000000u + b;
	c = b & (0x7fu >> need);
	for (int i = 1; i < need; i++) {
		if (((unsigned char)p[i] & 0xc0) != 0x80)
			return 0x80000000u + b;
		c = c << 6 | ((unsigned char)p[i] & 0x3f);
	}
	*ret_next = p + need;
	return c;
}

/* One character of a class, perhaps escaped. NULL when it is malformed. */
static const char *class_char(const char *p, const char *end, uint32_t *ret)
{
	if (p >= end || *p == '-' || *p == ']')
		return NULL;
	if (*p == '\\' && ++p >= end)
		return NULL;
	*ret = take(p, end, &p);
	return p;
}

/* Walk the class that begins at p, behind '['. Returns what follows its ']' or NULL when
 * it is malformed; *ret_in: c is in it. */
static const char *class_walk(const char *p, const char *end, uint32_t c, bool *ret_in)
{
	bool negated = p < end && *p == '^', in = false;
	size_t n = 0;

	p += negated;
	for (;; n++) {
		uint32_t lo = 0, hi;

		if (p < end && *p == ']' && n > 0)
			break;
		p = class_char(p, end, &lo);
		if (!p)
			return NULL;
		hi = lo;
		if (p < end && *p == '-') {
			p = class_char(p + 1, end, &hi);
			if (!p)
				return NULL;
		}
		in |= lo <= c && c <= hi;
	}
	*ret_in = in != negated;
	return p + 1;
}

const char *glob_check(str pattern)
{
	const char *p = pattern.ptr, *end = p + pattern.len;
	bool in;

	if (pattern.len > GLOB_MAX)
		return "it is longer than 4096 bytes";
	while (p < end) {
		char c = *p++;

		if (c == '\\') {
			if (p == end)
				return "it ends in '\\'";
			p++;
		} else if (c == '[') {
			p = class_walk(p, end, 0, &in);
			if (!p)
				return "a '[' has no proper ']'";
		}
	}
	return NULL;
}

struct glob glob_compile(str pattern, bool stars, struct glob_token *tok)
{
	struct glob g = { .pattern = pattern, .tok = tok, .class_slash = stars };
	const char *p = pattern.ptr, *end = p + pattern.len;
	bool any = false; /* a star stands before */

	while (p < end) {
		struct glob_token *t = &tok[g.n++];
		bool slash = false;
		uint32_t c;

		c = take(p, end, &p);
		*t = (struct glob_token){ GLOB_CHAR, c };
		if (c == '*' && stars && p < end && *p == '*') {
			p++;
			if (p < end && *p == '/')
				p++;
			t->kind = p < end ? GLOB_ANY_DIRS : GLOB_ANY;
			if (p < end && g.n > 1)
				g.odd |= t[-1].kind != GLOB_CHAR || t[-1].c != '/';
		} else if (c == '*') {
			t->kind = GLOB_STAR;
		} else if (c == '?') {
			t->kind = GLOB_ONE;
		} else if (c == '[') {
			*t = (struct glob_token){ GLOB_CLASS, (uint32_t)(p - pattern.ptr) };
			p = class_walk(p, end, '/', &slash);
			g.odd |= slash && stars && any;
		} else if (c == '\\' && p < end) {
			t->c = take(p, end, &p);
		}
		any |= t->kind >= GLOB_STAR;
	}
	return g;
}

/* Does the token take character c? For those that take exactly one. */
static bool takes(const struct glob *g, const struct glob_token *t, uint32_t c)
{
	bool in = false;

	switch ((enum glob_kind)t->kind) {
	case GLOB_CHAR:
		return t->c == c;
	case GLOB_ONE:
		return c != '/';
	case GLOB_CLASS:
		class_walk(g->pattern.ptr + t->c, g->pattern.ptr + g->pattern.len, c, &in);
		return in && (c != '/' || g->class_slash);
	case GLOB_STAR:
	case GLOB_ANY_DIRS:
	case GLOB_ANY:
		break;
	}
	return false;
}

/* Where to go on after a mismatch: behind the last *, else behind the last ** there. An
 * earlier star needs no second try: what stands between two of them ends in '/' or lies
 * in one name, and its leftmost place leaves most to the later one. */
struct retry {
	size_t tok;    /* token behind the star; SIZE_MAX = none */
	const char *p; /* where it was tried last */
};

static bool retry_star(struct retry *star, const char *end, const char **p, size_t *i)
{
	if (star->tok == SIZE_MAX || star->p >= end || *star->p == '/')
		return false;
	take(star->p, end, &star->p);
	*p = star->p;
	*i = star->tok;
	return true;
}

static bool retry_dirs(struct retry *dirs, const char *end, const char **p, size_t *i)
{
	const char *slash;

	if (dirs->tok == SIZE_MAX || dirs->p >= end)
		return false;
	slash = memchr(dirs->p, '/', (size_t)(end - dirs->p));
	if (!slash)
		return false;
	*p = dirs->p = slash + 1;
	*i = dirs->tok;
	return true;
}

static bool match_plain(const struct glob *g, str path)
{
	const char *p = path.ptr, *end = p + path.len, *next;
	struct retry star = { .tok = SIZE_MAX }, dirs = { .tok = SIZE_MAX };
	size_t i = 0;

	for (;;) {
		const struct glob_token *t = &g->tok[i];

		if (i == g->n && p == end)
			return true;
		if (i < g->n && t->kind == GLOB_ANY)
			return true;
		if (i < g->n && t->kind == GLOB_STAR) {
			star = (struct retry){ ++i, p };
			continue;
		}
		if (i < g->n && t->kind == GLOB_ANY_DIRS) {
			dirs = (struct retry){ ++i, p };
			star.tok = SIZE_MAX;
			continue;
		}
		if (i < g->n && p < end && takes(g, t, take(p, end, &next))) {
			p = next;
			i++;
			continue;
		}
		if (retry_star(&star, end, &p, &i))
			continue;
		if (!retry_dirs(&dirs, end, &p, &i))
			return false;
		star.tok = SIZE_MAX;
	}
}

/* Tokens that may match nothing let the next one in. */
static void enter(const struct glob *g, bool *set, size_t i)
{
	for (;; i++) {
		set[i] = true;
		if (i == g->n || g->tok[i].kind < GLOB_STAR)
			return;
	}
}

void glob_prefix(const struct glob *g, str path, bool *ret_whole, bool *ret_more)
{
	/* now[i]: token i comes next. in[i]: inside of the GLOB_ANY_DIRS i. */
	cleanup_free bool *mem = xcalloc(4 * (g->n + 1), sizeof(bool));
	bool *now = mem, *in = now + g->n + 1, *next = in + g->n + 1, *next_in = next + g->n + 1;
	const char *p = path.ptr, *end = p + path.len;

	enter(g, now, 0);
	while (p < end) {
		uint32_t c = take(p, end, &p);

		memset(next, 0, 2 * (g->n + 1));
		for (size_t i = 0; i < g->n; i++) {
			const struct glob_token *t = &g->tok[i];

			if (t->kind == GLOB_ANY_DIRS && (now[i] || in[i])) {
				next_in[i] = true;
				if (c == '/')
					enter(g, next, i + 1);
			} else if (!now[i]) {
				continue;
			} else if (t->kind == GLOB_ANY || (t->kind == GLOB_STAR && c != '/')) {
				enter(g, next, i);
			} else if (t->kind < GLOB_STAR && takes(g, t, c)) {
				enter(g, next, i + 1);
			}
		}
		memcpy(now, next, 2 * (g->n + 1));
	}
	*ret_whole = now[g->n];
	*ret_more = false;
	for (size_t i = 0; i < g->n; i++)
		*ret_more |= now[i] || in[i];
}

bool glob_match(const struct glob *g, str path)
{
	bool whole, more;

	if (!g->odd)
		return match_plain(g, path);
	glob_prefix(g, path, &whole, &more);
	return whole;
}
