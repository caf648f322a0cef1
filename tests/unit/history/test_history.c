/* Records of builds: kept, found, carried to another machine. */
#include "harness.h"

#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include "history/history.h"
#include "util/clock.h"

static struct history *open_in(const char *dir, bool read_only)
{
	cleanup_free char *path = xasprintf("%s/%s", harness_dir(), dir);
	struct history *h = NULL;
	struct cairn_err err;

	assert_ok(history_open(path, read_only, &h, &err));
	return h;
}

static struct history_build sample(struct history_step *steps, size_t n)
{
	struct history_build b = { .time = 1000,
		                   .image = S("app"),
		                   .category = S("heavy"),
		                   .base = S("debian:12"),
		                   .input = digest_of("x", 1),
		                   .outcome = HISTORY_MEMORY,
		                   .runner = { .name = S("large"),
		                               .driver = S("codebuild"),
		                               .spot = true,
		                               .cpus = 8,
		                               .memory = 1ull << 34,
		                               .arch = S("amd64") },
		                   .wall_ns = 77,
		                   .memory = 5,
		                   .steps = steps,
		                   .n_steps = n };

	return b;
}

static void check_sample(const struct history_build *b)
{
	assert_str(b->image, "app");
	assert_str(b->runner.name, "large");
	assert_int_equal(b->outcome, HISTORY_MEMORY);
	assert_true(b->runner.spot);
	assert_int_equal(b->runner.cpus, 8);
	assert_int_equal(b->wall_ns, 77);
	assert_int_equal(b->n_steps, 2);
	assert_str(b->steps[1].name, "[2/2] RUN \"make\"\n\\");
	assert_int_equal(b->steps[1].cpu_ns, 9);
	assert_true(digest_eq(&b->input, &(struct digest){ 0 }) == false);
}

static struct history_step steps[] = {
	{ .name = { "[1/2] FROM x", 12 }, .kind = { "from", 4 }, .hit = true },
	{ .name = { "[2/2] RUN \"make\"\n\\", 18 },
	  .kind = { "run", 3 },
	  .wall_ns = 8,
	  .cpu_ns = 9 },
};

void test_history__kept_and_found(void **state)
{
	cleanup_history struct history *h = open_in("home", false);
	cleanup_arena struct arena *a = arena_new();
	struct history_build b = sample(steps, 2), *got;
	struct cairn_err err;
	size_t n;

	(void)state;
	assert_ok(history_add(h, &b, &err));
	b.image = S("other");
	b.time = 2000;
	assert_ok(history_add(h, &b, &err));
	assert_ok(history_find(h, &(struct history_query){ .steps = true }, a, &got, &n, &err));
	assert_int_equal(n, 2);
	assert_str(got[0].image, "other");
	check_sample(&got[1]);
	assert_ok(history_find(h, &(struct history_query){ .image = S("app") }, a, &got, &n, &err));
	assert_int_equal(n, 1);
	assert_int_equal(got[0].n_steps, 0);
	assert_ok(history_find(h, &(struct history_query){ .since = 1500 }, a, &got, &n, &err));
	assert_int_equal(n, 1);
	assert_ok(history_find(h, &(struct history_query){ .limit = 1 }, a, &got, &n, &err));
	assert_int_equal(n, 1);
	assert_str(got[0].image, "other");
}

void test_history__read_only(void **state)
{
	cleanup_history struct history *h = open_in("nowhere", true);
	cleanup_arena struct arena *a = arena_new();
	struct history_build b = sample(steps, 2), *got;
	struct cairn_err err;
	size_t n;

	(void)state;
	assert_ok(history_find(h, &(struct history_query){ 0 }, a, &got, &n, &err));
	assert_int_equal(n, 0);
	assert_int_equal(history_add(h, &b, &err), CAIRN_E_DENIED);
}

void test_history__travels(void **state)
{
	cleanup_history struct history *one = open_in("one", false), *two = open_in("two", false);
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf lines;
	struct history_build b = sample(steps, 2), *got;
	struct cairn_err err;
	size_t n, added;

	(void)state;
	strbuf_init(&lines, 1u << 20);
	assert_ok(history_add(one, &b, &err));
	assert_ok(history_export(one, &(struct history_query){ 0 }, &lines, &err));
	assert_ok(history_merge(two, strbuf_view(&lines), &added, &err));
	assert_int_equal(added, 1);
	assert_ok(history_merge(two, strbuf_view(&lines), &added, &err));
	assert_int_equal(added, 0);
	assert_ok(history_find(two, &(struct history_query){ .steps = true }, a, &got, &n, &err));
	assert_int_equal(n, 1);
	check_sample(&got[0]);
}

/* Who sent a build knows what it waited for and what it cost, the build what it did. */
void test_history__attempt_told_twice(void **state)
{
	cleanup_history struct history *h = open_in("attempts", false);
	cleanup_arena struct arena *a = arena_new();
	struct history_build build = sample(steps, 2), sent = sample(NULL, 0), *got;
	struct history_query q = { .steps = true };
	struct cairn_err err;
	size_t n;

	(void)state;
	build.attempt = sent.attempt = S("a1");
	build.outcome = HISTORY_OK;
	sent.sender = true;
	sent.wall_ns = 99;
	sent.queue_ns = 30;
	sent.cost = 7;
	sent.predicted_ns = 80;
	sent.fallback = S("out of memory on small");
	assert_ok(history_add(h, &sent, &err));
	assert_ok(history_find(h, &q, a, &got, &n, &err));
	assert_int_equal(n, 1); /* alone it counts */
	assert_int_equal(got[0].wall_ns, 99);
	assert_ok(history_add(h, &build, &err));
	assert_ok(history_find(h, &q, a, &got, &n, &err));
	assert_int_equal(n, 1);
	check_sample(&got[0]); /* also its outcome: who sent it saw it end badly */
	assert_int_equal(got[0].queue_ns, 30);
	assert_int_equal(got[0].cost, 7);
	assert_int_equal(got[0].predicted_ns, 80);
	assert_str(got[0].fallback, "out of memory on small");
	/* a parent that the same machine built, and another attempt */
	build.image = S("parent");
	assert_ok(history_add(h, &build, &err));
	sent.attempt = S("a2");
	assert_ok(history_add(h, &sent, &err));
	assert_ok(history_find(h, &q, a, &got, &n, &err));
	assert_int_equal(n, 3);
}

static void sql(const char *dir, const char *text)
{
	cleanup_free char *path = xasprintf("%s/%s/history.sqlite", harness_dir(), dir);
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* A history with a record, without the columns that the first version of the file did not have. */
static void make_older(const char *dir)
{
	struct history *h = open_in(dir, false);
	struct history_build b = sample(steps, 2);
	struct cairn_err err;

	assert_ok(history_add(h, &b, &err));
	history_close(h);
	sql(dir, "DROP INDEX build_attempt; ALTER TABLE build DROP COLUMN attempt;"
	         "ALTER TABLE build DROP COLUMN sender; PRAGMA user_version=1");
}

void test_history__of_the_first_version(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	struct history_build b = sample(steps, 2), *got;
	struct history_query q = { .steps = true };
	struct cairn_err err;
	size_t n;

	(void)state;
	make_older("older");
	for (int read_only = 1; read_only >= 0; read_only--) {
		cleanup_history struct history *h = open_in("older", read_only);

		assert_ok(history_find(h, &q, a, &got, &n, &err));
		assert_int_equal(n, 1);
		check_sample(&got[0]);
		if (read_only)
			assert_fails(history_add(h, &b, &err), CAIRN_E_DENIED);
	}
}

/* --- several processes ------------------------------------------------------------------ */

static size_t count(const char *dir)
{
	cleanup_history struct history *h = open_in(dir, true);
	cleanup_arena struct arena *a = arena_new();
	struct history_build *got;
	struct cairn_err err;
	size_t n;

	assert_ok(history_find(h, &(struct history_query){ .steps = true }, a, &got, &n, &err));
	return n;
}

#define WRITERS 6
#define EACH    10

/* A process that reads and adds, each time as a command of its own does. */
static void add_some(const char *dir)
{
	struct history_build b = sample(steps, 2), *got;
	struct cairn_err err = { 0 };
	int r = 0;

	for (int i = 0; i < EACH && r == 0; i++) {
		cleanup_arena struct arena *a = arena_new();
		cleanup_history struct history *h = NULL, *reads = NULL;
		size_t n;

		r = history_open(dir, true, &reads, &err);
		if (r == 0)
			r = history_find(reads, &(struct history_query){ 0 }, a, &got, &n, &err);
		if (r == 0)
			r = history_open(dir, false, &h, &err);
		if (r == 0)
			r = history_add(h, &b, &err);
	}
	if (r < 0)
		(void)fprintf(stderr, "%s\n", err.msg);
	_exit(r < 0);
}

/* Nobody's record is lost, neither where the file is made nor where it is one of the first version.
 */
void test_history__many_at_once(void **state)
{
	static const char *const dirs[] = { "fresh", "older" };

	(void)state;
	make_older("older");
	for (size_t d = 0; d < ARRAY_SIZE(dirs); d++) {
		cleanup_free char *path = xasprintf("%s/%s", harness_dir(), dirs[d]);
		pid_t pids[WRITERS];

		for (size_t i = 0; i < WRITERS; i++) {
			pids[i] = fork();
			assert_true(pids[i] >= 0);
			if (pids[i] == 0)
				add_some(path);
		}
		for (size_t i = 0; i < WRITERS; i++) {
			int status;

			assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
			assert_int_equal(status, 0);
		}
		assert_int_equal(count(dirs[d]), WRITERS * EACH + d);
	}
}

/* What was written when its process was killed is taken back, also by who only reads. */
void test_history__killed(void **state)
{
	struct history *h = open_in("killed", false);
	struct history_build b = sample(steps, 2);
	struct cairn_err err;
	pid_t pid;
	int status;

	(void)state;
	assert_ok(history_add(h, &b, &err));
	history_close(h);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		cleanup_free char *path = xasprintf("%s/killed/history.sqlite", harness_dir());
		sqlite3 *db;

		_exit(sqlite3_open(path, &db) != SQLITE_OK ||
		      sqlite3_exec(db,
		                   "PRAGMA cache_size=2; BEGIN IMMEDIATE; DELETE FROM step;"
		                   "CREATE TABLE more(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION"
		                   " SELECT i + 1 FROM n WHERE i < 500) INSERT INTO more SELECT"
		                   " zeroblob(1000) FROM n; DELETE FROM build",
		                   NULL, NULL, NULL) != SQLITE_OK);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(count("killed"), 1);
}

/* One that is made at this moment has nothing yet. */
void test_history__empty_file(void **state)
{
	(void)state;
	harness_write("made/history.sqlite", S(""));
	assert_int_equal(count("made"), 0);
}

#define ID "\"id\":\"0123456789abcdef0123456789abcdef\""

void test_history__damaged_lines(void **state)
{
	static const struct {
		const char *line;
		size_t added;
	} cases[] = {
		{ "", 0 },
		{ "{", 0 },
		{ "[]", 0 },
		{ "{\"v\":2}", 0 },
		{ "{\"v\":1," ID "}", 0 }, /* of an older cairn */
		{ "{\"v\":2,\"id\":\"00000000000000000000000000000000\"}", 0 },
		{ "{\"v\":2,\"id\":\"0123\"}", 0 },
		{ "{\"v\":2," ID ",\"wall_ns\":-1}", 0 },
		{ "{\"v\":2," ID ",\"wall_ns\":1.5}", 0 },
		{ "{\"v\":2," ID ",\"cpus\":9999999999}", 0 },
		{ "{\"v\":2," ID ",\"outcome\":\"odd\"}", 0 },
		{ "{\"v\":2," ID ",\"input\":\"sha256:0\"}", 0 },
		{ "{\"v\":2," ID ",\"steps\":[1]}", 0 },
		{ "{\"v\":2," ID ",\"image\":7}", 0 },
		{ "garbage\n\n{\"v\":2," ID ",\"image\":\"a\",\"later\":1}\ngarbage", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_history struct history *h = open_in("home", false);
		struct cairn_err err;
		size_t added;

		assert_ok(history_merge(h, str_of(cases[i].line), &added, &err));
		assert_int_equal(added, cases[i].added);
	}
}

void test_history__damaged_file(void **state)
{
	struct history *h = NULL;
	struct cairn_err err;

	(void)state;
	harness_write("history.sqlite", S("this is no database at all, is it"));
	assert_fails(history_open(harness_dir(), false, &h, &err), CAIRN_E_DIGEST);
	assert_null(h);
}

/* 1,000 builds of 20 steps within 0.2 s; the bound here is for a busy machine. */
void test_history__large(void **state)
{
	cleanup_history struct history *h = open_in("home", false);
	cleanup_arena struct arena *a = arena_new();
	struct history_step many[20];
	cleanup_strbuf struct strbuf lines;
	struct history_build b, *got;
	struct cairn_err err;
	size_t n, added;
	int64_t start;

	(void)state;
	for (size_t i = 0; i < 20; i++)
		many[i] = steps[1];
	b = sample(many, 20);
	strbuf_init(&lines, 64u << 20);
	assert_ok(history_add(h, &b, &err));
	assert_ok(history_export(h, &(struct history_query){ 0 }, &lines, &err));
	strbuf_clear(&lines);
	for (unsigned i = 1; i <= 1000; i++) {
		b.time = i;
		if (i <= 3)
			assert_ok(history_add(h, &b, &err));
		strbuf_printf(&lines,
		              "{\"v\":2,\"id\":\"%032x\",\"image\":\"i\",\"time\":%u,\"steps\":[",
		              i, i);
		for (unsigned k = 0; k < 20; k++)
			strbuf_printf(
				&lines,
				"%s{\"name\":\"[%u/20] RUN make\",\"kind\":\"run\",\"wall_ns\":%u}",
				k ? "," : "", k, k * 1000);
		strbuf_cstr(&lines, "]}\n");
	}
	assert_ok(history_merge(h, strbuf_view(&lines), &added, &err));
	assert_int_equal(added, 1000);
	start = harness_cpu_ns();
	assert_ok(history_find(h, &(struct history_query){ .image = S("i"), .steps = true }, a,
	                       &got, &n, &err));
	assert_int_equal(n, 1000);
	assert_int_equal(got[0].n_steps, 20);
	assert_true(harness_cpu_ns() - start < CLOCK_SEC);
	if (getenv("HISTORY_TIMES"))
		print_message("1000 builds read in %.1f ms\n",
		              (double)(harness_cpu_ns() - start) / 1e6);
}

void test_history__worked(void **state)
{
	static const struct {
		bool hit;
		const char *kind;
		enum history_outcome outcome;
		size_t want;
	} cases[] = {
		{ false, "run", HISTORY_OK, 1 },
		{ true, "run", HISTORY_OK, 1 },
		{ false, "from", HISTORY_OK, 1 },
		{ true, "run", HISTORY_INTERRUPTED, 2 },
	};
	struct history *h = open_in("w", false);
	struct history_query q = { .worked = true };
	cleanup_arena struct arena *a = arena_new();
	struct history_build *got;
	struct cairn_err err;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct history_step s = { .hit = cases[i].hit, .kind = str_of(cases[i].kind) };
		struct history_build b = { .steps = &s, .n_steps = 1, .outcome = cases[i].outcome };

		assert_ok(history_add(h, &b, &err));
		assert_ok(history_find(h, &q, a, &got, &n, &err));
		assert_int_equal(n, cases[i].want);
	}
	history_close(h);
}
