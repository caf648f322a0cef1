/* Reasons for misses: two reports of one Dockerfile compared. */
#include "report.h"

#include <stdio.h>

#include "util/map.h"
#include "util/vec.h"

struct diff {
	struct report *now;
	const struct report *before;
	struct arena *a;
	const struct report_step **old; /* by step of `now`: the same step before, or NULL */
};

/* --- which step of before is which of now ------------------------------------- */

/* Steps are the same when stage, kind and text are; the n-th of equal ones is the n-th. What
 * is left of a stage is matched in order by kind: an instruction that was changed. */
static str identity(struct arena *a, const struct report_step *s, size_t nth, bool with_text)
{
	return str_of(arena_printf(a, "%zu %.*s %.*s %.*s", nth, STR(s->stage), STR(s->kind),
	                           STR(with_text ? s->text : S(""))));
}

static void match(struct diff *d, bool with_text, bool *used)
{
	struct map by = { 0 }, count = { 0 };
	const struct report *b = d->before;

	for (size_t i = 0; i < b->n_steps; i++) {
		str class = identity(d->a, &b->steps[i], 0, with_text);
		uintptr_t n = (uintptr_t)map_get(&count, class);

		if (used[i])
			continue;
		map_put(&count, class, (void *)(n + 1));
		map_put(&by, identity(d->a, &b->steps[i], n, with_text), (void *)(i + 1));
	}
	map_done(&count);
	for (size_t i = 0; i < d->now->n_steps; i++) {
		const struct report_step *s = &d->now->steps[i];
		str class = identity(d->a, s, 0, with_text);
		uintptr_t n = (uintptr_t)map_get(&count, class), at;

		if (d->old[i])
			continue;
		map_put(&count, class, (void *)(n + 1));
		at = (uintptr_t)map_get(&by, identity(d->a, s, n, with_text));
		if (!at)
			continue;
		d->old[i] = &b->steps[at - 1];
		used[at - 1] = true;
	}
	map_done(&count);
	map_done(&by);
}

static void match_all(struct diff *d)
{
	bool *used = arena_array(d->a, bool, d->before->n_steps);

	match(d, true, used);
	match(d, false, used);
}

/* --- parts ---------------------------------------------------------------------- */

struct reasons {
	VEC(struct report_reason) list;
	size_t more;
};

static void add(struct reasons *r, enum report_reason_kind kind, const struct report_part *p)
{
	if (r->list.len >= REPORT_REASONS_MAX)
		r->more++;
	else
		vec_push(&r->list, (struct report_reason){ kind, p->kind, p->name });
}

static int part_cmp(const struct report_part *x, const struct report_part *y)
{
	return x->kind != y->kind ? (x->kind < y->kind ? -1 : 1) : str_cmp(x->name, y->name);
}

static void compare_parts(const struct report_step *old, const struct report_step *now,
                          struct reasons *r)
{
	size_t i = 0, k = 0;

	while (i < old->n_parts || k < now->n_parts) {
		const struct report_part *x = &old->parts[i], *y = &now->parts[k];
		int c = i == old->n_parts ? 1 : k == now->n_parts ? -1 : part_cmp(x, y);

		if (c < 0)
			add(r, REPORT_REMOVED, x);
		else if (c > 0)
			add(r, REPORT_ADDED, y);
		else if (x->digest != y->digest)
			add(r, REPORT_CHANGED, y);
		else if (x->mode != y->mode)
			add(r, REPORT_MODE, y);
		i += c <= 0;
		k += c >= 0;
	}
}

/* The steps below that have other keys than before. */
static void compare_below(const struct diff *d, const struct report_step *now, struct reasons *r)
{
	for (size_t i = 0; i < now->n_below; i++) {
		const struct report_step *b = &d->now->steps[now->below[i]];
		const struct report_step *was = d->old[now->below[i]];

		if (!was || !digest_eq(&was->key, &b->key))
			vec_push(&r->list,
			         (struct report_reason){ .kind = REPORT_BELOW, .name = b->name });
	}
}

static void explain(const struct diff *d, size_t i, struct reasons *r)
{
	const struct report_step *now = &d->now->steps[i], *old = d->old ? d->old[i] : NULL;
	bool base = str_is(now->kind, REPORT_KIND_BASE);

	if (base && (!old || digest_eq(&now->key, &old->key)))
		return; /* it was fetched: nothing to explain */
	if (!d->before) {
		vec_push(&r->list, (struct report_reason){ .kind = REPORT_FIRST });
		return;
	}
	if (!old) {
		vec_push(&r->list, (struct report_reason){ .kind = REPORT_NEW });
		return;
	}
	if (digest_eq(&now->key, &old->key)) {
		vec_push(&r->list, (struct report_reason){ .kind = REPORT_EVICTED });
		return;
	}
	compare_parts(old, now, r);
	compare_below(d, now, r);
	if (!r->list.len) /* its parts were left out of the report */
		vec_push(&r->list, (struct report_reason){ .kind = REPORT_CHANGED,
		                                           .part = REPORT_TEXT,
		                                           .name = now->text });
}

static bool missed(const struct report_step *s)
{
	return s->result == REPORT_RAN || s->result == REPORT_WOULD || s->result == REPORT_FAILED;
}

static bool was_forced(const struct report_step *s)
{
	return s->n_reasons && s->reasons[0].kind == REPORT_FORCED;
}

void report_explain(struct report *now, const struct report *before, struct arena *a)
{
	struct diff d = { now, before, a, NULL };

	if (before) {
		d.old = arena_array(a, const struct report_step *, now->n_steps);
		match_all(&d);
	}
	for (size_t i = 0; i < now->n_steps; i++) {
		struct report_step *s = &now->steps[i];
		struct reasons r = { 0 };

		if (!missed(s) || was_forced(s))
			continue;
		explain(&d, i, &r);
		if (r.more)
			vec_push(&r.list, (struct report_reason){
						  .kind = REPORT_MORE,
						  .name = str_of(arena_printf(a, "%zu", r.more)) });
		s->n_reasons = r.list.len;
		s->reasons = arena_array(a, struct report_reason, r.list.len);
		if (r.list.len)
			memcpy(s->reasons, r.list.ptr, r.list.len * sizeof(*s->reasons));
		vec_free(&r.list);
	}
}

/* --- for people ------------------------------------------------------------------- */

static const char *const part_words[REPORT_KINDS_] = {
	[REPORT_TEXT] = "the instruction",
	[REPORT_BASE] = "base image",
	[REPORT_ENV] = "variable",
	[REPORT_USER] = "USER",
	[REPORT_CWD] = "WORKDIR",
	[REPORT_PLATFORM] = "platform",
	[REPORT_MOUNT] = "mount",
	[REPORT_OPTION] = "option",
	[REPORT_FILE] = "",
	[REPORT_FOLDER] = "files below",
};

/* Kinds whose part has a name of its own. */
static bool is_named(enum report_part_kind k)
{
	return k != REPORT_TEXT && k != REPORT_USER && k != REPORT_CWD && k != REPORT_PLATFORM;
}

static void part_text(const struct report_reason *r, struct strbuf *out)
{
	const char *word = part_words[r->part];

	strbuf_cstr(out, word);
	if (is_named(r->part))
		strbuf_printf(out, "%s%.*s", *word ? " " : "", STR(r->name));
}

void report_reason_text(const struct report_reason *r, struct strbuf *out)
{
	switch (r->kind) {
	case REPORT_FORCED:
		strbuf_cstr(out, "--no-cache");
		break;
	case REPORT_FIRST:
		strbuf_cstr(out,
		            "never built: no earlier build is known, here or to the caches asked");
		break;
	case REPORT_NEW:
		strbuf_cstr(out, "never built: the instruction is new");
		break;
	case REPORT_EVICTED:
		strbuf_cstr(out, "built before, but its result is no longer in any cache");
		break;
	case REPORT_BELOW:
		strbuf_printf(out, "follows from %.*s", STR(r->name));
		break;
	case REPORT_ADDED:
	case REPORT_REMOVED:
	case REPORT_CHANGED:
		part_text(r, out);
		strbuf_cstr(out, r->kind == REPORT_ADDED     ? " is new"
		                 : r->kind == REPORT_REMOVED ? " is gone"
		                                             : " changed");
		break;
	case REPORT_MODE:
		strbuf_cstr(out, "mode of ");
		part_text(r, out);
		strbuf_cstr(out, " changed, its content did not");
		break;
	case REPORT_MORE:
		strbuf_printf(out, "and %.*s more", STR(r->name));
		break;
	case REPORT_REASONS_:
		CAIRN_BUG("reason");
	}
}
