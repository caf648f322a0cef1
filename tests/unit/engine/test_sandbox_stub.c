#include <sys/stat.h>

#include "engine/sandbox_stub.h"
#include "harness.h"
#include "util/fs.h"

static void set_time(const char *path, time_t s)
{
	struct timespec t[2] = { { .tv_sec = s }, { .tv_sec = s } };

	assert_int_equal(utimensat(harness_dirfd(), path, t, AT_SYMLINK_NOFOLLOW), 0);
}

static time_t time_of(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(harness_dirfd(), path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return st.st_mtime;
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	return fstatat(harness_dirfd(), path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void make_tree(void)
{
	harness_write("t/etc/passwd", S(""));
	harness_write("t/tmp/x", S(""));
	assert_int_equal(fchmodat(harness_dirfd(), "t/tmp", 01777, 0), 0);
	set_time("t/tmp", 1000);
	set_time("t/etc", 2000);
	set_time("t", 3000);
}

static const struct stub_want wants[] = {
	{ "/etc/passwd", false },     /* is there */
	{ "/tmp/a/b", true },         /* missing */
	{ "/tmp/a/b/inside", true },  /* in the mount before it */
	{ "/etc/resolv.conf", false } /* a missing file */
};

void test_stub__layer_looks_like_the_tree(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int tree = -1;
	cleanup_fd int out = -1;
	struct cairn_err err;

	(void)state;
	make_tree();
	assert_ok(fs_mkdir_p(harness_dirfd(), "s", 0755, &err));
	assert_ok(fs_open_dir(harness_dirfd(), "t", &tree, &err));
	assert_ok(fs_open_dir(harness_dirfd(), "s", &out, &err));
	assert_ok(stub_make(tree, out, wants, ARRAY_SIZE(wants), a, &log, &err));
	assert_int_equal(mode_of("s/tmp"), S_IFDIR | 01777);
	assert_int_equal(time_of("s/tmp"), 1000);
	assert_int_equal(time_of("s/etc"), 2000);
	assert_int_equal(mode_of("s/tmp/a"), S_IFDIR | 0755);
	assert_int_equal(mode_of("s/tmp/a/b"), S_IFDIR | 0755);
	assert_int_equal(mode_of("s/tmp/a/b/inside"), 0);
	assert_int_equal(mode_of("s/etc/resolv.conf"), S_IFREG | 0644);
	assert_int_equal(mode_of("s/etc/passwd"), 0);
	/* the tree is as it was */
	assert_int_equal(mode_of("t/tmp/a"), 0);
	assert_int_equal(time_of("t/tmp"), 1000);
}

void test_stub__tree_comes_back(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_stub_log struct stub_log back = { 0 };
	cleanup_strbuf struct strbuf bytes;
	cleanup_fd int tree = -1;
	struct cairn_err err;

	(void)state;
	make_tree();
	strbuf_init(&bytes, STUB_LOG_MAX);
	assert_ok(fs_open_dir(harness_dirfd(), "t", &tree, &err));
	assert_ok(stub_make(tree, -1, wants, ARRAY_SIZE(wants), a, &log, &err));
	assert_int_equal(mode_of("t/tmp/a/b"), S_IFDIR | 0755);
	assert_int_not_equal(time_of("t/tmp"), 1000);
	stub_log_write(&log, &bytes);
	assert_ok(stub_log_read(strbuf_view(&bytes), a, &back, &err));
	stub_undo(tree, &back);
	assert_int_equal(mode_of("t/tmp/a"), 0);
	assert_int_equal(mode_of("t/etc/resolv.conf"), 0);
	assert_int_equal(time_of("t/tmp"), 1000);
	assert_int_equal(time_of("t/etc"), 2000);
	bytes.len--;
	cleanup_stub_log struct stub_log cut = { 0 };

	assert_fails(stub_log_read(strbuf_view(&bytes), a, &cut, &err), CAIRN_E_BUG);
}

/* The step wrote beside a stub, and put a link where a directory of the log was. */
void test_stub__what_the_step_did_stays(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_stub_log struct stub_log log = { 0 };
	cleanup_fd int tree = -1;
	struct cairn_err err;

	(void)state;
	make_tree();
	harness_write("victim/resolv.conf", S(""));
	assert_ok(fs_open_dir(harness_dirfd(), "t", &tree, &err));
	assert_ok(stub_make(tree, -1, wants, ARRAY_SIZE(wants), a, &log, &err));
	harness_write("t/tmp/a/left", S("x"));
	set_time("t/tmp", 5000);
	assert_int_equal(renameat(tree, "etc", tree, "old"), 0);
	assert_int_equal(symlinkat("../victim", tree, "etc"), 0);
	stub_undo(tree, &log);
	assert_int_equal(mode_of("t/tmp/a/b"), 0);
	assert_int_equal(mode_of("t/tmp/a/left"), S_IFREG | 0644);
	assert_int_equal(time_of("t/tmp"), 5000);
	assert_int_equal(mode_of("victim/resolv.conf"), S_IFREG | 0644);
}
