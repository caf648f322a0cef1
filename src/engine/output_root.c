/* TAR and LOCAL: the files of the image. */
#include <dirent.h>

#include "output_priv.h"
#include "unpacked.h"
#include "util/fs.h"

/* A merged tree on its way into a plan. */
struct merged {
	struct out_job *j;
	struct layer_plan *plan;
	const int *dirs;   /* of the layers */
	struct map groups; /* layer and path of a hard-link group's file -> its number */
	uintptr_t n_groups;
	bool folder;
};

static str group_key(struct merged *m, unsigned layer, str path)
{
	return str_of(arena_printf(m->j->arena, "%u:%.*s", layer, STR(path)));
}

static int find_group(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	struct merged *m = ctx;
	str key;

	(void)err;
	if (node->entry->type != LAYER_HARDLINK)
		return 0;
	key = group_key(m, node->layer, node->entry->target);
	if (!map_has(&m->groups, key))
		map_put(&m->groups, key, (void *)++m->n_groups);
	return 0;
}

/* Where the content of a file is; its size is what the directory says when the layer's tar had
 * it as a link to a lower file. */
static int file_source(const struct merged *m, const struct tree_node *node, struct layer_entry *e,
                       struct layer_source *ret, struct cairn_err *err)
{
	*ret = (struct layer_source){ .kind = LAYER_SOURCE_FILE,
		                      .dirfd = m->dirs[node->layer],
		                      .path = node->entry->path,
		                      .expected = node->entry->digest };
	if (e->tar_offset == LAYER_NO_OFFSET) {
		cleanup_free char *path = str_dup(node->entry->path);
		struct stat st;

		if (fstatat(ret->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return cairn_fail_sys(err, "look at '/%s'", path);
		e->size = (uint64_t)st.st_size;
	}
	return 0;
}

static void adjust(const struct merged *m, struct layer_entry *e)
{
	const struct outputs_opts *o = m->j->o->opts;

	if (o->has_epoch && e->mtime > o->epoch)
		e->mtime = o->epoch;
	if (m->folder) {
		e->uid = getuid();
		e->gid = getgid();
	}
}

static int add_node(void *ctx, const struct tree_node *node, struct cairn_err *err)
{
	struct merged *m = ctx;
	struct layer_entry e = *node->entry;
	struct layer_source src = { 0 };
	uint64_t group = 0;

	if (m->folder && e.path.len == 0)
		return 0; /* the folder is the caller's */
	adjust(m, &e);
	e.opaque = false;
	if (e.type == LAYER_FILE || e.type == LAYER_HARDLINK) {
		str first = e.type == LAYER_HARDLINK ? e.target : e.path;

		group = (uint64_t)(uintptr_t)map_get(&m->groups, group_key(m, node->layer, first));
		TRY(file_source(m, node, &e, &src, err));
		e.type = LAYER_FILE;
		e.target = str_n(NULL, 0);
	}
	layer_plan_add(m->plan, &e, src.kind ? &src : NULL, group);
	return 0;
}

/* --- into a folder that is there ----------------------------------------------- */

static int merge(int from, int to, const char *where, struct cairn_err *err);

static int merge_dir(int from, int to, const char *name, const char *where, struct cairn_err *err)
{
	cleanup_free char *path = xasprintf("%s/%s", where, name);
	cleanup_fd int f = -1, t = -1;
	struct stat st;

	f = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	t = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (f < 0 || t < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	TRY(merge(f, t, path, err));
	if (fstat(f, &st) < 0 || fchmod(t, st.st_mode & 07777) < 0 ||
	    futimens(t, (struct timespec[2]){ st.st_mtim, st.st_mtim }) < 0)
		return cairn_fail_sys(err, "set mode and time of '%s'", path);
	return 0;
}

/* Move one entry; what is there under its name is replaced unless it is a folder. A link
 * is an entry like any other: nothing is ever opened through one. */
static int merge_entry(int from, int to, const char *name, const char *where, struct cairn_err *err)
{
	struct stat src, dst;

	if (fstatat(from, name, &src, AT_SYMLINK_NOFOLLOW) < 0)
		return cairn_fail_sys(err, "look at '%s/%s'", where, name);
	if (fstatat(to, name, &dst, AT_SYMLINK_NOFOLLOW) == 0) {
		if (S_ISDIR(src.st_mode) && S_ISDIR(dst.st_mode))
			return merge_dir(from, to, name, where, err);
		if (S_ISDIR(dst.st_mode))
			return cairn_fail(err, CAIRN_E_EXISTS,
			                  "'%s/%s' is a folder, and a file in the image", where,
			                  name);
		if (S_ISDIR(src.st_mode) && unlinkat(to, name, 0) < 0)
			return cairn_fail_sys(err, "replace '%s/%s'", where, name);
	}
	if (renameat(from, name, to, name) < 0)
		return cairn_fail_sys(err, "put '%s/%s' into its place", where, name);
	return 0;
}

static int merge(int from, int to, const char *where, struct cairn_err *err)
{
	int copy = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *d;
	int r = 0;

	if (!dir)
		return cairn_fail_sys(err, "read '%s'", where);
	while (r == 0 && (d = readdir(dir)))
		if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
			r = merge_entry(from, to, d->d_name, where, err);
	closedir(dir);
	return r;
}

/* --- writing ------------------------------------------------------------------- */

static int write_plan(struct merged *m, int out_dirfd, const struct layer_sink *sink,
                      struct cairn_err *err)
{
	cleanup_layer_result struct layer_result made = { 0 };
	cleanup_tree struct tree *nothing = tree_new();
	struct out_meter meter = { m->j->o, sink };
	const struct layer_sink metered = { out_meter_write, &meter };
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;

	opts.out_dirfd = out_dirfd;
	opts.tar = &metered;
	opts.pool = m->j->o->opts->pool;
	TRY(layer_write(m->plan, nothing, &opts, &made, err));
	if (made.absent_len)
		m->j->warning =
			arena_printf(m->j->arena,
		                     "/%s and other device nodes are left out: this user may not "
		                     "make them",
		                     made.absent);
	return 0;
}

static int write_tar(struct merged *m, struct cairn_err *err)
{
	struct out_file f;
	struct layer_sink sink;
	int r;

	TRY(out_file_open(m->j->output->dest, &f, err));
	sink = out_file_sink(&f);
	r = write_plan(m, -1, &sink, err);
	if (r == 0)
		r = out_file_commit(&f, err);
	out_file_done(&f);
	return r;
}

/* Complete in a folder beside the others first: a full disk leaves nothing behind. */
static int write_folder(struct merged *m, struct cairn_err *err)
{
	const char *dest = m->j->output->dest;
	cleanup_free char *tmp = fs_random_name(".cairn-");
	cleanup_fd int to = -1, from = -1;
	struct cairn_err ignored;
	struct stat st;
	bool fresh = stat(dest, &st) < 0;
	int r;

	TRY(fs_mkdir_p(AT_FDCWD, dest, 0777, err));
	TRY(fs_open_dir(AT_FDCWD, dest, &to, err));
	if (mkdirat(to, tmp, 0700) < 0)
		return cairn_fail_sys(err, "create a folder in '%s'", dest);
	r = fs_open_dir(to, tmp, &from, err);
	if (r == 0)
		r = write_plan(m, from, NULL, err);
	if (r == 0)
		r = merge(from, to, dest, err);
	(void)fs_remove_tree(to, tmp, &ignored);
	if (r < 0 && fresh)
		(void)fs_remove_tree(AT_FDCWD, dest, &ignored);
	return r;
}

static int write_tree(struct merged *m, const struct tree *t, struct cairn_err *err)
{
	TRY(tree_walk(t, NULL, find_group, m, err));
	TRY(tree_walk(t, NULL, add_node, m, err));
	return m->folder ? write_folder(m, err) : write_tar(m, err);
}

int out_root_write(struct out_job *j, struct cairn_err *err)
{
	const struct chain *c = j->image->chain;
	struct digest *ids = arena_array(j->arena, struct digest, c->n + 1);
	const struct unpacked u = { j->o->opts->store, j->o->opts->pool, ids, c->n };
	int *fds = arena_array(j->arena, int, c->n + 1);
	struct merged m = { .j = j, .dirs = fds, .folder = j->output->type == OUTPUT_LOCAL };
	cleanup_tree struct tree *t = NULL;
	char **dirs = NULL;
	size_t n = 0;
	int r = 0;

	/* The layers as they were built: times are clamped on the way. */
	for (size_t i = 0; i < c->n; i++)
		ids[i] = j->layers[i]->src.ids[j->layers[i]->src.n - 1];
	TRY(unpacked_tree(&u, &t, err));
	TRY(unpacked_dirs(&u, j->arena, &dirs, err));
	m.plan = layer_plan_new();
	while (r == 0 && n < c->n) {
		r = fs_open_dir(AT_FDCWD, dirs[n], &fds[n], err);
		n += r == 0;
	}
	if (r == 0)
		r = write_tree(&m, t, err);
	while (n)
		close(fds[--n]);
	layer_plan_free(m.plan);
	map_done(&m.groups);
	return r;
}
