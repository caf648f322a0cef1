#include <sys/mount.h>
#include <sys/sysmacros.h>

#include "sandbox_path.h"
#include "sandbox_setup.h"
#include "util/fs.h"

#define SHM_DEFAULT (64u << 20) /* as Docker */

/* The device files of a step, as in Docker. */
static const struct {
	const char *name;
	unsigned major, minor;
} nodes[] = {
	{ "null", 1, 3 },   { "zero", 1, 5 },    { "full", 1, 7 },
	{ "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 },
};

static const struct {
	const char *name, *target;
} links[] = {
	{ "fd", "/proc/self/fd" },       { "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" }, { "stderr", "/proc/self/fd/2" },
	{ "core", "/proc/kcore" },       { "ptmx", "pts/ptmx" },
};

/* Open a device file of our own in staging, so that a chmod inside does not change the host's.
 * Where device files cannot be made (user namespace): the host's, which nobody inside may
 * change. */
static int open_node(const struct setup *s, const char *name, dev_t dev, int *ret_fd,
                     struct cairn_err *err)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "n-%s", name);
	if (mknodat(s->staging, path, S_IFCHR | 0666, dev) == 0 || errno == EEXIST) {
		fd = openat(s->staging, path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	} else {
		(void)snprintf(path, sizeof(path), "/dev/%s", name);
		fd = open(path, O_PATH | O_CLOEXEC);
	}
	if (fd < 0)
		return cairn_fail_sys(err, "device /dev/%s", name);
	*ret_fd = fd;
	return 0;
}

int setup_null(const struct setup *s, int *ret_fd, struct cairn_err *err)
{
	return open_node(s, "null", makedev(1, 3), ret_fd, err);
}

/* Each node is bound on its own: the rest of /dev does not honour device nodes, so that a step
 * cannot make itself one of the host's disk there. */
static int bind_nodes(const struct setup *s, const char *dev, struct cairn_err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		cleanup_fd int fd = -1;
		char dest[PATH_MAX];

		TRY(open_node(s, nodes[i].name, makedev(nodes[i].major, nodes[i].minor), &fd, err));
		if (snprintf(dest, sizeof(dest), "%s/%s", dev, nodes[i].name) >= (int)sizeof(dest))
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': path is too long", dev);
		TRY(setup_bind(s, fd, dest, false, true, err));
	}
	return 0;
}

/* A file system at a name in /dev. The first of two options that the kernel takes: group tty
 * (5) exists not in every user namespace. */
static int mount_in(const struct setup *s, const char *dev, const char *name, const char *type,
                    const char *data, const char *fallback, struct cairn_err *err)
{
	unsigned long flags = MS_NOSUID | MS_NOEXEC | (strcmp(type, "devpts") ? MS_NODEV : 0);
	char dest[PATH_MAX];
	int r;

	if (snprintf(dest, sizeof(dest), "%s/%s", dev, name) >= (int)sizeof(dest))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s': path is too long", dev);
	r = setup_fs(s, type, dest, flags, data, NULL, err);
	if (r < 0 && fallback)
		r = setup_fs(s, type, dest, flags, fallback, NULL, err);
	return r;
}

int setup_dev(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err)
{
	const char *dev = op->dest.ptr;
	cleanup_fd int fd = -1;
	char shm[64];
	int r;

	TRY(setup_fs(s, "tmpfs", dev, MS_NOSUID | MS_NODEV | MS_STRICTATIME, "mode=0755,size=64m",
	             &fd, err));
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlinkat(links[i].target, fd, links[i].name) < 0)
			return cairn_fail_sys(err, "'%s/%s'", dev, links[i].name);
	TRY(bind_nodes(s, dev, err));
	TRY(mount_in(s, dev, "pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5",
	             "newinstance,ptmxmode=0666,mode=0620", err));
	(void)snprintf(shm, sizeof(shm), "mode=1777,size=%llu",
	               (unsigned long long)(op->size ? op->size : SHM_DEFAULT));
	TRY(mount_in(s, dev, "shm", "tmpfs", shm, NULL, err));
	/* A kernel may be built without message queues. */
	r = mount_in(s, dev, "mqueue", "mqueue", NULL, NULL, err);
	return r < 0 && err->sys != ENODEV ? r : 0;
}
