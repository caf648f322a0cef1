/* Predictions from made histories: known work, machines of several sizes, noise. */
#include "harness.h"

#include "route/route.h"
#include "util/mem.h"

#define SEC 1000000000.0

/* A step as it is in truth. */
struct truth {
	const char *name;
	double serial, parallel; /* s on one processor */
};

/* Repeatable; https://prng.di.unimi.it/splitmix64.c describes the sequence. */
static double uniform(uint64_t *seed)
{
	uint64_t z = (*seed += 0x9e3779b97f4a7c15ull);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static double noise(uint64_t *seed, double most)
{
	return 1 + most * (2 * uniform(seed) - 1);
}

static const struct truth steps[] = {
	{ "RUN apt-get install", 40, 5 }, { "RUN pip install", 60, 20 }, { "RUN make", 10, 600 },
	{ "RUN make test", 30, 120 },     { "RUN strip", 5, 0 },
};
#define STEPS ARRAY_SIZE(steps)

/* A build on `cpus`; each step hits with that probability. 12 s go beside the steps. */
static struct history_build make(unsigned cpus, double hits, uint64_t *seed, struct arena *a)
{
	struct history_build b = { .image = S("app"),
		                   .category = S("heavy"),
		                   .runner = { .cpus = cpus, .memory = 1ull << 34 },
		                   .memory = 3ull << 30,
		                   .disk = 1ull << 30,
		                   .n_steps = STEPS };
	double wall = 12 * noise(seed, 0.3);

	b.steps = arena_array(a, struct history_step, STEPS);
	for (size_t i = 0; i < STEPS; i++) {
		const struct truth *t = &steps[i];
		double took = (t->serial + t->parallel / cpus) * noise(seed, 0.2);
		bool hit = uniform(seed) < hits;

		b.steps[i].name = str_of(arena_printf(a, "[b %zu/%zu] %s", i + 1, STEPS, t->name));
		b.steps[i].kind = S("run");
		b.steps[i].hit = hit;
		if (hit)
			continue;
		b.steps[i].wall_ns = (uint64_t)(took * SEC);
		b.steps[i].cpu_ns = (uint64_t)((t->serial + t->parallel) * SEC);
		wall += took;
	}
	b.wall_ns = (uint64_t)(wall * SEC);
	return b;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Of one build, predicted from others; negative: nothing ran in it. */
static double error_of(const struct history_build *b, const struct history_build *known, size_t n,
                       struct arena *a)
{
	cleanup_predictor struct predictor *p = predictor_new(known, n);
	struct prediction got;
	struct route_work w;
	double diff;

	predict_work_of(b, a, &w);
	if (!w.n_steps)
		return -1;
	predict(p, &w, b->runner.cpus, &got);
	diff = (double)got.run_ns - (double)b->wall_ns;
	return (diff < 0 ? -diff : diff) / (double)b->wall_ns;
}

/* The median error over builds, each predicted from those before it, for a set of machines. */
static double median_error(const unsigned *cpus, size_t n_cpus, double hits, uint64_t seed)
{
	enum {
		BUILDS = 120,
		FIRST = 5
	};
	cleanup_arena struct arena *a = arena_new();
	struct history_build *b = arena_array(a, struct history_build, BUILDS);
	double v[BUILDS];
	size_t n = 0;

	/* Newest first: what is before a build in time stands after it. */
	for (size_t i = BUILDS; i-- > 0;)
		b[i] = make(cpus[(size_t)(uniform(&seed) * (double)n_cpus)], hits, &seed, a);
	for (size_t i = 0; i < BUILDS - FIRST; i++) {
		v[n] = error_of(&b[i], &b[i + 1], BUILDS - i - 1, a);
		n += v[n] >= 0;
	}
	assert_true(n > 50);
	qsort(v, n, sizeof(*v), by_size);
	return v[n / 2];
}

void test_predict__median_error(void **state)
{
	static const unsigned one[] = { 4 }, some[] = { 2, 4, 8 }, many[] = { 2, 4, 8, 16, 36, 72 };
	static const struct {
		const unsigned *cpus;
		size_t n;
		double hits;
	} cases[] = {
		{ one, 1, 0 },    { one, 1, 0.5 }, { some, 3, 0 },
		{ some, 3, 0.5 }, { many, 6, 0 },  { many, 6, 0.7 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (uint64_t seed = 1; seed <= 5; seed++) {
			double e = median_error(cases[i].cpus, cases[i].n, cases[i].hits, seed);

			print_message("case %zu, seed %u: %.1f %%\n", i, (unsigned)seed, 100 * e);
			assert_true(e < 0.25);
		}
}

/* On a size of machine that no record is of. */
void test_predict__other_machine(void **state)
{
	static const struct {
		unsigned from[2], want;
	} cases[] = {
		{ { 2, 8 }, 36 },
		{ { 2, 8 }, 4 },
		{ { 4, 4 }, 16 },
		{ { 4, 4 }, 2 },
	};
	cleanup_arena struct arena *a = arena_new();
	uint64_t seed = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct history_build b[12], truth;

		for (size_t k = 0; k < 12; k++)
			b[k] = make(cases[i].from[k % 2], 0, &seed, a);
		truth = make(cases[i].want, 0, &seed, a);
		assert_true(error_of(&truth, b, 12, a) < 0.25);
	}
}

void test_predict__priors(void **state)
{
	static const struct {
		enum image_category category;
		const char *basis;
	} cases[] = {
		{ IMAGE_LIGHT, "prior: light" },
		{ IMAGE_HEAVY, "prior: heavy" },
		{ IMAGE_GPU, "prior: gpu" },
	};
	cleanup_predictor struct predictor *p = predictor_new(NULL, 0);
	uint64_t before = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct route_work w = { .image = S("new"),
			                .category = cases[i].category,
			                .all_steps = true };
		struct prediction few, many;

		predict(p, &w, 2, &few);
		predict(p, &w, 16, &many);
		assert_string_equal(few.basis, cases[i].basis);
		assert_true(few.run_ns > before && many.run_ns < few.run_ns);
		assert_false(few.enough);
		before = few.run_ns;
	}
}

/* What a new image's steps are is known before it was built once. */
void test_predict__few_steps_of_a_new_image(void **state)
{
	struct route_step copy = { .name = S("COPY . ."), .kind = S("copy"), .bytes = 1 << 20 };
	struct route_work w = { .image = S("new"),
		                .category = IMAGE_LIGHT,
		                .all_steps = true,
		                .steps = &copy,
		                .n_steps = 1 };
	cleanup_predictor struct predictor *p = predictor_new(NULL, 0);
	struct prediction got;

	(void)state;
	predict(p, &w, 2, &got);
	assert_true(got.run_ns < (uint64_t)(5 * SEC));
	assert_string_equal(got.basis, "prior: light");
	copy.kind = S("run");
	predict(p, &w, 2, &got);
	assert_true(got.run_ns > (uint64_t)(5 * SEC));
}

void test_predict__like_it(void **state)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_predictor struct predictor *p = NULL;
	struct route_work w = { .image = S("new"), .category = IMAGE_HEAVY, .all_steps = true };
	struct history_build b[3];
	struct prediction got;
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < 3; i++)
		b[i] = make(4, 0, &seed, a);
	p = predictor_new(b, 3);
	predict(p, &w, 4, &got);
	assert_string_equal(got.basis, "prior: 3 builds like it");
	assert_true(got.run_ns > (uint64_t)(200 * SEC) && got.run_ns < (uint64_t)(500 * SEC));
}

void test_predict__memory(void **state)
{
	static const struct {
		enum history_outcome outcome;
		uint64_t least, most;
	} cases[] = {
		{ HISTORY_OK, 3ull << 30, 3ull << 30 },
		{ HISTORY_MEMORY, (1ull << 34) + 1, 1ull << 35 }, /* its machine had 16 GiB */
	};
	cleanup_arena struct arena *a = arena_new();
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct history_build b = make(4, 0, &seed, a);
		cleanup_predictor struct predictor *p = NULL;
		struct prediction got;
		struct route_work w;

		b.outcome = cases[i].outcome;
		p = predictor_new(&b, 1);
		predict_work_of(&b, a, &w);
		predict(p, &w, 4, &got);
		assert_true(got.enough);
		assert_true(got.memory >= cases[i].least && got.memory <= cases[i].most);
	}
}
