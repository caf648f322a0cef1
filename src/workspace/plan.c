/* From input keys to verdicts. */
#include "plan.h"

#include "plan_git.h"
#include "plan_input.h"
#include "plan_state.h"
#include "plan_steps.h"

static const char *const verdicts[PLAN_VERDICTS_] = {
	[PLAN_SKIP] = "skip",
	[PLAN_RETAG] = "retag",
	[PLAN_BUILD] = "build",
};

const char *plan_verdict_name(enum plan_verdict v)
{
	return verdicts[v];
}

struct plan_image *plan_get(const struct plan *p, str name)
{
	for (size_t i = 0; i < p->len; i++)
		if (str_eq(p->ptr[i].image->name, name))
			return &p->ptr[i];
	return NULL;
}

void plan_free(struct plan *p)
{
	if (p)
		arena_free(p->arena);
	free(p);
}

/* --- tags ---------------------------------------------------------------------------- */

/* A tag of a registry that is looked at. */
struct tag_question {
	const struct plan_opts *opts;
	size_t image; /* in the plan */
	str tag;
	struct reference ref;
	bool found;
	struct digest manifest;
	int result;
	struct cairn_err err;
};

static int ask_tag(void *ctx, size_t i, struct cairn_err *err)
{
	struct tag_question *q = (struct tag_question *)ctx + i;

	q->result = q->opts->tag(q->opts->tag_ctx, &q->ref, &q->found, &q->manifest, &q->err);
	if (q->result == CAIRN_E_CANCELLED)
		*err = q->err;
	return q->result == CAIRN_E_CANCELLED ? q->result : 0;
}

static void add_retag(struct plan *p, struct plan_image *i, str tag)
{
	if (!i->retag.ptr)
		i->retag.ptr = arena_array(p->arena, str, i->image->tags.len + 1);
	i->retag.ptr[i->retag.len++] = tag;
	i->verdict = PLAN_RETAG;
}

static void set_why(struct plan *p, struct plan_image *i, const char *text)
{
	i->why = str_of(arena_cstr(p->arena, str_of(text)));
}

/* A tag that cannot be looked at is set again: that does no harm. */
static void take_tag(struct plan *p, const struct tag_question *q)
{
	struct plan_image *i = &p->ptr[q->image];

	if (q->result == 0 && q->found && digest_eq(&q->manifest, &i->known.manifest))
		return;
	add_retag(p, i, q->tag);
	if (q->result < 0)
		i->why = str_of(arena_printf(p->arena, "%.*s cannot be looked at: %s", STR(q->tag),
		                             q->err.msg));
	else
		i->why = str_of(arena_printf(p->arena, "%.*s %s", STR(q->tag),
		                             q->found ? "is another image" : "is missing"));
}

/* Tags of images that were pushed, at their registries; all at once. */
static int look_at_tags(struct plan *p, const struct plan_opts *o, struct cairn_err *err)
{
	VEC(struct tag_question) all = { 0 };
	int r;

	for (size_t k = 0; o->tag && k < p->len; k++) {
		const struct plan_image *i = &p->ptr[k];

		for (size_t t = 0; i->verdict == PLAN_SKIP && t < i->image->tags.len; t++) {
			struct tag_question q = { .opts = o,
				                  .image = k,
				                  .tag = i->image->tags.ptr[t] };
			struct cairn_err ignored;

			if (!digest_none(&i->known.manifest) &&
			    reference_parse(q.tag, &q.ref, &ignored) == 0)
				vec_push(&all, q);
		}
	}
	r = pool_map(o->net ? o->net : o->pool, all.len, ask_tag, all.ptr, err);
	for (size_t k = 0; r == 0 && k < all.len; k++)
		take_tag(p, &all.ptr[k]);
	vec_free(&all);
	return r;
}

/* One name in the store of an image that is in no registry. */
static int look_at_name(struct plan *p, const struct plan_opts *o, struct plan_image *i, str name,
                        struct cairn_err *err)
{
	struct store_tag st = { 0 };
	struct reference ref;
	char text[REFERENCE_TEXT_MAX];
	bool found = false, same;

	if (reference_parse(name, &ref, err) < 0)
		return 0;
	TRY(store_tag_find(o->store, str_of(reference_text(&ref, text)), S(""), &st, &found, err));
	same = found && digest_eq(&st.config, &i->known.config);
	store_tag_done(&st);
	if (same)
		return 0;
	add_retag(p, i, name);
	i->why = str_of(arena_printf(p->arena, "%.*s %s", STR(name),
	                             found ? "is another image" : "is missing"));
	return 0;
}

/* An image without tags has its own name. */
static int look_here(struct plan *p, const struct plan_opts *o, struct plan_image *i,
                     struct cairn_err *err)
{
	const struct ws_image *w = i->image;

	if (i->verdict != PLAN_SKIP || !digest_none(&i->known.manifest) || !o->store)
		return 0;
	for (size_t t = 0; t < w->tags.len; t++)
		TRY(look_at_name(p, o, i, w->tags.ptr[t], err));
	return w->tags.len ? 0 : look_at_name(p, o, i, w->name, err);
}

/* --- verdicts -------------------------------------------------------------------------- */

/* The first image that is built and that it is made of; NULL: none. `depends:` alone orders. */
static const struct plan_image *dirty_base(const struct plan *p, const struct plan_input *in)
{
	for (size_t k = 0; k < in->graph->n_nodes; k++) {
		const struct plan_image *base =
			in->bases[k] ? plan_get(p, in->bases[k]->image->name) : NULL;

		if (base && base->verdict == PLAN_BUILD)
			return base;
	}
	return NULL;
}

static void judge(struct plan *p, struct plan_image *i, const struct plan_input *in)
{
	const struct plan_image *parent;

	if (in->failed) {
		i->verdict = PLAN_BUILD;
		i->error = true;
		if (in->err.path[0] && in->err.line)
			i->why = str_of(arena_printf(p->arena, "%s:%u: %s", in->err.path,
			                             in->err.line, in->err.msg));
		else
			set_why(p, i, in->err.msg);
		return;
	}
	i->key = in->key;
	if (i->known.time) {
		i->verdict = PLAN_SKIP;
		set_why(p, i, "its input has not changed");
		return;
	}
	i->verdict = PLAN_BUILD;
	parent = dirty_base(p, in);
	if (parent)
		i->why = str_of(
			arena_printf(p->arena, "image '%.*s' is built", STR(parent->image->name)));
	else if (i->known.gone.len)
		i->why = i->known.gone;
	else
		set_why(p, i, "no build of this input is known");
}

static int make(struct plan *p, const struct plan_opts *o, struct plan_inputs *in,
                struct cairn_err *err)
{
	struct digest *keys = arena_array(p->arena, struct digest, in->len);
	struct plan_known *known = arena_array(p->arena, struct plan_known, in->len);
	const struct category_facts nothing = { 0 };
	str warning = S("");

	for (size_t i = 0; i < in->len; i++)
		keys[i] = in->ptr[i].key;
	TRY(plan_state_find(o, keys, in->len, p->arena, known, &warning, err));
	if (warning.len)
		o->warn(o->warn_ctx, warning);
	p->ptr = arena_array(p->arena, struct plan_image, in->len);
	p->len = in->len;
	for (size_t i = 0; i < in->len; i++) {
		p->ptr[i].image = in->ptr[i].image;
		p->ptr[i].known = known[i];
		judge(p, &p->ptr[i], &in->ptr[i]);
		images_categorize(o->images, in->ptr[i].image, &nothing, p->arena,
		                  &p->ptr[i].category);
	}
	for (size_t i = 0; i < p->len; i++)
		TRY(look_here(p, o, &p->ptr[i], err));
	return look_at_tags(p, o, err);
}

int plan_make(const struct plan_opts *o, struct plan **ret, struct cairn_err *err)
{
	cleanup_inputs struct plan_inputs *in = NULL;
	cleanup_plan struct plan *p = xcalloc(1, sizeof(*p));

	p->arena = arena_new();
	p->images = o->images;
	p->base = p->base_note = S("");
	TRY(inputs_new(o, &in, err));
	contexts_read(in);
	inputs_keys(in);
	vec_foreach (w, &in->warnings)
		o->warn(o->warn_ctx, str_of(*w));
	TRY(make(p, o, in, err));
	if (o->steps)
		TRY(plan_steps(p, in, err));
	for (size_t i = 0; o->git && i < p->len; i++) {
		if (p->ptr[i].verdict != PLAN_BUILD)
			continue;
		plan_git(p, in); /* only when there is something to explain */
		break;
	}
	*ret = steal_ptr(&p);
	return 0;
}
