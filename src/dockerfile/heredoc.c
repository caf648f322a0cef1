#include "heredoc.h"

#include "words_lex.h"

int heredoc_word(str word, struct arena *arena, struct dockerfile_heredoc *ret, bool *ret_is,
                 struct cairn_err *err)
{
	struct words w = { .lookup = words_lookup_none, .arena = arena, .escape = '\\' };
	struct words_result plain, quoted;
	size_t digits = 0;
	str name;
	unsigned fd = 0;

	*ret_is = false;
	while (digits < word.len && word.ptr[digits] >= '0' && word.ptr[digits] <= '9') {
		fd = fd < 100000 ? fd * 10 + (unsigned)(word.ptr[digits] - '0') : fd;
		digits++;
	}
	word = str_skip(word, digits);
	if (!str_starts(word, S("<<")))
		return 0;
	word = str_skip(word, 2);
	*ret = (struct dockerfile_heredoc){ .fd = fd, .chomp = str_starts(word, S("-")) };
	name = str_trim_left(str_skip(word, ret->chomp));
	if (!name.len || str_find(name, '<') >= 0)
		return 0;
	TRY(words_lex(&w, WORDS_KEEP_UNSET | WORDS_SPLIT, name, &plain, err));
	if (plain.n_words != 1)
		return 0;
	TRY(words_lex(&w, WORDS_KEEP_UNSET | WORDS_SPLIT | WORDS_RAW_QUOTES, name, &quoted, err));
	ret->name = plain.words[0];
	/* quotes anywhere in the delimiter switch the expansion of the body off */
	ret->expand = quoted.n_words == 1 && str_eq(plain.words[0], quoted.words[0]);
	*ret_is = true;
	return 0;
}

static int read_body(struct lexer *lex, unsigned start, struct dockerfile_heredoc *h,
                     struct cairn_err *err)
{
	char *out;
	size_t n = 0;

	h->line = lex->line + 1;
	TRY(lexer_heredoc(lex, h->name, h->chomp, start, &h->raw, err));
	h->content = h->raw;
	if (!h->chomp)
		return 0;
	out = arena_alloc(lex->arena, h->raw.len + 1);
	for (size_t i = 0; i < h->raw.len; i++) {
		bool at_start = i == 0 || h->raw.ptr[i - 1] == '\n';

		while (at_start && i < h->raw.len && h->raw.ptr[i] == '\t')
			i++;
		if (i < h->raw.len)
			out[n++] = h->raw.ptr[i];
	}
	h->content = str_n(out, n);
	return 0;
}

int heredoc_parse(struct dockerfile_node *node, struct lexer *lex, struct cairn_err *err)
{
	struct words w = { .lookup = words_lookup_none, .arena = lex->arena, .escape = '\\' };
	unsigned flags = WORDS_RAW_QUOTES | WORDS_RAW_ESCAPES | WORDS_KEEP_UNSET | WORDS_HEREDOC |
	                 WORDS_SPLIT;
	struct cairn_err ignored;
	struct words_result found;

	if (str_search(node->text, S("<<")) < 0)
		return 0;
	/* a line that the lexer cannot take apart (echo it's) has no heredocs */
	if (words_lex(&w, flags, node->text, &found, &ignored) < 0)
		return 0;
	node->heredocs = arena_array(lex->arena, struct dockerfile_heredoc, found.n_words);
	for (size_t i = 0; i < found.n_words; i++) {
		struct dockerfile_heredoc *h = &node->heredocs[node->n_heredocs];
		bool is = false;

		if (heredoc_word(found.words[i], lex->arena, h, &is, &ignored) < 0)
			return cairn_fail_at(err, lex->path, node->line, 0, "bad heredoc: %s",
			                     ignored.msg);
		if (!is)
			continue;
		TRY(read_body(lex, node->line, h, err));
		node->n_heredocs++;
	}
	node->end_line = lex->line;
	if (node->onbuild) {
		node->onbuild->heredocs = node->heredocs;
		node->onbuild->n_heredocs = node->n_heredocs;
		node->onbuild->end_line = node->end_line;
	}
	return 0;
}
