#include "settings.h"

#include "ctx.h"

int settings_load(struct cairn_ctx *ctx, const char *file, const char *dir, struct cairn_err *err)
{
	if (ctx->config)
		return 0;
	if (!file)
		file = ctx_env(ctx->envp, "CAIRN_CONFIG");
	return workspace_config_load(file, dir, &ctx->config, err);
}

static const char *text_or_null(const struct workspace_config *c, str s)
{
	return s.len ? arena_cstr(c->arena, s) : NULL;
}

static void set_hosts(const struct workspace_config *c, struct registry_session_opts *ret)
{
	struct registry_host_settings *hosts =
		arena_array(c->arena, struct registry_host_settings, c->registries.len);

	for (size_t i = 0; i < c->registries.len; i++) {
		const struct workspace_registry *r = &c->registries.ptr[i];

		hosts[i] = (struct registry_host_settings){
			.host = arena_cstr(c->arena, r->host),
			.plain_http = r->http,
			.skip_verify = r->insecure_skip_verify,
			.ca_file = text_or_null(c, r->ca),
			.cert_file = text_or_null(c, r->cert),
			.key_file = text_or_null(c, r->key),
		};
	}
	ret->hosts = hosts;
	ret->n_hosts = c->registries.len;
}

/* As references have it: index.docker.io is docker.io. */
static const char *domain_of(const struct workspace_config *c, str host)
{
	cleanup_free char *image = xasprintf("%.*s/x/y", STR(host));
	struct reference ref;
	struct cairn_err err;

	if (reference_parse(str_of(image), &ref, &err) < 0)
		CAIRN_BUG("host '%.*s' was accepted: %s", STR(host), err.msg);
	return arena_cstr(c->arena, str_of(ref.domain));
}

static void set_mirrors(const struct workspace_config *c, bool copies,
                        struct registry_session_opts *ret)
{
	struct registry_mirror *mirrors;
	size_t n = 1;

	for (size_t i = 0; i < c->mirrors.len; i++)
		n += c->mirrors.ptr[i].locations.len;
	mirrors = arena_array(c->arena, struct registry_mirror, n);
	n = 0;
	if (copies && c->base.registry.len)
		mirrors[n++].location = arena_cstr(c->arena, c->base.registry);
	for (size_t i = 0; i < c->mirrors.len; i++) {
		const struct workspace_mirror *m = &c->mirrors.ptr[i];

		for (size_t k = 0; k < m->locations.len; k++)
			mirrors[n++] = (struct registry_mirror){
				domain_of(c, m->domain),
				arena_cstr(c->arena, m->locations.ptr[k]),
			};
	}
	ret->mirrors = mirrors;
	ret->n_mirrors = n;
}

void settings_session(const struct cairn_ctx *ctx, bool copies, struct registry_session_opts *ret)
{
	ret->ca_file = ctx_env(ctx->envp, "SSL_CERT_FILE");
	ret->envp = ctx->envp;
	set_hosts(ctx->config, ret);
	set_mirrors(ctx->config, copies, ret);
}
