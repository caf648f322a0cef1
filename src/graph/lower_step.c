/* Instructions that are steps: RUN, COPY, ADD, WORKDIR. */
#include "lower.h"

#include "history.h"

/* Build arguments that every RUN sees in both spellings, and that are in no key. */
static const char *const proxy_names[][2] = {
	{ "HTTP_PROXY", "http_proxy" }, { "HTTPS_PROXY", "https_proxy" },
	{ "FTP_PROXY", "ftp_proxy" },   { "NO_PROXY", "no_proxy" },
	{ "ALL_PROXY", "all_proxy" },
};

/* The value a name has for a RUN: of its ENV and its ARG the later one. */
static str run_value(struct stage *s, str name)
{
	struct words w = lower_words(s);
	str v = { NULL, 0 };

	(void)w.lookup(w.ctx, name, &v);
	return v;
}

/* Environment of a RUN: ENV, then the ARGs that no ENV hides. `args`, for the history: every
 * ARG once, where it came first, with the value that the RUN sees. */
static void run_env(struct stage *s, struct graph_env *env, struct graph_env *args)
{
	const struct image_config *c = s->out->config;
	struct arena *a = s->l->a;
	struct map in_env = { 0 }, listed = { 0 };

	env->vars = arena_array(a, str, c->env.len + s->args.len);
	args->vars = arena_array(a, str, s->args.len);
	for (size_t i = 0; i < c->env.len; i++) {
		str name, value;

		(void)str_cut(c->env.ptr[i], '=', &name, &value);
		if (map_get(&s->args_over_env, name))
			value = run_value(s, name);
		map_put(&in_env, name, s);
		env->vars[env->n++] = str_of(arena_printf(a, "%.*s=%.*s", STR(name), STR(value)));
	}
	for (size_t i = 0; i < s->args.len; i++) {
		str name = s->args.ptr[i].key;
		str value = run_value(s, name);
		str line = str_of(arena_printf(a, "%.*s=%.*s", STR(name), STR(value)));

		if (map_has(&listed, name))
			continue;
		if (!map_has(&in_env, name) && value.ptr)
			env->vars[env->n++] = line;
		map_put(&listed, name, s);
		args->vars[args->n++] = line;
	}
	map_done(&in_env);
	map_done(&listed);
}

struct ranked {
	str var;
	uintptr_t at;
};

static int by_rank(const void *a, const void *b)
{
	uintptr_t x = ((const struct ranked *)a)->at, y = ((const struct ranked *)b)->at;

	return x < y ? -1 : x > y;
}

/* The variables of a RUN in the order in which they were set last. */
static void rank_env(struct stage *s, struct graph_node *n)
{
	struct ranked *r = arena_array(s->l->a, struct ranked, n->env.n);

	for (size_t i = 0; i < n->env.n; i++) {
		str name, value;

		(void)str_cut(n->env.vars[i], '=', &name, &value);
		r[i] = (struct ranked){ n->env.vars[i], (uintptr_t)map_get(&s->set_at, name) };
	}
	if (n->env.n)
		qsort(r, n->env.n, sizeof(*r), by_rank);
	n->set_env.vars = arena_array(s->l->a, str, n->env.n);
	for (size_t i = 0; i < n->env.n; i++)
		n->set_env.vars[n->set_env.n++] = r[i].var;
}

static void proxy_env(struct stage *s, struct graph_node *n)
{
	n->proxy_env.vars = arena_array(s->l->a, str, 2 * ARRAY_SIZE(proxy_names));
	for (size_t i = 0; i < ARRAY_SIZE(proxy_names); i++) {
		const char *v = NULL;

		for (size_t k = 0; k < 2; k++) {
			const char *given =
				map_get(s->l->opts->build_args, str_of(proxy_names[i][k]));

			if (given)
				map_put(&s->l->used_args, str_of(proxy_names[i][k]), s);
			v = given ? given : v;
		}
		for (size_t k = 0; v && k < 2; k++)
			n->proxy_env.vars[n->proxy_env.n++] =
				str_of(arena_printf(s->l->a, "%s=%s", proxy_names[i][k], v));
	}
}

static str base_name(str path)
{
	return str_skip(path, (size_t)(str_rfind(path, '/') + 1));
}

/* Where a mount without a target goes, and what a mount without an id is called. */
static int mount_names(struct stage *s, const struct run_mount *in, unsigned nth,
                       struct graph_mount *m, struct cairn_err *err)
{
	struct arena *a = s->l->a;
	str id = in->id;

	if (!id.len && in->type == RUN_MOUNT_SECRET)
		id = in->source.len ? in->source : base_name(in->target);
	if (!id.len && in->type == RUN_MOUNT_SSH)
		id = S("default");
	m->relative = in->target.len && !str_starts(in->target, S("/"));
	if (in->target.len)
		m->target = lower_abs_path(a, s->out->config->workdir, in->target);
	else if (in->type == RUN_MOUNT_SECRET && !in->env.len)
		m->target = str_of(arena_printf(a, "/run/secrets/%.*s", STR(base_name(id))));
	else if (in->type == RUN_MOUNT_SSH)
		m->target = str_of(arena_printf(a, "/run/buildkit/ssh_agent.%u", nth));
	if (str_is(m->target, "/"))
		return lower_fail(s, CAIRN_E_SYNTAX, err, "--mount: the target cannot be '/'");
	if (!id.len && in->type == RUN_MOUNT_CACHE)
		id = m->target;
	if (!id.len && in->type == RUN_MOUNT_SECRET)
		return lower_fail(s, CAIRN_E_SYNTAX, err, "--mount=type=secret needs an id");
	m->id = arena_str(a, id);
	return 0;
}

static int lower_mount(struct stage *s, str value, unsigned nth, struct graph_mount *m,
                       struct cairn_err *err)
{
	struct words w = lower_words(s);
	struct run_mount in = { 0 };

	TRY(run_mount_parse(value, &w, s->l->a, &in, err));
	m->type = in.type;
	m->sharing = in.sharing;
	m->mode = in.mode;
	m->uid = in.uid;
	m->gid = in.gid;
	m->writable = !in.readonly;
	m->required = in.required;
	m->size = in.size;
	m->env = in.env;
	TRY(mount_names(s, &in, nth, m, err));
	m->from.kind = GRAPH_FROM_NONE;
	if (in.type == RUN_MOUNT_BIND || (in.type == RUN_MOUNT_CACHE && in.from.len)) {
		TRY(lower_source(s, in.from, &m->from, err));
		m->source = lower_abs_path(s->l->a, S("/"), in.source.len ? in.source : S("/"));
	}
	return 0;
}

/* By target, so that a mount below another one comes later. */
static int by_target(const void *a, const void *b)
{
	return str_cmp(((const struct graph_mount *)a)->target,
	               ((const struct graph_mount *)b)->target);
}

static int lower_mounts(struct stage *s, const struct instr_run *in, struct graph_run *r,
                        struct cairn_err *err)
{
	unsigned n_ssh = 0;

	r->mounts = arena_array(s->l->a, struct graph_mount, in->n_mounts);
	for (size_t i = 0; i < in->n_mounts; i++) {
		struct graph_mount *m = &r->mounts[i];

		TRY(lower_mount(s, in->mounts[i], n_ssh, m, err));
		n_ssh += m->type == RUN_MOUNT_SSH;
		r->n_mounts++;
	}
	qsort(r->mounts, r->n_mounts, sizeof(*r->mounts), by_target);
	for (size_t i = 1; i < r->n_mounts; i++)
		if (r->mounts[i].target.len && str_eq(r->mounts[i].target, r->mounts[i - 1].target))
			return lower_fail(s, CAIRN_E_SYNTAX, err,
			                  "two mounts have the target '%.*s'",
			                  STR(r->mounts[i].target));
	return 0;
}

static int lower_network(struct stage *s, str word, enum graph_network *ret, struct cairn_err *err)
{
	static const struct {
		const char *name;
		enum graph_network network;
	} table[] = { { "default", GRAPH_NET_DEFAULT },
		      { "none", GRAPH_NET_NONE },
		      { "host", GRAPH_NET_HOST } };
	static const char *const words[] = { "default", "none", "host", NULL };
	char hint[STR_HINT_MAX];

	*ret = GRAPH_NET_DEFAULT;
	if (!word.ptr)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (str_is(word, table[i].name)) {
			*ret = table[i].network;
			return 0;
		}
	return lower_fail(s, CAIRN_E_SYNTAX, err,
	                  "--network=%.*s: expected default, none or host%s", STR(word),
	                  str_did_you_mean(word, words, hint));
}

/* The command line: shell form is wrapped in SHELL. */
static int lower_argv(struct stage *s, const struct instr_run *in, struct graph_run *r,
                      struct cairn_err *err)
{
	static str def[] = { { "/bin/sh", 7 }, { "-c", 2 } };
	struct image_strs shell = s->out->config->shell;
	struct arena *a = s->l->a;

	if (!shell.len)
		shell = (struct image_strs){ def, ARRAY_SIZE(def) };
	r->n_argv = in->cmd.exec ? in->cmd.argc : shell.len + 1;
	r->argv = arena_array(a, str, r->n_argv);
	for (size_t k = 0; k < r->n_argv; k++)
		r->argv[k] = in->cmd.exec    ? arena_str(a, in->cmd.argv[k])
		             : k < shell.len ? arena_str(a, shell.ptr[k])
		                             : arena_str(a, in->cmd.shell);
	if (!r->n_argv || (in->cmd.exec ? !r->argv[0].len : !in->cmd.shell.len))
		return lower_fail(s, CAIRN_E_SYNTAX, err, "RUN needs a command");
	if (in->script_name.ptr) {
		r->script = arena_str(a, in->script);
		r->script_name = arena_str(a, in->script_name);
	}
	return 0;
}

int lower_run(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	const struct instr_run *in = &i->run;
	struct graph_run run = { 0 };
	struct graph_node *n;
	struct graph_env args = { 0 };

	if (in->security.ptr && !str_is(in->security, "sandbox"))
		return lower_fail(s, CAIRN_E_UNSUPPORTED, err,
		                  "RUN --security=%.*s is not built yet", STR(in->security));
	if (in->n_devices)
		return lower_fail(s, CAIRN_E_UNSUPPORTED, err, "RUN --device is not built yet");
	TRY(lower_argv(s, in, &run, err));
	TRY(lower_network(s, in->network, &run.network, err));
	TRY(lower_mounts(s, in, &run, err)); /* may lower other stages: before this step's node */
	n = lower_add_step(s, GRAPH_RUN);
	n->run = run;
	for (size_t k = 0; k < run.n_mounts; k++)
		if (run.mounts[k].from.kind == GRAPH_FROM_NODE)
			lower_add_input(s, n, run.mounts[k].from.node);
	run_env(s, &n->env, &args);
	rank_env(s, n);
	proxy_env(s, n);
	lower_add_history(s, history_run(s->l->a, run.argv, run.n_argv, &args), n);
	return 0;
}

/* Absolute and clean, with a '/' at the end where a directory is meant. */
static str copy_dest(struct stage *s, str dest)
{
	str abs = lower_abs_path(s->l->a, s->out->config->workdir, dest);
	bool dir =
		!dest.len || str_is(dest, ".") || str_ends(dest, S("/")) || str_ends(dest, S("/."));

	if (dir && !str_ends(abs, S("/")))
		abs = str_of(arena_printf(s->l->a, "%.*s/", STR(abs)));
	return abs;
}

static bool is_remote(str word)
{
	static const char *const schemes[] = { "http://", "https://", "git://", "ssh://", "git@" };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++)
		if (str_starts(word, str_of(schemes[i])))
			return true;
	return false;
}

static int copy_sources(struct stage *s, const struct instr *i, struct graph_copy *c,
                        struct cairn_err *err)
{
	const struct instr_copy *in = &i->copy;
	struct words w = lower_words(s);

	c->sources = arena_array(s->l->a, str, in->n_sources);
	c->inlines = arena_array(s->l->a, struct graph_inline, in->n_sources);
	for (size_t k = 0; k < in->n_sources; k++) {
		const struct instr_source *src = &in->sources[k];
		struct graph_inline *il = &c->inlines[c->n_inlines];

		if (!src->heredoc) {
			str word = { NULL, 0 };

			TRY(words_expand(&w, src->word, &word, err));
			if (c->add && is_remote(word))
				return lower_fail(s, CAIRN_E_UNSUPPORTED, err,
				                  "ADD of '%.*s': URLs and git are not built yet",
				                  STR(word));
			c->sources[c->n_sources++] = arena_str(s->l->a, word);
			continue;
		}
		il->name = arena_str(s->l->a, src->word);
		il->content = src->content;
		if (src->expand)
			TRY(words_expand_body(&w, src->content, &il->content, err));
		il->content = arena_str(s->l->a, il->content);
		c->n_inlines++;
	}
	return 0;
}

static int copy_flags(struct stage *s, const struct instr *i, struct graph_copy *c,
                      struct cairn_err *err)
{
	const struct instr_copy *in = &i->copy;
	struct words w = lower_words(s);
	struct chmod_spec spec;

	if (in->checksum.ptr || in->keep_git_dir || in->unpack >= 0)
		return lower_fail(s, CAIRN_E_UNSUPPORTED, err,
		                  "ADD --checksum, --keep-git-dir and --unpack are not built yet");
	if (in->parents)
		return lower_fail(s, CAIRN_E_UNSUPPORTED, err, "COPY --parents is not built yet");
	c->link = in->link;
	if (in->chown.ptr)
		TRY(words_expand(&w, in->chown, &c->chown, err));
	if (in->chmod.ptr) {
		TRY(words_expand(&w, in->chmod, &c->chmod, err));
		if (chmod_parse(c->chmod, &spec, err) < 0)
			return lower_fail(s, CAIRN_E_SYNTAX, err, "--chmod: %s", err->msg);
	}
	c->chown = arena_str(s->l->a, c->chown);
	c->chmod = arena_str(s->l->a, c->chmod);
	c->excludes = arena_array(s->l->a, str, in->n_excludes);
	for (size_t k = 0; k < in->n_excludes; k++)
		TRY(words_expand(&w, in->excludes[k], &c->excludes[c->n_excludes++], err));
	return 0;
}

int lower_copy(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	const struct instr_copy *in = &i->copy;
	struct words w = lower_words(s);
	struct graph_copy c = { .add = i->kind == INSTR_ADD };
	struct graph_node *n;
	str dest = { NULL, 0 };

	TRY(copy_sources(s, i, &c, err));
	TRY(copy_flags(s, i, &c, err));
	TRY(words_expand(&w, in->dest, &dest, err));
	c.dest = copy_dest(s, dest);
	c.dot = str_ends(dest, S("/."));
	if (c.n_sources)
		TRY(lower_source(s, in->from, &c.from, err));
	else
		c.from.kind = GRAPH_FROM_INLINE;
	n = lower_add_step(s, GRAPH_COPY);
	n->copy = c;
	if (c.from.kind == GRAPH_FROM_NODE)
		lower_add_input(s, n, c.from.node);
	lower_add_history(s, history_copy(s->l->a, &n->copy, dest), n);
	return 0;
}

int lower_workdir(struct stage *s, const struct instr *i, struct cairn_err *err)
{
	struct words w = lower_words(s);
	struct image_config *c = s->out->config;
	struct graph_node *n = NULL;
	str path = { NULL, 0 };

	TRY(words_expand(&w, i->word.word, &path, err));
	if (!path.len)
		return lower_fail(s, CAIRN_E_SYNTAX, err, "WORKDIR: the path is empty");
	path = lower_abs_path(s->l->a, c->workdir.len ? c->workdir : S("/"), path);
	image_config_str_set(c, &c->workdir, path);
	if (!str_is(path, "/")) {
		n = lower_add_step(s, GRAPH_WORKDIR);
		n->workdir.path = path;
	}
	lower_add_history(s, history_word(s->l->a, "WORKDIR", path), n);
	return 0;
}
