#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "engine/rootfs_copy.h"
#include "harness.h"
#include "util/fs.h"

static struct stat stat_of(const char *path)
{
	struct stat st = { 0 };

	(void)fstatat(harness_dirfd(), path, &st, AT_SYMLINK_NOFOLLOW);
	return st;
}

static char *full(const char *path)
{
	return xasprintf("%s/%s", harness_dir(), path);
}

static void copy(const char *layer)
{
	cleanup_free char *from = full(layer);
	cleanup_free char *to = full("tree");
	struct cairn_err err;

	assert_ok(rootfs_copy(from, to, &err));
}

void test_copy__modes_times_links(void **state)
{
	struct timespec t[2] = { { .tv_sec = 7 }, { .tv_sec = 8, .tv_nsec = 9 } };
	struct stat one, two;

	(void)state;
	harness_write("l/d/a", S("content"));
	assert_int_equal(linkat(harness_dirfd(), "l/d/a", harness_dirfd(), "l/b", 0), 0);
	assert_int_equal(symlinkat("/nowhere", harness_dirfd(), "l/s"), 0);
	assert_int_equal(fchmodat(harness_dirfd(), "l/d/a", 04711, 0), 0);
	assert_int_equal(fchmodat(harness_dirfd(), "l/d", 01777, 0), 0);
	assert_int_equal(utimensat(harness_dirfd(), "l/d/a", t, 0), 0);
	assert_int_equal(utimensat(harness_dirfd(), "l/d", t, 0), 0);
	assert_int_equal(mkdirat(harness_dirfd(), "tree", 0700), 0);
	copy("l");
	one = stat_of("tree/d/a");
	two = stat_of("tree/b");
	assert_int_equal(one.st_mode, S_IFREG | 04711);
	assert_int_equal(one.st_mtim.tv_nsec, 9);
	assert_int_equal(one.st_ino, two.st_ino);
	assert_int_equal(one.st_nlink, 2);
	assert_int_equal(stat_of("tree/d").st_mode, S_IFDIR | 01777);
	assert_int_equal(stat_of("tree/d").st_mtime, 8);
	assert_true(S_ISLNK(stat_of("tree/s").st_mode));
	/* never the store's own file */
	assert_int_not_equal(one.st_ino, stat_of("l/b").st_ino);
	assert_int_equal(stat_of("l/b").st_nlink, 2);
}

void test_copy__whiteouts_and_opaque_directories(void **state)
{
	cleanup_free char *opaque = full("l2/o");

	(void)state;
	harness_write("l1/gone", S(""));
	harness_write("l1/d/gone/x", S(""));
	harness_write("l1/d/stays", S("1"));
	harness_write("l1/o/hidden", S(""));
	harness_write("l1/becomes_dir", S(""));
	harness_write("l1/becomes_file/x", S(""));
	harness_write("l2/d/new", S("2"));
	harness_write("l2/o/shown", S(""));
	harness_write("l2/becomes_dir/y", S(""));
	harness_write("l2/becomes_file", S(""));
	if (mknodat(harness_dirfd(), "l2/gone", S_IFCHR, makedev(0, 0)) < 0 ||
	    mknodat(harness_dirfd(), "l2/d/gone", S_IFCHR, makedev(0, 0)) < 0 ||
	    setxattr(opaque, "user.overlay.opaque", "y", 1, 0) < 0)
		skip(); /* a file system or user without whiteouts */
	assert_int_equal(mkdirat(harness_dirfd(), "tree", 0700), 0);
	copy("l1");
	copy("l2");
	assert_int_equal(stat_of("tree/gone").st_mode, 0);
	assert_int_equal(stat_of("tree/d/gone").st_mode, 0);
	assert_int_equal(stat_of("tree/d/stays").st_size, 1);
	assert_int_equal(stat_of("tree/d/new").st_size, 1);
	assert_int_equal(stat_of("tree/o/hidden").st_mode, 0);
	assert_true(S_ISREG(stat_of("tree/o/shown").st_mode));
	assert_true(S_ISREG(stat_of("tree/becomes_dir/y").st_mode));
	assert_true(S_ISREG(stat_of("tree/becomes_file").st_mode));
}

/* A link in the tree where the layer has a directory: replaced, not followed. */
void test_copy__links_are_not_followed(void **state)
{
	(void)state;
	harness_write("victim/keep", S(""));
	harness_write("l/d/evil", S(""));
	assert_int_equal(mkdirat(harness_dirfd(), "tree", 0700), 0);
	assert_int_equal(symlinkat("../victim", harness_dirfd(), "tree/d"), 0);
	copy("l");
	assert_int_equal(stat_of("victim/evil").st_mode, 0);
	assert_true(S_ISREG(stat_of("tree/d/evil").st_mode));
}
