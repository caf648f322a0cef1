#include "ctx.h"

#include "util/mem.h"
#include "util/str.h"

const char *ctx_env(char *const *envp, const char *name)
{
	size_t n = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, n) == 0 && (*envp)[n] == '=')
			return (*envp)[n + 1] ? *envp + n + 1 : NULL;
	return NULL;
}

int ctx_home(char *const *envp, uid_t euid, char **ret_dir, struct cairn_err *err)
{
	const char *home = ctx_env(envp, "CAIRN_HOME");
	const char *xdg = ctx_env(envp, "XDG_DATA_HOME");
	const char *user = ctx_env(envp, "HOME");

	if (home && home[0] != '/')
		return cairn_fail(err, CAIRN_E_USAGE, "CAIRN_HOME is '%s'; give an absolute path",
		                  home);
	if (home)
		*ret_dir = xstrdup(home);
	else if (euid == 0)
		*ret_dir = xstrdup("/var/lib/cairn");
	else if (xdg && xdg[0] == '/') /* the XDG specification: a relative one is ignored */
		*ret_dir = xasprintf("%s/cairn", xdg);
	else if (user && user[0] == '/')
		*ret_dir = xasprintf("%s/.local/share/cairn", user);
	else
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "no place for the store: set CAIRN_HOME to a folder");
	return 0;
}

bool ctx_color(char *const *envp, bool is_tty)
{
	const char *term = ctx_env(envp, "TERM");

	return is_tty && !ctx_env(envp, "NO_COLOR") && !(term && strcmp(term, "dumb") == 0);
}
