#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/fs.h"

/* The one test that runs; cmocka runs them one after the other. */
static struct {
	char dir[64];
	int dirfd;
	int n_fds;
} now;

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	if (!d)
		return -1;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

int harness_setup(void **state)
{
	(void)state;
	(void)snprintf(now.dir, sizeof(now.dir), "/tmp/cairn-unit-XXXXXX");
	if (!mkdtemp(now.dir))
		return -1;
	now.dirfd = open(now.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	now.n_fds = count_fds();
	return now.dirfd < 0 ? -1 : 0;
}

int harness_teardown(void **state)
{
	struct cairn_err err;
	int n_fds = count_fds(), r = 0;

	(void)state;
	if (n_fds != now.n_fds) {
		(void)fprintf(stderr, "test leaks %d descriptors\n", n_fds - now.n_fds);
		r = -1;
	}
	if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD) {
		(void)fprintf(stderr, "test leaves a child process\n");
		r = -1;
	}
	close(now.dirfd);
	if (fs_remove_tree(AT_FDCWD, now.dir, &err) < 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	return r;
}

const char *harness_dir(void)
{
	return now.dir;
}

int harness_dirfd(void)
{
	return now.dirfd;
}

void harness_write(const char *path, str bytes)
{
	struct cairn_err err;
	const char *slash = strrchr(path, '/');

	if (slash) {
		char *parent = str_dup(str_n(path, (size_t)(slash - path)));

		assert_ok(fs_mkdir_p(now.dirfd, parent, 0755, &err));
		free(parent);
	}
	assert_ok(fs_write_file(now.dirfd, path, bytes, 0644, &err));
}

int64_t harness_cpu_ns(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int main(void)
{
	return _cmocka_run_group_tests("unit", harness_tests, harness_n_tests, NULL, NULL);
}
