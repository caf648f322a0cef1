#include "images_batch.h"

static int expand_scalar(const struct images_batch *b, const struct vars *v,
                         const struct conf_node *n, struct conf_node *ret, struct cairn_err *err)
{
	struct cairn_err why;

	if (vars_expand(v, n->text, &ret->text, &why) < 0)
		return conf_fail(&b->reader, n, err, "%s", why.msg);
	/* What a variable gave is a text, also when it is empty or looks like null. */
	if (ret->text.ptr != n->text.ptr)
		ret->plain = n->plain && ret->text.len > 0;
	return 0;
}

int batch_expand(const struct images_batch *b, const struct vars *v, bool plain,
                 const struct conf_node *n, struct conf_node **ret, struct cairn_err *err)
{
	struct arena *a = b->reader.arena;
	struct conf_node *c = arena_new_of(a, struct conf_node);

	*c = *n;
	*ret = c;
	switch (n->kind) {
	case CONF_SCALAR:
		return plain || !n->plain ? expand_scalar(b, v, n, c, err) : 0;
	case CONF_LIST:
		c->items = arena_array(a, struct conf_node *, n->n + 1);
		for (size_t i = 0; i < n->n; i++)
			TRY(batch_expand(b, v, plain, n->items[i], &c->items[i], err));
		return 0;
	case CONF_MAP:
		c->pairs = arena_array(a, struct conf_pair, n->n + 1);
		for (size_t i = 0; i < n->n; i++) {
			c->pairs[i] = n->pairs[i];
			TRY(batch_expand(b, v, plain, n->pairs[i].value, &c->pairs[i].value, err));
		}
		return 0;
	}
	CAIRN_BUG("a node of no kind");
}

static bool was_told(struct images_batch *b, const char *key)
{
	for (size_t i = 0; i < b->n_told; i++)
		if (strcmp(b->told[i], key) == 0)
			return true;
	if (b->n_told < ARRAY_SIZE(b->told))
		b->told[b->n_told++] = key;
	return false;
}

void batch_tell_ignored(struct images_batch *b, const struct conf_node *n,
                        const struct batch_ignored *table)
{
	for (const struct batch_ignored *i = table; i->key; i++) {
		const struct conf_node *value = conf_get(n, i->key);

		if (value && i->why && !conf_is_null(value) && !was_told(b, i->key))
			images_warn(b->l, "%s:%u: '%s' is not read: %s", b->reader.path,
			            value->line, i->key, i->why);
	}
}

void batch_rename_contexts(const struct images_batch *b, struct image_kvs *contexts,
                           const char *prefix)
{
	for (size_t i = 0; i < contexts->len; i++) {
		str *v = &contexts->ptr[i].value;

		if (str_starts(*v, str_of(prefix)))
			*v = str_of(arena_printf(b->reader.arena, "image:%.*s",
			                         STR(str_skip(*v, strlen(prefix)))));
	}
}

void batch_add_group(struct images_batch *b, const struct conf_pair *at, const str *members,
                     size_t n)
{
	struct workspace_group g = { at->key, at->line, at->col, { 0 } };

	g.members.ptr = arena_array(b->reader.arena, str, n + 1);
	g.members.len = n;
	if (n)
		memcpy(g.members.ptr, members, n * sizeof(*members));
	vec_push(&b->l->groups, g);
}
