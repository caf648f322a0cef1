#include "rootfs_driver.h"

/* Best first: ROOTFS_AUTO takes the first that does not refuse. */
static const struct rootfs_driver *const drivers[] = {
	&rootfs_overlay,
	&rootfs_overlay_userns,
	&rootfs_plain,
};

const char *rootfs_kind_name(enum rootfs_kind kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
		if (drivers[i]->kind == kind)
			return drivers[i]->name;
	return "auto";
}

static const struct rootfs_driver *choose(const struct rootfs_opts *opts, const char **ret_why)
{
	*ret_why = "no such driver";
	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		if (opts->kind != ROOTFS_AUTO && drivers[i]->kind != opts->kind)
			continue;
		*ret_why = drivers[i]->refuses(opts->machine);
		if (!*ret_why)
			return drivers[i];
	}
	return NULL;
}

int rootfs_open(const struct rootfs_opts *opts, struct rootfs **ret, struct cairn_err *err)
{
	const char *why;
	const struct rootfs_driver *driver = choose(opts, &why);
	struct rootfs *r;

	if (!driver)
		return cairn_fail(err, CAIRN_E_DENIED, "root file systems by '%s': %s",
		                  rootfs_kind_name(opts->kind), why);
	r = xcalloc(1, sizeof(*r));
	r->driver = driver;
	r->machine = opts->machine;
	r->trees_dir = opts->trees ? xstrdup(opts->trees) : NULL;
	*ret = r;
	return 0;
}

void rootfs_close(struct rootfs *r)
{
	if (!r)
		return;
	if (r->driver->close)
		r->driver->close(r);
	free(r->trees_dir);
	free(r);
}

enum rootfs_kind rootfs_kind(const struct rootfs *r)
{
	return r->driver->kind;
}

int rootfs_prepare(struct rootfs *r, const struct rootfs_request *req, struct sandbox_spec *spec,
                   struct rootfs_step **ret, struct cairn_err *err)
{
	struct rootfs_step *step = xcalloc(1, sizeof(*step));
	int result;

	step->root = r;
	step->upper = xstrdup(req->upper);
	result = r->driver->prepare(r, req, spec, step, err);
	if (result < 0) {
		rootfs_step_free(step, NULL);
		return result;
	}
	*ret = step;
	return 0;
}

int rootfs_changes(struct rootfs_step *s, struct rootfs_changes *ret, struct cairn_err *err)
{
	return s->root->driver->changes(s, ret, err);
}

void rootfs_step_free(struct rootfs_step *s, const char *keep)
{
	if (!s)
		return;
	s->root->driver->step_done(s, keep);
	free(s->upper);
	free(s);
}

int rootfs_like(const char *from, const char *to, struct cairn_err *err)
{
	struct stat st = { .st_mode = 0755 };
	struct timespec t[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_OMIT } };

	if (from && stat(from, &st) < 0)
		return cairn_fail_sys(err, "layer directory '%s'", from);
	if (from) {
		t[0] = st.st_atim;
		t[1] = st.st_mtim;
	}
	/* chmod last: chown takes set-id bits away. */
	if (chown(to, st.st_uid, st.st_gid) < 0 || chmod(to, st.st_mode & 07777) < 0 ||
	    utimensat(AT_FDCWD, to, t, 0) < 0)
		return cairn_fail_sys(err, "giving '%s' the owner and mode of the root below", to);
	return 0;
}
