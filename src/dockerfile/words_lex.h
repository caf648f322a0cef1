/* words_lex.h - the engine below words.h, for this module: the heredoc parser needs words
 * in which quotes, escapes and unknown variables stay as they are. */
#ifndef CAIRN_DOCKERFILE_WORDS_LEX_H
#define CAIRN_DOCKERFILE_WORDS_LEX_H

#include "util/strbuf.h"
#include "words.h"

enum words_flag {
	WORDS_RAW_QUOTES = 1u << 0,  /* quotes group, but stay in the result */
	WORDS_RAW_ESCAPES = 1u << 1, /* escapes protect, but stay in the result */
	WORDS_NO_QUOTES = 1u << 2,   /* quotes are ordinary characters */
	WORDS_KEEP_UNSET = 1u << 3,  /* $x of an unset x stays "$x" */
	WORDS_SPLIT = 1u << 4,       /* the words are wanted, too */
	WORDS_HEREDOC = 1u << 5,     /* "<<" keeps the blanks after it in its word */
};

/* What words_lex() gives; all in w's arena. */
struct words_result {
	str all;    /* the whole result */
	str *words; /* with WORDS_SPLIT: the result split at unquoted blanks */
	size_t n_words;
};

/* Expand `word`. Fails as words_expand() does. */
int words_lex(const struct words *w, unsigned flags, str word, struct words_result *ret,
              struct cairn_err *err);

enum words_trim {
	WORDS_PREFIX_SHORT,
	WORDS_PREFIX_LONG,
	WORDS_SUFFIX_SHORT,
	WORDS_SUFFIX_LONG,
};

#define WORDS_PATTERN_VALUE_MAX 65536 /* bytes of a value that a pattern is applied to */
#define WORDS_PATTERN_MAX       1024  /* bytes of a pattern */

/* `value` without the prefix or suffix that `pattern` matches; a view of value.
 * *ret_why is the reason of a failure, static: malformed pattern or above the limits. */
int words_pattern_trim(str value, str pattern, enum words_trim how, str *ret, const char **ret_why);

/* Append `value` with the first or all matches of `pattern` replaced; the longest match
 * at the leftmost place counts. */
int words_pattern_replace(str value, str pattern, str replacement, bool all, struct strbuf *out,
                          const char **ret_why);

#endif
