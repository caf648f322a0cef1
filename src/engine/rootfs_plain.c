/* Plain directories: for places that allow no overlayfs. One working tree per chain of
 * layers; after a step the tree is one layer further. */
#include "layer/layer.h"
#include "rootfs_copy.h"
#include "rootfs_driver.h"

struct plain_tree {
	char *path;
	VEC(char *) chain; /* directories of the layers in it, bottom first; owned */
	bool busy;
	bool dirty; /* a step ran in it and its layer is not known */
};

struct plain_trees {
	VEC(struct plain_tree *) all;
};

static const char *refuses(const struct machine *m)
{
	(void)m;
	return NULL;
}

static void tree_free(struct plain_tree *t)
{
	struct cairn_err err;

	(void)fs_remove_tree(AT_FDCWD, t->path, &err);
	vec_foreach (dir, &t->chain)
		free(*dir);
	vec_free(&t->chain);
	free(t->path);
	free(t);
}

static void trees_remove(struct plain_trees *trees, struct plain_tree *t)
{
	for (size_t i = 0; i < trees->all.len; i++)
		if (trees->all.ptr[i] == t) {
			trees->all.ptr[i] = trees->all.ptr[--trees->all.len];
			break;
		}
	tree_free(t);
}

/* Is all that t holds the lower part of what is asked for? */
static bool is_prefix(const struct plain_tree *t, const struct rootfs_request *req)
{
	if (t->busy || t->dirty || t->chain.len > req->n_lowers)
		return false;
	for (size_t i = 0; i < t->chain.len; i++)
		if (strcmp(t->chain.ptr[i], req->lowers[i]) != 0)
			return false;
	return true;
}

/* The idle tree that is furthest on the way. */
static struct plain_tree *find(struct plain_trees *trees, const struct rootfs_request *req)
{
	struct plain_tree *best = NULL;

	vec_foreach (t, &trees->all)
		if (is_prefix(*t, req) && (!best || (*t)->chain.len > best->chain.len))
			best = *t;
	return best;
}

static int make(struct rootfs *r, struct plain_tree **ret, struct cairn_err *err)
{
	cleanup_free char *name = NULL;
	struct plain_tree *t;

	if (!r->trees_dir)
		return cairn_fail(err, CAIRN_E_BUG, "plain root file systems have no directory");
	name = fs_random_name("/tree-");
	t = xcalloc(1, sizeof(*t));
	t->path = xasprintf("%s%s", r->trees_dir, name);
	if (mkdir(t->path, 0755) < 0) {
		(void)cairn_fail_sys(err, "working tree '%s'", t->path);
		tree_free(t);
		return err->code;
	}
	vec_push(&r->trees->all, t);
	*ret = t;
	return 0;
}

static int fill(struct plain_tree *t, const struct rootfs_request *req, struct cairn_err *err)
{
	if (req->n_lowers == 0)
		return rootfs_like(NULL, t->path, err);
	while (t->chain.len < req->n_lowers) {
		const char *layer = req->lowers[t->chain.len];

		t->dirty = true;
		TRY(rootfs_copy(layer, t->path, err));
		vec_push(&t->chain, xstrdup(layer));
		t->dirty = false;
	}
	return 0;
}

static int prepare(struct rootfs *r, const struct rootfs_request *req, struct sandbox_spec *spec,
                   struct rootfs_step *step, struct cairn_err *err)
{
	struct plain_tree *t;
	cleanup_fd int fd = -1;

	if (!r->trees)
		r->trees = xcalloc(1, sizeof(*r->trees));
	t = find(r->trees, req);
	if (!t)
		TRY(make(r, &t, err));
	t->busy = true;
	step->tree = t;
	TRY(fill(t, req, err));
	TRY(rootfs_like(t->path, req->upper, err));
	TRY(fs_open_dir(AT_FDCWD, t->path, &fd, err));
	TRY(layer_snapshot_take(fd, &step->before, err));
	t->dirty = true;
	sandbox_add(spec, &(struct sandbox_op){ .kind = SANDBOX_ROOT_DIR, .src = str_of(t->path) });
	return 0;
}

static int changes(struct rootfs_step *step, struct rootfs_changes *ret, struct cairn_err *err)
{
	(void)err;
	*ret = (struct rootfs_changes){
		.form = ROOTFS_FORM_TREE,
		.upper = step->upper,
		.tree = step->tree->path,
		.before = step->before,
	};
	return 0;
}

static void step_done(struct rootfs_step *step, const char *keep)
{
	struct plain_tree *t = step->tree;

	layer_snapshot_free(step->before);
	if (!t)
		return;
	t->busy = false;
	if (keep && t->dirty) {
		vec_push(&t->chain, xstrdup(keep));
		t->dirty = false;
	}
	if (t->dirty)
		trees_remove(step->root->trees, t);
}

static void close_trees(struct rootfs *r)
{
	if (!r->trees)
		return;
	vec_foreach (t, &r->trees->all)
		tree_free(*t);
	vec_free(&r->trees->all);
	free(r->trees);
}

const struct rootfs_driver rootfs_plain = {
	.kind = ROOTFS_PLAIN,
	.name = "plain",
	.refuses = refuses,
	.prepare = prepare,
	.changes = changes,
	.step_done = step_done,
	.close = close_trees,
};
