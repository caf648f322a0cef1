/* Servers that do not answer. */
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

#include "cache/health.h"
#include "cache/remote_priv.h"

#define MS 1000000ll

struct told {
	int n;
	char last[1024];
};

static void tell(void *ctx, str text)
{
	struct told *t = ctx;

	t->n++;
	(void)snprintf(t->last, sizeof(t->last), "%.*s", STR(text));
}

/* A call that takes no time. */
static int call(struct health *h, int rc, struct cairn_err *err)
{
	struct health_call c;

	TRY(health_begin(h, NULL, "r.example/c", 0, &c, err));
	if (rc < 0)
		(void)cairn_fail(err, rc, "GET: refused");
	return health_end(&c, rc, err);
}

#define DOWN                                                                          \
	"the cache r.example/c does not answer (GET: refused); going on without it, " \
	"it is asked again after 30 s"

void test_health__down_and_told_once(void **state)
{
	struct told told = { 0 };
	struct health *h = health_new(&(struct health_opts){ 0 });
	struct cairn_err err;

	(void)state;
	health_listen(h, tell, &told);
	assert_true(health_ready(h));
	assert_fails(call(h, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	assert_string_equal(told.last, DOWN);
	assert_false(health_ready(h));
	/* Not made: it would have gone well. */
	assert_fails(call(h, 0, &err), CAIRN_E_TRANSIENT);
	assert_string_equal(err.msg, "it does not answer (GET: refused)");
	health_retry(h);
	assert_true(health_ready(h));
	assert_fails(call(h, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	assert_fails(call(h, 0, &err), CAIRN_E_TRANSIENT);
	health_retry(h);
	assert_ok(call(h, 0, &err));
	assert_ok(call(h, 0, &err));
	assert_int_equal(told.n, 1);
	health_unref(h);
}

/* Refusals, damage and absence are answers. */
void test_health__what_is_an_answer(void **state)
{
	static const int codes[] = { CAIRN_E_AUTH,      CAIRN_E_DIGEST, CAIRN_E_NOT_FOUND,
		                     CAIRN_E_CANCELLED, CAIRN_E_SYNTAX, CAIRN_E_SYSTEM };
	struct health *h = health_new(&(struct health_opts){ 0 });
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		assert_fails(call(h, codes[i], &err), codes[i]);
		assert_true(health_ready(h));
	}
	health_unref(h);
}

/* While others get answers one failure is that call's own; the third is not. */
void test_health__strikes(void **state)
{
	enum {
		NO = CAIRN_E_TRANSIENT
	};
	static const int calls[] = { 0, NO, NO, 0, NO, NO, NO };
	int got[ARRAY_SIZE(calls)];
	bool ready[ARRAY_SIZE(calls)];
	struct cairn_err err;
	int64_t start;

	(void)state;
	do { /* again where it took so long that the answer is no longer recent */
		struct health *h = health_new(&(struct health_opts){ 0 });

		start = clock_monotonic();
		for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
			got[i] = call(h, calls[i], &err);
			ready[i] = health_ready(h);
		}
		health_unref(h);
	} while (clock_monotonic() - start >= HEALTH_RECENT);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		assert_int_equal(got[i], calls[i]);
		assert_int_equal(ready[i], i + 1 < ARRAY_SIZE(calls));
	}
}

/* After the pause one call asks, the others do not wait for it. */
void test_health__one_asks(void **state)
{
	struct health *h = health_new(&(struct health_opts){ .pause = MS });
	struct health_call asks;
	struct cairn_err err;

	(void)state;
	assert_fails(call(h, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	usleep(2000);
	assert_ok(health_begin(h, NULL, "x", 0, &asks, &err));
	assert_false(health_ready(h));
	assert_fails(call(h, 0, &err), CAIRN_E_TRANSIENT);
	asks.guard.heard(asks.guard.ctx, true); /* before it has ended */
	assert_ok(call(h, 0, &err));
	assert_ok(health_end(&asks, 0, &err));
	/* A user who cancels says nothing about the server. */
	usleep(1100000);
	assert_fails(call(h, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	usleep(2000);
	assert_fails(call(h, CAIRN_E_CANCELLED, &err), CAIRN_E_CANCELLED);
	assert_true(health_ready(h));
	health_unref(h);
}

/* It waits so long from `since` on, or from a little later: the machine may be busy. */
static void assert_left(struct health_call *c, int64_t wait, int64_t since)
{
	int64_t left = c->guard.left(c);

	assert_true(left <= wait && left >= wait - (clock_monotonic() - since));
}

/* How long calls wait. */
void test_health__patience(void **state)
{
	struct health *h = health_new(
		&(struct health_opts){ .first = 3000 * MS, .probe = 30 * MS, .pause = MS });
	struct health_call c, other;
	struct cairn_err err;
	int64_t since = clock_monotonic();

	(void)state;
	assert_ok(health_begin(h, NULL, "x", 5000 * MS, &c, &err));
	assert_left(&c, 3000 * MS, since);
	usleep(700000);
	assert_true(c.guard.left(&c) <= 2300 * MS);
	since = clock_monotonic();
	c.guard.heard(&c, false); /* bytes left: the first sign may still come */
	assert_left(&c, 3000 * MS, since);
	assert_ok(health_begin(h, NULL, "x", 0, &other, &err));
	usleep(2000);
	since = clock_monotonic();
	other.guard.heard(&other, true); /* the server answers, somebody */
	assert_left(&c, 5000 * MS, since);
	assert_ok(health_end(&other, 0, &err));
	assert_ok(health_end(&c, 0, &err));
	/* Calls that wait end when another finds it down. */
	usleep(1100000);
	assert_ok(health_begin(h, NULL, "x", 0, &c, &err));
	assert_fails(call(h, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	assert_true(c.guard.left(&c) <= 0);
	assert_fails(health_end(&c, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	usleep(2000);
	assert_ok(health_begin(h, NULL, "x", 0, &c, &err));
	assert_true(c.guard.left(&c) <= 30 * MS);
	assert_ok(health_end(&c, 0, &err));
	health_unref(h);
}

static void *use(void *ctx)
{
	struct health *h = ctx;
	struct cairn_err err;

	for (int i = 0; i < 2000; i++) {
		(void)call(h, i % 7 ? 0 : CAIRN_E_TRANSIENT, &err);
		if (i % 5 == 0)
			health_retry(h);
	}
	return NULL;
}

void test_health__threads(void **state)
{
	struct told told = { 0 };
	struct health *h = health_new(&(struct health_opts){ .pause = 1 });
	pthread_t t[4];

	(void)state;
	health_listen(h, tell, &told);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, use, h), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		assert_int_equal(pthread_join(t[i], NULL), 0);
	assert_true(told.n <= 1);
	health_unref(h);
}

/* Each server is known by itself, and beyond the life of a remote. */
void test_health__watched_remotes(void **state)
{
	struct remote_watch *w = remote_watch_new();
	struct remote *list[2] = { NULL, NULL };
	struct cairn_err err;

	(void)state;
	assert_ok(remote_open_dir(harness_dir(), NULL, false, &list[0], &err));
	assert_ok(remote_open_dir("/", NULL, true, &list[1], &err));
	assert_true(remote_ready(list[0])); /* nobody watches */
	remote_watch(w, list, 2, NULL, NULL);
	assert_ptr_not_equal(list[0]->health, list[1]->health);
	assert_fails(call(list[0]->health, CAIRN_E_TRANSIENT, &err), CAIRN_E_TRANSIENT);
	assert_true(remote_told(list[0], &err));
	assert_false(remote_ready(list[0]));
	assert_true(remote_ready(list[1]));
	remote_free(list[0]);
	remote_free(list[1]);
	assert_ok(remote_open_dir(harness_dir(), NULL, false, &list[0], &err));
	remote_watch(w, list, 1, NULL, NULL);
	assert_false(remote_ready(list[0]));
	remote_retry(list[0]);
	assert_true(remote_ready(list[0]));
	remote_free(list[0]);
	remote_watch_free(w);
}
