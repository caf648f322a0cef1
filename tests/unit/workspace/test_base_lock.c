/* cairn.lock. */
#include "harness.h"

#include "util/fs.h"
#include "workspace/workspace.h"

#define A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static struct digest digest(const char *text)
{
	struct digest d;
	struct cairn_err err;

	assert_ok(digest_parse(str_of(text), &d, &err));
	return d;
}

static const char *pinned(const struct base_lock *l, const char *name, struct digest_text *buf)
{
	const struct digest *d;
	struct reference ref;
	struct cairn_err err;

	assert_ok(reference_parse(str_of(name), &ref, &err));
	d = base_lock_find(l, &ref);
	if (!d)
		return "";
	*buf = digest_text(d);
	return buf->s;
}

void test_base_lock__round_trip(void **state)
{
	cleanup_base_lock struct base_lock *l = NULL, *again = NULL;
	struct digest a = digest(A), b = digest(B);
	cleanup_strbuf struct strbuf text, second;
	struct digest_text buf;
	struct cairn_err err;

	(void)state;
	assert_ok(base_lock_parse(S("# c\n\ndebian:12 " A "\r\n"), "cairn.lock", &l, &err));
	base_lock_set(l, S("docker.io/library/alpine:3"), &b);
	base_lock_set(l, S("quay.io/x/y:1"), &a);
	base_lock_set(l, S("quay.io/x/y:1"), &b);
	strbuf_init(&text, BASE_LOCK_MAX);
	strbuf_init(&second, BASE_LOCK_MAX);
	base_lock_encode(l, &text);
	assert_non_null(strstr(text.ptr,
	                       "\ndocker.io/library/alpine:3 " B "\ndocker.io/library/debian:12 " A
	                       "\nquay.io/x/y:1 " B "\n"));
	assert_ok(base_lock_parse(strbuf_view(&text), "cairn.lock", &again, &err));
	base_lock_encode(again, &second);
	assert_str(strbuf_view(&second), text.ptr);
	assert_string_equal(pinned(again, "debian:12", &buf), A);
	assert_string_equal(pinned(again, "debian", &buf), "");
	assert_string_equal(pinned(again, "debian:12@" B, &buf), "");
}

void test_base_lock__mistakes(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *say;
	} bad[] = {
		{ "debian:12\n", 1, "expected an image's name and a digest" },
		{ "\ndebian:12 sha256:12\n", 2, "expected an image's name and a digest" },
		{ "debian:12 sha256:"
		  "0000000000000000000000000000000000000000000000000000000000000000\n",
		  1, "is none" },
		{ "Debian:12 " A "\n", 1, "lower-case" },
		{ "debian@" A " " A "\n", 1, "cannot be pinned" },
		{ "debian:12 " A "\ndocker.io/library/debian:12 " B "\n", 2, "second time" },
		{ "<<<<<<< HEAD\n", 1, "expected an image's name" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct base_lock *l = NULL;
		struct cairn_err err = { 0 };

		assert_fails(base_lock_parse(str_of(bad[i].text), "cairn.lock", &l, &err),
		             CAIRN_E_SYNTAX);
		if (err.line != bad[i].line || !strstr(err.msg, bad[i].say))
			fail_msg("'%s' gave %u: %s", bad[i].text, err.line, err.msg);
	}
}

void test_base_lock__file(void **state)
{
	cleanup_free char *path = xasprintf("%s/cairn.lock", harness_dir());
	cleanup_base_lock struct base_lock *l = NULL, *again = NULL;
	struct digest a = digest(A);
	struct cairn_err err;

	(void)state;
	assert_ok(base_lock_read(path, &l, &err));
	assert_false(l->there);
	base_lock_set(l, S("docker.io/library/debian:12"), &a);
	assert_ok(base_lock_write(l, path, &err));
	assert_ok(base_lock_read(path, &again, &err));
	assert_true(again->there);
	assert_int_equal(again->lines.len, 1);
}
