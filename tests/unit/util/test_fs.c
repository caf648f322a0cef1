#include "harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

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

/* Which paths open below a root full of traps; the number of wrong answers. */
static int wrong_beneath(void)
{
	static const struct {
		const char *path;
		bool opens;
	} cases[] = {
		{ "d/e/f", true },        { "d/./e/f", true },    { "", true },
		{ "absent", false },      { "d/link", false },    { "updir/f", false },
		{ "out/passwd", false },  { "../passwd", false }, { "d/../../passwd", false },
		{ "/etc/passwd", false }, { "d/e/f/g", false },
	};
	int wrong = 0, root = openat(harness_dirfd(), "root", O_PATH | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = fs_open_beneath(root, cases[i].path, O_RDONLY);

		if ((fd >= 0) != cases[i].opens) {
			print_message("'%s' %s\n", cases[i].path, fd >= 0 ? "opens" : "fails");
			wrong++;
		}
		fs_close_p_(&fd);
	}
	close(root);
	return wrong;
}

/* openat2 does not exist for this process any more. */
static bool forbid_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) == 0;
}

void test_fs__open_beneath(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	harness_write("passwd", S("secret"));
	harness_write("root/d/e/f", S("f"));
	assert_int_equal(symlinkat("e/f", harness_dirfd(), "root/d/link"), 0);
	assert_int_equal(symlinkat("d/e", harness_dirfd(), "root/updir"), 0);
	assert_int_equal(symlinkat("..", harness_dirfd(), "root/out"), 0);
	assert_int_equal(wrong_beneath(), 0);
	pid = fork();
	if (pid == 0)
		_exit(forbid_openat2() ? wrong_beneath() : 100);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}
