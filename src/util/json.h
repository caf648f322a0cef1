/* util/json.h - jansson (https://jansson.readthedocs.io), with our errors.
 *
 * Callers use jansson's json_t and its accessors directly; this adds bounded
 * parsing, deterministic writing and getters that name what is wrong.
 */
#ifndef CAIRN_UTIL_JSON_H
#define CAIRN_UTIL_JSON_H

#include <jansson.h>

#include "util/err.h"
#include "util/mem.h"
#include "util/strbuf.h"

static inline void json_cleanup_p_(json_t **j)
{
	json_decref(*j);
	*j = NULL;
}
/* For a json_t * variable that owns a reference. */
#define cleanup_json __attribute__((cleanup(json_cleanup_p_)))

/* Parse one JSON value that fills `text`; duplicate keys are refused, nesting is
 * bounded by jansson (2048). `what` names the text in messages.
 * Fails with CAIRN_E_SYNTAX (line and column in the message). */
int json_parse(str text, const char *what, json_t **ret_owned, struct cairn_err *err);

/* Parse an object of a format of ours: "version" has to be that one. The errors call it "it". */
int json_parse_version(str text, int version, json_t **ret_owned, struct cairn_err *err);

/* Append j, compact, members in insertion order, '/' unescaped. */
void json_write(const json_t *j, struct strbuf *out);

/* Member `key` of `obj`: absent gives NULL/def, a wrong type fails with CAIRN_E_SYNTAX
 * naming the key. Strings and values are borrowed from obj. */
int json_get_str(const json_t *obj, const char *key, const char **ret, struct cairn_err *err);
int json_get_int(const json_t *obj, const char *key, int64_t def, int64_t *ret,
                 struct cairn_err *err);
int json_get_bool(const json_t *obj, const char *key, bool def, bool *ret, struct cairn_err *err);
int json_get_array(const json_t *obj, const char *key, json_t **ret, struct cairn_err *err);
int json_get_object(const json_t *obj, const char *key, json_t **ret, struct cairn_err *err);

/* A string value from a view; invalid UTF-8 bytes become U+FFFD. Never NULL, owned. */
json_t *json_str(str s);

#endif
