/* A plan as work: only what is built, only what runs, parents by their place. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

void test_plan_works__of_a_plan(void **state)
{
	struct ws_image base = { .name = S("base") }, lib = { .name = S("lib") };
	struct ws_image *parents[] = { &base, &lib };
	struct str_list {
		str one;
	} platform = { S("linux/arm64") };
	struct ws_image app = { .name = S("app"),
		                .parents = parents,
		                .n_parents = 2,
		                .deadline = 7,
		                .runner = S("big"),
		                .platforms = { &platform.one, 1 } };
	struct plan_step steps[] = {
		{ .name = S("[1/3] FROM x"), .kind = S("from"), .result = REPORT_WOULD },
		{ .name = S("[2/3] COPY a b"), .kind = S("copy"), .result = REPORT_HIT },
		{ .name = S("[3/3] RUN make"),
		  .kind = S("run"),
		  .result = REPORT_WOULD,
		  .cost_ns = 5,
		  .bytes = 9 },
	};
	struct plan_image images[] = {
		{ .image = &base, .verdict = PLAN_SKIP },
		{ .image = &lib, .verdict = PLAN_BUILD },
		{ .image = &app, .verdict = PLAN_BUILD, .steps = steps, .n_steps = 3, .n_hits = 1 },
	};
	struct plan plan = { .ptr = images, .len = 3 };
	cleanup_arena struct arena *a = arena_new();
	struct route_work *works;
	size_t *of, n;

	(void)state;
	route_works_of_plan(&plan, a, &works, &of, &n);
	assert_int_equal(n, 2);
	assert_int_equal(of[1], 2);
	assert_true(works[0].all_steps);
	assert_str(works[1].image, "app");
	assert_int_equal(works[1].n_after, 1);
	assert_int_equal(works[1].after[0], 0);
	assert_int_equal(works[1].n_steps, 1);
	assert_int_equal(works[1].steps[0].ns, 5);
	assert_int_equal(works[1].push, 9);
	assert_int_equal(works[1].arch, RUNNER_ARM64);
	assert_int_equal(works[1].deadline, 7);
	assert_false(works[1].all_steps);
}
