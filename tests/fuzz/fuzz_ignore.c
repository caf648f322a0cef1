/* A .dockerignore, then paths by lines behind a NUL byte: a walk says the same as single
 * questions, and what may be skipped holds nothing that is wanted.  Each pattern is also
 * matched by both engines. */
#include <assert.h>
#include <stdint.h>

#include "dockerfile/dockerfile.h"
#include "dockerfile/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DEPTH_MAX 16

static void walk(const struct ignore *set, str path)
{
	struct ignore_dir dirs[DEPTH_MAX];
	bool skipped = false;
	size_t depth = 0;

	for (size_t i = 0; i <= path.len && depth < DEPTH_MAX; i++) {
		const struct ignore_dir *parent = depth ? &dirs[depth - 1] : NULL;
		str part = str_n(path.ptr, i);
		bool out;

		if (i < path.len && path.ptr[i] != '/')
			continue;
		out = ignore_match_in(set, part, parent, &dirs[depth++]);
		assert(out == ignore_match(set, part));
		assert(!skipped || out);
		skipped |= out && ignore_may_skip_dir(set, part);
	}
}

/* The fast engine and the exact one agree. */
static void engines(str pattern, str path, bool stars)
{
	struct glob_token tok[256];
	bool whole, more;
	struct glob g;

	if (pattern.len > ARRAY_SIZE(tok) || glob_check(pattern))
		return;
	g = glob_compile(pattern, stars, tok);
	glob_prefix(&g, path, &whole, &more);
	assert(glob_match(&g, path) == whole);
}

/* Paths as a walk gives them: no empty names. */
static bool proper(str path)
{
	str rest = path, part;

	while (str_next(&rest, '/', &part))
		if (!part.len)
			return false;
	return path.len > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_ignore struct ignore *set = NULL;
	struct cairn_err err = { 0 };
	str patterns, rest, path;

	str_cut(str_n((const char *)data, size), '\0', &patterns, &rest);
	if (ignore_parse(patterns, ".dockerignore", &set, &err) < 0) {
		assert(err.code == CAIRN_E_SYNTAX);
		return 0;
	}
	for (unsigned n = 0; n < 64 && str_next(&rest, '\n', &path); n++) {
		if (proper(path))
			walk(set, path);
		for (str all = patterns, one; str_next(&all, '\n', &one);) {
			engines(one, path, true);
			engines(one, path, false);
		}
	}
	return 0;
}
