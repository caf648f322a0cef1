/* One suite for every kind of remote cache; see world.h for where they come from. */
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cases.h"
#include "util/fs.h"

#define THREADS   8
#define PER_WRITE 6 /* entries of one thread */
#define MANY      10000
#define LOOK_UPS  20
#define REQUESTS  50 /* most for LOOK_UPS */
#define BIG       (20u << 20)

/* --- entries and blobs ------------------------------------------------------------- */

void test_cache__nothing_is_there(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct strbuf b cleanup_strbuf;
	struct remote_sink sink = { add_bytes, &b };
	struct digest key = key_of("k");
	struct descriptor blob = blob_of(S("blob"), MEDIA_OCI_LAYER);
	struct cairn_err err;
	bool there = true;
	char *version = NULL;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, 100);
	check_entry(r, &key, NULL);
	assert_ok(remote_pointer_get(r, &key, &b, &version, &there, &err));
	assert_false(there);
	assert_null(version);
	assert_ok(remote_blob_has(r, &blob, &there, &err));
	assert_false(there);
	assert_fails(remote_blob_get(r, &blob, &sink, &err), CAIRN_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, remote_name(r)));
	assert_fails(remote_blob_range(r, &blob, 1, 2, &sink, &err), CAIRN_E_NOT_FOUND);
	assert_int_equal(b.len, 0);
}

void test_cache__put_and_get(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL, *other = NULL;
	struct digest key = key_of("k"), bare = key_of("bare");
	struct strbuf b cleanup_strbuf;
	struct descriptor blobs[2];
	struct cairn_err err;
	bool there = false;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, 100);
	blobs[0] = put_text(r, "a layer");
	blobs[1] = put_text(r, "an index");
	blobs[1].media_type = S("application/vnd.example.index+zstd");
	assert_ok(keep_entry(r, &key, S("{\"text\":\"\\\"a\\u0001\xc3\xa4\"}"), blobs, 2, false,
	                     &err));
	put_entry(r, "bare", "{}");
	other = world_remote(&w, NULL, NULL);
	check_entry(other, &key, "{\"text\":\"\\\"a\\u0001\xc3\xa4\"}");
	check_entry(other, &bare, "{}");
	assert_ok(remote_blob_has(other, &blobs[1], &there, &err));
	assert_true(there);
	assert_ok(remote_blob_read(other, &blobs[0], &b, &err));
	assert_str(strbuf_view(&b), "a layer");
	if (w.kind == WORLD_REGISTRY)
		assert_string_equal(remote_repository(r), w.repository);
	else
		assert_null(remote_repository(r));
}

/* What is there is not sent again. */
#define LARGE (300u << 10) /* bytes of a blob that is worth a question */

void test_cache__blobs_are_sent_once(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	cleanup_free char *many = xcalloc(LARGE, 1);
	unsigned before;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	(void)put_text(r, "twice");
	before = world_requests(&w);
	(void)put_text(r, "twice");
	assert_in_range(world_requests(&w) - before, 0, 2); /* sent, or asked for */
	memset(many, 'x', LARGE - 1);
	(void)put_text(r, many);
	before = world_requests(&w);
	(void)put_text(r, many);
	assert_in_range(world_requests(&w) - before, 0, 1);
}

/* A file, larger than any buffer; read whole and in ranges. */
void test_cache__large_blob(void **state)
{
	static const struct {
		uint64_t offset, len;
	} ranges[] = { { 0, 1 }, { 1, 70000 }, { BIG - 5, 5 }, { 12345, 4u << 20 }, { BIG, 0 } };
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	cleanup_free char *bytes = xmalloc(BIG);
	struct strbuf b cleanup_strbuf;
	struct remote_sink sink = { add_bytes, &b };
	cleanup_fd int fd = -1;
	struct remote_source src;
	struct descriptor d;
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < BIG; i++)
		bytes[i] = (char)((i * 2654435761u) >> 13);
	harness_write("big", str_n(bytes, BIG));
	fd = openat(harness_dirfd(), "big", O_RDONLY | O_CLOEXEC);
	src = (struct remote_source){ .fd = fd };
	d = blob_of(str_n(bytes, BIG), MEDIA_OCI_LAYER "+zstd");
	strbuf_init(&b, BIG);
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	assert_ok(remote_blob_put(r, &d, &src, &err));
	assert_ok(remote_blob_get(r, &d, &sink, &err));
	assert_true(str_eq(strbuf_view(&b), str_n(bytes, BIG)));
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		strbuf_clear(&b);
		assert_ok(remote_blob_range(r, &d, ranges[i].offset, ranges[i].len, &sink, &err));
		assert_true(
			str_eq(strbuf_view(&b), str_n(bytes + ranges[i].offset, ranges[i].len)));
	}
	assert_fails(remote_blob_range(r, &d, BIG - 1, 2, &sink, &err), CAIRN_E_SYNTAX);
	assert_fails(remote_blob_range(r, &d, UINT64_MAX, 2, &sink, &err), CAIRN_E_SYNTAX);
}

/* An entry stays; a forced build's takes its place. */
void test_cache__entries_stay_until_replaced(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest key = key_of("k");
	struct cairn_err err;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	put_entry(r, "k", "{\"n\":1}");
	put_entry(r, "k", "{\"n\":2}");
	if (w.conditions || w.kind == WORLD_REGISTRY)
		check_entry(r, &key, "{\"n\":1}");
	assert_ok(keep_entry(r, &key, S("{\"n\":3}"), NULL, 0, true, &err));
	check_entry(r, &key, "{\"n\":3}");
}

/* Who comes second is told what stays; what it has brought is not the entry's. */
void test_cache__who_comes_second_knows(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest key = key_of("k");
	struct remote_put one = { .entry = S("{\"n\":1}") }, two = { .entry = S("{\"n\":2}") };
	struct strbuf there cleanup_strbuf;
	struct cairn_err err;
	bool lost = true;

	(void)state;
	world_open(&w, NULL);
	strbuf_init(&there, REMOTE_ENTRY_MAX);
	if (w.kind == WORLD_S3 && !w.conditions)
		skip();
	r = world_remote(&w, NULL, NULL);
	assert_ok(remote_entry_put(r, &key, &one, &there, &lost, &err));
	assert_false(lost);
	assert_ok(remote_entry_put(r, &key, &one, &there, &lost, &err));
	assert_false(lost);
	strbuf_clear(&there);
	assert_ok(remote_entry_put(r, &key, &two, &there, &lost, &err));
	assert_true(lost);
	assert_str(strbuf_view(&there), "{\"n\":1}");
	world_write_entry(&w, &key, S("{\"n\":"));
	strbuf_clear(&there);
	assert_ok(remote_entry_put(r, &key, &two, &there, &lost, &err));
	assert_false(lost);
	check_entry(r, &key, "{\"n\":2}");
}

/* A question beforehand changes nothing: what is there stays, also when it came in between. */
void test_cache__what_is_expected_is_still_looked_at(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct digest key = key_of("k"), other = key_of("other");
	struct remote_put one = { .entry = S("{\"n\":1}") }, two = { .entry = S("{\"n\":2}") };
	struct strbuf there cleanup_strbuf;
	struct cairn_err err;
	bool lost = true;

	(void)state;
	world_open(&w, NULL);
	strbuf_init(&there, REMOTE_ENTRY_MAX);
	if (w.kind == WORLD_S3 && !w.conditions)
		skip();
	r = world_remote(&w, NULL, NULL);
	assert_ok(remote_entry_expect(r, &key, &err));
	assert_ok(remote_entry_put(r, &key, &one, &there, &lost, &err));
	assert_false(lost);
	assert_ok(remote_entry_put(r, &key, &two, &there, &lost, &err)); /* ours came in between */
	assert_true(lost);
	strbuf_clear(&there);
	assert_ok(remote_entry_expect(r, &key, &err)); /* it is there */
	assert_ok(remote_entry_put(r, &key, &two, &there, &lost, &err));
	assert_true(lost);
	check_entry(r, &key, "{\"n\":1}");
	strbuf_clear(&there);
	assert_ok(remote_entry_put(r, &other, &two, &there, &lost, &err)); /* another is */
	assert_false(lost);
}

/* --- scopes ------------------------------------------------------------------------- */

void test_cache__scopes(void **state)
{
	static const char *const from_main[] = { "main", "", NULL };
	static const char *const none[] = { NULL };
	static const char long_name[] =
		"feature/a-branch-whose-name-goes-on-and-on-and-on-and-on-1";
	static const char long_other[] =
		"feature/a-branch-whose-name-goes-on-and-on-and-on-and-on-2";
	struct world w cleanup_world;
	struct remote *remotes[7];
	const char *const names[] = { "main",    "pr/1",     "pr_1", "pr/\xc3\xa9",
		                      long_name, long_other, ".." };
	struct digest key = key_of("k"), other = key_of("other"), old = key_of("old");

	(void)state;
	world_open(&w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		remotes[i] = world_remote(&w, names[i], i ? from_main : none);
	put_entry(remotes[0], "k", "\"of main\"");
	for (size_t i = 1; i < ARRAY_SIZE(names); i++)
		check_entry(remotes[i], &key, "\"of main\"");
	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *text = xasprintf("\"of %zu\"", i);

		put_entry(remotes[i], "k", text);
		put_entry(remotes[i], "other", text);
	}
	for (size_t i = 1; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *text = xasprintf("\"of %zu\"", i);

		check_entry(remotes[i], &key, text);
		check_entry(remotes[i], &other, text);
	}
	/* A pull request never writes what main reads. */
	check_entry(remotes[0], &key, "\"of main\"");
	check_entry(remotes[0], &other, NULL);
	check_entry(remotes[1], &old, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		remote_free(remotes[i]);
}

/* Fallbacks are asked in order, and the default scope can be one. */
void test_cache__scope_order(void **state)
{
	static const char *const read[] = { "b", "", NULL };
	struct world w cleanup_world;
	cleanup_remote struct remote *all = NULL, *b = NULL, *def = NULL;
	struct digest key = key_of("k");

	(void)state;
	world_open(&w, NULL);
	all = world_remote(&w, "a", read);
	b = world_remote(&w, "b", NULL);
	def = world_remote(&w, NULL, NULL);
	check_entry(all, &key, NULL);
	put_entry(def, "k", "\"default\"");
	check_entry(all, &key, "\"default\"");
	check_entry(b, &key, NULL);
	put_entry(b, "k", "\"b\"");
	check_entry(all, &key, "\"b\"");
	put_entry(all, "k", "\"a\"");
	check_entry(all, &key, "\"a\"");
	check_entry(def, &key, "\"default\"");
}

/* --- several writers ----------------------------------------------------------------- */

struct writer {
	struct remote *r;
	unsigned id;
	int rc;
	struct cairn_err err;
};

static int write_one(struct writer *t, const char *key, unsigned i)
{
	cleanup_free char *text = xasprintf("{\"writer\":%u,\"n\":%u}", t->id, i);
	struct remote_source src = { .fd = -1, .bytes = str_of(text) };
	struct descriptor blob = blob_of(src.bytes, MEDIA_OCI_LAYER "+zstd");
	struct digest k = key_of(key);

	TRY(remote_blob_put(t->r, &blob, &src, &t->err));
	return keep_entry(t->r, &k, src.bytes, &blob, 1, false, &t->err);
}

static void *write_all(void *arg)
{
	struct writer *t = arg;

	for (unsigned i = 0; i < PER_WRITE && t->rc == 0; i++) {
		cleanup_free char *own = xasprintf("own %u %u", t->id, i);
		cleanup_free char *shared = xasprintf("shared %u", i);

		t->rc = write_one(t, own, i);
		if (t->rc == 0)
			t->rc = write_one(t, shared, i);
	}
	return NULL;
}

/* THREADS threads that begin with that id; a failure is told. */
static bool run_writers(struct remote *r, unsigned first)
{
	pthread_t threads[THREADS];
	struct writer writers[THREADS];
	bool good = true;

	for (unsigned i = 0; i < THREADS; i++) {
		writers[i] = (struct writer){ .r = r, .id = first + i };
		if (pthread_create(&threads[i], NULL, write_all, &writers[i]) != 0)
			CAIRN_BUG("no thread");
	}
	for (unsigned i = 0; i < THREADS; i++) {
		(void)pthread_join(threads[i], NULL);
		if (writers[i].rc < 0) {
			(void)fprintf(stderr, "writer %u: %s\n", first + i, writers[i].err.msg);
			good = false;
		}
	}
	return good;
}

/* A process of its own, with clients of its own. */
static pid_t start_writers(const char *place, unsigned first)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct world w;
		struct remote *r;
		bool good;

		world_open(&w, place);
		r = world_remote(&w, NULL, NULL);
		good = run_writers(r, first);
		remote_free(r);
		world_done(&w);
		_exit(good ? 0 : 1);
	}
	return pid;
}

/* Nobody's entry is lost; where several wrote, one of them is there, with its blob. */
void test_cache__many_writers(void **state)
{
	cleanup_free char *place = fs_random_name("writers-");
	cleanup_remote struct remote *r = NULL;
	struct world w cleanup_world;
	struct cairn_err err;
	pid_t pids[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++)
		pids[i] = start_writers(place, i * THREADS);
	for (unsigned i = 0; i < 2; i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	world_open(&w, place);
	r = world_remote(&w, NULL, NULL);
	for (unsigned i = 0; i < PER_WRITE; i++) {
		cleanup_free char *shared = xasprintf("shared %u", i);
		struct digest key = key_of(shared);
		struct strbuf b cleanup_strbuf;
		struct descriptor blob;
		bool there = false;

		strbuf_init(&b, REMOTE_ENTRY_MAX);
		assert_ok(remote_entry_get(r, &key, &b, &there, &err));
		assert_true(there);
		blob = blob_of(strbuf_view(&b), MEDIA_OCI_LAYER);
		assert_ok(remote_blob_has(r, &blob, &there, &err));
		assert_true(there);
		for (unsigned id = 0; id < 2 * THREADS; id++) {
			cleanup_free char *own = xasprintf("own %u %u", id, i);
			cleanup_free char *text = xasprintf("{\"writer\":%u,\"n\":%u}", id, i);
			struct digest k = key_of(own);

			check_entry(r, &k, text);
		}
	}
}

/* --- what is lost, damaged or too large ----------------------------------------------- */

void test_cache__entry_without_its_blob(void **state)
{
	struct descriptor never = blob_of(S("never put"), MEDIA_OCI_LAYER "+zstd");
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL, *other = NULL;
	struct digest key = key_of("k");
	struct remote_pointer pointer;
	struct descriptor lost;
	bool there;
	struct cairn_err err;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	put_entry(r, "first", "{}");
	assert_fails(keep_entry(r, &key, S("{}"), &never, 1, false, &err), CAIRN_E_NOT_FOUND);
	check_entry(r, &key, NULL);
	lost = put_text(r, "to be lost");
	world_lose_blob(&w, &lost);
	other = world_remote(&w, NULL, NULL);
	assert_fails(keep_entry(other, &key, S("{}"), &lost, 1, true, &err), CAIRN_E_NOT_FOUND);
	pointer = (struct remote_pointer){ S("{}"), &lost, 1, NULL, REMOTE_LOOK_BEFORE };
	assert_fails(remote_pointer_put(other, &key, &pointer, &there, &err), CAIRN_E_NOT_FOUND);
	check_entry(other, &key, NULL);
	lost = put_text(other, "to be lost"); /* and once more */
	assert_ok(keep_entry(other, &key, S("{}"), &lost, 1, false, &err));
	check_entry(other, &key, "{}");
}

void test_cache__corrupt_blob(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	struct strbuf b cleanup_strbuf;
	struct descriptor blob;
	struct cairn_err err;
	bool there = true;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, 100);
	blob = put_text(r, w.place); /* a registry shares blobs between repositories */
	world_corrupt_blob(&w, &blob);
	assert_fails(remote_blob_read(r, &blob, &b, &err), CAIRN_E_DIGEST);
	assert_int_equal(b.len, 0);
	assert_ok(remote_blob_has(r, &blob, &there, &err)); /* as good as not there */
	assert_false(there);
	(void)put_text(r, w.place);
	if (w.kind == WORLD_REGISTRY)
		return; /* docker-registry keeps what it has */
	assert_ok(remote_blob_read(r, &blob, &b, &err));
	assert_str(strbuf_view(&b), w.place);
}

/* What was cut short is no entry, and makes way for a whole one. */
void test_cache__truncated_entry(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct digest key = key_of("k");
	struct strbuf b cleanup_strbuf;
	struct remote_entry e;
	struct cairn_err err;
	bool found = false;
	int rc;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, REMOTE_ENTRY_MAX);
	put_entry(r, "first", "{}");
	world_write_entry(&w, &key, S("{\"version\":1,\"rec"));
	rc = remote_entry_get(r, &key, &b, &found, &err);
	if (rc == 0 && found)
		rc = remote_entry_decode(strbuf_view(&b), a, &e, &err);
	assert_fails(rc, CAIRN_E_DIGEST);
	put_entry(r, "k", "{\"whole\":true}");
	check_entry(r, &key, "{\"whole\":true}");
}

void test_cache__bounds(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	cleanup_free char *large = xmalloc(REMOTE_ENTRY_MAX + 1000);
	struct digest key = key_of("k"), big = key_of("big");
	struct strbuf b cleanup_strbuf, small cleanup_strbuf;
	struct descriptor blob;
	struct cairn_err err;
	bool found;

	(void)state;
	world_open(&w, NULL);
	r = world_remote(&w, NULL, NULL);
	strbuf_init(&b, REMOTE_ENTRY_MAX);
	strbuf_init(&small, 3);
	memset(large, 'x', REMOTE_ENTRY_MAX + 1000);
	large[0] = large[REMOTE_ENTRY_MAX - 1] = '"';
	assert_fails(keep_entry(r, &key, str_n(large, REMOTE_ENTRY_MAX + 1), NULL, 0, false, &err),
	             CAIRN_E_SYNTAX);
	assert_fails(keep_entry(r, &key, str_n("\"\0\"", 3), NULL, 0, false, &err), CAIRN_E_SYNTAX);
	assert_fails(keep_entry(r, &key, S("\"\xff\""), NULL, 0, false, &err), CAIRN_E_SYNTAX);
	check_entry(r, &key, NULL);
	assert_ok(keep_entry(r, &big, str_n(large, REMOTE_ENTRY_MAX), NULL, 0, false, &err));
	assert_ok(remote_entry_get(r, &big, &b, &found, &err));
	assert_true(found && str_eq(strbuf_view(&b), str_n(large, REMOTE_ENTRY_MAX)));
	/* Somebody else's, too large. */
	strbuf_clear(&b);
	world_write_entry(&w, &key, str_n(large, REMOTE_ENTRY_MAX + 1000));
	assert_fails(remote_entry_get(r, &key, &b, &found, &err), CAIRN_E_SYNTAX);
	assert_int_equal(b.len, 0);
	blob = put_text(r, "four");
	assert_fails(remote_blob_read(r, &blob, &small, &err), CAIRN_E_SYNTAX);
}

/* --- pointers --------------------------------------------------------------------------- */

void test_cache__pointers(void **state)
{
	struct world w cleanup_world;

	(void)state;
	world_open(&w, NULL);
	check_pointers(&w);
}

void test_cache__pointer_of_many_writers(void **state)
{
	struct world w cleanup_world;

	(void)state;
	world_open(&w, NULL);
	check_counter(&w, w.conditions);
}

/* --- much ----------------------------------------------------------------------------- */

void test_cache__ten_thousand_entries(void **state)
{
	struct world w cleanup_world;
	cleanup_remote struct remote *r = NULL;
	unsigned before;

	(void)state;
	world_open(&w, "seed");
	world_seed(&w, MANY, MANY / LOOK_UPS);
	r = world_remote(&w, NULL, NULL);
	before = world_requests(&w);
	for (unsigned i = 0; i < LOOK_UPS; i++) {
		cleanup_free char *text = xasprintf("{\"n\":%u}", i * (MANY / LOOK_UPS));
		struct digest key = world_key(i * (MANY / LOOK_UPS));

		check_entry(r, &key, text);
	}
	assert_in_range(world_requests(&w) - before, 0, REQUESTS);
	for (unsigned i = 0; i < LOOK_UPS; i++) {
		struct digest key = world_key(MANY + i);

		check_entry(r, &key, NULL);
	}
	assert_in_range(world_requests(&w) - before, 0, 2 * REQUESTS);
}

/* --- a directory's ------------------------------------------------------------------------ */

void test_cache__directory_only_read(void **state)
{
	cleanup_free char *path = xasprintf("%s/none/there", harness_dir());
	cleanup_remote struct remote *r = NULL;
	struct remote_source src = { .fd = -1, .bytes = S("x") };
	struct descriptor blob = blob_of(src.bytes, MEDIA_OCI_LAYER);
	struct digest key = key_of("k");
	struct cairn_err err;

	(void)state;
	assert_ok(remote_open_dir(path, NULL, true, &r, &err));
	check_entry(r, &key, NULL);
	assert_fails(keep_entry(r, &key, S("{}"), NULL, 0, false, &err), CAIRN_E_DENIED);
	assert_fails(remote_blob_put(r, &blob, &src, &err), CAIRN_E_DENIED);
	assert_int_not_equal(access(path, F_OK), 0);
}
