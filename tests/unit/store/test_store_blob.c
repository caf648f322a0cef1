#include <fcntl.h>
#include <unistd.h>

#include "helper.h"
#include "util/fs.h"

void test_blob__write_and_read(void **state)
{
	cleanup_store_blob_writer struct store_blob_writer *w = NULL;
	struct store *s = open_store();
	struct digest d, want = digest_of_text("hello world");
	struct cairn_err err;
	struct strbuf out;
	uint64_t size = 0;
	bool found = true;

	(void)state;
	assert_ok(store_blob_find(s, &want, &found, NULL, &err));
	assert_false(found);
	assert_ok(store_blob_writer_new(s, &want, &w, &err));
	assert_ok(store_blob_writer_add(w, "hello ", 6, &err));
	assert_ok(store_blob_writer_add(w, "world", 5, &err));
	assert_int_equal(store_blob_writer_size(w), 11);
	assert_ok(store_blob_writer_commit(w, &d, &size, &err));
	assert_true(digest_eq(&d, &want));
	assert_int_equal(size, 11);
	strbuf_init(&out, 11);
	assert_ok(store_blob_read(s, &d, &out, &err));
	assert_str(strbuf_view(&out), "hello world");
	strbuf_done(&out);
	strbuf_init(&out, 10);
	assert_fails(store_blob_read(s, &d, &out, &err), CAIRN_E_SYNTAX);
	strbuf_done(&out);
	store_close(s);
}

void test_blob__wrong_digest_is_not_stored(void **state)
{
	struct store_blob_writer *w = NULL;
	struct store *s = open_store();
	struct digest want = digest_of_text("expected"), got = digest_of_text("received");
	struct cairn_err err;
	struct store_usage u;
	bool found = true;

	(void)state;
	assert_ok(store_blob_writer_new(s, &want, &w, &err));
	assert_ok(store_blob_writer_add(w, "received", 8, &err));
	assert_fails(store_blob_writer_commit(w, NULL, NULL, &err), CAIRN_E_DIGEST);
	store_blob_writer_free(w);
	assert_ok(store_blob_find(s, &got, &found, NULL, &err));
	assert_false(found);
	assert_ok(store_usage(s, &u, &err));
	assert_int_equal(u.blobs.n, 0);
	store_close(s);
}

void test_blob__empty_and_twice(void **state)
{
	struct store *s = open_store();
	struct digest d;
	struct cairn_err err;
	struct store_usage u;
	uint64_t size = 7;
	int fd = -1;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_ok(store_blob_put(s, S(""), &d, &err));
		assert_ok(store_blob_put(s, S("abc"), NULL, &err));
	}
	assert_ok(store_blob_open(s, &d, &fd, &size, &err));
	assert_int_equal(size, 0);
	close(fd);
	assert_ok(store_usage(s, &u, &err));
	assert_int_equal(u.blobs.n, 2);
	assert_int_equal(u.blobs.bytes, 3);
	store_close(s);
}

/* Whatever happens to the files behind our back: absent or an error, never wrong bytes;
 * and storing the blob again heals it. */
void test_blob__damaged_files(void **state)
{
	static const char *const commands[] = { "shorter", "changed", "removed" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct store *s = open_store();
		struct digest d;
		struct cairn_err err;
		struct strbuf out;
		char path[512] = "", link[64];
		int fd = -1, r;
		uint64_t size;

		assert_ok(store_blob_put(s, S("precious"), &d, &err));
		assert_ok(store_blob_open(s, &d, &fd, &size, &err));
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		assert_true(readlink(link, path, sizeof(path) - 1) > 0);
		close(fd);
		if (i == 0)
			assert_int_equal(truncate(path, 3), 0);
		else if (i == 1)
			assert_ok(fs_write_file(AT_FDCWD, path, S("Precious"), 0600, &err));
		else
			assert_int_equal(unlink(path), 0);
		strbuf_init(&out, 100);
		r = store_blob_read(s, &d, &out, &err);
		if (r != CAIRN_E_NOT_FOUND && r != CAIRN_E_DIGEST)
			fail_msg("%s: gave %d", commands[i], r);
		assert_ok(store_blob_put(s, S("precious"), NULL, &err));
		assert_ok(store_blob_read(s, &d, &out, &err));
		assert_str(strbuf_view(&out), "precious");
		strbuf_done(&out);
		store_close(s);
	}
}

void test_blob__sources(void **state)
{
	struct store *s = open_store();
	struct digest d = digest_of_text("foreign");
	struct store_sources list;
	struct cairn_err err;

	(void)state;
	assert_ok(store_blob_sources(s, &d, &list, &err));
	assert_int_equal(list.len, 0);
	assert_ok(store_blob_source_put(s, &d, S("reg.example"), S("base/debian"), &err));
	assert_ok(store_blob_source_put(s, &d, S("other.example"), S("debian"), &err));
	assert_ok(store_blob_source_put(s, &d, S("reg.example"), S("base/debian"), &err));
	assert_ok(store_blob_sources(s, &d, &list, &err));
	assert_int_equal(list.len, 2);
	assert_string_equal(list.ptr[0].registry, "reg.example");
	assert_string_equal(list.ptr[1].repository, "debian");
	store_sources_done(&list);
	store_close(s);
}
