/* The part of a step that runs in the pool: plan, write the layer, store it. */
#include "step.h"

#include "util/clock.h"
#include "util/fs.h"

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
	copy_work_free(w->copy);
	layer_result_done(&w->result);
	if (w->root)
		rootfs_step_free(w->root, NULL);
	store_layer_txn_free(w->txn);
	arena_free(w->arena);
	free(w);
}

int work_root(const char *dir, const struct tree *t, struct cairn_err *err)
{
	const struct layer_entry *e = tree_root(t)->entry;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
		                     { .tv_sec = (time_t)(e->mtime / CLOCK_SEC),
		                       .tv_nsec = (long)(e->mtime % CLOCK_SEC) } };

	/* chmod last: chown takes set-id bits away. */
	if (chown(dir, e->uid, e->gid) < 0 || chmod(dir, e->mode) < 0 ||
	    utimensat(AT_FDCWD, dir, times, 0) < 0)
		return cairn_fail_sys(err, "giving '%s' the owner and mode of the image's '/'",
		                      dir);
	return 0;
}

int work_keep_fd(struct step_work *w, int fd)
{
	w->fds = xreallocarray(w->fds, w->n_fds + 1, sizeof(*w->fds));
	w->fds[w->n_fds++] = fd;
	return fd;
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
	else
		TRY(w->make_plan(w, err));
	if (!w->in_place) {
		TRY(fs_open_dir(AT_FDCWD, store_layer_txn_fs(w->txn), &fd, err));
		opts.out_dirfd = work_keep_fd(w, fd);
	}
	opts.pool = b->opts->pool;
	opts.parent_mtime = clock_now();
	opts.xattr_ns = b->limits.xattr_ns;
	TRY(layer_write(w->plan, w->below, &opts, &w->result, err));
	return store_layer(w, err);
}
