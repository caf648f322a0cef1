/* dockerfile/words.h - variable expansion and quoting of Dockerfile words.
 *
 * The language of $x, ${x:-word}, ${x#pattern}, 'quotes', "quotes" and escapes, as
 * BuildKit's shell lexer speaks it:
 *
 *	$x ${x}                      value, "" when unset
 *	${x:-w} ${x-w}               w when unset (with ':' also when empty)
 *	${x:+w} ${x+w}               w when set
 *	${x:?w} ${x?w}               fails with message w when unset
 *	${x#p} ${x##p} ${x%p} ${x%%p}  value without the shortest/longest prefix/suffix p
 *	${x/p/r} ${x//p/r}           first/every p replaced by r
 *
 * Patterns know * and ? with \ as escape.  w, p and r are expanded themselves.
 * Names are ASCII letters, digits and _; digits alone and @ * # ? - $ ! 0 are names too.
 */
#ifndef CAIRN_DOCKERFILE_WORDS_H
#define CAIRN_DOCKERFILE_WORDS_H

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

#define WORDS_RESULT_MAX (1u << 20) /* bytes of one expanded word */
#define WORDS_DEPTH_MAX  32         /* ${a:-${b:-...}} */

/* Value of a variable: true and *ret_value set when it is set (perhaps to ""), else false.
 * The value is borrowed until the expansion returns. Called once for each use, so it may
 * note what was used and what was missing. */
typedef bool (*words_lookup)(void *ctx, str name, str *ret_value);

/* How to expand; filled by the caller, reused for many words. */
struct words {
	words_lookup lookup;
	void *ctx;           /* first argument of lookup */
	struct arena *arena; /* owns the results; a word without anything to expand is
	                        returned as it is, not copied */
	char escape;         /* struct dockerfile.escape */
	const char *path;    /* for errors; NULL = unknown */
	unsigned line;       /* for errors; 0 = unknown */
};

/* Expand one word, remove quotes and escapes.  For every word field of instr.h that is
 * not marked otherwise.  Blanks in values stay: the result is one word.
 * Fails with CAIRN_E_SYNTAX (path and line from w): bad substitution, missing quote,
 * the message of ${x:?msg}, result above WORDS_RESULT_MAX. */
int words_expand(const struct words *w, str word, str *ret, struct cairn_err *err);

/* The same, then split at blanks that came from outside of quotes; empty results
 * disappear.  EXPOSE does this.  *ret is an array in the arena. */
int words_split(const struct words *w, str word, str **ret, size_t *ret_n, struct cairn_err *err);

/* Expand a heredoc body of COPY or ADD: variables and escapes (always '\\'), quotes stay. */
int words_expand_body(const struct words *w, str body, str *ret, struct cairn_err *err);

/* The word has nothing to expand, quote or escape: words_expand() would return it as it is. */
bool words_is_plain(str word, char escape);

/* A lookup that finds nothing; ctx is ignored. */
bool words_lookup_none(void *ctx, str name, str *ret_value);

#endif
