/* The root of a sandbox and the trees it binds from: overlays and directories, in staging. */
#include <sys/mount.h>
#include <sys/syscall.h>

#include "sandbox_setup.h"
#include "util/fs.h"

int setup_staging(struct setup *s, struct cairn_err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return cairn_fail_sys(err, "making the mounts private");
	if (mount("cairn", s->job->scratch, "tmpfs", MS_NOSUID, "mode=0700") < 0)
		return cairn_fail_sys(err, "mounting the staging area on '%s'", s->job->scratch);
	s->staging = open(s->job->scratch, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->staging < 0 || mkdirat(s->staging, "empty", 0755) < 0)
		return cairn_fail_sys(err, "staging area '%s'", s->job->scratch);
	return 0;
}

/* An overlay has a directory of its own in staging, with links of one to three characters
 * to its layers: 499 of them fit into the 4 KiB that mount(2) takes, and no path needs
 * quoting. Makes it and changes to it. */
static int enter_overlay(struct setup *s, const struct sandbox_overlay *o, int *ret_dir,
                         struct cairn_err *err)
{
	char name[24];
	cleanup_fd int dir = -1;

	(void)snprintf(name, sizeof(name), "o%u", s->n_overlays++);
	if (mkdirat(s->staging, name, 0700) < 0)
		return cairn_fail_sys(err, "staging area");
	dir = openat(s->staging, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fchdir(dir) < 0 || mkdir("m", 0755) < 0 || symlink("../empty", "e") < 0)
		return cairn_fail_sys(err, "staging area");
	for (size_t i = 0; i < o->n_lowers; i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		if (symlink(o->lowers[i], name) < 0)
			return cairn_fail_sys(err, "staging area");
	}
	if ((o->upper && symlink(o->upper, "u") < 0) || (o->work && symlink(o->work, "w") < 0) ||
	    (o->stubs && symlink(o->stubs, "s") < 0))
		return cairn_fail_sys(err, "staging area");
	*ret_dir = steal_fd(&dir);
	return 0;
}

enum overlay_part {
	OVERLAY_BELOW, /* the lowers alone, read-only */
	OVERLAY_ALL,   /* with stubs when there are some, and with the upper */
};

/* Mount an overlay on "m" of its directory, which is the working directory.
 *
 * Every option whose default a kernel configuration or module parameter can change is
 * given: redirects would leave directories empty, metacopies files full of zeros.
 * nofollow rather than off: off follows redirects found in layers where the module
 * says redirect_always_follow. */
static int mount_overlay(const struct sandbox_overlay *o, unsigned flags, enum overlay_part part,
                         bool stubs, struct cairn_err *err)
{
	bool upper = part == OVERLAY_ALL && o->upper;
	cleanup_strbuf struct strbuf b;

	strbuf_init(&b, 4095);
	strbuf_cstr(&b, stubs ? "lowerdir=s" : "lowerdir=");
	for (size_t i = 0; i < o->n_lowers; i++)
		strbuf_printf(&b, "%s%zu", i > 0 || stubs ? ":" : "", i);
	/* An overlay that cannot be written needs two lowers, any other one. */
	if ((!upper && o->n_lowers + stubs < 2) || o->n_lowers + stubs == 0)
		strbuf_cstr(&b, o->n_lowers + stubs > 0 ? ":e" : "e");
	strbuf_cstr(&b, ",redirect_dir=nofollow,metacopy=off,index=off,nfs_export=off");
	if (upper)
		strbuf_cstr(&b, ",upperdir=u,workdir=w");
	if (flags & SANDBOX_USERXATTR)
		strbuf_cstr(&b, ",userxattr");
	TRY(strbuf_check(&b, "the list of layers", err));
	if (upper && flags & SANDBOX_VOLATILE) {
		size_t len = b.len;

		strbuf_cstr(&b, ",volatile");
		if (!b.overflow && mount("overlay", "m", "overlay", MS_NODEV, b.ptr) == 0)
			return 0;
		b.ptr[b.len = len] = 0; /* before Linux 5.10: without */
	}
	if (mount("overlay", "m", "overlay", MS_NODEV, b.ptr) < 0)
		return cairn_fail_sys(err, "mounting an overlay of %zu layers%s", o->n_lowers,
		                      upper ? "" : ", read-only");
	return 0;
}

int setup_tree(struct setup *s, const struct sandbox_op *op, int *ret_fd, struct cairn_err *err)
{
	cleanup_fd int dir = -1;

	TRY(enter_overlay(s, &op->overlay, &dir, err));
	TRY(mount_overlay(&op->overlay, op->flags, OVERLAY_ALL, false, err));
	*ret_fd = open("m", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? cairn_fail_sys(err, "opening an overlay") : 0;
}

/* Look at the tree as the lowers give it, make stubs for what is missing, mount all. */
static int mount_root_overlay(struct setup *s, const struct sandbox_op *op,
                              const struct stub_want *wants, size_t n, struct cairn_err *err)
{
	const struct sandbox_overlay *o = &op->overlay;
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int dir = -1;

	TRY(enter_overlay(s, o, &dir, err));
	if (o->stubs) {
		cleanup_fd int stubs = open(o->stubs, O_PATH | O_DIRECTORY | O_CLOEXEC);
		cleanup_fd int below = -1;

		if (stubs < 0)
			return cairn_fail_sys(err, "directory for mount points '%s'", o->stubs);
		TRY(mount_overlay(o, op->flags, OVERLAY_BELOW, false, err));
		below = open("m", O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (below < 0)
			return cairn_fail_sys(err, "opening an overlay");
		TRY(stub_make(below, stubs, wants, n, s->a, &log, err));
	}
	if (o->stubs && umount2("m", MNT_DETACH) < 0)
		return cairn_fail_sys(err, "unmounting an overlay");
	TRY(mount_overlay(o, op->flags, OVERLAY_ALL, log.made.len > 0, err));
	s->root = open("m", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return s->root < 0 ? cairn_fail_sys(err, "opening the root") : 0;
}

/* Stubs go into the directory itself; the helper takes them out again by the log. */
static int mount_root_dir(struct setup *s, const struct sandbox_op *op,
                          const struct stub_want *wants, size_t n, struct cairn_err *err)
{
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int tree = open(op->src.ptr, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_strbuf struct strbuf bytes;
	char from[32];
	int r;

	strbuf_init(&bytes, STUB_LOG_MAX);
	if (tree < 0)
		return cairn_fail_sys(err, "root directory '%s'", op->src.ptr);
	r = stub_make(tree, -1, wants, n, s->a, &log, err);
	stub_log_write(&log, &bytes);
	if (r == 0)
		r = strbuf_check(&bytes, "the list of mount points", err);
	if (s->stub_log >= 0 && r == 0)
		r = fs_write_all(s->stub_log, bytes.ptr, bytes.len, "list of mount points", err);
	TRY(r);
	if (mkdirat(s->staging, "root", 0755) < 0 || fchdir(s->staging) < 0)
		return cairn_fail_sys(err, "staging area");
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", tree);
	if (mount(from, "root", NULL, MS_BIND, NULL) < 0)
		return cairn_fail_sys(err, "binding the root directory '%s'", op->src.ptr);
	s->root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (s->root < 0 || setup_remount(s->root, MS_NODEV) < 0)
		return cairn_fail_sys(err, "root directory '%s'", op->src.ptr);
	return 0;
}

int setup_root(struct setup *s, const struct sandbox_op *op, const struct stub_want *wants,
               size_t n, struct cairn_err *err)
{
	if (op->kind == SANDBOX_ROOT_OVERLAY)
		return mount_root_overlay(s, op, wants, n, err);
	return mount_root_dir(s, op, wants, n, err);
}

int setup_change_root(const struct setup *s, struct cairn_err *err)
{
	if (fchdir(s->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return cairn_fail_sys(err, "changing to the new root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return cairn_fail_sys(err, "leaving the old root");
	return 0;
}
