#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helper.h"
#include "store/store_priv.h"
#include "util/fs.h"

static int open_at(const char *name, const char *boot, struct store **ret, struct cairn_err *err)
{
	char path[128];
	struct store_opts opts = { .path = path, .boot_id = boot, .busy_ms = 2000 };

	(void)snprintf(path, sizeof(path), "%s/%s", harness_dir(), name);
	return store_open(&opts, ret, err);
}

void test_open__creates_and_reopens(void **state)
{
	struct store *s = open_store();
	struct cairn_err err;
	struct store_usage u;
	struct stat st;

	(void)state;
	assert_false(store_read_only(s));
	assert_int_equal(fstat(store_dirfd(s), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_ok(store_usage(s, &u, &err));
	assert_int_equal(u.blobs.n + u.records + u.images, 0);
	store_close(s);
	s = open_store();
	store_close(s);
}

static bool begins_far(struct store *s, const char *folder, bool set)
{
	cleanup_fd int fd = openat(store_dirfd(s), folder, O_RDONLY | O_DIRECTORY);
	int flags = 0;

	assert_true(fd >= 0);
	if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
		return false;
	flags |= set ? FS_TOPDIR_FL : 0;
	if (set &&
	    (ioctl(fd, FS_IOC_SETFLAGS, &flags) < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0))
		return false;
	return flags & FS_TOPDIR_FL;
}

/* Where the file system knows such a flag. */
void test_open__layers_begin_far_from_what_was_removed(void **state)
{
	struct store *s = open_store();

	(void)state;
	assert_int_equal(mkdirat(store_dirfd(s), "own", 0700), 0);
	assert_int_equal(begins_far(s, "tmp", false), begins_far(s, "own", true));
	assert_false(begins_far(s, "layers", false));
	store_close(s);
}

void test_open__trailing_slash_and_strange_name(void **state)
{
	struct store *s = NULL;
	struct cairn_err err;
	char want[128];

	(void)state;
	assert_ok(open_at("a b?c#d%41/store///", NULL, &s, &err));
	(void)snprintf(want, sizeof(want), "%s/a b?c#d%%41/store", harness_dir());
	assert_string_equal(store_path(s), want);
	assert_int_equal(faccessat(store_dirfd(s), "db.sqlite", F_OK, 0), 0);
	store_close(s);
}

/* A missing store, and one that is not ours. */
void test_open__refuses(void **state)
{
	char path[128];
	struct store_opts opts = { .path = path, .read_only = true };
	struct store *s = NULL;
	struct cairn_err err;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/missing", harness_dir());
	assert_fails(store_open(&opts, &s, &err), CAIRN_E_NOT_FOUND);
	harness_write("mine/layers/precious", S("x"));
	assert_fails(open_at("mine", NULL, &s, &err), CAIRN_E_EXISTS);
	assert_non_null(strstr(err.msg, "layers"));
	harness_write("plain", S("x"));
	assert_true(open_at("plain", NULL, &s, &err) < 0);
}

void test_open__damaged_or_newer(void **state)
{
	static const struct {
		const char *file, *text, *says;
	} cases[] = {
		{ "version", "cairn store 2\n", "newer" },
		{ "version", "cairn store 99999999999999\n", "damaged" },
		{ "version", "cairn store 0\n", "damaged" },
		{ "version", "", "damaged" },
		{ "version", "something else", "damaged" },
		{ "db.sqlite",
		  "this is no database, but it is long enough to have a header of "
		  "one hundred bytes, which SQLite looks at first",
		  "damaged" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct store *s = NULL;
		struct cairn_err err;
		char name[32], file[64];

		(void)snprintf(name, sizeof(name), "s%zu", i);
		assert_ok(open_at(name, NULL, &s, &err));
		store_close(s);
		(void)snprintf(file, sizeof(file), "%s/%s", name, cases[i].file);
		harness_write(file, str_of(cases[i].text));
		(void)snprintf(file, sizeof(file), "%s/db.sqlite-wal", name);
		(void)unlinkat(harness_dirfd(), file, 0);
		assert_fails(open_at(name, NULL, &s, &err), CAIRN_E_DIGEST);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("case %zu: '%s' does not say '%s'", i, err.msg, cases[i].says);
	}
}

void test_open__newer_database(void **state)
{
	struct store *s = open_store();
	struct cairn_err err;

	(void)state;
	assert_int_equal(sqlite3_exec(s->db, "PRAGMA user_version=7", NULL, NULL, NULL), 0);
	store_close(s);
	assert_fails(open_at("store", NULL, &s, &err), CAIRN_E_DIGEST);
	assert_non_null(strstr(err.msg, "format 7"));
}

/* Pages overwritten in the middle: an error or an answer, never a crash. */
void test_open__damaged_pages(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("x");
	struct cairn_err err;
	bool found;
	char page[4096];
	int fd;

	(void)state;
	assert_ok(store_blob_put(s, S("x"), NULL, &err));
	assert_ok(store_sync(s, &err));
	store_close(s);
	memset(page, 0xa5, sizeof(page));
	fd = openat(harness_dirfd(), "store/db.sqlite", O_RDWR | O_CLOEXEC);
	for (off_t off = sizeof(page); off < lseek(fd, 0, SEEK_END); off += (off_t)sizeof(page))
		assert_int_equal(pwrite(fd, page, sizeof(page), off), sizeof(page));
	close(fd);
	if (open_at("store", NULL, &s, &err) < 0) {
		assert_int_equal(err.code, CAIRN_E_DIGEST);
		return;
	}
	assert_fails(store_blob_find(s, &d, &found, NULL, &err), CAIRN_E_DIGEST);
	store_close(s);
}

void test_open__network_file_systems(void **state)
{
	static const struct {
		uint64_t magic;
		enum fs_policy policy;
	} cases[] = { { 0x6969, FS_REFUSED },      { 0xff534d42, FS_REFUSED },
		      { 0x01021997, FS_ROLLBACK }, { 0x65735546, FS_ROLLBACK },
		      { 0xef53, FS_LOCAL },        { 0x58465342, FS_LOCAL } };
	const char *name;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(store_fs_policy(cases[i].magic, &name), cases[i].policy);
}

/* What was not synced when the machine stopped is gone, with all that needs it. */
void test_boot__drops_what_was_not_synced(void **state)
{
	struct digest safe = digest_of_text("safe"), lost = digest_of_text("lost");
	struct store_ref refs[] = { { STORE_REF_BLOB, safe }, { STORE_REF_BLOB, lost } };
	struct store_record r = { .kind = STORE_RECORD_CONTENT, .payload = S("p") };
	struct store_image image = { .config = lost, .platform = (char[]){ "linux/amd64" } };
	struct digest keys[] = { digest_of_text("k0"), digest_of_text("k1") };
	struct store_found found[2];
	struct store_tag tag;
	struct store *s = NULL;
	struct cairn_err err;
	bool there = false;

	(void)state;
	assert_ok(open_at("store", "boot-1", &s, &err));
	assert_ok(store_blob_put(s, S("safe"), NULL, &err));
	assert_ok(store_sync(s, &err));
	assert_ok(store_blob_put(s, S("lost"), NULL, &err));
	for (size_t i = 0; i < 2; i++) {
		r.key = keys[i];
		r.refs = refs;
		r.n_refs = i + 1;
		assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	}
	assert_ok(store_image_put(s, &image, &err));
	assert_ok(store_tag_put(s, S("name"), &lost, &err));
	store_close(s);

	assert_ok(open_at("store", "boot-1", &s, &err));
	assert_ok(store_blob_find(s, &lost, &there, NULL, &err));
	assert_true(there);
	store_close(s);

	for (int round = 0; round < 2; round++) {
		assert_ok(open_at("store", "boot-2", &s, &err));
		assert_ok(store_blob_find(s, &safe, &there, NULL, &err));
		assert_true(there);
		assert_ok(store_blob_find(s, &lost, &there, NULL, &err));
		assert_false(there);
		assert_ok(store_records_find(s, keys, 2, found, &err));
		assert_true(found[0].found);
		assert_false(found[1].found);
		store_found_done(&found[0]);
		assert_ok(store_tag_find(s, S("name"), S(""), &tag, &there, &err));
		assert_false(there);
		store_close(s);
	}
}

/* Make the store's mount or directory read-only; as root only a mount does it. */
static bool make_read_only(const char *path)
{
	if (geteuid() != 0)
		return chmod(path, 0555) == 0;
	return mount(NULL, path, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
}

static bool mount_tmpfs(const char *path, const char *opts)
{
	if (mkdir(path, 0755) < 0)
		return false;
	return geteuid() != 0 || mount("tmpfs", path, "tmpfs", 0, opts) == 0;
}

static void umount_tmpfs(const char *path)
{
	if (geteuid() == 0)
		assert_int_equal(umount2(path, MNT_DETACH), 0);
	else
		(void)chmod(path, 0755);
}

void test_read_only__reads_and_says_so(void **state)
{
	struct digest d = digest_of_text("hello");
	struct strbuf out;
	struct store *s = NULL;
	struct cairn_err err;
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	if (!mount_tmpfs(path, "size=4m")) {
		print_message("skipped: cannot mount a tmpfs here\n");
		skip();
	}
	assert_ok(open_at("store", NULL, &s, &err));
	assert_ok(store_blob_put(s, S("hello"), NULL, &err));
	assert_ok(store_sync(s, &err));
	store_close(s);
	assert_true(make_read_only(path));
	assert_ok(open_at("store", NULL, &s, &err));
	assert_true(store_read_only(s));
	strbuf_init(&out, 100);
	assert_ok(store_blob_read(s, &d, &out, &err));
	assert_str(strbuf_view(&out), "hello");
	strbuf_done(&out);
	assert_fails(store_blob_put(s, S("more"), NULL, &err), CAIRN_E_DENIED);
	assert_non_null(strstr(err.msg, "read-only"));
	store_close(s);
	umount_tmpfs(path);
}

void test_read_only__no_store_can_be_made(void **state)
{
	struct store *s = NULL;
	struct cairn_err err;
	char path[128];

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	if (!mount_tmpfs(path, "size=1m")) {
		print_message("skipped: cannot mount a tmpfs here\n");
		skip();
	}
	assert_true(make_read_only(path));
	assert_fails(open_at("store", NULL, &s, &err), CAIRN_E_DENIED);
	assert_non_null(strstr(err.msg, "cannot write to the store"));
	umount_tmpfs(path);
}

/* A store that cannot be written to after a restart does not believe what was not synced. */
void test_read_only__after_a_restart(void **state)
{
	char path[128];
	struct store_opts opts = { .path = path, .read_only = true, .boot_id = "boot-2" };
	struct digest safe = digest_of_text("safe"), lost = digest_of_text("lost");
	struct store_ref ref = { STORE_REF_BLOB, lost };
	struct store_record r = {
		.key = lost, .kind = STORE_RECORD_LINK, .refs = &ref, .n_refs = 1
	};
	struct store_found f;
	struct store *s = NULL;
	struct cairn_err err;
	bool found = false;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	assert_ok(open_at("store", "boot-1", &s, &err));
	assert_ok(store_blob_put(s, S("safe"), NULL, &err));
	assert_ok(store_sync(s, &err));
	assert_ok(store_blob_put(s, S("lost"), NULL, &err));
	assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	store_close(s);
	assert_ok(store_open(&opts, &s, &err));
	assert_ok(store_blob_find(s, &safe, &found, NULL, &err));
	assert_true(found);
	assert_ok(store_blob_find(s, &lost, &found, NULL, &err));
	assert_false(found);
	assert_ok(store_records_find(s, &lost, 1, &f, &err));
	assert_false(f.found);
	assert_fails(store_sync(s, &err), CAIRN_E_DENIED);
	store_close(s);
}

/* Facts alone make it grow: no object waits for the disk. */
void test_sync__empties_a_long_log(void **state)
{
	struct store *s = open_store();
	struct store_record r = { .kind = STORE_RECORD_FACT, .payload = S("fact") };
	struct cairn_err err;
	struct stat st;

	(void)state;
	assert_false(store_log_is_long(s));
	for (int i = 0; i < 60; i++) {
		r.key.b[0] = (unsigned char)i;
		assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	}
	assert_true(store_log_is_long(s));
	assert_ok(store_sync(s, &err));
	assert_int_equal(fstatat(harness_dirfd(), "store/db.sqlite-wal", &st, 0), 0);
	assert_int_equal(st.st_size, 0);
	store_close(s);
}

/* The disk fills up at every possible moment of a blob and of a layer. */
void test_full_disk__says_so_and_stays_whole(void **state)
{
	struct digest d = digest_of_text("kept");
	struct store *s = NULL;
	struct cairn_err err;
	char path[128], filler[160], name[16];
	static char block[65536];
	bool found = false;
	int failures = 0, fd;

	(void)state;
	(void)snprintf(path, sizeof(path), "%s/store", harness_dir());
	if (geteuid() != 0 || !mount_tmpfs(path, "size=2m")) {
		print_message("skipped: only root can mount a tmpfs to fill it\n");
		skip();
	}
	assert_ok(open_at("store", NULL, &s, &err));
	assert_ok(store_blob_put(s, S("kept"), NULL, &err));
	(void)snprintf(filler, sizeof(filler), "%s/contexts/filler", path);
	fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (write(fd, block, 4096) == 4096)
		;
	close(fd);
	for (int free_pages = 0; free_pages < 40; free_pages++) {
		struct stat st;
		int r;

		assert_int_equal(stat(filler, &st), 0);
		if (st.st_size >= 4096)
			assert_int_equal(truncate(filler, st.st_size - 4096), 0);
		(void)snprintf(name, sizeof(name), "full%d", free_pages);
		r = commit_layer(s, name, NULL, &err);
		if (r == 0)
			break;
		failures++;
		if (!strstr(err.msg, "No space left") && !strstr(err.msg, "full"))
			fail_msg("'%s' does not say that the disk is full", err.msg);
	}
	assert_true(failures > 0 && failures < 40);
	store_close(s);
	assert_ok(open_at("store", NULL, &s, &err));
	assert_ok(store_blob_find(s, &d, &found, NULL, &err));
	assert_true(found);
	store_close(s);
	umount_tmpfs(path);
}

/* Opening and a few look-ups must not be felt. */
void test_open__fast(void **state)
{
	struct digest keys[20];
	struct store_found found[20];
	struct cairn_err err;
	struct store *s = open_store();
	int64_t best = INT64_MAX;

	(void)state;
	for (size_t i = 0; i < 20; i++) {
		struct store_record r = { .kind = STORE_RECORD_DEFINITION,
			                  .payload = S("payload") };

		keys[i] = r.key = digest_of(&i, sizeof(i));
		assert_ok(store_record_put(s, &r, STORE_ADOPT, NULL, &err));
	}
	store_close(s);
	for (int n = 0; n < 10; n++) {
		int64_t start = harness_cpu_ns();

		s = open_store();
		assert_ok(store_records_find(s, keys, 20, found, &err));
		for (size_t i = 0; i < 20; i++) {
			assert_true(found[i].found);
			store_found_done(&found[i]);
		}
		store_close(s);
		if (harness_cpu_ns() - start < best)
			best = harness_cpu_ns() - start;
	}
	print_message("open, 20 look-ups, close: %.2f ms\n", (double)best / 1e6);
	/* 2 ms is the goal; sanitizers and slow machines take longer. */
	assert_true(best < 20 * 1000000);
}
