/* RUN: BuildKit's exec operations and their mounts. */
#include "buildkit_key_priv.h"

#include "util/num.h"

/* Numbers of BuildKit's enums. */
static const int mount_types[] = {
	[RUN_MOUNT_BIND] = 0,  [RUN_MOUNT_SECRET] = 1, [RUN_MOUNT_SSH] = 2,
	[RUN_MOUNT_CACHE] = 3, [RUN_MOUNT_TMPFS] = 4,
};
static const int sharings[] = {
	[RUN_SHARING_SHARED] = 0, [RUN_SHARING_PRIVATE] = 1, [RUN_SHARING_LOCKED] = 2
};

/* A mount as BuildKit numbers its input. */
struct exec_mount {
	const struct graph_mount *m; /* NULL: the root */
	str dest;
	str selector; /* path in the input, "" when all of it is read */
	int input;    /* -1: none */
	int output;   /* -1: none */
};

/* An input: a step, a context, or an inner operation. */
struct exec_input {
	const struct graph_node *node;
	struct buildkit_op *op;
	bool is_context;
	str context;
	VEC(str) paths; /* what the mounts select, in their order */
};

struct exec_maker {
	struct op_maker *m;
	const struct graph_run *run;
	struct exec_mount *mounts; /* files by target, then secrets, then agents */
	size_t n_mounts;
	struct exec_input *inputs;
	size_t n_inputs;
	uint64_t shm_size;
};

/* --- inputs and mounts --------------------------------------------------------------- */

static int input_of(struct exec_maker *x, const struct exec_input *want)
{
	size_t i;

	for (i = 0; i < x->n_inputs; i++) {
		const struct exec_input *in = &x->inputs[i];

		bool same = in->op && want->op ? digest_eq(&in->op->forms[0], &want->op->forms[0])
		                               : in->op == want->op && in->node == want->node &&
		                                         in->is_context == want->is_context &&
		                                         str_eq(in->context, want->context);
		if (same)
			return (int)i;
	}
	x->inputs[x->n_inputs++] = *want;
	return (int)i;
}

/* Does the cache begin with a directory made for it? */
static bool cache_is_set_up(const struct graph_mount *m)
{
	return m->from.kind == GRAPH_FROM_NONE && (m->mode != 0755 || m->uid || m->gid);
}

static struct exec_mount *push_mount(struct exec_maker *x, const struct graph_mount *m, str dest)
{
	struct exec_mount *e = &x->mounts[x->n_mounts++];

	*e = (struct exec_mount){ .m = m, .dest = dest, .input = -1, .output = -1 };
	return e;
}

static void add_root_mount(struct exec_maker *x)
{
	const struct graph_node *parent = op_input(x->m->node->parent);
	struct exec_mount *e = push_mount(x, NULL, S("/"));

	e->output = 0;
	if (!parent)
		return;
	e->input = input_of(x, &(struct exec_input){ .node = parent, .context = S("") });
	vec_push(&x->inputs[e->input].paths, S("/"));
}

static void add_file_mount(struct exec_maker *x, const struct graph_mount *m)
{
	struct exec_mount *e = push_mount(x, m, m->target);
	struct exec_input in = { .context = S("") };

	if (m->type == RUN_MOUNT_TMPFS)
		return;
	if (m->from.kind == GRAPH_FROM_CONTEXT) {
		in.is_context = true;
		in.context = m->from.context;
	} else if (m->from.kind == GRAPH_FROM_NODE) {
		in.node = op_input(m->from.node);
		if (!in.node)
			return;
	} else if (cache_is_set_up(m)) {
		in.op = op_make_cache_dir(x->m->a, m->mode, m->uid, m->gid);
		e->selector = S("/cache");
	} else {
		return;
	}
	if (!e->selector.len && !str_is(m->source, "/"))
		e->selector = m->source;
	e->input = input_of(x, &in);
	vec_push(&x->inputs[e->input].paths, e->selector.len ? e->selector : S("/"));
}

static void add_mounts(struct exec_maker *x)
{
	static const struct graph_mount shm = { .type = RUN_MOUNT_TMPFS,
		                                .target = { "/dev/shm", 8 },
		                                .from = { .kind = GRAPH_FROM_NONE } };
	const struct graph_run *r = x->run;
	bool shm_done = !x->shm_size;

	add_root_mount(x);
	for (size_t i = 0; i < r->n_mounts; i++) {
		if (r->mounts[i].type == RUN_MOUNT_SECRET || r->mounts[i].type == RUN_MOUNT_SSH)
			continue;
		if (!shm_done && str_cmp(shm.target, r->mounts[i].target) < 0) {
			add_file_mount(x, &shm);
			shm_done = true;
		}
		add_file_mount(x, &r->mounts[i]);
	}
	if (!shm_done)
		add_file_mount(x, &shm);
	for (size_t i = 0; i < r->n_mounts; i++)
		if (r->mounts[i].type == RUN_MOUNT_SECRET && r->mounts[i].target.len)
			push_mount(x, &r->mounts[i], r->mounts[i].target)->output = 0;
	for (size_t i = 0; i < r->n_mounts; i++)
		if (r->mounts[i].type == RUN_MOUNT_SSH)
			push_mount(x, &r->mounts[i], r->mounts[i].target)->output = 0;
}

/* --- the text --------------------------------------------------------------------------- */

static void add_cache(struct strbuf *out, const struct graph_mount *m, unsigned form)
{
	bool standard =
		str_eq(m->id, m->target) && m->sharing == RUN_SHARING_SHARED && !m->relative;

	op_json_key(out, "cacheOpt");
	strbuf_char(out, '{');
	if (standard || form & FORM_RAW_CACHE) {
		struct strbuf id cleanup_strbuf;

		strbuf_init(&id, OP_JSON_MAX);
		strbuf_printf(&id, "/%.*s", STR(m->id));
		op_json_str(out, "ID", strbuf_view(&id));
		if (sharings[m->sharing])
			op_json_num(out, "sharing", sharings[m->sharing]);
	}
	strbuf_char(out, '}');
}

static void add_secret(struct strbuf *out, const struct graph_mount *m)
{
	op_json_key(out, m->type == RUN_MOUNT_SECRET ? "secretOpt" : "SSHOpt");
	strbuf_char(out, '{');
	op_json_str(out, "ID", m->id);
	if (m->uid)
		op_json_num(out, "uid", m->uid);
	if (m->gid)
		op_json_num(out, "gid", m->gid);
	if (m->mode)
		op_json_num(out, "mode", m->mode);
	op_json_true(out, "optional", !m->required);
	strbuf_char(out, '}');
}

static void add_tmpfs(struct strbuf *out, uint64_t size)
{
	op_json_key(out, "TmpfsOpt");
	strbuf_char(out, '{');
	if (size)
		op_json_num(out, "size", (int64_t)size);
	strbuf_char(out, '}');
}

static void add_mount(struct strbuf *out, const struct exec_maker *x, const struct exec_mount *e,
                      unsigned form)
{
	const struct graph_mount *m = e->m;

	strbuf_char(out, '{');
	if (e->input || form & FORM_ZEROS)
		op_json_num(out, "input", e->input);
	op_json_str(out, "dest", e->dest);
	if (e->output || form & FORM_ZEROS)
		op_json_num(out, "output", e->output);
	if (m) {
		op_json_true(out, "readonly",
		             (m->type == RUN_MOUNT_BIND || m->type == RUN_MOUNT_CACHE) &&
		                     !m->writable);
		if (mount_types[m->type])
			op_json_num(out, "mountType", mount_types[m->type]);
		if (m->type == RUN_MOUNT_TMPFS)
			add_tmpfs(out, str_is(m->target, "/dev/shm") && !m->size ? x->shm_size
			                                                         : m->size);
		if (m->type == RUN_MOUNT_CACHE)
			add_cache(out, m, form);
		if (m->type == RUN_MOUNT_SECRET || m->type == RUN_MOUNT_SSH)
			add_secret(out, m);
	}
	strbuf_char(out, '}');
}

/* "name=ip": only the name counts. */
static void add_hosts(struct strbuf *out, const struct key_env *env)
{
	if (!env->n_add_hosts)
		return;
	op_json_key(out, "extraHosts");
	for (size_t i = 0; i < env->n_add_hosts; i++) {
		str host, ip;

		(void)str_cut(env->add_hosts[i], '=', &host, &ip);
		strbuf_cstr(out, i ? ",{" : "[{");
		op_json_str(out, "Host", host);
		strbuf_char(out, '}');
	}
	strbuf_char(out, ']');
}

/* "nofile=1024:2048" */
static void add_ulimits(struct strbuf *out, const struct key_env *env)
{
	if (!env->n_ulimits)
		return;
	op_json_key(out, "ulimit");
	for (size_t i = 0; i < env->n_ulimits; i++) {
		str name, limits, soft, hard;
		struct cairn_err ignored;
		uint64_t lo = 0, hi = 0;

		(void)str_cut(env->ulimits[i], '=', &name, &limits);
		if (!str_cut(limits, ':', &soft, &hard))
			hard = soft;
		(void)num_u64(soft, INT64_MAX, &lo, &ignored);
		(void)num_u64(hard, INT64_MAX, &hi, &ignored);
		strbuf_cstr(out, i ? ",{" : "[{");
		op_json_str(out, "Name", name);
		if (lo)
			op_json_num(out, "Soft", (int64_t)lo);
		if (hi)
			op_json_num(out, "Hard", (int64_t)hi);
		strbuf_char(out, '}');
	}
	strbuf_char(out, ']');
}

/* The socket of an ssh agent is told to the command, unless the build did so itself. */
static void add_env(struct strbuf *out, const struct exec_maker *x)
{
	const struct graph_env *env = &x->m->node->set_env;
	str *vars = arena_array(x->m->a, str, env->n + 1);
	size_t n = env->n;

	if (n)
		memcpy(vars, env->vars, n * sizeof(*vars));
	for (size_t i = 0; i < n; i++)
		if (str_starts(vars[i], S("SSH_AUTH_SOCK="))) {
			op_json_strs(out, "env", vars, n);
			return;
		}
	for (size_t i = 0; i < x->n_mounts; i++)
		if (x->mounts[i].m && x->mounts[i].m->type == RUN_MOUNT_SSH) {
			vars[n++] = str_of(arena_printf(x->m->a, "SSH_AUTH_SOCK=%.*s",
			                                STR(x->mounts[i].dest)));
			break;
		}
	op_json_strs(out, "env", vars, n);
}

static void add_meta(struct strbuf *out, const struct exec_maker *x, unsigned form)
{
	const struct graph_node *n = x->m->node;
	const struct key_env *env = x->m->env;

	op_json_key(out, "meta");
	strbuf_char(out, '{');
	op_json_strs(out, "args", x->run->argv, x->run->n_argv);
	add_env(out, x);
	op_json_str(out, "cwd", n->cwd);
	op_json_str(out, "user", n->user);
	add_hosts(out, env);
	add_ulimits(out, env);
	op_json_true(out, "removeMountStubsRecursive", !(form & FORM_NO_STUBS));
	strbuf_char(out, '}');
}

static void add_secret_env(struct strbuf *out, const struct graph_run *r)
{
	bool any = false;

	for (size_t i = 0; i < r->n_mounts; i++) {
		const struct graph_mount *m = &r->mounts[i];

		if (m->type != RUN_MOUNT_SECRET || !m->env.len)
			continue;
		if (!any) {
			op_json_key(out, "secretenv");
			strbuf_char(out, '[');
		} else {
			strbuf_char(out, ',');
		}
		any = true;
		strbuf_char(out, '{');
		op_json_str(out, "ID", m->id);
		op_json_str(out, "name", m->env);
		op_json_true(out, "optional", !m->required);
		strbuf_char(out, '}');
	}
	if (any)
		strbuf_char(out, ']');
}

static void exec_json(struct strbuf *out, const struct exec_maker *x, unsigned form)
{
	static const int networks[] = {
		[GRAPH_NET_DEFAULT] = 0, [GRAPH_NET_NONE] = 2, [GRAPH_NET_HOST] = 1
	};
	const struct platform *p = &x->m->node->stage->platform;
	enum graph_network net = x->run->network;

	if (net == GRAPH_NET_DEFAULT)
		net = x->m->env->network;
	if (net == GRAPH_NET_HOST && x->run->network == GRAPH_NET_DEFAULT &&
	    x->m->env->network_default == !(form & FORM_NETWORK))
		net = GRAPH_NET_DEFAULT;
	strbuf_cstr(out, "{\"Type\":\"buildkit.exec.v0\",\"Exec\":{");
	add_meta(out, x, form);
	for (size_t i = 0; x->n_mounts > 1 && i < x->n_mounts; i++) {
		if (i) {
			strbuf_char(out, ',');
		} else {
			op_json_key(out, "mounts");
			strbuf_char(out, '[');
		}
		add_mount(out, x, &x->mounts[i], form);
	}
	if (x->n_mounts > 1)
		strbuf_char(out, ']');
	if (networks[net])
		op_json_num(out, "network", networks[net]);
	add_secret_env(out, x->run);
	strbuf_char(out, '}');
	op_json_str(out, "OS", str_of(p->os));
	op_json_str(out, "Arch", str_of(p->arch));
	op_json_str(out, "Variant", op_variant(p, form));
	strbuf_char(out, '}');
}

static void add_exec_forms(const struct exec_maker *x)
{
	struct strbuf json cleanup_strbuf;

	strbuf_init(&json, OP_JSON_MAX);
	for (unsigned form = 0; form <= FORM_ALL; form++) {
		strbuf_clear(&json);
		exec_json(&json, x, form);
		if (!json.overflow)
			op_add_form(x->m->op, strbuf_view(&json));
	}
}

/* --- links ----------------------------------------------------------------------------------- */

/* Newer versions call "all of it" by its path, too. */
static void add_selectors(struct buildkit_dep *dep, const struct exec_input *in)
{
	bool all = true;

	for (size_t i = 0; i < in->paths.len; i++)
		all &= str_is(in->paths.ptr[i], "/");
	dep->selectors[dep->n_selectors++] = op_selector(in->paths.ptr, in->paths.len);
	if (all)
		dep->selectors[dep->n_selectors++] = (struct digest){ 0 };
}

static int ascending(const void *a, const void *b)
{
	return str_cmp(((const struct buildkit_selector *)a)->path,
	               ((const struct buildkit_selector *)b)->path);
}

/* What a bind mount reads of a context; a path below another one says nothing more. */
static int add_contents(const struct exec_maker *x, const struct exec_input *in,
                        struct buildkit_dep *dep, struct cairn_err *err)
{
	struct buildkit_selector *sel =
		arena_array(x->m->a, struct buildkit_selector, in->paths.len);
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < in->paths.len; i++)
		sel[n++].path = in->paths.ptr[i];
	qsort(sel, n, sizeof(*sel), ascending);
	for (size_t i = 0; i < n; i++) {
		bool below = false;

		for (size_t k = 0; k < kept && !below; k++)
			below = str_is(sel[k].path, "/") ||
			        layer_path_below(str_skip(sel[i].path, 1),
			                         str_skip(sel[k].path, 1));
		if (!below)
			sel[kept++] = sel[i];
	}
	return op_context_contents(x->m, in->context, sel, kept, dep, err);
}

static int add_deps(const struct exec_maker *x, struct cairn_err *err)
{
	for (size_t i = 0; i < x->n_inputs; i++) {
		const struct exec_input *in = &x->inputs[i];
		struct buildkit_dep *dep = op_add_dep(x->m);

		dep->node = in->node;
		dep->op = in->op;
		if (in->is_context)
			TRY(add_contents(x, in, dep, err));
		else
			add_selectors(dep, in);
	}
	return 0;
}

int op_make_exec(struct op_maker *m, bool *ret_known, struct cairn_err *err)
{
	const struct graph_run *r = &m->node->run;
	struct exec_maker x = { .m = m, .run = r, .shm_size = m->env->shm_size };
	int rc;

	*ret_known = !r->script.ptr;
	if (!*ret_known)
		return 0;
	x.mounts = arena_array(m->a, struct exec_mount, r->n_mounts + 2);
	x.inputs = arena_array(m->a, struct exec_input, r->n_mounts + 2);
	add_mounts(&x);
	add_exec_forms(&x);
	rc = add_deps(&x, err);
	for (size_t i = 0; i < x.n_inputs; i++)
		vec_free(&x.inputs[i].paths);
	return rc;
}
