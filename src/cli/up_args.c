#include "up_args.h"

#include "util/fs.h"

struct word_list {
	struct arena *a;
	VEC(char *) list;
};

static void add(struct word_list *w, const char *word)
{
	vec_push(&w->list, arena_cstr(w->a, str_of(word)));
}

static void add_pair(struct word_list *w, const char *opt, str value)
{
	add(w, opt);
	vec_push(&w->list, arena_cstr(w->a, value));
}

str up_name(const struct ws_image *i)
{
	return i->tags.len ? i->tags.ptr[0] : i->name;
}

/* "registry.example/x", "localhost:5000/x", but not "x" and not "library/x". */
static bool names_registry(str tag)
{
	str host, rest;

	if (!str_cut(tag, '/', &host, &rest))
		return false;
	return str_find(host, '.') >= 0 || str_find(host, ':') >= 0 || str_is(host, "localhost");
}

bool up_pushable(const struct ws_image *i)
{
	for (size_t k = 0; k < i->tags.len; k++)
		if (!names_registry(i->tags.ptr[k]))
			return false;
	return i->tags.len > 0;
}

/* --- images it stands on ----------------------------------------------------------------- */

/* What an image that is not built now is to be called, so that nothing else is meant. */
static int skipped_name(const struct up *u, const struct plan_image *p, const char **ret,
                        struct cairn_err *err)
{
	struct store *s = u->plan->ctx->store;
	struct store_image image = { 0 };
	char text[REFERENCE_TEXT_MAX];
	struct reference ref;
	bool here = false;

	TRY(plan_state_put(s, &p->key, &p->known, err));
	TRY(store_image_find(s, &p->known.config, &image, &here, err));
	store_image_done(&image);
	*ret = arena_cstr(u->plan->a, up_name(p->image));
	if (!here) {
		*ret = arena_printf(u->plan->a, "%.*s@%s", STR(p->known.repository),
		                    digest_text(&p->known.manifest).s);
		return 0;
	}
	TRY(reference_parse(up_name(p->image), &ref, err));
	return store_tag_put(s, str_of(reference_text(&ref, text)), &p->known.config, err);
}

static int parent_name(const struct up *u, const struct ws_image *parent, const char **ret,
                       struct cairn_err *err)
{
	const struct plan_image *p = plan_get(u->plan->plan, parent->name);

	*ret = arena_cstr(u->plan->a, up_name(parent));
	return p && p->verdict != PLAN_BUILD ? skipped_name(u, p, ret, err) : 0;
}

static void add_context(struct word_list *w, str name, const char *image)
{
	if (str_is(name, image)) /* it means that already */
		return;
	add_pair(w, "--build-context",
	         str_of(arena_printf(w->a, "%.*s=docker-image://%s", STR(name), image)));
}

/* Every name that the image may call it by. */
static int add_parents(const struct up *u, const struct ws_image *i, struct word_list *w,
                       struct cairn_err *err)
{
	for (size_t k = 0; k < i->n_parents; k++) {
		const struct ws_image *parent = i->parents[k];
		const char *image = NULL;

		TRY(parent_name(u, parent, &image, err));
		add_context(w, parent->name, image);
		for (size_t t = 0; t < parent->tags.len; t++)
			if (!str_eq(parent->tags.ptr[t], parent->name))
				add_context(w, parent->tags.ptr[t], image);
	}
	return 0;
}

#define IMAGE_CONTEXT "image:"

static int add_contexts(const struct up *u, const struct ws_image *i, struct word_list *w,
                        struct cairn_err *err)
{
	for (size_t k = 0; k < i->contexts.len; k++) {
		str name = i->contexts.ptr[k].key, value = i->contexts.ptr[k].value;
		const struct ws_image *of;
		const char *image = NULL;

		if (!str_starts(value, S(IMAGE_CONTEXT))) {
			add_pair(w, "--build-context",
			         str_of(arena_printf(w->a, "%.*s=%.*s", STR(name), STR(value))));
			continue;
		}
		of = images_get(u->plan->images, str_skip(value, sizeof(IMAGE_CONTEXT) - 1));
		if (!of)
			CAIRN_BUG("context of no image");
		TRY(parent_name(u, of, &image, err));
		add_pair(w, "--build-context",
		         str_of(arena_printf(w->a, "%.*s=docker-image://%s", STR(name), image)));
	}
	return 0;
}

/* --- the rest ------------------------------------------------------------------------------ */

static int add_dockerfile(const struct up *u, const struct up_image *ui, struct word_list *w,
                          struct cairn_err *err)
{
	const struct ws_image *i = ui->plan->image;
	const char *path;

	if (!i->dockerfile_inline.len) {
		add_pair(w, "--file", i->dockerfile);
		return 0;
	}
	path = arena_printf(w->a, "%s/%zu.Dockerfile", u->dir, (size_t)(ui - u->ptr));
	TRY(fs_write_file(AT_FDCWD, path, i->dockerfile_inline, 0600, err));
	add_pair(w, "--file", str_of(path));
	return 0;
}

static void add_values(const struct ws_image *i, struct word_list *w)
{
	for (size_t k = 0; k < i->args.len; k++) {
		const struct image_kv *v = &i->args.ptr[k];

		add_pair(w, "--build-arg",
		         v->value.ptr ? str_of(arena_printf(w->a, "%.*s=%.*s", STR(v->key),
		                                            STR(v->value)))
		                      : v->key);
	}
	for (size_t k = 0; k < i->labels.len; k++)
		add_pair(w, "--label",
		         str_of(arena_printf(w->a, "%.*s=%.*s", STR(i->labels.ptr[k].key),
		                             STR(i->labels.ptr[k].value))));
	for (size_t k = 0; k < i->secrets.len; k++)
		add_pair(w, "--secret", i->secrets.ptr[k]);
	for (size_t k = 0; k < i->tags.len; k++)
		add_pair(w, "--tag", i->tags.ptr[k]);
	if (!i->tags.len)
		add_pair(w, "--tag", i->name);
	if (i->platforms.len)
		add_pair(w, "--platform", i->platforms.ptr[0]);
	if (i->target.len)
		add_pair(w, "--target", i->target);
}

static int fill(const struct up *u, const struct up_image *ui, struct word_list *w,
                struct cairn_err *err)
{
	const struct ws_image *i = ui->plan->image;

	add(w, "cairn");
	add(w, "build");
	add(w, "--progress=plain");
	if (u->opts->config)
		add_pair(w, "--config", str_of(u->opts->config));
	TRY(add_dockerfile(u, ui, w, err));
	add_values(i, w);
	TRY(add_parents(u, i, w, err));
	TRY(add_contexts(u, i, w, err));
	if (u->opts->push && up_pushable(i))
		add(w, "--push");
	add(w, "--");
	vec_push(&w->list, arena_cstr(w->a, i->context));
	vec_push(&w->list, NULL);
	return 0;
}

int up_args(const struct up *u, const struct up_image *i, char ***ret, struct cairn_err *err)
{
	struct word_list w = { .a = u->plan->a };
	int r = fill(u, i, &w, err);

	if (r == 0) {
		*ret = arena_array(w.a, char *, w.list.len);
		memcpy(*ret, w.list.ptr, w.list.len * sizeof(**ret));
	}
	vec_free(&w.list);
	return r;
}
