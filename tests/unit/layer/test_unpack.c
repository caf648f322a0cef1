#include "tar_help.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "layer/outdir.h"
#include "util/fs.h"
#include "util/pool.h"

#define MEMBERS 6

/* The lower layers of all cases: a usr-merged base. */
static struct tree *base(void)
{
	struct layer_entry root = T_DIR("root"), tmp = T_DIR("tmp");

	root.mode = 0700;
	tmp.mode = 01777;
	return T_PUSH(NULL, T_DIR("d"), T_FILE("d/low", "low"), T_DIR("d/sub"),
	              T_FILE("d/sub/deep", "x"), T_FILE("file", "f"), T_LINK("lib", "usr/lib"),
	              T_LINK("loop", "loop"), T_LINK("out", "../../../etc"), root, tmp,
	              T_DIR("usr"), T_DIR("usr/lib"), T_FILE("usr/lib/libc", "c"));
}

static void make_tar(struct strbuf *b, const char *const *members)
{
	strbuf_init(b, 16u << 20);
	for (size_t i = 0; i < MEMBERS && members[i]; i++)
		t_member(b, members[i]);
	t_end(b);
}

static int open_lower(void *ctx, const struct tree_node *node, int *ret_fd, struct cairn_err *err)
{
	(void)ctx;
	(void)node;
	harness_write("lower-file", S("low"));
	*ret_fd = openat(harness_dirfd(), "lower-file", O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? cairn_fail_sys(err, "open") : 0;
}

/* What is understood. Every case runs without and with a directory, and gives one index. */
void test_unpack__good(void **state)
{
	static const struct {
		const char *what;
		const char *members[MEMBERS];
		const char *want;
		bool dependent; /* on the lower layers */
	} cases[] = {
		{ "plain",
		  { "d:a/", "f:a/x=1", "l:a/l>x", "p:a/p" },
		  "d:a l:a/l>x p:a/p f:a/x",
		  false },
		{ "absolute name", { "d:/a", "f:///a/x=1" }, "d:a f:a/x", false },
		{ "dots inside", { "d:./a", "f:./a/../a/./x=1" }, "d:a f:a/x", false },
		{ "root entry", { "d:./", "f:./x=1" }, "d: f:x", false },
		{ "parent is a lower symlink",
		  { "f:lib/foo=1" },
		  "d:usr d:usr/lib f:usr/lib/foo",
		  true },
		{ "parent is a symlink that leads out",
		  { "f:out/passwd=1" },
		  "d:etc f:etc/passwd",
		  true },
		{ "parent is a symlink of this layer",
		  { "d:p", "l:s>/p", "f:s/x=1" },
		  "d:p f:p/x l:s>/p",
		  false },
		{ "missing parents", { "f:n/m/x=1" }, "d:n d:n/m f:n/m/x", true },
		{ "lower parent", { "f:tmp/x=1" }, "d:tmp f:tmp/x", true },
		{ "directory over a lower symlink",
		  { "d:lib", "f:lib/x=1" },
		  "d:lib f:lib/x",
		  false },
		{ "same file twice", { "f:x=1", "f:x=22" }, "f:x", false },
		{ "file over directory", { "d:x", "f:x/y=1", "f:x=2" }, "f:x", false },
		{ "directory over file", { "f:x=1", "d:x", "f:x/y=2" }, "d:x f:x/y", false },
		{ "directory twice keeps children",
		  { "d:x", "f:x/y=1", "d:x" },
		  "d:x f:x/y",
		  false },
		{ "directory again after a file",
		  { "d:x", "f:x/y=1", "f:x=2", "d:x", "f:x/z=3", "f:x/y=4" },
		  "d:x f:x/y f:x/z",
		  false },
		{ "hard link", { "f:z=1", "h:a>z", "h:b>/z" }, "f:a h:b>a h:z>a", false },
		{ "hard link whose file is replaced",
		  { "f:a=1", "h:b>a", "f:a=2", "h:c>b" },
		  "f:a f:b h:c>b",
		  false },
		{ "hard link to a lower file", { "h:new>d/low" }, "f:new", true },
		{ "hard link to a lower file through a symlink",
		  { "h:new>lib/libc" },
		  "f:new",
		  true },
		{ "hard link to a symlink", { "l:s>q", "h:t>s" }, "l:s>q l:t>q", false },
		{ "hard link to itself", { "f:a=1", "h:a>a" }, "f:a", false },
		{ "whiteout", { "f:.wh.file=" }, "w:file", true },
		{ "whiteout below a symlink",
		  { "f:lib/.wh.libc=" },
		  "d:usr d:usr/lib w:usr/lib/libc",
		  true },
		{ "whiteout of nothing", { "f:.wh.nothing=" }, "", true },
		{ "whiteout and file", { "f:file=1", "f:.wh.file=" }, "f:file", false },
		{ "whiteout before directory",
		  { "f:.wh.d=", "d:d", "f:d/n=1" },
		  "d:d! f:d/n",
		  false },
		{ "whiteout after directory",
		  { "d:d", "f:d/n=1", "f:.wh.d=" },
		  "d:d! f:d/n",
		  false },
		{ "opaque", { "d:d", "f:d/.wh..wh..opq=", "f:d/n=1" }, "d:d! f:d/n", false },
		{ "opaque after its content",
		  { "d:d", "f:d/n=1", "f:d/.wh..wh..opq=" },
		  "d:d! f:d/n",
		  false },
		{ "whiteout in opaque",
		  { "d:d", "f:d/.wh..wh..opq=", "f:d/.wh.low=" },
		  "d:d!",
		  true },
		{ "aufs files", { "f:.wh..wh.plnk=", "f:x=1" }, "f:x", false },
		{ "whiteout then link through it",
		  { "f:.wh.lib=", "f:lib/x=1" },
		  "d:lib! f:lib/x",
		  true },
		{ "pax", { "x:path=p", "x:mtime=1.5", "f:ignored=1" }, "f:p", false },
		{ "gnu long name", { "L:long/name", "f:ignored=1" }, "d:long f:long/name", true },
	};
	struct tree *below = base();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
		struct layer_result index_only = { 0 }, disk = { 0 };
		struct cairn_err err;
		struct digest d1, d2;
		struct strbuf tar;
		char dir[16], *list;

		make_tar(&tar, cases[i].members);
		if (t_unpack(strbuf_view(&tar), below, &opts, &index_only, &err) < 0)
			fail_msg("%s: %s", cases[i].what, err.msg);
		list = t_list(index_only.index);
		if (strcmp(list, cases[i].want) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].what, list, cases[i].want);
		if (index_only.lower_dependent != cases[i].dependent)
			fail_msg("%s: lower_dependent", cases[i].what);
		d1 = digest_of(tar.ptr, tar.len);
		assert_true(digest_eq(&d1, &index_only.diff_id));
		assert_int_equal(index_only.tar_size, tar.len);
		free(list);

		if (getuid() == 0) {
			(void)snprintf(dir, sizeof(dir), "out%zu", i);
			opts.out_dirfd = t_open_dir(dir);
			opts.open_lower = open_lower;
			opts.xattr_ns = LAYER_XATTR_USER; /* also in a user namespace */
			if (t_unpack(strbuf_view(&tar), below, &opts, &disk, &err) < 0)
				fail_msg("%s: %s", cases[i].what, err.msg);
			d1 = layer_index_content_digest(index_only.index);
			d2 = layer_index_content_digest(disk.index);
			assert_true(digest_eq(&d1, &d2));
			close(opts.out_dirfd);
		}
		layer_result_done(&index_only);
		layer_result_done(&disk);
		strbuf_done(&tar);
	}
	tree_unref(below);
}

/* What is hostile, broken or not supported, and the words it is refused with. */
void test_unpack__refused(void **state)
{
	static const struct {
		const char *what;
		const char *members[MEMBERS];
		int code;
		const char *says;
	} cases[] = {
		{ "climbs out", { "f:../x=1" }, CAIRN_E_DIGEST, "climbs out of the image" },
		{ "climbs out later",
		  { "f:a/../../x=1" },
		  CAIRN_E_DIGEST,
		  "climbs out of the image" },
		{ "parent is a lower file",
		  { "f:file/x=1" },
		  CAIRN_E_DIGEST,
		  "below '/file', which is a file" },
		{ "parent is a file", { "f:q=1", "f:q/x=1" }, CAIRN_E_DIGEST, "which is a file" },
		{ "symlink loop", { "f:loop/x=1" }, CAIRN_E_DIGEST, "too many symbolic links" },
		{ "loop of this layer",
		  { "l:a>b", "l:b>a", "f:a/x=1" },
		  CAIRN_E_DIGEST,
		  "too many" },
		{ "hard link to nothing", { "h:a>nothing" }, CAIRN_E_DIGEST, "not in the image" },
		{ "hard link out", { "h:a>../../etc/passwd" }, CAIRN_E_DIGEST, "climbs out" },
		{ "hard link to a directory",
		  { "d:d2", "h:a>d2" },
		  CAIRN_E_DIGEST,
		  "is a directory" },
		{ "hard link to a lower directory",
		  { "h:a>usr" },
		  CAIRN_E_DIGEST,
		  "is a directory" },
		{ "hard link to the root", { "h:a>/" }, CAIRN_E_DIGEST, "is a directory" },
		{ "hard link to a removed file",
		  { "f:.wh.file=", "h:a>file" },
		  CAIRN_E_DIGEST,
		  "not in the image" },
		{ "hard link into what it replaces",
		  { "d:a", "f:a/b=1", "h:a>a/b" },
		  CAIRN_E_DIGEST,
		  "not in the image" },
		{ "char 0:0", { "c:dev" }, CAIRN_E_DIGEST, "character device 0:0" },
		{ "whiteout of dot dot", { "f:a/.wh...=" }, CAIRN_E_DIGEST, "impossible whiteout" },
		{ "whiteout of no name", { "f:.wh.=" }, CAIRN_E_DIGEST, "impossible whiteout" },
		{ "root as a file",
		  { "f:./=" },
		  0,
		  "" }, /* V7: a name ending in / is a directory */
		{ "root as a symlink", { "l:.>x" }, CAIRN_E_DIGEST, "'/' as a symbolic link" },
		{ "symlink to nothing", { "l:a>" }, CAIRN_E_DIGEST, "impossible target" },
		{ "sparse", { "x:GNU.sparse.major=1", "f:a=1" }, CAIRN_E_UNSUPPORTED, "sparse" },
		{ "huge size",
		  { "x:size=99999999999999999999", "f:a=1" },
		  CAIRN_E_DIGEST,
		  "size of a member" },
		{ "size beyond the end", { "x:size=5000", "f:a=1" }, CAIRN_E_DIGEST, "ends early" },
		{ "bad uid", { "x:uid=-1", "f:a=1" }, CAIRN_E_DIGEST, "uid '-1'" },
		{ "bad mtime", { "x:mtime=now", "f:a=1" }, CAIRN_E_DIGEST, "mtime 'now'" },
		{ "pax without member", { "x:path=a" }, CAIRN_E_DIGEST, "belongs to nothing" },
		{ "xattr without name",
		  { "x:SCHILY.xattr.=1", "f:a=1" },
		  CAIRN_E_DIGEST,
		  "attribute" },
	};
	struct tree *below = base();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
		struct layer_result r = { 0 };
		struct cairn_err err = { 0 };
		struct strbuf tar;
		char dir[16];
		int result;

		(void)snprintf(dir, sizeof(dir), "out%zu", i);
		for (int disk = 0; disk < 2; disk++) {
			make_tar(&tar, cases[i].members);
			opts.out_dirfd = disk ? t_open_dir(dir) : -1;
			result = t_unpack(strbuf_view(&tar), below, &opts, &r, &err);
			if (result != cases[i].code || !strstr(err.msg, cases[i].says))
				fail_msg("%s gave %d: %s", cases[i].what, result, err.msg);
			layer_result_done(&r);
			strbuf_done(&tar);
			if (disk)
				close(opts.out_dirfd);
		}
	}
	tree_unref(below);
}

void test_unpack__long_names(void **state)
{
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	char name[5000];
	struct layer_result r;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	for (int k = 0; k < 2; k++) {
		strbuf_init(&b, 1u << 20);
		memset(name, 'a', sizeof(name));
		for (size_t i = 100; k == 1 && i < sizeof(name); i += 100)
			name[i] = '/';
		t_pax(&b, "path", str_n(name, k ? 4200 : 256));
		t_member(&b, "f:x=1");
		t_end(&b);
		assert_fails(t_unpack(strbuf_view(&b), below, &opts, &r, &err), CAIRN_E_DIGEST);
		assert_non_null(strstr(err.msg, k ? "longer than" : "name of 256 bytes"));
		strbuf_done(&b);
	}
	tree_unref(below);
}

/* A tar may end at every byte. At the borders of members a missing end is accepted. */
void test_unpack__truncated(void **state)
{
	static const char *const members[MEMBERS] = { "d:a", "x:path=a/y", "f:q=12345", "l:a/l>y" };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf b;
	size_t whole = 0;

	(void)state;
	make_tar(&b, members);
	for (size_t n = 0; n < b.len; n++) {
		int result = t_unpack(str_n(b.ptr, n), below, &opts, &r, &err);

		whole += result == 0;
		if (result < 0 && !strstr(err.msg, "ends early"))
			fail_msg("%zu bytes: %s", n, err.msg);
		layer_result_done(&r);
	}
	/* 0, after d:a, after the file, after the link, and in the end mark */
	assert_in_range(whole, 5, 600);
	strbuf_done(&b);
	tree_unref(below);
}

void test_unpack__damaged_header(void **state)
{
	static const char *const members[MEMBERS] = { "f:q=12345" };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	make_tar(&b, members);
	b.ptr[0] = 'Q';
	assert_fails(t_unpack(strbuf_view(&b), below, &opts, &r, &err), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "checksum"));
	strbuf_done(&b);
	tree_unref(below);
}

/* A number field with a negative binary size, as fuzzers like it. */
void test_unpack__negative_size(void **state)
{
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r;
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 65536);
	t_header(&b,
	         &(struct t_header){ .type = '0',
	                             .name = "x",
	                             .size = "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" },
	         S(""));
	t_end(&b);
	assert_fails(t_unpack(strbuf_view(&b), below, &opts, &r, &err), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "size"));
	strbuf_done(&b);
	tree_unref(below);
}

/* DECISIONS.md 2: a base where /lib is a link, /root is 0700 and /tmp is 1777. */
void test_unpack__implicit_parents_take_lower_metadata(void **state)
{
	static const char *const members[MEMBERS] = { "f:root/x=1", "f:tmp/y=1", "f:lib/foo=1" };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = base(), *above;
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	make_tar(&b, members);
	assert_ok(t_unpack(strbuf_view(&b), below, &opts, &r, &err));
	above = tree_push(below, r.index);
	assert_int_equal(tree_find(above, S("root"))->entry->mode, 0700);
	assert_int_equal(tree_find(above, S("tmp"))->entry->mode, 01777);
	assert_int_equal(tree_find(above, S("lib"))->entry->type, LAYER_SYMLINK);
	assert_non_null(tree_find(above, S("usr/lib/foo")));
	assert_non_null(tree_find(above, S("usr/lib/libc")));
	layer_result_done(&r);
	strbuf_done(&b);
	tree_unref(above);
	tree_unref(below);
}

/* DECISIONS.md 33, 10: overlay's attributes are dropped, user.* and capabilities stay. */
void test_unpack__xattrs(void **state)
{
	static const char *const keys[] = {
		"SCHILY.xattr.trusted.overlay.redirect",
		"SCHILY.xattr.user.overlay.opaque",
		"SCHILY.xattr.security.selinux",
		"SCHILY.xattr.system.posix_acl_access",
		"SCHILY.xattr.user.note",
		"SCHILY.xattr.security.capability",
	};
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	strbuf_init(&b, 65536);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		t_pax(&b, keys[i], S("y\0z"));
	t_member(&b, "d:a");
	t_end(&b);
	assert_ok(t_unpack(strbuf_view(&b), below, &opts, &r, &err));
	assert_int_equal(r.index->entries[0].n_xattrs, 2);
	assert_str(r.index->entries[0].xattrs[0].name, "security.capability");
	assert_true(str_eq(r.index->entries[0].xattrs[1].value, S("y\0z")));
	layer_result_done(&r);
	strbuf_done(&b);
	tree_unref(below);
}

void test_unpack__owner_outside_the_map(void **state)
{
	struct layer_unpack_opts opts = { .out_dirfd = t_open_dir("out"), .max_id = 65535 };
	struct tree *below = tree_new();
	struct layer_result r;
	struct cairn_err err;
	struct strbuf b;
	struct stat st;

	(void)state;
	strbuf_init(&b, 65536);
	t_pax(&b, "uid", S("70000"));
	t_member(&b, "f:x=1");
	t_end(&b);
	assert_fails(t_unpack(strbuf_view(&b), below, &opts, &r, &err), CAIRN_E_DENIED);
	assert_non_null(strstr(err.msg, "70000"));
	assert_int_equal(fstatat(opts.out_dirfd, "x", &st, 0), -1); /* nothing was written */
	close(opts.out_dirfd);
	strbuf_done(&b);
	tree_unref(below);
}

void test_unpack__inlined_passwd_also_as_hard_link(void **state)
{
	static const char *const members[MEMBERS] = { "d:etc", "f:etc/passwd-=root",
		                                      "h:etc/passwd>etc/passwd-" };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf b;

	(void)state;
	make_tar(&b, members);
	assert_ok(t_unpack(strbuf_view(&b), below, &opts, &r, &err));
	assert_str(r.index->inlined[LAYER_INLINE_PASSWD], "root");
	layer_result_done(&r);
	strbuf_done(&b);
	tree_unref(below);
}

/* What overlayfs needs of a directory that shall be a lower one. */
void test_unpack__marks_on_disk(void **state)
{
	static const char *const members[MEMBERS] = { "d:d", "f:d/.wh..wh..opq=", "f:.wh.file=",
		                                      "f:x=new" };
	struct layer_unpack_opts opts = { .xattr_ns = LAYER_XATTR_USER };
	struct tree *below = base();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf b;
	struct stat st;
	char path[200], v = 0;

	(void)state;
	opts.out_dirfd = t_open_dir("out");
	make_tar(&b, members);
	if (mknodat(opts.out_dirfd, "probe", S_IFCHR, makedev(0, 0)) < 0) {
		close(opts.out_dirfd);
		strbuf_done(&b);
		tree_unref(below);
		print_message(
			"skipped: this user may not make whiteouts outside a user namespace\n");
		skip();
	}
	assert_int_equal(unlinkat(opts.out_dirfd, "probe", 0), 0);
	assert_ok(t_unpack(strbuf_view(&b), below, &opts, &r, &err));
	assert_int_equal(fstatat(opts.out_dirfd, "file", &st, 0), 0);
	assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0));
	(void)snprintf(path, sizeof(path), "%s/out/d", harness_dir());
	assert_int_equal(getxattr(path, "user.overlay.opaque", &v, 1), 1);
	assert_int_equal(v, 'y');
	close(opts.out_dirfd);
	layer_result_done(&r);
	strbuf_done(&b);
	tree_unref(below);
}

/* Whatever the entries say, nothing outside the directory is reached. */
void test_unpack__outdir_follows_no_link(void **state)
{
	struct cairn_err err;
	struct outdir o;
	int root = t_open_dir("root"), fd = -1;

	(void)state;
	harness_write("secret/f", S("keep"));
	assert_int_equal(symlinkat("../secret", root, "link"), 0);
	outdir_init(&o, root, LAYER_XATTR_USER);
	assert_ok(outdir_mkdir(&o, S("a"), &err));
	assert_ok(outdir_mkdir(&o, S("a/b"), &err));
	assert_ok(outdir_parent(&o, S("a/b/c"), &fd, &err));
	assert_fails(outdir_parent(&o, S("link/f"), &fd, &err), CAIRN_E_SYSTEM);
	assert_fails(outdir_mkdir(&o, S("link"), &err), CAIRN_E_SYSTEM);
	outdir_done(&o);
	close(root);
}

static int wait_for_byte(void *ctx, struct cairn_err *err)
{
	char c;

	(void)err;
	return read(*(int *)ctx, &c, 1) == 1 ? 0 : -1;
}

/* Reading ahead changes nothing, neither with threads nor when they are all busy. */
void test_unpack__with_a_pool(void **state)
{
	struct tree *below = tree_new();
	struct cairn_err err;
	struct strbuf tar;
	struct digest first;
	char *big = xcalloc(1, 1000000);
	int pipefd[2];

	(void)state;
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	strbuf_init(&tar, 64u << 20);
	for (int i = 0; i < 5; i++) {
		char name[8];

		(void)snprintf(name, sizeof(name), "f%d", i);
		big[i] = 1;
		t_header(&tar, &(struct t_header){ .type = '0', .name = name },
		         str_n(big, 1000000));
	}
	t_end(&tar);
	first = digest_of(tar.ptr, tar.len);
	for (unsigned threads = 1; threads <= 4; threads++)
		for (int busy = 0; busy < 2; busy++) {
			struct pool *pool = pool_new(threads);
			struct layer_unpack_opts opts = { .out_dirfd = -1, .pool = pool };
			struct layer_result r = { 0 };

			for (unsigned i = 0; busy && i < threads; i++)
				pool_add(pool, (struct pool_task){ .run = wait_for_byte,
				                                   .ctx = &pipefd[0] });
			assert_ok(t_unpack(strbuf_view(&tar), below, &opts, &r, &err));
			assert_true(digest_eq(&r.diff_id, &first));
			assert_int_equal(r.index->n_entries, 5);
			layer_result_done(&r);
			/* a reader that is given up in the middle */
			assert_fails(t_unpack(str_n(tar.ptr, tar.len / 2), below, &opts, &r, &err),
			             CAIRN_E_DIGEST);
			if (busy)
				assert_int_equal(write(pipefd[1], "1234", threads), threads);
			pool_free(pool);
		}
	close(pipefd[0]);
	close(pipefd[1]);
	strbuf_done(&tar);
	tree_unref(below);
	free(big);
}

/* Small and large files, names that come twice, links to what has just been read: with threads the
 * directory is as without. */
static void put_mixture(struct strbuf *tar, const char *big)
{
	char name[32], link[32];

	t_member(tar, "d:d");
	for (int i = 0; i < 300; i++) {
		size_t size = i % 29 == 7 ? 900000 : (size_t)i * 211 % 40000;

		(void)snprintf(name, sizeof(name), "d/f%d", i % 250);
		t_header(tar, &(struct t_header){ .type = '0', .name = name, .mode = 0640 },
		         str_n(big + i, size));
		if (i % 13)
			continue;
		(void)snprintf(link, sizeof(link), "d/link%d", i);
		t_header(tar, &(struct t_header){ .type = '1', .name = link, .link = name }, S(""));
	}
	t_end(tar);
}

static void only_root(void)
{
	if (geteuid() == 0)
		return;
	print_message("skipped: the files belong to root\n");
	skip();
}

static struct digest digest_in(int dirfd, const char *path, nlink_t *ret_links)
{
	int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
	static char buf[1000000];
	struct cairn_err err;
	struct stat st;
	size_t n = 0;

	assert_true(fd >= 0);
	assert_ok(fs_read_full(fd, buf, sizeof(buf), &n, path, &err));
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	*ret_links = st.st_nlink;
	close(fd);
	return digest_of(buf, n);
}

static void check_mixture(int dirfd, const struct layer_index *ix)
{
	unsigned files = 0;

	for (size_t i = 0; i < ix->n_entries; i++) {
		const struct layer_entry *e = &ix->entries[i];
		nlink_t links;
		struct digest d;

		if (e->type != LAYER_FILE)
			continue;
		d = digest_in(dirfd, e->path.ptr, &links);
		assert_true(digest_eq(&d, &e->digest));
		files++;
	}
	assert_int_equal(files, 250 + 4); /* four linked ones were replaced later */
}

void test_unpack__to_disk_with_a_pool(void **state)
{
	struct tree *below;
	struct cairn_err err;
	struct strbuf tar;
	char *big;

	(void)state;
	only_root();
	below = tree_new();
	big = xcalloc(1, 1000000);
	for (int i = 0; i < 1000000; i++)
		big[i] = (char)(i * 7 + i / 1009);
	strbuf_init(&tar, 64u << 20);
	put_mixture(&tar, big);
	for (unsigned threads = 0; threads <= 4; threads++) {
		struct pool *pool = threads ? pool_new(threads) : NULL;
		struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
		struct layer_result r = { 0 };
		char dir[8];

		(void)snprintf(dir, sizeof(dir), "u%u", threads);
		opts.out_dirfd = t_open_dir(dir);
		opts.pool = pool;
		assert_ok(t_unpack(strbuf_view(&tar), below, &opts, &r, &err));
		check_mixture(opts.out_dirfd, r.index);
		layer_result_done(&r);
		close(opts.out_dirfd);
		pool_free(pool);
	}
	strbuf_done(&tar);
	tree_unref(below);
	free(big);
}

/* What cannot be written fails, and leaves no descriptor open. */
void test_unpack__directory_that_is_full(void **state)
{
	struct tree *below;
	struct strbuf tar;
	char *big;
	const struct rlimit small = { 100000, RLIM_INFINITY };
	struct rlimit before;
	struct cairn_err err;

	(void)state;
	only_root();
	below = tree_new();
	big = xcalloc(1, 1000000);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	strbuf_init(&tar, 64u << 20);
	put_mixture(&tar, big);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	for (unsigned threads = 0; threads <= 3; threads++) {
		struct pool *pool = threads ? pool_new(threads) : NULL;
		struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
		struct layer_result r = { 0 };
		char dir[8];
		int fd, again;

		(void)snprintf(dir, sizeof(dir), "v%u", threads);
		opts.out_dirfd = t_open_dir(dir);
		opts.pool = pool;
		fd = dup(opts.out_dirfd);
		assert_fails(t_unpack(strbuf_view(&tar), below, &opts, &r, &err), CAIRN_E_SYSTEM);
		assert_non_null(strstr(err.msg, "d/f7"));
		again = dup(opts.out_dirfd);
		assert_int_equal(again, fd + 1);
		close(again);
		close(fd);
		close(opts.out_dirfd);
		pool_free(pool);
	}
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	strbuf_done(&tar);
	tree_unref(below);
	free(big);
}

/* A directory with many children that becomes a file again and again: each time must not
 * cost as much as the first. */
void test_unpack__replaced_again_and_again(void **state)
{
	enum {
		N = 20000
	};
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct strbuf tar;
	char name[16];

	(void)state;
	strbuf_init(&tar, 64u << 20);
	for (int i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "p:d/%d", i);
		t_member(&tar, name);
	}
	for (int i = 0; i < N; i++)
		t_member(&tar, i % 2 ? "d:d" : "p:d");
	t_end(&tar);
	assert_ok(t_unpack(strbuf_view(&tar), below, &opts, &r, &err));
	assert_list(r.index, "d:d");
	layer_result_done(&r);
	strbuf_done(&tar);
	tree_unref(below);
}
