#include "harness.h"

#include "util/dir.h"
#include "util/fs.h"
#include "util/map.h"

#define MANY 1500 /* more than one read of the kernel holds */

/* Every name once, those of one dot and two left out, those that begin with dots not. */
void test_dir__all_names_once(void **state)
{
	struct map seen cleanup_map = { 0 };
	struct dir_reader r;
	struct dir_name n;
	char name[64];
	int fd, got;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(name, sizeof(name), "d/a-name-of-some-length-%d", i);
		harness_write(name, S(""));
	}
	harness_write("d/.a", S(""));
	harness_write("d/..b", S(""));
	harness_write("d/sub/file", S(""));
	fd = openat(harness_dirfd(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	dir_begin(&r, fd);
	while ((got = dir_next(&r, &n)) > 0) {
		assert_int_equal(n.name.len, strlen(n.name.ptr));
		assert_null(map_put(&seen, n.name, &seen));
		if (n.type != DT_UNKNOWN)
			assert_int_equal(n.type, str_is(n.name, "sub") ? DT_DIR : DT_REG);
	}
	assert_int_equal(got, 0);
	assert_int_equal(seen.len, MANY + 3);
	close(fd);
}

void test_dir__no_directory(void **state)
{
	struct dir_reader r;
	struct dir_name n;
	int fd;

	(void)state;
	harness_write("f", S("x"));
	fd = openat(harness_dirfd(), "f", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	dir_begin(&r, fd);
	assert_int_equal(dir_next(&r, &n), -1);
	assert_int_equal(errno, ENOTDIR);
	close(fd);
}
