#include "words.h"

#include "util/strbuf.h"
#include "util/vec.h"
#include "words_lex.h"

/* What a (sub)expansion writes: the result and, at the top level, the words. */
struct sink {
	struct strbuf *result;
	struct strbuf *word; /* the word being collected; NULL = nobody wants words */
	VEC(str) words;
	bool in_word;
};

struct lex {
	const struct words *w;
	const char *p, *end;
	unsigned flags;
	unsigned depth;
	char escape;
	const char *why; /* reason of the failure; static, or in the arena */
};

#define END (-1)

static int peek(const struct lex *l)
{
	return l->p < l->end ? (unsigned char)*l->p : END;
}

static int next(struct lex *l)
{
	return l->p < l->end ? (unsigned char)*l->p++ : END;
}

static int fail(struct lex *l, const char *why)
{
	l->why = why;
	return CAIRN_E_SYNTAX;
}

static bool is_blank(int c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void end_word(struct sink *s, struct arena *arena)
{
	if (s->word->len)
		vec_push(&s->words, arena_str(arena, strbuf_view(s->word)));
	strbuf_clear(s->word);
	s->in_word = false;
}

/* Protected bytes: they never split a word. */
static void put_raw(struct sink *s, const char *p, size_t n)
{
	strbuf_add(s->result, p, n);
	if (s->word) {
		strbuf_add(s->word, p, n);
		s->in_word = true;
	}
}

static void put_raw_char(struct sink *s, int c)
{
	char b = (char)c;

	put_raw(s, &b, 1);
}

/* Bytes whose blanks split words: plain text and values of unquoted variables. */
static void put(struct lex *l, struct sink *s, str text)
{
	strbuf_str(s->result, text);
	if (!s->word)
		return;
	for (size_t i = 0; i < text.len; i++) {
		if (is_blank(text.ptr[i])) {
			if (s->in_word)
				end_word(s, l->w->arena);
		} else {
			strbuf_char(s->word, text.ptr[i]);
			s->in_word = true;
		}
	}
}

static int lex_until(struct lex *l, int stop, struct sink *s);

/* Expand up to `stop` into `out`, for the parts of ${...}. */
static int lex_part(struct lex *l, int stop, bool raw_escapes, struct strbuf *out)
{
	struct sink s = { .result = out };
	unsigned saved = l->flags;
	int r;

	if (l->depth >= WORDS_DEPTH_MAX)
		return fail(l, "substitutions are nested too deeply");
	l->depth++;
	l->flags &= ~(unsigned)WORDS_RAW_ESCAPES;
	l->flags |= raw_escapes ? WORDS_RAW_ESCAPES : 0;
	r = lex_until(l, stop, &s);
	l->flags = saved;
	l->depth--;
	if (r < 0 && l->p == l->end)
		return fail(l, stop == '/' ? "missing '/' in ${}" : "missing '}'");
	if (r == 0 && out->overflow)
		return fail(l, "the result is larger than 1 MiB");
	return r;
}

static bool is_name(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

/* A name: all digits, one special parameter, or letters, digits and _. */
static str lex_name(struct lex *l)
{
	const char *start = l->p;
	int c = peek(l);

	if (is_digit(c)) {
		while (is_digit(peek(l)))
			l->p++;
	} else if (c > 0 && strchr("@*#?-$!", c)) {
		l->p++;
	} else {
		while (is_name(peek(l)))
			l->p++;
	}
	return str_n(start, (size_t)(l->p - start));
}

struct var {
	str name, value;
	bool set;
	bool empty_is_unset; /* the modifier began with ':' */
};

/* ${x?word} and ${x:?word} */
static int lex_require(struct lex *l, const struct var *v, str word, struct strbuf *out)
{
	str msg = word;

	if (v->set && (v->value.len || !v->empty_is_unset)) {
		strbuf_str(out, v->value);
		return 0;
	}
	if (!msg.len)
		msg = v->set ? S("is not allowed to be empty") : S("is not allowed to be unset");
	return fail(l, arena_printf(l->w->arena, "%.*s: %.*s", STR(v->name), STR(msg)));
}

/* ${x#p} and its three brothers. */
static int lex_trim(struct lex *l, const struct var *v, int op, str pattern, struct strbuf *out)
{
	bool greedy = pattern.len && pattern.ptr[0] == op;
	enum words_trim how = op == '#' ? (greedy ? WORDS_PREFIX_LONG : WORDS_PREFIX_SHORT)
	                                : (greedy ? WORDS_SUFFIX_LONG : WORDS_SUFFIX_SHORT);
	const char *why = NULL;
	str r = { 0 };

	if (words_pattern_trim(v->value, str_skip(pattern, greedy), how, &r, &why) < 0)
		return fail(l, why);
	strbuf_str(out, r);
	return 0;
}

/* After "${name" and the operator: the word, and what it means. */
static int lex_operator(struct lex *l, const struct var *v, int op, const char *head,
                        struct strbuf *out)
{
	bool have = v->set && (v->value.len || !v->empty_is_unset);
	cleanup_strbuf struct strbuf word;
	str text;

	strbuf_init(&word, WORDS_RESULT_MAX);
	TRY(lex_part(l, '}', op == '#' || op == '%', &word));
	text = strbuf_view(&word);
	if (!v->set && (l->flags & WORDS_KEEP_UNSET)) {
		strbuf_add(out, head, (size_t)(l->p - head));
		return 0;
	}
	switch (op) {
	case '-':
		strbuf_str(out, have ? v->value : text);
		return 0;
	case '+':
		strbuf_str(out, have ? text : S(""));
		return 0;
	case '?':
		return lex_require(l, v, text, out);
	case '#':
	case '%':
		return lex_trim(l, v, op, text, out);
	default:
		return fail(l, "unsupported modifier in ${}");
	}
}

/* After "${name/": [/]pattern/replacement} */
static int lex_replace(struct lex *l, const struct var *v, const char *head, struct strbuf *out)
{
	cleanup_strbuf struct strbuf pattern;
	cleanup_strbuf struct strbuf with;
	const char *why = NULL;
	bool all = peek(l) == '/';

	strbuf_init(&pattern, WORDS_RESULT_MAX);
	strbuf_init(&with, WORDS_RESULT_MAX);
	if (all)
		l->p++;
	TRY(lex_part(l, '/', true, &pattern));
	TRY(lex_part(l, '}', true, &with));
	if (!v->set && (l->flags & WORDS_KEEP_UNSET)) {
		strbuf_add(out, head, (size_t)(l->p - head));
		return 0;
	}
	if (words_pattern_replace(v->value, strbuf_view(&pattern), strbuf_view(&with), all, out,
	                          &why) < 0)
		return fail(l, why);
	return 0;
}

/* After "${" */
static int lex_braces(struct lex *l, const char *head, struct strbuf *out)
{
	struct var v = { 0 };
	int c;

	if (peek(l) == END)
		return fail(l, "missing '}'");
	v.name = lex_name(l);
	if (!v.name.len)
		return fail(l, "bad substitution");
	v.set = l->w->lookup(l->w->ctx, v.name, &v.value);
	c = next(l);
	switch (c) {
	case '}':
		if (!v.set && (l->flags & WORDS_KEEP_UNSET))
			strbuf_add(out, head, (size_t)(l->p - head));
		else
			strbuf_str(out, v.set ? v.value : S(""));
		return 0;
	case '/':
		return lex_replace(l, &v, head, out);
	case ':':
		v.empty_is_unset = true;
		c = next(l);
		break;
	default:
		break;
	}
	if (c == END)
		return fail(l, "missing '}'");
	if (!strchr("+-?#%", c))
		return fail(l, "unsupported modifier in ${}");
	return lex_operator(l, &v, c, head, out);
}

/* At a '$': append what it stands for. */
static int lex_dollar(struct lex *l, struct strbuf *out)
{
	const char *head = l->p++;
	str name, value = { 0 };

	if (peek(l) == '{') {
		l->p++;
		return lex_braces(l, head, out);
	}
	name = lex_name(l);
	if (!name.len)
		strbuf_char(out, '$');
	else if (l->w->lookup(l->w->ctx, name, &value))
		strbuf_str(out, value);
	else if (l->flags & WORDS_KEEP_UNSET)
		strbuf_add(out, head, (size_t)(l->p - head));
	return 0;
}

static int lex_single(struct lex *l, struct sink *s)
{
	const char *start = l->p++, *q;
	bool raw = l->flags & WORDS_RAW_QUOTES;

	q = l->p < l->end ? memchr(l->p, '\'', (size_t)(l->end - l->p)) : NULL;
	if (!q) {
		l->p = l->end;
		return fail(l, "missing closing single quote");
	}
	l->p = q + 1;
	if (raw)
		put_raw(s, start, (size_t)(q + 1 - start));
	else
		put_raw(s, start + 1, (size_t)(q - start - 1));
	return 0;
}

/* In double quotes the escape protects only '"', '$' and itself. */
static void lex_double_escape(struct lex *l, struct strbuf *out)
{
	int c = next(l), n = peek(l);

	if (l->flags & WORDS_RAW_ESCAPES)
		strbuf_char(out, (char)c);
	if (n == END)
		return;
	if (n == '"' || n == '$' || n == l->escape)
		c = next(l);
	strbuf_char(out, (char)c);
}

static int lex_double(struct lex *l, struct sink *s)
{
	bool raw = l->flags & WORDS_RAW_QUOTES;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, WORDS_RESULT_MAX);
	l->p++;
	if (raw)
		strbuf_char(&text, '"');
	for (int c; (c = peek(l)) != '"';) {
		if (c == END)
			return fail(l, "missing closing double quote");
		if (c == '$')
			TRY(lex_dollar(l, &text));
		else if (c == l->escape)
			lex_double_escape(l, &text);
		else
			strbuf_char(&text, (char)next(l));
	}
	l->p++;
	if (raw)
		strbuf_char(&text, '"');
	if (text.overflow)
		s->result->overflow = true;
	put_raw(s, text.ptr, text.len);
	return 0;
}

static void lex_escape(struct lex *l, struct sink *s)
{
	int c = next(l);

	if (l->flags & WORDS_RAW_ESCAPES)
		put_raw_char(s, c);
	c = next(l); /* an escape at the very end vanishes */
	if (c != END)
		put_raw_char(s, c);
}

/* "<<" and the blanks behind it belong to the delimiter that follows. */
static void lex_heredoc_mark(struct lex *l, struct sink *s)
{
	put_raw_char(s, next(l));
	if (peek(l) != '<')
		return;
	put_raw_char(s, next(l));
	while (peek(l) == ' ' || peek(l) == '\t' || peek(l) == '\r')
		put_raw_char(s, next(l));
}

/* The characters up to the next one that could mean something; at least one. */
static str lex_run(struct lex *l, int stop)
{
	const char *start = l->p++;

	for (int c; (c = peek(l)) != END; l->p++)
		if (c == stop || c == l->escape || c == '$' || c == '\'' || c == '"' || c == '<')
			break;
	return str_n(start, (size_t)(l->p - start));
}

static int lex_until(struct lex *l, int stop, struct sink *s)
{
	cleanup_strbuf struct strbuf value;
	bool quotes = !(l->flags & WORDS_NO_QUOTES);
	int c;

	strbuf_init(&value, WORDS_RESULT_MAX);
	while ((c = peek(l)) != END) {
		if (c == stop) {
			l->p++;
			return 0;
		}
		if (c == '$') {
			strbuf_clear(&value);
			TRY(lex_dollar(l, &value));
			s->result->overflow |= value.overflow;
			put(l, s, strbuf_view(&value));
		} else if (c == '\'' && quotes) {
			TRY(lex_single(l, s));
		} else if (c == '"' && quotes) {
			TRY(lex_double(l, s));
		} else if (c == l->escape) {
			lex_escape(l, s);
		} else if (c == '<' && (l->flags & WORDS_HEREDOC)) {
			lex_heredoc_mark(l, s);
		} else {
			put(l, s, lex_run(l, stop));
		}
	}
	return stop == END ? 0 : fail(l, "unexpected end");
}

static void give_words(struct lex *l, struct sink *s, struct words_result *ret)
{
	end_word(s, l->w->arena);
	ret->n_words = s->words.len;
	ret->words = arena_array(l->w->arena, str, s->words.len);
	if (s->words.len)
		memcpy(ret->words, s->words.ptr, s->words.len * sizeof(str));
}

int words_lex(const struct words *w, unsigned flags, str word, struct words_result *ret,
              struct cairn_err *err)
{
	cleanup_strbuf struct strbuf result;
	cleanup_strbuf struct strbuf piece;
	struct lex l = { .w = w, .flags = flags, .escape = w->escape };
	struct sink s = { .result = &result, .word = flags & WORDS_SPLIT ? &piece : NULL };
	int r;

	l.p = word.ptr ? word.ptr : "";
	l.end = l.p + word.len;
	strbuf_init(&result, WORDS_RESULT_MAX);
	strbuf_init(&piece, WORDS_RESULT_MAX);
	r = lex_until(&l, END, &s);
	if (r == 0 && result.overflow)
		r = fail(&l, "the result is larger than 1 MiB");
	if (r == 0) {
		*ret = (struct words_result){ .all = arena_str(w->arena, strbuf_view(&result)) };
		if (flags & WORDS_SPLIT)
			give_words(&l, &s, ret);
	}
	vec_free(&s.words);
	if (r < 0)
		return cairn_fail_at(err, w->path ? w->path : "", w->line, 0,
		                     "cannot expand '%.*s': %s",
		                     (int)(word.len < 120 ? word.len : 120), word.ptr, l.why);
	return 0;
}

bool words_is_plain(str word, char escape)
{
	for (size_t i = 0; i < word.len; i++) {
		char c = word.ptr[i];

		if (c == '$' || c == '\'' || c == '"' || c == escape)
			return false;
	}
	return true;
}

int words_expand(const struct words *w, str word, str *ret, struct cairn_err *err)
{
	struct words_result r;

	if (words_is_plain(word, w->escape)) {
		*ret = word;
		return 0;
	}
	TRY(words_lex(w, 0, word, &r, err));
	*ret = r.all;
	return 0;
}

int words_split(const struct words *w, str word, str **ret, size_t *ret_n, struct cairn_err *err)
{
	struct words_result r;

	TRY(words_lex(w, WORDS_SPLIT, word, &r, err));
	*ret = r.words;
	*ret_n = r.n_words;
	return 0;
}

int words_expand_body(const struct words *w, str body, str *ret, struct cairn_err *err)
{
	struct words with_backslash = *w;
	struct words_result r;

	with_backslash.escape = '\\';
	TRY(words_lex(&with_backslash, WORDS_NO_QUOTES, body, &r, err));
	*ret = r.all;
	return 0;
}

bool words_lookup_none(void *ctx, str name, str *ret_value)
{
	(void)ctx;
	(void)name;
	(void)ret_value;
	return false;
}
