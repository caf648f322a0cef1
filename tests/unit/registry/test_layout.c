#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "registry/layout.h"
#include "util/fs.h"

/* In the test's own folder; until the next call. */
static const char *at(const char *name)
{
	static char path[512];

	(void)snprintf(path, sizeof(path), "%s/%s", harness_dir(), name);
	return path;
}

static void put(const char *name, const char *text)
{
	struct cairn_err err;

	assert_ok(fs_write_file(harness_dirfd(), name, str_of(text), 0644, &err));
}

void test_layout__what_is_none(void **state)
{
	struct layout *l = NULL;
	struct cairn_err err;

	(void)state;
	assert_fails(layout_open(at("nothere"), false, &l, &err), CAIRN_E_NOT_FOUND);
	assert_int_equal(mkdir(at("other"), 0755), 0);
	put("other/file", "x");
	assert_fails(layout_open(at("other"), false, &l, &err), CAIRN_E_SYNTAX);
	assert_fails(layout_open(at("other"), true, &l, &err), CAIRN_E_EXISTS);
	assert_int_equal(access(at("other/blobs"), F_OK), -1);
}

void test_layout__tags(void **state)
{
	struct descriptor a = { .media_type = S(MEDIA_OCI_MANIFEST), .size = 1 }, b = a, got;
	cleanup_arena struct arena *arena = arena_new();
	cleanup_layout struct layout *l = NULL;
	struct cairn_err err;

	(void)state;
	a.digest = digest_of("a", 1);
	b.digest = digest_of("b", 1);
	assert_ok(layout_open(at("tags/deep"), true, &l, &err));
	assert_ok(layout_tag(l, "1", &a, &err));
	assert_ok(layout_find(l, "", arena, &got, &err)); /* the only one */
	assert_true(digest_eq(&got.digest, &a.digest));
	assert_ok(layout_tag(l, "2", &b, &err));
	assert_fails(layout_find(l, "", arena, &got, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "2 images; add :TAG to it, of: 1, 2"));
	assert_fails(layout_find(l, "3", arena, &got, &err), CAIRN_E_NOT_FOUND);
	assert_ok(layout_tag(l, "1", &b, &err));
	assert_ok(layout_find(l, "1", arena, &got, &err));
	assert_true(digest_eq(&got.digest, &b.digest));
	assert_ok(layout_tag(l, "", &b, &err)); /* without a tag: once */
	assert_ok(layout_tag(l, "", &b, &err));
	assert_fails(layout_find(l, "", arena, &got, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "3 images"));
}

void test_layout__indexes_that_are_none(void **state)
{
	static const char *const bad[] = { "", "{", "[]", "{\"schemaVersion\":2}",
		                           "{\"schemaVersion\":2,\"manifests\":{}}" };
	cleanup_arena struct arena *arena = arena_new();
	cleanup_layout struct layout *l = NULL;
	struct descriptor got;
	struct cairn_err err;

	(void)state;
	assert_ok(layout_open(at("bad"), true, &l, &err));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		put("bad/index.json", bad[i]);
		assert_fails(layout_find(l, "1", arena, &got, &err), CAIRN_E_SYNTAX);
	}
}

void test_layout__blobs_are_verified(void **state)
{
	struct descriptor d = { .digest = digest_of("hello", 5), .size = 5 };
	struct layout_blob w = { .fd = -1 };
	cleanup_layout struct layout *l = NULL;
	cleanup_free char *path = NULL;
	struct strbuf out cleanup_strbuf;
	struct cairn_err err;

	(void)state;
	strbuf_init(&out, 100);
	assert_ok(layout_open(at("blobs"), true, &l, &err));
	assert_false(layout_has(l, &d));
	assert_fails(layout_read(l, &d.digest, &out, &err), CAIRN_E_NOT_FOUND);
	assert_ok(layout_blob_begin(l, &d.digest, &w, &err));
	assert_ok(layout_blob_write(&w, "hello", 5, &err));
	assert_false(layout_has(l, &d)); /* not before it is complete */
	assert_ok(layout_blob_commit(&w, &err));
	layout_blob_done(&w);
	assert_true(layout_has(l, &d));
	assert_ok(layout_read(l, &d.digest, &out, &err));
	assert_str(strbuf_view(&out), "hello");
	path = xasprintf("blobs/blobs/sha256/%s", digest_hex(&d.digest).s);
	put(path, "hullo");
	strbuf_clear(&out);
	assert_fails(layout_read(l, &d.digest, &out, &err), CAIRN_E_DIGEST);
	assert_int_equal(unlink(at(path)), 0);
	assert_int_equal(symlink("/etc/hostname", at(path)), 0); /* not followed */
	assert_false(layout_has(l, &d));
	strbuf_clear(&out);
	assert_true(layout_read(l, &d.digest, &out, &err) < 0);
	assert_int_equal(out.len, 0);
}
