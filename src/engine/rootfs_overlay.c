#include "rootfs_driver.h"

static const char *refuses_root(const struct machine *m)
{
	if (m->in_userns || !m->root)
		return "not the root user of the machine";
	return m->overlay ? NULL : m->rows[PROBE_OVERLAY].found;
}

static const char *refuses_userns(const struct machine *m)
{
	if (m->root && !m->in_userns)
		return "not in a user namespace";
	return m->overlay ? NULL : m->rows[PROBE_OVERLAY].found;
}

static int prepare(struct rootfs *r, const struct rootfs_request *req, struct sandbox_spec *spec,
                   struct rootfs_step *step, struct cairn_err *err)
{
	cleanup_free const char **lowers = xcalloc(req->n_lowers + 1, sizeof(*lowers));
	cleanup_free char *work = xasprintf("%s/work", req->work);
	cleanup_free char *stubs = xasprintf("%s/stubs", req->work);
	struct sandbox_op op = {
		.kind = SANDBOX_ROOT_OVERLAY,
		.overlay = { .lowers = lowers, .upper = req->upper, .work = work, .stubs = stubs },
	};

	(void)step;
	if (req->volatile_)
		op.flags |= SANDBOX_VOLATILE;
	if (r->machine->overlay_userxattr)
		op.flags |= SANDBOX_USERXATTR;
	for (size_t i = 0; i < req->n_lowers; i++)
		lowers[i] = req->lowers[req->n_lowers - 1 - i]; /* top first */
	op.overlay.n_lowers = req->n_lowers;
	if (mkdir(work, 0700) < 0 || mkdir(stubs, 0755) < 0)
		return cairn_fail_sys(err, "work directory '%s'", req->work);
	TRY(rootfs_like(req->n_lowers > 0 ? lowers[0] : NULL, req->upper, err));
	sandbox_add(spec, &op);
	return 0;
}

static int changes(struct rootfs_step *step, struct rootfs_changes *ret, struct cairn_err *err)
{
	(void)err;
	*ret = (struct rootfs_changes){
		.form = ROOTFS_FORM_UPPER,
		.upper = step->upper,
		.userxattr = step->root->machine->overlay_userxattr,
	};
	return 0;
}

static void step_done(struct rootfs_step *step, const char *keep)
{
	(void)step; /* upper and work are the caller's */
	(void)keep;
}

const struct rootfs_driver rootfs_overlay = {
	.kind = ROOTFS_OVERLAY,
	.name = "overlay",
	.refuses = refuses_root,
	.prepare = prepare,
	.changes = changes,
	.step_done = step_done,
};

const struct rootfs_driver rootfs_overlay_userns = {
	.kind = ROOTFS_OVERLAY_USERNS,
	.name = "overlay-userns",
	.refuses = refuses_userns,
	.prepare = prepare,
	.changes = changes,
	.step_done = step_done,
};
