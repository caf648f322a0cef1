/* The values of `cairn run`, as pure functions. */
#include "ctx.h"
#include "image/image.h"
#include "run_opts.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

int run_volume_parse(const char *text, struct arena *a, struct run_volume *ret,
                     struct cairn_err *err)
{
	struct run_volume v = { 0 };
	str host, rest, inside, mode;

	if (!str_cut(str_of(text), ':', &host, &rest))
		return cairn_fail(
			err, CAIRN_E_USAGE,
			"--volume '%s': give HOST:INSIDE[:ro]; volumes without a folder of "
			"the host are not built yet",
			text);
	if (!str_cut(rest, ':', &inside, &mode))
		mode = S("rw");
	v.host = arena_cstr(a, host);
	v.inside = arena_cstr(a, inside);
	v.read_only = str_is(mode, "ro");
	if (v.host[0] != '/' || v.inside[0] != '/')
		return cairn_fail(err, CAIRN_E_USAGE, "--volume '%s': both paths must be absolute",
		                  text);
	if (!v.read_only && !str_is(mode, "rw"))
		return cairn_fail(err, CAIRN_E_USAGE, "--volume '%s': '%.*s' is not ro or rw", text,
		                  STR(mode));
	*ret = v;
	return 0;
}

static str name_of(str var)
{
	ptrdiff_t eq = str_find(var, '=');

	return eq < 0 ? var : str_n(var.ptr, (size_t)eq);
}

/* Replace the variable of the same name, or append. */
static void put(const char **env, size_t *n, const char *var)
{
	for (size_t i = 0; i < *n; i++) {
		if (str_eq(name_of(str_of(env[i])), name_of(str_of(var)))) {
			env[i] = var;
			return;
		}
	}
	env[(*n)++] = var;
}

const char **run_environment(const struct image_config *c, const struct cli_list *extra,
                             char *const *envp, const char *home, struct arena *a, size_t *ret_n)
{
	const char **env = arena_array(a, const char *, c->env.len + extra->len + 4);
	const char *term = ctx_env(envp, "TERM");
	size_t n = 0;

	put(env, &n, DEFAULT_PATH);
	put(env, &n, arena_printf(a, "HOME=%s", home));
	if (term)
		put(env, &n, arena_printf(a, "TERM=%s", term));
	for (size_t i = 0; i < c->env.len; i++)
		put(env, &n, arena_cstr(a, c->env.ptr[i]));
	for (size_t i = 0; i < extra->len; i++) {
		const char *var = extra->ptr[i];

		if (strchr(var, '='))
			put(env, &n, var);
		else if (ctx_env(envp, var))
			put(env, &n, arena_printf(a, "%s=%s", var, ctx_env(envp, var)));
	}
	*ret_n = n;
	return env;
}

int run_command_line(const struct image_config *c, const struct run_words *w, struct arena *a,
                     const char *const **ret, size_t *ret_n, struct cairn_err *err)
{
	const char **argv = arena_array(a, const char *, c->entrypoint.len + c->cmd.len + w->n + 2);
	size_t n = 0;

	if (w->entrypoint && *w->entrypoint)
		argv[n++] = w->entrypoint;
	for (size_t i = 0; !w->entrypoint && i < c->entrypoint.len; i++)
		argv[n++] = arena_cstr(a, c->entrypoint.ptr[i]);
	for (size_t i = 0; i < w->n; i++)
		argv[n++] = w->words[i];
	for (size_t i = 0; w->n == 0 && !w->entrypoint && i < c->cmd.len; i++)
		argv[n++] = arena_cstr(a, c->cmd.ptr[i]);
	if (n == 0)
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "the image has no command; give one after its name");
	*ret = argv;
	*ret_n = n;
	return 0;
}
