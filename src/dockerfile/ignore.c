#include "ignore.h"

#include "glob.h"
#include "util/arena.h"
#include "util/vec.h"

/* The forms that need no engine, as Docker has them; most patterns are one of these. */
enum form {
	FORM_EXACT,  /* no special character */
	FORM_PREFIX, /* literal** */
	FORM_SUFFIX, /* **literal: what ends so, also within a name; with '/' first, whole names */
	FORM_GLOB,
};

struct pattern {
	enum form form;
	bool negated;   /* a ! stood before it */
	str text;       /* EXACT, PREFIX, SUFFIX: the literal part */
	str head, tail; /* GLOB: literal beginning and end that a path must have */
	struct glob glob;
};

struct ignore {
	struct arena *arena;
	struct pattern *ptr;
	size_t len;
	bool has_negated;
};

#define SPECIAL "*?[]\\"

static bool is_special(char c)
{
	return c && strchr(SPECIAL, c);
}

static size_t literal_len(str s)
{
	size_t n = 0;

	while (n < s.len && !is_special(s.ptr[n]))
		n++;
	return n;
}

/* Go's filepath.Clean: no "//", "/./", "x/../", trailing '/'; "" is ".". */
static str clean(struct arena *a, str path)
{
	char *out = arena_alloc(a, path.len + 2);
	bool rooted = path.len && path.ptr[0] == '/';
	size_t n = 0, floor = 0; /* ".." cannot go below floor */
	str rest = path, part;

	if (rooted)
		out[n++] = '/';
	floor = n;
	while (str_next(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (str_is(part, "..") && n > floor) {
			while (n > floor && out[n - 1] != '/')
				n--;
			n -= n > floor; /* the '/' before it */
			continue;
		}
		if (str_is(part, "..") && rooted)
			continue;
		if (n > rooted)
			out[n++] = '/';
		memcpy(out + n, part.ptr, part.len);
		n += part.len;
		if (str_is(part, ".."))
			floor = n;
	}
	if (!n)
		out[n++] = '.';
	return str_n(out, n);
}

static void classify(struct arena *a, str text, struct pattern *p)
{
	size_t lit = literal_len(text), tail = text.len;

	p->text = text;
	if (lit == text.len) {
		p->form = FORM_EXACT;
	} else if (str_starts(text, S("**")) && literal_len(str_skip(text, 2)) == text.len - 2) {
		p->form = FORM_SUFFIX;
		p->text = str_skip(text, 2);
	} else if (lit + 2 == text.len && str_ends(text, S("**"))) {
		p->form = FORM_PREFIX;
		p->text.len -= 2;
	} else {
		while (tail > lit && !is_special(text.ptr[tail - 1]))
			tail--;
		/* behind '\' and '**' the next character may have a meaning */
		if (tail < text.len)
			tail++;
		p->form = FORM_GLOB;
		p->head = str_n(text.ptr, lit);
		p->tail = str_skip(text, tail);
		p->glob = glob_compile(text, true, arena_array(a, struct glob_token, text.len));
	}
}

/* Add a pattern as .dockerignore has it. *ret_why: NULL or what is wrong with it. */
static void add(struct ignore *set, str text, const char **ret_why)
{
	struct pattern *p = &set->ptr[set->len];

	*ret_why = NULL;
	text = str_trim(text);
	if (!text.len)
		return;
	*p = (struct pattern){ .negated = text.ptr[0] == '!' };
	if (p->negated) {
		text = str_trim(str_skip(text, 1));
		if (!text.len) {
			*ret_why = "'!' needs a pattern behind it";
			return;
		}
	}
	text = clean(set->arena, text);
	if (text.len > 1 && text.ptr[0] == '/')
		text = str_skip(text, 1);
	*ret_why = glob_check(text);
	if (*ret_why)
		return;
	classify(set->arena, text, p);
	set->has_negated |= p->negated;
	set->len++;
}

static struct ignore *set_new(size_t max)
{
	struct arena *a = arena_new();
	struct ignore *set = arena_new_of(a, struct ignore);

	set->arena = a;
	set->ptr = arena_array(a, struct pattern, max);
	return set;
}

void ignore_free(struct ignore *set)
{
	if (set)
		arena_free(set->arena);
}

static int too_many(const char *path, struct cairn_err *err)
{
	return cairn_fail_at(err, path, 0, 0, "more than %d patterns", IGNORE_PATTERNS_MAX);
}

int ignore_parse(str text, const char *path, struct ignore **ret, struct cairn_err *err)
{
	cleanup_ignore struct ignore *set = NULL;
	str rest, line;
	unsigned n = 0;
	size_t max = 1;

	if (str_starts(text, S("\xef\xbb\xbf")))
		text = str_skip(text, 3);
	for (size_t i = 0; i < text.len; i++)
		max += text.ptr[i] == '\n';
	if (max > IGNORE_PATTERNS_MAX) /* the rest may be comments: checked below */
		max = IGNORE_PATTERNS_MAX;
	set = set_new(max);
	text = arena_str(set->arena, text);
	for (rest = text; str_next(&rest, '\n', &line);) {
		const char *why = NULL;

		n++;
		if (str_starts(line, S("#")) || !str_trim(line).len)
			continue;
		if (set->len == max)
			return too_many(path, err);
		add(set, line, &why);
		if (why)
			return cairn_fail_at(err, path, n, 0, "bad pattern '%.*s': %s",
			                     STR(str_trim(line)), why);
	}
	*ret = steal_ptr(&set);
	return 0;
}

int ignore_new(const str *patterns, size_t n, struct ignore **ret, struct cairn_err *err)
{
	cleanup_ignore struct ignore *set = NULL;

	if (n > IGNORE_PATTERNS_MAX)
		return too_many("", err);
	set = set_new(n);
	for (size_t i = 0; i < n; i++) {
		const char *why = NULL;

		add(set, arena_str(set->arena, patterns[i]), &why);
		if (why)
			return cairn_fail(err, CAIRN_E_SYNTAX, "bad pattern '%.*s': %s",
			                  STR(patterns[i]), why);
	}
	*ret = steal_ptr(&set);
	return 0;
}

bool ignore_empty(const struct ignore *set)
{
	return !set || !set->len;
}

static bool pattern_matches(const struct pattern *p, str path)
{
	switch (p->form) {
	case FORM_EXACT:
		return str_eq(path, p->text);
	case FORM_PREFIX:
		return str_starts(path, p->text);
	case FORM_SUFFIX:
		return str_ends(path, p->text) ||
		       (p->text.ptr[0] == '/' && str_eq(path, str_skip(p->text, 1)));
	case FORM_GLOB:
		return str_starts(path, p->head) && str_ends(path, p->tail) &&
		       glob_match(&p->glob, path);
	}
	return false;
}

bool ignore_match_in(const struct ignore *set, str path, const struct ignore_dir *parent,
                     struct ignore_dir *ret_dir)
{
	struct ignore_dir own;
	bool matched = false;
	size_t words = set ? (set->len + 63) / 64 : 0;

	if (ret_dir)
		memset(own.bits, 0, words * sizeof(own.bits[0]));
	for (size_t i = 0; set && i < set->len; i++) {
		const struct pattern *p = &set->ptr[i];
		uint64_t bit = UINT64_C(1) << (i % 64);

		/* What already matched the directory above matches here. Else a pattern is
		 * tried only when it could change the answer: as Docker does it, and the
		 * bits that children see follow from it. */
		if (!parent || !(parent->bits[i / 64] & bit)) {
			if (p->negated != matched || !pattern_matches(p, path))
				continue;
		}
		if (ret_dir)
			own.bits[i / 64] |= bit;
		matched = !p->negated;
	}
	if (ret_dir)
		memcpy(ret_dir->bits, own.bits, words * sizeof(own.bits[0]));
	return matched;
}

bool ignore_match(const struct ignore *set, str path)
{
	struct ignore_dir dir;
	const struct ignore_dir *parent = NULL;

	if (ignore_empty(set))
		return false;
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] != '/')
			continue;
		ignore_match_in(set, str_n(path.ptr, i), parent, &dir);
		parent = &dir;
	}
	return ignore_match_in(set, path, parent, NULL);
}

/* Could the pattern match a path that begins with `dir`, which ends in '/'? */
static bool could_match_below(const struct pattern *p, str dir)
{
	bool whole, more = true;

	switch (p->form) {
	case FORM_EXACT:
		return str_starts(p->text, dir);
	case FORM_PREFIX:
		return str_starts(p->text, dir) || str_starts(dir, p->text);
	case FORM_SUFFIX:
		return true;
	case FORM_GLOB:
		glob_prefix(&p->glob, dir, &whole, &more);
		return more;
	}
	return true;
}

bool ignore_may_skip_dir(const struct ignore *set, str dir)
{
	cleanup_free char *below = NULL;
	bool may = true;

	if (ignore_empty(set) || !set->has_negated)
		return true;
	below = xmalloc(dir.len + 1);
	if (dir.len)
		memcpy(below, dir.ptr, dir.len);
	below[dir.len] = '/';
	for (size_t i = 0; i < set->len && may; i++)
		may = !set->ptr[i].negated ||
		      !could_match_below(&set->ptr[i], str_n(below, dir.len + 1));
	return may;
}

int pattern_check(str pattern, struct cairn_err *err)
{
	const char *why = glob_check(pattern);

	if (!why)
		return 0;
	return cairn_fail(err, CAIRN_E_SYNTAX, "bad pattern '%.*s': %s",
	                  (int)(pattern.len < 200 ? pattern.len : 200), pattern.ptr, why);
}

bool pattern_match(str pattern, str path)
{
	struct glob_token tok[256];
	cleanup_free struct glob_token *more = NULL;
	struct glob g;

	if (glob_check(pattern))
		return false;
	if (pattern.len > ARRAY_SIZE(tok))
		more = xreallocarray(NULL, pattern.len, sizeof(*more));
	g = glob_compile(pattern, false, more ? more : tok);
	return glob_match(&g, path);
}

bool pattern_has_wildcard(str pattern)
{
	for (size_t i = 0; i < pattern.len; i++)
		if (strchr("*?[", pattern.ptr[i]) && pattern.ptr[i])
			return true;
	return false;
}
