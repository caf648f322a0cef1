/* dockerfile/ignore.h - path patterns: .dockerignore, --exclude, wildcards of COPY.
 *
 * Two languages, as in Docker:
 *
 * - Pattern sets (.dockerignore, COPY --exclude): * and ? do not cross '/', ** does,
 *   [a-z] [^a-z], \ escapes, a leading ! re-includes, the last match wins, and what is
 *   below a matched directory is matched too (unless re-included).
 * - Single patterns (sources of COPY and ADD): Go's filepath.Match, which has no **.
 *
 * Paths are relative, with '/' and without "." or "..": "a/b".  A set is read-only
 * after it was made and may be used by several threads.
 */
#ifndef CAIRN_DOCKERFILE_IGNORE_H
#define CAIRN_DOCKERFILE_IGNORE_H

#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"
#include "util/str.h"

#define IGNORE_PATTERNS_MAX 2048 /* patterns of one set */

struct ignore;

/* Make a set from the text of a .dockerignore: BOM and CR removed, '#' at column 0 is a
 * comment, blank lines skipped, patterns trimmed and cleaned, a leading '/' dropped.
 *
 * path  for messages
 * Fails with CAIRN_E_SYNTAX (path, line) for a malformed pattern. */
int ignore_parse(str text, const char *path, struct ignore **ret, struct cairn_err *err);

/* Make a set from single patterns, as --exclude gives them. Fails with CAIRN_E_SYNTAX. */
int ignore_new(const str *patterns, size_t n, struct ignore **ret, struct cairn_err *err);

void ignore_free(struct ignore *set); /* NULL is fine */
DEFINE_CLEANUP(struct ignore *, ignore_free);
#define cleanup_ignore __attribute__((cleanup(ignore_free_p_)))

/* The set has no patterns: nothing is excluded. NULL counts as empty. */
bool ignore_empty(const struct ignore *set);

/* Which patterns a directory matched; its children need it. For walks. */
struct ignore_dir {
	uint64_t bits[IGNORE_PATTERNS_MAX / 64];
};

/* Is `path` excluded?  For single questions; looks at all its parents. NULL set: never. */
bool ignore_match(const struct ignore *set, str path);

/* The same inside of a walk, without looking at the parents again.
 *
 * parent   what this function gave for the directory that path lies in; NULL at the top
 * ret_dir  filled for a directory, to be given to its children; NULL for other files
 */
bool ignore_match_in(const struct ignore *set, str path, const struct ignore_dir *parent,
                     struct ignore_dir *ret_dir);

/* `dir` is excluded (ignore_match said so): can the walk leave out everything below it?
 * False when some ! pattern could match below. */
bool ignore_may_skip_dir(const struct ignore *set, str dir);

/* Go's filepath.Match, the whole path against the whole pattern; '*', '?' and classes do
 * not match '/'.  A malformed pattern matches nothing (see pattern_check). */
bool pattern_match(str pattern, str path);

/* Fails with CAIRN_E_SYNTAX when the pattern is malformed: "[" without end, "\" at the end. */
int pattern_check(str pattern, struct cairn_err *err);

/* Has * ? [ in it, so that a source of COPY is a pattern (an escaped one counts, too). */
bool pattern_has_wildcard(str pattern);

#endif
