#include "harness.h"

#include <sys/stat.h>

#include "util/fs.h"

void test_fs__write_read_replace(void **state)
{
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 100);
	assert_ok(fs_write_file(harness_dirfd(), "f", S("one"), 0644, &err));
	assert_ok(fs_write_file(harness_dirfd(), "f", S("two"), 0644, &err));
	assert_ok(fs_read_file(harness_dirfd(), "f", &b, &err));
	assert_str(strbuf_view(&b), "two");
	assert_fails(fs_read_file(harness_dirfd(), "absent", &b, &err), CAIRN_E_NOT_FOUND);
	strbuf_done(&b);
}

void test_fs__remove_tree_does_not_follow_links(void **state)
{
	struct cairn_err err;
	struct stat st;

	(void)state;
	harness_write("keep/file", S("x"));
	harness_write("gone/a/b/file", S("x"));
	assert_int_equal(symlinkat("../keep", harness_dirfd(), "gone/link"), 0);
	assert_int_equal(fchmodat(harness_dirfd(), "gone/a", 0, 0), 0);
	assert_ok(fs_remove_tree(harness_dirfd(), "gone", &err));
	assert_int_equal(fstatat(harness_dirfd(), "gone", &st, 0), -1);
	assert_int_equal(fstatat(harness_dirfd(), "keep/file", &st, 0), 0);
	assert_ok(fs_remove_tree(harness_dirfd(), "gone", &err));
}

void test_fs__mkdir_p(void **state)
{
	struct cairn_err err;

	(void)state;
	assert_ok(fs_mkdir_p(harness_dirfd(), "a/b/c", 0755, &err));
	assert_ok(fs_mkdir_p(harness_dirfd(), "a/b/c", 0755, &err));
	harness_write("file", S(""));
	assert_fails(fs_mkdir_p(harness_dirfd(), "file/x", 0755, &err), CAIRN_E_SYSTEM);
}
