#include "harness.h"

#include "util/pool.h"

static int square(void *ctx, size_t i, struct cairn_err *err)
{
	(void)err;
	((int *)ctx)[i] = (int)(i * i);
	return 0;
}

static int fail_from_70(void *ctx, size_t i, struct cairn_err *err)
{
	(void)ctx;
	return i >= 70 ? cairn_fail(err, CAIRN_E_DENIED, "%zu", i) : 0;
}

static void count(void *ctx, int result, const struct cairn_err *err)
{
	(void)err;
	*(int *)ctx += result == 0;
}

static int nothing(void *ctx, struct cairn_err *err)
{
	(void)ctx;
	(void)err;
	return 0;
}

void test_pool__map(void **state)
{
	struct pool *p = pool_new(3);
	struct cairn_err err;
	int out[200] = { 0 };

	(void)state;
	assert_ok(pool_map(p, 200, square, out, &err));
	for (int i = 0; i < 200; i++)
		assert_int_equal(out[i], i * i);
	assert_fails(pool_map(p, 200, fail_from_70, NULL, &err), CAIRN_E_DENIED);
	assert_string_equal(err.msg, "70");
	pool_free(p);
}

void test_pool__done_runs_in_the_caller(void **state)
{
	struct pool *p = pool_new(2);
	int n = 0;

	(void)state;
	for (int i = 0; i < 100; i++)
		pool_add(p, (struct pool_task){ nothing, count, &n });
	pool_wait(p);
	assert_int_equal(n, 100);
	assert_int_equal(pool_pending(p), 0);
	pool_free(p);
}
