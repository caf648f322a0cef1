/* cli/ctx.h - filling struct cairn_ctx from the environment. */
#ifndef CAIRN_CLI_CTX_H
#define CAIRN_CLI_CTX_H

#include <sys/types.h>

#include "cmd.h"

/* The folder of the store: $CAIRN_HOME, else /var/lib/cairn for root (euid 0),
 * else $XDG_DATA_HOME/cairn, else $HOME/.local/share/cairn.
 *
 * envp     ends with NULL
 * ret_dir  owned, absolute
 *
 * Fails with CAIRN_E_USAGE when CAIRN_HOME is not an absolute path or when no
 * variable that could name a folder is set.
 */
int ctx_home(char *const *envp, uid_t euid, char **ret_dir, struct cairn_err *err);

/* A variable of envp: its value, or NULL when it is missing or empty. */
const char *ctx_env(char *const *envp, const char *name);

/* Colours are for terminals, and only without NO_COLOR (https://no-color.org) and TERM=dumb. */
bool ctx_color(char *const *envp, bool is_tty);

#endif
