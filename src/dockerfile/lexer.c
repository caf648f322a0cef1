#include "lexer.h"

#include "dockerfile.h"

void lexer_init(struct lexer *l, str text, const char *path, struct arena *arena)
{
	*l = (struct lexer){ .arena = arena, .path = path, .rest = text, .escape = '\\' };
}

void lexer_done(struct lexer *l)
{
	vec_free(&l->comments);
}

/* The next physical line with its newline; false at the end. */
static bool take_line(struct lexer *l, str *ret)
{
	ptrdiff_t nl;

	if (!l->rest.len)
		return false;
	nl = str_find(l->rest, '\n');
	*ret = nl < 0 ? l->rest : str_n(l->rest.ptr, (size_t)nl + 1);
	l->rest = str_skip(l->rest, ret->len);
	l->line++;
	return true;
}

static int check_length(const struct lexer *l, str line, struct cairn_err *err)
{
	if (line.len && line.ptr[line.len - 1] == '\n')
		line.len--;
	if (line.len <= DOCKERFILE_LINE_MAX)
		return 0;
	return cairn_fail_at(err, l->path, l->line, 0, "line is longer than %u bytes",
	                     DOCKERFILE_LINE_MAX);
}

static str trim_newline(str s)
{
	while (s.len && (s.ptr[s.len - 1] == '\n' || s.ptr[s.len - 1] == '\r'))
		s.len--;
	return s;
}

static bool is_comment(str line)
{
	line = str_trim_left(line);
	return line.len && line.ptr[0] == '#';
}

/* "# key = value" taken apart; false when it has another form. */
static bool directive_split(str line, str *ret_key, str *ret_value)
{
	str key;

	if (!str_starts(line, S("#")) ||
	    !str_cut(str_trim_left(str_skip(line, 1)), '=', &key, ret_value))
		return false;
	key = str_trim_right(key);
	*ret_value = str_trim(*ret_value);
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	*ret_key = key;
	return key.len && ret_value->len;
}

static int set_escape(struct lexer *l, str value, struct cairn_err *err)
{
	if (!str_is(value, "\\") && !str_is(value, "`"))
		return cairn_fail_at(err, l->path, l->line, 0,
		                     "escape directive is '%.*s'; it can be \\ or `", STR(value));
	/* BuildKit reads the others below a "#!" line, but not this one */
	if (!l->shebang)
		l->escape = value.ptr[0];
	return 0;
}

/* Note the line when it is a directive: *ret says so. */
static int directive(struct lexer *l, str line, bool *ret, struct cairn_err *err)
{
	str key = { 0 }, value = { 0 }, *slot = NULL;
	bool again;

	*ret = false;
	if (l->directives_done)
		return 0;
	if (l->line == 1 && str_starts(line, S("#!"))) {
		l->shebang = true;
		return 0;
	}
	l->directives_done = true;
	if (!directive_split(line, &key, &value))
		return 0;
	if (str_eq_nocase(key, S("syntax")))
		slot = &l->syntax;
	else if (str_eq_nocase(key, S("check")))
		slot = &l->check;
	else if (!str_eq_nocase(key, S("escape")))
		return 0;
	again = slot ? slot->ptr != NULL : l->seen_escape;
	if (again)
		return cairn_fail_at(err, l->path, l->line, 0,
		                     "directive '%.*s' stands here a second time", STR(key));
	if (slot)
		*slot = value;
	else
		l->seen_escape = true;
	if (slot == &l->check)
		l->check_line = l->line;
	if (slot == &l->syntax)
		str_cut(value, ' ', slot, &(str){ 0 });
	if (!slot)
		TRY(set_escape(l, value, err));
	l->directives_done = false;
	*ret = true;
	return 0;
}

/* Cut the continuation off: the escape as last character but blanks, not escaped itself
 * by another one before it. */
static bool trim_continuation(const struct lexer *l, str *line)
{
	size_t n = line->len;

	while (n && (line->ptr[n - 1] == ' ' || line->ptr[n - 1] == '\t'))
		n--;
	if (!n || line->ptr[n - 1] != l->escape || (n > 1 && line->ptr[n - 2] == l->escape))
		return false;
	line->len = n - 1;
	return true;
}

static void note_comment(struct lexer *l, str line)
{
	str text = str_trim(str_skip(str_trim_left(line), 1));

	if (text.len)
		vec_push(&l->comments, text);
	else
		l->comments.len = 0;
}

/* Join the lines that continue `out`. */
static int join(struct lexer *l, struct logical_line *out, struct cairn_err *err)
{
	VEC(str) parts = { 0 };
	size_t len = out->text.len;
	bool more = true;
	str line;
	char *p;
	int r = 0;

	vec_push(&parts, out->text);
	while (more && take_line(l, &line)) {
		r = check_length(l, line, err);
		if (r < 0)
			break;
		line = trim_newline(line);
		if (is_comment(line))
			continue;
		if (!str_trim_left(line).len) {
			out->empty_continuation = true;
			continue;
		}
		more = trim_continuation(l, &line);
		len += line.len;
		vec_push(&parts, line);
	}
	p = arena_alloc(l->arena, len + 1);
	out->text = str_n(p, len);
	vec_foreach (part, &parts) {
		if (part->len)
			memcpy(p, part->ptr, part->len);
		p += part->len;
	}
	vec_free(&parts);
	return r;
}

static void take_comments(struct lexer *l, struct logical_line *out)
{
	out->n_comments = l->comments.len;
	if (!out->n_comments)
		return;
	out->comments = arena_array(l->arena, str, out->n_comments);
	memcpy(out->comments, l->comments.ptr, out->n_comments * sizeof(str));
	l->comments.len = 0;
}

int lexer_next(struct lexer *l, struct logical_line *ret, bool *ret_more, struct cairn_err *err)
{
	struct logical_line out = { 0 };
	str line;

	*ret_more = false;
	while (take_line(l, &line)) {
		bool is_directive = false, continues;

		TRY(check_length(l, line, err));
		line = str_trim_left(trim_newline(line));
		TRY(directive(l, line, &is_directive, err));
		if (is_directive)
			continue;
		if (is_comment(line)) {
			note_comment(l, line);
			continue;
		}
		out.text = line;
		out.line = l->line;
		continues = trim_continuation(l, &out.text);
		if (!continues && !line.len) {
			l->comments.len = 0; /* a comment above a gap is about nothing */
			continue;
		}
		if (continues)
			TRY(join(l, &out, err));
		out.end_line = l->line;
		take_comments(l, &out);
		*ret = out;
		*ret_more = true;
		return 0;
	}
	return 0;
}

int lexer_heredoc(struct lexer *l, str delimiter, bool chomp, unsigned start, str *ret_body,
                  struct cairn_err *err)
{
	const char *begin = l->rest.ptr;
	str line;

	while (take_line(l, &line)) {
		str word = trim_newline(line);

		TRY(check_length(l, line, err));
		while (chomp && word.len && word.ptr[0] == '\t')
			word = str_skip(word, 1);
		if (str_eq(word, delimiter)) {
			*ret_body = str_n(begin, (size_t)(line.ptr - begin));
			return 0;
		}
	}
	return cairn_fail_at(err, l->path, start, 0,
	                     "heredoc '%.*s' does not end: no line is '%.*s'", STR(delimiter),
	                     STR(delimiter));
}
