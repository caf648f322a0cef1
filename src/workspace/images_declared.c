/* `images:` of cairn.yaml: defaults, matrix and ${...} made out. */
#include "images_priv.h"
#include "vars.h"

int images_combine(const struct workspace_axes *axes, const struct images_place *p,
                   int (*each)(void *ctx, const str *values, struct cairn_err *err), void *ctx,
                   struct cairn_err *err)
{
	size_t *at = xcalloc(axes->len + 1, sizeof(*at)), total = 1;
	str *values = xcalloc(axes->len + 1, sizeof(*values));
	int r = 0;

	for (size_t k = 0; k < axes->len && total <= IMAGES_MAX; k++)
		total *= axes->ptr[k].values.len;
	if (total > IMAGES_MAX)
		r = images_fail(p, err, "the matrix makes more than %u images", IMAGES_MAX);
	for (size_t n = 0; r == 0 && n < total; n++) {
		for (size_t k = 0; k < axes->len; k++)
			values[k] = axes->ptr[k].values.ptr[at[k]];
		r = each(ctx, values, err);
		for (size_t k = axes->len; k-- > 0 && ++at[k] == axes->ptr[k].values.len;)
			at[k] = 0;
	}
	free(at);
	free(values);
	return r;
}

/* One image of cairn.yaml, whose combinations are made. */
struct making {
	struct images_loader *l;
	const struct workspace_image *written;
	struct images_place place;
	const str *values; /* of the matrix's axes */
	str name;          /* that ${name} stands for; "" while it is made itself */
	VEC(str) made;     /* names */
};

static bool lookup(void *ctx, str name, str *ret)
{
	const struct making *m = ctx;

	if (str_is(name, "name") && m->name.len) {
		*ret = m->name;
		return true;
	}
	if (str_starts(name, S("env.")))
		return images_env(str_skip(name, 4), ret);
	for (size_t k = 0; m->written && k < m->written->matrix.len; k++)
		if (str_eq(m->written->matrix.ptr[k].name, name)) {
			*ret = m->values[k];
			return true;
		}
	return false;
}

static int expand(struct making *m, str text, str *ret, struct cairn_err *err)
{
	const struct vars v = { .style = VARS_CAIRN, .arena = m->l->a, .lookup = lookup, .ctx = m };
	struct cairn_err why;

	if (vars_expand(&v, text, ret, &why) < 0)
		return images_fail(&m->place, err, "image '%.*s': %s",
		                   STR(m->name.len ? m->name : text), why.msg);
	return 0;
}

static int expand_strs(struct making *m, struct image_strs *s, struct cairn_err *err)
{
	struct image_strs c = { arena_array(m->l->a, str, s->len + 1), s->len };

	for (size_t i = 0; i < s->len; i++)
		TRY(expand(m, s->ptr[i], &c.ptr[i], err));
	*s = c;
	return 0;
}

static int expand_kvs(struct making *m, struct image_kvs *s, struct cairn_err *err)
{
	struct image_kvs c = { arena_array(m->l->a, struct image_kv, s->len + 1), s->len };

	for (size_t i = 0; i < s->len; i++) {
		c.ptr[i] = s->ptr[i];
		if (c.ptr[i].value.ptr)
			TRY(expand(m, s->ptr[i].value, &c.ptr[i].value, err));
	}
	*s = c;
	return 0;
}

/* The defaults, with what the image has itself. */
static struct image_kvs merge_kvs(struct arena *a, const struct image_kvs *defaults,
                                  const struct image_kvs *own)
{
	struct image_kvs c = { arena_array(a, struct image_kv, defaults->len + own->len + 1), 0 };
	size_t d = 0, o = 0;

	while (d < defaults->len || o < own->len) { /* both are sorted */
		int order = d == defaults->len ? 1
		            : o == own->len    ? -1
		                               : str_cmp(defaults->ptr[d].key, own->ptr[o].key);

		c.ptr[c.len++] = order < 0 ? defaults->ptr[d] : own->ptr[o];
		d += order <= 0;
		o += order >= 0;
	}
	return c;
}

static void add_defaults(struct arena *a, const struct workspace_image *d,
                         struct workspace_image *i)
{
	i->args = merge_kvs(a, &d->args, &i->args);
	i->contexts = merge_kvs(a, &d->contexts, &i->contexts);
	i->labels = merge_kvs(a, &d->labels, &i->labels);
	if (!i->tags.len)
		i->tags = d->tags;
	if (!i->platforms.len)
		i->platforms = d->platforms;
	if (!i->secrets.len)
		i->secrets = d->secrets;
	if (i->category == IMAGE_UNKNOWN)
		i->category = d->category;
	if (!i->deadline)
		i->deadline = d->deadline;
	if (!i->runner.len)
		i->runner = d->runner;
}

static int expand_image(struct making *m, struct workspace_image *i, struct cairn_err *err)
{
	str *const texts[] = { &i->context, &i->dockerfile, &i->target, &i->runner };
	struct image_strs *const lists[] = { &i->tags, &i->platforms, &i->secrets, &i->depends };
	struct image_kvs *const maps[] = { &i->args, &i->contexts, &i->labels };

	for (size_t k = 0; k < ARRAY_SIZE(texts); k++)
		TRY(expand(m, *texts[k], texts[k], err));
	for (size_t k = 0; k < ARRAY_SIZE(lists); k++)
		TRY(expand_strs(m, lists[k], err));
	for (size_t k = 0; k < ARRAY_SIZE(maps); k++)
		TRY(expand_kvs(m, maps[k], err));
	return 0;
}

/* The key of `images:` with the values in it, or behind it. */
static int make_name(struct making *m, struct cairn_err *err)
{
	const struct workspace_axes *axes = &m->written->matrix;
	cleanup_strbuf struct strbuf name;
	str text;

	strbuf_init(&name, SIZE_MAX);
	m->name = S("");
	TRY(expand(m, m->written->name, &text, err));
	strbuf_str(&name, text);
	for (size_t k = 0; str_eq(text, m->written->name) && k < axes->len; k++)
		strbuf_printf(&name, "-%.*s", STR(m->values[k]));
	m->name = arena_str(m->l->a, strbuf_view(&name));
	return 0;
}

static int make_one(void *ctx, const str *values, struct cairn_err *err)
{
	struct making *m = ctx;
	struct workspace_image i = *m->written;
	struct ws_image *made;

	m->values = values;
	add_defaults(m->l->a, &m->l->config->defaults, &i);
	TRY(make_name(m, err));
	i.name = m->name;
	TRY(expand_image(m, &i, err));
	TRY(images_add(m->l, &i, &m->place, &made, err));
	vec_push(&m->made, made->name);
	return 0;
}

int images_declared(struct images_loader *l, struct cairn_err *err)
{
	const struct workspace_config *c = l->config;
	int r = 0;

	l->groups_file = arena_str(l->a, str_of(c->file ? c->file : WORKSPACE_CONFIG_NAME));
	for (size_t i = 0; r == 0 && i < c->images.len; i++) {
		const struct workspace_image *w = &c->images.ptr[i];
		struct making m = { .l = l,
			            .written = w,
			            .place = { .from = IMAGE_DECLARED,
			                       .file = l->groups_file,
			                       .line = w->line,
			                       .col = w->col,
			                       .base = S(".") } };

		r = images_combine(&w->matrix, &m.place, make_one, &m, err);
		if (r == 0 && w->matrix.len && !map_has(&l->names, w->name) &&
		    str_find(w->name, '$') < 0) {
			struct workspace_group g = { w->name, w->line, w->col, { 0 } };

			g.members.len = m.made.len;
			g.members.ptr = arena_array(l->a, str, m.made.len + 1);
			memcpy(g.members.ptr, m.made.ptr, m.made.len * sizeof(str));
			vec_push(&l->groups, g);
		}
		vec_free(&m.made);
	}
	for (size_t i = 0; i < c->groups.len; i++)
		vec_push(&l->groups, c->groups.ptr[i]);
	return r;
}

int images_default_values(struct images_loader *l, str name, const struct images_place *p,
                          struct workspace_image *i, struct cairn_err *err)
{
	struct making m = { .l = l, .place = *p, .name = name };

	add_defaults(l->a, &l->config->defaults, i);
	return expand_image(&m, i, err);
}
