#include "runners.h"

#include "util/vec.h"

#define CONCURRENCY 20 /* CodeBuild's default and GitHub's of the free plan */

extern const char runners_data[]; /* data/runners.yaml */

str runners_catalogue(void)
{
	return str_of(runners_data);
}

/* --- one entry over another ---------------------------------------------------------- */

static void copy_strs(const struct image_strs *from, struct arena *a, struct image_strs *to)
{
	if (!from->len)
		return;
	to->ptr = arena_array(a, str, from->len);
	to->len = from->len;
	for (size_t i = 0; i < from->len; i++)
		to->ptr[i] = arena_str(a, from->ptr[i]);
}

static void copy_str(str from, struct arena *a, str *to)
{
	if (from.len)
		*to = arena_str(a, from);
}

#define OVER(field)                              \
	do {                                     \
		if (from->field)                 \
			to->field = from->field; \
	} while (0)

/* What `from` says goes over what `to` has. */
static void overlay(const struct workspace_runner *from, struct arena *a,
                    struct workspace_runner *to)
{
	OVER(line);
	OVER(col);
	OVER(driver);
	OVER(vcpu);
	OVER(memory);
	OVER(disk);
	OVER(rounding);
	OVER(latency);
	OVER(concurrency);
	OVER(arch);
	OVER(gpu);
	OVER(spot);
	OVER(privileged);
	OVER(interruptions);
	copy_str(from->name, a, &to->name);
	copy_str(from->compute, a, &to->compute);
	copy_str(from->environment, a, &to->environment);
	copy_str(from->project, a, &to->project);
	copy_str(from->region, a, &to->region);
	copy_str(from->repository, a, &to->repository);
	copy_str(from->workflow, a, &to->workflow);
	copy_str(from->image, a, &to->image);
	copy_str(from->source, a, &to->source);
	copy_str(from->date, a, &to->date);
	copy_strs(&from->labels, a, &to->labels);
	copy_strs(&from->unconfirmed, a, &to->unconfirmed);
	if (from->has_price) {
		to->has_price = true;
		to->price = from->price;
		copy_str(from->price_text, a, &to->price_text);
	}
}

/* --- the list --------------------------------------------------------------------------- */

static struct runner *find(const struct runners *r, str name)
{
	for (size_t i = 0; i < r->len; i++)
		if (str_eq(r->ptr[i].c.name, name))
			return &r->ptr[i];
	return NULL;
}

const struct runner *runners_get(const struct runners *r, str name)
{
	return find(r, name);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct runner *)a)->c.name, ((const struct runner *)b)->c.name);
}

/* local: this machine is one of those that work is sent to, unasked. */
static void add_all(const struct workspace_runners *from, bool declared, bool local,
                    struct runners *r)
{
	for (size_t i = 0; i < from->len; i++) {
		struct runner *to = find(r, from->ptr[i].name);

		if (!to)
			to = &r->ptr[r->len++];
		overlay(&from->ptr[i], r->arena, &to->c);
		to->declared = declared || (local && to->c.driver == RUNNER_LOCAL);
		if (declared && !from->ptr[i].source.len)
			to->c.source = S("cairn.yaml");
	}
}

static int check(const struct runners *r, const char *file, struct cairn_err *err)
{
	for (size_t i = 0; i < r->len; i++) {
		struct workspace_runner *c = &r->ptr[i].c;

		if (c->driver == RUNNER_UNKNOWN)
			return cairn_fail_at(err, file, c->line, c->col,
			                     "the runner '%.*s' is not in the catalogue ('cairn "
			                     "runners') and has no driver",
			                     STR(c->name));
		if (!c->concurrency)
			c->concurrency = c->driver == RUNNER_LOCAL ? 1 : CONCURRENCY;
	}
	return 0;
}

int runners_load(const struct workspace_config *config, struct runners **ret, struct cairn_err *err)
{
	static const struct workspace_runners none;
	cleanup_workspace_config struct workspace_config *builtin = NULL;
	cleanup_runners struct runners *r = NULL;
	const struct workspace_runners *own = config ? &config->runners : &none;

	TRY(workspace_config_parse(runners_catalogue(), "runners.yaml", "/", &builtin, err));
	r = xcalloc(1, sizeof(*r));
	r->arena = arena_new();
	r->ptr = arena_array(r->arena, struct runner, builtin->runners.len + own->len);
	add_all(&builtin->runners, false, own->len == 0, r);
	add_all(own, true, false, r);
	TRY(check(r, config && config->file ? config->file : "cairn.yaml", err));
	qsort(r->ptr, r->len, sizeof(*r->ptr), by_name);
	*ret = steal_ptr(&r);
	return 0;
}

void runners_free(struct runners *r)
{
	if (r)
		arena_free(r->arena);
	free(r);
}
