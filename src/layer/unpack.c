#include "unpack.h"

#include "unpack_files.h"
#include "util/fs.h"
#include "xattr.h"

/* Bytes of etc/passwd* and etc/group* kept in all: the same name may come often. */
#define INLINE_TOTAL (64 * LAYER_INLINE_MAX)

static bool to_disk(const struct unpack *u)
{
	return u->opts->out_dirfd >= 0;
}

/* ---- metadata ---- */

static void take_xattrs(struct unpack *u, const struct tar_member *m, struct layer_entry *e)
{
	struct layer_xattr *x;
	uint32_t n = 0;

	for (uint32_t i = 0; i < m->n_xattrs; i++)
		n += xattr_allowed(m->xattrs[i].name);
	if (n == 0)
		return;
	x = arena_array(u->arena, struct layer_xattr, n);
	n = 0;
	for (uint32_t i = 0; i < m->n_xattrs; i++) {
		str value = m->xattrs[i].value;

		if (!xattr_allowed(m->xattrs[i].name))
			continue;
		if (str_is(m->xattrs[i].name, XATTR_CAPS))
			value = xattr_caps_v2(u->arena, value);
		x[n].name = arena_str(u->arena, m->xattrs[i].name);
		x[n++].value = arena_str(u->arena, value);
	}
	e->n_xattrs = xattr_sort(x, n);
	e->xattrs = x;
}

static int take_meta(struct unpack *u, const struct tar_member *m, str path,
                     struct layer_entry *ret, struct cairn_err *err)
{
	uint32_t max = u->opts->max_id;

	*ret = (struct layer_entry){ .path = path,
		                     .type = m->type,
		                     .mode = m->type == LAYER_SYMLINK ? 0777 : m->mode,
		                     .uid = m->uid,
		                     .gid = m->gid,
		                     .major = m->major,
		                     .minor = m->minor,
		                     .mtime = m->mtime,
		                     .tar_offset = LAYER_NO_OFFSET };
	if (max && (m->uid > max || m->gid > max))
		return cairn_fail(err, CAIRN_E_DENIED,
		                  "'/%.*s' belongs to %u:%u, and this user may use ids up to %u; "
		                  "add ranges to /etc/subuid and /etc/subgid",
		                  STR(path), m->uid, m->gid, max);
	if (m->type == LAYER_CHAR && m->major == 0 && m->minor == 0)
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "tar holds '/%.*s' as character device 0:0, which overlayfs "
		                  "would take for a removed file",
		                  STR(path));
	if (m->type == LAYER_SYMLINK && (m->target.len == 0 || m->target.len > LAYER_PATH_MAX ||
	                                 memchr(m->target.ptr, '\0', m->target.len)))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "tar holds '/%.*s' as symbolic link with an impossible target",
		                  STR(path));
	if (m->type == LAYER_SYMLINK)
		ret->target = arena_str(u->arena, m->target);
	take_xattrs(u, m, ret);
	return 0;
}

/* ---- content ---- */

static int add_file(struct unpack *u, const struct tar_member *m, struct node *n,
                    struct cairn_err *err)
{
	struct body *b = arena_new_of(u->arena, struct body);

	b->e = n->e;
	b->e.size = m->size;
	b->e.tar_offset = m->tar_offset;
	n->body = b;
	return files_take(u, b, err);
}

/* ---- hard links ---- */

/* A file of a lower layer gets a name in this one: its content is copied. */
static int copy_up(struct unpack *u, struct node *n, const struct tree_node *from,
                   struct cairn_err *err)
{
	struct body *b = arena_new_of(u->arena, struct body);
	const size_t size = 128 * 1024;
	cleanup_free char *buf = NULL;
	cleanup_fd int in = -1, out = -1;
	size_t got = 0;

	u->lower_dependent = true;
	b->e = *from->entry;
	b->e.type = LAYER_FILE;
	b->e.target = str_n("", 0);
	b->e.path = n->e.path;
	b->e.tar_offset = LAYER_NO_OFFSET;
	n->body = b;
	if (!to_disk(u))
		return 0;
	if (!u->opts->open_lower)
		return cairn_fail(
			err, CAIRN_E_UNSUPPORTED,
			"tar links '/%.*s' to '/%.*s' of a lower layer, which is not here",
			STR(n->e.path), STR(from->entry->path));
	TRY(u->opts->open_lower(u->opts->ctx, from, &in, err));
	TRY(outdir_create(&u->out, &b->e, &out, err));
	buf = xmalloc(size);
	do {
		TRY(fs_read_full(in, buf, size, &got, from->entry->path.ptr, err));
		TRY(fs_write_all(out, buf, got, n->e.path.ptr, err));
	} while (got == size);
	return outdir_set_file(out, &b->e, err);
}

static int fail_link(str path, str target, const char *why, struct cairn_err *err)
{
	return cairn_fail(err, CAIRN_E_DIGEST, "tar links '/%.*s' to '/%.*s', which %s", STR(path),
	                  STR(target), why);
}

static int make_other(struct unpack *u, const struct layer_entry *e, struct cairn_err *err)
{
	bool absent = false;

	if (!to_disk(u))
		return 0;
	TRY(outdir_make(&u->out, e, &absent, err));
	if (absent) {
		strbuf_str(&u->absent, e->path);
		strbuf_char(&u->absent, '\0');
	}
	return 0;
}

/* n becomes another name of `from`, or of `lower`. */
static int link_node(struct unpack *u, struct node *n, const struct node *from,
                     const struct tree_node *lower, struct cairn_err *err)
{
	const struct layer_entry *e = from ? &from->e : lower->entry;
	str path = n->e.path;

	if (e->type == LAYER_DIR)
		return fail_link(path, e->path, "is a directory", err);
	if (from && from->body) {
		n->body = from->body;
		n->e = from->e;
		n->e.path = path;
		if (!to_disk(u))
			return 0;
		TRY(files_drain(u, err));
		return outdir_link(&u->out, from->e.path, path, err);
	}
	u->lower_dependent |= lower != NULL;
	n->e = *e;
	n->e.path = path;
	if (lower && (e->type == LAYER_FILE || e->type == LAYER_HARDLINK)) {
		n->e.type = LAYER_FILE;
		return copy_up(u, n, lower, err);
	}
	return make_other(u, &n->e, err); /* of what has no content a copy is as good */
}

static int find_target(struct unpack *u, str target, struct node **ret_node,
                       const struct tree_node **ret_lower, struct cairn_err *err)
{
	struct place dir;
	str name = layer_path_name(target);
	struct node *n;

	*ret_node = NULL;
	*ret_lower = NULL;
	if (target.len == 0) {
		*ret_node = u->root;
		return 0;
	}
	TRY(place_dir(u, layer_path_parent(target), false, &dir, err));
	if (dir.missing)
		return 0;
	if (dir.node) {
		n = node_find(u, dir.node, name);
		if (n && n->present)
			*ret_node = n;
		else
			*ret_lower = node_lower(u, dir.node, name);
	} else if (dir.lower && dir.lower->dir) {
		*ret_lower = tree_dir_find(dir.lower->dir, name);
	}
	return 0;
}

/* ---- members ---- */

/* Make room for an entry at n; a directory may stay. */
static int replace(struct unpack *u, struct node *n, enum layer_type type, struct cairn_err *err)
{
	if (!n->present || (n->e.type == LAYER_DIR && type == LAYER_DIR))
		return 0;
	node_remove(n);
	if (!to_disk(u))
		return 0;
	TRY(files_drain(u, err));
	return outdir_remove(&u->out, n->e.path, err);
}

static int add_dir(struct unpack *u, struct node *n, const struct layer_entry *e,
                   const struct tree_node *lower, struct cairn_err *err)
{
	if (n->present) { /* twice, or implicit until now */
		n->e = *e;
		return 0;
	}
	n->e = *e;
	n->lower = lower && lower->dir ? lower : NULL;
	n->opaque = n->whiteout; /* .wh.d came before d/ */
	return to_disk(u) ? outdir_mkdir(&u->out, e->path, err) : 0;
}

static int add_hardlink(struct unpack *u, const struct tar_member *m, struct node *n,
                        struct cairn_err *err)
{
	const struct tree_node *lower = NULL;
	struct node *from = NULL;
	str target;

	TRY(name_clean(u, m->target, &target, err));
	TRY(find_target(u, target, &from, &lower, err));
	if (from == n)
		return 0; /* a name of itself */
	TRY(replace(u, n, LAYER_HARDLINK, err));
	if (from && !from->present) /* it was in what has just been replaced */
		from = NULL;
	if (!from && !lower)
		return fail_link(n->e.path, target, "is not in the image", err);
	TRY(link_node(u, n, from, lower, err));
	n->present = true;
	return 0;
}

static int add_member(struct unpack *u, const struct tar_member *m, struct node *dir, str name,
                      struct cairn_err *err)
{
	const struct tree_node *lower = node_lower(u, dir, name);
	struct layer_entry e;
	struct node *n = NULL;

	TRY(node_get(u, dir, name, &n, err));
	if (m->type == LAYER_HARDLINK)
		return add_hardlink(u, m, n, err);
	TRY(take_meta(u, m, n->e.path, &e, err));
	TRY(replace(u, n, m->type, err));
	if (m->type == LAYER_DIR) {
		TRY(add_dir(u, n, &e, lower, err));
	} else {
		n->e = e;
		if (m->type == LAYER_FILE)
			TRY(add_file(u, m, n, err));
		else
			TRY(make_other(u, &e, err));
	}
	n->present = true;
	n->implicit = false;
	return 0;
}

static int add_root(struct unpack *u, const struct tar_member *m, struct cairn_err *err)
{
	if (m->type != LAYER_DIR)
		return cairn_fail(err, CAIRN_E_DIGEST, "tar holds '/' as a %s",
		                  layer_type_name(m->type));
	TRY(take_meta(u, m, S(""), &u->root->e, err));
	u->root->implicit = false;
	return 0;
}

/* A name that begins with .wh. says something about lower layers. */
static int add_mark(struct unpack *u, struct node *dir, str name, struct cairn_err *err)
{
	str gone = str_skip(name, sizeof(LAYER_WHITEOUT_PREFIX) - 1);
	struct node *n = NULL;

	if (str_is(name, TAR_OPAQUE)) {
		dir->opaque = true;
		node_hide_lower(dir);
		return 0;
	}
	if (str_starts(gone, S(LAYER_WHITEOUT_PREFIX)))
		return 0; /* aufs's own files */
	if (gone.len == 0 || str_is(gone, ".") || str_is(gone, ".."))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "tar holds the impossible whiteout '/%.*s/%.*s'",
		                  STR(dir->e.path), STR(name));
	TRY(node_get(u, dir, gone, &n, err));
	n->whiteout = true;
	if (n->present && n->e.type == LAYER_DIR) { /* together with d/: opaque */
		n->opaque = true;
		node_hide_lower(n);
	}
	return 0;
}

static int one_member(struct unpack *u, const struct tar_member *m, struct cairn_err *err)
{
	struct place dir;
	str path, name;

	TRY(name_clean(u, m->name, &path, err));
	if (path.len == 0)
		return add_root(u, m, err);
	name = layer_path_name(path);
	TRY(place_dir(u, layer_path_parent(path), true, &dir, err));
	if (str_starts(name, S(LAYER_WHITEOUT_PREFIX)))
		return add_mark(u, dir.node, name, err);
	return add_member(u, m, dir.node, name, err);
}

/* ---- the end ---- */

static int node_cmp(const void *a, const void *b)
{
	const struct node *const *x = a, *const *y = b;

	return layer_path_cmp((*x)->e.path, (*y)->e.path);
}

/* Is a whiteout of it needed? Where the lower layers have nothing, overlayfs would
 * show the mark itself. */
static bool whiteout_counts(const struct node *n)
{
	return n->whiteout && !n->present && n->parent->present && n->parent->lower &&
	       n->parent->lower->dir &&
	       tree_dir_find(n->parent->lower->dir, layer_path_name(n->e.path));
}

static struct layer_entry final_entry(struct node *const *nodes, size_t i, struct layer_result *ret)
{
	struct node *n = nodes[i];
	struct layer_entry e;

	if (!n->present)
		return (struct layer_entry){ .path = n->e.path,
			                     .type = LAYER_WHITEOUT,
			                     .tar_offset = LAYER_NO_OFFSET };
	if (!n->body) {
		n->e.opaque = n->opaque && n->e.type == LAYER_DIR;
		return n->e;
	}
	e = n->body->e;
	e.path = n->e.path;
	if (n->body->first) {
		e.type = LAYER_HARDLINK;
		e.target = nodes[n->body->first - 1]->e.path;
	} else {
		e.type = LAYER_FILE;
		n->body->first = i + 1;
		ret->content_size += e.size;
	}
	return e;
}

static int finish_disk(struct unpack *u, const struct layer_entry *e, size_t n,
                       struct cairn_err *err)
{
	TRY(files_drain(u, err));
	for (size_t i = 0; i < n; i++)
		if (e[i].type == LAYER_WHITEOUT)
			TRY(outdir_whiteout(&u->out, e[i].path, err));
	while (n-- > 0)
		if (e[n].type == LAYER_DIR)
			TRY(outdir_set_dir(&u->out, &e[n], err));
	return 0;
}

static int finish(struct unpack *u, struct layer_result *ret, struct cairn_err *err)
{
	struct node **nodes = xcalloc(u->nodes.len + 1, sizeof(struct node *));
	str inlined[LAYER_INLINE_N_] = { 0 };
	struct layer_entry *entries;
	size_t n = 0;
	int r = 0;

	map_foreach (it, &u->nodes) {
		struct node *node = it->value;

		u->lower_dependent |= node->whiteout && !node->present;
		if ((node->present && (node->parent || !node->implicit)) ||
		    (node->parent && whiteout_counts(node)))
			nodes[n++] = node;
	}
	qsort(nodes, n, sizeof(struct node *), node_cmp);
	entries = xcalloc(n, sizeof(*entries));
	for (size_t i = 0; i < n; i++)
		entries[i] = final_entry(nodes, i, ret);
	for (enum layer_inline k = 0; k < LAYER_INLINE_N_; k++) {
		const struct node *node = map_get(&u->nodes, layer_inline_path(k));

		if (node && node->present && node->body)
			inlined[k] = node->body->bytes;
	}
	if (to_disk(u))
		r = finish_disk(u, entries, n, err);
	if (r == 0)
		ret->index = layer_index_new(entries, n, inlined);
	free(entries);
	free(nodes);
	return r;
}

static int unpack_all(struct unpack *u, struct layer_result *ret, struct cairn_err *err)
{
	const struct tar_member *m = NULL;

	for (;;) {
		TRY(tar_next(u->tar, &m, err));
		if (!m)
			break;
		TRY(one_member(u, m, err));
	}
	TRY(tar_finish(u->tar, &ret->diff_id, &ret->tar_size, err));
	TRY(strbuf_check(&u->absent, "list of device nodes", err));
	TRY(finish(u, ret, err));
	ret->lower_dependent = u->lower_dependent;
	ret->absent_len = u->absent.len;
	ret->absent = strbuf_steal(&u->absent);
	return 0;
}

static void unpack_init(struct unpack *u, const struct tree *below,
                        const struct layer_unpack_opts *opts)
{
	*u = (struct unpack){ .opts = opts, .below = below, .inline_left = INLINE_TOTAL };
	u->arena = arena_new();
	strbuf_init(&u->absent, LAYER_INDEX_MAX);
	outdir_init(&u->out, opts->out_dirfd, opts->xattr_ns);
	u->root = arena_new_of(u->arena, struct node);
	u->root->e = *tree_root(below)->entry;
	u->root->e.path = S("");
	u->root->present = u->root->implicit = true;
	u->root->lower = tree_root(below);
	map_put(&u->nodes, S(""), u->root);
}

int layer_unpack(const struct layer_reader *tar, const struct tree *below,
                 const struct layer_unpack_opts *opts, struct layer_result *ret,
                 struct cairn_err *err)
{
	struct layer_result result = { 0 };
	struct unpack u;
	int r;

	unpack_init(&u, below, opts);
	files_init(&u, tar);
	r = unpack_all(&u, &result, err);
	if (r == 0)
		*ret = result;
	files_done(&u); /* before the arena: bodies are in there */
	strbuf_done(&u.absent);
	outdir_done(&u.out);
	map_done(&u.nodes);
	arena_free(u.arena);
	return r;
}
