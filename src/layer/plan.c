#include "plan.h"

struct layer_plan *layer_plan_new(void)
{
	struct layer_plan *p = xcalloc(1, sizeof(*p));

	p->arena = arena_new();
	return p;
}

void layer_plan_free(struct layer_plan *p)
{
	if (!p)
		return;
	vec_free(&p->items);
	arena_free(p->arena);
	free(p);
}

static str copy(struct layer_plan *p, str s)
{
	return s.len ? arena_str(p->arena, s) : str_n("", 0);
}

void layer_plan_add(struct layer_plan *p, const struct layer_entry *e,
                    const struct layer_source *src, uint64_t link)
{
	struct layer_plan_item item = { .entry = *e, .link = link };
	struct layer_xattr *x = NULL;

	if (!layer_path_valid(e->path))
		CAIRN_BUG("'%.*s' is not the path of an entry", STR(e->path));
	if (e->type == LAYER_HARDLINK)
		CAIRN_BUG("'%.*s': a plan holds hard links as files with a link number",
		          STR(e->path));
	item.entry.path = copy(p, e->path);
	item.entry.target = copy(p, e->target);
	if (e->n_xattrs)
		x = arena_array(p->arena, struct layer_xattr, e->n_xattrs);
	for (uint32_t i = 0; i < e->n_xattrs; i++) {
		x[i].name = copy(p, e->xattrs[i].name);
		x[i].value = copy(p, e->xattrs[i].value);
	}
	item.entry.xattrs = x;
	if (src) {
		item.source = *src;
		item.source.path = copy(p, src->path);
	}
	vec_push(&p->items, item);
}

void layer_plan_remove(struct layer_plan *p, str path)
{
	const struct layer_entry gone = { .path = path, .type = LAYER_WHITEOUT };

	layer_plan_add(p, &gone, NULL, 0);
}
