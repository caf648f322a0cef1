/* The rule about what COPY and ADD name. */
#include "ignore.h"
#include "lint_rules.h"

/* A path of the context as .dockerignore sees it: without "./" and "/"; empty for all of it and for
 * what names no single path (URLs, wildcards, variables, heredocs). */
static str context_path(str word)
{
	if (str_search(word, S("://")) >= 0 || str_starts(word, S("<<")) ||
	    str_starts(word, S("git@")))
		return S("");
	for (size_t i = 0; i < word.len; i++)
		if (strchr("*?[$\"'\\", word.ptr[i]))
			return S("");
	while (str_starts(word, S("./")) || str_starts(word, S("/")))
		word = str_skip(word, word.ptr[0] == '.' ? 2 : 1);
	while (str_ends(word, S("/")))
		word.len--;
	return str_is(word, ".") ? S("") : word;
}

static bool from_elsewhere(const struct dockerfile_node *n)
{
	for (size_t i = 0; i < n->n_flags; i++)
		if (str_starts(n->flags[i], S("--from")))
			return true;
	return false;
}

void lint_copy_ignored(struct lint *l, const struct dockerfile_node *n)
{
	bool add = str_is(n->name, "add");

	if (!l->ignore || (!add && !str_is(n->name, "copy")) || from_elsewhere(n))
		return;
	for (size_t i = 0; i + 1 < n->n_args; i++) {
		str path = context_path(n->args[i]);

		if (path.len && ignore_match(l->ignore, path))
			lint_warn(l, n,
			          "Attempting to %s file \"%.*s\" that is excluded by "
			          ".dockerignore",
			          add ? "Add" : "Copy", STR(n->args[i]));
	}
}
