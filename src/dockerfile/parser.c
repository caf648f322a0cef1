#include "parser.h"
#include "dockerfile.h"
#include "heredoc.h"
#include "lexer.h"
#include "lint.h"
#include "util/vec.h"

typedef VEC(str) str_vec;

struct parser {
	struct lexer lex;
	struct arena *arena;
	const char *path;
};

/* How the text after the flags is taken apart. */
enum shape {
	SHAPE_WORDS,        /* split at blanks */
	SHAPE_JSON_WORDS,   /* a JSON array, else split at blanks */
	SHAPE_JSON_STRING,  /* a JSON array, else one string */
	SHAPE_QUOTED_WORDS, /* split at blanks outside of quotes */
	SHAPE_PAIRS,        /* key=value ..., or key and the rest of the line */
	SHAPE_HEALTHCHECK,  /* NONE, or CMD and what SHAPE_JSON_STRING makes of the rest */
	SHAPE_ONBUILD,      /* another instruction */
};

struct keyword {
	const char *name;
	enum shape shape;
	bool heredocs; /* may have << words */
};

static const struct keyword keywords[INSTR_N_] = {
	[INSTR_ADD] = { "ADD", SHAPE_JSON_WORDS, true },
	[INSTR_ARG] = { "ARG", SHAPE_QUOTED_WORDS },
	[INSTR_CMD] = { "CMD", SHAPE_JSON_STRING },
	[INSTR_COPY] = { "COPY", SHAPE_JSON_WORDS, true },
	[INSTR_ENTRYPOINT] = { "ENTRYPOINT", SHAPE_JSON_STRING },
	[INSTR_ENV] = { "ENV", SHAPE_PAIRS },
	[INSTR_EXPOSE] = { "EXPOSE", SHAPE_WORDS },
	[INSTR_FROM] = { "FROM", SHAPE_WORDS },
	[INSTR_HEALTHCHECK] = { "HEALTHCHECK", SHAPE_HEALTHCHECK },
	[INSTR_LABEL] = { "LABEL", SHAPE_PAIRS },
	[INSTR_MAINTAINER] = { "MAINTAINER", SHAPE_WORDS },
	[INSTR_ONBUILD] = { "ONBUILD", SHAPE_ONBUILD, true },
	[INSTR_RUN] = { "RUN", SHAPE_JSON_STRING, true },
	[INSTR_SHELL] = { "SHELL", SHAPE_JSON_WORDS },
	[INSTR_STOPSIGNAL] = { "STOPSIGNAL", SHAPE_WORDS },
	[INSTR_USER] = { "USER", SHAPE_WORDS },
	[INSTR_VOLUME] = { "VOLUME", SHAPE_JSON_WORDS },
	[INSTR_WORKDIR] = { "WORKDIR", SHAPE_WORDS },
};

const char *instr_name(enum instr_kind kind)
{
	return keywords[kind].name;
}

bool instr_kind_of(str name, enum instr_kind *ret)
{
	for (size_t i = 0; i < INSTR_N_; i++) {
		if (str_eq_nocase(name, str_of(keywords[i].name))) {
			*ret = (enum instr_kind)i;
			return true;
		}
	}
	return false;
}

static int fail_unknown(const struct parser *p, unsigned line, str name, struct cairn_err *err)
{
	const char *names[INSTR_N_ + 1], *near;

	for (size_t i = 0; i < INSTR_N_; i++)
		names[i] = keywords[i].name;
	names[INSTR_N_] = NULL;
	near = str_suggest(name, names);
	return cairn_fail_at(err, p->path, line, 0, "unknown instruction '%.*s'%s%s%s",
	                     (int)(name.len < 60 ? name.len : 60), name.ptr,
	                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Length of the word that `s` begins with; quotes and escapes are honoured and kept.
 * flag: a backslash escapes in single quotes, too.
 * *ret_dangling: an escape was the last character of `s` and escapes nothing. */
static size_t quoted_len(str s, char escape, bool flag, bool *ret_dangling)
{
	char quote = 0;
	size_t i = 0;

	*ret_dangling = false;
	for (; i < s.len && (quote || !is_blank(s.ptr[i])); i++) {
		char c = s.ptr[i];

		if (c == escape && (flag || quote != '\'')) {
			*ret_dangling = ++i == s.len;
			if (*ret_dangling)
				break;
		} else if (quote) {
			quote = c == quote ? 0 : quote;
		} else if (c == '\'' || c == '"') {
			quote = c;
		}
	}
	return i;
}

static void give(struct parser *p, const str_vec *v, str **ret, size_t *ret_n)
{
	*ret_n = v->len;
	*ret = arena_array(p->arena, str, v->len);
	if (v->len)
		memcpy(*ret, v->ptr, v->len * sizeof(str));
}

static size_t blank_free_len(str s)
{
	size_t n = 0;

	while (n < s.len && !is_blank(s.ptr[n]))
		n++;
	return n;
}

static void split_words(struct parser *p, str s, struct dockerfile_node *node)
{
	str_vec v = { 0 };

	while ((s = str_trim_left(s)).len) {
		size_t n = blank_free_len(s);

		vec_push(&v, str_n(s.ptr, n));
		s = str_skip(s, n);
	}
	give(p, &v, &node->args, &node->n_args);
	vec_free(&v);
}

static void split_quoted_words(struct parser *p, str s, struct dockerfile_node *node)
{
	str_vec v = { 0 };

	while ((s = str_trim_left(s)).len) {
		bool dangling;
		size_t n = quoted_len(s, p->lex.escape, false, &dangling);

		if (n > dangling)
			vec_push(&v, str_n(s.ptr, n - dangling));
		s = str_skip(s, n);
	}
	give(p, &v, &node->args, &node->n_args);
	vec_free(&v);
}

static void one_string(struct parser *p, str s, struct dockerfile_node *node)
{
	if (!s.len)
		return;
	node->args = arena_new_of(p->arena, str);
	node->args[0] = s;
	node->n_args = 1;
}

/* A JSON array of strings. Text that is not JSON is no mistake: node->json stays false. */
static int parse_json(struct parser *p, str s, struct dockerfile_node *node, struct cairn_err *err)
{
	struct cairn_err ignored;
	cleanup_json json_t *j = NULL;
	size_t n;

	if (!s.len || s.ptr[0] != '[' || json_parse(s, "array", &j, &ignored) < 0)
		return 0;
	n = json_array_size(j);
	node->args = arena_array(p->arena, str, n);
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(j, i);

		if (!json_is_string(e))
			return cairn_fail_at(err, p->path, node->line, 0,
			                     "the JSON form of %.*s takes only strings; element "
			                     "%zu is none",
			                     STR(node->keyword), i + 1);
		node->args[i] =
			arena_str(p->arena, str_n(json_string_value(e), json_string_length(e)));
	}
	node->n_args = n;
	node->json = true;
	return 0;
}

/* `KEY rest of the line` */
static int parse_legacy_pair(struct parser *p, struct dockerfile_node *node, struct cairn_err *err)
{
	size_t n = blank_free_len(node->rest);

	if (n == node->rest.len)
		return cairn_fail_at(err, p->path, node->line, 0,
		                     "%.*s needs key=value, or a key and a value",
		                     STR(node->keyword));
	node->args = arena_array(p->arena, str, 2);
	node->args[0] = str_n(node->rest.ptr, n);
	node->args[1] = str_trim_left(str_skip(node->rest, n));
	node->n_args = 2;
	node->legacy = true;
	return 0;
}

static int parse_pairs(struct parser *p, struct dockerfile_node *node, struct cairn_err *err)
{
	str *pairs;

	split_quoted_words(p, node->rest, node);
	if (node->n_args && str_find(node->args[0], '=') < 0)
		return parse_legacy_pair(p, node, err);
	pairs = arena_array(p->arena, str, node->n_args * 2);
	for (size_t i = 0; i < node->n_args; i++) {
		str key, value;

		if (!str_cut(node->args[i], '=', &key, &value))
			return cairn_fail_at(err, p->path, node->line, 0,
			                     "'%.*s' in %.*s has no '='; a value with blanks needs "
			                     "quotes",
			                     STR(node->args[i]), STR(node->keyword));
		pairs[2 * i] = key;
		pairs[2 * i + 1] = value;
	}
	node->args = pairs;
	node->n_args *= 2;
	return 0;
}

static int parse_healthcheck(struct parser *p, struct dockerfile_node *node, struct cairn_err *err)
{
	str word = str_n(node->rest.ptr, blank_free_len(node->rest));
	str rest = str_trim_left(str_skip(node->rest, word.len));
	str *all;

	if (!word.len)
		return 0;
	TRY(parse_json(p, rest, node, err));
	if (!node->json)
		one_string(p, rest, node);
	if (str_eq_nocase(word, S("CMD")))
		word = S("CMD");
	else if (str_eq_nocase(word, S("NONE")))
		word = S("NONE");
	all = arena_array(p->arena, str, node->n_args + 1);
	all[0] = word;
	if (node->n_args)
		memcpy(all + 1, node->args, node->n_args * sizeof(str));
	node->args = all;
	node->n_args++;
	return 0;
}

/* A flag's text without quotes and escapes. BuildKit knows only the backslash here. */
static str unquote_flag(struct parser *p, str s)
{
	char *out = arena_alloc(p->arena, s.len + 1), quote = 0;
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (c == '\\') {
			if (++i < s.len)
				out[n++] = s.ptr[i];
		} else if (quote ? c == quote : (c == '"' || c == '\'')) {
			quote = quote ? 0 : c;
		} else {
			out[n++] = c;
		}
	}
	return str_n(out, n);
}

/* Take the words that begin with "--" off *rest; "--" alone ends them. */
static void split_flags(struct parser *p, str *rest, struct dockerfile_node *node)
{
	str_vec v = { 0 };

	for (;;) {
		str s = str_trim_left(*rest);
		bool dangling;
		size_t n;

		*rest = s;
		if (!str_starts(s, S("--")))
			break;
		n = quoted_len(s, '\\', true, &dangling);
		*rest = str_skip(s, n);
		if (str_is(str_n(s.ptr, n), "--"))
			break;
		vec_push(&v, str_n(s.ptr, n - dangling));
	}
	give(p, &v, &node->flags_raw, &node->n_flags);
	node->flags = arena_array(p->arena, str, v.len);
	for (size_t i = 0; i < v.len; i++)
		node->flags[i] = unquote_flag(p, v.ptr[i]);
	vec_free(&v);
}

static int parse_instruction(struct parser *p, str text, bool nested, struct dockerfile_node *node,
                             struct cairn_err *err);

static int parse_onbuild(struct parser *p, bool nested, struct dockerfile_node *node,
                         struct cairn_err *err)
{
	if (!node->rest.len)
		return cairn_fail_at(err, p->path, node->line, 0, "ONBUILD needs an instruction");
	if (nested)
		return cairn_fail_at(err, p->path, node->line, 0,
		                     "ONBUILD cannot hold another ONBUILD");
	node->onbuild = arena_new_of(p->arena, struct dockerfile_node);
	node->onbuild->line = node->line;
	node->onbuild->end_line = node->end_line;
	return parse_instruction(p, node->rest, true, node->onbuild, err);
}

static int parse_args(struct parser *p, enum shape shape, bool nested, struct dockerfile_node *node,
                      struct cairn_err *err)
{
	switch (shape) {
	case SHAPE_JSON_WORDS:
	case SHAPE_JSON_STRING:
		TRY(parse_json(p, node->rest, node, err));
		if (node->json)
			return 0;
		if (shape == SHAPE_JSON_STRING)
			one_string(p, node->rest, node);
		else
			split_words(p, node->rest, node);
		return 0;
	case SHAPE_WORDS:
		split_words(p, node->rest, node);
		return 0;
	case SHAPE_QUOTED_WORDS:
		split_quoted_words(p, node->rest, node);
		return 0;
	case SHAPE_PAIRS:
		return parse_pairs(p, node, err);
	case SHAPE_HEALTHCHECK:
		return parse_healthcheck(p, node, err);
	case SHAPE_ONBUILD:
		return parse_onbuild(p, nested, node, err);
	}
	return 0;
}

/* One logical line, without heredoc bodies. node->line and end_line are set already. */
static int parse_instruction(struct parser *p, str text, bool nested, struct dockerfile_node *node,
                             struct cairn_err *err)
{
	enum instr_kind kind;
	char *name;
	str rest;

	node->text = str_trim(text);
	node->keyword = str_n(node->text.ptr, blank_free_len(node->text));
	if (!instr_kind_of(node->keyword, &kind))
		return fail_unknown(p, node->line, node->keyword, err);
	name = arena_cstr(p->arena, node->keyword);
	for (size_t i = 0; i < node->keyword.len; i++)
		name[i] |= 0x20; /* letters only: it is one of the names */
	node->name = str_n(name, node->keyword.len);
	rest = str_skip(node->text, node->keyword.len);
	split_flags(p, &rest, node);
	node->rest = str_trim(rest);
	return parse_args(p, keywords[kind].shape, nested, node, err);
}

static bool can_have_heredocs(const struct dockerfile_node *node)
{
	enum instr_kind kind;

	if (node->onbuild)
		node = node->onbuild;
	return !node->json && instr_kind_of(node->name, &kind) && keywords[kind].heredocs;
}

static int parse_line(struct parser *p, const struct logical_line *line,
                      struct dockerfile_node *node, struct cairn_err *err)
{
	*node = (struct dockerfile_node){
		.line = line->line,
		.end_line = line->end_line,
		.comments = line->comments,
		.n_comments = line->n_comments,
		.empty_continuation = line->empty_continuation,
	};
	TRY(parse_instruction(p, line->text, false, node, err));
	if (!can_have_heredocs(node))
		return 0;
	return heredoc_parse(node, &p->lex, err);
}

static int parse_all(struct parser *p, struct dockerfile *df, struct cairn_err *err)
{
	VEC(struct dockerfile_node) nodes = { 0 };
	struct logical_line line = { 0 };
	struct dockerfile_node node;
	bool more = false;
	int r;

	while ((r = lexer_next(&p->lex, &line, &more, err)) == 0 && more) {
		r = parse_line(p, &line, &node, err);
		if (r < 0)
			break;
		vec_push(&nodes, node);
	}
	if (r == 0 && !nodes.len)
		r = cairn_fail_at(err, p->path, p->lex.line, 0, "no instructions in this file");
	if (r == 0) {
		df->nodes = arena_array(p->arena, struct dockerfile_node, nodes.len);
		memcpy(df->nodes, nodes.ptr, nodes.len * sizeof(*nodes.ptr));
		df->n_nodes = nodes.len;
	}
	vec_free(&nodes);
	return r;
}

/* A NUL would end the text early wherever it becomes a C string, first of all in the
 * command line of a step. */
static int check_nul(str text, const char *path, struct cairn_err *err)
{
	ptrdiff_t at = str_find(text, '\0');
	unsigned line = 1;

	if (at < 0)
		return 0;
	for (ptrdiff_t i = 0; i < at; i++)
		line += text.ptr[i] == '\n';
	return cairn_fail_at(err, path, line, 0, "there is a NUL byte in this line");
}

int dockerfile_parse(str text, const char *path, struct dockerfile **ret, struct cairn_err *err)
{
	cleanup_arena struct arena *arena = arena_new();
	struct dockerfile *df = arena_new_of(arena, struct dockerfile);
	struct parser p = { .arena = arena };
	int r;

	if (text.len > DOCKERFILE_MAX)
		return cairn_fail_at(err, path, 0, 0, "file is larger than %u bytes",
		                     DOCKERFILE_MAX);
	TRY(check_nul(text, path, err));
	if (str_starts(text, S("\xef\xbb\xbf")))
		text = str_skip(text, 3);
	df->text = arena_str(arena, text);
	df->path = p.path = arena_cstr(arena, str_of(path));
	lexer_init(&p.lex, df->text, p.path, arena);
	r = parse_all(&p, df, err);
	df->escape = p.lex.escape;
	df->syntax = p.lex.syntax.ptr ? p.lex.syntax : S("");
	df->check_line = p.lex.check_line;
	df->check = p.lex.check.ptr ? p.lex.check : S("");
	lexer_done(&p.lex);
	if (r < 0)
		return r;
	df->arena = arena;
	TRY(lint(df, NULL, err));
	steal_ptr(&arena);
	*ret = df;
	return 0;
}

int parser_one(str text, const char *path, struct arena *arena, struct dockerfile_node *ret,
               struct cairn_err *err)
{
	struct parser p = { .arena = arena, .path = path };
	struct logical_line line = { 0 };
	bool more = false;
	int r;

	TRY(check_nul(text, path, err));
	lexer_init(&p.lex, text, path, arena);
	p.lex.directives_done = true;
	r = lexer_next(&p.lex, &line, &more, err);
	if (r == 0 && !more)
		r = cairn_fail_at(err, path, 0, 0, "the instruction is empty");
	if (r == 0)
		r = parse_line(&p, &line, ret, err);
	if (r == 0 && str_trim(p.lex.rest).len)
		r = cairn_fail_at(err, path, 0, 0, "there is text after the instruction");
	lexer_done(&p.lex);
	return r;
}

void dockerfile_free(struct dockerfile *df)
{
	if (df)
		arena_free(df->arena);
}

str dockerfile_line(const struct dockerfile *df, unsigned n)
{
	str rest = df->text, line = { 0 };

	while (n && str_next(&rest, '\n', &line))
		n--;
	if (n)
		return str_n(NULL, 0);
	return str_ends(line, S("\r")) ? str_n(line.ptr, line.len - 1) : line;
}
