/* COPY, ADD, WORKDIR; and the part of every step that runs in the pool. */
#include "step.h"

#include "util/clock.h"
#include "util/fs.h"

/* --- work ---------------------------------------------------------------- */

struct step_work *work_new(struct step *s)
{
	struct step_work *w = xcalloc(1, sizeof(*w));

	w->step = s;
	w->arena = arena_new();
	s->work = w;
	return w;
}

void work_free(struct step_work *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->n_fds; i++)
		close(w->fds[i]);
	free(w->fds);
	layer_plan_free(w->plan);
	layer_result_done(&w->result);
	if (w->root)
		rootfs_step_free(w->root, NULL);
	store_layer_txn_free(w->txn);
	arena_free(w->arena);
	free(w);
}

int work_keep_fd(struct step_work *w, int fd)
{
	w->fds = xreallocarray(w->fds, w->n_fds + 1, sizeof(*w->fds));
	w->fds[w->n_fds++] = fd;
	return fd;
}

static enum layer_xattr_ns xattr_ns(const struct engine_build *b)
{
	return b->machine_known && b->machine.overlay_userxattr ? LAYER_XATTR_USER
	                                                        : LAYER_XATTR_TRUSTED;
}

/* What a command changed, as a plan. */
static int scan(struct step_work *w, struct cairn_err *err)
{
	struct rootfs_changes changes = { 0 };
	int fd = -1;

	TRY(rootfs_changes(w->root, &changes, err));
	if (changes.form == ROOTFS_FORM_UPPER) {
		TRY(fs_open_dir(AT_FDCWD, changes.upper, &fd, err));
		work_keep_fd(w, fd);
		w->in_place = true;
		return layer_scan_overlay(
			fd, changes.userxattr ? LAYER_XATTR_USER : LAYER_XATTR_TRUSTED, &w->plan,
			err);
	}
	TRY(fs_open_dir(AT_FDCWD, changes.tree, &fd, err));
	work_keep_fd(w, fd);
	return layer_scan_plain(fd, changes.before, &w->plan, err);
}

static int store_layer(struct step_work *w, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf index;
	struct store_layer_new l = { 0 };

	strbuf_init(&index, LAYER_INDEX_MAX);
	layer_index_encode(w->result.index, &index);
	TRY(strbuf_check(&index, "layer index", err));
	w->content = layer_index_content_digest(w->result.index);
	l.layer = (struct store_layer){ .diff_id = w->result.diff_id,
		                        .content = w->content,
		                        .tar_size = w->result.tar_size,
		                        .n_entries = w->result.index->n_entries,
		                        .created = clock_now() };
	l.index = strbuf_view(&index);
	l.dir_key = &l.layer.diff_id;
	l.dir_bytes = w->result.content_size;
	return store_layer_commit(w->txn, &l, NULL, err);
}

int work_execute(void *work, struct cairn_err *err)
{
	struct step_work *w = work;
	struct engine_build *b = w->step->b;
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	int fd = -1;

	if (w->root)
		TRY(scan(w, err));
	if (!w->in_place) {
		TRY(fs_open_dir(AT_FDCWD, store_layer_txn_fs(w->txn), &fd, err));
		opts.out_dirfd = work_keep_fd(w, fd);
	}
	opts.pool = b->opts->pool;
	opts.parent_mtime = clock_now();
	opts.xattr_ns = xattr_ns(b);
	TRY(layer_write(w->plan, w->below, &opts, &w->result, err));
	return store_layer(w, err);
}

/* --- COPY and ADD -------------------------------------------------------- */

/* Where the bytes of an operand's items are. */
struct copy_files {
	int context_fd;       /* a context, or -1 */
	const int *layer_fds; /* a tree: directories of its layers */
};

static int item_source(void *ctx, const struct select_item *item, struct layer_source *ret,
                       struct cairn_err *err)
{
	const struct copy_files *f = ctx;
	const struct view_file *file = item->file;

	(void)err;
	*ret = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
		                      .dirfd = f->layer_fds ? f->layer_fds[file->layer]
		                                            : f->context_fd,
		                      .path = file->entry->path,
		                      .expected = file->entry->digest };
	return 0;
}

/* Open the directories of the layers that the step's files come from. */
static int open_layers(struct step_work *w, const struct chain *c, int **ret, struct cairn_err *err)
{
	int *fds = arena_array(w->arena, int, c->n + 1);
	char **dirs = NULL;

	TRY(trees_dirs(w->step->b, c, w->arena, &dirs, err));
	for (size_t i = 0; i < c->n; i++) {
		TRY(fs_open_dir(AT_FDCWD, dirs[i], &fds[i], err));
		work_keep_fd(w, fds[i]);
	}
	*ret = fds;
	return 0;
}

static int copy_files_open(struct step_work *w, struct copy_files *f, struct cairn_err *err)
{
	const struct graph_source *from = &w->step->node->copy.from;

	f->context_fd = -1;
	f->layer_fds = NULL;
	if (from->kind == GRAPH_FROM_CONTEXT) {
		f->context_fd = sources_context_fd(w->step->b, from->context);
	} else if (from->kind == GRAPH_FROM_NODE) {
		int *fds = NULL;

		TRY(open_layers(w, build_step(w->step->b, from->node)->chain, &fds, err));
		f->layer_fds = fds;
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

static int begin_layer(struct step *s, struct step_work *w, struct cairn_err *err)
{
	w->plan = layer_plan_new();
	return store_layer_begin(s->b->opts->store, &w->txn, err);
}

int op_copy_prepare(struct step *s, struct cairn_err *err)
{
	static const struct selection nothing;
	struct step_work *w = work_new(s);
	struct copy_files files = { -1, NULL };
	struct copy_target t = {
		.copy = &s->node->copy, .now = clock_now(), .source = item_source, .ctx = &files
	};

	TRY(begin_layer(s, w, err));
	if (s->node->copy.link) { /* on nothing, so that it fits on everything */
		static const struct chain empty;

		TRY(trees_get(s->b, &empty, &w->below, err));
	} else {
		TRY(trees_get(s->b, build_step(s->b, s->node->parent)->chain, &w->below, err));
	}
	t.below = w->below;
	TRY(copy_owner(s, &t, err));
	TRY(copy_files_open(w, &files, err));
	return copy_plan(w->plan, &t, s->n_operands ? &s->selections[0] : &nothing, w->arena, err);
}

/* --- WORKDIR ------------------------------------------------------------- */

int op_workdir_prepare(struct step *s, struct cairn_err *err)
{
	struct step_work *w = work_new(s);
	struct graph_copy as_dir = { .dest = str_of(arena_printf(s->b->arena, "%.*s/",
		                                                 STR(s->node->workdir.path))) };
	struct copy_target t = { .copy = &as_dir, .now = clock_now() };
	static const struct selection nothing;
	struct userdb db = { 0 };
	struct userdb_user user = { 0 };
	const struct chain *below = build_step(s->b, s->node->parent)->chain;

	TRY(begin_layer(s, w, err));
	TRY(trees_get(s->b, below, &w->below, err));
	t.below = w->below;
	if (s->node->user.len) {
		TRY(trees_userdb(s->b, below, w->arena, &db, err));
		TRY(userdb_find(&db, s->node->user, w->arena, &user, err));
		t.uid = user.uid;
		t.gid = user.gid;
	}
	return copy_plan(w->plan, &t, &nothing, w->arena, err);
}
