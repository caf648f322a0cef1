#include "sandbox_exe.h"

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include "util/fs.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int copy(int from, int to, off_t size)
{
	off_t at = 0;

	while (at < size) {
		ssize_t n = sendfile(to, from, &at, (size_t)(size - at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
	}
	return 0;
}

/* MFD_EXEC says that the file is to be executed; kernels before 6.3 do not know it. */
static int open_memfd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("cairn-sandbox", flags | MFD_EXEC);

	return fd < 0 && errno == EINVAL ? memfd_create("cairn-sandbox", flags) : fd;
}

static int open_sealed(int from, off_t size)
{
	cleanup_fd int fd = open_memfd();

	if (fd < 0 || copy(from, fd, size) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -1;
	return steal_fd(&fd);
}

static int open_unlinked(int from, off_t size, const char *dir)
{
	cleanup_fd int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0500);
	char path[32];

	if (fd < 0 || copy(from, fd, size) < 0)
		return -1;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

int sandbox_exe_open(const char *path, const char *dir, int *ret_fd, struct cairn_err *err)
{
	cleanup_fd int from = open(path ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	int fd;

	if (from < 0 || fstat(from, &st) < 0)
		return cairn_fail_sys(err, "opening the cairn program '%s'",
		                      path ? path : "/proc/self/exe");
	fd = open_sealed(from, st.st_size);
	if (fd < 0)
		fd = open_unlinked(from, st.st_size, dir);
	if (fd < 0)
		return cairn_fail_sys(err, "copying the cairn program into memory and into '%s'",
		                      dir);
	*ret_fd = fd;
	return 0;
}
