/* The steps of a build as BuildKit knows them. */
#include "step.h"

#include <fcntl.h>

#include "util/fs.h"

struct context_tree {
	struct engine_build *b;
	str name;
	struct view view;
	struct buildkit_tree *tree;
};

/* The contexts that were asked for. */
struct trees {
	struct engine_build *b;
	struct arena *a;
	struct map by_name; /* struct context_tree * */
};

static int open_file(void *ctx, const struct view_file *f, int *ret_fd, struct cairn_err *err)
{
	const struct context_tree *t = ctx;
	cleanup_free char *path = str_dup(f->entry->path);
	int fd = fs_open_beneath(sources_context_fd(t->b, t->name), path, O_RDONLY | O_NOFOLLOW);

	if (fd < 0)
		return cairn_fail_sys(err, "open '%s'", path);
	*ret_fd = fd;
	return 0;
}

static int context_tree(void *ctx, str name, struct buildkit_tree **ret, struct cairn_err *err)
{
	struct trees *trees = ctx;
	struct context_tree *t = map_get(&trees->by_name, name);

	if (!t) {
		t = arena_new_of(trees->a, struct context_tree);
		*t = (struct context_tree){ .b = trees->b, .name = name };
		TRY(sources_context(trees->b, name, &t->view, err));
		t->tree = buildkit_tree_new(&t->view, open_file, t);
		(void)map_put(&trees->by_name, name, t);
	}
	*ret = t->tree;
	return 0;
}

int buildkit_ops(struct engine_build *b, struct arena *a, struct buildkit_op ***ret,
                 struct cairn_err *err)
{
	struct trees trees = { b, a, { 0 } };
	const struct buildkit_contexts contexts = { context_tree, &trees };
	struct buildkit_op **ops = arena_array(a, struct buildkit_op *, b->n);
	int r = 0;

	for (size_t i = 0; r == 0 && i < b->n; i++)
		r = buildkit_op_new(a, b->steps[i].node, &b->opts->env, &contexts, &ops[i], err);
	map_foreach (e, &trees.by_name)
		buildkit_tree_free(((struct context_tree *)e->value)->tree);
	map_done(&trees.by_name);
	*ret = ops;
	return r;
}
