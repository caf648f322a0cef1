#include "tree.h"

/* A resolution in progress. Pieces of path that are still to be walked form a
 * stack: a symbolic link pushes its target. */
struct resolve {
	const struct tree *tree;
	str todo[TREE_SYMLINKS_MAX + 1];
	unsigned n_todo, n_links;
	struct strbuf *out;
	bool missing; /* out names something that does not exist */
};

static int fail_errno(struct cairn_err *err, int sys, str path)
{
	errno = sys;
	return cairn_fail_sys(err, "'/%.*s' in the image", STR(path));
}

static const struct tree_node *here(const struct resolve *r)
{
	return r->missing ? NULL : tree_find(r->tree, strbuf_view(r->out));
}

static void set_len(struct resolve *r, size_t n)
{
	r->out->len = n;
	if (r->out->cap)
		r->out->ptr[n] = '\0';
}

static void go_up(struct resolve *r)
{
	set_len(r, layer_path_parent(strbuf_view(r->out)).len);
	/* Above a missing component there may be an existing one. */
	r->missing = !tree_find(r->tree, strbuf_view(r->out));
}

static int follow(struct resolve *r, const struct tree_node *link, struct cairn_err *err)
{
	str target = link->entry->target;

	if (++r->n_links > TREE_SYMLINKS_MAX)
		return fail_errno(err, ELOOP, link->entry->path);
	set_len(r, str_starts(target, S("/")) ? 0 : layer_path_parent(strbuf_view(r->out)).len);
	r->todo[r->n_todo++] = target;
	return 0;
}

static bool last_piece(const struct resolve *r)
{
	for (unsigned i = 0; i < r->n_todo; i++)
		for (size_t k = 0; k < r->todo[i].len; k++)
			if (r->todo[i].ptr[k] != '/')
				return false;
	return true;
}

static int go_down(struct resolve *r, str name, unsigned flags, struct cairn_err *err)
{
	const struct tree_node *dir = here(r), *node = NULL;

	if (dir && !dir->dir)
		return fail_errno(err, ENOTDIR, strbuf_view(r->out));
	if (dir)
		node = tree_dir_find(dir->dir, name);
	if (name.len > LAYER_NAME_MAX || r->out->len + 1 + name.len > LAYER_PATH_MAX)
		return fail_errno(err, ENAMETOOLONG, name);
	if (r->out->len)
		strbuf_char(r->out, '/');
	strbuf_str(r->out, name);
	r->missing = !node;
	if (node && node->entry->type == LAYER_SYMLINK &&
	    !((flags & TREE_NOFOLLOW) && last_piece(r)))
		return follow(r, node, err);
	return 0;
}

int tree_resolve(const struct tree *t, str path, unsigned flags, struct strbuf *ret_path,
                 const struct tree_node **ret_node, struct cairn_err *err)
{
	struct resolve r = { .tree = t, .out = ret_path, .n_todo = 1, .todo = { path } };

	strbuf_clear(ret_path);
	while (r.n_todo) {
		str *top = &r.todo[r.n_todo - 1], name;

		if (!top->ptr || !str_next(top, '/', &name)) {
			r.n_todo--;
			continue;
		}
		if (name.len == 0 || str_is(name, "."))
			continue;
		if (memchr(name.ptr, '\0', name.len))
			return cairn_fail(err, CAIRN_E_SYNTAX, "a path holds a NUL byte");
		if (str_is(name, ".."))
			go_up(&r);
		else
			TRY(go_down(&r, name, flags, err));
	}
	TRY(strbuf_check(ret_path, "path", err));
	if (ret_node)
		*ret_node = here(&r);
	return 0;
}

int tree_inlined(const struct tree *t, enum layer_inline which, str *ret, struct cairn_err *err)
{
	const struct tree_node *node = NULL;
	str path = layer_inline_path(which), content;
	struct strbuf real;
	int r;

	strbuf_init(&real, LAYER_PATH_MAX);
	r = tree_resolve(t, path, 0, &real, &node, err);
	if (r == 0 && node && !str_eq(strbuf_view(&real), path))
		r = cairn_fail(err, CAIRN_E_UNSUPPORTED, "/%.*s of the image leads to /%s",
		               STR(path), real.ptr);
	strbuf_done(&real);
	TRY(r);
	if (!node) {
		*ret = (str){ 0 };
		return 0;
	}
	content = tree_layer(t, node->layer)->inlined[which];
	if (!content.ptr)
		return cairn_fail(
			err, CAIRN_E_UNSUPPORTED,
			"/%.*s of the image is a %s of %llu bytes that its index does not hold",
			STR(path), layer_type_name(node->entry->type),
			(unsigned long long)node->entry->size);
	*ret = content;
	return 0;
}
