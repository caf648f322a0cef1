/* ci/shell.h - a shell script as a list of commands, for looking at and not for running.
 *
 * Follows POSIX's Shell Command Language, chapters 2.2 (quoting), 2.3 (tokens) and 2.7
 * (redirection) as far as telling commands, words and redirections apart needs it; [[ ]], (( )),
 * functions, case and loops are words among words.  Nothing is expanded: "$TAG" stays as it is.
 * Bodies of here-documents are skipped. No text is a mistake: what cannot be told apart ends up as
 * words.
 */
#ifndef CAIRN_CI_SHELL_H
#define CAIRN_CI_SHELL_H

#include <stdbool.h>

#include "util/arena.h"
#include "util/vec.h"

struct shell_word {
	str text;    /* quotes and backslashes removed, variables as written */
	bool quoted; /* a part of it stood in quotes */
};

struct shell_redirect {
	str op;     /* ">", ">>", "<", "2>" without its number: ">" */
	str target; /* as a word's text */
};

struct shell_command {
	unsigned line; /* of its first word */
	struct shell_word *words;
	size_t n_words; /* at least 1, or there is a redirection */
	struct shell_redirect *redirects;
	size_t n_redirects;
	bool piped; /* its input is the output of the command before it */
};

struct shell_script {
	VEC(struct shell_command) commands;
};

/* Take a script apart. line: number of its first line. Texts live in `a`, and the text itself must
 * outlive the result. */
void shell_split(str text, unsigned line, struct arena *a, struct shell_script *ret);

void shell_script_done(struct shell_script *s);

/* The n-th word, "" when there are fewer. */
str shell_arg(const struct shell_command *c, size_t n);

/* Index of the word that names the program: after assignments, sudo, env, time, exec, if, then, !,
 * ...; n_words when there is none. */
size_t shell_program(const struct shell_command *c);

#endif
