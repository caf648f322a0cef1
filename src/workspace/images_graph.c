/* Groups, which image stands on which, and the order of building. */
#include <stdlib.h>

#include "images_priv.h"

/* --- groups ---------------------------------------------------------------------------- */

static const struct workspace_group *find_group(const struct images_loader *l, str name)
{
	vec_foreach (g, &l->groups)
		if (str_eq(g->name, name))
			return g;
	return NULL;
}

static const char *suggest(const struct images_loader *l, str name)
{
	const char **names = xcalloc(l->names.len + l->groups.len + 1, sizeof(*names));
	const char *near;
	size_t n = 0;

	map_foreach (e, &l->names)
		names[n++] = ((const struct ws_image *)e->value)->name.ptr;
	vec_foreach (g, &l->groups)
		names[n++] = arena_cstr(l->a, g->name);
	near = str_suggest(name, names);
	free(names);
	return near;
}

static int fail_name(const struct images_loader *l, const struct images_place *p, const char *what,
                     str who, str name, struct cairn_err *err)
{
	const char *near = suggest(l, name);

	return images_fail(p, err, "%s '%.*s': there is no image '%.*s'%s%s%s", what, STR(who),
	                   STR(name), near ? "; did you mean '" : "", near ? near : "",
	                   near ? "'?" : "");
}

#define GROUPS_DEPTH_MAX 16 /* groups in each other */

/* Who names images, and where: for messages. */
struct mention {
	const struct images_place *place;
	const char *what; /* "group" */
	str who;
};

/* Call `each` for the images that a name means. */
static int resolve(struct images_loader *l, const struct mention *m, str name, unsigned depth,
                   void (*each)(struct images_loader *l, struct ws_image *i, void *ctx), void *ctx,
                   struct cairn_err *err)
{
	struct ws_image *i = map_get(&l->names, name);
	const struct workspace_group *g = i ? NULL : find_group(l, name);

	if (i) {
		each(l, i, ctx);
		return 0;
	}
	if (!g)
		return fail_name(l, m->place, m->what, m->who, name, err);
	if (depth > GROUPS_DEPTH_MAX)
		return images_fail(m->place, err, "%s '%.*s': the group '%.*s' holds itself",
		                   m->what, STR(m->who), STR(name));
	for (size_t k = 0; k < g->members.len; k++)
		TRY(resolve(l, &(struct mention){ m->place, "group", g->name }, g->members.ptr[k],
		            depth + 1, each, ctx, err));
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const str *)a, *(const str *)b);
}

static void join_group(struct images_loader *l, struct ws_image *i, void *ctx)
{
	const struct workspace_group *g = ctx;
	str *all = arena_array(l->a, str, i->groups.len + 1);

	for (size_t k = 0; k < i->groups.len; k++) {
		if (str_eq(i->groups.ptr[k], g->name))
			return;
		all[k] = i->groups.ptr[k];
	}
	all[i->groups.len] = arena_str(l->a, g->name);
	i->groups.ptr = all;
	qsort(all, ++i->groups.len, sizeof(*all), by_text);
}

static int make_groups(struct images_loader *l, struct cairn_err *err)
{
	for (size_t i = 0; i < l->groups.len; i++) {
		struct workspace_group *g = &l->groups.ptr[i];
		const struct images_place p = { .file = l->groups_file,
			                        .line = g->line,
			                        .col = g->col };

		if (map_has(&l->names, g->name))
			return images_fail(&p, err, "'%.*s' is the name of an image and of a group",
			                   STR(g->name));
		for (size_t k = 0; k < g->members.len; k++)
			TRY(resolve(l, &(struct mention){ &p, "group", g->name }, g->members.ptr[k],
			            0, join_group, g, err));
	}
	return 0;
}

/* --- edges ------------------------------------------------------------------------------ */

struct edges {
	struct map refs; /* normalised reference -> struct ws_image */
};

static void add_parent(struct images_loader *l, struct ws_image *parent, void *ctx)
{
	struct ws_image *i = ctx;
	struct ws_image **all;

	for (size_t k = 0; k < i->n_parents; k++)
		if (i->parents[k] == parent)
			return;
	all = arena_array(l->a, struct ws_image *, i->n_parents + 1);
	if (i->n_parents)
		memcpy(all, i->parents, i->n_parents * sizeof(struct ws_image *));
	all[i->n_parents++] = parent;
	i->parents = all;
}

static str normal(struct arena *a, str text)
{
	char name[REFERENCE_TEXT_MAX];
	struct reference ref;
	struct cairn_err ignored;

	if (reference_parse(text, &ref, &ignored) < 0)
		return text;
	return arena_str(a, str_of(reference_text(&ref, name)));
}

/* By tags first: what is written down goes before what a folder happens to be called. */
static void index_names(struct images_loader *l, struct edges *e)
{
	for (int names = 0; names < 2; names++)
		map_foreach (entry, &l->names) {
			struct ws_image *i = entry->value;

			for (size_t k = 0; !names && k < i->tags.len; k++) {
				str ref = normal(l->a, i->tags.ptr[k]);

				if (!map_has(&e->refs, ref))
					(void)map_put(&e->refs, ref, i);
			}
			if (names && !map_has(&e->refs, normal(l->a, i->name)))
				(void)map_put(&e->refs, normal(l->a, i->name), i);
		}
}

/* A named context of the image goes before everything else that a name can mean. */
static bool is_context(const struct ws_image *i, struct arena *a, str name)
{
	for (size_t k = 0; k < i->contexts.len; k++)
		if (str_eq(i->contexts.ptr[k].key, name) ||
		    str_eq(normal(a, i->contexts.ptr[k].key), normal(a, name)))
			return true;
	return false;
}

#define CONTEXT_IMAGE "image:"

static int context_edges(struct images_loader *l, struct ws_image *i, const struct images_place *p,
                         struct cairn_err *err)
{
	for (size_t k = 0; k < i->contexts.len; k++) {
		str value = i->contexts.ptr[k].value;
		struct ws_image *parent;

		if (!str_starts(value, S(CONTEXT_IMAGE)))
			continue;
		value = str_skip(value, strlen(CONTEXT_IMAGE));
		parent = map_get(&l->names, value);
		if (!parent)
			return fail_name(l, p, "the contexts of image", i->name, value, err);
		add_parent(l, parent, i);
	}
	return 0;
}

static void dockerfile_edges(struct images_loader *l, const struct edges *e, struct ws_image *i)
{
	const struct image_read *r = i->read;

	if (!r)
		return;
	if (!r->there) {
		images_warn(l, "%.*s: %s", STR(i->dockerfile), r->err.msg);
		return;
	}
	if (r->result < 0) {
		images_warn(l, "%s:%u: %s; what image '%.*s' stands on is not known", r->err.path,
		            r->err.line, r->err.msg, STR(i->name));
		return;
	}
	i->bases.ptr = arena_array(l->a, str, r->refs.refs.len + 1);
	vec_foreach (ref, &r->refs.refs) {
		str name = normal(l->a, ref->text);
		struct ws_image *parent = map_get(&e->refs, name);

		if (is_context(i, l->a, ref->text))
			continue;
		/* An image FROM its own name means the one that is published. */
		if (parent && parent != i)
			add_parent(l, parent, i);
		else
			i->bases.ptr[i->bases.len++] = arena_str(l->a, name);
	}
}

static int by_name(const void *a, const void *b)
{
	return str_cmp((*(struct ws_image *const *)a)->name, (*(struct ws_image *const *)b)->name);
}

static int find_edges(struct images_loader *l, struct cairn_err *err)
{
	struct edges e = { 0 };
	int r = 0;

	index_names(l, &e);
	images_read_all(l);
	for (size_t n = 0; r == 0 && n < l->names.len; n++) {
		struct ws_image *i = l->names.entries[n].value;
		const struct images_place p = { .file = i->file, .line = i->line, .col = i->col };

		r = context_edges(l, i, &p, err);
		for (size_t k = 0; r == 0 && k < i->depends.len; k++)
			r = resolve(l, &(struct mention){ &p, "depends of image", i->name },
			            i->depends.ptr[k], 0, add_parent, i, err);
		if (r == 0)
			dockerfile_edges(l, &e, i);
		if (i->n_parents)
			qsort(i->parents, i->n_parents, sizeof(*i->parents), by_name);
	}
	map_done(&e.refs);
	return r;
}

/* --- order ---------------------------------------------------------------------------------- */

/* The first parent that waits, too. */
static struct ws_image *waited_for(const struct ws_image *i, const bool *done)
{
	size_t k = 0;

	while (done[i->parents[k]->order])
		k++;
	return i->parents[k];
}

/* Whoever waits, waits for another: going from one to the next comes back at some time. */
static int fail_cycle(struct images_loader *l, const bool *done, struct cairn_err *err)
{
	struct ws_image *i = NULL, *start;
	cleanup_strbuf struct strbuf text;
	struct images_place p;

	for (size_t n = 0; !i; n++)
		if (!done[n])
			i = l->w->ptr[n];
	for (size_t step = 0; step <= l->w->len; step++) /* surely in the circle then */
		i = waited_for(i, done);
	start = i;
	for (struct ws_image *k = waited_for(i, done); k != i; k = waited_for(k, done))
		if (k->order < start->order) /* by name still */
			start = k;
	strbuf_init(&text, sizeof(err->msg));
	i = start;
	do {
		strbuf_printf(&text, "%.*s -> ", STR(i->name));
		i = waited_for(i, done);
	} while (i != start);
	p = (struct images_place){ .file = start->file, .line = start->line, .col = start->col };
	return images_fail(&p, err, "images stand on one another in a circle: %s%.*s", text.ptr,
	                   STR(start->name));
}

/* Round by round, by name, those whose parents are all there: the order depends on nothing but
 * names and edges. */
static int sort(struct images_loader *l, struct cairn_err *err)
{
	struct ws_images *w = l->w;
	bool *done = arena_array(l->a, bool, w->len + 1);
	struct ws_image **order = arena_array(l->a, struct ws_image *, w->len + 1);
	size_t n = 0, before;

	for (size_t i = 0; i < w->len; i++)
		w->ptr[i]->order = i; /* index in done, until all are */
	do {
		before = n;
		for (size_t i = 0; i < w->len; i++) {
			bool ready = !done[i];

			for (size_t k = 0; ready && k < w->ptr[i]->n_parents; k++)
				ready = done[w->ptr[i]->parents[k]->order];
			if (ready) {
				done[i] = true;
				order[n++] = w->ptr[i];
			}
		}
	} while (n > before);
	if (n < w->len)
		return fail_cycle(l, done, err);
	for (size_t i = 0; i < n; i++)
		order[i]->order = i;
	w->ptr = order;
	return 0;
}

static bool is_default(const struct ws_image *i)
{
	for (size_t k = 0; k < i->groups.len; k++)
		if (str_is(i->groups.ptr[k], "default"))
			return true;
	return str_is(i->name, "default");
}

int images_order(struct images_loader *l, struct cairn_err *err)
{
	struct ws_images *w = l->w;

	TRY(make_groups(l, err));
	map_foreach (e, &l->names)
		((struct ws_image *)e->value)->by_name = l->default_group && !is_default(e->value);
	TRY(find_edges(l, err));
	w->ptr = arena_array(l->a, struct ws_image *, l->names.len + 1);
	map_foreach (e, &l->names)
		w->ptr[w->len++] = e->value;
	if (w->len)
		qsort(w->ptr, w->len, sizeof(*w->ptr), by_name);
	return sort(l, err);
}
