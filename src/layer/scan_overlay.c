#include "scan.h"

#include <sys/sysmacros.h>

#include "scan_walk.h"

struct scan {
	struct layer_plan *plan;
	enum layer_xattr_ns ns;
};

static bool is_whiteout(const struct walk_item *item, const struct walk_xattrs *x)
{
	if (S_ISCHR(item->st.st_mode))
		return item->st.st_rdev == makedev(0, 0);
	return x->whiteout && S_ISREG(item->st.st_mode) && item->st.st_size == 0;
}

static int scan_item(void *ctx, const struct walk_item *item, struct cairn_err *err)
{
	struct scan *s = ctx;
	struct walk_xattrs x;

	TRY(walk_read_xattrs(item, &s->ns, s->plan->arena, &x, err));
	if (x.redirect || x.metacopy)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "'/%s' carries overlay.%s: the overlay was not mounted with "
		                  "redirect_dir=off,metacopy=off and its layer is not complete",
		                  item->path, x.redirect ? "redirect" : "metacopy");
	if (is_whiteout(item, &x)) {
		layer_plan_remove(s->plan, str_of(item->path));
		return 0;
	}
	return walk_add(s->plan, item, &x, err);
}

int layer_scan_overlay(int upper_dirfd, enum layer_xattr_ns ns, struct layer_plan **ret_owned,
                       struct cairn_err *err)
{
	cleanup_layer_plan struct layer_plan *plan = layer_plan_new();
	struct scan s = { .plan = plan, .ns = ns };

	TRY(walk_dir(upper_dirfd, scan_item, &s, err));
	*ret_owned = steal_ptr(&plan);
	return 0;
}
