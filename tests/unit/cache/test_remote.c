#include "harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "cache/remote_priv.h"
#include "util/fs.h"

void test_remote__text_of_scopes(void **state)
{
	static const struct {
		const char *scope, *text;
	} cases[] = {
		{ "", "_" },
		{ "main", "main" },
		{ "feature/x", "feature_2fx" },
		{ "feature_2fx", "feature_5f2fx" },
		{ "_", "_5f" },
		{ ".", "_2e" },
		{ "..", "_2e." },
		{ "-x-", "_2dx-" },
		{ "v1.2-Beta", "v1.2-Beta" },
		{ "\xc3\xa9", "_c3_a9" },
		{ "12345678901234567890123456789012345678901234567890123456",
		  "12345678901234567890123456789012345678901234567890123456" },
	};
	char buf[REMOTE_SCOPE_TEXT];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_string_equal(remote_scope_text(cases[i].scope, buf), cases[i].text);
	/* Longer ones are hashed. */
	(void)remote_scope_text("123456789012345678901234567890123456789012345678901234567", buf);
	assert_int_equal(strlen(buf), 2 + DIGEST_HEX_LEN / 2);
	assert_memory_equal(buf, "_h", 2);
}

/* Tags have 128 characters at most, and this is their longest part. */
void test_remote__scope_fits_a_tag(void **state)
{
	(void)state;
	assert_true(strlen("cairn-") + REMOTE_SCOPE_MAX + 1 + DIGEST_HEX_LEN <= REFERENCE_TAG_MAX);
	assert_true(strlen("cairn.pointer-") + REMOTE_SCOPE_MAX + 1 + 32 + strlen(".1048576") <=
	            REFERENCE_TAG_MAX);
}

void test_remote__too_many_scopes(void **state)
{
	const char *read[REMOTE_SCOPES_MAX + 1];
	struct remote_scopes scopes = { .write = "w", .read = read, .n_read = ARRAY_SIZE(read) };
	cleanup_remote struct remote *r = NULL;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(read); i++)
		read[i] = "x";
	assert_fails(remote_open_dir(harness_dir(), &scopes, true, &r, &err), CAIRN_E_SYNTAX);
	scopes.n_read--;
	assert_ok(remote_open_dir(harness_dir(), &scopes, true, &r, &err));
	assert_string_equal(remote_name(r), harness_dir());
}

/* Temporary files of writers that were killed go after a day. */
void test_remote__stale_files(void **state)
{
	const struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
	cleanup_remote struct remote *r = NULL;
	struct cairn_err err;

	(void)state;
	harness_write("tmp/old", S("x"));
	harness_write("tmp/new", S("x"));
	assert_int_equal(utimensat(harness_dirfd(), "tmp/old", old, 0), 0);
	assert_ok(remote_open_dir(harness_dir(), NULL, false, &r, &err));
	assert_int_not_equal(faccessat(harness_dirfd(), "tmp/old", F_OK, 0), 0);
	assert_int_equal(faccessat(harness_dirfd(), "tmp/new", F_OK, 0), 0);
}

static int drop(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)ctx, (void)p, (void)n, (void)err;
	return 0;
}

/* Links and pipes in a cache directory are not followed or waited for. */
void test_remote__no_files(void **state)
{
	struct descriptor d = { .digest = digest_of("x", 1), .size = 1 };
	cleanup_free char *link = xasprintf("blobs/sha256/%s", digest_hex(&d.digest).s);
	struct remote_sink sink = { drop, NULL };
	cleanup_remote struct remote *r = NULL;
	struct cairn_err err;

	(void)state;
	harness_write("secret", S("x"));
	assert_ok(fs_mkdir_p(harness_dirfd(), "blobs/sha256", 0755, &err));
	assert_int_equal(symlinkat("../../secret", harness_dirfd(), link), 0);
	assert_ok(remote_open_dir(harness_dir(), NULL, false, &r, &err));
	assert_fails(remote_blob_get(r, &d, &sink, &err), CAIRN_E_SYSTEM);
	assert_int_equal(unlinkat(harness_dirfd(), link, 0), 0);
	assert_int_equal(mkfifoat(harness_dirfd(), link, 0600), 0);
	assert_fails(remote_blob_get(r, &d, &sink, &err), CAIRN_E_SYNTAX);
}

/* A source that is not what the descriptor says never gets its name. */
void test_remote__lying_source(void **state)
{
	struct descriptor d = { .digest = digest_of("x", 1), .size = 1 };
	struct remote_source src = { .fd = -1, .bytes = S("y") };
	cleanup_remote struct remote *r = NULL;
	struct cairn_err err;
	bool there = true;

	(void)state;
	assert_ok(remote_open_dir(harness_dir(), NULL, false, &r, &err));
	assert_fails(remote_blob_put(r, &d, &src, &err), CAIRN_E_DIGEST);
	assert_ok(remote_blob_has(r, &d, &there, &err));
	assert_false(there);
}

/* Every cut, every changed byte and every other name is noticed. */
void test_remote__seal(void **state)
{
	struct digest name = digest_of("n", 1), other = digest_of("o", 1);
	struct remote_place entry = { .scope = "x", .name = &name };
	struct remote_place wrong[] = { { .name = &other }, { .pointer = true, .name = &name } };
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	str text;

	(void)state;
	strbuf_init(&b, 1000);
	remote_seal(&entry, S("{\"a\":1}"), &b);
	assert_int_equal(b.len, 7 + REMOTE_SEAL_LEN);
	entry.scope = "y"; /* scopes are not content */
	assert_ok(remote_unseal(&entry, strbuf_view(&b), &text, &err));
	assert_str(text, "{\"a\":1}");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_fails(remote_unseal(&wrong[i], strbuf_view(&b), &text, &err),
		             CAIRN_E_DIGEST);
	for (size_t i = 0; i < b.len; i++) {
		assert_fails(remote_unseal(&entry, str_n(b.ptr, i), &text, &err), CAIRN_E_DIGEST);
		b.ptr[i] ^= 1;
		assert_fails(remote_unseal(&entry, strbuf_view(&b), &text, &err), CAIRN_E_DIGEST);
		b.ptr[i] ^= 1;
	}
}
