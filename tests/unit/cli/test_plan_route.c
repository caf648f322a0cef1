/* A plan, a history and runners put together. */
#include "harness.h"

#include "cli/plan_route.h"
#include "util/mem.h"

#define GIB (1ull << 30)
#define SEC 1000000000ull

static void record(const char *home, str image, uint64_t wall, uint64_t memory)
{
	cleanup_history struct history *h = NULL;
	struct history_step step = { .name = S("[2/2] RUN make"),
		                     .kind = S("run"),
		                     .wall_ns = wall };
	struct history_build b = { .image = image,
		                   .time = 1,
		                   .category = S("light"),
		                   .wall_ns = wall + SEC,
		                   .memory = memory,
		                   .steps = &step,
		                   .n_steps = 1,
		                   .runner = { .name = S("codebuild-small"), .cpus = 2 } };
	struct cairn_err err;

	assert_ok(history_open(home, false, &h, &err));
	assert_ok(history_add(h, &b, &err));
}

static struct ws_image base = { .name = S("base") }, app = { .name = S("app") };
static struct ws_image *parents[] = { &base };
static struct plan_step steps[] = {
	{ .name = S("[2/2] RUN make"), .kind = S("run"), .result = REPORT_WOULD }
};

/* "app" stands on "base", a third is there already. */
static void make_plan(struct plan_image images[3], struct plan *p)
{
	static struct ws_image same = { .name = S("same") };

	app.parents = parents;
	app.n_parents = 1;
	images[0] = (struct plan_image){ .image = &same, .verdict = PLAN_SKIP };
	images[1] = (struct plan_image){ .image = &base,
		                         .verdict = PLAN_BUILD,
		                         .steps = steps,
		                         .n_steps = 1,
		                         .category = { .category = IMAGE_LIGHT } };
	images[2] = images[1];
	images[2].image = &app;
	*p = (struct plan){ .ptr = images, .len = 3 };
}

static void load(const char *text, struct workspace_config **ret)
{
	struct cairn_err err;

	assert_ok(workspace_config_parse(str_of(text), "cairn.yaml", "/w", ret, &err));
}

void test_plan_route__machine(void **state)
{
	struct plan_image images[3];
	struct plan_route_opts o = { .home = harness_dir() };
	cleanup_plan_route struct plan_route *r = NULL;
	struct cairn_err err;
	struct plan plan;
	size_t at;

	(void)state;
	make_plan(images, &plan);
	o.plan = &plan;
	assert_ok(plan_route_make(&o, &r, &err));
	assert_int_equal(r->n, 2);
	assert_false(plan_route_find(r, &images[0], &at));
	assert_true(plan_route_find(r, &images[2], &at));
	assert_int_equal(at, 1);
	for (size_t i = 0; i < 2; i++) {
		assert_non_null(r->decisions[i].chosen);
		assert_str(r->decisions[i].chosen->runner->c.name, "local");
		assert_int_equal(r->decisions[i].chosen->cost, 0);
		assert_string_equal(r->decisions[i].chosen->predicted.basis, "prior: light");
		assert_true(r->decisions[i].chosen->runner->c.vcpu > 0);
	}
	assert_int_equal(r->schedule.unplaced, 0);
	assert_true(r->schedule.slots[1].start >= r->schedule.slots[0].end);
}

void test_plan_route__records(void **state)
{
	static const char yaml[] = "runners:\n  codebuild-small: {}\n  codebuild-medium: {}\n";
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_plan_route struct plan_route *r = NULL;
	struct plan_image images[3];
	struct plan_route_opts o = { .home = harness_dir() };
	const struct route_decision *d;
	struct cairn_err err;
	struct plan plan;

	(void)state;
	load(yaml, &c);
	make_plan(images, &plan);
	record(harness_dir(), S("app"), 100 * SEC, 5 * GIB);
	record(harness_dir(), S("base"), 30 * SEC, GIB);
	o.plan = &plan;
	o.config = c;
	assert_ok(plan_route_make(&o, &r, &err));
	d = r->decisions; /* base: fits the small one */
	assert_str(d[0].chosen->runner->c.name, "codebuild-small");
	assert_int_equal(d[0].chosen->predicted.run_ns, 31 * SEC);
	assert_int_equal(d[0].chosen->cost, 10000); /* 71 s: two minutes */
	assert_str(d[0].runner_up->runner->c.name, "codebuild-medium");
	assert_string_equal(d[0].chosen->predicted.basis, "1 build");
	assert_str(d[1].chosen->runner->c.name, "codebuild-medium"); /* 5 GiB of 4 */
	assert_null(d[1].runner_up);
	assert_int_equal(r->schedule.cost, d[0].chosen->cost + d[1].chosen->cost);
	assert_int_equal(r->note.len, 0);
}

void test_plan_route__too_large(void **state)
{
	static const char yaml[] = "runners: {codebuild-small: {}}\n";
	cleanup_workspace_config struct workspace_config *c = NULL;
	cleanup_plan_route struct plan_route *r = NULL;
	struct plan_image images[3];
	struct plan_route_opts o = { .home = harness_dir() };
	struct cairn_err err;
	struct plan plan;

	(void)state;
	load(yaml, &c);
	make_plan(images, &plan);
	record(harness_dir(), S("base"), SEC, 9 * GIB);
	o.plan = &plan;
	o.config = c;
	assert_ok(plan_route_make(&o, &r, &err));
	assert_null(r->decisions[0].chosen);
	assert_true(str_starts(r->decisions[0].problem, S("no runner can hold 'base'")));
	assert_int_equal(r->schedule.unplaced, 2);
}

void test_plan_route__damaged_history(void **state)
{
	cleanup_plan_route struct plan_route *r = NULL;
	struct plan_image images[3];
	struct plan_route_opts o = { .home = harness_dir() };
	struct cairn_err err;
	struct plan plan;
	char junk[4096];

	(void)state;
	memset(junk, 'x', sizeof(junk));
	harness_write("history.sqlite", str_n(junk, sizeof(junk)));
	make_plan(images, &plan);
	o.plan = &plan;
	assert_ok(plan_route_make(&o, &r, &err));
	assert_true(r->note.len > 0);
	assert_non_null(r->decisions[0].chosen);
}

void test_plan_route__meminfo(void **state)
{
	static const char text[] = "MemTotal:  2 kB\nMemAvailable:    16 kB\nBad: x kB\nOdd: 3\n";

	(void)state;
	assert_int_equal(machine_meminfo(text, "MemAvailable:"), 16384);
	assert_int_equal(machine_meminfo(text, "Bad:"), 0);
	assert_int_equal(machine_meminfo(text, "None:"), 0);
}
