#include "report.h"

#include <stdio.h>

#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

#define VERSION   1
#define HEX_MAX   16 /* digits of a part's digest */
#define NAMES_MAX 1000

static const char *const result_names[REPORT_RESULTS_] = {
	[REPORT_RAN] = "ran",
	[REPORT_HIT] = "hit",
	[REPORT_WOULD] = "would",
	[REPORT_FAILED] = "failed",
};

static const char *const part_names[REPORT_KINDS_] = {
	[REPORT_TEXT] = "text",     [REPORT_BASE] = "base",     [REPORT_ENV] = "env",
	[REPORT_USER] = "user",     [REPORT_CWD] = "workdir",   [REPORT_PLATFORM] = "platform",
	[REPORT_MOUNT] = "mount",   [REPORT_OPTION] = "option", [REPORT_FILE] = "file",
	[REPORT_FOLDER] = "folder",
};

static const char *const reason_names[REPORT_REASONS_] = {
	[REPORT_FORCED] = "forced",   [REPORT_FIRST] = "first",     [REPORT_NEW] = "new",
	[REPORT_EVICTED] = "evicted", [REPORT_BELOW] = "below",     [REPORT_ADDED] = "added",
	[REPORT_REMOVED] = "removed", [REPORT_CHANGED] = "changed", [REPORT_MODE] = "mode",
	[REPORT_MORE] = "more",
};

const char *report_result_name(enum report_result r)
{
	return result_names[r];
}

const char *report_part_name(enum report_part_kind k)
{
	return part_names[k];
}

const char *report_reason_name(enum report_reason_kind k)
{
	return reason_names[k];
}

uint64_t report_value(const struct report *r, str value)
{
	struct digest_fields f;
	struct digest d;
	uint64_t v = 0;

	digest_fields_begin(&f, "cairn.report.value", 1);
	digest_field_str(&f, "salt", str_n((const char *)r->salt, sizeof(r->salt)));
	digest_field_str(&f, "value", value);
	d = digest_fields_end(&f);
	for (size_t i = 0; i < sizeof(v); i++)
		v = v << 8 | d.b[i];
	return v;
}

/* --- writing ---------------------------------------------------------------------- */

static json_t *parts_json(const struct report_step *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_parts; i++) {
		const struct report_part *p = &s->parts[i];
		char hex[HEX_MAX + 1];
		json_t *row = json_array();

		(void)snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)p->digest);
		json_array_append_new(row, json_string(part_names[p->kind]));
		json_array_append_new(row, json_str(p->name));
		json_array_append_new(row, json_string(hex));
		json_array_append_new(row, json_integer(p->mode));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *reasons_json(const struct report_step *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n_reasons; i++) {
		const struct report_reason *r = &s->reasons[i];
		json_t *row = json_array();

		json_array_append_new(row, json_string(reason_names[r->kind]));
		json_array_append_new(row, json_string(part_names[r->part]));
		json_array_append_new(row, json_str(r->name));
		json_array_append_new(list, row);
	}
	return list;
}

static json_t *step_json(const struct report_step *s, bool with_parts)
{
	json_t *o = json_object(), *below = json_array();

	json_object_set_new(o, "name", json_str(s->name));
	json_object_set_new(o, "stage", json_str(s->stage));
	json_object_set_new(o, "kind", json_str(s->kind));
	json_object_set_new(o, "text", json_str(s->text));
	json_object_set_new(o, "file", json_str(s->file));
	json_object_set_new(o, "line", json_integer(s->line));
	json_object_set_new(o, "key", json_string(digest_text(&s->key).s));
	json_object_set_new(o, "result", json_string(result_names[s->result]));
	json_object_set_new(o, "from", json_str(s->from));
	json_object_set_new(o, "cost_ns", json_integer((json_int_t)s->cost_ns));
	json_object_set_new(o, "bytes", json_integer((json_int_t)s->bytes));
	for (size_t i = 0; i < s->n_below; i++)
		json_array_append_new(below, json_integer(s->below[i]));
	json_object_set_new(o, "below", below);
	if (with_parts)
		json_object_set_new(o, "parts", parts_json(s));
	json_object_set_new(o, "reasons", reasons_json(s));
	return o;
}

static json_t *report_json(const struct report *r, size_t parts_max)
{
	json_t *j = json_object(), *steps = json_array(), *names = json_array();
	char time[CLOCK_TEXT_MAX], salt[2 * REPORT_SALT + 1];

	for (size_t i = 0; i < REPORT_SALT; i++)
		(void)snprintf(salt + 2 * i, 3, "%02x", r->salt[i]);
	for (size_t i = 0; i < r->n_names; i++)
		json_array_append_new(names, json_str(r->names[i]));
	json_object_set_new(j, "version", json_integer(VERSION));
	json_object_set_new(j, "time", json_string(clock_text(r->time, time)));
	if (!digest_none(&r->image))
		json_object_set_new(j, "image", json_string(digest_text(&r->image).s));
	json_object_set_new(j, "names", names);
	json_object_set_new(j, "dockerfile", json_str(r->dockerfile));
	json_object_set_new(j, "platform", json_str(r->platform));
	json_object_set_new(j, "salt", json_string(salt));
	json_object_set_new(j, "wall_ns", json_integer((json_int_t)r->wall_ns));
	for (size_t i = 0; i < r->n_steps; i++)
		json_array_append_new(steps,
		                      step_json(&r->steps[i], r->steps[i].n_parts <= parts_max));
	json_object_set_new(j, "steps", steps);
	return j;
}

void report_encode(const struct report *r, struct strbuf *out)
{
	for (size_t max = REPORT_PARTS_MAX;; max /= 2) {
		cleanup_json json_t *j = report_json(r, max);
		cleanup_strbuf struct strbuf text;

		strbuf_init(&text, REPORT_MAX);
		json_write(j, &text);
		if (text.overflow && max)
			continue;
		strbuf_add(out, text.ptr, text.len);
		return;
	}
}

/* --- reading ------------------------------------------------------------------------ */

/* Number of the name in a table, or -1. */
static int find_name(const char *const *names, int n, const char *name)
{
	for (int i = 0; name && i < n; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

static int bad(struct cairn_err *err, const char *what)
{
	return cairn_fail(err, CAIRN_E_SYNTAX, "'%s' is not what it should be", what);
}

static int get_text(const json_t *o, const char *key, struct arena *a, str *ret,
                    struct cairn_err *err)
{
	const char *s = NULL;

	TRY(json_get_str(o, key, &s, err));
	*ret = arena_str(a, str_of(s));
	return 0;
}

static int get_u64(const json_t *o, const char *key, uint64_t *ret, struct cairn_err *err)
{
	int64_t v = 0;

	TRY(json_get_int(o, key, 0, &v, err));
	*ret = (uint64_t)v;
	return v < 0 ? bad(err, key) : 0;
}

static int get_rows(const json_t *o, const char *key, size_t max, json_t **ret,
                    struct cairn_err *err)
{
	TRY(json_get_array(o, key, ret, err));
	return json_array_size(*ret) > max ? bad(err, key) : 0;
}

static int read_parts(const json_t *o, struct arena *a, struct report_step *s,
                      struct cairn_err *err)
{
	json_t *list = NULL, *row;
	size_t i;

	TRY(get_rows(o, "parts", REPORT_PARTS_MAX, &list, err));
	s->parts = arena_array(a, struct report_part, json_array_size(list));
	json_array_foreach(list, i, row)
	{
		struct report_part *p = &s->parts[s->n_parts++];
		const char *name = json_string_value(json_array_get(row, 1));
		const char *hex = json_string_value(json_array_get(row, 2));
		int kind = find_name(part_names, REPORT_KINDS_,
		                     json_string_value(json_array_get(row, 0)));

		if (kind < 0 || !name || !hex || num_hex(str_of(hex), HEX_MAX, &p->digest, err) < 0)
			return bad(err, "parts");
		p->kind = (enum report_part_kind)kind;
		p->name = arena_str(a, str_of(name));
		p->mode = (uint32_t)json_integer_value(json_array_get(row, 3));
	}
	return 0;
}

static int read_reasons(const json_t *o, struct arena *a, struct report_step *s,
                        struct cairn_err *err)
{
	json_t *list = NULL, *row;
	size_t i;

	TRY(get_rows(o, "reasons", 2 * REPORT_REASONS_MAX + REPORT_STEPS_MAX, &list, err));
	s->reasons = arena_array(a, struct report_reason, json_array_size(list));
	json_array_foreach(list, i, row)
	{
		const char *name = json_string_value(json_array_get(row, 2));
		int kind = find_name(reason_names, REPORT_REASONS_,
		                     json_string_value(json_array_get(row, 0)));
		int part = find_name(part_names, REPORT_KINDS_,
		                     json_string_value(json_array_get(row, 1)));

		if (kind < 0 || part < 0 || !name)
			return bad(err, "reasons");
		s->reasons[s->n_reasons++] = (struct report_reason){ (enum report_reason_kind)kind,
			                                             (enum report_part_kind)part,
			                                             arena_str(a, str_of(name)) };
	}
	return 0;
}

/* What a step stands on comes before it. */
static int read_below(const json_t *o, size_t number, struct arena *a, struct report_step *s,
                      struct cairn_err *err)
{
	json_t *list = NULL, *v;
	size_t i;

	TRY(get_rows(o, "below", REPORT_STEPS_MAX, &list, err));
	s->below = arena_array(a, unsigned, json_array_size(list));
	json_array_foreach(list, i, v)
	{
		json_int_t n = json_is_integer(v) ? json_integer_value(v) : -1;

		if (n < 0 || (size_t)n >= number)
			return bad(err, "below");
		s->below[s->n_below++] = (unsigned)n;
	}
	return 0;
}

static int read_step(const json_t *o, size_t number, struct arena *a, struct report_step *s,
                     struct cairn_err *err)
{
	const char *key = NULL, *result = NULL;
	int64_t line = 0;
	int found;

	TRY(get_text(o, "name", a, &s->name, err));
	TRY(get_text(o, "stage", a, &s->stage, err));
	TRY(get_text(o, "kind", a, &s->kind, err));
	TRY(get_text(o, "text", a, &s->text, err));
	TRY(get_text(o, "file", a, &s->file, err));
	TRY(get_text(o, "from", a, &s->from, err));
	TRY(json_get_int(o, "line", 0, &line, err));
	s->line = line > 0 && line < INT32_MAX ? (unsigned)line : 0;
	TRY(json_get_str(o, "key", &key, err));
	TRY(digest_parse(str_of(key), &s->key, err));
	TRY(json_get_str(o, "result", &result, err));
	found = find_name(result_names, REPORT_RESULTS_, result);
	if (found < 0)
		return bad(err, "result");
	s->result = (enum report_result)found;
	TRY(get_u64(o, "cost_ns", &s->cost_ns, err));
	TRY(get_u64(o, "bytes", &s->bytes, err));
	TRY(read_below(o, number, a, s, err));
	TRY(read_parts(o, a, s, err));
	return read_reasons(o, a, s, err);
}

static int read_salt(const json_t *j, struct report *r, struct cairn_err *err)
{
	const char *hex = NULL;

	TRY(json_get_str(j, "salt", &hex, err));
	if (!hex || strlen(hex) != 2 * (size_t)REPORT_SALT)
		return bad(err, "salt");
	for (size_t i = 0; i < REPORT_SALT; i++) {
		uint64_t v = 0;

		TRY(num_hex(str_n(hex + 2 * i, 2), 2, &v, err));
		r->salt[i] = (uint8_t)v;
	}
	return 0;
}

static int read_names(const json_t *j, struct arena *a, struct report *r, struct cairn_err *err)
{
	json_t *list = NULL, *v;
	size_t i;

	TRY(get_rows(j, "names", NAMES_MAX, &list, err));
	r->names = arena_array(a, str, json_array_size(list));
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return bad(err, "names");
		r->names[r->n_names++] = arena_str(a, str_of(json_string_value(v)));
	}
	return 0;
}

static int read_all(str text, struct arena *a, struct report *r, struct cairn_err *err)
{
	cleanup_json json_t *j = NULL;
	json_t *steps = NULL, *o;
	const char *s = NULL;
	size_t i;

	if (text.len > REPORT_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "larger than %u bytes", REPORT_MAX);
	TRY(json_parse_version(text, VERSION, &j, err));
	TRY(json_get_str(j, "time", &s, err));
	TRY(clock_parse(str_of(s), &r->time, err));
	TRY(json_get_str(j, "image", &s, err));
	if (s)
		TRY(digest_parse(str_of(s), &r->image, err));
	TRY(read_names(j, a, r, err));
	TRY(get_text(j, "dockerfile", a, &r->dockerfile, err));
	TRY(get_text(j, "platform", a, &r->platform, err));
	TRY(read_salt(j, r, err));
	TRY(get_u64(j, "wall_ns", &r->wall_ns, err));
	TRY(get_rows(j, "steps", REPORT_STEPS_MAX, &steps, err));
	r->steps = arena_array(a, struct report_step, json_array_size(steps));
	json_array_foreach(steps, i, o) TRY(read_step(o, i, a, &r->steps[r->n_steps++], err));
	return 0;
}

int report_decode(str text, struct arena *a, struct report *ret, struct cairn_err *err)
{
	struct report r = { 0 };

	if (read_all(text, a, &r, err) < 0) {
		err->code = CAIRN_E_DIGEST;
		return cairn_wrap(err, "build report");
	}
	*ret = r;
	return 0;
}
