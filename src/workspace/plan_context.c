/* The contexts of all images: each directory is walked once, each file hashed once. */
#include "plan_input.h"

#include "util/fs.h"

/* What an image reads of a directory. */
struct use {
	struct plan_input *in;
	str name; /* of the context in the image; "" = the build context */
	const struct ignore *ignore;
	const str *needed;
	size_t n_needed; /* 0: everything */
	struct view view;
	bool failed; /* its image, once all are read */
	struct cairn_err err;
};

struct group {
	struct plan_inputs *p;
	str dir;
	VEC(struct use) uses;
	VEC(const struct ignore *) ignores; /* different ones; NULL: some image ignores nothing */
	bool unfiltered;
	struct arena *arena; /* of the thread that reads it */
	struct context *context;
	const struct layer_entry *entries;
	size_t n_entries;
	struct view whole; /* of everything that was found; made when it is wanted */
	VEC(char *) warnings;
};

/* --- which directories there are ---------------------------------------------------------- */

struct groups {
	struct map by_dir; /* -> struct group * */
	VEC(struct group *) list;
};

static struct group *group_of(struct groups *gs, struct plan_inputs *p, str dir)
{
	struct group *g = map_get(&gs->by_dir, dir);

	if (g)
		return g;
	g = arena_new_of(p->arena, struct group);
	*g = (struct group){ .p = p, .dir = arena_str(p->arena, dir) };
	map_put(&gs->by_dir, dir, g);
	vec_push(&gs->list, g);
	return g;
}

static void add_ignore(struct group *g, const struct ignore *ignore)
{
	if (!ignore)
		g->unfiltered = true;
	vec_foreach (i, &g->ignores)
		if (*i == ignore)
			return;
	vec_push(&g->ignores, ignore);
}

static void add_use(struct groups *gs, struct plan_inputs *p, struct plan_input *in, str name,
                    str dir)
{
	struct use u = { .in = in, .name = name, .ignore = name.len ? NULL : in->ignore };
	str *needed = NULL;
	struct group *g;

	if (!define_needed(in->graph, name, p->arena, &needed, &u.n_needed))
		return; /* a context that no step reads is not even opened */
	u.needed = needed;
	g = group_of(gs, p, dir);
	add_ignore(g, u.ignore);
	vec_push(&g->uses, u);
}

static void find_groups(struct plan_inputs *p, struct groups *gs)
{
	for (size_t i = 0; i < p->len; i++) {
		struct plan_input *in = &p->ptr[i];

		if (in->failed)
			continue;
		add_use(gs, p, in, S(""), in->image->context);
		map_foreach (e, &in->contexts)
			if (str_search(str_of(e->value), S("://")) < 0)
				add_use(gs, p, in, e->key, str_of(e->value));
	}
}

static void use_failed(struct use *u, const struct cairn_err *err)
{
	u->failed = true;
	u->err = *err;
}

/* --- the walk --------------------------------------------------------------------------------
 */

/* Left out is what no image wants to see. */
static bool excluded(void *ctx, str path, bool is_dir)
{
	const struct group *g = ctx;

	(void)is_dir;
	vec_foreach (i, &g->ignores)
		if (!ignore_match(*i, path))
			return false;
	return true;
}

static bool may_skip_dir(void *ctx, str dir)
{
	const struct group *g = ctx;

	vec_foreach (i, &g->ignores)
		if (!ignore_may_skip_dir(*i, dir))
			return false;
	return true;
}

static void warn(void *ctx, const char *text)
{
	struct group *g = ctx;

	vec_push(&g->warnings, xstrdup(text));
}

static int walk(struct group *g, struct cairn_err *err)
{
	const char *dir = g->dir.len ? g->dir.ptr : ".";
	const char *what = arena_printf(g->arena, "the context '%s'", dir);
	struct context_opts o = { .name = what,
		                  .pool = g->p->opts->pool,
		                  .store = g->p->opts->store,
		                  .warn = warn,
		                  .warn_ctx = g };
	VEC(str) needed = { 0 };
	cleanup_fd int fd = -1;
	bool all = false;
	int r;

	if (fs_open_dir(g->p->root, dir, &fd, err) < 0)
		return cairn_wrap(err, "%s", what);
	vec_foreach (u, &g->uses) {
		all |= !u->n_needed;
		for (size_t i = 0; i < u->n_needed; i++)
			vec_push(&needed, u->needed[i]);
	}
	o.dirfd = fd;
	if (!g->unfiltered)
		o.filter = (struct context_filter){ excluded, may_skip_dir, g };
	o.needed = needed.ptr;
	o.n_needed = all ? 0 : needed.len;
	r = context_scan(&o, &g->context, err);
	vec_free(&needed);
	if (r == 0)
		g->entries = context_entries(g->context, &g->n_entries);
	return r;
}

/* --- what one image sees ------------------------------------------------------------------------
 */

/* Index of the first entry that is not before path. */
static size_t place_of(const struct group *g, str path)
{
	size_t lo = 0, hi = g->n_entries;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (layer_path_cmp(g->entries[mid].path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool is_at(const struct group *g, size_t i, str path)
{
	return i < g->n_entries && str_eq(g->entries[i].path, path);
}

/* Entries by index, what an image needs being true. */
struct picked {
	VEC(size_t) at;
	bool links; /* a link is on the way: what it leads to is anywhere */
};

static void pick_path(const struct group *g, str path, struct picked *p)
{
	size_t i;

	for (size_t end = 0; end <= path.len; end++) {
		if (end < path.len && path.ptr[end] != '/')
			continue;
		i = place_of(g, str_n(path.ptr, end));
		if (!is_at(g, i, str_n(path.ptr, end)))
			return;
		p->links |= g->entries[i].type == LAYER_SYMLINK;
		vec_push(&p->at, i);
	}
	for (i = place_of(g, path) + 1;
	     i < g->n_entries && layer_path_below(g->entries[i].path, path); i++)
		vec_push(&p->at, i);
}

static int by_place(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return (x > y) - (x < y);
}

/* Drop what the image ignores. A directory that it ignores stays when something in it does. */
static void apply_ignore(const struct ignore *ignore, struct view *v)
{
	bool *keep = xcalloc(v->n + 1, sizeof(*keep));
	VEC(size_t) open = { 0 }; /* directories that the entry lies in */
	size_t kept = 0;

	for (size_t i = 0; i < v->n; i++) {
		str path = v->files[i].entry->path;

		while (open.len && !layer_path_below(path, v->files[*vec_last(&open)].entry->path))
			open.len--;
		keep[i] = !ignore_match(ignore, path);
		for (size_t k = open.len; keep[i] && k-- > 0 && !keep[open.ptr[k]];)
			keep[open.ptr[k]] = true;
		if (v->files[i].entry->type == LAYER_DIR)
			vec_push(&open, i);
	}
	for (size_t i = 0; i < v->n; i++)
		if (keep[i])
			v->files[kept++] = v->files[i];
	v->n = kept;
	vec_free(&open);
	free(keep);
}

static struct view view_of(const struct group *g, const struct use *u, size_t n)
{
	struct view v = { .n = n,
		          .what = u->name.len
		                          ? str_of(arena_printf(g->arena, "build context '%.*s'",
		                                                STR(u->name)))
		                          : S("the build context") };

	v.files = arena_array(g->arena, struct view_file, n);
	return v;
}

static struct view whole_view(struct group *g, const struct use *u)
{
	struct view v;

	if (g->whole.files && g->ignores.len == 1)
		return g->whole;
	v = view_of(g, u, g->n_entries);
	for (size_t i = 0; i < g->n_entries; i++)
		v.files[i].entry = &g->entries[i];
	if (g->ignores.len > 1 && u->ignore)
		apply_ignore(u->ignore, &v);
	g->whole = v;
	return v;
}

static void see(struct group *g, struct use *u)
{
	struct picked p = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < u->n_needed; i++)
		pick_path(g, u->needed[i], &p);
	if (!u->n_needed || p.links) {
		u->view = whole_view(g, u);
	} else {
		if (p.at.len)
			qsort(p.at.ptr, p.at.len, sizeof(*p.at.ptr), by_place);
		u->view = view_of(g, u, p.at.len);
		for (size_t i = 0; i < p.at.len; i++)
			if (!i || p.at.ptr[i] != p.at.ptr[i - 1])
				u->view.files[n++].entry = &g->entries[p.at.ptr[i]];
		u->view.n = n;
		if (g->ignores.len > 1 && u->ignore)
			apply_ignore(u->ignore, &u->view);
	}
	vec_free(&p.at);
}

/* --- steps ----------------------------------------------------------------------------------- */

/* Do something with every operand that reads this use's context. */
static int each_operand(struct group *g, struct use *u,
                        int (*fn)(struct group *g, struct use *u, struct define_step *s, size_t i,
                                  void *ctx, struct cairn_err *err),
                        void *ctx, struct cairn_err *err)
{
	for (size_t k = 0; k < u->in->graph->n_nodes; k++) {
		struct define_step *s = &u->in->steps[k];

		for (size_t i = 0; i < s->n_operands; i++) {
			const struct graph_source *from = define_source(s->node, i);

			if (from->kind == GRAPH_FROM_CONTEXT && str_eq(from->context, u->name))
				TRY(fn(g, u, s, i, ctx, err));
		}
	}
	return 0;
}

static int select_one(struct group *g, struct use *u, struct define_step *s, size_t i, void *ctx,
                      struct cairn_err *err)
{
	(void)ctx;
	s->views[i] = u->view;
	TRY(define_select(s, i, u->in->path, g->arena, err));
	for (size_t k = 0; k < s->selections[i].n_empty; k++)
		vec_push(&g->warnings,
		         xasprintf("%s:%u: '%.*s' matches nothing in %.*s", u->in->path,
		                   s->node->line, STR(s->selections[i].empty[k]),
		                   STR(u->view.what)));
	return 0;
}

struct wanted {
	VEC(const struct layer_entry *) entries;
};

static int want_one(struct group *g, struct use *u, struct define_step *s, size_t i, void *ctx,
                    struct cairn_err *err)
{
	struct wanted *w = ctx;

	(void)g, (void)u, (void)err;
	for (size_t k = 0; k < s->selections[i].n_items; k++)
		vec_push(&w->entries, s->selections[i].items[k].file->entry);
	return 0;
}

static int digest_one(struct group *g, struct use *u, struct define_step *s, size_t i, void *ctx,
                      struct cairn_err *err)
{
	(void)g, (void)u, (void)ctx, (void)err;
	define_digest(s, i);
	return 0;
}

/* All at once; when that fails, image by image, so that only those fail that read the file. */
static void hash(struct group *g)
{
	struct wanted w = { 0 };
	struct cairn_err err;
	int r;

	vec_foreach (u, &g->uses)
		if (!u->failed)
			(void)each_operand(g, u, want_one, &w, &err);
	r = context_hash(g->context, w.entries.ptr, w.entries.len, &err);
	for (size_t i = 0; r < 0 && i < g->uses.len; i++) {
		struct use *u = &g->uses.ptr[i];

		w.entries.len = 0;
		if (u->failed)
			continue;
		(void)each_operand(g, u, want_one, &w, &err);
		if (context_hash(g->context, w.entries.ptr, w.entries.len, &err) < 0)
			use_failed(u, &err);
	}
	vec_free(&w.entries);
}

static int read_group(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct group *g = ((struct group **)ctx)[i];
	struct cairn_err err = { 0 };

	(void)ignored;
	g->arena = arena_new();
	if (walk(g, &err) < 0) {
		vec_foreach (u, &g->uses)
			use_failed(u, &err);
		return 0;
	}
	vec_foreach (u, &g->uses) {
		see(g, u);
		if (each_operand(g, u, select_one, NULL, &err) < 0)
			use_failed(u, &err);
	}
	hash(g);
	vec_foreach (u, &g->uses)
		if (!u->failed)
			(void)each_operand(g, u, digest_one, NULL, &err);
	return 0;
}

static void group_done(struct group *g)
{
	vec_foreach (u, &g->uses)
		if (u->failed)
			input_failed(u->in, &u->err);
	vec_foreach (t, &g->warnings)
		vec_push(&g->p->warnings, *t);
	vec_free(&g->warnings);
	vec_free(&g->uses);
	vec_free(&g->ignores);
}

void contexts_read(struct plan_inputs *p)
{
	struct groups gs = { 0 };
	struct cairn_err err;

	find_groups(p, &gs);
	/* Failures are the images' own: none comes back from here. */
	(void)pool_map(p->opts->pool, gs.list.len, read_group, gs.list.ptr, &err);
	vec_foreach (g, &gs.list) {
		group_done(*g);
		vec_push(&p->contexts,
		         (struct plan_context){ (*g)->dir, (*g)->context, (*g)->arena });
	}
	vec_free(&gs.list);
	map_done(&gs.by_dir);
}
