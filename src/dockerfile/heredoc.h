/* heredoc.h - words like <<EOF and the bodies that belong to them. */
#ifndef CAIRN_DOCKERFILE_HEREDOC_H
#define CAIRN_DOCKERFILE_HEREDOC_H

#include "dockerfile.h"
#include "lexer.h"

/* Is `word` (quotes and escapes still in it) a heredoc word like <<EOF, 3<<-"EOF"?
 * *ret gets name, fd, chomp, expand. Fails with CAIRN_E_SYNTAX for open quotes. */
int heredoc_word(str word, struct arena *arena, struct dockerfile_heredoc *ret, bool *ret_is,
                 struct cairn_err *err);

/* Find the heredoc words in node->text and read their bodies from the lexer: fills
 * node->heredocs and moves node->end_line, also those of an ONBUILD's instruction.
 * Fails with CAIRN_E_SYNTAX when a body does not end. */
int heredoc_parse(struct dockerfile_node *node, struct lexer *lex, struct cairn_err *err);

#endif
