#include <sys/stat.h>

#include "engine/sandbox_exe.h"
#include "harness.h"
#include "util/fs.h"

/* The copy has the program's bytes and takes no others, by whatever descriptor. */
void test_exe__copy_cannot_be_changed(void **state)
{
	cleanup_fd int fd = -1;
	cleanup_fd int again = -1;
	struct cairn_err err;
	char path[32], bytes[16];
	size_t n;

	(void)state;
	harness_write("program", S("#!/bin/true\n"));
	cleanup_free char *program = xasprintf("%s/program", harness_dir());

	assert_ok(sandbox_exe_open(program, harness_dir(), &fd, &err));
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_ok(fs_read_full(fd, bytes, sizeof(bytes), &n, "copy", &err));
	assert_int_equal(n, 12);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(again < 0 || write(again, "x", 1) < 0);
	assert_true(again < 0 || ftruncate(again, 0) < 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

void test_exe__missing_program_is_an_error(void **state)
{
	struct cairn_err err;
	int fd;

	(void)state;
	assert_fails(sandbox_exe_open("/no/such/program", harness_dir(), &fd, &err),
	             CAIRN_E_SYSTEM);
	assert_non_null(strstr(err.msg, "/no/such/program"));
}
