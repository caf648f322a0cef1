#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store_priv.h"
#include "util/fs.h"

/* Numbers from statfs(2) and linux/magic.h. SQLite's WAL needs memory shared by all
 * processes (https://www.sqlite.org/wal.html): no network file system gives that. 9p and
 * FUSE may be local (virtual machines, containers), so they only lose the WAL. */
static const struct {
	uint64_t magic;
	enum fs_policy policy;
	const char *name;
} fs_table[] = {
	{ 0x6969, FS_REFUSED, "nfs" },         { 0x517b, FS_REFUSED, "smb" },
	{ 0xff534d42, FS_REFUSED, "cifs" },    { 0xfe534d42, FS_REFUSED, "smb2" },
	{ 0x00c36400, FS_REFUSED, "ceph" },    { 0x0bd00bd0, FS_REFUSED, "lustre" },
	{ 0x47504653, FS_REFUSED, "gpfs" },    { 0x5346414f, FS_REFUSED, "afs" },
	{ 0x7461636f, FS_REFUSED, "ocfs2" },   { 0x01161970, FS_REFUSED, "gfs2" },
	{ 0x01021997, FS_ROLLBACK, "9p" },     { 0x65735546, FS_ROLLBACK, "fuse" },
	{ 0x786f4256, FS_ROLLBACK, "vboxsf" },
};

enum fs_policy store_fs_policy(uint64_t magic, const char **ret_name)
{
	for (size_t i = 0; i < ARRAY_SIZE(fs_table); i++) {
		if (fs_table[i].magic == magic) {
			*ret_name = fs_table[i].name;
			return fs_table[i].policy;
		}
	}
	*ret_name = "";
	return FS_LOCAL;
}

int store_clean_dir(int dirfd, const char *name, mode_t mode, struct cairn_err *err)
{
	static const char *const acls[] = { "system.posix_acl_access", "system.posix_acl_default" };
	cleanup_fd int fd = -1;
	struct stat st;

	TRY(fs_open_dir(dirfd, name, &fd, err));
	if (fstat(fd, &st) < 0)
		return cairn_fail_sys(err, "stat '%s'", name);
	for (size_t i = 0; i < ARRAY_SIZE(acls); i++) {
		if (fremovexattr(fd, acls[i]) < 0 && errno != ENODATA && errno != ENOTSUP)
			return cairn_fail_sys(err, "remove the access list of '%s'", name);
	}
	if (st.st_gid != getegid() && fchown(fd, (uid_t)-1, getegid()) < 0)
		return cairn_fail_sys(err, "change the group of '%s'", name);
	if (fchmod(fd, mode) < 0)
		return cairn_fail_sys(err, "change the mode of '%s'", name);
	return 0;
}

int store_fail_io(const struct store *s, struct cairn_err *err, const char *doing)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return cairn_fail_sys(
			err,
			"%s: the disk of the store '%s' is full; free space on it, or "
			"point CAIRN_HOME to another disk",
			doing, s->path);
	if (errno == EROFS || errno == EACCES || errno == EPERM) {
		int sys = errno;
		int r = cairn_fail(err, CAIRN_E_DENIED, "%s: cannot write to the store '%s': %s",
		                   doing, s->path, strerror(sys));

		err->sys = sys;
		return r;
	}
	return cairn_fail_sys(err, "%s in the store '%s'", doing, s->path);
}

int store_need_write(const struct store *s, struct cairn_err *err)
{
	if (!s->read_only)
		return 0;
	return cairn_fail(err, CAIRN_E_DENIED,
	                  "the store '%s' is read-only here and this needs to write to it; make it "
	                  "writable or point CAIRN_HOME to another directory",
	                  s->path);
}
