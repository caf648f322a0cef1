#include "conf_bind.h"

#include "image/image.h"
#include "util/num.h"

#define KEYS_MAX 64 /* of one object; more is a bug */

/* What is meant is said when it is near, else what there is. */
static int fail_unknown(const struct conf_reader *r, const struct conf_object *o,
                        const struct conf_pair *p, struct cairn_err *err)
{
	const char *names[KEYS_MAX + 1], *near;
	cleanup_strbuf struct strbuf known;
	size_t n = 0;

	strbuf_init(&known, sizeof(err->msg));
	for (const struct conf_field *f = o->fields; f->key && n < KEYS_MAX; f++) {
		strbuf_printf(&known, "%s%s", n ? ", " : "", f->key);
		names[n++] = f->key;
	}
	names[n] = NULL;
	near = str_suggest(p->key, names);
	if (near)
		return conf_fail(r, p, err, "unknown key '%.*s'; did you mean '%s'?", STR(p->key),
		                 near);
	return conf_fail(r, p, err, "unknown key '%.*s'; known here: %.*s", STR(p->key),
	                 STR(strbuf_view(&known)));
}

/* --- values ------------------------------------------------------------------- */

static int want_text(const struct conf_reader *r, const struct conf_node *n, const char *what,
                     str *ret, struct cairn_err *err)
{
	if (n->kind != CONF_SCALAR)
		return conf_fail(r, n, err, "expected %s, not %s", what, conf_kind_name(n));
	if (!n->text.len)
		return conf_fail(r, n, err, "expected %s, not an empty text", what);
	*ret = n->text;
	return 0;
}

static int read_bool(const struct conf_reader *r, const struct conf_node *n, bool *ret,
                     struct cairn_err *err)
{
	str text = { NULL, 0 };

	TRY(want_text(r, n, "true or false", &text, err));
	*ret = str_is(text, "true");
	if (n->plain && (*ret || str_is(text, "false")))
		return 0;
	return conf_fail(r, n, err, "expected true or false, not '%.*s'", STR(text));
}

static int read_uint(const struct conf_reader *r, const struct conf_field *f,
                     const struct conf_node *n, uint64_t *ret, struct cairn_err *err)
{
	struct cairn_err ignored;
	str text = { NULL, 0 };

	TRY(want_text(r, n, "a number", &text, err));
	if (num_u64(text, f->max, ret, &ignored) < 0 || *ret < f->min)
		return conf_fail(r, n, err, "expected a number from %llu to %llu, not '%.*s'",
		                 (unsigned long long)f->min, (unsigned long long)f->max, STR(text));
	return 0;
}

static int read_bytes(const struct conf_reader *r, const struct conf_node *n, uint64_t *ret,
                      struct cairn_err *err)
{
	struct cairn_err ignored;
	str text = { NULL, 0 };

	TRY(want_text(r, n, "a size like 500m or 10g", &text, err));
	if (num_bytes(text, ret, &ignored) < 0)
		return conf_fail(r, n, err, "expected a size like 500m or 10g, not '%.*s'",
		                 STR(text));
	return 0;
}

#define DAY_NS   (86400 * 1000000000ull)
#define DAYS_MAX 36500

static int read_duration(const struct conf_reader *r, const struct conf_node *n, uint64_t *ret,
                         struct cairn_err *err)
{
	struct cairn_err ignored;
	str text = { NULL, 0 };
	uint64_t days = 0;

	TRY(want_text(r, n, "a time like 12h or 30d", &text, err));
	if (str_ends(text, S("d")) &&
	    num_u64(str_n(text.ptr, text.len - 1), DAYS_MAX, &days, &ignored) == 0)
		*ret = days * DAY_NS;
	else if (num_duration(text, ret, &ignored) < 0)
		return conf_fail(r, n, err, "expected a time like 12h or 30d, not '%.*s'",
		                 STR(text));
	return 0;
}

const char *const conf_bools[] = { "false", "true", NULL };

static int read_enum(const struct conf_reader *r, const struct conf_field *f,
                     const struct conf_node *n, int *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf list;
	char hint[STR_HINT_MAX];
	str text = { NULL, 0 };

	strbuf_init(&list, SIZE_MAX);
	for (int i = 0; f->choices[i]; i++)
		strbuf_printf(&list, "%s%s",
		              !list.len           ? ""
		              : f->choices[i + 1] ? ", "
		                                  : " or ",
		              f->choices[i]);
	TRY(want_text(r, n, list.ptr, &text, err));
	for (int i = 0; f->choices[i]; i++)
		if (str_is(text, f->choices[i])) {
			*ret = i;
			return 0;
		}
	return conf_fail(r, n, err, "expected %s, not '%.*s'%s", list.ptr, STR(text),
	                 str_did_you_mean(text, f->choices, hint));
}

static int read_path(const struct conf_reader *r, const struct conf_node *n, str *ret,
                     struct cairn_err *err)
{
	TRY(want_text(r, n, "a path", ret, err));
	if (ret->ptr[0] != '/')
		*ret = str_of(arena_printf(r->arena, "%s/%.*s", r->root, STR(*ret)));
	return 0;
}

static int read_strings(const struct conf_reader *r, const struct conf_node *n,
                        struct image_strs *ret, struct cairn_err *err)
{
	if (n->kind == CONF_MAP)
		return conf_fail(r, n, err, "expected a text or a list of them, not a mapping");
	ret->len = n->kind == CONF_LIST ? n->n : 1;
	ret->ptr = arena_array(r->arena, str, ret->len + 1);
	if (n->kind == CONF_SCALAR)
		return want_text(r, n, "a text or a list of them", &ret->ptr[0], err);
	for (size_t i = 0; i < n->n; i++)
		TRY(want_text(r, n->items[i], "a text", &ret->ptr[i], err));
	return 0;
}

static void add_kv(const struct conf_reader *r, struct image_kvs *kvs, str key, str value)
{
	image_kvs_set(r->arena, kvs, key, value);
	for (size_t i = 0; !value.ptr && i < kvs->len; i++)
		if (str_eq(kvs->ptr[i].key, key))
			kvs->ptr[i].value = str_n(NULL, 0);
}

static int read_kv_list(const struct conf_reader *r, const struct conf_node *n,
                        struct image_kvs *kvs, struct cairn_err *err)
{
	for (size_t i = 0; i < n->n; i++) {
		str text = { NULL, 0 }, key, value;

		TRY(want_text(r, n->items[i], "NAME=text", &text, err));
		if (!str_cut(text, '=', &key, &value))
			value = str_n(NULL, 0);
		if (!key.len)
			return conf_fail(r, n->items[i], err, "'%.*s' has no name", STR(text));
		add_kv(r, kvs, key, value);
	}
	return 0;
}

static int read_kvs(const struct conf_reader *r, const struct conf_node *n, struct image_kvs *kvs,
                    struct cairn_err *err)
{
	if (n->kind == CONF_LIST)
		return read_kv_list(r, n, kvs, err);
	if (n->kind != CONF_MAP)
		return conf_fail(r, n, err, "expected a mapping of names to texts, not %s",
		                 conf_kind_name(n));
	for (size_t i = 0; i < n->n; i++) {
		const struct conf_node *v = n->pairs[i].value;

		if (v->kind != CONF_SCALAR)
			return conf_fail(r, v, err, "expected a text, not %s", conf_kind_name(v));
		add_kv(r, kvs, n->pairs[i].key, conf_is_null(v) ? str_n(NULL, 0) : v->text);
	}
	return 0;
}

static int read_option(const struct conf_reader *r, const struct conf_field *f,
                       const struct conf_node *n, struct image_kvs *kvs, struct cairn_err *err)
{
	str text = { NULL, 0 };
	uint64_t number;
	int index;

	if (f->choices)
		TRY(read_enum(r, f, n, &index, err));
	else if (f->max)
		TRY(read_uint(r, f, n, &number, err));
	TRY(want_text(r, n, "a text", &text, err));
	image_kvs_set(r->arena, kvs, str_of(f->option), text);
	return 0;
}

/* --- objects -------------------------------------------------------------------- */

static int read_field(const struct conf_reader *r, const struct conf_field *f,
                      const struct conf_node *n, void *into, struct cairn_err *err);

/* One element of an array. */
static int read_element(const struct conf_reader *r, const struct conf_object *o,
                        const struct conf_node *n, void *into, struct cairn_err *err)
{
	if (o->value)
		return read_field(r, o->value, n, into, err);
	if (n->kind == CONF_SCALAR && !conf_is_null(n) && o->required) {
		TRY(read_field(r, &o->fields[0], n, into, err));
		return o->finish ? o->finish(r, n, into, err) : 0;
	}
	return conf_read(r, o, n, into, err);
}

/* Make room for `len` structs; they are kept at `value`, a struct of pointer and length. */
static char *new_array(const struct conf_reader *r, const struct conf_object *o, size_t len,
                       void *value)
{
	struct conf_array array = { arena_alloc(r->arena, o->size * len + 1), len };

	memcpy(value, &array, sizeof(array));
	for (size_t i = 0; o->init && i < len; i++)
		o->init((char *)array.ptr + i * o->size);
	return array.ptr;
}

static int read_objects(const struct conf_reader *r, const struct conf_object *o,
                        const struct conf_node *n, void *value, struct cairn_err *err)
{
	bool list = n->kind == CONF_LIST;
	size_t len = list ? n->n : 1;
	char *array = new_array(r, o, len, value);

	for (size_t i = 0; i < len; i++)
		TRY(read_element(r, o, list ? n->items[i] : n, array + i * o->size, err));
	return 0;
}

static int read_named(const struct conf_reader *r, const struct conf_object *o,
                      const struct conf_node *n, void *value, struct cairn_err *err)
{
	char *array;

	if (n->kind != CONF_MAP)
		return conf_fail(r, n, err, "expected a mapping of names, not %s",
		                 conf_kind_name(n));
	array = new_array(r, o, n->n, value);
	for (size_t i = 0; i < n->n; i++) {
		const struct conf_pair *p = &n->pairs[i];

		memcpy(array + i * o->size, &p->key, sizeof(p->key));
		if (o->check_name)
			TRY(o->check_name(r, p, err));
		if (o->place)
			o->place(array + i * o->size, p->line, p->col);
		TRY(read_element(r, o, p->value, array + i * o->size, err));
	}
	return 0;
}

static int read_typed(const struct conf_reader *r, const struct conf_field *f,
                      const struct conf_node *n, void *value, struct cairn_err *err)
{
	switch (f->type) {
	case CONF_F_STRING:
		return want_text(r, n, "a text", value, err);
	case CONF_F_PATH:
		return read_path(r, n, value, err);
	case CONF_F_BOOL:
		return read_bool(r, n, value, err);
	case CONF_F_UINT:
		return read_uint(r, f, n, value, err);
	case CONF_F_BYTES:
		return read_bytes(r, n, value, err);
	case CONF_F_DURATION:
		return read_duration(r, n, value, err);
	case CONF_F_ENUM:
		return read_enum(r, f, n, value, err);
	case CONF_F_STRINGS:
		return read_strings(r, n, value, err);
	case CONF_F_KVS:
		return read_kvs(r, n, value, err);
	case CONF_F_ANY:
		return 0;
	case CONF_F_OPTION:
		return read_option(r, f, n, value, err);
	case CONF_F_OBJECT:
		return conf_read(r, f->object, n, value, err);
	case CONF_F_OBJECTS:
		return read_objects(r, f->object, n, value, err);
	case CONF_F_NAMED:
		return read_named(r, f->object, n, value, err);
	case CONF_F_N_:
		break;
	}
	CAIRN_BUG("key '%s' has no type", f->key);
}

static int read_field(const struct conf_reader *r, const struct conf_field *f,
                      const struct conf_node *n, void *into, struct cairn_err *err)
{
	void *value = (char *)into + f->offset;

	if (conf_is_null(n) || (r->empty_is_none && n->kind == CONF_SCALAR && !n->text.len))
		return 0;
	if (read_typed(r, f, n, value, err) < 0)
		return f->type == CONF_F_OBJECT || f->type == CONF_F_OBJECTS ||
		                       f->type == CONF_F_NAMED
		               ? err->code
		               : cairn_wrap(err, "%s", f->key);
	return f->check ? f->check(r, n, value, err) : 0;
}

static const struct conf_field *find_field(const struct conf_object *o, str key)
{
	for (const struct conf_field *f = o->fields; f->key; f++)
		if (str_is(key, f->key))
			return f;
	return NULL;
}

int conf_read(const struct conf_reader *r, const struct conf_object *o, const struct conf_node *n,
              void *into, struct cairn_err *err)
{
	bool got_required = o->required == NULL;

	if (!n || (conf_is_null(n) && !o->required))
		return 0;
	if (n->kind != CONF_MAP)
		return conf_fail(r, n, err, "expected a mapping of keys, not %s",
		                 conf_kind_name(n));
	for (size_t i = 0; i < n->n; i++) {
		const struct conf_field *f = find_field(o, n->pairs[i].key);

		if (!f && o->open)
			continue;
		if (!f)
			return fail_unknown(r, o, &n->pairs[i], err);
		TRY(read_field(r, f, n->pairs[i].value, into, err));
		if (o->required && strcmp(f->key, o->required) == 0)
			got_required = !conf_is_null(n->pairs[i].value);
	}
	if (!got_required)
		return conf_fail(r, n, err, "the key '%s' is missing", o->required);
	return o->finish ? o->finish(r, n, into, err) : 0;
}
