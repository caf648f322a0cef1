/* cairn run: an image's layers, a throw-away layer on top, the command in a sandbox. */
#include <poll.h>
#include <signal.h>

#include "engine/engine.h"
#include "image_lookup.h"
#include "layer/layer.h"
#include "pull.h"
#include "run_fetch.h"
#include "run_opts.h"
#include "settings.h"
#include "util/fs.h"

#define FILE_MAX (64 * 1024) /* bytes of resolv.conf and hosts */

/* Everything a run holds, released in one place. */
struct running {
	struct arena *a;
	struct store *store;
	struct image_hit hit;
	struct image_config config;
	char **dirs; /* of the layers, bottom first */
	struct machine machine;
	struct rootfs *rootfs;
	struct sandbox_host *host;
	struct store_layer_txn *txn; /* the throw-away layer */
	struct rootfs_step *root;
	struct sandbox_spec spec;
};

/* The users of the image, from the indexes of its layers. */
static int find_user(struct running *r, const char *spec, struct userdb_user *ret,
                     struct cairn_err *err)
{
	const struct store_image *im = &r->hit.image;
	struct userdb db = { 0 };
	struct tree *t = NULL;
	int result = unpacked_tree(&(struct unpacked){ r->store, NULL, im->diff_ids, im->n_layers },
	                           &t, err);

	if (result == 0)
		result = tree_inlined(t, LAYER_INLINE_PASSWD, &db.passwd, err);
	if (result == 0)
		result = tree_inlined(t, LAYER_INLINE_GROUP, &db.group, err);
	if (result == 0)
		result = userdb_find(&db, str_of(spec), r->a, ret, err);
	if (result == 0)
		ret->home = arena_str(r->a, ret->home);
	tree_unref(t);
	return result;
}

static int set_command(struct running *r, const struct cli_run_opts *o, struct cli_call *call,
                       struct cairn_err *err)
{
	struct sandbox_spec *s = &r->spec;
	const char *user = o->user ? o->user : arena_cstr(r->a, r->config.user);
	const char *home;
	struct run_words words = { o->entrypoint, call->argv + 1, (size_t)call->argc - 1 };
	struct userdb_user u = { 0 };

	TRY(find_user(r, user, &u, err));
	TRY(run_command_line(&r->config, &words, r->a, &s->argv, &s->n_argv, err));
	home = u.home.len ? arena_cstr(r->a, u.home) : "/";
	s->env = run_environment(&r->config, &o->env, call->ctx->envp, home, r->a, &s->n_env);
	s->uid = u.uid;
	s->gid = u.gid;
	s->groups = u.groups;
	s->n_groups = u.n_groups;
	s->cwd = o->workdir              ? o->workdir
	         : r->config.workdir.len ? arena_cstr(r->a, r->config.workdir)
	                                 : "/";
	if (s->cwd[0] != '/')
		return cairn_fail(err, CAIRN_E_USAGE, "--workdir '%s' is not absolute", s->cwd);
	s->hostname = "cairn";
	s->network = o->network == RUN_NETWORK_NONE ? SANDBOX_NET_NONE : SANDBOX_NET_HOST;
	s->stdio = SANDBOX_STDIO_INHERIT;
	return 0;
}

static int add_files(struct running *r, const struct cli_run_opts *o, struct cairn_err *err)
{
	static const char hosts[] = "127.0.0.1\tlocalhost cairn\n"
				    "::1\tlocalhost ip6-localhost ip6-loopback\n";
	cleanup_strbuf struct strbuf resolv;
	struct cairn_err ignored;

	strbuf_init(&resolv, FILE_MAX);
	if (fs_read_file(AT_FDCWD, "/etc/resolv.conf", &resolv, &ignored) < 0)
		strbuf_clear(&resolv); /* a machine without name service has none to pass on */
	sandbox_add_defaults(&r->spec, 0);
	sandbox_add_file(&r->spec, "/etc/resolv.conf", strbuf_view(&resolv), 0644, 0, 0);
	sandbox_add_file(&r->spec, "/etc/hosts", str_of(hosts), 0644, 0, 0);
	for (size_t i = 0; i < o->volumes.len; i++) {
		struct run_volume v = { 0 };

		TRY(run_volume_parse(o->volumes.ptr[i], r->a, &v, err));
		sandbox_add_bind(&r->spec, v.host, "", v.inside,
		                 v.read_only ? SANDBOX_READ_ONLY : SANDBOX_RECURSIVE);
	}
	return 0;
}

static int open_drivers(struct running *r, struct cairn_err *err)
{
	struct rootfs_opts ro = { .machine = &r->machine };
	struct sandbox_host_opts ho = { .machine = &r->machine };
	cleanup_free char *trees = NULL;

	TRY(probe_machine(store_path(r->store), &r->machine, err));
	if (probe_blocker(&r->machine))
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "this machine cannot run commands: %s (see 'cairn doctor')",
		                  probe_blocker(&r->machine));
	TRY(store_tmp_dir(r->store, &trees, err));
	ro.trees = arena_cstr(r->a, str_of(trees));
	TRY(rootfs_open(&ro, &r->rootfs, err));
	ho.scratch = arena_printf(r->a, "%s/mnt", store_path(r->store));
	TRY(fs_mkdir_p(AT_FDCWD, ho.scratch, 0700, err));
	return sandbox_host_new(&ho, &r->host, err);
}

/* The image by its name; pulled as o->pull says. The command that runs next has its signals as
 * they were. */
static int find_image(struct running *r, const struct cli_run_opts *o, struct cli_call *call,
                      struct cairn_err *err)
{
	const struct platform platform = platform_host();
	const struct pull_request request = { call->argv, 1, &platform, false };
	struct pulled pulled;
	sigset_t was;
	int rc;

	if (o->pull != RUN_PULL_ALWAYS) {
		rc = image_lookup(r->store, call->argv[0], &r->hit, err);
		if (rc != CAIRN_E_NOT_FOUND || o->pull == RUN_PULL_NEVER)
			return rc;
	}
	TRY(settings_load(call->ctx, NULL, ".", err));
	(void)pthread_sigmask(SIG_SETMASK, NULL, &was);
	rc = pull_images(call->ctx, &request, r->a, &pulled, err);
	(void)pthread_sigmask(SIG_SETMASK, &was, NULL);
	if (rc < 0)
		return cairn_wrap(err, "pull image '%s'", call->argv[0]);
	return image_lookup(r->store, call->argv[0], &r->hit, err);
}

static int prepare(struct running *r, const struct cli_run_opts *o, struct cli_call *call,
                   struct cairn_err *err)
{
	struct rootfs_request req = { 0 };
	struct unpacked layers = { .store = r->store };

	TRY(find_image(r, o, call, err));
	TRY(image_read_config(r->store, &r->hit.image.config, r->a, &r->config, NULL, err));
	TRY(run_fetch(call->ctx, &r->hit.image, call->argv[0], err));
	layers.diff_ids = r->hit.image.diff_ids;
	layers.n = r->hit.image.n_layers;
	TRY(unpacked_dirs(&layers, r->a, &r->dirs, err));
	TRY(set_command(r, o, call, err));
	TRY(open_drivers(r, err));
	TRY(add_files(r, o, err));
	TRY(store_layer_begin(r->store, &r->txn, err));
	req = (struct rootfs_request){ .lowers = (const char *const *)r->dirs,
		                       .n_lowers = r->hit.image.n_layers,
		                       .upper = store_layer_txn_fs(r->txn),
		                       .work = store_layer_txn_work(r->txn),
		                       .volatile_ = true };
	return rootfs_prepare(r->rootfs, &req, &r->spec, &r->root, err);
}

/* The terminal sends its signals to the command too: cairn only has to survive them. */
static int start_and_wait(struct running *r, int *ret_exit, struct cairn_err *err)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, int_was, quit_was;
	struct sandbox_result result = { 0 };
	struct sandbox_proc *proc = NULL;
	struct pollfd p = { .events = POLLIN };
	int got;

	TRY(sandbox_start(r->host, &r->spec, &proc, err));
	(void)sigaction(SIGINT, &ignore, &int_was);
	(void)sigaction(SIGQUIT, &ignore, &quit_was);
	p.fd = proc->done_fd;
	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	got = sandbox_finish(proc, &result, err);
	(void)sigaction(SIGINT, &int_was, NULL);
	(void)sigaction(SIGQUIT, &quit_was, NULL);
	TRY(got);
	*ret_exit = result.exit_code;
	return 0;
}

int run_image(const struct cli_run_opts *o, struct cli_call *call, int *ret_exit,
              struct cairn_err *err)
{
	struct running *r = xcalloc(1, sizeof(*r));
	int got;

	r->a = arena_new();
	r->store = call->ctx->store;
	sandbox_spec_init(&r->spec);
	got = prepare(r, o, call, err);
	if (got == 0)
		got = start_and_wait(r, ret_exit, err);
	rootfs_step_free(r->root, NULL);
	store_layer_txn_free(r->txn);
	sandbox_host_free(r->host);
	rootfs_close(r->rootfs);
	sandbox_spec_done(&r->spec);
	image_hit_done(&r->hit);
	arena_free(r->a);
	free(r);
	return got;
}
