#include "util/json.h"

int json_parse(str text, const char *what, json_t **ret_owned, struct cairn_err *err)
{
	json_error_t e;
	json_t *j = json_loadb(text.ptr ? text.ptr : "", text.len,
	                       JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);

	if (!j)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s is not JSON: line %d column %d: %s",
		                  what, e.line, e.column, e.text);
	*ret_owned = j;
	return 0;
}

static int add(const char *p, size_t n, void *out)
{
	strbuf_add(out, p, n);
	return 0;
}

void json_write(const json_t *j, struct strbuf *out)
{
	if (json_dump_callback(j, add, out, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		CAIRN_BUG("JSON value cannot be written");
}

/* The member, or NULL when absent or null. */
static int member(const json_t *obj, const char *key, bool (*is)(const json_t *), const char *type,
                  json_t **ret, struct cairn_err *err)
{
	json_t *v = json_object_get(obj, key);

	if (json_is_null(v))
		v = NULL;
	if (v && !is(v))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is not %s", key, type);
	*ret = v;
	return 0;
}

static bool is_str(const json_t *j)
{
	return json_is_string(j);
}

static bool is_int(const json_t *j)
{
	return json_is_integer(j);
}

static bool is_bool(const json_t *j)
{
	return json_is_boolean(j);
}

static bool is_array(const json_t *j)
{
	return json_is_array(j);
}

static bool is_object(const json_t *j)
{
	return json_is_object(j);
}

int json_get_str(const json_t *obj, const char *key, const char **ret, struct cairn_err *err)
{
	json_t *v = NULL;

	TRY(member(obj, key, is_str, "a string", &v, err));
	*ret = v ? json_string_value(v) : NULL;
	return 0;
}

int json_get_int(const json_t *obj, const char *key, int64_t def, int64_t *ret,
                 struct cairn_err *err)
{
	json_t *v = NULL;

	TRY(member(obj, key, is_int, "an integer", &v, err));
	*ret = v ? json_integer_value(v) : def;
	return 0;
}

int json_parse_version(str text, int version, json_t **ret_owned, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	int64_t found = 0;

	TRY(json_parse(text, "it", &j, err));
	if (!json_is_object(j))
		return cairn_fail(err, CAIRN_E_SYNTAX, "it is no object");
	TRY(json_get_int(j, "version", 0, &found, err));
	if (found != version)
		return cairn_fail(err, CAIRN_E_SYNTAX, "version %lld, this cairn reads %d",
		                  (long long)found, version);
	*ret_owned = steal_ptr(&j);
	return 0;
}

int json_get_bool(const json_t *obj, const char *key, bool def, bool *ret, struct cairn_err *err)
{
	json_t *v = NULL;

	TRY(member(obj, key, is_bool, "true or false", &v, err));
	*ret = v ? json_is_true(v) : def;
	return 0;
}

int json_get_array(const json_t *obj, const char *key, json_t **ret, struct cairn_err *err)
{
	return member(obj, key, is_array, "an array", ret, err);
}

int json_get_object(const json_t *obj, const char *key, json_t **ret, struct cairn_err *err)
{
	return member(obj, key, is_object, "an object", ret, err);
}

/* Length of the valid UTF-8 sequence at p, 0 when there is none. */
static size_t utf8_len(const unsigned char *p, size_t n)
{
	size_t need = p[0] < 0x80   ? 1
	              : p[0] < 0xc2 ? 0
	              : p[0] < 0xe0 ? 2
	              : p[0] < 0xf0 ? 3
	              : p[0] < 0xf5 ? 4
	                            : 0;

	if (need == 0 || need > n)
		return 0;
	for (size_t i = 1; i < need; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return need;
}

json_t *json_str(str s)
{
	json_t *j = json_stringn(s.ptr ? s.ptr : "", s.len);
	struct strbuf b;

	if (j)
		return j;
	strbuf_init(&b, s.len * 3);
	while (s.len) {
		size_t n = utf8_len((const unsigned char *)s.ptr, s.len);

		if (n)
			strbuf_add(&b, s.ptr, n);
		else
			strbuf_cstr(&b, "\xef\xbf\xbd");
		s = str_skip(s, n ? n : 1);
	}
	j = json_stringn(b.ptr, b.len);
	strbuf_done(&b);
	if (!j)
		CAIRN_BUG("cannot make a JSON string");
	return j;
}
