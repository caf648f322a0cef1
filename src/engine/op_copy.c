/* COPY, ADD and WORKDIR. */
#include "step.h"

#include "add_archive.h"
#include "util/clock.h"
#include "util/fs.h"

#define COPY_BUFFER (256u * 1024)

/* An archive that ADD has unpacked. */
struct unpacked {
	struct layer_result result;
	char *dir;
	int fd;
};

/* What the pool needs to plan a copy. */
struct copy_work {
	struct step *step;
	struct copy_target target;
	const struct selection *selection;
	int context_fd;       /* where the sources are: a context, or -1 */
	const int *layer_fds; /* a tree: directories of its layers */
	VEC(struct unpacked) unpacked;
};

void copy_work_free(struct copy_work *c)
{
	struct cairn_err err;

	if (!c)
		return;
	vec_foreach (u, &c->unpacked) {
		layer_result_done(&u->result);
		if (u->fd >= 0)
			close(u->fd);
		(void)fs_remove_tree(AT_FDCWD, u->dir, &err);
		free(u->dir);
	}
	vec_free(&c->unpacked);
	free(c);
}

static int item_source(void *ctx, const struct select_item *item, struct layer_source *ret,
                       struct cairn_err *err)
{
	const struct copy_work *c = ctx;
	const struct view_file *file = item->file;

	(void)err;
	*ret = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
		                      .dirfd = c->layer_fds ? c->layer_fds[file->layer]
		                                            : c->context_fd,
		                      .path = file->entry->path,
		                      .expected = file->entry->digest };
	return 0;
}

/* --- ADD of archives ------------------------------------------------------- */

/* Directories below one of the tree, named from there. */
struct dirs {
	size_t prefix; /* bytes of that one's path and its '/' */
	VEC(struct layer_entry) found;
};

static int take_dir(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	struct dirs *d = ctx;
	struct layer_entry e = *node->entry;

	(void)err;
	if (e.type != LAYER_DIR || e.path.len <= d->prefix)
		return 0;
	e.path = str_skip(e.path, d->prefix);
	e.opaque = false;
	vec_push(&d->found, e);
	return 0;
}

/* What an archive is unpacked on: a directory that it has no entry for, only files below it, stays
 * what it is at the destination. Owned. */
static int below_dest(const struct copy_work *c, struct tree **ret, struct cairn_err *err)
{
	cleanup_tree struct tree *nothing = tree_new();
	cleanup_layer_index struct layer_index *ix = NULL;
	const struct tree_node *node = NULL;
	struct cairn_err ignored;
	struct dirs d = { 0 };
	struct strbuf path cleanup_strbuf;
	int r = 0;

	strbuf_init(&path, LAYER_PATH_MAX);
	/* A destination that cannot be is told of where things are put there. */
	(void)tree_resolve(c->target.below, c->target.copy->dest, 0, &path, &node, &ignored);
	d.prefix = path.len ? path.len + 1 : 0;
	if (node && node->dir)
		r = tree_walk(c->target.below, node, take_dir, &d, err);
	if (r == 0) {
		ix = layer_index_new(d.found.ptr, d.found.len, NULL);
		*ret = tree_push(nothing, ix);
	}
	vec_free(&d.found);
	return r;
}

static int unpack(struct copy_work *c, struct add_archive *a, const struct layer_index **ret_index,
                  int *ret_dirfd, struct cairn_err *err)
{
	bool on_root = str_is(c->target.copy->dest, "/");
	cleanup_tree struct tree *dirs = NULL;
	struct unpacked u = { .fd = -1 };
	struct unpacked *kept;

	if (!on_root)
		TRY(below_dest(c, &dirs, err));
	TRY(store_tmp_dir(c->step->b->opts->store, &u.dir, err));
	vec_push(&c->unpacked, u); /* from here on it is removed at the end */
	kept = vec_last(&c->unpacked);
	TRY(fs_open_dir(AT_FDCWD, kept->dir, &kept->fd, err));
	TRY(add_archive_unpack(a, on_root ? c->target.below : dirs, kept->fd, &kept->result, err));
	*ret_index = kept->result.index;
	*ret_dirfd = kept->fd;
	return 0;
}

/* A private copy of the archive, verified: what is unpacked must be what the key says, and it
 * is read more than once. *ret_fd has no name any more. */
static int copy_archive(struct copy_work *c, int fd, const struct layer_source *src,
                        const char *path, int *ret_fd, struct cairn_err *err)
{
	cleanup_free char *dir = NULL, *file = NULL;
	cleanup_free char *buf = xmalloc(COPY_BUFFER);
	cleanup_fd int out = -1;
	struct cairn_err ignored;
	struct layer_fd to;
	struct sha256 h;
	struct digest d;
	size_t n = 0;

	TRY(store_tmp_dir(c->step->b->opts->store, &dir, err));
	file = xasprintf("%s/archive", dir);
	out = open(file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	(void)fs_remove_tree(AT_FDCWD, dir, &ignored);
	if (out < 0)
		return cairn_fail_sys(err, "create '%s'", file);
	to = (struct layer_fd){ out, file };
	sha256_init(&h);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return cairn_fail_sys(err, "read '%s'", path);
	do {
		struct layer_sink sink = layer_fd_sink(&to);

		TRY(fs_read_full(fd, buf, COPY_BUFFER, &n, path, err));
		sha256_add(&h, buf, n);
		if (n)
			TRY(sink.write(sink.ctx, buf, n, err));
	} while (n == COPY_BUFFER);
	d = sha256_end(&h);
	if (!digest_none(&src->expected) && !digest_eq(&d, &src->expected))
		return cairn_fail(err, CAIRN_E_DIGEST,
		                  "'%s' changed while the build ran; run it again when nothing "
		                  "writes to it",
		                  path);
	if (lseek(out, 0, SEEK_SET) < 0)
		return cairn_fail_sys(err, "read '%s'", file);
	*ret_fd = steal_fd(&out);
	return 0;
}

static int item_expand(void *ctx, const struct select_item *item,
                       const struct layer_index **ret_index, int *ret_dirfd, struct cairn_err *err)
{
	struct copy_work *c = ctx;
	cleanup_add_archive struct add_archive *a = NULL;
	struct layer_source src = { 0 };
	cleanup_fd int fd = -1, copy = -1;
	cleanup_free char *path = str_dup(item->file->entry->path);

	TRY(item_source(ctx, item, &src, err));
	/* A link or pipe that has taken the file's place is not followed, nor waited for. */
	fd = fs_open_beneath(src.dirfd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	TRY(add_archive_open(fd, path, &a, err));
	if (!a)
		return 0;
	add_archive_free(steal_ptr(&a));
	TRY(copy_archive(c, fd, &src, path, &copy, err));
	TRY(add_archive_open(copy, path, &a, err));
	return a ? unpack(c, a, ret_index, ret_dirfd, err) : 0;
}

/* --- COPY and ADD ------------------------------------------------------------ */

/* Open the directories of the layers that the step's files come from; the others need not be
 * here. */
static int open_layers(struct step_work *w, const struct chain *c, int **ret, struct cairn_err *err)
{
	int *fds = arena_array(w->arena, int, c->n + 1);
	bool *used = arena_array(w->arena, bool, c->n + 1);
	const struct selection *sel = &w->step->selections[0];
	char *const *picked = w->step->picked;
	char **dirs = NULL;

	for (size_t i = 0; i < sel->n_items; i++) {
		const struct view_file *f = sel->items[i].file;

		used[f->layer] |= f->entry->type == LAYER_FILE || f->entry->type == LAYER_HARDLINK;
	}
	for (size_t i = 0; picked && i < c->n; i++)
		used[i] &= !picked[i];
	TRY(trees_dirs(w->step->b, c, used, w->arena, &dirs, err));
	for (size_t i = 0; i < c->n; i++) {
		const char *dir = picked && picked[i] ? picked[i] : used[i] ? dirs[i] : NULL;

		fds[i] = -1;
		if (!dir)
			continue;
		TRY(fs_open_dir(AT_FDCWD, dir, &fds[i], err));
		work_keep_fd(w, fds[i]);
	}
	*ret = fds;
	return 0;
}

static int open_sources(struct step_work *w, struct cairn_err *err)
{
	const struct graph_source *from = &w->step->node->copy.from;
	int *fds = NULL;

	if (from->kind == GRAPH_FROM_CONTEXT) {
		w->copy->context_fd = sources_context_fd(w->step->b, from->context);
	} else if (from->kind == GRAPH_FROM_NODE) {
		TRY(open_layers(w, build_step(w->step->b, from->node)->chain, &fds, err));
		w->copy->layer_fds = fds;
	}
	return 0;
}

/* The owner of what is copied, when --chown says so; of directories that are made always. */
static int copy_owner(struct step *s, struct copy_target *t, struct cairn_err *err)
{
	const struct graph_copy *c = &s->node->copy;
	struct userdb db = { 0 };

	t->chown = c->chown.len > 0;
	if (!t->chown)
		return 0;
	if (!c->link)
		TRY(trees_userdb(s->b, build_step(s->b, s->node->parent)->chain, s->b->arena, &db,
		                 err));
	return userdb_owner(&db, c->chown, &t->uid, &t->gid, err);
}

static int make_plan(struct step_work *w, struct cairn_err *err)
{
	return copy_plan(w->plan, &w->copy->target, w->copy->selection, w->arena, err);
}

/* Work that copies `copy` onto the tree of `below`. */
static int begin(struct step *s, const struct graph_copy *copy, const struct chain *below,
                 struct step_work **ret, struct cairn_err *err)
{
	static const struct selection nothing;
	struct step_work *w = work_new(s);
	const struct tree *on = NULL; /* what the layer is put on; --link does not look at it */

	w->plan = layer_plan_new();
	w->copy = xcalloc(1, sizeof(*w->copy));
	w->copy->step = s;
	w->copy->context_fd = -1;
	w->copy->selection = &nothing;
	w->make_plan = make_plan;
	TRY(store_layer_begin(s->b->opts->store, &w->txn, err));
	TRY(trees_get(s->b, below, &w->below, err));
	TRY(trees_get(s->b, build_step(s->b, s->node->parent)->chain, &on, err));
	TRY(work_root(store_layer_txn_fs(w->txn), on, err));
	w->copy->target = (struct copy_target){ .copy = copy,
		                                .below = w->below,
		                                .now = clock_now(),
		                                .source = item_source,
		                                .expand = item_expand,
		                                .ctx = w->copy };
	*ret = w;
	return 0;
}

int op_copy_prepare(struct step *s, struct cairn_err *err)
{
	static const struct chain nothing; /* --link: on nothing, so that it fits on everything */
	const struct chain *below =
		s->node->copy.link ? &nothing : build_step(s->b, s->node->parent)->chain;
	struct step_work *w = NULL;

	TRY(begin(s, &s->node->copy, below, &w, err));
	if (s->n_operands)
		w->copy->selection = &s->selections[0];
	TRY(copy_owner(s, &w->copy->target, err));
	return open_sources(w, err);
}

/* --- WORKDIR ----------------------------------------------------------------- */

/* A directory is a COPY of nothing to a destination that ends with a slash. */
int op_workdir_prepare(struct step *s, struct cairn_err *err)
{
	struct graph_copy *dir = arena_new_of(s->b->arena, struct graph_copy);
	const struct chain *below = build_step(s->b, s->node->parent)->chain;
	struct userdb db = { 0 };
	struct userdb_user user = { 0 };
	struct step_work *w = NULL;

	dir->dest = str_of(arena_printf(s->b->arena, "%.*s/", STR(s->node->workdir.path)));
	TRY(begin(s, dir, below, &w, err));
	if (!s->node->user.len)
		return 0;
	TRY(trees_userdb(s->b, below, w->arena, &db, err));
	TRY(userdb_find(&db, s->node->user, w->arena, &user, err));
	w->copy->target.uid = user.uid;
	w->copy->target.gid = user.gid;
	return 0;
}
