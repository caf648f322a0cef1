/* glob.h - one path pattern, compiled; the engine below ignore.h. Private to the module. */
#ifndef CAIRN_DOCKERFILE_GLOB_H
#define CAIRN_DOCKERFILE_GLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "util/str.h"

#define GLOB_MAX 4096 /* bytes of a pattern */

enum glob_kind {
	GLOB_CHAR,     /* this character */
	GLOB_ONE,      /* ?: one character but '/' */
	GLOB_CLASS,    /* [...] */
	GLOB_STAR,     /* *: any number of characters but '/' */
	GLOB_ANY_DIRS, /* ** not at the end: nothing, or anything that ends in '/' */
	GLOB_ANY,      /* ** at the end: anything */
};

struct glob_token {
	uint8_t kind; /* enum glob_kind */
	uint32_t c;   /* CHAR: code point; CLASS: offset in the pattern, behind '[' */
};

struct glob {
	str pattern;            /* borrowed; classes are read from it */
	struct glob_token *tok; /* borrowed from who called glob_compile() */
	size_t n;
	bool class_slash; /* a class may match '/' (pattern sets; not filepath.Match) */
	bool odd;         /* glob_prefix() must match it: a ** does not stand behind '/', or a class
	                     that takes '/' comes behind a star */
};

/* NULL, or why the pattern is malformed. */
const char *glob_check(str pattern);

/* Compile a pattern that glob_check() accepts.
 *
 * tok    room for pattern.len tokens
 * stars  ** has its meaning; else it is two * */
struct glob glob_compile(str pattern, bool stars, struct glob_token *tok);

/* The whole path matches. */
bool glob_match(const struct glob *g, str path);

/* What can become of `path` when more follows: *ret_whole it matches as it is,
 * *ret_more some longer path that begins with it could match.
 * Exact for all patterns, at O(path * pattern) steps. */
void glob_prefix(const struct glob *g, str path, bool *ret_whole, bool *ret_more);

#endif
