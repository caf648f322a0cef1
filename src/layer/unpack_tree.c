#include "unpack_tree.h"

int name_clean(struct unpack *u, str raw, str *ret, struct cairn_err *err)
{
	struct strbuf b;
	str rest = raw, piece;
	int r = 0;

	strbuf_init(&b, LAYER_PATH_MAX);
	if (memchr(raw.ptr ? raw.ptr : "", '\0', raw.len))
		r = cairn_fail(err, CAIRN_E_DIGEST, "tar holds a name with a NUL byte");
	while (r == 0 && str_next(&rest, '/', &piece)) {
		if (piece.len == 0 || str_is(piece, "."))
			continue;
		if (str_is(piece, "..")) {
			if (b.len == 0)
				r = cairn_fail(err, CAIRN_E_DIGEST,
				               "tar holds '%.*s', which climbs out of the image",
				               raw.len < 200 ? (int)raw.len : 200, raw.ptr);
			else
				b.len = layer_path_parent(strbuf_view(&b)).len;
			continue;
		}
		if (piece.len > LAYER_NAME_MAX)
			r = cairn_fail(err, CAIRN_E_DIGEST, "tar holds a name of %zu bytes",
			               piece.len);
		if (b.len)
			strbuf_char(&b, '/');
		strbuf_str(&b, piece);
	}
	if (r == 0 && b.overflow)
		r = cairn_fail(err, CAIRN_E_DIGEST, "tar holds a path longer than %u bytes",
		               LAYER_PATH_MAX);
	if (r == 0)
		*ret = arena_str(u->arena, strbuf_view(&b));
	strbuf_done(&b);
	return r;
}

/* ---- nodes ---- */

static size_t child_path(char *buf, const struct node *dir, str name)
{
	size_t n = dir->e.path.len;

	if (n + 1 + name.len > LAYER_PATH_MAX)
		return 0;
	memcpy(buf, dir->e.path.ptr, n);
	if (n)
		buf[n++] = '/';
	memcpy(buf + n, name.ptr, name.len);
	return n + name.len;
}

struct node *node_find(struct unpack *u, const struct node *dir, str name)
{
	char path[LAYER_PATH_MAX];
	size_t n = child_path(path, dir, name);

	return n ? map_get(&u->nodes, str_n(path, n)) : NULL;
}

int node_get(struct unpack *u, struct node *dir, str name, struct node **ret, struct cairn_err *err)
{
	char path[LAYER_PATH_MAX];
	size_t n = child_path(path, dir, name);
	struct node *node;

	if (n == 0)
		return cairn_fail(err, CAIRN_E_DIGEST, "tar holds a path longer than %u bytes",
		                  LAYER_PATH_MAX);
	node = map_get(&u->nodes, str_n(path, n));
	if (!node) {
		if (u->nodes.len >= LAYER_ENTRIES_MAX)
			return cairn_fail(err, CAIRN_E_DIGEST, "tar holds more than %u entries",
			                  LAYER_ENTRIES_MAX);
		node = arena_new_of(u->arena, struct node);
		node->e.path = arena_str(u->arena, str_n(path, n));
		node->parent = dir;
		map_put(&u->nodes, node->e.path, node);
	}
	if (!node->linked) {
		node->linked = true;
		node->next = dir->children;
		dir->children = node;
	}
	*ret = node;
	return 0;
}

const struct tree_node *node_lower(struct unpack *u, const struct node *dir, str name)
{
	const struct node *node = node_find(u, dir, name);

	if (!dir->lower || !dir->lower->dir || (node && node->whiteout))
		return NULL;
	return tree_dir_find(dir->lower->dir, name);
}

void node_hide_lower(struct node *dir)
{
	if (!dir->lower)
		return; /* then nothing below has one either */
	dir->lower = NULL;
	for (struct node *c = dir->children; c; c = c->next)
		node_hide_lower(c);
}

void node_remove(struct node *n)
{
	if (!n->present)
		return; /* then nothing below is */
	n->present = n->opaque = false;
	n->body = NULL;
	n->lower = NULL;
	/* Unlinked, so that removing a directory again and again costs nothing. */
	for (struct node *c = n->children; c; c = c->next) {
		node_remove(c);
		c->linked = false;
	}
	n->children = NULL;
}

/* ---- walking ---- */

static int make_implicit(struct unpack *u, struct node *dir, str name,
                         const struct tree_node *lower, struct node **ret, struct cairn_err *err)
{
	struct node *n = NULL;
	str path;

	TRY(node_get(u, dir, name, &n, err));
	path = n->e.path;
	n->e = lower ? *lower->entry
	             : (struct layer_entry){ .type = LAYER_DIR,
		                             .mode = 0755,
		                             .tar_offset = LAYER_NO_OFFSET };
	n->e.path = path;
	n->e.opaque = false;
	n->present = n->implicit = true;
	n->opaque = n->whiteout; /* .wh.d came before d/x */
	n->lower = lower;
	u->lower_dependent = true;
	if (u->opts->out_dirfd >= 0)
		TRY(outdir_mkdir(&u->out, path, err));
	*ret = n;
	return 0;
}

/* Pieces of path still to be walked; a symbolic link pushes its target. */
struct steps {
	str todo[TREE_SYMLINKS_MAX + 1];
	unsigned n, links;
};

static int fail_parent(str path, enum layer_type type, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "tar holds entries below '/%.*s', which is a %s",
	                  STR(path), layer_type_name(type));
}

static int step_link(struct unpack *u, struct steps *s, struct place *at,
                     const struct layer_entry *link, struct cairn_err *err)
{
	if (++s->links > TREE_SYMLINKS_MAX)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "tar leads through too many symbolic links at '/%.*s'",
		                  STR(link->path));
	if (str_starts(link->target, S("/")))
		*at = (struct place){ .node = u->root, .lower = u->root->lower };
	s->todo[s->n++] = link->target;
	return 0;
}

static void step_up(struct unpack *u, struct place *at)
{
	struct node *n;
	str up;

	if (at->node) {
		at->node = at->node->parent ? at->node->parent : u->root;
		at->lower = at->node->lower;
		return;
	}
	/* Only in a lower layer: its parent there, which may be in this one, too. */
	up = layer_path_parent(at->lower->entry->path);
	n = map_get(&u->nodes, up);
	at->node = n && n->present ? n : NULL;
	at->lower = at->node ? at->node->lower : tree_find(u->below, up);
}

/* One component down. */
static int step_down(struct unpack *u, struct steps *s, struct place *at, str name, bool make,
                     struct cairn_err *err)
{
	struct node *node = at->node ? node_find(u, at->node, name) : NULL;
	const struct tree_node *lower = NULL;

	if (name.len > LAYER_NAME_MAX)
		return cairn_fail(err, CAIRN_E_DIGEST, "tar holds a link with a name of %zu bytes",
		                  name.len);
	if (node && node->present) {
		if (node->e.type == LAYER_SYMLINK)
			return step_link(u, s, at, &node->e, err);
		if (node->e.type != LAYER_DIR)
			return fail_parent(node->e.path, node->e.type, err);
		*at = (struct place){ .node = node, .lower = node->lower };
		return 0;
	}
	if (at->node)
		lower = node_lower(u, at->node, name);
	else if (at->lower && at->lower->dir)
		lower = tree_dir_find(at->lower->dir, name);
	u->lower_dependent = true;
	if (lower && lower->entry->type == LAYER_SYMLINK)
		return step_link(u, s, at, lower->entry, err);
	if (lower && !lower->dir)
		return fail_parent(lower->entry->path, lower->entry->type, err);
	*at = (struct place){ .node = make ? at->node : NULL, .lower = lower, .missing = !lower };
	if (make) {
		TRY(make_implicit(u, at->node, name, lower, &at->node, err));
		at->missing = false;
	}
	return 0;
}

int place_dir(struct unpack *u, str path, bool make, struct place *ret, struct cairn_err *err)
{
	struct steps s = { .todo = { path }, .n = 1 };
	struct place at = { .node = u->root, .lower = u->root->lower };
	struct node *known = map_get(&u->nodes, path);

	/* Most entries lie in a directory that is there already. */
	if (known && known->present && known->e.type == LAYER_DIR) {
		*ret = (struct place){ .node = known, .lower = known->lower };
		return 0;
	}
	while (s.n && !at.missing) {
		str *top = &s.todo[s.n - 1], name;

		if (!top->ptr || !str_next(top, '/', &name)) {
			s.n--;
			continue;
		}
		if (name.len == 0 || str_is(name, "."))
			continue;
		if (str_is(name, ".."))
			step_up(u, &at);
		else
			TRY(step_down(u, &s, &at, name, make, err));
	}
	*ret = at;
	return 0;
}
