/* cli/settings.h - cairn.yaml, as commands use it.
 *
 *	settings_load(ctx, opts->config, ".", err)        once, early
 *	ctx->config->...
 *	settings_session(ctx, &session_opts)              how registries are spoken to
 */
#ifndef CAIRN_CLI_SETTINGS_H
#define CAIRN_CLI_SETTINGS_H

#include "cmd.h"
#include "registry/registry.h"
#include "workspace/workspace.h"

/* The row of an option table for --config; the field is a const char *. */
#define SETTINGS_OPTION(T, field)                                                                \
	{                                                                                        \
		"config", 0, OPT_STRING(T, field),                                               \
			.arg = "FILE", .hint = CLI_HINT_FILE,                                    \
			.help = "Use this configuration in place of the repository's cairn.yaml" \
	}

/* Fill ctx->config, unless that was done.
 *
 * file  value of --config; NULL: CAIRN_CONFIG, else cairn.yaml in dir or above
 *
 * Fails as workspace_config_load(). */
int settings_load(struct cairn_ctx *ctx, const char *file, const char *dir, struct cairn_err *err);

/* Fill the hosts, mirrors, certificate file and environment of a registry session; cancel and warn
 * are the caller's. Lives as long as ctx->config, which is loaded.
 *
 * copies  also the copies that `cairn base sync` made */
void settings_session(const struct cairn_ctx *ctx, bool copies, struct registry_session_opts *ret);

#endif
