/* What a COPY puts where: selection and destination -> plan. */
#include "step.h"

/* Paths that the copy has made so far, beside those of the tree below. */
struct placing {
	const struct copy_target *t;
	struct layer_plan *plan;
	struct arena *a;
	struct map made; /* path -> struct layer_entry * */
	struct chmod_spec chmod;
	struct cairn_err *err;
};

/* The type of what is at `path` now; LAYER_TYPE_N_ when nothing is. */
static enum layer_type type_at(const struct placing *p, str path)
{
	const struct layer_entry *e = map_get(&p->made, path);
	const struct tree_node *n;

	if (e)
		return e->type;
	n = tree_find(p->t->below, path);
	return n ? n->entry->type : LAYER_TYPE_N_;
}

static void place(struct placing *p, const struct layer_entry *e, const struct layer_source *src,
                  uint64_t link)
{
	struct layer_entry *copy = arena_new_of(p->a, struct layer_entry);

	*copy = *e;
	map_put(&p->made, e->path, copy);
	layer_plan_add(p->plan, e, src, link);
}

/* `path` and what leads to it, as directories; --chmod is for `path` at most. */
static int make_dirs(struct placing *p, str path, bool chmod)
{
	struct layer_entry e = { .path = path,
		                 .type = LAYER_DIR,
		                 .mode = 0755,
		                 .uid = p->t->uid,
		                 .gid = p->t->gid,
		                 .mtime = p->t->now };
	enum layer_type type;

	if (!path.len)
		return 0;
	type = type_at(p, path);
	if (type == LAYER_DIR)
		return 0;
	if (type != LAYER_TYPE_N_)
		return cairn_fail(p->err, CAIRN_E_EXISTS, "'/%.*s' is a %s, not a directory",
		                  STR(path), layer_type_name(type));
	TRY(make_dirs(p, layer_path_parent(path), false));
	if (chmod && p->t->copy->chmod.len)
		e.mode = chmod_apply(&p->chmod, e.mode, true);
	place(p, &e, NULL, 0);
	return 0;
}

static void chown_entry(const struct placing *p, struct layer_entry *e)
{
	if (!p->t->chown)
		return;
	e->uid = p->t->uid;
	e->gid = p->t->gid;
}

static void adjust(const struct placing *p, struct layer_entry *e)
{
	chown_entry(p, e);
	if (p->t->copy->chmod.len && e->type != LAYER_SYMLINK)
		e->mode = chmod_apply(&p->chmod, e->mode, e->type == LAYER_DIR);
}

/* A number that the names of one file share; `where` tells directories and layers apart. */
static uint64_t link_group(const struct layer_entry *e, uint64_t where)
{
	str first = e->type == LAYER_HARDLINK ? e->target : e->path;
	struct digest d = digest_of(first.ptr, first.len);
	uint64_t id;

	memcpy(&id, d.b, sizeof(id));
	return (id ^ (where << 48)) | 1;
}

/* `linked`: names of one file stay names of one file. */
static int place_item(struct placing *p, const struct select_item *item, str path, bool linked)
{
	struct layer_entry e = *item->file->entry;
	struct layer_source src = { .kind = LAYER_SOURCE_NONE };
	bool file = e.type == LAYER_FILE || e.type == LAYER_HARDLINK;
	enum layer_type there = type_at(p, path);

	e.path = path;
	if (there == LAYER_DIR && e.type != LAYER_DIR)
		return cairn_fail(p->err, CAIRN_E_EXISTS,
		                  "cannot put the %s '%.*s' over the directory '/%.*s'",
		                  layer_type_name(e.type), STR(item->file->entry->path), STR(path));
	if (there != LAYER_DIR && there != LAYER_TYPE_N_ && e.type == LAYER_DIR)
		return cairn_fail(p->err, CAIRN_E_EXISTS,
		                  "cannot put the directory '%.*s' over the %s '/%.*s'",
		                  STR(item->file->entry->path), layer_type_name(there), STR(path));
	adjust(p, &e);
	if (!file) {
		place(p, &e, NULL, 0);
		return 0;
	}
	TRY(p->t->source(p->t->ctx, item, &src, p->err));
	e.type = LAYER_FILE;
	e.target = S("");
	place(p, &e, &src, linked ? link_group(item->file->entry, item->file->layer) : 0);
	return 0;
}

static str join(struct arena *a, str dir, str name)
{
	return dir.len ? str_of(arena_printf(a, "%.*s/%.*s", STR(dir), STR(name)))
	               : arena_str(a, name);
}

/* A directory that is there as the archive has it: most often one that has no entry in the
 * archive, only files below it. */
static bool dir_is_there(const struct placing *p, const struct layer_entry *e)
{
	const struct tree_node *node = tree_find(p->t->below, e->path);

	return e->type == LAYER_DIR && node && layer_entry_same_meta(e, node->entry);
}

/* ADD of an archive: its entries below the destination, whatever was there. */
static int place_archive(struct placing *p, const struct layer_index *ix, int dirfd, str dest)
{
	for (size_t i = 0; i < ix->n_entries; i++) {
		struct layer_entry e = ix->entries[i];
		struct layer_source src = { .kind = LAYER_SOURCE_FILE,
			                    .dirfd = dirfd,
			                    .path = e.path };
		bool file = e.type == LAYER_FILE || e.type == LAYER_HARDLINK;
		uint64_t link = file ? link_group(&e, (uint64_t)dirfd) : 0;

		if (!e.path.len || e.type == LAYER_WHITEOUT)
			continue;
		e.path = join(p->a, dest, e.path);
		e.opaque = false; /* an archive is no layer: it hides nothing */
		if (dir_is_there(p, &e))
			continue;
		TRY(make_dirs(p, layer_path_parent(e.path), false));
		chown_entry(p, &e); /* --chmod is not for what is in an archive, as in BuildKit */
		if (file) {
			src.expected = e.digest;
			e.type = LAYER_FILE;
			e.target = S("");
		}
		place(p, &e, file ? &src : NULL, link);
	}
	return 0;
}

/* A file; or, for ADD, what is in it when it is an archive. */
static int place_file(struct placing *p, const struct select_item *item,
                      const struct select_match *m, str dest, bool into_dir)
{
	const struct layer_index *ix = NULL;
	str path = into_dir ? join(p->a, dest, m->name) : dest;
	int dirfd = -1;

	if (p->t->copy->add && item->file->entry->type == LAYER_FILE)
		TRY(p->t->expand(p->t->ctx, item, &ix, &dirfd, p->err));
	if (ix) {
		TRY(make_dirs(p, dest, false));
		return place_archive(p, ix, dirfd, dest);
	}
	TRY(make_dirs(p, layer_path_parent(path), false));
	return place_item(p, item, path, false);
}

static int place_match(struct placing *p, const struct selection *sel, const struct select_match *m,
                       str dest, bool into_dir)
{
	if (!m->dir)
		return place_file(p, &sel->items[m->first], m, dest, into_dir);
	TRY(make_dirs(p, dest, true)); /* an existing one keeps its metadata, as in BuildKit */
	for (size_t i = 0; i < m->n; i++) {
		const struct select_item *item = &sel->items[m->first + i];
		str path = join(p->a, dest, item->rel);

		if (!item->rel.len)
			continue;
		TRY(make_dirs(p, layer_path_parent(path),
		              false)); /* missing when it was excluded */
		TRY(place_item(p, item, path, true));
	}
	return 0;
}

static int place_inline(struct placing *p, const struct graph_inline *il, str dest, bool into_dir)
{
	struct layer_entry e = { .path = into_dir ? join(p->a, dest, il->name) : dest,
		                 .type = LAYER_FILE,
		                 .mode = 0644,
		                 .uid = p->t->uid,
		                 .gid = p->t->gid,
		                 .size = il->content.len,
		                 .mtime = p->t->now };
	struct layer_source src = { .kind = LAYER_SOURCE_BYTES, .bytes = il->content };

	TRY(make_dirs(p, layer_path_parent(e.path), false));
	if (type_at(p, e.path) == LAYER_DIR)
		return cairn_fail(p->err, CAIRN_E_EXISTS,
		                  "cannot put a file over the directory '/%.*s'", STR(e.path));
	adjust(p, &e);
	place(p, &e, &src, 0);
	return 0;
}

/* Where the destination leads in the tree, and whether sources go into it. */
static int resolve_dest(struct placing *p, str *ret_dest, bool *ret_into)
{
	cleanup_strbuf struct strbuf path;
	str dest = p->t->copy->dest;
	const struct tree_node *node = NULL;

	strbuf_init(&path, LAYER_PATH_MAX);
	TRY(tree_resolve(p->t->below, dest, 0, &path, &node, p->err));
	*ret_dest = arena_str(p->a, strbuf_view(&path));
	*ret_into = str_ends(dest, S("/")) || (node && node->dir);
	if (str_ends(dest, S("/")))
		return make_dirs(p, *ret_dest, false);
	return 0;
}

int copy_plan(struct layer_plan *plan, const struct copy_target *t, const struct selection *sel,
              struct arena *a, struct cairn_err *err)
{
	struct placing p = { .t = t, .plan = plan, .a = a, .err = err };
	str dest = S("");
	bool into = false;
	int r = 0;

	if (t->copy->chmod.len)
		TRY(chmod_parse(t->copy->chmod, &p.chmod, err));
	r = resolve_dest(&p, &dest, &into);
	if (r == 0 && sel->n_matches + t->copy->n_inlines > 1 && !into &&
	    (!sel->n_matches || !sel->matches[0].dir))
		r = cairn_fail(
			err, CAIRN_E_SYNTAX,
			"%zu files to copy, so the destination '%.*s' must be a directory or end with '/'",
			sel->n_matches + t->copy->n_inlines, STR(t->copy->dest));
	for (size_t i = 0; r == 0 && i < sel->n_matches; i++)
		r = place_match(&p, sel, &sel->matches[i], dest, into);
	for (size_t i = 0; r == 0 && i < t->copy->n_inlines; i++)
		r = place_inline(&p, &t->copy->inlines[i], dest, into);
	map_done(&p.made);
	return r;
}
