/* util/fs.h - files, relative to directory descriptors.
 *
 * Nothing here changes the working directory or the umask.  All descriptors
 * are opened with O_CLOEXEC.
 */
#ifndef CAIRN_UTIL_FS_H
#define CAIRN_UTIL_FS_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"
#include "util/strbuf.h"

static inline void fs_close_p_(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	errno = saved;
}
/* For an int variable: closed at the end of its scope when >= 0. */
#define cleanup_fd __attribute__((cleanup(fs_close_p_)))

/* Hand a descriptor over: returns *fd and sets it to -1. */
static inline int steal_fd(int *fd)
{
	int v = *fd;

	*fd = -1;
	return v;
}

/* Write all n bytes, through short writes and EINTR. path is for the message. */
int fs_write_all(int fd, const void *p, size_t n, const char *path, struct cairn_err *err);

/* Read up to n bytes; *ret_n < n only at the end of the file. */
int fs_read_full(int fd, void *p, size_t n, size_t *ret_n, const char *path, struct cairn_err *err);

/* The whole file, at most buf's maximum. A missing file is CAIRN_E_NOT_FOUND. */
int fs_read_file(int dirfd, const char *path, struct strbuf *buf, struct cairn_err *err);

/* Replace path by these bytes: temporary name beside it, write, rename. A reader
 * sees the old or the new file. Not synced: survives kill -9, not a power cut. */
int fs_write_file(int dirfd, const char *path, str bytes, mode_t mode, struct cairn_err *err);

/* Open a directory (O_DIRECTORY | O_PATH-free). A missing one is CAIRN_E_NOT_FOUND. */
int fs_open_dir(int dirfd, const char *path, int *ret_fd, struct cairn_err *err);

/* Open a relative path below dirfd without following any symbolic link in it, and without
 * leaving dirfd: swapping a directory for a link meanwhile gives an error, not another file.
 * Returns the descriptor, or -1 with errno. flags may not create. "" is dirfd itself. */
int fs_open_beneath(int dirfd, const char *path, int flags);

/* Create path and its missing parents with mode; an existing directory is fine. */
int fs_mkdir_p(int dirfd, const char *path, mode_t mode, struct cairn_err *err);

/* Remove a file or a whole tree; a missing one is fine. Never follows symbolic
 * links, never leaves the file system it started on, and makes directories
 * writable to itself where needed. */
int fs_remove_tree(int dirfd, const char *path, struct cairn_err *err);

/* "PREFIX" followed by 16 random characters of [a-z0-9]; owned. */
char *fs_random_name(const char *prefix);

#endif
