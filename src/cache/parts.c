#include "parts.h"

#include <stdlib.h>

#include "util/vec.h"

struct parts {
	const struct report *r;
	struct arena *a;
	VEC(struct report_part) list;
};

static void add(struct parts *p, enum report_part_kind kind, str name, str value)
{
	vec_push(&p->list, (struct report_part){ .kind = kind,
	                                         .name = name,
	                                         .digest = report_value(p->r, value) });
}

/* A value of several fields: framed, so that no two lists give one text. */
static str joined(struct arena *a, struct digest_fields *f)
{
	struct digest d = digest_fields_end(f);

	return arena_str(a, str_of(digest_hex(&d).s));
}

static void add_list(struct digest_fields *f, const char *name, const str *list, size_t n)
{
	digest_field_u64(f, name, n);
	for (size_t i = 0; i < n; i++)
		digest_field_str(f, name, list[i]);
}

/* --- kinds of steps ------------------------------------------------------------- */

static void add_env(struct parts *p, const struct graph_env *env)
{
	for (size_t i = 0; i < env->n; i++) {
		str name, value;

		(void)str_cut(env->vars[i], '=', &name, &value);
		add(p, REPORT_ENV, name, value);
	}
}

static void add_mount(struct parts *p, const struct graph_mount *m)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.mount", 1);
	digest_field_u64(&f, "type", (uint64_t)m->type);
	digest_field_u64(&f, "writable", m->writable);
	digest_field_u64(&f, "mode", m->mode);
	digest_field_u64(&f, "uid", m->uid);
	digest_field_u64(&f, "gid", m->gid);
	digest_field_u64(&f, "size", m->size);
	digest_field_u64(&f, "required", m->required);
	digest_field_str(&f, "env", m->env);
	digest_field_u64(&f, "from", (uint64_t)m->from.kind);
	digest_field_str(&f, "source", m->from.kind == GRAPH_FROM_NODE ? m->source : S(""));
	digest_field_str(&f, "id",
	                 m->type == RUN_MOUNT_SECRET || m->type == RUN_MOUNT_SSH ? m->id : S(""));
	add(p, REPORT_MOUNT, m->target, joined(p->a, &f));
}

static void add_option(struct parts *p, const char *name, const str *list, size_t n)
{
	struct digest_fields f;

	if (!n)
		return;
	digest_fields_begin(&f, "cairn.report.option", 1);
	add_list(&f, "value", list, n);
	add(p, REPORT_OPTION, str_of(name), joined(p->a, &f));
}

static void add_number(struct parts *p, const char *name, uint64_t value)
{
	if (value)
		add(p, REPORT_OPTION, str_of(name),
		    str_of(arena_printf(p->a, "%llu", (unsigned long long)value)));
}

static void add_run(struct parts *p, const struct graph_node *n, const struct key_env *env)
{
	const struct graph_run *r = &n->run;
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.run", 1);
	add_list(&f, "argv", r->argv, r->n_argv);
	digest_field_str(&f, "script", r->script);
	digest_field_str(&f, "script_name", r->script_name);
	add(p, REPORT_TEXT, S(""), joined(p->a, &f));
	add_env(p, &n->env);
	add(p, REPORT_USER, S(""), n->user);
	add(p, REPORT_CWD, S(""), n->cwd);
	for (size_t i = 0; i < r->n_mounts; i++)
		add_mount(p, &r->mounts[i]);
	add_number(p, "--network",
	           (uint64_t)(r->network == GRAPH_NET_DEFAULT ? env->network : r->network));
	add_option(p, "--add-host", env->add_hosts, env->n_add_hosts);
	add_option(p, "--ulimit", env->ulimits, env->n_ulimits);
	add_number(p, "--shm-size", env->shm_size);
}

static void add_copy(struct parts *p, const struct graph_node *n)
{
	const struct graph_copy *c = &n->copy;
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.copy", 1);
	digest_field_u64(&f, "add", c->add);
	digest_field_str(&f, "dest", c->dest);
	digest_field_str(&f, "chown", c->chown);
	digest_field_str(&f, "chmod", c->chmod);
	digest_field_u64(&f, "parents", c->parents);
	if (c->from.kind == GRAPH_FROM_NODE) {
		add_list(&f, "sources", c->sources, c->n_sources);
		add_list(&f, "excludes", c->excludes, c->n_excludes);
	}
	for (size_t i = 0; i < c->n_inlines; i++) {
		digest_field_str(&f, "inline_name", c->inlines[i].name);
		digest_field_str(&f, "inline", c->inlines[i].content);
	}
	add(p, REPORT_TEXT, S(""), joined(p->a, &f));
}

/* --- files -------------------------------------------------------------------------- */

/* All but the mode of a file, whose change has a word of its own. */
static str file_value(struct arena *a, const struct select_item *item)
{
	const struct layer_entry *e = item->file->entry;
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.report.file", 1);
	digest_field_u64(&f, "type", (uint64_t)e->type);
	digest_field_str(&f, "rel", item->rel);
	digest_field_str(&f, "target", e->target);
	digest_field_digest(&f, "content", &e->digest);
	return joined(a, &f);
}

static void add_files(struct parts *p, const struct parts_files *files)
{
	for (size_t i = 0; i < files->selection->n_items; i++) {
		const struct select_item *item = &files->selection->items[i];

		add(p, REPORT_FILE, item->file->entry->path, file_value(p->a, item));
		vec_last(&p->list)->mode = files->any_mode ? 0 : (uint32_t)item->file->entry->mode;
	}
}

static str top_folder(str path)
{
	str top, rest;

	(void)str_cut(path, '/', &top, &rest);
	return top;
}

/* One part for each name at the top of what was selected; items of one follow each other. */
static void add_folders(struct parts *p, const struct parts_files *files)
{
	const struct selection *s = files->selection;

	for (size_t i = 0; i < s->n_items;) {
		str top = top_folder(s->items[i].file->entry->path);
		struct digest_fields f;

		digest_fields_begin(&f, "cairn.report.folder", 1);
		for (; i < s->n_items && str_eq(top, top_folder(s->items[i].file->entry->path));
		     i++) {
			digest_field_str(&f, "file", file_value(p->a, &s->items[i]));
			digest_field_u64(&f, "mode",
			                 files->any_mode ? 0 : s->items[i].file->entry->mode);
		}
		add(p, REPORT_FOLDER, top, joined(p->a, &f));
	}
}

/* --- all ------------------------------------------------------------------------------ */

static int cmp(const void *x, const void *y)
{
	const struct report_part *a = x, *b = y;

	return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : str_cmp(a->name, b->name);
}

static void add_platform(struct parts *p, const struct platform *platform)
{
	char text[PLATFORM_TEXT_MAX];

	add(p, REPORT_PLATFORM, S(""), str_of(platform_text(platform, text)));
}

void parts_of_step(const struct report *r, const struct graph_node *n, const struct key_env *env,
                   const struct parts_files *files, size_t n_files, struct arena *a,
                   struct report_step *ret)
{
	struct parts p = { .r = r, .a = a };
	size_t n_items = 0;

	add_platform(&p, &n->stage->platform);
	switch (n->kind) {
	case GRAPH_BASE:
		add(&p, REPORT_BASE, n->base.ref, str_of(digest_hex(&n->base.config_digest).s));
		break;
	case GRAPH_RUN:
		add_run(&p, n, env);
		break;
	case GRAPH_COPY:
		add_copy(&p, n);
		break;
	case GRAPH_WORKDIR:
		add(&p, REPORT_TEXT, S(""), n->workdir.path);
		add(&p, REPORT_USER, S(""), n->user);
		break;
	case GRAPH_N_:
		CAIRN_BUG("node of no kind");
	}
	for (size_t i = 0; i < n_files; i++)
		n_items += files[i].selection->n_items;
	for (size_t i = 0; i < n_files; i++)
		if (p.list.len + n_items <= REPORT_PARTS_MAX)
			add_files(&p, &files[i]);
		else
			add_folders(&p, &files[i]);
	if (p.list.len > REPORT_PARTS_MAX) /* more folders than that: they are one */
		p.list.len = REPORT_PARTS_MAX;
	qsort(p.list.ptr, p.list.len, sizeof(*p.list.ptr), cmp);
	ret->parts = arena_array(a, struct report_part, p.list.len);
	memcpy(ret->parts, p.list.ptr, p.list.len * sizeof(*ret->parts));
	ret->n_parts = p.list.len;
	vec_free(&p.list);
}
