/* cairn build: options as the graph and the engine take them. */
#include "build_priv.h"
#include "build_values.h"
#include "ctx.h"
#include "util/fs.h"

/* The environment's SOURCE_DATE_EPOCH is an argument of every build, as with docker. */
static void set_epoch_arg(struct build_run *r)
{
	static const char name[] = "SOURCE_DATE_EPOCH";
	const char *epoch = ctx_env(r->ctx->envp, name);

	if (epoch && !map_has(&r->build_args, str_of(name)))
		map_put(&r->build_args, str_of(name), arena_cstr(r->a, str_of(epoch)));
}

int build_set_pairs(struct build_run *r, struct cairn_err *err)
{
	const struct cli_build_opts *o = r->o;
	struct build_pair pair = { 0 };

	for (size_t i = 0; i < o->build_args.len; i++) {
		TRY(build_pair_parse("build-arg", o->build_args.ptr[i], r->a, &pair, err));
		if (!pair.value)
			pair.value = ctx_env(r->ctx->envp, pair.key);
		if (pair.value)
			map_put(&r->build_args, str_of(pair.key),
			        arena_cstr(r->a, str_of(pair.value)));
	}
	set_epoch_arg(r);
	for (size_t i = 0; i < o->contexts.len; i++) {
		struct engine_context *c = arena_new_of(r->a, struct engine_context);

		TRY(build_pair_parse("build-context", o->contexts.ptr[i], r->a, &pair, err));
		if (!pair.value)
			return cairn_fail(err, CAIRN_E_USAGE,
			                  "--build-context %s: expected NAME=PATH",
			                  o->contexts.ptr[i]);
		map_put(&r->context_values, str_of(pair.key), arena_cstr(r->a, str_of(pair.value)));
		c->dir = pair.value;
		map_put(&r->contexts, str_of(pair.key), c);
	}
	r->context = (struct engine_context){ r->o->context, r->ignore };
	map_put(&r->contexts, S(""), &r->context);
	return 0;
}

static str *str_list(struct build_run *r, const struct cli_list *l, size_t *n)
{
	str *v = arena_array(r->a, str, l->len);

	for (size_t i = 0; i < l->len; i++)
		v[i] = str_of(l->ptr[i]);
	*n = l->len;
	return v;
}

/* Values that may be comma lists. */
static str *comma_list(struct build_run *r, const struct cli_list *l, size_t *n)
{
	size_t max = 0;
	str *v, rest, piece;

	for (size_t i = 0; i < l->len; i++)
		for (const char *c = l->ptr[i]; c; c = strchr(c + 1, ','))
			max++;
	v = arena_array(r->a, str, max + 1);
	*n = 0;
	for (size_t i = 0; i < l->len; i++)
		for (rest = str_of(l->ptr[i]); str_next(&rest, ',', &piece);)
			if (piece.len)
				v[(*n)++] = piece;
	return v;
}

int build_set_graph_opts(struct build_run *r, struct cairn_err *err)
{
	struct graph_opts *g = &r->gopts;
	size_t n = 0;
	str *platforms = comma_list(r, &r->o->platforms, &n);

	if (n > 1)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "--platform: several platforms are not built yet");
	g->platform = platform_host();
	if (n)
		TRY(platform_parse(platforms[0], &g->platform, err));
	g->target = str_of(r->o->target ? r->o->target : "");
	g->build_args = &r->build_args;
	g->labels = str_list(r, &r->o->labels, &g->n_labels);
	g->no_cache = r->o->no_cache;
	g->no_cache_stages = comma_list(r, &r->o->no_cache_filter, &g->n_no_cache_stages);
	g->contexts = &r->context_values;
	g->resolve_base = base_resolve;
	g->ctx = r->bases;
	return 0;
}

#define SECRET_MAX (500u << 10) /* as BuildKit */

static int load_secret(struct build_run *r, const char *text, struct engine_secret *ret,
                       struct cairn_err *err)
{
	struct build_secret s = { 0 };
	struct strbuf value;
	const char *v;
	int got;

	TRY(build_secret_parse(text, r->a, &s, err));
	ret->id = str_of(s.id);
	if (s.env) {
		v = ctx_env(r->ctx->envp, s.env);
		if (!v)
			return cairn_fail(err, CAIRN_E_NOT_FOUND,
			                  "--secret id=%s: variable %s is not set", s.id, s.env);
		ret->value = str_of(v);
		return 0;
	}
	strbuf_init(&value, SECRET_MAX);
	got = fs_read_file(AT_FDCWD, s.src, &value, err);
	ret->value = arena_str(r->a, strbuf_view(&value));
	strbuf_done(&value);
	return got < 0 ? cairn_wrap(err, "--secret id=%s", s.id) : 0;
}

static int set_ssh(struct build_run *r, struct cairn_err *err)
{
	struct engine_ssh *ssh = arena_array(r->a, struct engine_ssh, r->o->ssh.len);

	for (size_t i = 0; i < r->o->ssh.len; i++) {
		str id, socket;

		if (!str_cut(str_of(r->o->ssh.ptr[i]), '=', &id, &socket))
			socket = str_of(ctx_env(r->ctx->envp, "SSH_AUTH_SOCK"));
		if (!socket.len)
			return cairn_fail(
				err, CAIRN_E_NOT_FOUND,
				"--ssh %s: SSH_AUTH_SOCK is not set; start an agent or give ID=SOCKET",
				r->o->ssh.ptr[i]);
		ssh[i] = (struct engine_ssh){ id, arena_cstr(r->a, socket) };
	}
	r->eopts.ssh = ssh;
	r->eopts.n_ssh = r->o->ssh.len;
	return 0;
}

static int set_network(struct build_run *r, struct cairn_err *err)
{
	static const char *const words[] = { "default", "none", "host", NULL };
	const char *n = r->o->network;
	char hint[STR_HINT_MAX];

	if (!n && r->ctx->config->sandbox_network == WORKSPACE_NETWORK_NONE)
		n = "none";
	r->eopts.env.network_default = !n || strcmp(n, "default") == 0;
	if (!n || strcmp(n, "default") == 0 || strcmp(n, "host") == 0)
		r->eopts.env.network = GRAPH_NET_HOST;
	else if (strcmp(n, "none") == 0)
		r->eopts.env.network = GRAPH_NET_NONE;
	else
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "--network=%s: expected default, none or host%s", n,
		                  str_did_you_mean(str_of(n), words, hint));
	return 0;
}

/* CAIRN_ROOTFS names a driver, for machines where the best one is not the wanted one. */
static int set_rootfs(struct build_run *r, struct cairn_err *err)
{
	const char *want = ctx_env(r->ctx->envp, "CAIRN_ROOTFS");

	if (!want)
		return 0;
	for (int k = 0; k < ROOTFS_N_; k++)
		if (strcmp(want, rootfs_kind_name((enum rootfs_kind)k)) == 0) {
			r->eopts.rootfs = (enum rootfs_kind)k;
			return 0;
		}
	return cairn_fail(err, CAIRN_E_USAGE,
	                  "CAIRN_ROOTFS=%s: expected auto, overlay, overlay-userns or plain", want);
}

int build_set_engine_opts(struct build_run *r, struct cairn_err *err)
{
	const struct cli_build_opts *o = r->o;
	struct engine_opts *e = &r->eopts;
	struct engine_secret *secrets = arena_array(r->a, struct engine_secret, o->secrets.len);
	struct sandbox_limit *limits = arena_array(r->a, struct sandbox_limit, o->ulimits.len);
	str *hosts = arena_array(r->a, str, o->add_hosts.len);

	for (size_t i = 0; i < o->secrets.len; i++)
		TRY(load_secret(r, o->secrets.ptr[i], &secrets[i], err));
	for (size_t i = 0; i < o->ulimits.len; i++) {
		struct build_ulimit u = { 0 };

		TRY(build_ulimit_parse(o->ulimits.ptr[i], &u, err));
		limits[i] = (struct sandbox_limit){ u.resource, u.soft, u.hard };
	}
	for (size_t i = 0; i < o->add_hosts.len; i++) {
		struct build_host h = { 0 };

		TRY(build_host_parse(o->add_hosts.ptr[i], r->a, &h, err));
		hosts[i] = str_of(arena_printf(r->a, "%s=%s", h.name, h.ip));
	}
	TRY(set_ssh(r, err));
	TRY(set_network(r, err));
	TRY(set_rootfs(r, err));
	e->secrets = secrets;
	e->n_secrets = o->secrets.len;
	e->limits = limits;
	e->n_limits = o->ulimits.len;
	e->env.ulimits = str_list(r, &o->ulimits, &e->env.n_ulimits);
	e->env.add_hosts = hosts;
	e->env.n_add_hosts = o->add_hosts.len;
	e->env.shm_size = o->shm_size;
	e->jobs = (unsigned)o->jobs;
	e->store = r->store;
	e->pool = r->pool;
	e->observer = &r->observer;
	e->graph = r->graph;
	e->contexts = &r->contexts;
	e->cancel_fd = r->cancel_fd;
	e->drain_fd = interrupt_drain_fd(r->interrupt);
	e->fetch_base = base_fetch;
	e->fetch_progress = base_fetch_progress;
	e->fetch_stop = base_fetch_stop;
	e->fetch_ctx = r->bases;
	return 0;
}
