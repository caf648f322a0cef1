/* Rules about what scripts do. */
#include "check.h"

/* --- caches ------------------------------------------------------------------------- */

/* Folders that programs fill without being told to. */
static const struct tool {
	const char *path, *programs;
} tools[] = {
	{ ".cache/pip", "pip pip3 python python3 poetry uv" },
	{ ".cache/uv", "uv" },
	{ ".cache/pypoetry", "poetry" },
	{ ".npm", "npm npx" },
	{ "node_modules", "npm yarn pnpm bun" },
	{ ".cache/yarn", "yarn" },
	{ ".yarn", "yarn" },
	{ ".pnpm-store", "pnpm" },
	{ ".cargo", "cargo rustup cross" },
	{ "target", "cargo mvn" },
	{ ".m2", "mvn" },
	{ ".gradle", "gradle ./gradlew gradlew" },
	{ ".cache/go-build", "go" },
	{ "go/pkg/mod", "go" },
	{ ".ccache", "ccache cmake make ninja" },
	{ ".cache/ccache", "ccache cmake make ninja" },
	{ ".conan", "conan" },
	{ ".terraform", "terraform tofu" },
	{ "/var/cache/apt", "apt apt-get" },
	{ ".cache/pre-commit", "pre-commit" },
};

static bool in_words(str word, const char *list)
{
	str rest = str_of(list), one;

	while (str_next(&rest, ' ', &one))
		if (str_eq(one, word))
			return true;
	return false;
}

/* The path as commands would write it: without a home before it and patterns behind
 * it. */
static str core_of(str path)
{
	static const char *const before[] = { "~/",       "./",     "$HOME/",
		                              "${HOME}/", "/root/", "${{ github.workspace }}/" };
	static const char *const behind[] = { "/**/*", "/**", "/*", "/" };

	for (size_t i = 0; i < ARRAY_SIZE(before); i++)
		if (str_starts(path, str_of(before[i])))
			path = str_skip(path, strlen(before[i]));
	for (size_t i = 0; i < ARRAY_SIZE(behind); i++)
		if (str_ends(path, str_of(behind[i])))
			path.len -= strlen(behind[i]);
	return path;
}

static bool command_writes(const struct shell_command *c, str path)
{
	str program = shell_arg(c, shell_program(c));

	for (size_t i = 0; i < ARRAY_SIZE(tools); i++)
		if (str_search(path, str_of(tools[i].path)) >= 0 &&
		    in_words(program, tools[i].programs))
			return true;
	for (size_t i = 0; i < c->n_words; i++)
		if (str_search(c->words[i].text, path) >= 0)
			return true;
	for (size_t i = 0; i < c->n_redirects; i++)
		if (str_search(c->redirects[i].target, path) >= 0)
			return true;
	return false;
}

static bool is_written(const struct pipeline *p, str path)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands)
			if (s->kind != PIPELINE_DOCKERFILE && command_writes(c, path))
				return true;
	vec_foreach (b, &p->builds) {
		vec_foreach (to, &b->cache_to)
			if (str_search(to->text, path) >= 0)
				return true;
	}
	return false;
}

void check_cache_path(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (c, &p->cached) {
		str path = core_of(c->path);

		if (path.len && str_find(path, '$') < 0 && !is_written(p, path))
			check_add(r, rule, &c->at, c->at.line,
			          check_say(p, "nothing writes to '%.*s'", STR(c->path)));
	}
}

static bool is_prune(const struct shell_command *c)
{
	static const char *const objects[] = { "system", "builder", "buildx", "image", "volume" };
	size_t i = shell_program(c);

	if (!str_is(shell_arg(c, i), "docker") || !str_is(shell_arg(c, i + 2), "prune"))
		return false;
	for (size_t k = 0; k < ARRAY_SIZE(objects); k++)
		if (str_is(shell_arg(c, i + 1), objects[k]))
			return true;
	return false;
}

/* Does the job save a cache that a prune takes from? From when on? 0: it does not. */
static unsigned filled_from(const struct pipeline *p, unsigned job)
{
	bool saves = false;
	unsigned first = 0;

	vec_foreach (c, &p->cached)
		saves |= c->at.job == job;
	vec_foreach (b, &p->builds)
		if (b->at.job == job && (saves || b->cache_to.len) &&
		    (!first || b->at.line < first))
			first = b->at.line;
	return first;
}

void check_prune(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts) {
		unsigned from = filled_from(p, s->at.job);

		vec_foreach (c, &s->shell.commands)
			if (from && c->line > from && is_prune(c))
				check_add(r, rule, &s->at, c->line,
				          check_say(p,
				                    "a prune after the build in line %u, in a "
				                    "job that saves its cache",
				                    from));
	}
}

/* --- which images changed -------------------------------------------------------------- */

void check_diff_base(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands) {
			size_t i = shell_program(c);

			if (!str_is(shell_arg(c, i), "git"))
				continue;
			if (!str_is(shell_arg(c, i + 1), "diff") &&
			    !str_is(shell_arg(c, i + 1), "diff-tree"))
				continue;
			for (size_t k = i + 2; k < c->n_words; k++)
				if (str_starts(c->words[k].text, S("HEAD~")) ||
				    str_starts(c->words[k].text, S("HEAD^")))
					check_add(r, rule, &s->at, c->line,
					          check_say(p, "changes are told from '%.*s'",
					                    STR(c->words[k].text)));
		}
}

/* The folder of a Dockerfile, which people call an image by. */
static str image_name(str file)
{
	ptrdiff_t end = str_rfind(file, '/');
	str folder = str_n(file.ptr, end < 0 ? 0 : (size_t)end);

	return str_skip(folder, (size_t)(str_rfind(folder, '/') + 1));
}

/* Another image whose name has `name` in it, when `name` is an image. */
static str longer_name(const struct pipeline *p, str name)
{
	bool known = false;
	str longer = { 0 };

	vec_foreach (d, &p->dockerfiles) {
		str other = image_name(d->file);

		known |= str_eq(other, name);
		if (other.len > name.len && str_search(other, name) >= 0)
			longer = other;
	}
	return known ? longer : (str){ 0 };
}

static void tell_substring(struct pipeline *p, const struct check_rule *rule,
                           const struct pipeline_place *at, unsigned line, str name,
                           struct check_result *r)
{
	str longer = name.len ? longer_name(p, name) : (str){ 0 };

	if (longer.len)
		check_add(r, rule, at, line,
		          check_say(p, "'%.*s' also matches '%.*s'", STR(name), STR(longer)));
}

/* The pattern of a grep that looks for parts of lines; "" when it is none. */
static str grep_pattern(const struct shell_command *c)
{
	size_t i = shell_program(c);

	if (!str_is(shell_arg(c, i), "grep") && !str_is(shell_arg(c, i), "egrep"))
		return S("");
	for (i++; str_starts(shell_arg(c, i), S("-")); i++)
		if (str_find(shell_arg(c, i), 'x') >= 0 || str_find(shell_arg(c, i), 'w') >= 0)
			return S("");
	return shell_arg(c, i);
}

/* "containers/app/" ends the name, "containers/app" does not; "^app$" is whole. */
static str last_part(str pattern)
{
	if (str_ends(pattern, S("/")) || str_ends(pattern, S("$")) || str_ends(pattern, S("\\b")))
		return S("");
	return str_skip(pattern, (size_t)(str_rfind(pattern, '/') + 1));
}

static void look_at_words(struct pipeline *p, const struct check_rule *rule,
                          const struct pipeline_script *s, const struct shell_command *c,
                          struct check_result *r)
{
	tell_substring(p, rule, &s->at, c->line, last_part(grep_pattern(c)), r);
	if (!str_is(shell_arg(c, shell_program(c)), "[["))
		return;
	for (size_t i = 0; i < c->n_words; i++) { /* [[ $changed == *name* ]] */
		str w = c->words[i].text;

		if (w.len > 2 && str_starts(w, S("*")) && str_ends(w, S("*")))
			tell_substring(p, rule, &s->at, c->line,
			               last_part(str_n(w.ptr + 1, w.len - 2)), r);
	}
}

void check_substring(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands)
			look_at_words(p, rule, s, c, r);
	vec_foreach (c, &p->conditions) {
		str rest = c->text, before, name;

		if (str_search(c->text, S("contains(")) < 0)
			continue;
		while (str_cut(rest, '\'', &before, &rest) && str_cut(rest, '\'', &name, &rest))
			tell_substring(p, rule, &c->at, c->at.line, last_part(name), r);
	}
}

/* --- inputs of RUN ----------------------------------------------------------------------- */

/* Does a commit or a tag stand somewhere in this script behind a checkout or --branch? */
static bool checks_out(const struct pipeline_script *s)
{
	vec_foreach (c, &s->shell.commands) {
		size_t i = shell_program(c);

		if (str_is(shell_arg(c, i), "git"))
			for (size_t k = i + 1; k < c->n_words; k++)
				if (str_is(shell_arg(c, k), "checkout") ||
				    str_is(shell_arg(c, k), "reset"))
					return true;
	}
	return false;
}

static bool is_branch_name(str b)
{
	return !b.len || str_is(b, "main") || str_is(b, "master") || str_is(b, "develop");
}

static void look_at_git(struct pipeline *p, const struct check_rule *rule,
                        const struct pipeline_script *s, const struct shell_command *c, size_t i,
                        struct check_result *r)
{
	str branch = { 0 }, url = { 0 };

	if (!str_is(shell_arg(c, i + 1), "clone") || checks_out(s))
		return;
	for (size_t k = i + 2; k < c->n_words; k++) {
		str w = c->words[k].text;

		if (str_is(w, "--branch") || str_is(w, "-b"))
			branch = shell_arg(c, ++k);
		else if (str_starts(w, S("--branch=")))
			branch = str_skip(w, sizeof("--branch=") - 1);
		else if (!url.len && (str_search(w, S("://")) >= 0 || str_starts(w, S("git@"))))
			url = w;
	}
	if (url.len && is_branch_name(branch))
		check_add(r, rule, &s->at, c->line,
		          check_say(p, "'git clone %.*s' takes what is newest", STR(url)));
}

static bool takes_value(str option)
{
	return in_words(option, "-i --index-url --extra-index-url -f --find-links -t --target "
	                        "--platform --python-version --prefix --root --cache-dir --timeout "
	                        "--progress-bar --trusted-host --only-binary --no-binary");
}

/* Is it a requirement that names no version? Variables and files are not looked into. */
static bool is_unpinned(str w)
{
	ptrdiff_t scheme = str_search(w, S("git+"));

	if (!w.len || str_find(w, '$') >= 0)
		return false;
	if (scheme >= 0) {
		str path = str_skip(w, (size_t)scheme);
		ptrdiff_t slashes = str_search(path, S("://"));

		path = str_skip(path, slashes < 0 ? 0 : (size_t)slashes + 3);
		path = str_skip(path, (size_t)(str_find(path, '/') + 1));
		return str_find(path, '@') < 0; /* behind the host: a user may stand before it */
	}
	return str_find(w, '/') < 0 && !str_is(w, ".") && !str_ends(w, S(".whl")) &&
	       str_search(w, S("==")) < 0 && str_search(w, S("===")) < 0;
}

static void look_at_pip(struct pipeline *p, const struct check_rule *rule,
                        const struct pipeline_script *s, const struct shell_command *c, size_t i,
                        struct check_result *r)
{
	static const char *const tools_of_pip = "pip setuptools wheel";

	for (; i < c->n_words; i++) {
		str w = c->words[i].text;

		if (str_is(w, "-r") || str_is(w, "-c") || str_is(w, "--requirement") ||
		    str_is(w, "--constraint"))
			return; /* versions are in a file */
		if (str_is(w, "-e") || takes_value(w)) {
			i++;
			continue;
		}
		if (!str_starts(w, S("-")) && !in_words(w, tools_of_pip) && is_unpinned(w))
			check_add(
				r, rule, &s->at, c->line,
				check_say(p, "'pip install %.*s' names no exact version", STR(w)));
	}
}

/* Index of the first word behind "pip install", "python -m pip install", "uv pip install"; 0: none.
 */
static size_t pip_words(const struct shell_command *c)
{
	for (size_t i = shell_program(c); i + 1 < c->n_words && i < 6; i++)
		if ((str_is(shell_arg(c, i), "pip") || str_is(shell_arg(c, i), "pip3")) &&
		    str_is(shell_arg(c, i + 1), "install"))
			return i + 2;
	return 0;
}

void check_unpinned(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands) {
			size_t i = shell_program(c), pip = pip_words(c);

			if (s->kind != PIPELINE_DOCKERFILE)
				continue;
			if (str_is(shell_arg(c, i), "git"))
				look_at_git(p, rule, s, c, i, r);
			if (pip)
				look_at_pip(p, rule, s, c, pip, r);
		}
}

void check_redirect(struct pipeline *p, const struct check_rule *rule, struct check_result *r)
{
	vec_foreach (s, &p->scripts)
		vec_foreach (c, &s->shell.commands)
			for (size_t i = 0; i < c->n_redirects; i++)
				if (str_is(c->redirects[i].op, ">") &&
				    str_starts(c->redirects[i].target, S("=")))
					check_add(r, rule, &s->at, c->line,
					          check_say(p, "'>%.*s' in '%.*s' has no quotes",
					                    STR(c->redirects[i].target),
					                    STR(shell_arg(c, shell_program(c)))));
}
