#include "cases.h"

#include <pthread.h>

#include "util/num.h"

struct digest key_of(const char *text)
{
	return digest_of(text, strlen(text));
}

struct descriptor blob_of(str bytes, const char *type)
{
	return (struct descriptor){ .media_type = str_of(type),
		                    .digest = digest_of(bytes.ptr, bytes.len),
		                    .size = bytes.len };
}

struct descriptor put_text(struct remote *r, const char *text)
{
	struct remote_source src = { .fd = -1, .bytes = str_of(text) };
	struct descriptor d = blob_of(src.bytes, MEDIA_OCI_LAYER "+zstd");
	struct cairn_err err;

	assert_ok(remote_blob_put(r, &d, &src, &err));
	return d;
}

void check_entry(struct remote *r, const struct digest *key, const char *want)
{
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	bool found = false;

	strbuf_init(&b, REMOTE_ENTRY_MAX);
	assert_ok(remote_entry_get(r, key, &b, &found, &err));
	if (found != (want != NULL))
		fail_msg("entry is '%.*s', not '%s'", STR(strbuf_view(&b)), want ? want : "(none)");
	if (want)
		assert_str(strbuf_view(&b), want);
}

int keep_entry(struct remote *r, const struct digest *key, str entry,
               const struct descriptor *blobs, size_t n, bool replace, struct cairn_err *err)
{
	struct remote_put put = { entry, blobs, n, replace };
	struct strbuf there cleanup_strbuf;
	bool lost;

	strbuf_init(&there, REMOTE_ENTRY_MAX);
	return remote_entry_put(r, key, &put, &there, &lost, err);
}

void put_entry(struct remote *r, const char *key, const char *text)
{
	struct digest k = key_of(key);
	struct cairn_err err;

	assert_ok(keep_entry(r, &k, str_of(text), NULL, 0, false, &err));
}

int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

/* --- pointers ----------------------------------------------------------------------- */

/* The pointer holds that, in r's own scope when `own`; *ret_version (owned) may be NULL. */
static void check_pointer(struct remote *r, const char *want, bool own, char **ret_version)
{
	struct digest name = key_of("pointer");
	struct strbuf b cleanup_strbuf;
	cleanup_free char *version = NULL;
	struct cairn_err err;
	bool found = false;

	strbuf_init(&b, REMOTE_POINTER_MAX);
	assert_ok(remote_pointer_get(r, &name, &b, &version, &found, &err));
	assert_int_equal(found, want != NULL);
	assert_int_equal(version != NULL, own && found);
	if (want)
		assert_str(strbuf_view(&b), want);
	if (ret_version)
		*ret_version = steal_ptr(&version);
}

static bool put_looking(struct remote *r, const char *text, const char *version,
                        enum remote_look look)
{
	struct remote_pointer p = { str_of(text), NULL, 0, version, look };
	struct digest name = key_of("pointer");
	struct cairn_err err;
	bool lost = false;

	assert_ok(remote_pointer_put(r, &name, &p, &lost, &err));
	return !lost;
}

static bool put_pointer(struct remote *r, const char *text, const char *version)
{
	return put_looking(r, text, version, REMOTE_LOOK_BEFORE);
}

/* Values that are put without a question before. */
static void check_looks(struct remote *r)
{
	static const struct {
		enum remote_look look;
		const char *text;
	} values[] = { { REMOTE_LOOK_AFTER, "five" },
		       { REMOTE_LOOK_NEVER, "six" },
		       { REMOTE_LOOK_NEVER, "seven" },
		       { REMOTE_LOOK_AFTER, "eight" } };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		cleanup_free char *version = NULL;

		check_pointer(r, i ? values[i - 1].text : "four", true, &version);
		assert_true(put_looking(r, values[i].text, version, values[i].look));
		check_pointer(r, values[i].text, true, NULL);
	}
}

void check_pointers(struct world *w)
{
	static const char *const from_main[] = { "", NULL };
	cleanup_remote struct remote *r = world_remote(w, NULL, NULL);
	cleanup_remote struct remote *pr = world_remote(w, "pr", from_main);
	cleanup_free char *first = NULL, *second = NULL, *third = NULL;
	bool exact = w->conditions || w->kind == WORLD_REGISTRY; /* one after the other */

	check_pointer(r, NULL, true, NULL);
	assert_true(put_pointer(r, "one", NULL));
	check_pointer(r, "one", true, &first);
	check_pointer(pr, "one", false, NULL);
	if (exact)
		assert_false(put_pointer(r, "again", NULL));
	assert_true(put_pointer(r, "two", first));
	check_pointer(r, "two", true, &second);
	if (exact)
		assert_false(put_pointer(r, "lost", first));
	check_pointer(r, "two", true, NULL);
	assert_true(put_pointer(r, "three", second));
	check_pointer(r, "three", true, &third);
	assert_true(put_pointer(r, "four", third));
	check_pointer(r, "four", true, NULL);
	assert_true(put_pointer(pr, "of pr", NULL));
	check_pointer(pr, "of pr", true, NULL);
	check_pointer(r, "four", true, NULL);
	check_looks(r);
}

struct counter {
	struct remote *r;
	unsigned id;
	int rc;
	struct cairn_err err;
};

/* "7 of 2": the counter, and who wrote it: two counters must not write the same. */
static int read_counter(str text, uint64_t *ret, struct cairn_err *err)
{
	str number, rest;

	(void)str_cut(text, ' ', &number, &rest);
	return num_u64(number, 1000, ret, err);
}

/* A counter that several threads raise; where writes have conditions no step is lost. */
static void *raise_counter(void *arg)
{
	struct counter *t = arg;
	struct digest name = key_of("counter");

	for (unsigned done = 0; done < RAISES;) {
		cleanup_free char *version = NULL, *text = NULL;
		struct strbuf b cleanup_strbuf;
		struct remote_pointer p = { 0 };
		bool found = false, lost = false;
		uint64_t n = 0;

		strbuf_init(&b, 100);
		t->rc = remote_pointer_get(t->r, &name, &b, &version, &found, &t->err);
		if (t->rc == 0 && found)
			t->rc = read_counter(strbuf_view(&b), &n, &t->err);
		text = xasprintf("%llu of %u", (unsigned long long)n + 1, t->id);
		p = (struct remote_pointer){ str_of(text), NULL, 0, version, REMOTE_LOOK_BEFORE };
		if (t->rc == 0)
			t->rc = remote_pointer_put(t->r, &name, &p, &lost, &t->err);
		if (t->rc < 0)
			return NULL;
		done += !lost;
	}
	return NULL;
}

void check_counter(struct world *w, bool exact)
{
	cleanup_remote struct remote *r = world_remote(w, NULL, NULL);
	struct digest name = key_of("counter");
	cleanup_free char *version = NULL;
	struct counter counters[4];
	pthread_t threads[4];
	struct strbuf b cleanup_strbuf;
	struct cairn_err err;
	bool found = false;
	uint64_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(threads); i++) {
		counters[i] = (struct counter){ .r = r, .id = (unsigned)i };
		assert_int_equal(pthread_create(&threads[i], NULL, raise_counter, &counters[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		(void)pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		if (counters[i].rc < 0)
			fail_msg("%s", counters[i].err.msg);
	strbuf_init(&b, 100);
	assert_ok(remote_pointer_get(r, &name, &b, &version, &found, &err));
	assert_true(found);
	assert_ok(read_counter(strbuf_view(&b), &n, &err));
	if (exact)
		assert_int_equal(n, ARRAY_SIZE(threads) * RAISES);
	else
		assert_in_range(n, RAISES, ARRAY_SIZE(threads) * RAISES);
}
