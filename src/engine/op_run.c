/* RUN: what the command sees, and its start. */
#include "step.h"

#include "util/clock.h"
#include "util/fs.h"

#define RESOLV_CONF_MAX 65536

/* --- machine, drivers: opened with the first RUN --------------------------- */

static int open_drivers(struct engine_build *b, struct cairn_err *err)
{
	struct rootfs_opts opts = { .machine = &b->machine, .kind = b->opts->rootfs };
	struct sandbox_host_opts host = { .machine = &b->machine };

	if (b->host)
		return 0;
	TRY(probe_machine(store_path(b->opts->store), &b->machine, err));
	if (probe_blocker(&b->machine))
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "this machine cannot run commands: %s (see 'cairn doctor')",
		                  probe_blocker(&b->machine));
	if (!b->trees_dir)
		TRY(store_tmp_dir(b->opts->store, &b->trees_dir, err));
	opts.trees = b->trees_dir;
	if (!b->rootfs)
		TRY(rootfs_open(&opts, &b->rootfs, err));
	host.scratch = arena_printf(b->arena, "%s/mnt", store_path(b->opts->store));
	TRY(fs_mkdir_p(AT_FDCWD, host.scratch, 0700, err));
	return sandbox_host_new(&host, &b->host, err);
}

void op_run_ahead(struct engine_build *b)
{
	struct cairn_err ignored; /* it fails again when it is needed */

	(void)open_drivers(b, &ignored);
}

/* --- files every command sees ---------------------------------------------- */

static void add_hosts_file(struct step *s, struct sandbox_spec *spec)
{
	const struct key_env *env = &s->b->opts->env;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, RESOLV_CONF_MAX);
	strbuf_cstr(&text, "127.0.0.1\tlocalhost buildkitsandbox\n"
	                   "::1\tlocalhost ip6-localhost ip6-loopback\n");
	for (size_t i = 0; i < env->n_add_hosts; i++) {
		str name, ip;

		(void)str_cut(env->add_hosts[i], '=', &name, &ip);
		strbuf_printf(&text, "%.*s\t%.*s\n", STR(ip), STR(name));
	}
	sandbox_add_file(spec, "/etc/hosts", strbuf_view(&text), 0644, 0, 0);
}

static void add_resolv_conf(struct sandbox_spec *spec)
{
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;

	strbuf_init(&text, RESOLV_CONF_MAX);
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", &text, &ignored) < 0)
		strbuf_clear(&text); /* a machine without name service has none to pass on */
	sandbox_add_file(spec, "/etc/resolv.conf", strbuf_view(&text), 0644, 0, 0);
}

static int add_script(struct step *s, struct sandbox_spec *spec, struct cairn_err *err)
{
	const struct graph_run *r = &s->node->run;
	char *dest;

	(void)err;
	if (!r->script_name.ptr)
		return 0;
	dest = arena_printf(s->b->arena, "/dev/pipes/%.*s", STR(r->script_name));
	sandbox_add_file(spec, dest, r->script, 0755, 0, 0);
	return 0;
}

/* --- mounts ----------------------------------------------------------------- */

/* Which operand belongs to mount i. */
static size_t operand_of(const struct graph_run *r, size_t i)
{
	size_t n = 0;

	for (size_t k = 0; k < i; k++)
		n += r->mounts[k].from.kind == GRAPH_FROM_CONTEXT ||
		     r->mounts[k].from.kind == GRAPH_FROM_NODE;
	return n;
}

struct context_files {
	int fd;
};

static int context_item(void *ctx, const struct select_item *item, struct layer_source *ret,
                        struct cairn_err *err)
{
	(void)err;
	*ret = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
		                      .dirfd = ((struct context_files *)ctx)->fd,
		                      .path = item->file->entry->path,
		                      .expected = item->file->entry->digest };
	return 0;
}

/* A copy of what was selected from a context: the step must see what its key says, and
 * nothing that .dockerignore hides. */
static int materialise(struct step *s, const struct graph_mount *m, const struct selection *sel,
                       char **ret_path, struct cairn_err *err)
{
	struct graph_copy as_copy = { .dest = sel->n_matches && sel->matches[0].dir ? S("/")
		                                                                    : S("/file") };
	struct context_files files = { sources_context_fd(s->b, m->from.context) };
	struct copy_target t = { .copy = &as_copy, .source = context_item, .ctx = &files };
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	cleanup_layer_plan struct layer_plan *plan = layer_plan_new();
	cleanup_layer_result struct layer_result result = { 0 };
	cleanup_tree struct tree *empty = tree_new();
	cleanup_free char *dir = NULL;
	cleanup_fd int fd = -1;

	t.below = empty;
	t.now = clock_now();
	TRY(copy_plan(plan, &t, sel, s->b->arena, err));
	TRY(store_tmp_dir(s->b->opts->store, &dir, err));
	if (chmod(dir, 0755) < 0)
		return cairn_fail_sys(err, "chmod '%s'", dir);
	TRY(fs_open_dir(AT_FDCWD, dir, &fd, err));
	opts.out_dirfd = fd;
	opts.pool = s->b->opts->pool;
	opts.parent_mtime = t.now;
	TRY(layer_write(plan, empty, &opts, &result, err));
	*ret_path =
		arena_printf(s->b->arena, "%s%s", dir, str_is(as_copy.dest, "/") ? "" : "/file");
	s->run->tmp_dirs = xreallocarray(s->run->tmp_dirs, s->run->n_tmp_dirs + 1, sizeof(char *));
	s->run->tmp_dirs[s->run->n_tmp_dirs++] = steal_ptr(&dir);
	return 0;
}

/* The tree of another step, as an overlay of its layers. */
static int add_tree(struct step *s, const struct graph_mount *m, unsigned *ret,
                    struct cairn_err *err)
{
	const struct chain *c = build_step(s->b, m->from.node)->chain;
	struct sandbox_overlay o = { 0 };
	const char **lowers = arena_array(s->b->arena, const char *, c->n + 1);
	char **dirs = NULL;
	unsigned flags = s->b->machine.overlay_userxattr ? SANDBOX_USERXATTR : 0;

	TRY(trees_dirs(s->b, c, NULL, s->b->arena, &dirs, err));
	for (size_t i = 0; i < c->n; i++)
		lowers[i] = dirs[c->n - 1 - i]; /* top first */
	o.lowers = lowers;
	o.n_lowers = c->n;
	if (m->writable) {
		char *dir = NULL;

		TRY(store_tmp_dir(s->b->opts->store, &dir, err));
		s->run->tmp_dirs =
			xreallocarray(s->run->tmp_dirs, s->run->n_tmp_dirs + 1, sizeof(char *));
		s->run->tmp_dirs[s->run->n_tmp_dirs++] = dir;
		o.upper = arena_printf(s->b->arena, "%s/upper", dir);
		o.work = arena_printf(s->b->arena, "%s/work", dir);
		TRY(fs_mkdir_p(AT_FDCWD, o.upper, 0755, err));
		TRY(fs_mkdir_p(AT_FDCWD, o.work, 0755, err));
		flags |= SANDBOX_VOLATILE;
	}
	*ret = sandbox_add_tree(&s->run->spec, &o, flags);
	return 0;
}

static int add_bind(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_mount *m = &s->node->run.mounts[i];
	const char *target = arena_cstr(s->b->arena, m->target);
	unsigned flags = m->writable ? 0 : SANDBOX_READ_ONLY, tree = 0;
	char *path = NULL;

	if (m->from.kind == GRAPH_FROM_NODE) {
		TRY(add_tree(s, m, &tree, err));
		sandbox_add_tree_bind(&s->run->spec, tree, arena_cstr(s->b->arena, m->source),
		                      target, flags);
		return 0;
	}
	TRY(materialise(s, m, &s->selections[operand_of(&s->node->run, i)], &path, err));
	sandbox_add_bind(&s->run->spec, path, NULL, target, flags);
	return 0;
}

static int fill_cache(const char *path, const struct graph_mount *m, struct cairn_err *err)
{
	if (chown(path, m->uid, m->gid) < 0 || chmod(path, m->mode) < 0)
		return cairn_fail_sys(err, "prepare cache mount '%.*s'", STR(m->target));
	return 0;
}

static int add_cache(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_mount *m = &s->node->run.mounts[i];
	struct store_mount *mount = mounts_get(s, i);

	if (m->from.kind == GRAPH_FROM_NODE || m->from.kind == GRAPH_FROM_CONTEXT)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "--mount=type=cache,from= is not built yet");
	if (store_mount_fresh(mount) && !s->filled[i])
		TRY(fill_cache(store_mount_path(mount), m, err));
	TRY(store_mount_ready(mount, err));
	sandbox_add_bind(&s->run->spec, store_mount_path(mount), NULL,
	                 arena_cstr(s->b->arena, m->target), m->writable ? 0 : SANDBOX_READ_ONLY);
	return 0;
}

static const struct engine_secret *find_secret(const struct engine_opts *o, str id)
{
	for (size_t i = 0; i < o->n_secrets; i++)
		if (str_eq(o->secrets[i].id, id))
			return &o->secrets[i];
	return NULL;
}

static int add_secret(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_mount *m = &s->node->run.mounts[i];
	const struct engine_secret *secret = find_secret(s->b->opts, m->id);

	if (!secret)
		return m->required
		               ? cairn_fail(
					 err, CAIRN_E_NOT_FOUND,
					 "secret '%.*s' is required; give it with --secret id=%.*s,src=FILE",
					 STR(m->id), STR(m->id))
		               : 0;
	if (m->target.len)
		sandbox_add_file(&s->run->spec, arena_cstr(s->b->arena, m->target), secret->value,
		                 m->mode, m->uid, m->gid);
	return 0;
}

static int add_ssh(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_mount *m = &s->node->run.mounts[i];
	const struct engine_opts *o = s->b->opts;

	for (size_t k = 0; k < o->n_ssh; k++)
		if (str_eq(o->ssh[k].id, m->id)) {
			sandbox_add_bind(&s->run->spec, o->ssh[k].socket, NULL,
			                 arena_cstr(s->b->arena, m->target), 0);
			return 0;
		}
	return m->required ? cairn_fail(err, CAIRN_E_NOT_FOUND,
	                                "ssh agent '%.*s' is required; give it with --ssh %.*s",
	                                STR(m->id), STR(m->id))
	                   : 0;
}

static int add_tmpfs(struct step *s, size_t i, struct cairn_err *err)
{
	const struct graph_mount *m = &s->node->run.mounts[i];

	(void)err;
	sandbox_add_tmpfs(&s->run->spec, arena_cstr(s->b->arena, m->target), 01777, m->size);
	return 0;
}

static int add_mounts(struct step *s, struct cairn_err *err)
{
	static int (*const add[RUN_MOUNT_N_])(struct step * s, size_t i, struct cairn_err * err) = {
		[RUN_MOUNT_BIND] = add_bind,   [RUN_MOUNT_CACHE] = add_cache,
		[RUN_MOUNT_TMPFS] = add_tmpfs, [RUN_MOUNT_SECRET] = add_secret,
		[RUN_MOUNT_SSH] = add_ssh,
	};
	const struct graph_run *r = &s->node->run;

	for (size_t i = 0; i < r->n_mounts; i++)
		TRY(add[r->mounts[i].type](s, i, err));
	return 0;
}

/* --- the command ------------------------------------------------------------- */

static bool has_var(const struct graph_env *env, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < env->n; i++)
		if (env->vars[i].len > n && env->vars[i].ptr[n] == '=' &&
		    memcmp(env->vars[i].ptr, name, n) == 0)
			return true;
	return false;
}

/* ENV and ARG, proxies, HOME from passwd, secrets that go into variables. */
static void set_env(struct step *s, const struct userdb_user *user)
{
	const struct graph_node *n = s->node;
	struct arena *a = s->b->arena;
	size_t max = n->env.n + n->proxy_env.n + 2 * n->run.n_mounts + 1, k = 0;
	const char **env = arena_array(a, const char *, max);

	for (size_t i = 0; i < n->env.n; i++)
		env[k++] = arena_cstr(a, n->env.vars[i]);
	for (size_t i = 0; i < n->proxy_env.n; i++)
		env[k++] = arena_cstr(a, n->proxy_env.vars[i]);
	if (!has_var(&n->env, "HOME"))
		env[k++] = arena_printf(a, "HOME=%.*s", STR(user->home));
	for (size_t i = 0; i < n->run.n_mounts; i++) {
		const struct graph_mount *m = &n->run.mounts[i];
		const struct engine_secret *secret = m->type == RUN_MOUNT_SECRET && m->env.len
		                                             ? find_secret(s->b->opts, m->id)
		                                             : NULL;

		if (secret)
			env[k++] = arena_printf(a, "%.*s=%.*s", STR(m->env), STR(secret->value));
		if (m->type == RUN_MOUNT_SSH)
			env[k++] = arena_printf(a, "SSH_AUTH_SOCK=%.*s", STR(m->target));
	}
	s->run->spec.env = env;
	s->run->spec.n_env = k;
}

static int set_command(struct step *s, struct cairn_err *err)
{
	const struct graph_node *n = s->node;
	struct sandbox_spec *spec = &s->run->spec;
	struct arena *a = s->b->arena;
	const char **argv = arena_array(a, const char *, n->run.n_argv + 1);
	struct userdb db = { 0 };
	struct userdb_user user = { 0 };
	enum graph_network net =
		n->run.network == GRAPH_NET_DEFAULT ? s->b->opts->env.network : n->run.network;

	TRY(trees_userdb(s->b, build_step(s->b, n->parent)->chain, a, &db, err));
	TRY(userdb_find(&db, n->user, a, &user, err));
	for (size_t i = 0; i < n->run.n_argv; i++)
		argv[i] = arena_cstr(a, n->run.argv[i]);
	spec->argv = argv;
	spec->n_argv = n->run.n_argv;
	spec->cwd = arena_cstr(a, n->cwd);
	spec->uid = user.uid;
	spec->gid = user.gid;
	spec->groups = user.groups;
	spec->n_groups = user.n_groups;
	spec->network = net == GRAPH_NET_NONE ? SANDBOX_NET_NONE : SANDBOX_NET_HOST;
	spec->limits = s->b->opts->limits;
	spec->n_limits = s->b->opts->n_limits;
	set_env(s, &user);
	return 0;
}

static int prepare_root(struct step *s, struct cairn_err *err)
{
	struct arena *a = s->b->arena;
	const struct chain *c = build_step(s->b, s->node->parent)->chain;
	const char **lowers = arena_array(a, const char *, c->n + 1);
	struct rootfs_request req = { .n_lowers = c->n, .volatile_ = true };
	const struct tree *below = NULL;
	char **dirs = NULL;

	TRY(trees_dirs(s->b, c, NULL, a, &dirs, err));
	for (size_t i = 0; i < c->n; i++)
		lowers[i] = dirs[i];
	TRY(store_layer_begin(s->b->opts->store, &s->run->txn, err));
	req.lowers = lowers;
	req.upper = store_layer_txn_fs(s->run->txn);
	req.work = store_layer_txn_work(s->run->txn);
	TRY(rootfs_prepare(s->b->rootfs, &req, &s->run->spec, &s->run->root, err));
	/* The topmost directory's root may not be the tree's: --link layers know no tree. */
	TRY(trees_get(s->b, c, &below, err));
	return work_root(req.upper, below, err);
}

int op_run_start(struct step *s, struct cairn_err *err)
{
	TRY(open_drivers(s->b, err));
	s->run = xcalloc(1, sizeof(*s->run));
	sandbox_spec_init(&s->run->spec);
	TRY(add_mounts(s, err));
	sandbox_add_defaults(&s->run->spec, s->b->opts->env.shm_size);
	add_hosts_file(s, &s->run->spec);
	add_resolv_conf(&s->run->spec);
	TRY(add_script(s, &s->run->spec, err));
	TRY(set_command(s, err));
	TRY(prepare_root(s, err));
	return sandbox_start(s->b->host, &s->run->spec, &s->run->proc, err);
}

int op_run_collect(struct step *s, struct cairn_err *err)
{
	struct step_work *w = work_new(s);

	TRY(trees_get(s->b, build_step(s->b, s->node->parent)->chain, &w->below, err));
	w->root = steal_ptr(&s->run->root);
	w->txn = steal_ptr(&s->run->txn);
	return 0;
}

void op_run_free(struct step *s)
{
	struct step_run *r = s->run;
	struct sandbox_result ignored;
	struct cairn_err err;

	if (!r)
		return;
	if (r->proc) {
		sandbox_kill(r->proc);
		(void)sandbox_finish(r->proc, &ignored, &err);
	}
	if (r->root)
		rootfs_step_free(r->root, NULL);
	store_layer_txn_free(r->txn);
	for (size_t i = 0; i < r->n_tmp_dirs; i++) {
		(void)fs_remove_tree(AT_FDCWD, r->tmp_dirs[i], &err);
		free(r->tmp_dirs[i]);
	}
	free(r->tmp_dirs);
	sandbox_spec_done(&r->spec);
	free(r);
	s->run = NULL;
}
