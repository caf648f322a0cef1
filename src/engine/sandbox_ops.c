/* The operations of a sandbox, carried out in the right order. */
#include <sys/mount.h>

#include "sandbox_path.h"
#include "sandbox_setup.h"
#include "util/fs.h"

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
			.dir = op->kind == SANDBOX_BIND ? setup_is_dir(source_of(s, op))
			                                : op->kind != SANDBOX_FILE,
		};
	}
	return wants;
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
		return setup_bind_recursive(s, source_of(s, op), op->dest.ptr, read_only, err);
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
	return setup_bind_recursive(s, fd, op->dest.ptr, read_only, err);
}

static int do_mask(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	cleanup_fd int null = -1;
	struct sandbox_path p;
	bool there, dir;

	TRY(sandbox_path_find(s->root, op->dest.ptr, &p, err));
	there = !p.rest[0];
	dir = setup_is_dir(p.fd);
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
	r = setup_bind_recursive(s, p.fd, op->dest.ptr, true, err);
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

static int mount_trees(struct setup *s, struct cairn_err *err)
{
	const struct sandbox_spec *spec = &s->job->spec;
	unsigned n = 0;

	s->trees = arena_array(s->a, int, spec->ops.len + 1);
	for (size_t i = 0; i < spec->ops.len; i++)
		if (spec->ops.ptr[i].kind == SANDBOX_TREE)
			TRY(setup_tree(s, &spec->ops.ptr[i], &s->trees[++n], err));
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
	struct stub_want *wants;
	size_t n = 0;

	TRY(setup_staging(s, err));
	TRY(mount_trees(s, err));
	TRY(open_sources(s, err));
	wants = list_wants(s, ops, &n);
	for (size_t i = 0; i < spec->ops.len; i++)
		if (ops[i]->kind == SANDBOX_ROOT_OVERLAY || ops[i]->kind == SANDBOX_ROOT_DIR)
			TRY(setup_root(s, ops[i], wants, n, err));
	for (size_t i = 0; i < spec->ops.len; i++) {
		const struct sandbox_op *op = ops[i];

		if ((!is_mount(op->kind) || is_wanted(s, op)) && do_op(s, op, err) < 0)
			return cairn_wrap(err, "mount at '%s'", op->dest.ptr);
	}
	return setup_change_root(s, err);
}
