#include "keys.h"

/* Raise a kind's version with every change of what its steps produce. */
static const struct {
	const char *domain;
	uint32_t version;
} kinds[] = {
	[GRAPH_BASE] = { "cairn.step.base", 1 },
	[GRAPH_RUN] = { "cairn.step.run", 2 },
	[GRAPH_COPY] = { "cairn.step.copy", 2 },
	[GRAPH_WORKDIR] = { "cairn.step.workdir", 1 },
};

/* What ADD does beyond COPY has a version of its own. */
#define ADD_VERSION 2u

static void add_list(struct digest_fields *f, const char *name, const str *list, size_t n)
{
	digest_field_u64(f, name, n);
	for (size_t i = 0; i < n; i++)
		digest_field_str(f, name, list[i]);
}

static void add_platform(struct digest_fields *f, const struct platform *p)
{
	digest_field_str(f, "os", str_of(p->os));
	digest_field_str(f, "arch", str_of(p->arch));
	digest_field_str(f, "variant", str_of(p->variant));
}

/* What an operand reads. In a definition key a step's files are named by its
 * key and the paths; in a content key, and for contexts, by their content. */
static void add_operand(struct digest_fields *f, const struct key_operand *o, bool content)
{
	bool by_step = o->node && !content;

	digest_field_u64(f, "by_step", by_step);
	digest_field_digest(f, "operand", by_step ? &o->base : &o->selection);
}

static void add_mount(struct digest_fields *f, const struct graph_mount *m)
{
	digest_field_u64(f, "mount", (uint64_t)m->type);
	digest_field_str(f, "target", m->target);
	digest_field_u64(f, "writable", m->writable);
	digest_field_u64(f, "mode", m->mode);
	digest_field_u64(f, "uid", m->uid);
	digest_field_u64(f, "gid", m->gid);
	digest_field_u64(f, "size", m->size);
	digest_field_u64(f, "required", m->required);
	digest_field_str(f, "env", m->env);
	digest_field_u64(f, "from", (uint64_t)m->from.kind);
	if (m->from.kind == GRAPH_FROM_NODE)
		digest_field_str(f, "source", m->source);
	/* Names of caches do not change what a step means; secrets are known by theirs. */
	if (m->type == RUN_MOUNT_SECRET || m->type == RUN_MOUNT_SSH)
		digest_field_str(f, "id", m->id);
}

static void add_run(struct digest_fields *f, const struct graph_node *n, const struct key_env *env)
{
	const struct graph_run *r = &n->run;

	add_list(f, "argv", r->argv, r->n_argv);
	digest_field_u64(f, "has_script", r->script.ptr != NULL);
	digest_field_str(f, "script", r->script);
	digest_field_str(f, "script_name", r->script_name);
	add_list(f, "env", n->env.vars, n->env.n);
	digest_field_str(f, "user", n->user);
	digest_field_str(f, "cwd", n->cwd);
	digest_field_u64(f, "network",
	                 (uint64_t)(r->network == GRAPH_NET_DEFAULT ? env->network : r->network));
	digest_field_u64(f, "mounts", r->n_mounts);
	for (size_t i = 0; i < r->n_mounts; i++)
		add_mount(f, &r->mounts[i]);
	add_list(f, "add_hosts", env->add_hosts, env->n_add_hosts);
	add_list(f, "ulimits", env->ulimits, env->n_ulimits);
	digest_field_u64(f, "shm_size", env->shm_size);
}

static void add_copy(struct digest_fields *f, const struct graph_node *n, bool content)
{
	const struct graph_copy *c = &n->copy;

	digest_field_u64(f, "add", c->add ? ADD_VERSION : 0);
	digest_field_str(f, "dest", c->dest);
	digest_field_str(f, "chown", c->chown);
	digest_field_str(f, "chmod", c->chmod);
	digest_field_u64(f, "parents", c->parents);
	/* The selection says by itself what the words stand for. */
	if (c->from.kind == GRAPH_FROM_NODE && !content) {
		add_list(f, "sources", c->sources, c->n_sources);
		add_list(f, "excludes", c->excludes, c->n_excludes);
	}
	digest_field_u64(f, "inlines", c->n_inlines);
	for (size_t i = 0; i < c->n_inlines; i++) {
		digest_field_str(f, "inline_name", c->inlines[i].name);
		digest_field_str(f, "inline", c->inlines[i].content);
	}
}

static void add_node(struct digest_fields *f, const struct graph_node *n, const struct key_env *env,
                     bool content)
{
	switch (n->kind) {
	case GRAPH_BASE:
		digest_field_digest(f, "config", &n->base.config_digest);
		break;
	case GRAPH_RUN:
		add_run(f, n, env);
		break;
	case GRAPH_COPY:
		add_copy(f, n, content);
		break;
	case GRAPH_WORKDIR:
		digest_field_str(f, "path", n->workdir.path);
		digest_field_str(f, "user", n->user);
		break;
	case GRAPH_N_:
		CAIRN_BUG("node of no kind");
	}
}

static struct digest step_key(const struct graph_node *n, const struct key_env *env,
                              const struct digest *parent, const struct key_operand *operands,
                              size_t n_operands, bool content)
{
	struct digest_fields f;

	digest_fields_begin(&f, kinds[n->kind].domain, kinds[n->kind].version);
	digest_field_str(&f, "key", content ? S("content") : S("definition"));
	add_platform(&f, &n->stage->platform);
	if (parent)
		digest_field_digest(&f, "parent", parent);
	add_node(&f, n, env, content);
	digest_field_u64(&f, "operands", n_operands);
	for (size_t i = 0; i < n_operands; i++)
		add_operand(&f, &operands[i], content);
	return digest_fields_end(&f);
}

struct digest key_definition(const struct graph_node *n, const struct key_env *env,
                             const struct digest *parent, const struct key_operand *operands,
                             size_t n_operands)
{
	return step_key(n, env, n->kind == GRAPH_BASE ? NULL : parent, operands, n_operands, false);
}

struct digest key_content(const struct graph_node *n, const struct key_env *env,
                          const struct digest *parent, const struct key_operand *operands,
                          size_t n_operands)
{
	return step_key(n, env, parent, operands, n_operands, true);
}

struct digest key_link(const struct graph_node *n, const struct key_operand *operands,
                       size_t n_operands)
{
	static const struct key_env none;

	return step_key(n, &none, NULL, operands, n_operands, true);
}
