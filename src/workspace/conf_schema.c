/* The tables of the reader as JSON Schema (https://json-schema.org/draft/2020-12). */
#include "conf_bind.h"

static void set(json_t *o, const char *key, json_t *owned)
{
	if (json_object_set_new(o, key, owned) < 0)
		CAIRN_BUG("cannot make the schema");
}

static void set_text(json_t *o, const char *key, const char *text)
{
	set(o, key, json_string(text));
}

static json_t *object_of_type(const char *type)
{
	json_t *o = json_object();

	set_text(o, "type", type);
	return o;
}

static json_t *text(bool may_be_empty)
{
	json_t *o = object_of_type("string");

	if (!may_be_empty)
		set(o, "minLength", json_integer(1));
	return o;
}

/* {"oneOf": [one, a list of one]}; takes `one` over. */
static json_t *one_or_list(json_t *one)
{
	json_t *o = json_object(), *list = object_of_type("array"), *both = json_array();

	set(list, "items", json_incref(one));
	if (json_array_append_new(both, one) < 0 || json_array_append_new(both, list) < 0)
		CAIRN_BUG("cannot make the schema");
	set(o, "oneOf", both);
	return o;
}

static json_t *either(json_t *a, json_t *b)
{
	json_t *o = json_object(), *both = json_array();

	if (json_array_append_new(both, a) < 0 || json_array_append_new(both, b) < 0)
		CAIRN_BUG("cannot make the schema");
	set(o, "oneOf", both);
	return o;
}

static json_t *choices(const char *const *list)
{
	json_t *o = json_object(), *values = json_array();

	for (; *list; list++)
		if (**list && json_array_append_new(values, json_string(*list)) < 0)
			CAIRN_BUG("cannot make the schema");
	set(o, "enum", values);
	return o;
}

static json_t *number(const struct conf_field *f)
{
	json_t *o = object_of_type("integer");

	set(o, "minimum", json_integer((json_int_t)f->min));
	set(o, "maximum", json_integer((json_int_t)f->max));
	return o;
}

static json_t *with_pattern(const char *pattern)
{
	json_t *o = object_of_type("string");

	set_text(o, "pattern", pattern);
	return o;
}

/* Names and texts: a mapping, or a list of NAME=text. */
static json_t *kvs(void)
{
	json_t *map = object_of_type("object"), *list = object_of_type("array");
	json_t *value = json_pack("{s:[s,s,s,s]}", "type", "string", "number", "boolean", "null");

	if (!value)
		CAIRN_BUG("cannot make the schema");
	set(map, "additionalProperties", value);
	set(list, "items", text(false));
	return either(map, list);
}

static json_t *field_schema(const struct conf_field *f);

static json_t *element(const struct conf_object *o)
{
	return o->value ? field_schema(o->value) : conf_schema(o);
}

static json_t *named(const struct conf_object *o)
{
	json_t *s = object_of_type("object");

	set(s, "additionalProperties", element(o));
	return s;
}

static json_t *typed(const struct conf_field *f)
{
	switch (f->type) {
	case CONF_F_STRING:
	case CONF_F_PATH:
		return text(false);
	case CONF_F_BOOL:
		return object_of_type("boolean");
	case CONF_F_UINT:
		return number(f);
	case CONF_F_BYTES:
		return either(object_of_type("integer"),
		              with_pattern("^[0-9]+([bB]|[kKmMgGtT]([iI]?[bB])?)?$"));
	case CONF_F_DURATION:
		return with_pattern(
			"^(0|[0-9]+d|([0-9]+(\\.[0-9]+)?(ns|us|\xc2\xb5s|ms|s|m|h))+)$");
	case CONF_F_ENUM:
		return choices(f->choices);
	case CONF_F_STRINGS:
		return one_or_list(text(false));
	case CONF_F_KVS:
		return kvs();
	case CONF_F_ANY:
		return json_object();
	case CONF_F_OPTION:
		return f->choices == conf_bools ? object_of_type("boolean")
		       : f->choices             ? choices(f->choices)
		       : f->max                 ? number(f)
		                                : text(false);
	case CONF_F_OBJECT:
		return conf_schema(f->object);
	case CONF_F_OBJECTS:
		return one_or_list(f->object->required ? either(text(false), conf_schema(f->object))
		                                       : conf_schema(f->object));
	case CONF_F_NAMED:
		return named(f->object);
	case CONF_F_N_:
		break;
	}
	CAIRN_BUG("key '%s' has no type", f->key);
}

static json_t *field_schema(const struct conf_field *f)
{
	json_t *s = typed(f);

	if (f->help)
		set_text(s, "description", f->help);
	if (f->example)
		set(s, "examples", json_pack("[s]", f->example));
	return s;
}

json_t *conf_schema(const struct conf_object *o)
{
	json_t *s = object_of_type("object"), *properties = json_object();

	for (const struct conf_field *f = o->fields; f->key; f++)
		set(properties, f->key, field_schema(f));
	set(s, "properties", properties);
	if (o->required)
		set(s, "required", json_pack("[s]", o->required));
	set(s, "additionalProperties", json_false());
	return s;
}
