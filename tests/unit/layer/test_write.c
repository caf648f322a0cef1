#include "layer_help.h"

#include <sys/mount.h>
#include <sys/xattr.h>

#include "util/pool.h"

/* Write a plan that is consumed. */
static void do_write(struct layer_plan *plan, const struct tree *below,
                     const struct layer_write_opts *opts, struct layer_result *ret)
{
	struct cairn_err err;

	assert_ok(layer_write(plan, below, opts, ret, &err));
	layer_plan_free(plan);
}

/* DECISIONS.md 7, 2: each line is a plan over the tree below and the layer it must give. */
void test_write__canonical_form(void **state)
{
	const struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct tree *below = T_PUSH(NULL, T_DIR("a"), T_DIR("a/sub"), T_FILE("a/sub/deep", "d"),
	                            T_FILE("a/x", "one"), T_FILE("a/y", "two"), T_FILE("b", "b"),
	                            T_LINK("lib", "a"));
	static const struct {
		const char *what;
		const char *add[4]; /* "d:path", "D:path" opaque, "f:path=content", "w:path" */
		const char *want;
	} cases[] = {
		{ "nothing", { 0 }, "" },
		{ "unchanged file is dropped", { "f:b=b" }, "" },
		{ "unchanged copy-ups are dropped", { "d:a", "f:a/x=one", "f:a/y=two" }, "" },
		{ "same size, other content", { "f:a/x=eno" }, "d:a f:a/x" },
		{ "directory only for its mtime", { "d:a/sub" }, "" },
		{ "ancestors from below", { "f:a/sub/new=1" }, "d:a d:a/sub f:a/sub/new" },
		{ "ancestors that are missing", { "f:p/q/r=1" }, "d:p d:p/q f:p/q/r" },
		{ "whiteout of what is there", { "w:a/x" }, "d:a w:a/x" },
		{ "whiteout of nothing", { "w:a/nothing", "w:q" }, "" },
		{ "opaque becomes whiteouts", { "D:a" }, "d:a w:a/sub w:a/x w:a/y" },
		{ "opaque keeps what is new or the same",
		  { "D:a", "f:a/x=one", "f:a/new=1" },
		  "d:a f:a/new w:a/sub w:a/y" },
		{ "opaque reaches into new directories",
		  { "D:a", "d:a/sub" },
		  "d:a d:a/sub w:a/sub/deep w:a/x w:a/y" },
		{ "opaque over nothing", { "D:z" }, "d:z" },
		{ "directory becomes a file", { "f:a=1" }, "f:a" },
		{ "the last of one path wins", { "f:n=1", "w:n", "f:n=2" }, "f:n" },
		{ "sorted, directories first", { "f:z-=1", "f:z/a=1", "d:z" }, "d:z f:z/a f:z-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_plan *plan = layer_plan_new();
		struct layer_result r = { 0 };
		char *list;

		for (size_t k = 0; k < 4 && cases[i].add[k]; k++) {
			str path, content = { 0 };
			char *p;

			(void)str_cut(str_of(cases[i].add[k] + 2), '=', &path, &content);
			p = str_dup(path);
			switch (cases[i].add[k][0]) {
			case 'f':
				t_file(plan, p, content.ptr);
				break;
			case 'w':
				layer_plan_remove(plan, path);
				break;
			default:
				t_dir(plan, p, cases[i].add[k][0] == 'D');
			}
			free(p);
		}
		do_write(plan, below, &opts, &r);
		list = t_list(r.index);
		if (strcmp(list, cases[i].want) != 0)
			fail_msg("%s: '%s', not '%s'", cases[i].what, list, cases[i].want);
		free(list);
		layer_result_done(&r);
	}
	tree_unref(below);
}

void test_write__parent_is_no_directory(void **state)
{
	static const char *const paths[] = { "lib/x", "file/x" };
	const struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct tree *below = T_PUSH(NULL, T_FILE("file", "1"), T_LINK("lib", "usr/lib"));

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct layer_plan *plan = layer_plan_new();
		struct layer_result r;
		struct cairn_err err;

		t_file(plan, paths[i], "1");
		assert_fails(layer_write(plan, below, &opts, &r, &err), CAIRN_E_UNSUPPORTED);
		layer_plan_free(plan);
	}
	tree_unref(below);
}

/* The metadata of an implicit ancestor is the lower one's (DECISIONS.md 2). */
void test_write__ancestors_keep_lower_metadata(void **state)
{
	const struct layer_write_opts opts = { .out_dirfd = -1, .parent_mtime = 5500000000 };
	struct layer_entry tmp = T_DIR("tmp");
	struct layer_plan *plan = layer_plan_new();
	struct layer_result r = { 0 };
	const struct layer_entry *e;
	struct tree *below;

	(void)state;
	tmp.mode = 01777;
	tmp.mtime = 3000000000;
	below = T_PUSH(NULL, tmp);
	t_file(plan, "tmp/new/x", "1");
	do_write(plan, below, &opts, &r);
	e = layer_index_find(r.index, S("tmp"));
	assert_int_equal(e->mode, 01777);
	assert_int_equal(e->mtime, 3000000000);
	e = layer_index_find(r.index, S("tmp/new"));
	assert_int_equal(e->mode, 0755);
	assert_int_equal(e->uid, 0);
	assert_int_equal(e->mtime, 5000000000);
	layer_result_done(&r);
	tree_unref(below);
}

/* DECISIONS.md 7: the first path of a group is the file, whatever the order of the plan. */
void test_write__hard_links(void **state)
{
	const struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	const struct layer_source src = { .kind = LAYER_SOURCE_BYTES, .bytes = S("12") };
	struct layer_entry e = T_FILE("z", "12");
	struct tree *below = T_PUSH(NULL, T_FILE("m", "12"));
	struct layer_plan *plan = layer_plan_new();
	struct layer_result r = { 0 };
	struct tree *above;

	(void)state;
	layer_plan_add(plan, &e, &src, 7);
	e.path = S("b");
	layer_plan_add(plan, &e, &src, 7);
	e.path = S("m"); /* equal below, but now a name of the group */
	layer_plan_add(plan, &e, &src, 7);
	e.path = S("alone");
	layer_plan_add(plan, &e, &src, 8);
	do_write(plan, below, &opts, &r);
	assert_list(r.index, "f:alone f:b h:m>b h:z>b");
	assert_int_equal(layer_index_find(r.index, S("z"))->size, 2);
	assert_int_equal(r.content_size, 4);

	/* The same group again is no change. */
	above = tree_push(below, r.index);
	layer_result_done(&r);
	plan = layer_plan_new();
	for (size_t i = 0; i < 3; i++) {
		e.path = str_n(&"zbm"[i], 1);
		layer_plan_add(plan, &e, &src, 1);
	}
	do_write(plan, above, &opts, &r);
	assert_list(r.index, "");
	layer_result_done(&r);
	tree_unref(below);
	tree_unref(above);
}

/* DECISIONS.md 4: what is written is what the key says, or nothing. */
void test_write__content_must_be_what_the_key_says(void **state)
{
	const struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_entry e = T_FILE("f", "123");
	struct layer_source src = { .kind = LAYER_SOURCE_FILE,
		                    .dirfd = harness_dirfd(),
		                    .path = S("f"),
		                    .expected = digest_of("123", 3) };
	static const struct {
		const char *content;
		int result;
		const char *says;
	} cases[] = {
		{ "123", 0, "" },
		{ "124", CAIRN_E_DIGEST, "the file for '/f' changed while the build ran" },
		{ "12", CAIRN_E_DIGEST, "'/f' changed while it was read" },
		{ "1234", CAIRN_E_DIGEST, "'/f' changed while it was read" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_plan *plan = layer_plan_new();
		struct layer_result r = { 0 };
		struct cairn_err err = { 0 };
		int result;

		harness_write("f", str_of(cases[i].content));
		layer_plan_add(plan, &e, &src, 0);
		result = layer_write(plan, below, &opts, &r, &err);
		if (result != cases[i].result || !strstr(err.msg, cases[i].says))
			fail_msg("'%s' gave %d: %s", cases[i].content, result, err.msg);
		layer_result_done(&r);
		layer_plan_free(plan);
	}
	tree_unref(below);
}

/* Everything at once: the directory, the tar, and the tar once more from the directory
 * (DECISIONS.md 27), with one and with four threads. */
static struct layer_plan *full_plan(const char *big)
{
	struct layer_plan *p = layer_plan_new();
	const struct layer_entry link = { .path = S("deep/link"),
		                          .type = LAYER_SYMLINK,
		                          .target = S("../etc/passwd"),
		                          .mtime = 1500000000 };
	const struct layer_entry fifo = { .path = S("fifo"), .type = LAYER_FIFO, .mode = 0600 };
	struct layer_entry e = { .path = S("big"),
		                 .type = LAYER_FILE,
		                 .mode = 04755,
		                 .size = strlen(big),
		                 .mtime = 1700000000123456789 };
	struct layer_source src = { .kind = LAYER_SOURCE_BYTES, .bytes = str_of(big) };

	layer_plan_add(p, &e, &src, 3);
	e.path = S("big2");
	layer_plan_add(p, &e, &src, 3);
	layer_plan_add(p, &link, NULL, 0);
	layer_plan_add(p, &fifo, NULL, 0);
	t_file(p, "etc/passwd", "root:x:0:0");
	t_file(p, "etc/group", "");
	for (size_t n = 30000; n < 70000; n += 5000) { /* around the writer's buffers */
		char path[32], *text = xcalloc(1, n + 1);

		(void)snprintf(path, sizeof(path), "sizes/%zu", n);
		memset(text, (int)('a' + n % 26), n);
		t_file(p, path, text);
		free(text);
	}
	for (int i = 0; i < 300; i++) {
		char path[300];

		(void)snprintf(path, sizeof(path), "many/%0*d/f%d", i < 290 ? 3 : i - 100, i, i);
		t_file(p, path, path);
	}
	for (size_t i = 0; i < p->items.len; i++) { /* so that this runs as anybody */
		p->items.ptr[i].entry.uid = getuid();
		p->items.ptr[i].entry.gid = getgid();
	}
	return p;
}

static void unpack_again(str tar, const struct layer_index *want)
{
	struct t_memory m = { tar, 0 };
	struct layer_reader in = { t_memory_read, &m };
	struct layer_unpack_opts opts = LAYER_UNPACK_OPTS_INIT;
	struct tree *empty = tree_new();
	struct layer_result r = { 0 };
	struct cairn_err err;
	struct digest d1, d2 = layer_index_content_digest(want);

	assert_ok(layer_unpack(&in, empty, &opts, &r, &err));
	d1 = layer_index_content_digest(r.index);
	assert_true(digest_eq(&d1, &d2));
	layer_result_done(&r);
	tree_unref(empty);
}

void test_write__directory_and_tar_round_trip(void **state)
{
	const size_t size = 9 * 1024 * 1024 + 77; /* more than two rounds */
	char *big = xmalloc(size + 1);
	struct tree *below = tree_new();
	struct digest first = { { 0 } };

	(void)state;
	for (size_t i = 0; i < size; i++)
		big[i] = (char)('a' + i * 7919 / 1000 % 26);
	big[size] = '\0';
	for (unsigned threads = 0; threads <= 4; threads += 2) {
		struct pool *pool = threads ? pool_new(threads) : NULL;
		struct strbuf tar, again;
		struct layer_sink sink = { t_collect, &tar }, sink2 = { t_collect, &again };
		const char *dir = threads == 0 ? "out0" : threads == 2 ? "out2" : "out4";
		struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
		struct layer_tar_opts topts = LAYER_TAR_OPTS_INIT;
		struct layer_plan *plan = full_plan(big);
		struct layer_result r = { 0 };
		struct digest diff_id, d;
		struct cairn_err err;
		uint64_t n = 0;
		struct stat st;
		char buf[64];

		strbuf_init(&tar, 64u << 20);
		strbuf_init(&again, 64u << 20);
		opts.out_dirfd = t_open_dir(dir);
		opts.tar = &sink;
		opts.pool = topts.pool = pool;
		topts.sink = &sink2;
		/* Missing parents would be root's. */
		for (size_t i = plan->items.len; i-- > 0;) {
			struct layer_entry e = T_DIR("");

			e.path = layer_path_parent(plan->items.ptr[i].entry.path);
			e.uid = getuid();
			e.gid = getgid();
			if (e.path.len)
				layer_plan_add(plan, &e, NULL, 0);
			e.path = layer_path_parent(e.path);
			if (e.path.len)
				layer_plan_add(plan, &e, NULL, 0);
		}
		do_write(plan, below, &opts, &r);
		d = digest_of(tar.ptr, tar.len);
		assert_true(digest_eq(&d, &r.diff_id));
		assert_int_equal(tar.len, r.tar_size);
		if (threads == 0)
			first = r.diff_id;
		assert_true(digest_eq(&first, &r.diff_id));
		assert_str(r.index->inlined[LAYER_INLINE_PASSWD], "root:x:0:0");
		assert_non_null(r.index->inlined[LAYER_INLINE_GROUP].ptr);

		/* an independent reader sees the same layer */
		unpack_again(strbuf_view(&tar), r.index);
		/* tar_offset leads to the content */
		for (size_t i = 0; i < r.index->n_entries; i++) {
			const struct layer_entry *it = &r.index->entries[i];

			if (it->type != LAYER_FILE && it->type != LAYER_HARDLINK)
				continue;
			d = digest_of(tar.ptr + it->tar_offset, it->size);
			assert_true(digest_eq(&d, &it->digest));
		}
		/* the directory */
		assert_int_equal(fstatat(opts.out_dirfd, "big2", &st, 0), 0);
		assert_int_equal(st.st_nlink, 2);
		assert_int_equal(st.st_mode & 07777, 04755);
		assert_int_equal(st.st_mtim.tv_sec, 1700000000);
		assert_int_equal(st.st_mtim.tv_nsec, 0);
		assert_int_equal(readlinkat(opts.out_dirfd, "deep/link", buf, sizeof(buf)), 13);
		/* the tar from the directory */
		assert_ok(layer_tar(r.index, opts.out_dirfd, &topts, &diff_id, &n, &err));
		assert_true(digest_eq(&diff_id, &r.diff_id));
		assert_true(str_eq(strbuf_view(&tar), strbuf_view(&again)));
		/* a damaged store is noticed */
		topts.sink = NULL;
		assert_int_equal(fchmodat(opts.out_dirfd, "big", 0600, 0), 0);
		{
			int fd = openat(opts.out_dirfd, "big", O_WRONLY | O_CLOEXEC);

			assert_int_equal(pwrite(fd, "!", 1, 5000000), 1);
			close(fd);
		}
		assert_fails(layer_tar(r.index, opts.out_dirfd, &topts, &diff_id, &n, &err),
		             CAIRN_E_DIGEST);
		layer_result_done(&r);
		close(opts.out_dirfd);
		strbuf_done(&tar);
		strbuf_done(&again);
		pool_free(pool);
	}
	free(big);
	tree_unref(below);
}

void test_write__clamped_tar(void **state)
{
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct tree *below = tree_new();
	struct layer_plan *plan = layer_plan_new();
	struct layer_entry e = T_DIR("d");
	struct layer_result r = { 0 };
	struct strbuf tar;
	struct layer_sink sink = { t_collect, &tar };
	const struct layer_tar_opts clamp = { .sink = &sink, .clamp_mtime = 1000000000000000000 };
	struct cairn_err err;
	struct digest d;

	(void)state;
	strbuf_init(&tar, 65536);
	e.mtime = 1700000000000000000;
	layer_plan_add(plan, &e, NULL, 0);
	do_write(plan, below, &opts, &r);
	assert_ok(layer_tar(r.index, -1, &clamp, &d, NULL, &err));
	assert_memory_equal(tar.ptr + 136, "07346545000", 12); /* 1e9 in octal, with its NUL */
	layer_result_done(&r);
	strbuf_done(&tar);
	tree_unref(below);
}

void test_write__refused(void **state)
{
	const struct layer_write_opts opts = { .out_dirfd = -1, .max_id = 65535 };
	struct tree *below = tree_new();
	struct layer_plan *plan = layer_plan_new();
	struct layer_entry e = T_DIR("d");
	struct layer_result r;
	struct cairn_err err;

	(void)state;
	e.uid = 70000;
	layer_plan_add(plan, &e, NULL, 0);
	assert_fails(layer_write(plan, below, &opts, &r, &err), CAIRN_E_DENIED);
	layer_plan_free(plan);
	plan = layer_plan_new();
	t_file(plan, "d/.wh.x", "");
	assert_fails(layer_write(plan, below, &opts, &r, &err), CAIRN_E_UNSUPPORTED);
	layer_plan_free(plan);
	tree_unref(below);
}

/* DECISIONS.md 11: capabilities made in a user namespace come as version 3. */
void test_write__capabilities_become_version_2(void **state)
{
	const struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	const struct layer_xattr v3 = { S("security.capability"),
		                        S("\1\0\0\3\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xa0\x86\1\0") };
	struct tree *below = tree_new();
	struct layer_plan *plan = layer_plan_new();
	struct layer_entry e = T_DIR("d");
	struct layer_result r = { 0 };
	str caps;

	(void)state;
	e.xattrs = &v3;
	e.n_xattrs = 1;
	layer_plan_add(plan, &e, NULL, 0);
	do_write(plan, below, &opts, &r);
	caps = layer_entry_xattr(&r.index->entries[0], S("security.capability"));
	assert_true(str_eq(caps, S("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0")));
	layer_result_done(&r);
	tree_unref(below);
}

static int full_sink(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	size_t *left = ctx;

	(void)p;
	if (n > *left) {
		errno = ENOSPC;
		return cairn_fail_sys(err, "write 'blob'");
	}
	*left -= n;
	return 0;
}

/* A sink that fails at any point ends the work with its error. */
void test_write__sink_fails(void **state)
{
	struct tree *below = tree_new();

	(void)state;
	for (size_t room = 0; room < 9u << 20; room += 1500000) {
		char *big = xcalloc(1, (9u << 20) + 1);
		struct pool *pool = pool_new(2);
		size_t left = room;
		struct layer_sink sink = { full_sink, &left };
		struct layer_write_opts opts = { .out_dirfd = -1, .tar = &sink, .pool = pool };
		struct layer_plan *plan;
		struct layer_result r;
		struct cairn_err err;

		memset(big, 'x', 9u << 20);
		plan = full_plan(big);
		assert_fails(layer_write(plan, below, &opts, &r, &err), CAIRN_E_SYSTEM);
		assert_int_equal(err.sys, ENOSPC);
		layer_plan_free(plan);
		pool_free(pool);
		free(big);
	}
	tree_unref(below);
}

void test_write__disk_full(void **state)
{
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct layer_plan *plan;
	struct layer_result r;
	struct tree *below;
	struct cairn_err err;
	char dir[100], *big;

	(void)state;
	close(t_open_dir("small"));
	(void)snprintf(dir, sizeof(dir), "%s/small", harness_dir());
	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m") < 0) {
		print_message("skipped: no tmpfs here: %s\n", strerror(errno));
		skip();
	}
	below = tree_new();
	plan = layer_plan_new();
	big = xcalloc(1, (3u << 20) + 1);
	memset(big, 'x', 3u << 20);
	t_file(plan, "usr/big", big);
	opts.out_dirfd = t_open_dir("small");
	assert_fails(layer_write(plan, below, &opts, &r, &err), CAIRN_E_SYSTEM);
	assert_int_equal(err.sys, ENOSPC);
	assert_string_equal(err.msg, "write 'usr/big': No space left on device");
	close(opts.out_dirfd);
	assert_int_equal(umount(dir), 0);
	layer_plan_free(plan);
	tree_unref(below);
	free(big);
}
