#include "shell.h"

#include "util/strbuf.h"

#define WORD_MAX  (64u << 10) /* bytes of a word; more is dropped */
#define DEPTH_MAX 8           /* command substitutions in each other that are looked into */

struct lexer {
	str rest;
	unsigned line;
	unsigned depth; /* substitutions around it */
	struct arena *a;
	struct shell_script *out;
	/* The command in the making. */
	struct shell_command now;
	VEC(struct shell_word) words;
	VEC(struct shell_redirect) redirects;
	bool piped;
	str pending;       /* a redirection that waits for its target: its operator */
	VEC(str) heredocs; /* delimiters whose bodies begin with the next line */
};

static char peek(const struct lexer *l, size_t n)
{
	return n < l->rest.len ? l->rest.ptr[n] : '\0';
}

static void skip(struct lexer *l, size_t n)
{
	for (size_t i = 0; i < n && i < l->rest.len; i++)
		l->line += l->rest.ptr[i] == '\n';
	l->rest = str_skip(l->rest, n);
}

static void end_command(struct lexer *l)
{
	struct shell_command *c = &l->now;

	if (l->words.len || l->redirects.len) {
		c->n_words = l->words.len;
		c->words = arena_array(l->a, struct shell_word, l->words.len + 1);
		for (size_t i = 0; i < l->words.len; i++)
			c->words[i] = l->words.ptr[i];
		c->n_redirects = l->redirects.len;
		c->redirects = arena_array(l->a, struct shell_redirect, l->redirects.len + 1);
		for (size_t i = 0; i < l->redirects.len; i++)
			c->redirects[i] = l->redirects.ptr[i];
		c->piped = l->piped;
		vec_push(&l->out->commands, *c);
	}
	l->words.len = l->redirects.len = 0;
	l->piped = false;
	l->pending = (str){ 0 };
	l->now = (struct shell_command){ 0 };
}

/* "$(...)", "${...}", "`...`" as written, with what is nested in it. */
static size_t expansion_length(str s)
{
	char open = s.len > 1 ? s.ptr[1] : '\0', close = open == '(' ? ')' : '}';
	size_t depth = 0, i = 1;

	if (s.ptr[0] == '`') {
		ptrdiff_t end = str_find(str_skip(s, 1), '`');

		return end < 0 ? s.len : (size_t)end + 2;
	}
	if (open != '(' && open != '{')
		return 1;
	for (; i < s.len; i++) {
		if (s.ptr[i] == '\\')
			i++;
		else if (s.ptr[i] == open)
			depth++;
		else if (s.ptr[i] == close && --depth == 0)
			return i + 1;
	}
	return s.len;
}

static void split(str text, unsigned line, unsigned depth, struct arena *a,
                  struct shell_script *ret);

/* What runs inside of "$(...)" or "`...`" are commands too. */
static void look_into(struct lexer *l, str expansion)
{
	bool dollar = str_starts(expansion, S("$(")) && !str_starts(expansion, S("$(("));
	size_t before = dollar ? 2 : 1;

	if ((dollar || expansion.ptr[0] == '`') && expansion.len > before && l->depth < DEPTH_MAX)
		split(str_n(expansion.ptr + before, expansion.len - before - 1), l->line,
		      l->depth + 1, l->a, l->out);
}

static void take(struct lexer *l, struct strbuf *b, size_t n)
{
	strbuf_add(b, l->rest.ptr, n);
	skip(l, n);
}

static void take_expansion(struct lexer *l, struct strbuf *b)
{
	size_t n = expansion_length(l->rest);

	look_into(l, str_n(l->rest.ptr, n));
	take(l, b, n);
}

static void read_double(struct lexer *l, struct strbuf *b)
{
	skip(l, 1);
	while (l->rest.len && peek(l, 0) != '"') {
		if (peek(l, 0) == '\\' && peek(l, 1) == '\n') {
			skip(l, 2);
		} else if (peek(l, 0) == '\\' && strchr("\"\\$`", peek(l, 1)) && peek(l, 1)) {
			skip(l, 1);
			take(l, b, 1);
		} else if (peek(l, 0) == '$' || peek(l, 0) == '`') {
			take_expansion(l, b);
		} else {
			take(l, b, 1);
		}
	}
	skip(l, 1);
}

static void read_single(struct lexer *l, struct strbuf *b)
{
	ptrdiff_t end;

	skip(l, 1);
	end = str_find(l->rest, '\'');
	take(l, b, end < 0 ? l->rest.len : (size_t)end);
	skip(l, 1);
}

static bool ends_word(char c)
{
	return c == '\0' || strchr(" \t\r\n;|&<>()", c);
}

static struct shell_word read_word(struct lexer *l)
{
	cleanup_strbuf struct strbuf b;
	struct shell_word w = { 0 };

	strbuf_init(&b, WORD_MAX);
	while (l->rest.len && !ends_word(peek(l, 0))) {
		switch (peek(l, 0)) {
		case '\\':
			if (peek(l, 1) == '\n') {
				skip(l, 2);
				break;
			}
			skip(l, 1);
			take(l, &b, l->rest.len ? 1 : 0);
			w.quoted = true;
			break;
		case '\'':
			read_single(l, &b);
			w.quoted = true;
			break;
		case '"':
			read_double(l, &b);
			w.quoted = true;
			break;
		case '$':
		case '`':
			take_expansion(l, &b);
			break;
		default:
			take(l, &b, 1);
		}
	}
	w.text = arena_str(l->a, strbuf_view(&b));
	return w;
}

static void add_word(struct lexer *l)
{
	unsigned line = l->line;
	struct shell_word w = read_word(l);

	if (!l->words.len && !l->redirects.len)
		l->now.line = line;
	if (!l->pending.len) {
		vec_push(&l->words, w);
		return;
	}
	if (str_starts(l->pending, S("<<")) && !str_is(l->pending, "<<<"))
		vec_push(&l->heredocs, w.text);
	else
		vec_push(&l->redirects, (struct shell_redirect){ l->pending, w.text });
	l->pending = (str){ 0 };
}

/* The lines up to the delimiters of the here-documents that were announced. */
static void skip_heredocs(struct lexer *l)
{
	for (size_t i = 0; i < l->heredocs.len; i++) {
		str line;

		do {
			ptrdiff_t end = str_find(l->rest, '\n');

			line = str_n(l->rest.ptr, end < 0 ? l->rest.len : (size_t)end);
			skip(l, line.len + 1);
		} while (l->rest.len && !str_eq(str_trim(line), l->heredocs.ptr[i]));
	}
	l->heredocs.len = 0;
}

/* "2>" and "&>" are ">"; "2>&1" is nothing that anybody asks for. */
static void read_redirect(struct lexer *l)
{
	static const char *const ops[] = { "<<<", "<<-", "<<", "<&", "<>",
		                           "<",   ">>",  ">&", ">|", ">" };

	/* A number directly before it is the descriptor, no word. */
	if (l->words.len && l->rest.ptr[-1] != ' ') {
		str last = vec_last(&l->words)->text;

		if (last.len == 1 && last.ptr[0] >= '0' && last.ptr[0] <= '9' &&
		    !vec_last(&l->words)->quoted)
			l->words.len--;
	}
	for (size_t i = 0; i < ARRAY_SIZE(ops); i++)
		if (str_starts(l->rest, str_of(ops[i]))) {
			l->pending = str_of(ops[i]);
			skip(l, l->pending.len);
			break;
		}
	if (str_is(l->pending, ">|"))
		l->pending = S(">");
	if (str_ends(l->pending, S("&")))
		while (l->rest.len && !ends_word(peek(l, 0))) {
			l->pending = (str){ 0 };
			skip(l, 1);
		}
}

static void read_operator(struct lexer *l)
{
	char c = peek(l, 0);
	bool pipe = c == '|' && peek(l, 1) != '|';

	if (c == '<' || c == '>') {
		read_redirect(l);
		return;
	}
	if (c == '&' && peek(l, 1) == '>') {
		skip(l, 1);
		read_redirect(l);
		return;
	}
	end_command(l);
	skip(l, pipe && peek(l, 1) == '&' ? 2 : c == peek(l, 1) && (c == '|' || c == '&') ? 2 : 1);
	l->piped = pipe;
	if (c == '\n')
		skip_heredocs(l);
}

static void split(str text, unsigned line, unsigned depth, struct arena *a,
                  struct shell_script *ret)
{
	struct lexer l = { .rest = text, .line = line, .depth = depth, .a = a, .out = ret };

	while (l.rest.len) {
		char c = peek(&l, 0);

		if (c == ' ' || c == '\t' || c == '\r') {
			skip(&l, 1);
		} else if (c == '\\' && peek(&l, 1) == '\n') {
			skip(&l, 2);
		} else if (c == '#') {
			ptrdiff_t end = str_find(l.rest, '\n');

			skip(&l, end < 0 ? l.rest.len : (size_t)end);
		} else if (ends_word(c)) {
			read_operator(&l);
		} else {
			add_word(&l);
		}
	}
	end_command(&l);
	vec_free(&l.words);
	vec_free(&l.redirects);
	vec_free(&l.heredocs);
}

void shell_split(str text, unsigned line, struct arena *a, struct shell_script *ret)
{
	split(text, line, 0, a, ret);
}

void shell_script_done(struct shell_script *s)
{
	vec_free(&s->commands);
}

str shell_arg(const struct shell_command *c, size_t n)
{
	return n < c->n_words ? c->words[n].text : S("");
}

static bool is_assignment(str w)
{
	ptrdiff_t eq = str_find(w, '=');

	for (ptrdiff_t i = 0; i < eq; i++)
		if (!((w.ptr[i] >= 'a' && w.ptr[i] <= 'z') ||
		      (w.ptr[i] >= 'A' && w.ptr[i] <= 'Z') || w.ptr[i] == '_' ||
		      (i && w.ptr[i] >= '0' && w.ptr[i] <= '9')))
			return false;
	return eq > 0;
}

size_t shell_program(const struct shell_command *c)
{
	static const char *const before[] = { "sudo", "env",  "time", "exec",  "if",
		                              "then", "else", "elif", "do",    "while",
		                              "!",    "{",    "-E",   "nohup", "command" };
	size_t i = 0;

	for (; i < c->n_words; i++) {
		bool prefix = is_assignment(c->words[i].text);

		for (size_t k = 0; !prefix && k < ARRAY_SIZE(before); k++)
			prefix = str_is(c->words[i].text, before[k]);
		if (!prefix)
			break;
	}
	return i;
}
