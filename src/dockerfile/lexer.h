/* lexer.h - physical lines to logical ones: directives, comments, continuations, heredoc
 * bodies.  Private to the module.  Views point into the text, or into the arena where
 * lines had to be joined. */
#ifndef CAIRN_DOCKERFILE_LEXER_H
#define CAIRN_DOCKERFILE_LEXER_H

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"
#include "util/vec.h"

struct lexer {
	struct arena *arena;
	const char *path;
	str rest;      /* text not read yet */
	unsigned line; /* lines read */
	char escape;
	str syntax, check; /* directives; ptr NULL = not seen */
	unsigned check_line;
	bool seen_escape;
	bool directives_done; /* a line that is none was met: no more can follow */
	bool shebang;         /* the first line was "#!..." */
	VEC(str) comments;    /* those directly above the next instruction */
};

/* An instruction with its continuations joined. */
struct logical_line {
	str text;      /* blanks at its beginning are gone */
	unsigned line; /* 1-based, of its first and last physical line */
	unsigned end_line;
	bool empty_continuation; /* an empty line stood between its continuations */
	str *comments;           /* comment lines above, in the arena */
	size_t n_comments;
};

/* `text` without BOM; borrowed until the lexer is done. */
void lexer_init(struct lexer *l, str text, const char *path, struct arena *arena);
void lexer_done(struct lexer *l);

/* The next instruction; *ret_more is false at the end of the text.
 * Fails with CAIRN_E_SYNTAX: line too long, directive twice, bad escape directive. */
int lexer_next(struct lexer *l, struct logical_line *ret, bool *ret_more, struct cairn_err *err);

/* Read lines up to the one that is `delimiter` (with chomp: after its leading tabs).
 * `start` is the instruction's line, for the message.
 * Fails with CAIRN_E_SYNTAX when the delimiter never comes. */
int lexer_heredoc(struct lexer *l, str delimiter, bool chomp, unsigned start, str *ret_body,
                  struct cairn_err *err);

#endif
