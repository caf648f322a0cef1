#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"

#include "cache/context.h"
#include "cache/statcache.h"
#include "util/clock.h"
#include "util/fs.h"

/* What a test gives and gets. */
struct fixture {
	struct context_opts opts;
	struct store *store;
	char warned[256];
};

static void note_warning(void *ctx, const char *text)
{
	struct fixture *f = ctx;

	(void)snprintf(f->warned, sizeof(f->warned), "%s", text);
}

/* The directory "root" of the test as context, with a store beside it. */
static void begin(struct fixture *f)
{
	char path[128];
	struct store_opts store = { .path = path };
	struct cairn_err err;

	*f = (struct fixture){ 0 };
	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	assert_ok(store_open(&store, &f->store, &err));
	assert_ok(fs_mkdir_p(harness_dirfd(), "root", 0755, &err));
	f->opts = (struct context_opts){
		.dirfd = openat(harness_dirfd(), "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
		.name = "the build context",
		.pool = pool_new(2),
		.store = f->store,
		.warn = note_warning,
		.warn_ctx = f,
	};
}

static void end(struct fixture *f)
{
	close(f->opts.dirfd);
	pool_free(f->opts.pool);
	store_close(f->store);
}

static struct context *scan(struct fixture *f)
{
	struct context *c = NULL;
	struct cairn_err err;

	assert_ok(context_scan(&f->opts, &c, &err));
	return c;
}

/* All paths, each followed by a blank. */
static void assert_paths(const struct context *c, const char *want)
{
	const struct layer_entry *e;
	struct strbuf b;
	size_t n;

	e = context_entries(c, &n);
	strbuf_init(&b, 4096);
	for (size_t i = 0; i < n; i++)
		strbuf_printf(&b, "%.*s ", STR(e[i].path));
	assert_string_equal(b.ptr, want);
	strbuf_done(&b);
}

static int hash_all(struct context *c, struct cairn_err *err)
{
	size_t n;
	const struct layer_entry *e = context_entries(c, &n), **list = xcalloc(n, sizeof(*list));
	int r;

	for (size_t i = 0; i < n; i++)
		list[i] = &e[i];
	r = context_hash(c, list, n, err);
	free(list);
	return r;
}

/* Give a file times that lie safely in the past; its ctime is now, so wait for that. */
static void settle(const char *path)
{
	struct timespec past[2] = { { .tv_sec = 1000000000 }, { .tv_sec = 1000000000 } };

	assert_int_equal(utimensat(harness_dirfd(), path, past, AT_SYMLINK_NOFOLLOW), 0);
}

void test_context__entries(void **state)
{
	struct fixture f;
	const struct layer_entry *e;
	struct context *c;

	(void)state;
	harness_write("root/a/b", S("hello"));
	harness_write("root/a-b", S(""));
	harness_write("root/a/.hidden", S("x"));
	assert_int_equal(symlinkat("/etc/passwd", harness_dirfd(), "root/link"), 0);
	assert_int_equal(mkdirat(harness_dirfd(), "root/empty", 0700), 0);
	assert_int_equal(fchmodat(harness_dirfd(), "root/a/b", 04755, 0), 0);
	settle("root/a/b");
	begin(&f);
	c = scan(&f);
	assert_paths(c, "a a/.hidden a/b a-b empty link ");
	e = context_find(c, S("a/b"));
	assert_int_equal(e->type, LAYER_FILE);
	assert_int_equal(e->mode, 04755);
	assert_int_equal(e->size, 5);
	assert_int_equal(e->mtime, 1000000000 * CLOCK_SEC);
	assert_true(digest_none(&e->digest));
	assert_int_equal(e->uid + e->gid + e->n_xattrs, 0);
	e = context_find(c, S("link"));
	assert_int_equal(e->type, LAYER_SYMLINK);
	assert_str(e->target, "/etc/passwd");
	assert_int_equal(context_find(c, S("empty"))->mode, 0700);
	assert_null(context_find(c, S("a/c")));
	assert_null(context_find(c, S("")));
	context_free(c);
	end(&f);
}

/* .dockerignore of a sort: everything with an x, but nothing with a y. */
static bool has_x(void *ctx, str path, bool is_dir)
{
	(void)ctx;
	(void)is_dir;
	return str_find(path, 'x') >= 0 && str_find(path, 'y') < 0;
}

static bool no_y_below(void *ctx, str dir)
{
	(void)ctx;
	return !str_starts(dir, S("dx"));
}

void test_context__filter(void **state)
{
	struct fixture f;
	struct context *c;

	(void)state;
	harness_write("root/dx/one", S("")); /* out, but y is in it */
	harness_write("root/dx/sub/y", S(""));
	harness_write("root/dx/subx/one", S("")); /* nothing in it counts */
	harness_write("root/ex/y", S(""));        /* skipped as a whole */
	harness_write("root/keep", S(""));
	harness_write("root/x", S(""));
	begin(&f);
	f.opts.filter = (struct context_filter){ has_x, no_y_below, NULL };
	c = scan(&f);
	assert_paths(c, "dx dx/sub dx/sub/y keep ");
	context_free(c);
	f.opts.filter.may_skip_dir = NULL;
	c = scan(&f);
	assert_paths(c, "keep ");
	context_free(c);
	end(&f);
}

void test_context__needed(void **state)
{
	static const struct {
		const char *needed[2];
		const char *paths;
	} cases[] = {
		{ { "a/b" }, "a a/b a/b/c " },
		{ { "/./a//b/../d" }, "a a/d " },
		{ { "ab", "absent/x" }, "ab " },
		{ { "../.." }, "a a/b a/b/c a/d ab abs link loop " },
		{ { "." }, "a a/b a/b/c a/d ab abs link loop " },
		{ { "link/c" }, "a a/b a/b/c link " },
		{ { "abs" }, "a a/d abs " },
		{ { "loop" }, "loop " },
	};
	struct fixture f;

	(void)state;
	harness_write("root/a/b/c", S(""));
	harness_write("root/a/d", S(""));
	harness_write("root/ab", S(""));
	assert_int_equal(symlinkat("a/b", harness_dirfd(), "root/link"), 0);
	assert_int_equal(symlinkat("/../a/d", harness_dirfd(), "root/abs"), 0);
	assert_int_equal(symlinkat("loop", harness_dirfd(), "root/loop"), 0);
	begin(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		str needed[2] = { str_of(cases[i].needed[0]), str_of(cases[i].needed[1]) };
		struct context *c;

		f.opts.needed = needed;
		f.opts.n_needed = cases[i].needed[1] ? 2 : 1;
		c = scan(&f);
		assert_paths(c, cases[i].paths);
		context_free(c);
	}
	end(&f);
}

void test_context__special_files(void **state)
{
	struct fixture f;
	struct context *c;

	(void)state;
	begin(&f);
	assert_int_equal(mkfifoat(harness_dirfd(), "root/pipe", 0600), 0);
	c = scan(&f);
	assert_paths(c, "");
	assert_string_equal(f.warned, "'pipe' in the build context is a fifo; left out");
	context_free(c);
	end(&f);
}

void test_context__unreadable(void **state)
{
	struct fixture f;
	struct context *c = NULL;
	struct cairn_err err;

	(void)state;
	if (geteuid() == 0) {
		print_message("skipped: root may read everything\n");
		skip();
	}
	harness_write("root/ok", S("x"));
	harness_write("root/no", S("x"));
	harness_write("root/d/x", S("x"));
	assert_int_equal(fchmodat(harness_dirfd(), "root/no", 0, 0), 0);
	begin(&f);
	c = scan(&f);
	assert_fails(hash_all(c, &err), CAIRN_E_SYSTEM);
	assert_int_equal(err.sys, EACCES);
	assert_non_null(strstr(err.msg, "'no'"));
	assert_false(digest_none(&context_find(c, S("ok"))->digest));
	context_free(c);
	assert_int_equal(fchmodat(harness_dirfd(), "root/d", 0, 0), 0);
	assert_fails(context_scan(&f.opts, &c, &err), CAIRN_E_SYSTEM);
	assert_non_null(strstr(err.msg, "'d'"));
	end(&f);
}

/* Digests are those of the contents; only what is asked for is read. */
void test_context__hash(void **state)
{
	const struct layer_entry *list[4];
	struct digest want = digest_of("hello", 5), empty = digest_of("", 0);
	char *big = xcalloc(1, 200000);
	struct fixture f;
	struct context *c;
	struct cairn_err err;

	(void)state;
	harness_write("root/a/b", S("hello"));
	harness_write("root/empty", S(""));
	harness_write("root/other", S("other"));
	harness_write("root/big", str_n(big, 200000));
	begin(&f);
	c = scan(&f);
	list[0] = list[3] = context_find(c, S("empty"));
	list[1] = context_find(c, S("a/b"));
	list[2] = context_find(c, S("a"));
	assert_ok(context_hash(c, list, 4, &err));
	assert_true(digest_eq(&list[1]->digest, &want));
	assert_true(digest_eq(&list[0]->digest, &empty));
	assert_true(digest_none(&context_find(c, S("other"))->digest));
	assert_int_equal(context_stats(c).hashed, 2);
	assert_ok(hash_all(c, &err));
	assert_int_equal(context_stats(c).hashed, 4);
	want = digest_of(big, 200000);
	assert_true(digest_eq(&context_find(c, S("big"))->digest, &want));
	context_free(c);
	free(big);
	end(&f);
}

/* A directory that became a link after the scan leads nowhere. */
void test_context__swapped_for_a_link(void **state)
{
	struct fixture f;
	struct context *c;
	struct cairn_err err;
	int fd = -1;

	(void)state;
	harness_write("secret/file", S("secret"));
	harness_write("root/d/file", S("public"));
	begin(&f);
	c = scan(&f);
	assert_ok(fs_remove_tree(harness_dirfd(), "root/d", &err));
	assert_int_equal(symlinkat("../secret", harness_dirfd(), "root/d"), 0);
	assert_true(context_open(c, context_find(c, S("d/file")), &fd, &err) < 0);
	assert_true(hash_all(c, &err) < 0);
	context_free(c);
	end(&f);
}

/* How many files a build reads that comes after `change`. */
static uint64_t reread(struct fixture *f)
{
	struct context *c = scan(f);
	struct cairn_err err;
	uint64_t n;

	assert_ok(hash_all(c, &err));
	n = context_stats(c).hashed;
	context_free(c);
	return n;
}

static int64_t change_time(const char *path)
{
	struct stat st;

	assert_int_equal(fstatat(harness_dirfd(), path, &st, AT_SYMLINK_NOFOLLOW), 0);
	return stat_id_of(&st).ctime_ns;
}

/* Nothing is believed that is not two seconds old, everything else that has not changed. */
void test_statcache__racy_and_settled(void **state)
{
	struct digest want = digest_of("jello", 5);
	struct fixture f;
	struct context *c;
	struct cairn_err err;
	uint64_t first, second;

	(void)state;
	begin(&f);
	do { /* again where it took so long that they have settled */
		harness_write("root/a", S("hello"));
		harness_write("root/b/c", S("hello"));
		settle("root/a"); /* an old mtime does not help: the change time counts too */
		first = reread(&f);
		second = reread(&f);
	} while (clock_now() - change_time("root/b/c") >= STATCACHE_RACY_NS);
	assert_int_equal(first, 2);
	assert_int_equal(second, 2);
	while (clock_now() - change_time("root/a") < STATCACHE_RACY_NS + CLOCK_SEC / 10)
		(void)usleep(50000);
	assert_int_equal(reread(&f), 2);
	assert_int_equal(reread(&f), 0);
	/* Same size, same mtime: only the change time tells. */
	harness_write("new", S("jello"));
	settle("new");
	assert_int_equal(renameat(harness_dirfd(), "new", harness_dirfd(), "root/a"), 0);
	c = scan(&f);
	assert_ok(hash_all(c, &err));
	assert_int_equal(context_stats(c).hashed, 1);
	assert_int_equal(context_stats(c).known, 1);
	assert_true(digest_eq(&context_find(c, S("a"))->digest, &want));
	context_free(c);
	end(&f);
}

void test_statcache__settled(void **state)
{
	static const struct {
		int64_t mtime, ctime_ns, now;
		bool settled;
	} cases[] = {
		{ 0, 0, 2 * CLOCK_SEC, false },
		{ 0, 0, 2 * CLOCK_SEC + 1, true },
		{ 0, 1, 2 * CLOCK_SEC + 1, false },
		{ 1, 0, 2 * CLOCK_SEC + 1, false },
		{ 100 * CLOCK_SEC, 0, 5 * CLOCK_SEC, false }, /* from the future */
		{ -5, 7, 9 * CLOCK_SEC, true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct stat_id id = { .mtime_ns = cases[i].mtime, .ctime_ns = cases[i].ctime_ns };

		assert_int_equal(stat_id_settled(&id, cases[i].now), cases[i].settled);
	}
}

static struct stat_id id_number(uint64_t n)
{
	return (struct stat_id){ .dev = 1, .ino = n, .size = n, .mtime_ns = 5, .ctime_ns = 6 };
}

void test_statcache__merge(void **state)
{
	static const char *const paths[] = { "a", "a/b", "a-b", "b", "c" };
	struct fixture f;
	struct statcache *s;
	struct digest d, got;
	struct stat_id id;

	(void)state;
	begin(&f);
	for (size_t round = 0; round < 3; round++) {
		s = statcache_open(f.store, "/some/root");
		for (size_t i = round; i < ARRAY_SIZE(paths); i += 2) {
			id = id_number(i + round);
			d = digest_of(&id, sizeof(id));
			statcache_add(s, str_of(paths[i]), &id, &d);
		}
		statcache_save(s);
		statcache_free(s);
	}
	s = statcache_open(f.store, "/some/root");
	for (size_t i = ARRAY_SIZE(paths); i-- > 0;) { /* any order */
		id = id_number(i + (i == 0 ? 0 : i == 1 || i == 3 ? 1 : 2));
		d = digest_of(&id, sizeof(id));
		assert_true(statcache_find(s, str_of(paths[i]), &id, &got));
		assert_true(digest_eq(&d, &got));
		id.ctime_ns++;
		assert_false(statcache_find(s, str_of(paths[i]), &id, &got));
	}
	assert_false(statcache_find(s, S("a/a"), &id, &got));
	statcache_free(s);
	s = statcache_open(f.store, "/other/root");
	id = id_number(0);
	assert_false(statcache_find(s, S("a"), &id, &got));
	statcache_free(s);
	end(&f);
}

/* Any damage makes it empty; the next save heals it. */
void test_statcache__damage(void **state)
{
	struct digest d = digest_of("x", 1), got, root = digest_of("/r", 2);
	struct stat_id id = id_number(1);
	struct statcache *s;
	struct fixture f;
	struct strbuf good;
	struct cairn_err err;
	char path[128];

	(void)state;
	begin(&f);
	(void)snprintf(path, sizeof(path), "store/contexts/%s", digest_hex(&root).s);
	s = statcache_open(f.store, "/r");
	statcache_add(s, S("file"), &id, &d);
	statcache_save(s);
	statcache_free(s);
	strbuf_init(&good, 4096);
	assert_ok(fs_read_file(harness_dirfd(), path, &good, &err));
	assert_int_equal(good.len, 64 + 88 + 4);
	for (size_t i = 0; i < good.len; i++) {
		good.ptr[i] ^= 0x41;
		harness_write(path, strbuf_view(&good));
		good.ptr[i] ^= 0x41;
		s = statcache_open(f.store, "/r");
		/* The four zero bytes of the header mean nothing. */
		if (i < 12 || i > 15)
			assert_false(statcache_find(s, S("file"), &id, &got));
		statcache_free(s);
		harness_write(path, str_n(good.ptr, i));
		s = statcache_open(f.store, "/r");
		assert_false(statcache_find(s, S("file"), &id, &got));
		statcache_free(s);
	}
	s = statcache_open(f.store, "/r");
	statcache_add(s, S("file"), &id, &d);
	statcache_save(s);
	assert_false(statcache_find(s, S("file"), &id, &got));
	statcache_free(s);
	s = statcache_open(f.store, "/r");
	assert_true(statcache_find(s, S("file"), &id, &got));
	statcache_free(s);
	strbuf_done(&good);
	end(&f);
}

void test_context__without_store(void **state)
{
	struct fixture f;

	(void)state;
	harness_write("root/a", S("hello"));
	begin(&f);
	f.opts.store = NULL;
	assert_int_equal(reread(&f), 1);
	end(&f);
}
