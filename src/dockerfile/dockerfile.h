/* dockerfile/dockerfile.h - the Dockerfile language: text to AST, and the facade of the module.
 *
 * Everything here is pure: functions over memory, no file is opened, nothing is
 * resolved.  The truth is what BuildKit does; where a comment says "as BuildKit"
 * the behaviour was compared with its documentation and tests.
 *
 *	text --dockerfile_parse--> AST with positions --dockerfile_instrs--> typed
 *	instructions (instr.h), whose words graph/ expands with words.h when it
 *	knows the stage's environment.
 *
 * A struct dockerfile owns all its nodes through one arena; every view and
 * pointer reached from it dies with dockerfile_free().  Not thread-safe while
 * parsing; read-only afterwards.
 */
#ifndef CAIRN_DOCKERFILE_DOCKERFILE_H
#define CAIRN_DOCKERFILE_DOCKERFILE_H

#include "ignore.h"
#include "instr.h"
#include "words.h"

#include "util/arena.h"
#include "util/err.h"
#include "util/json.h"
#include "util/str.h"

#define DOCKERFILE_MAX      (16u << 20) /* bytes of a whole Dockerfile */
#define DOCKERFILE_LINE_MAX 65535u      /* bytes of a line, as BuildKit */

/* A here-document: `RUN cat <<-"EOF"` and the lines up to EOF. */
struct dockerfile_heredoc {
	str name;    /* delimiter, quotes removed */
	str content; /* body as the step sees it: with <<- the leading tabs are gone */
	str raw;     /* body as written */
	bool expand; /* delimiter was not quoted: variables in the body are expanded (COPY, ADD) */
	bool chomp;  /* <<- */
	unsigned fd; /* the number before <<, 0 when none */
	unsigned line; /* 1-based line of the first body line */
};

/* One instruction as written, before anything is expanded or checked. */
struct dockerfile_node {
	unsigned line, end_line; /* 1-based, inclusive; heredoc bodies belong to it */
	str name;                /* lower case: "run" */
	str keyword;             /* the same as written */
	str text;       /* whole instruction without heredoc bodies, continuations joined */
	str rest;       /* text after name and flags, blanks trimmed off both ends */
	str *flags_raw; /* "--mount=type=cache,...", as written */
	str *flags;     /* the same without quotes and escapes */
	size_t n_flags;
	/* JSON form: the elements. RUN, CMD, ENTRYPOINT in shell form: one string, or none
	 * when nothing follows. ENV, LABEL: key, value, key, value. HEALTHCHECK: "NONE", or
	 * "CMD" and the rest as for CMD. ONBUILD: none. Others: words, quotes kept. */
	str *args;
	size_t n_args;
	bool json;               /* arguments are a JSON array of strings */
	bool empty_continuation; /* an empty line stood between its continuation lines */
	bool legacy;             /* ENV or LABEL written `key rest of line` */
	struct dockerfile_heredoc *heredocs;
	size_t n_heredocs;
	struct dockerfile_node *onbuild; /* the instruction of an ONBUILD, else NULL */
	str *comments; /* comment lines directly above, without '#', blanks trimmed */
	size_t n_comments;
};

/* Something that works but should be written differently. */
struct dockerfile_warning {
	unsigned line;
	const char *rule; /* name as `# check=skip=` takes it: "FromAsCasing" */
	str text;         /* one line */
};

struct dockerfile {
	struct arena *arena; /* owns everything below */
	const char *path;    /* for messages; a copy */
	str text;            /* the whole file, a copy; BOM removed */
	struct dockerfile_node *nodes;
	size_t n_nodes;                      /* at least 1 */
	str syntax;                          /* value of `# syntax=`, "" when absent */
	str check;                           /* value of `# check=`, "" when absent */
	unsigned check_line;                 /* its line, 0 when absent */
	char escape;                         /* '\\' or '`' */
	struct dockerfile_warning *warnings; /* by line */
	size_t n_warnings;
	bool check_error; /* `# check=error=true`: warnings shall fail the build */
};

/* Parse a Dockerfile.
 *
 * text  copied; at most DOCKERFILE_MAX bytes
 * path  for messages and positions; copied
 *
 * An unknown instruction is an error here already, as are flags that do not end,
 * JSON arrays with other things than strings, unterminated heredocs.  What the
 * flags and arguments mean is checked by dockerfile_instrs().
 * Fails with CAIRN_E_SYNTAX, path and line set.
 */
int dockerfile_parse(str text, const char *path, struct dockerfile **ret, struct cairn_err *err);
void dockerfile_free(struct dockerfile *df); /* NULL is fine */
DEFINE_CLEANUP(struct dockerfile *, dockerfile_free);
#define cleanup_dockerfile __attribute__((cleanup(dockerfile_free_p_)))

struct ignore;

/* Look for mistakes once more, with what the context leaves out: df->warnings are made anew.
 * ignore may be NULL. Fails as dockerfile_parse(). */
int dockerfile_check(struct dockerfile *df, const struct ignore *ignore, struct cairn_err *err);

/* Add a warning that shows when the file is lowered, unless comments say check=skip=RULE.
 * line  of an instruction; rule: lives as long as df; text: copied */
void dockerfile_warn(struct dockerfile *df, unsigned line, const char *rule, str text);

/* What `cairn parse` prints: {"instructions":[...],"directives":{...},"warnings":[...]}.
 * Never NULL, owned by the caller. */
json_t *dockerfile_to_json(const struct dockerfile *df);

/* All instructions, typed and checked. The list lives in df's arena and borrows from it.
 * Fails with CAIRN_E_SYNTAX (path, line set) or CAIRN_E_UNSUPPORTED. */
int dockerfile_instrs(const struct dockerfile *df, struct instr_list *ret, struct cairn_err *err);

/* One line `n` (1-based) of the file, without its newline; empty when there is none.
 * For error displays. */
str dockerfile_line(const struct dockerfile *df, unsigned n);

#endif
