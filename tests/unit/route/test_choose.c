/* The machine for an image. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

#define GIB    (1ull << 30)
#define MIN_NS 60000000000ull

static struct runner machine(const char *name, unsigned vcpu, unsigned gib, unsigned price)
{
	return (struct runner){ .c = { .name = str_of(name),
		                       .driver = RUNNER_CODEBUILD,
		                       .vcpu = vcpu,
		                       .memory = gib * GIB,
		                       .disk = 100 * GIB,
		                       .has_price = true,
		                       .price = price,
		                       .arch = RUNNER_AMD64,
		                       .concurrency = 20 },
		                .declared = true };
}

/* Known: 10 min serial and 32 processor minutes parallel, 6 GiB. */
static struct history_build known(unsigned cpus, struct history_step *step)
{
	*step = (struct history_step){ .name = S("[2/2] RUN make"),
		                       .kind = S("run"),
		                       .wall_ns = (10 + 32 / cpus) * MIN_NS,
		                       .cpu_ns = 42 * MIN_NS,
		                       .memory = 6 * GIB };
	return (struct history_build){ .image = S("app"),
		                       .category = S("heavy"),
		                       .runner = { .cpus = cpus, .memory = 64 * GIB },
		                       .wall_ns = step->wall_ns,
		                       .memory = 6 * GIB,
		                       .disk = GIB,
		                       .steps = step,
		                       .n_steps = 1 };
}

struct choice {
	struct arena *a;
	struct runner ptr[4];
	struct runners list;
	struct history_step steps[2];
	struct history_build builds[2];
	struct predictor *p;
	struct route_step step;
	struct route_work work;
	struct route_goal goal;
	struct route_decision got;
};

/* small 4 vCPU, 8 GiB: 18 min, 0.18; large 8 vCPU: 14 min, 0.28; huge 32 vCPU: 11 min, 0.88. */
static void setup(struct choice *c)
{
	*c = (struct choice){ .a = arena_new(), .list = { .len = 3 } };
	c->ptr[0] = machine("small", 4, 8, 10000);
	c->ptr[1] = machine("large", 8, 16, 20000);
	c->ptr[2] = machine("huge", 32, 64, 80000);
	c->list.ptr = c->ptr;
	c->builds[0] = known(4, &c->steps[0]);
	c->builds[1] = known(8, &c->steps[1]);
	c->p = predictor_new(c->builds, 2);
	c->step = (struct route_step){ .name = S("[9/9] RUN make"), .kind = S("run") };
	c->work = (struct route_work){ .image = S("app"),
		                       .category = IMAGE_HEAVY,
		                       .steps = &c->step,
		                       .n_steps = 1,
		                       .arch = RUNNER_AMD64 };
}

static const struct route_decision *choose(struct choice *c)
{
	route_choose(c->p, &c->list, &c->work, &c->goal, c->a, &c->got);
	return &c->got;
}

static void teardown(struct choice *c)
{
	predictor_free(c->p);
	arena_free(c->a);
}

static const char *name(const struct route_option *o)
{
	return o ? o->runner->c.name.ptr : "-";
}

void test_choose__goals(void **state)
{
	static const struct {
		enum route_aim aim;
		uint64_t deadline, budget; /* min; 1e-6 USD */
		unsigned memory_floor;     /* GiB */
		const char *want, *up;
	} cases[] = {
		{ ROUTE_CHEAP, 0, 0, 0, "small", "large" },
		{ ROUTE_CHEAP, 15, 0, 0, "large", "huge" },
		{ ROUTE_CHEAP, 12, 0, 0, "huge", "large" },
		{ ROUTE_CHEAP, 2, 0, 0, "huge", "large" }, /* nobody: the fastest */
		{ ROUTE_CHEAP, 0, 0, 8, "large", "huge" },
		{ ROUTE_CHEAP, 0, 0, 16, "huge", "-" },
		{ ROUTE_FAST, 0, 0, 0, "huge", "large" },
		{ ROUTE_FAST, 0, 300000, 0, "large", "small" },
		{ ROUTE_FAST, 0, 1000, 0, "small", "large" }, /* nobody: the cheapest */
		{ ROUTE_CHEAP, 0, 0, 64, "-", "-" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct choice c;

		setup(&c);
		c.goal = (struct route_goal){ .aim = cases[i].aim,
			                      .deadline = cases[i].deadline * MIN_NS,
			                      .budget = cases[i].budget };
		c.work.memory_floor = cases[i].memory_floor * GIB;
		choose(&c);
		if (strcmp(name(c.got.chosen), cases[i].want) != 0 ||
		    strcmp(name(c.got.runner_up), cases[i].up) != 0)
			fail_msg("case %zu: %s, then %s", i, name(c.got.chosen),
			         name(c.got.runner_up));
		assert_true(c.got.chosen ? c.got.reason.len > 0 : c.got.problem.len > 0);
		teardown(&c);
	}
}

void test_choose__money(void **state)
{
	struct choice c;

	(void)state;
	setup(&c);
	choose(&c);
	assert_int_equal(c.got.chosen->time / MIN_NS, 18);
	assert_int_equal(c.got.chosen->cost, 180000);
	c.ptr[0].c.latency = 1; /* a minute more on the bill */
	assert_int_equal(choose(&c)->chosen->cost, 190000);
	c.ptr[0].c.rounding = RUNNER_SECOND;
	assert_true(choose(&c)->chosen->cost < 181000);
	teardown(&c);
}

void test_choose__spot(void **state)
{
	struct choice c;

	(void)state;
	setup(&c);
	c.ptr[3] = c.ptr[0];
	c.ptr[3].c.name = S("spot");
	c.ptr[3].c.spot = true;
	c.ptr[3].c.price = 4000;
	c.list.len = 4;
	assert_string_equal(name(choose(&c)->chosen), "spot");
	assert_true(c.got.chosen->reruns > 0 && c.got.chosen->time > 18 * MIN_NS);
	c.ptr[3].c.interruptions = 1000; /* ten an hour: it costs more than it saves */
	assert_string_equal(name(choose(&c)->chosen), "small");
	c.ptr[3].c.interruptions = 0;
	c.goal.no_spot = true;
	assert_string_equal(name(choose(&c)->chosen), "small");
	teardown(&c);
}

void test_choose__refused(void **state)
{
	struct choice c;

	(void)state;
	setup(&c);
	c.work.arch = RUNNER_ARM64;
	assert_null(choose(&c)->chosen);
	assert_int_equal(c.got.options[0].refusal, ROUTE_ARCH);
	c.work.arch = RUNNER_AMD64;
	c.work.runner = S("large");
	assert_string_equal(name(choose(&c)->chosen), "large");
	c.work.runner = S("lrage");
	assert_null(choose(&c)->chosen);
	assert_non_null(strstr(c.got.problem.ptr, "there is no runner 'lrage'"));
	c.work.runner = (str){ 0 };
	c.work.memory_floor = 64 * GIB;
	assert_null(choose(&c)->chosen);
	assert_non_null(strstr(c.got.problem.ptr, "no runner can hold 'app': it wants"));
	assert_non_null(strstr(c.got.problem.ptr, "huge, has 68.7 GB"));
	teardown(&c);
}

void test_choose__tie(void **state)
{
	struct choice c;

	(void)state;
	setup(&c);
	c.ptr[1] = c.ptr[0];
	c.ptr[1].c.name = S("twin");
	assert_true(choose(&c)->tie);
	assert_string_equal(name(c.got.chosen), "small");
	assert_str(c.got.reason, "cheapest, nearly as twin");
	teardown(&c);
}
