#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "sandbox_path.h"
#include "sandbox_setup.h"
#include "util/fs.h"

int setup_mount_fd(int fd, const char *source, const char *type, unsigned long flags,
                   const char *data)
{
	char target[32];

	(void)snprintf(target, sizeof(target), "/proc/self/fd/%d", fd);
	return mount(source, target, type, flags, data);
}

/* mount(2)'s form of what statvfs says, so that a remount keeps what is locked. */
static unsigned long kept_flags(int fd)
{
	static const struct {
		unsigned long st, ms;
	} map[] = {
		{ ST_RDONLY, MS_RDONLY },     { ST_NOSUID, MS_NOSUID },
		{ ST_NODEV, MS_NODEV },       { ST_NOEXEC, MS_NOEXEC },
		{ ST_NOATIME, MS_NOATIME },   { ST_NODIRATIME, MS_NODIRATIME },
		{ ST_RELATIME, MS_RELATIME },
	};
	struct statvfs sv;
	unsigned long flags = 0;

	if (fstatvfs(fd, &sv) < 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(map); i++)
		flags |= sv.f_flag & map[i].st ? map[i].ms : 0;
	return flags;
}

static int remount(int fd, unsigned long add)
{
	return setup_mount_fd(fd, NULL, NULL, MS_REMOUNT | MS_BIND | kept_flags(fd) | add, NULL);
}

/* Open what is to be mounted on, making it when it lies in another mount of the sandbox
 * (what lies in the root itself has a stub). */
static int open_target(const struct setup *s, const char *dest, bool dir, int *ret_fd,
                       struct cairn_err *err)
{
	struct sandbox_path p;
	int r;

	TRY(sandbox_path_find(s->root, dest, &p, err));
	if (!p.rest[0]) {
		*ret_fd = p.fd;
		return 0;
	}
	r = stub_make_rest(p.fd, p.rest, dir, err);
	close(p.fd);
	TRY(r);
	return sandbox_path_open(s->root, dest, "mount point", ret_fd, err);
}

static bool is_dir(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

int setup_bind(const struct setup *s, int source, const char *dest, bool read_only, bool devices,
               struct cairn_err *err)
{
	cleanup_fd int target = -1;
	cleanup_fd int mounted = -1;
	char from[32];

	TRY(open_target(s, dest, is_dir(source), &target, err));
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	if (setup_mount_fd(target, from, NULL, MS_BIND, NULL) < 0)
		return cairn_fail_sys(err, "binding to '%s'", dest);
	TRY(sandbox_path_open(s->root, dest, "mount point", &mounted, err));
	if (remount(mounted, (devices ? MS_NOSUID : MS_NODEV) | (read_only ? MS_RDONLY : 0)) < 0)
		return cairn_fail_sys(err, "binding to '%s' %s", dest,
		                      read_only ? "read-only" : "without devices");
	return 0;
}

/* Undo the \ooo of mountinfo, in place. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = 0;
}

/* Remount everything mounted at or below `path`, one by one. */
static int remount_below(const char *path, unsigned long add, struct cairn_err *err)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0, len = strlen(path);
	int r = 0;

	if (!f)
		return cairn_fail_sys(err, "reading the mount table");
	while (r == 0 && getline(&line, &cap, f) > 0) {
		str rest = str_of(line), field = { 0 };

		for (int i = 0; i < 5; i++)
			(void)str_next(&rest, ' ', &field);
		cleanup_free char *at = str_dup(field);

		unescape(at);
		if (strncmp(at, path, len) != 0 || (at[len] && at[len] != '/'))
			continue;
		cleanup_fd int fd = open(at, O_PATH | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 && remount(fd, add) < 0)
			r = cairn_fail_sys(err, "remounting '%s'", at);
	}
	free(line);
	(void)fclose(f);
	return r;
}

/* Set flags on a mount and all below it: in one call, or one by one before Linux 5.12. */
static int set_recursive(int fd, unsigned long ms, uint64_t attr, struct cairn_err *err)
{
	struct mount_attr ma = { .attr_set = attr };
	char proc[32], path[PATH_MAX];
	ssize_t n;

	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &ma, sizeof(ma)) == 0)
		return 0;
	if (errno != ENOSYS)
		return cairn_fail_sys(err, "changing a tree of mounts");
	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	n = readlink(proc, path, sizeof(path) - 1);
	if (n <= 0)
		return cairn_fail_sys(err, "mount point");
	path[n] = 0;
	return remount_below(path, ms, err);
}

static int bind_recursive(const struct setup *s, int source, const char *dest, bool read_only,
                          struct cairn_err *err)
{
	cleanup_fd int target = -1;
	cleanup_fd int mounted = -1;
	char from[32];

	TRY(open_target(s, dest, is_dir(source), &target, err));
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", source);
	if (setup_mount_fd(target, from, NULL, MS_BIND | MS_REC, NULL) < 0)
		return cairn_fail_sys(err, "binding to '%s'", dest);
	TRY(sandbox_path_open(s->root, dest, "mount point", &mounted, err));
	return set_recursive(mounted, MS_NODEV | (read_only ? MS_RDONLY : 0),
	                     MOUNT_ATTR_NODEV | (read_only ? MOUNT_ATTR_RDONLY : 0), err);
}

int setup_fs(const struct setup *s, const char *type, const char *dest, unsigned long flags,
             const char *data, int *ret_fd, struct cairn_err *err)
{
	cleanup_fd int target = -1;

	TRY(open_target(s, dest, true, &target, err));
	if (setup_mount_fd(target, type, type, flags, data) < 0)
		return cairn_fail_sys(err, "mounting %s on '%s'", type, dest);
	return ret_fd ? sandbox_path_open(s->root, dest, "mount point", ret_fd, err) : 0;
}

/* Our tmpfs on the scratch directory; the host does not see it. */
static int make_staging(struct setup *s, struct cairn_err *err)
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

static int mount_tree(struct setup *s, const struct sandbox_op *op, int *ret_fd,
                      struct cairn_err *err)
{
	cleanup_fd int dir = -1;

	TRY(enter_overlay(s, &op->overlay, &dir, err));
	TRY(mount_overlay(&op->overlay, op->flags, OVERLAY_ALL, false, err));
	*ret_fd = open("m", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? cairn_fail_sys(err, "opening an overlay") : 0;
}

static bool is_mount(enum sandbox_op_kind kind)
{
	return kind >= SANDBOX_BIND && kind <= SANDBOX_FILE;
}

/* Open what an operation binds, before anything hides it: inside a tree or directory only. */
static int open_source(const struct setup *s, const struct sandbox_op *op, int *ret_fd,
                       struct cairn_err *err)
{
	cleanup_fd int base = -1;
	int r;

	if (op->tree == 0) {
		base = open(op->src.ptr, O_PATH | O_CLOEXEC);
		if (base < 0 && errno == ENOENT && op->flags & SANDBOX_OPTIONAL)
			return 0;
		if (base < 0 && errno == ENOENT)
			return cairn_fail(err, CAIRN_E_NOT_FOUND, "source '%s' does not exist",
			                  op->src.ptr);
		if (base < 0)
			return cairn_fail_sys(err, "source '%s'", op->src.ptr);
		if (op->sub.len == 0) {
			*ret_fd = steal_fd(&base);
			return 0;
		}
	}
	r = sandbox_path_open(op->tree ? s->trees[op->tree] : base, op->sub.ptr, "source", ret_fd,
	                      err);
	if (r == CAIRN_E_NOT_FOUND && op->flags & SANDBOX_OPTIONAL)
		return 0;
	return r;
}

/* Mounts first by depth, then as they were given; what changes mounted paths comes last. */
static unsigned rank_of(const struct sandbox_op *op)
{
	str rest = op->dest, name;
	unsigned depth = 0;

	if (!is_mount(op->kind))
		return UINT32_MAX;
	while (str_next(&rest, '/', &name))
		depth += name.len > 0 && !str_is(name, ".");
	return depth;
}

static const struct sandbox_op **sorted_ops(const struct setup *s)
{
	const struct sandbox_spec *spec = &s->job->spec;
	const struct sandbox_op **ops =
		arena_array(s->a, const struct sandbox_op *, spec->ops.len + 1);

	for (size_t i = 0; i < spec->ops.len; i++) {
		size_t at = i;

		for (; at > 0 && rank_of(ops[at - 1]) > rank_of(&spec->ops.ptr[i]); at--)
			ops[at] = ops[at - 1];
		ops[at] = &spec->ops.ptr[i];
	}
	return ops;
}

static int source_of(const struct setup *s, const struct sandbox_op *op)
{
	return s->sources[op - s->job->spec.ops.ptr];
}

/* Is op carried out at all: not when it binds something optional that is not there. */
static bool is_wanted(const struct setup *s, const struct sandbox_op *op)
{
	return is_mount(op->kind) && (op->kind != SANDBOX_BIND || source_of(s, op) >= 0);
}

/* The mount points, in the order of mounting. */
static struct stub_want *list_wants(const struct setup *s, const struct sandbox_op **ops,
                                    size_t *ret_n)
{
	size_t n = s->job->spec.ops.len;
	struct stub_want *wants = arena_array(s->a, struct stub_want, n + 1);

	*ret_n = 0;
	for (size_t i = 0; i < n; i++) {
		const struct sandbox_op *op = ops[i];

		if (!is_wanted(s, op))
			continue;
		wants[(*ret_n)++] = (struct stub_want){
			.dest = op->dest.ptr,
			.dir = op->kind == SANDBOX_BIND ? is_dir(source_of(s, op))
			                                : op->kind != SANDBOX_FILE,
		};
	}
	return wants;
}

/* Look at the tree as the lowers give it, make stubs for what is missing, mount all. */
static int mount_root_overlay(struct setup *s, const struct sandbox_op *op,
                              const struct sandbox_op **ops, struct cairn_err *err)
{
	const struct sandbox_overlay *o = &op->overlay;
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int dir = -1;
	size_t n;
	struct stub_want *wants = list_wants(s, ops, &n);

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
                          const struct sandbox_op **ops, struct cairn_err *err)
{
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int tree = open(op->src.ptr, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cleanup_strbuf struct strbuf bytes;
	char from[32];
	size_t n;
	struct stub_want *wants = list_wants(s, ops, &n);
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
	if (s->root < 0 || remount(s->root, MS_NODEV) < 0)
		return cairn_fail_sys(err, "root directory '%s'", op->src.ptr);
	return 0;
}

/* A file of our own, in staging. */
static int make_file(const struct setup *s, const struct sandbox_op *op, int *ret_fd,
                     struct cairn_err *err)
{
	cleanup_fd int fd = -1;
	char name[24];

	(void)snprintf(name, sizeof(name), "f%td", op - s->job->spec.ops.ptr);
	fd = openat(s->staging, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return cairn_fail_sys(err, "staging area");
	TRY(fs_write_all(fd, op->bytes.ptr, op->bytes.len, op->dest.ptr, err));
	if (fchown(fd, op->uid, op->gid) < 0 || fchmod(fd, op->mode & 07777) < 0)
		return cairn_fail_sys(err, "owner %u:%u of '%s'", op->uid, op->gid, op->dest.ptr);
	*ret_fd = steal_fd(&fd);
	return 0;
}

static int do_file(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	cleanup_fd int fd = -1;

	TRY(make_file(s, op, &fd, err));
	return setup_bind(s, fd, op->dest.ptr, op->flags & SANDBOX_READ_ONLY, false, err);
}

static int do_bind(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	bool read_only = op->flags & SANDBOX_READ_ONLY;

	if (op->flags & SANDBOX_RECURSIVE)
		return bind_recursive(s, source_of(s, op), op->dest.ptr, read_only, err);
	return setup_bind(s, source_of(s, op), op->dest.ptr, read_only, false, err);
}

static int do_tmpfs(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	char data[128];
	int n = snprintf(data, sizeof(data), "mode=%o,uid=%u,gid=%u", op->mode & 07777, op->uid,
	                 op->gid);

	if (op->size > 0)
		(void)snprintf(data + n, sizeof(data) - (size_t)n, ",size=%llu",
		               (unsigned long long)op->size);
	return setup_fs(s, "tmpfs", op->dest.ptr, MS_NOSUID | MS_NODEV, data, NULL, err);
}

/* A file system that shows the kernel. In a user namespace whose host view is masked (or, for
 * sysfs, with the host's network) the kernel refuses a new one: then the host's, as it is. */
static int do_kernel_fs(const struct setup *s, const struct sandbox_op *op, const char *type,
                        const char *host, bool read_only, struct cairn_err *err)
{
	unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (read_only ? MS_RDONLY : 0);
	int r = setup_fs(s, type, op->dest.ptr, flags, NULL, NULL, err);

	if (r == 0 || err->sys != EPERM)
		return r;
	cleanup_fd int fd = open(host, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return r;
	return bind_recursive(s, fd, op->dest.ptr, read_only, err);
}

static int do_mask(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	cleanup_fd int null = -1;
	struct sandbox_path p;
	bool there, dir;

	TRY(sandbox_path_find(s->root, op->dest.ptr, &p, err));
	there = !p.rest[0];
	dir = is_dir(p.fd);
	close(p.fd);
	if (!there)
		return 0;
	if (dir)
		return setup_fs(s, "tmpfs", op->dest.ptr,
		                MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "mode=0755,size=4k",
		                NULL, err);
	TRY(setup_null(s, &null, err));
	return setup_bind(s, null, op->dest.ptr, true, true, err);
}

static int do_rdonly(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	struct sandbox_path p;
	int r;

	TRY(sandbox_path_find(s->root, op->dest.ptr, &p, err));
	if (p.rest[0]) {
		close(p.fd);
		return 0;
	}
	r = bind_recursive(s, p.fd, op->dest.ptr, true, err);
	close(p.fd);
	return r;
}

/* Carry one operation out.
 *
 * Why each is safe, though it runs with all rights over a tree that may be hostile:
 *   - Every path inside is resolved by sandbox_path_find(), which cannot leave the root or
 *     tree it starts from, and mounted on through the descriptor that came out. Nothing of
 *     the sandbox's user runs yet; other steps that share a cache mount can at
 *     worst make an operation fail or land elsewhere in this sandbox.
 *   - Host paths (src, layers) are cairn's own, never a user's; the part a user chooses
 *     (sub) is resolved inside them.
 *   - BIND, FILE: get nodev, and read-only when asked, before the command exists.
 *   - TMPFS, PROC, SYS, DEV: new file systems with nosuid, nodev, noexec where their use
 *     allows; /proc shows this pid namespace only; /sys is read-only.
 *   - MASK, RDONLY: only take away. A path that is not there has nothing to hide.
 *   - ROOT, TREE: mounted before, below staging; the upper belongs to this step alone.
 *   - All of it happens in a mount namespace of its own whose mounts are private: the host
 *     sees none of it, and all of it ends with the last process. */
static int do_op(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	switch (op->kind) {
	case SANDBOX_ROOT_OVERLAY:
	case SANDBOX_ROOT_DIR:
	case SANDBOX_TREE:
		return 0;
	case SANDBOX_BIND:
		return do_bind(s, op, err);
	case SANDBOX_TMPFS:
		return do_tmpfs(s, op, err);
	case SANDBOX_PROC:
		return do_kernel_fs(s, op, "proc", "/proc", false, err);
	case SANDBOX_SYS:
		return do_kernel_fs(s, op, "sysfs", "/sys", true, err);
	case SANDBOX_DEV:
		return setup_dev(s, op, err);
	case SANDBOX_FILE:
		return do_file(s, op, err);
	case SANDBOX_MASK:
		return do_mask(s, op, err);
	case SANDBOX_RDONLY:
		return do_rdonly(s, op, err);
	case SANDBOX_OP_N_:
		break;
	}
	return cairn_fail(err, CAIRN_E_BUG, "sandbox operation %d", (int)op->kind);
}

/* Change to the new root and let go of the old one. */
static int change_root(const struct setup *s, struct cairn_err *err)
{
	if (fchdir(s->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return cairn_fail_sys(err, "changing to the new root");
	if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return cairn_fail_sys(err, "leaving the old root");
	return 0;
}

static int mount_trees(struct setup *s, struct cairn_err *err)
{
	const struct sandbox_spec *spec = &s->job->spec;
	unsigned n = 0;

	s->trees = arena_array(s->a, int, spec->ops.len + 1);
	for (size_t i = 0; i < spec->ops.len; i++)
		if (spec->ops.ptr[i].kind == SANDBOX_TREE)
			TRY(mount_tree(s, &spec->ops.ptr[i], &s->trees[++n], err));
	return 0;
}

static int open_sources(struct setup *s, struct cairn_err *err)
{
	const struct sandbox_spec *spec = &s->job->spec;

	s->sources = arena_array(s->a, int, spec->ops.len + 1);
	for (size_t i = 0; i < spec->ops.len; i++) {
		const struct sandbox_op *op = &spec->ops.ptr[i];

		s->sources[i] = -1;
		if (op->kind == SANDBOX_BIND && open_source(s, op, &s->sources[i], err) < 0)
			return cairn_wrap(err, "mount at '%s'", op->dest.ptr);
	}
	return 0;
}

int setup_mounts(struct setup *s, struct cairn_err *err)
{
	const struct sandbox_spec *spec = &s->job->spec;
	const struct sandbox_op **ops = sorted_ops(s);

	TRY(make_staging(s, err));
	TRY(mount_trees(s, err));
	TRY(open_sources(s, err));
	for (size_t i = 0; i < spec->ops.len; i++) {
		if (ops[i]->kind == SANDBOX_ROOT_OVERLAY)
			TRY(mount_root_overlay(s, ops[i], ops, err));
		else if (ops[i]->kind == SANDBOX_ROOT_DIR)
			TRY(mount_root_dir(s, ops[i], ops, err));
	}
	for (size_t i = 0; i < spec->ops.len; i++) {
		const struct sandbox_op *op = ops[i];

		if ((!is_mount(op->kind) || is_wanted(s, op)) && do_op(s, op, err) < 0)
			return cairn_wrap(err, "mount at '%s'", op->dest.ptr);
	}
	return change_root(s, err);
}
