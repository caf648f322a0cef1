#include "conf_tree.h"

#include <yaml.h>

#include "util/map.h"
#include "util/vec.h"

/* A parse that runs. */
struct parse {
	yaml_parser_t yaml;
	yaml_event_t event; /* the current one; valid while has_event */
	bool has_event;
	const char *path;
	struct arena *a;
	bool aliases;       /* anchors and aliases are taken */
	struct map anchors; /* name -> struct conf_node */
};

static unsigned line_of(const yaml_mark_t *m)
{
	return (unsigned)m->line + 1;
}

static unsigned col_of(const yaml_mark_t *m)
{
	return (unsigned)m->column + 1;
}

#define fail_here(p, err, ...)                                           \
	cairn_fail_at((err), (p)->path, line_of(&(p)->event.start_mark), \
	              col_of(&(p)->event.start_mark), __VA_ARGS__)

/* What libyaml did not like, in its words. */
static int fail_yaml(const struct parse *p, struct cairn_err *err)
{
	const yaml_parser_t *y = &p->yaml;
	const yaml_mark_t *m = &y->problem_mark;

	if (y->error == YAML_READER_ERROR)
		return cairn_fail_at(err, p->path, 0, 0, "byte %zu is not valid UTF-8 text",
		                     y->problem_offset + 1);
	return cairn_fail_at(err, p->path, line_of(m), col_of(m), "%s%s%s",
	                     y->context ? y->context : "", y->context ? ": " : "",
	                     y->problem ? y->problem : "not valid YAML");
}

static int next(struct parse *p, struct cairn_err *err)
{
	if (p->has_event)
		yaml_event_delete(&p->event);
	p->has_event = false;
	if (!yaml_parser_parse(&p->yaml, &p->event))
		return fail_yaml(p, err);
	p->has_event = true;
	return 0;
}

/* Anchors and tags, wherever they may stand. */
static int check_plain(struct parse *p, const yaml_char_t *anchor, const yaml_char_t *tag,
                       struct cairn_err *err)
{
	if (anchor && !p->aliases)
		return fail_here(p, err, "anchors (&%s) are not taken here; write the value out",
		                 (const char *)anchor);
	if (tag)
		return fail_here(p, err, "tags (%s) are not taken here", (const char *)tag);
	return 0;
}

static struct conf_node *node_new(const struct parse *p, enum conf_kind kind)
{
	struct conf_node *n = arena_new_of(p->a, struct conf_node);

	n->kind = kind;
	n->line = line_of(&p->event.start_mark);
	n->col = col_of(&p->event.start_mark);
	n->size = n->height = 1;
	return n;
}

static str event_text(const struct parse *p)
{
	return arena_str(
		p->a, str_n((const char *)p->event.data.scalar.value, p->event.data.scalar.length));
}

/* A child takes its place in `n`, which is at `depth`. */
static int grow(const struct parse *p, struct conf_node *n, const struct conf_node *child,
                unsigned depth, struct cairn_err *err)
{
	n->size += child->size;
	if (n->height <= child->height)
		n->height = child->height + 1;
	if (n->size > CONF_NODES_MAX)
		return fail_here(p, err, "more than %u values", CONF_NODES_MAX);
	if (depth + n->height > CONF_DEPTH_MAX + 1)
		return fail_here(p, err, "more than %d lists and mappings in each other",
		                 CONF_DEPTH_MAX);
	return 0;
}

static int parse_node(struct parse *p, unsigned depth, struct conf_node **ret,
                      struct cairn_err *err);

static int parse_scalar(struct parse *p, struct conf_node **ret, struct cairn_err *err)
{
	struct conf_node *n = node_new(p, CONF_SCALAR);

	TRY(check_plain(p, p->event.data.scalar.anchor, p->event.data.scalar.tag, err));
	n->text = event_text(p);
	n->plain = p->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	if (memchr(n->text.ptr, '\0', n->text.len))
		return fail_here(p, err, "a NUL character is not taken here");
	*ret = n;
	return 0;
}

static int parse_list(struct parse *p, unsigned depth, struct conf_node **ret,
                      struct cairn_err *err)
{
	struct conf_node *n = node_new(p, CONF_LIST), *item = NULL;
	VEC(struct conf_node *) items = { 0 };
	int r;

	TRY(check_plain(p, p->event.data.sequence_start.anchor, p->event.data.sequence_start.tag,
	                err));
	while ((r = next(p, err)) == 0 && p->event.type != YAML_SEQUENCE_END_EVENT) {
		r = parse_node(p, depth + 1, &item, err);
		if (r == 0)
			r = grow(p, n, item, depth, err);
		if (r < 0)
			break;
		vec_push(&items, item);
	}
	n->n = items.len;
	n->items = arena_array(p->a, struct conf_node *, items.len);
	if (items.len)
		memcpy(n->items, items.ptr, items.len * sizeof(*items.ptr));
	vec_free(&items);
	*ret = n;
	return r;
}

static int parse_pair(struct parse *p, unsigned depth, struct map *seen, struct conf_pair *ret,
                      struct cairn_err *err)
{
	struct conf_node *key = NULL;

	if (p->event.type != YAML_SCALAR_EVENT)
		return fail_here(p, err, "a key has to be a word");
	TRY(parse_scalar(p, &key, err));
	*ret = (struct conf_pair){ .key = key->text, .line = key->line, .col = key->col };
	if (map_put(seen, key->text, key))
		return fail_here(p, err, "the key '%.*s' stands here for the second time",
		                 STR(key->text));
	TRY(next(p, err));
	return parse_node(p, depth + 1, &ret->value, err);
}

#define MERGE "<<"

/* Append the pairs of `from` whose keys are not there yet. */
static int merge_from(const struct parse *p, struct conf_node *n, const struct conf_node *from,
                      struct cairn_err *err)
{
	struct conf_pair *pairs = arena_array(p->a, struct conf_pair, n->n + from->n + 1);
	size_t len = n->n;

	if (from->kind != CONF_MAP)
		return cairn_fail_at(err, p->path, from->line, from->col,
		                     "only mappings can be merged, not %s", conf_kind_name(from));
	if (n->n)
		memcpy(pairs, n->pairs, n->n * sizeof(*pairs));
	for (size_t i = 0; i < from->n; i++) {
		if (conf_get(n, from->pairs[i].key.ptr))
			continue;
		pairs[len++] = from->pairs[i];
		n->size += from->pairs[i].value->size;
		if (n->size > CONF_NODES_MAX)
			return cairn_fail_at(err, p->path, n->line, n->col, "more than %u values",
			                     CONF_NODES_MAX);
	}
	n->pairs = pairs;
	n->n = len;
	return 0;
}

/* Put what stands behind "<<" in its place. */
static int merge(const struct parse *p, struct conf_node *n, struct cairn_err *err)
{
	const struct conf_node *value = conf_get(n, MERGE);
	size_t len = 0;

	if (!value)
		return 0;
	for (size_t i = 0; i < n->n; i++)
		if (n->pairs[i].value != value || !str_is(n->pairs[i].key, MERGE))
			n->pairs[len++] = n->pairs[i];
	n->n = len;
	if (value->kind != CONF_LIST)
		return merge_from(p, n, value, err);
	for (size_t i = 0; i < value->n; i++)
		TRY(merge_from(p, n, value->items[i], err));
	return 0;
}

static int parse_map(struct parse *p, unsigned depth, struct conf_node **ret, struct cairn_err *err)
{
	struct conf_node *n = node_new(p, CONF_MAP);
	VEC(struct conf_pair) pairs = { 0 };
	struct conf_pair pair = { 0 };
	struct map seen cleanup_map = { 0 };
	int r;

	TRY(check_plain(p, p->event.data.mapping_start.anchor, p->event.data.mapping_start.tag,
	                err));
	while ((r = next(p, err)) == 0 && p->event.type != YAML_MAPPING_END_EVENT) {
		r = parse_pair(p, depth, &seen, &pair, err);
		if (r == 0)
			r = grow(p, n, pair.value, depth, err);
		if (r < 0)
			break;
		vec_push(&pairs, pair);
	}
	n->n = pairs.len;
	n->pairs = arena_array(p->a, struct conf_pair, pairs.len);
	if (pairs.len)
		memcpy(n->pairs, pairs.ptr, pairs.len * sizeof(*pairs.ptr));
	vec_free(&pairs);
	*ret = n;
	return r == 0 && p->aliases ? merge(p, n, err) : r;
}

static int parse_alias(struct parse *p, struct conf_node **ret, struct cairn_err *err)
{
	const char *name = (const char *)p->event.data.alias.anchor;

	if (!p->aliases)
		return fail_here(p, err, "aliases (*%s) are not taken here; write the value out",
		                 name);
	*ret = map_get(&p->anchors, str_of(name));
	return *ret ? 0 : fail_here(p, err, "there is no anchor &%s before this", name);
}

/* The anchor of the current event, or "". */
static str anchor_of(const struct parse *p)
{
	const yaml_char_t *name = NULL;

	if (p->event.type == YAML_SCALAR_EVENT)
		name = p->event.data.scalar.anchor;
	else if (p->event.type == YAML_SEQUENCE_START_EVENT)
		name = p->event.data.sequence_start.anchor;
	else if (p->event.type == YAML_MAPPING_START_EVENT)
		name = p->event.data.mapping_start.anchor;
	return name ? arena_str(p->a, str_of((const char *)name)) : S("");
}

/* The value that the current event begins. Afterwards its last event is the current one. */
static int parse_node(struct parse *p, unsigned depth, struct conf_node **ret,
                      struct cairn_err *err)
{
	str anchor = anchor_of(p);

	if (depth > CONF_DEPTH_MAX)
		return fail_here(p, err, "more than %d lists and mappings in each other",
		                 CONF_DEPTH_MAX);
	if (p->event.type == YAML_SCALAR_EVENT)
		TRY(parse_scalar(p, ret, err));
	else if (p->event.type == YAML_SEQUENCE_START_EVENT)
		TRY(parse_list(p, depth, ret, err));
	else if (p->event.type == YAML_MAPPING_START_EVENT)
		TRY(parse_map(p, depth, ret, err));
	else if (p->event.type == YAML_ALIAS_EVENT)
		TRY(parse_alias(p, ret, err));
	else
		CAIRN_BUG("libyaml gave event %d where a value begins", (int)p->event.type);
	if (anchor.len)
		(void)map_put(&p->anchors, anchor, *ret); /* it is known from here on */
	return 0;
}

static int parse_stream(struct parse *p, struct conf_node **ret, struct cairn_err *err)
{
	*ret = NULL;
	TRY(next(p, err)); /* the stream begins */
	TRY(next(p, err));
	if (p->event.type == YAML_STREAM_END_EVENT)
		return 0;
	TRY(next(p, err)); /* the document has begun */
	TRY(parse_node(p, 1, ret, err));
	TRY(next(p, err)); /* the document ends */
	TRY(next(p, err));
	if (p->event.type != YAML_STREAM_END_EVENT)
		return fail_here(p, err, "a second document begins here; there may be only one");
	return 0;
}

static int parse_text(str text, struct parse *p, struct conf_node **ret, struct cairn_err *err)
{
	struct conf_node *root = NULL;
	int r;

	if (text.len > CONF_TEXT_MAX)
		return cairn_fail_at(err, p->path, 0, 0, "it is larger than %u bytes",
		                     CONF_TEXT_MAX);
	if (!yaml_parser_initialize(&p->yaml))
		CAIRN_BUG("out of memory");
	yaml_parser_set_input_string(&p->yaml, (const unsigned char *)text.ptr, text.len);
	yaml_parser_set_encoding(&p->yaml, YAML_UTF8_ENCODING);
	r = parse_stream(p, &root, err);
	if (p->has_event)
		yaml_event_delete(&p->event);
	yaml_parser_delete(&p->yaml);
	map_done(&p->anchors);
	if (r == 0)
		*ret = root;
	return r;
}

int conf_parse(str text, const char *path, struct arena *a, struct conf_node **ret,
               struct cairn_err *err)
{
	struct parse p = { .path = path, .a = a };

	return parse_text(text, &p, ret, err);
}

int conf_parse_aliases(str text, const char *path, struct arena *a, struct conf_node **ret,
                       struct cairn_err *err)
{
	struct parse p = { .path = path, .a = a, .aliases = true };

	return parse_text(text, &p, ret, err);
}

struct conf_node *conf_get(const struct conf_node *n, const char *key)
{
	for (size_t i = 0; n && n->kind == CONF_MAP && i < n->n; i++)
		if (str_is(n->pairs[i].key, key))
			return n->pairs[i].value;
	return NULL;
}

bool conf_is_null(const struct conf_node *n)
{
	static const char *const words[] = { "", "~", "null", "Null", "NULL" };

	for (size_t i = 0; n->kind == CONF_SCALAR && n->plain && i < ARRAY_SIZE(words); i++)
		if (str_is(n->text, words[i]))
			return true;
	return false;
}

const char *conf_kind_name(const struct conf_node *n)
{
	switch (n->kind) {
	case CONF_LIST:
		return "a list";
	case CONF_MAP:
		return "a mapping";
	case CONF_SCALAR:
		break;
	}
	return conf_is_null(n) ? "nothing" : "text";
}
