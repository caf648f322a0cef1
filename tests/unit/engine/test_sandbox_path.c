#include "engine/sandbox_path.h"
#include "harness.h"
#include "util/fs.h"

static void link_to(const char *target, const char *path)
{
	assert_int_equal(symlinkat(target, harness_dirfd(), path), 0);
}

/* A tree "t" with links of all kinds, beside a file that nothing in it may reach. */
static void make_tree(void)
{
	harness_write("outside", S("secret"));
	harness_write("t/etc/passwd", S(""));
	harness_write("t/run/lock/file", S(""));
	link_to("/etc", "t/abs");
	link_to("../../../../etc", "t/up");
	link_to("passwd", "t/etc/link");
	link_to("/run/missing/dir/file", "t/etc/dangling");
	link_to("loop", "t/loop");
	link_to("..", "t/run/parent");
	link_to("/", "t/root");
	link_to("../outside", "t/escape");
	link_to("/proc/self/root", "t/magic");
}

void test_path__table(void **state)
{
	static const struct {
		const char *path, *real, *rest;
	} cases[] = {
		{ "/", "/", "" },
		{ "", "/", "" },
		{ "/etc/passwd", "/etc/passwd", "" },
		{ "etc//./passwd/", "/etc/passwd", "" },
		{ "/abs/passwd", "/etc/passwd", "" },
		{ "/up/link", "/etc/passwd", "" },
		{ "/../../etc", "/etc", "" },
		{ "/run/parent/run/parent/etc", "/etc", "" },
		{ "/root/root/etc/../run/lock", "/run/lock", "" },
		{ "/etc/dangling", "/run", "missing/dir/file" },
		{ "/new/a//b/./c", "/", "new/a/b/c" },
		{ "/run/lock/x", "/run/lock", "x" },
		{ "/escape", "/", "outside" },
		{ "/../outside", "/", "outside" },
		{ "/magic/etc", "/", "proc/self/root/etc" },
	};
	cleanup_fd int fd = -1;
	struct cairn_err err;

	(void)state;
	make_tree();
	assert_ok(fs_open_dir(harness_dirfd(), "t", &fd, &err));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sandbox_path p;

		assert_ok(sandbox_path_find(fd, cases[i].path, &p, &err));
		close(p.fd);
		assert_string_equal(p.real, cases[i].real);
		assert_string_equal(p.rest, cases[i].rest);
	}
}

void test_path__errors(void **state)
{
	static const struct {
		const char *path, *says;
	} cases[] = {
		{ "/loop", "too many symbolic links" },
		{ "/etc/passwd/x", "is a file" },
		{ "/new/../etc", "'..' below a directory that does not exist" },
	};
	cleanup_fd int fd = -1;
	struct cairn_err err;
	char deep[PATH_MAX];
	struct sandbox_path p;
	int out;

	(void)state;
	make_tree();
	assert_ok(fs_open_dir(harness_dirfd(), "t", &fd, &err));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_fails(sandbox_path_find(fd, cases[i].path, &p, &err), CAIRN_E_SYNTAX);
		assert_non_null(strstr(err.msg, cases[i].says));
	}
	memset(deep, 'a', sizeof(deep));
	deep[0] = '/';
	deep[NAME_MAX + 2] = 0;
	assert_fails(sandbox_path_find(fd, deep, &p, &err), CAIRN_E_SYNTAX);
	assert_fails(sandbox_path_open(fd, "/etc/none", "source", &out, &err), CAIRN_E_NOT_FOUND);
	assert_string_equal(err.msg, "source '/etc/none' does not exist ('none' is missing)");
}
