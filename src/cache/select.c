#include "select.h"

#define LINKS_MAX 40 /* followed in one path, as the kernel's limit */

struct walk {
	struct view *v;
	size_t cap;
	struct arena *a;
};

static int add_file(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	struct walk *w = ctx;

	(void)err;
	if (!node->entry->path.len)
		return 0;
	if (w->v->n == w->cap) {
		struct view_file *more = arena_array(w->a, struct view_file, w->cap * 2 + 256);

		if (w->v->n)
			memcpy(more, w->v->files, w->v->n * sizeof(*more));
		w->cap = w->cap * 2 + 256;
		w->v->files = more;
	}
	w->v->files[w->v->n++] = (struct view_file){ node->entry, node->layer };
	return 0;
}

void view_of_tree(struct arena *a, const struct tree *t, str what, struct view *ret)
{
	struct walk w = { ret, 0, a };
	struct cairn_err ignored;

	*ret = (struct view){ .owners = true, .what = what };
	(void)tree_walk(t, NULL, add_file, &w, &ignored); /* add_file never fails */
}

/* First file that does not sort before `path`. */
static size_t lower_bound(const struct view *v, str path)
{
	size_t lo = 0, hi = v->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (layer_path_cmp(v->files[mid].entry->path, path) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

const struct view_file *view_find(const struct view *v, str path)
{
	size_t i = lower_bound(v, path);

	return i < v->n && str_eq(v->files[i].entry->path, path) ? &v->files[i] : NULL;
}

bool view_resolve(struct arena *a, const struct view *v, str path, str *ret_path,
                  const struct view_file **ret_file)
{
	const struct view_file *f = NULL;
	unsigned links = 0;
	str rest = path, part, at = S("");

	while (str_next(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			at = layer_path_parent(at);
			f = at.len ? view_find(v, at) : NULL;
			continue;
		}
		if (f && f->entry->type != LAYER_DIR)
			return false;
		part = at.len ? str_of(arena_printf(a, "%.*s/%.*s", STR(at), STR(part)))
		              : arena_str(a, part);
		f = view_find(v, part);
		if (!f)
			return false;
		if (f->entry->type != LAYER_SYMLINK) {
			at = part;
			continue;
		}
		if (++links > LINKS_MAX)
			return false;
		rest = str_of(arena_printf(a, "%.*s/%.*s", STR(f->entry->target), STR(rest)));
		at = str_starts(f->entry->target, S("/")) ? S("") : layer_path_parent(part);
		f = at.len ? view_find(v, at) : NULL;
	}
	*ret_path = at;
	*ret_file = f;
	return true;
}

struct builder {
	struct arena *a;
	const struct view *v;
	const struct ignore *excludes;
	VEC(struct select_match) matches;
	VEC(struct select_item) items;
	VEC(str) empty;
};

/* One file or directory, resolved; name is how it was called. */
static void add_match(struct builder *b, str path, const struct view_file *f, str name)
{
	struct select_match m = { .name = name,
		                  .dir = !f || f->entry->type == LAYER_DIR,
		                  .first = b->items.len };
	size_t i = f ? (size_t)(f - b->v->files) : 0;

	if (!m.dir) {
		if (!ignore_match(b->excludes, name))
			vec_push(&b->items, (struct select_item){ S(""), f });
		else
			return;
	}
	for (; m.dir && i < b->v->n && layer_path_below(b->v->files[i].entry->path, path); i++) {
		str rel = str_skip(b->v->files[i].entry->path, path.len);

		rel = str_starts(rel, S("/")) ? str_skip(rel, 1) : rel;
		if (rel.len && ignore_match(b->excludes, rel))
			continue;
		vec_push(&b->items, (struct select_item){ rel, &b->v->files[i] });
	}
	m.n = b->items.len - m.first;
	vec_push(&b->matches, m);
}

/* Every file that the pattern matches, in order. */
static void add_wildcard(struct builder *b, str pattern)
{
	size_t before = b->matches.len;

	for (size_t i = 0; i < b->v->n; i++) {
		const struct view_file *f = &b->v->files[i];
		str path = f->entry->path, name = layer_path_name(path);

		if (!pattern_match(pattern, path) || !view_resolve(b->a, b->v, path, &path, &f))
			continue;
		add_match(b, path, f, name);
	}
	if (b->matches.len == before)
		vec_push(&b->empty, pattern);
}

static int add_source(struct builder *b, str source, struct cairn_err *err)
{
	const struct view_file *f = NULL;
	str cleaned = str_skip(arena_clean_path(b->a, source), 1), path = S("");

	if (view_resolve(b->a, b->v, cleaned, &path, &f)) {
		add_match(b, path, f, layer_path_name(cleaned));
		return 0;
	}
	if (pattern_has_wildcard(cleaned)) {
		add_wildcard(b, cleaned);
		return 0;
	}
	return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%.*s' is not in %.*s", STR(source),
	                  STR(b->v->what));
}

/* Move the vectors into the arena. */
static void finish(struct builder *b, struct selection *ret)
{
	*ret = (struct selection){ .n_matches = b->matches.len,
		                   .n_items = b->items.len,
		                   .n_empty = b->empty.len };
	ret->matches = arena_array(b->a, struct select_match, ret->n_matches);
	ret->items = arena_array(b->a, struct select_item, ret->n_items);
	ret->empty = arena_array(b->a, str, ret->n_empty);
	if (ret->n_matches)
		memcpy(ret->matches, b->matches.ptr, ret->n_matches * sizeof(*ret->matches));
	if (ret->n_items)
		memcpy(ret->items, b->items.ptr, ret->n_items * sizeof(*ret->items));
	if (ret->n_empty)
		memcpy(ret->empty, b->empty.ptr, ret->n_empty * sizeof(*ret->empty));
}

static void builder_done(struct builder *b)
{
	vec_free(&b->matches);
	vec_free(&b->items);
	vec_free(&b->empty);
}

int select_copy(struct arena *a, const struct view *v, const struct graph_copy *c,
                struct selection *ret, struct cairn_err *err)
{
	cleanup_ignore struct ignore *excludes = NULL;
	struct builder b = { .a = a, .v = v };
	int r = 0;

	if (c->n_excludes)
		TRY(ignore_new(c->excludes, c->n_excludes, &excludes, err));
	b.excludes = excludes;
	for (size_t i = 0; r == 0 && i < c->n_sources; i++)
		r = add_source(&b, c->sources[i], err);
	if (r == 0)
		finish(&b, ret);
	builder_done(&b);
	return r;
}

int select_path(struct arena *a, const struct view *v, str path, struct selection *ret,
                struct cairn_err *err)
{
	struct builder b = { .a = a, .v = v };
	const struct view_file *f = NULL;
	str resolved = S("");

	if (!view_resolve(a, v, path, &resolved, &f))
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "'%.*s' is not in %.*s", STR(path),
		                  STR(v->what));
	add_match(&b, resolved, f, layer_path_name(resolved));
	finish(&b, ret);
	builder_done(&b);
	return 0;
}

static void add_item(struct digest_fields *f, const struct select_item *item, bool owners,
                     bool any_mode)
{
	const struct layer_entry *e = item->file->entry;
	bool file = e->type == LAYER_FILE || e->type == LAYER_HARDLINK;

	digest_field_str(f, "rel", item->rel);
	digest_field_u64(f, "type", file ? LAYER_FILE : (uint64_t)e->type);
	if (!any_mode || e->type == LAYER_SYMLINK)
		digest_field_u64(f, "mode", e->mode);
	if (owners) {
		digest_field_u64(f, "uid", e->uid);
		digest_field_u64(f, "gid", e->gid);
	}
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		digest_field_str(f, "xattr", e->xattrs[i].name);
		digest_field_str(f, "value", e->xattrs[i].value);
	}
	if (file)
		digest_field_digest(f, "content", &e->digest);
	else if (e->type == LAYER_SYMLINK)
		digest_field_str(f, "target", e->target);
	else if (e->type == LAYER_CHAR || e->type == LAYER_BLOCK)
		digest_field_u64(f, "rdev", (uint64_t)e->major << 32 | e->minor);
}

struct digest selection_digest(const struct selection *s, const struct view *v, bool any_mode)
{
	struct digest_fields f;

	digest_fields_begin(&f, "cairn.selection", 1);
	for (size_t i = 0; i < s->n_matches; i++) {
		const struct select_match *m = &s->matches[i];

		digest_field_u64(&f, "dir", m->dir);
		if (!m->dir) /* a directory's own name does not reach the destination */
			digest_field_str(&f, "name", m->name);
		digest_field_u64(&f, "items", m->n);
		for (size_t k = 0; k < m->n; k++)
			add_item(&f, &s->items[m->first + k], v->owners, any_mode);
	}
	return digest_fields_end(&f);
}
