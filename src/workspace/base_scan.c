/* One Dockerfile: the images it names. */
#include "base_scan.h"

struct base_scan *base_scan_new(void)
{
	struct base_scan *s = xcalloc(1, sizeof(*s));

	s->arena = arena_new();
	return s;
}

void base_scan_free(struct base_scan *s)
{
	if (!s)
		return;
	vec_foreach (i, &s->images)
		vec_free(&i->places);
	vec_free(&s->images);
	vec_free(&s->unresolved);
	arena_free(s->arena);
	free(s);
}

/* --- results ------------------------------------------------------------------ */

static void add_unresolved(struct base_scan *s, struct base_place at, str text, const char *why)
{
	struct base_unresolved u = { at, arena_str(s->arena, text),
		                     arena_str(s->arena, str_of(why)) };

	vec_push(&s->unresolved, u);
}

static void add_image(struct base_scan *s, struct base_place at, str text)
{
	char name[REFERENCE_TEXT_MAX];
	struct base_image_use use = { 0 }, *known = NULL;
	struct cairn_err err;

	if (reference_parse(text, &use.ref, &err) < 0) {
		add_unresolved(s, at, text, err.msg);
		return;
	}
	(void)reference_text(&use.ref, name);
	vec_foreach (i, &s->images)
		if (str_is(i->name, name))
			known = i;
	if (!known) {
		use.name = arena_str(s->arena, str_of(name));
		vec_push(&s->images, use);
		known = vec_last(&s->images);
	}
	vec_push(&known->places, at);
}

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct base_image_use *)a)->name,
	               ((const struct base_image_use *)b)->name);
}

void base_scan_sort(struct base_scan *s)
{
	if (s->images.len)
		qsort(s->images.ptr, s->images.len, sizeof(*s->images.ptr), by_name);
}

/* --- a Dockerfile --------------------------------------------------------------- */

/* What is known at some line. */
struct reading {
	struct base_scan *scan;
	const struct dockerfile *df;
	str file;
	VEC(struct instr_pair) globals; /* ARGs before the first FROM; value.ptr NULL: none */
	VEC(str) stages;                /* names of the stages so far; "" = without one */
	str missing;                    /* a variable without value that was looked up */
};

/* Values that builds for this machine predefine. */
static bool predefined(struct reading *r, str name, str *ret)
{
	struct platform p = platform_host();
	char text[PLATFORM_TEXT_MAX];
	str prefix = str_starts(name, S("TARGET")) ? S("TARGET") : S("BUILD"), part;

	if (!str_starts(name, prefix))
		return false;
	part = str_skip(name, prefix.len);
	if (str_is(part, "PLATFORM"))
		*ret = arena_str(r->scan->arena, str_of(platform_text(&p, text)));
	else if (str_is(part, "OS"))
		*ret = arena_str(r->scan->arena, str_of(p.os));
	else if (str_is(part, "ARCH"))
		*ret = arena_str(r->scan->arena, str_of(p.arch));
	else if (str_is(part, "VARIANT"))
		*ret = arena_str(r->scan->arena, str_of(p.variant));
	else
		return false;
	return true;
}

static bool lookup(void *ctx, str name, str *ret)
{
	struct reading *r = ctx;

	for (size_t i = r->globals.len; i-- > 0;) {
		if (!str_eq(r->globals.ptr[i].key, name))
			continue;
		*ret = r->globals.ptr[i].value;
		if (!ret->ptr)
			r->missing = name;
		return ret->ptr != NULL;
	}
	if (predefined(r, name, ret))
		return true;
	r->missing = name;
	return false;
}

static struct words words_of(struct reading *r)
{
	return (struct words){
		.lookup = lookup, .ctx = r, .arena = r->scan->arena, .escape = r->df->escape
	};
}

static void read_args(struct reading *r, const struct instr_pairs *pairs)
{
	struct words w = words_of(r);
	struct cairn_err ignored;

	for (size_t i = 0; i < pairs->len; i++) {
		struct instr_pair arg = pairs->ptr[i];

		if (arg.value.ptr && words_expand(&w, arg.value, &arg.value, &ignored) < 0)
			arg.value = str_n(NULL, 0);
		vec_push(&r->globals, arg);
	}
}

static bool is_stage(const struct reading *r, str name)
{
	vec_foreach (s, &r->stages)
		if (s->len && str_eq_nocase(*s, name))
			return true;
	return false;
}

/* A stage's number, as COPY --from takes it. */
static bool is_number(str name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] < '0' || name.ptr[i] > '9')
			return false;
	return name.len > 0;
}

static void read_from(struct reading *r, const struct instr *i)
{
	struct base_place at = { r->file, i->line };
	struct words w = words_of(r);
	struct cairn_err err;
	str image = { NULL, 0 };

	r->missing = str_n(NULL, 0);
	if (words_expand(&w, i->from.image, &image, &err) < 0) {
		add_unresolved(r->scan, at, i->from.image, err.msg);
	} else if (!is_stage(r, image) && !str_is(image, "scratch")) {
		struct reference ref;

		if (r->missing.ptr && reference_parse(image, &ref, &err) < 0) {
			cleanup_free char *why = xasprintf("%.*s has no default", STR(r->missing));

			add_unresolved(r->scan, at, i->from.image, why);
		} else {
			add_image(r->scan, at, image);
		}
	}
	vec_push(&r->stages, i->from.name);
}

/* COPY --from and --mount=from: a stage, else an image. */
static void read_source(struct reading *r, const struct instr *i, str from)
{
	struct base_place at = { r->file, i->line };

	if (from.len && !is_stage(r, from) && !is_number(from) && !str_is(from, "scratch"))
		add_image(r->scan, at, from);
}

static void read_mounts(struct reading *r, const struct instr *i)
{
	struct words w = { .lookup = words_lookup_none,
		           .arena = r->scan->arena,
		           .escape = r->df->escape };
	struct cairn_err ignored;

	for (size_t k = 0; k < i->run.n_mounts; k++) {
		struct run_mount m = { 0 };

		if (run_mount_parse(i->run.mounts[k], &w, r->scan->arena, &m, &ignored) == 0)
			read_source(r, i, m.from);
	}
}

static void read_instr(struct reading *r, const struct instr *i)
{
	if (i->kind == INSTR_ARG && !r->stages.len)
		read_args(r, &i->pairs);
	else if (i->kind == INSTR_FROM)
		read_from(r, i);
	else if (i->kind == INSTR_COPY)
		read_source(r, i, i->copy.from);
	else if (i->kind == INSTR_RUN)
		read_mounts(r, i);
}

void base_scan_text(struct base_scan *s, str text, const char *file)
{
	cleanup_dockerfile struct dockerfile *df = NULL;
	struct reading r = { .scan = s, .file = arena_str(s->arena, str_of(file)) };
	struct instr_list list = { 0 };
	struct cairn_err err = { 0 };

	s->n_files++;
	if (dockerfile_parse(text, file, &df, &err) < 0 || dockerfile_instrs(df, &list, &err) < 0) {
		add_unresolved(s, (struct base_place){ r.file, err.line }, S(""), err.msg);
		return;
	}
	r.df = df;
	for (size_t i = 0; i < list.len; i++)
		read_instr(&r, &list.ptr[i]);
	/* Names of images are copies; what the words gave may be part of df: nothing else is kept.
	 */
	vec_free(&r.globals);
	vec_free(&r.stages);
}
