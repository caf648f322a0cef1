#include "predict.h"

#include "util/map.h"
#include "util/vec.h"

/* --- priors: of no measurement but the author's, until records replace them ------------------- */

#define GIB (1ull << 30)
#define SEC 1000000000ull

#define PRIOR_CPUS     4         /* that the times below are for */
#define PRIOR_SERIAL   0.5       /* share of a step's time there that more processors do not cut */
#define PRIOR_RATE     50000000  /* bytes a second of pull and push */
#define PRIOR_RATE_DSK 200000000 /* bytes a second of COPY */
#define SAMPLES_MAX    12        /* newest records of a step that count */

static const struct {
	uint64_t build, step; /* ns on PRIOR_CPUS: a build without any hit, a RUN of it */
	uint64_t memory, disk;
} priors[IMAGE_CATEGORIES_] = {
	[IMAGE_UNKNOWN] = { 300 * SEC, 60 * SEC, 4 * GIB, 10 * GIB },
	[IMAGE_LIGHT] = { 90 * SEC, 20 * SEC, 2 * GIB, 5 * GIB },
	[IMAGE_HEAVY] = { 900 * SEC, 180 * SEC, 6 * GIB, 20 * GIB },
	[IMAGE_GPU] = { 1500 * SEC, 300 * SEC, 12 * GIB, 60 * GIB },
};

/* --- what is known of a step ------------------------------------------------------------------ */

struct sample {
	double wall, cpu; /* ns; cpu 0 = not known */
	double cpus;
};

typedef VEC(struct sample) samples;

typedef VEC(const struct history_build *) build_list;

struct predictor {
	struct map steps;  /* image NUL text -> samples *, newest first */
	struct map images; /* image -> build_list *, newest first */
	const struct history_build *builds;
	size_t n;
};

/* Without "[build 3/7] ": the number changes with every line above it. */
static str step_text(str name)
{
	ptrdiff_t end = str_search(name, S("] "));

	return end >= 0 && str_starts(name, S("[")) ? str_skip(name, (size_t)end + 2) : name;
}

static void step_key(str image, str name, struct strbuf *out)
{
	strbuf_clear(out);
	strbuf_str(out, image);
	strbuf_char(out, '\0');
	strbuf_str(out, step_text(name));
}

static samples *samples_of(const struct predictor *p, str image, str name)
{
	cleanup_strbuf struct strbuf key;

	strbuf_init(&key, 1u << 20);
	step_key(image, name, &key);
	return map_get(&p->steps, strbuf_view(&key));
}

static void add_sample(struct predictor *p, const struct history_build *b,
                       const struct history_step *s)
{
	cleanup_strbuf struct strbuf key;
	samples *list;

	strbuf_init(&key, 1u << 20);
	step_key(b->image, s->name, &key);
	list = map_get(&p->steps, strbuf_view(&key));
	if (!list) {
		list = xcalloc(1, sizeof(*list));
		map_put(&p->steps, strbuf_view(&key), list);
	}
	if (list->len < SAMPLES_MAX)
		vec_push(list, (struct sample){ (double)s->wall_ns, (double)s->cpu_ns,
		                                b->runner.cpus ? b->runner.cpus : 1 });
}

static bool ran(const struct history_step *s)
{
	return !s->hit && s->wall_ns;
}

/* All was there: it says nothing about what work takes. */
static bool idle(const struct history_build *b)
{
	for (size_t i = 0; i < b->n_steps; i++)
		if (!b->steps[i].hit && !str_is(b->steps[i].kind, "from"))
			return false;
	return b->outcome == HISTORY_OK && b->n_steps > 0;
}

static void add_build(struct predictor *p, const struct history_build *b)
{
	build_list *list = map_get(&p->images, b->image);

	if (idle(b))
		return;
	if (!list) {
		list = xcalloc(1, sizeof(*list));
		map_put(&p->images, b->image, list);
	}
	vec_push(list, b);
	for (size_t i = 0; b->outcome == HISTORY_OK && i < b->n_steps; i++)
		if (ran(&b->steps[i]))
			add_sample(p, b, &b->steps[i]);
}

struct predictor *predictor_new(const struct history_build *builds, size_t n)
{
	struct predictor *p = xcalloc(1, sizeof(*p));

	p->builds = builds;
	p->n = n;
	for (size_t i = 0; i < n; i++)
		add_build(p, &builds[i]);
	return p;
}

void predictor_free(struct predictor *p)
{
	if (!p)
		return;
	map_foreach (e, &p->steps) {
		vec_free((samples *)e->value);
		free(e->value);
	}
	map_foreach (e, &p->images) {
		vec_free((build_list *)e->value);
		free(e->value);
	}
	map_done(&p->steps);
	map_done(&p->images);
	free(p);
}

/* --- numbers ---------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *v, size_t n)
{
	if (!n)
		return 0;
	qsort(v, n, sizeof(*v), by_size);
	return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

static double clamp(double v, double low, double high)
{
	return v < low ? low : v > high ? high : v;
}

/* Time on machines of `cpus` processors: median, and of how many records. */
static double time_at(const samples *l, double cpus, size_t *ret_n)
{
	double v[SAMPLES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < l->len; i++)
		if (l->ptr[i].cpus == cpus)
			v[n++] = l->ptr[i].wall;
	*ret_n = n;
	return median(v, n);
}

/* Share of the time on its machine that more processors do not cut, from processor time: on c
 * processors T = s + p / c and cpu = s + p. */
static double serial_share(const samples *l)
{
	double v[SAMPLES_MAX];
	size_t n = 0;

	for (size_t i = 0; i < l->len; i++) {
		const struct sample *s = &l->ptr[i];
		double p;

		if (s->cpu <= 0 || s->cpus < 2)
			continue;
		p = clamp((s->cpu - s->wall) / (1 - 1 / s->cpus), 0, s->wall * s->cpus);
		v[n++] = 1 - p / s->cpus / s->wall;
	}
	return n ? clamp(median(v, n), 0, 1) : PRIOR_SERIAL;
}

/* Least squares of T = s + p x, x = 1 / c, over the medians of each size of machine, each with the
 * weight of its records. False when there is one size only. */
static bool fit(const samples *l, double *ret_s, double *ret_p)
{
	double w = 0, x = 0, y = 0, xx = 0, xy = 0, d;

	for (size_t i = 0; i < l->len; i++) {
		size_t n;
		double t = time_at(l, l->ptr[i].cpus, &n), at = 1 / l->ptr[i].cpus;

		w += 1; /* a size with n records comes by n times */
		x += at;
		y += t;
		xx += at * at;
		xy += at * t;
	}
	d = w * xx - x * x;
	if (d < 1e-9)
		return false;
	*ret_p = (w * xy - x * y) / d;
	*ret_s = (y - *ret_p * x) / w;
	if (*ret_p < 0) { /* noise: it does not scale */
		*ret_p = 0;
		*ret_s = y / w;
	} else if (*ret_s < 0) { /* noise: it scales wholly */
		*ret_s = 0;
		*ret_p = xy / xx;
	}
	return true;
}

static double scaled(double t, double from, double to, double serial)
{
	return t * serial + t * (1 - serial) * from / to;
}

/* From the records of the step; there is at least one. */
static double known_time(const samples *l, double cpus)
{
	double s, p, t, from;
	size_t n;

	t = time_at(l, cpus, &n);
	if (n)
		return t;
	if (fit(l, &s, &p))
		return s + p / cpus;
	from = l->ptr[0].cpus;
	return scaled(time_at(l, from, &n), from, cpus, serial_share(l));
}

/* --- a build ------------------------------------------------------------------------------------
 */

static double guessed_time(const struct route_work *w, const struct route_step *s, double cpus)
{
	if (s->ns)
		return scaled((double)s->ns, PRIOR_CPUS, cpus, PRIOR_SERIAL);
	if (str_is(s->kind, "run"))
		return scaled((double)priors[w->category].step, PRIOR_CPUS, cpus, PRIOR_SERIAL);
	return 0.1 * SEC + (double)s->bytes / PRIOR_RATE_DSK * SEC;
}

uint64_t predict_step(const struct predictor *p, const struct route_work *w, size_t i,
                      unsigned vcpu)
{
	const samples *l = samples_of(p, w->image, w->steps[i].name);
	double cpus = vcpu ? vcpu : 2;

	return (uint64_t)(l ? known_time(l, cpus) : guessed_time(w, &w->steps[i], cpus));
}

/* Sum of the steps; *ret_known: how many of them are recorded. */
static double steps_time(const struct predictor *p, const struct route_work *w, double cpus,
                         struct prediction *ret)
{
	double sum = 0;

	for (size_t i = 0; i < w->n_steps; i++) {
		const struct route_step *s = &w->steps[i];
		const samples *l = samples_of(p, w->image, s->name);
		double t = l ? known_time(l, cpus) : guessed_time(w, s, cpus);

		if (!l && !s->ns && str_is(s->kind, "run"))
			ret->n_guessed++;
		if (t > (double)ret->longest)
			ret->longest = (uint64_t)t;
		sum += t;
	}
	return sum;
}

/* What builds took beside their steps (*ret_rest) and which share of the steps' sum they took
 * (*ret_share: below 1 where stages overlap). False: no build is known. */
static bool beside(const build_list *l, double *ret_share, double *ret_rest)
{
	double share[SAMPLES_MAX], rest[SAMPLES_MAX];
	size_t n = 0;

	for (size_t i = 0; l && i < l->len && n < SAMPLES_MAX; i++) {
		const struct history_build *b = l->ptr[i];
		double sum = 0, wall = (double)b->wall_ns;

		for (size_t k = 0; k < b->n_steps; k++)
			sum += ran(&b->steps[k]) ? (double)b->steps[k].wall_ns : 0;
		if (b->outcome != HISTORY_OK || sum <= 0)
			continue;
		share[n] = wall < sum ? wall / sum : 1;
		rest[n++] = wall < sum ? 0 : wall - sum;
	}
	*ret_share = n ? median(share, n) : 1;
	*ret_rest = median(rest, n);
	return n > 0;
}

/* Most that a build of the image took; a build that ran out of it wants more than its machine had.
 */
static void needs(const build_list *l, const struct route_work *w, struct prediction *ret)
{
	uint64_t floor = w->memory_floor, memory = 0, disk = 0;

	for (size_t i = 0; l && i < l->len && i < SAMPLES_MAX; i++) {
		const struct history_build *b = l->ptr[i];

		if (b->outcome == HISTORY_MEMORY && b->runner.memory > floor)
			floor = b->runner.memory;
		if (b->memory > memory)
			memory = b->memory;
		if (b->disk > disk)
			disk = b->disk;
	}
	ret->enough = memory > 0;
	ret->memory = memory ? memory : priors[w->category].memory;
	if (floor && ret->memory <= floor)
		ret->memory = floor + floor / 4;
	ret->disk = disk ? 3 * disk : priors[w->category].disk; /* layers, their blobs, a margin */
}

/* Median of builds like it: of its category, and of its base image where there are such. Without
 * any: the category's prior when its steps are not known either, else false. */
static bool similar(const struct predictor *p, const struct route_work *w, double cpus,
                    char basis[96], double *ret)
{
	double v[64];
	size_t n = 0;
	const char *category = image_category_name(w->category);

	for (int only_base = w->base.len > 0; only_base >= 0 && !n; only_base--)
		for (size_t i = 0; i < p->n && n < ARRAY_SIZE(v); i++) {
			const struct history_build *b = &p->builds[i];
			bool whole = b->outcome == HISTORY_OK;

			if (only_base ? !str_eq(b->base, w->base) : !str_is(b->category, category))
				continue;
			for (size_t k = 0; k < b->n_steps; k++)
				whole = whole &&
				        (!b->steps[k].hit || str_is(b->steps[k].kind, "from"));
			if (whole)
				v[n++] = scaled((double)b->wall_ns,
				                b->runner.cpus ? b->runner.cpus : 1, cpus,
				                PRIOR_SERIAL);
		}
	if (n) {
		(void)snprintf(basis, 96, "prior: %zu build%s like it", n, n == 1 ? "" : "s");
		*ret = median(v, n);
		return true;
	}
	(void)snprintf(basis, 96, "prior: %s", category);
	*ret = scaled((double)priors[w->category].build, PRIOR_CPUS, cpus, PRIOR_SERIAL);
	return !w->n_steps;
}

static void set_basis(struct prediction *ret)
{
	int n = snprintf(ret->basis, sizeof(ret->basis), "%zu build%s", ret->n_builds,
	                 ret->n_builds == 1 ? "" : "s");

	if (ret->n_guessed && n > 0)
		(void)snprintf(ret->basis + n, sizeof(ret->basis) - (size_t)n,
		               ", %zu step%s by prior", ret->n_guessed,
		               ret->n_guessed == 1 ? "" : "s");
}

void predict(const struct predictor *p, const struct route_work *w, unsigned vcpu,
             struct prediction *ret)
{
	const build_list *l = map_get(&p->images, w->image);
	double cpus = vcpu ? vcpu : 2, share, rest, sum;
	bool known;

	*ret = (struct prediction){ .n_builds = l ? l->len : 0 };
	needs(l, w, ret);
	known = beside(l, &share, &rest);
	if (!known && (w->all_steps || !w->n_steps) && similar(p, w, cpus, ret->basis, &sum)) {
		ret->longest = (uint64_t)sum / 3;
		ret->run_ns = (uint64_t)sum;
		return;
	}
	sum = steps_time(p, w, cpus, ret);
	if (!known)
		rest = (double)(w->pull + w->push) / PRIOR_RATE * SEC;
	ret->run_ns = (uint64_t)(sum * share + rest);
	if (known)
		set_basis(ret);
	else
		(void)snprintf(ret->basis, sizeof(ret->basis), "prior: %s",
		               image_category_name(w->category));
}

void predict_work_of(const struct history_build *b, struct arena *a, struct route_work *ret)
{
	*ret = (struct route_work){ .image = b->image, .base = b->base, .all_steps = true };
	for (unsigned c = 0; c < IMAGE_CATEGORIES_; c++)
		if (str_is(b->category, image_category_name((enum image_category)c)))
			ret->category = (enum image_category)c;
	ret->steps = arena_array(a, struct route_step, b->n_steps);
	for (size_t i = 0; i < b->n_steps; i++) {
		const struct history_step *s = &b->steps[i];

		if (s->hit && !str_is(s->kind, "from"))
			ret->all_steps = false;
		if (ran(s))
			ret->steps[ret->n_steps++] = (struct route_step){ .name = s->name,
				                                          .kind = s->kind,
				                                          .bytes = s->bytes };
	}
}
