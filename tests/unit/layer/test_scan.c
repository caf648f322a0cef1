#include "layer_help.h"

#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

/* Write what a plan says into `dir` (none: NULL); the tree with it on `below`. */
static struct tree *layer_on(struct layer_plan *plan, const struct tree *below, const char *dir,
                             struct layer_result *ret)
{
	struct layer_write_opts opts = LAYER_WRITE_OPTS_INIT;
	struct cairn_err err;

	for (size_t i = 0; dir && i < plan->items.len; i++) { /* so that anybody can run this */
		plan->items.ptr[i].entry.uid = getuid();
		plan->items.ptr[i].entry.gid = getgid();
	}
	opts.out_dirfd = dir ? t_open_dir(dir) : -1;
	assert_ok(layer_write(plan, below, &opts, ret, &err));
	layer_plan_free(plan);
	if (dir)
		close(opts.out_dirfd);
	return tree_push(below, ret->index);
}

/* The image before the step: root explicit, as its owner is the tester. */
static struct layer_plan *image(void)
{
	struct layer_plan *p = layer_plan_new();
	struct layer_entry old = T_FILE("old", "same");
	const struct layer_source src = { .kind = LAYER_SOURCE_BYTES, .bytes = S("same") };

	old.mtime = 1000000000000000000;
	t_dir(p, "", false);
	t_dir(p, "d", false);
	t_dir(p, "d/sub", false);
	t_file(p, "d/sub/deep", "deep");
	t_file(p, "d/x", "x");
	t_dir(p, "e", false);
	t_file(p, "e/y", "y");
	t_dir(p, "keep", false);
	t_file(p, "keep/k", "k");
	layer_plan_add(p, &old, &src, 0);
	t_file(p, "target", "target");
	t_file(p, "to-dir", "1");
	return p;
}

static void write_at(int dir, const char *path, const char *content)
{
	int fd = openat(dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

/* What a step does, in a merged root. */
static void step(int dir)
{
	const struct timespec then[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };
	struct cairn_err err;

	/* rm -rf d; mkdir d; something new in it */
	assert_ok(fs_remove_tree(dir, "d", &err));
	assert_int_equal(mkdirat(dir, "d", 0755), 0);
	assert_int_equal(mkdirat(dir, "d/sub", 0755), 0);
	write_at(dir, "d/new", "new");
	/* touch and rm: only the time of the directory changes */
	write_at(dir, "keep/tmp", "");
	assert_int_equal(unlinkat(dir, "keep/tmp", 0), 0);
	/* copied up, and in the end the same */
	write_at(dir, "old", "diff");
	write_at(dir, "old", "same");
	assert_int_equal(utimensat(dir, "old", then, 0), 0);
	/* directory to file and back */
	assert_ok(fs_remove_tree(dir, "e", &err));
	write_at(dir, "e", "file now");
	assert_int_equal(unlinkat(dir, "to-dir", 0), 0);
	assert_int_equal(mkdirat(dir, "to-dir", 0700), 0);
	/* a second name for an old file */
	assert_int_equal(linkat(dir, "target", dir, "another", 0), 0);
	assert_int_equal(symlinkat("target", dir, "link"), 0);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
}

#define STEP_LAYER                                                                                    \
	"f:another d:d f:d/new d:d/sub w:d/sub/deep w:d/x f:e p:fifo l:link>target h:target>another " \
	"d:to-dir"

static struct layer_plan *scan_plain(int dir, const struct layer_snapshot *before)
{
	struct layer_plan *plan = NULL;
	struct cairn_err err;

	assert_ok(layer_scan_plain(dir, before, &plan, &err));
	return plan;
}

/* DECISIONS.md 7, 12: the plain driver's layer of that step. */
static struct digest plain_layer(void)
{
	struct layer_snapshot *before = NULL;
	struct layer_result low = { 0 }, r = { 0 };
	struct tree *empty = tree_new(), *below, *above;
	struct cairn_err err;
	struct digest d;
	int dir;

	below = layer_on(image(), empty, "plain", &low);
	dir = t_open_dir("plain");
	assert_ok(layer_snapshot_take(dir, &before, &err));
	step(dir);
	above = layer_on(scan_plain(dir, before), below, NULL, &r);
	assert_list(r.index, STEP_LAYER);
	d = layer_index_content_digest(r.index);
	layer_snapshot_free(before);
	close(dir);
	layer_result_done(&low);
	layer_result_done(&r);
	tree_unref(empty);
	tree_unref(below);
	tree_unref(above);
	return d;
}

void test_scan__plain(void **state)
{
	(void)state;
	(void)plain_layer();
}

/* As root, else as in a user namespace. */
static bool mount_overlay(const char *merged, enum layer_xattr_ns *ret_ns)
{
	char opts[400];

	for (*ret_ns = LAYER_XATTR_TRUSTED; *ret_ns <= LAYER_XATTR_USER; ++*ret_ns) {
		(void)snprintf(opts, sizeof(opts),
		               "lowerdir=%s/lower,upperdir=%s/upper,workdir=%s/work,%s",
		               harness_dir(), harness_dir(), harness_dir(),
		               *ret_ns == LAYER_XATTR_USER
		                       ? "userxattr"
		                       : "redirect_dir=off,metacopy=off,index=off");
		if (mount("overlay", merged, "overlay", 0, opts) == 0)
			return true;
	}
	return false;
}

/* The same step in a real overlay gives the same layer (DECISIONS.md 7). */
void test_scan__overlay_equals_plain(void **state)
{
	struct layer_result low = { 0 }, r = { 0 };
	struct tree *empty = tree_new(), *below, *above;
	struct layer_plan *plan = NULL;
	struct digest want, d;
	struct cairn_err err;
	enum layer_xattr_ns ns;
	char merged[100];
	int dir;

	(void)state;
	below = layer_on(image(), empty, "lower", &low);
	close(t_open_dir("upper"));
	close(t_open_dir("work"));
	close(t_open_dir("merged"));
	(void)snprintf(merged, sizeof(merged), "%s/merged", harness_dir());
	if (!mount_overlay(merged, &ns)) {
		print_message("skipped: no overlayfs here: %s\n", strerror(errno));
		layer_result_done(&low);
		tree_unref(empty);
		tree_unref(below);
		skip();
	}
	dir = t_open_dir("merged");
	step(dir);
	close(dir);
	assert_int_equal(umount(merged), 0);
	dir = t_open_dir("upper");
	assert_ok(layer_scan_overlay(dir, ns, &plan, &err));
	above = layer_on(plan, below, NULL, &r);
	close(dir);
	want = plain_layer();
	assert_list(r.index, STEP_LAYER);
	d = layer_index_content_digest(r.index);
	assert_true(digest_eq(&d, &want));
	layer_result_done(&low);
	layer_result_done(&r);
	tree_unref(empty);
	tree_unref(below);
	tree_unref(above);
}

/* DECISIONS.md 12: size and mtime put back do not hide a change. */
void test_scan__plain_sees_restored_mtime(void **state)
{
	struct layer_snapshot *before = NULL;
	struct layer_result low = { 0 }, r = { 0 };
	struct tree *empty = tree_new(), *below, *above;
	struct cairn_err err;
	struct timespec times[2];
	struct stat st;
	int dir;

	(void)state;
	below = layer_on(image(), empty, "plain", &low);
	dir = t_open_dir("plain");
	assert_int_equal(fstatat(dir, "keep/k", &st, 0), 0);
	assert_ok(layer_snapshot_take(dir, &before, &err));
	write_at(dir, "keep/k", "q");
	times[0] = times[1] = st.st_mtim;
	assert_int_equal(utimensat(dir, "keep/k", times, 0), 0);
	above = layer_on(scan_plain(dir, before), below, NULL, &r);
	assert_list(r.index, "d:keep f:keep/k");
	layer_snapshot_free(before);
	close(dir);
	layer_result_done(&low);
	layer_result_done(&r);
	tree_unref(empty);
	tree_unref(below);
	tree_unref(above);
}

/* DECISIONS.md 11: a device node that could not be made was never there: no whiteout. */
void test_scan__plain_absent_nodes_are_not_removed(void **state)
{
	const struct layer_entry node = {
		.path = S("null"), .type = LAYER_CHAR, .mode = 0666, .major = 1, .minor = 3
	};
	struct layer_snapshot *before = NULL;
	struct layer_result low = { 0 }, r = { 0 };
	struct tree *empty = tree_new(), *below, *above;
	struct layer_plan *p = image();
	struct cairn_err err;
	int dir;

	(void)state;
	layer_plan_add(p, &node, NULL, 0);
	below = layer_on(p, empty, NULL, &low);
	layer_result_done(&low);
	tree_unref(layer_on(image(), empty, "plain", &low)); /* without the node */
	dir = t_open_dir("plain");
	assert_ok(layer_snapshot_take(dir, &before, &err));
	above = layer_on(scan_plain(dir, before), below, NULL, &r);
	assert_list(r.index, "");
	layer_snapshot_free(before);
	close(dir);
	layer_result_done(&low);
	layer_result_done(&r);
	tree_unref(empty);
	tree_unref(below);
	tree_unref(above);
}

static void set_xattr(const char *path, const char *name, str value)
{
	char full[200];

	(void)snprintf(full, sizeof(full), "%s/%s", harness_dir(), path);
	if (setxattr(full, name, value.ptr, value.len, 0) < 0)
		fail_msg("set %s of %s: %s", name, path, strerror(errno));
}

/* DECISIONS.md 3, 11: marks of overlayfs in an upper. ns is "user", as in a user namespace. */
void test_scan__overlay_marks(void **state)
{
	static const struct {
		const char *xattr;
		const char *value;
		int code;
		const char *want; /* the layer, or what the error says */
	} cases[] = {
		{ "user.overlay.opaque", "y", 0, "d:d f:d/f w:d/sub w:d/x" },
		{ "user.overlay.opaque", "x", 0, "d:d f:d/f" },
		{ "user.overlay.redirect", "/e", CAIRN_E_UNSUPPORTED, "carries overlay.redirect" },
		{ "user.overlay.metacopy", "", CAIRN_E_UNSUPPORTED, "carries overlay.metacopy" },
		/* a step's own, escaped by the kernel */
		{ "user.overlay.overlay.redirect", "/e", 0, "d:d f:d/f" },
		{ "user.overlay.overlay.opaque", "y", 0, "d:d f:d/f" },
		{ "user.overlay.origin", "o", 0, "d:d f:d/f" },
		{ "user.overlay.impure", "y", 0, "d:d f:d/f" },
		{ "user.note", "n", 0, "d:d f:d/f" },
	};
	struct layer_result low = { 0 };
	struct tree *empty = tree_new(), *below = layer_on(image(), empty, "lower", &low);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_plan *plan = NULL;
		struct layer_result r = { 0 };
		struct cairn_err err;
		char path[32];
		int dir, result;

		(void)snprintf(path, sizeof(path), "up%zu", i);
		dir = t_open_dir(path);
		(void)snprintf(path, sizeof(path), "up%zu/d/f", i);
		harness_write(path, S("f"));
		(void)snprintf(path, sizeof(path), "up%zu/d", i);
		set_xattr(path, cases[i].xattr, str_of(cases[i].value));
		result = layer_scan_overlay(dir, LAYER_XATTR_USER, &plan, &err);
		if (result != cases[i].code)
			fail_msg("%s gave %d", cases[i].xattr, result);
		if (result < 0) {
			assert_non_null(strstr(err.msg, cases[i].want));
			close(dir);
			continue;
		}
		tree_unref(layer_on(plan, below, NULL, &r));
		assert_list(r.index, cases[i].want);
		assert_int_equal(layer_index_find(r.index, S("d"))->n_xattrs, 0);
		layer_result_done(&r);
		close(dir);
	}
	layer_result_done(&low);
	tree_unref(empty);
	tree_unref(below);
}

/* As root the marks are trusted.*, and user.overlay.* is a file's own. */
void test_scan__overlay_other_namespace_is_ordinary(void **state)
{
	struct layer_plan *plan = NULL;
	struct cairn_err err;
	int dir = t_open_dir("up/d");

	(void)state;
	close(dir);
	set_xattr("up/d", "user.overlay.redirect", S("/e"));
	dir = t_open_dir("up");
	assert_ok(layer_scan_overlay(dir, LAYER_XATTR_TRUSTED, &plan, &err));
	layer_plan_free(plan);
	close(dir);
}

/* Whiteouts of fuse-overlayfs and of newer kernels: an empty file with an attribute. */
void test_scan__overlay_xattr_whiteout(void **state)
{
	struct layer_plan *plan = NULL;
	struct layer_result low = { 0 }, r = { 0 };
	struct tree *empty = tree_new(), *below = layer_on(image(), empty, "lower", &low);
	struct cairn_err err;
	int dir;

	(void)state;
	harness_write("up/old", S(""));
	set_xattr("up/old", "user.overlay.whiteout", S(""));
	dir = t_open_dir("up");
	assert_ok(layer_scan_overlay(dir, LAYER_XATTR_USER, &plan, &err));
	tree_unref(layer_on(plan, below, NULL, &r));
	assert_list(r.index, "w:old");
	close(dir);
	layer_result_done(&low);
	layer_result_done(&r);
	tree_unref(empty);
	tree_unref(below);
}

/* DECISIONS.md 10: the root of the upper is the image's root. */
void test_scan__root_of_the_upper(void **state)
{
	static const struct {
		mode_t mode;
		const char *want;
	} cases[] = { { 0755, "" }, { 0700, "d:" } };
	struct layer_result low = { 0 };
	struct tree *empty = tree_new(), *below = layer_on(image(), empty, "lower", &low);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct layer_plan *plan = NULL;
		struct layer_result r = { 0 };
		struct cairn_err err;
		int dir = t_open_dir("up");

		assert_int_equal(fchmod(dir, cases[i].mode), 0);
		assert_ok(layer_scan_overlay(dir, LAYER_XATTR_USER, &plan, &err));
		tree_unref(layer_on(plan, below, NULL, &r));
		assert_list(r.index, cases[i].want);
		layer_result_done(&r);
		close(dir);
	}
	layer_result_done(&low);
	tree_unref(empty);
	tree_unref(below);
}

void test_scan__socket_is_left_out(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct layer_plan *plan = NULL;
	struct layer_result r = { 0 };
	struct tree *empty = tree_new();
	struct cairn_err err;
	int dir = t_open_dir("up"), s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/up/s", harness_dir());
	assert_int_equal(bind(s, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(fchmod(dir, 0755), 0);
	assert_ok(layer_scan_overlay(dir, LAYER_XATTR_USER, &plan, &err));
	for (size_t i = 0; i < plan->items.len; i++)
		plan->items.ptr[i].entry.uid = plan->items.ptr[i].entry.gid = 0;
	tree_unref(layer_on(plan, empty, NULL, &r));
	assert_list(r.index, "");
	layer_result_done(&r);
	tree_unref(empty);
	close(dir);
	close(s);
}
