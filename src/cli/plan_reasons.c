#include "plan_reasons.h"

#include "build_opts.h"
#include "up_args.h"
#include "util/log.h"

struct taking {
	struct arena *a;
	struct plan_image *to;
};

/* By its name; there are few. */
static const struct report_step *find(const struct report *r, const struct plan_step *s)
{
	for (size_t i = 0; i < r->n_steps; i++)
		if (str_eq(r->steps[i].name, s->name))
			return &r->steps[i];
	return NULL;
}

static void take(void *ctx, const struct report *r)
{
	const struct taking *t = ctx;

	for (size_t i = 0; i < t->to->n_steps; i++) {
		struct plan_step *to = &t->to->steps[i];
		const struct report_step *from = find(r, to);

		if (to->result != REPORT_WOULD || !from)
			continue;
		to->n_reasons = from->n_reasons;
		to->reasons = arena_array(t->a, struct report_reason, from->n_reasons);
		for (size_t k = 0; k < from->n_reasons; k++) {
			to->reasons[k] = from->reasons[k];
			to->reasons[k].name = arena_str(t->a, from->reasons[k].name);
		}
	}
}

static const char *below(const struct plan_run *r, str path)
{
	if (str_starts(path, S("/")) || str_search(path, S("://")) >= 0)
		return arena_cstr(r->a, path);
	return arena_printf(r->a, "%s/%.*s", r->ctx->config->root, STR(path));
}

static void add(struct cli_list *l, const char *word)
{
	l->ptr[l->len++] = word;
}

static struct cli_list list(const struct plan_run *r, size_t n)
{
	return (struct cli_list){ .ptr = arena_array(r->a, const char *, n + 1), .cap = n + 1 };
}

/* Those that are images of the workspace have the names that the store knows them by. */
static void set_contexts(const struct plan_run *r, const struct ws_image *w,
                         struct cli_build_opts *o)
{
	o->contexts = list(r, w->contexts.len);
	for (size_t k = 0; k < w->contexts.len; k++) {
		str name = w->contexts.ptr[k].key, value = w->contexts.ptr[k].value;
		const struct ws_image *image = NULL;

		if (str_starts(value, S("image:")))
			image = images_get(r->images, str_skip(value, 6));
		add(&o->contexts,
		    image ? arena_printf(r->a, "%.*s=docker-image://%.*s", STR(name),
		                         STR(up_name(image)))
		          : arena_printf(r->a, "%.*s=%s", STR(name), below(r, value)));
	}
}

static void set_values(const struct plan_run *r, const struct ws_image *w, struct cli_build_opts *o)
{
	o->build_args = list(r, w->args.len);
	for (size_t k = 0; k < w->args.len; k++) {
		const struct image_kv *v = &w->args.ptr[k];

		add(&o->build_args,
		    v->value.ptr ? arena_printf(r->a, "%.*s=%.*s", STR(v->key), STR(v->value))
		                 : arena_cstr(r->a, v->key));
	}
	o->tags = list(r, 1);
	add(&o->tags, arena_cstr(r->a, up_name(w)));
	o->platforms = list(r, 1);
	if (w->platforms.len)
		add(&o->platforms, arena_cstr(r->a, w->platforms.ptr[0]));
	if (w->target.len)
		o->target = arena_cstr(r->a, w->target);
}

void plan_reasons(struct plan_run *r, struct plan_image *i)
{
	const struct ws_image *w = i->image;
	struct cli_build_opts o = { .progress = PROGRESS_QUIET };
	struct taking t = { r->a, i };
	struct cairn_err why;

	if (i->verdict != PLAN_BUILD || i->error || w->dockerfile_inline.len)
		return;
	o.context = below(r, w->context);
	o.file = below(r, w->dockerfile);
	set_values(r, w, &o);
	set_contexts(r, w, &o);
	if (build_planned(&o, r->ctx, take, &t, &why) < 0)
		log_debug("no reasons for the steps of '%.*s': %s", STR(w->name), why.msg);
}
