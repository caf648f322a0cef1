/* A record as a line of JSON. */
#include "history_priv.h"

#define B(name, type, field)                                      \
	{                                                         \
		name, type, offsetof(struct history_build, field) \
	}

const struct field history_build_fields[BUILD_FIELDS] = {
	B("time", FIELD_TIME, time),
	B("image", FIELD_STR, image),
	B("category", FIELD_STR, category),
	B("base", FIELD_STR, base),
	B("commit_id", FIELD_STR, commit),
	B("input", FIELD_DIGEST, input),
	B("outcome", FIELD_OUTCOME, outcome),
	B("runner", FIELD_STR, runner.name),
	B("driver", FIELD_STR, runner.driver),
	B("spot", FIELD_BOOL, runner.spot),
	B("cpus", FIELD_UINT, runner.cpus),
	B("runner_memory", FIELD_U64, runner.memory),
	B("runner_disk", FIELD_U64, runner.disk),
	B("arch", FIELD_STR, runner.arch),
	B("queue_ns", FIELD_U64, queue_ns),
	B("wall_ns", FIELD_U64, wall_ns),
	B("pulled", FIELD_U64, pulled),
	B("pushed", FIELD_U64, pushed),
	B("disk", FIELD_U64, disk),
	B("memory", FIELD_U64, memory),
	B("cost", FIELD_U64, cost),
	B("predicted_ns", FIELD_U64, predicted_ns),
	B("predicted_cost", FIELD_U64, predicted_cost),
	B("predicted_memory", FIELD_U64, predicted_memory),
	B("fallback", FIELD_STR, fallback),
	B("attempt", FIELD_STR, attempt),
	B("sender", FIELD_BOOL, sender),
};

#define F(name, type, field)                                     \
	{                                                        \
		name, type, offsetof(struct history_step, field) \
	}

const struct field history_step_fields[STEP_FIELDS] = {
	F("name", FIELD_STR, name),       F("kind", FIELD_STR, kind),
	F("key", FIELD_DIGEST, key),      F("hit", FIELD_BOOL, hit),
	F("wall_ns", FIELD_U64, wall_ns), F("cpu_ns", FIELD_U64, cpu_ns),
	F("memory", FIELD_U64, memory),   F("bytes", FIELD_U64, bytes),
};

static const char *const outcomes[HISTORY_OUTCOMES_] = {
	[HISTORY_OK] = "ok",
	[HISTORY_FAILED] = "failed",
	[HISTORY_MEMORY] = "out-of-memory",
	[HISTORY_DISK] = "disk-full",
	[HISTORY_INTERRUPTED] = "interrupted",
	[HISTORY_UNAVAILABLE] = "unavailable",
};

const char *history_outcome_name(enum history_outcome o)
{
	return (unsigned)o < HISTORY_OUTCOMES_ ? outcomes[o] : "unknown";
}

/* --- written ------------------------------------------------------------------------ */

static json_t *write_u64(uint64_t v)
{
	return json_integer((json_int_t)(v > INT64_MAX ? INT64_MAX : v));
}

static json_t *write_field(const struct field *f, const char *at)
{
	const struct digest *d = (const void *)at;

	switch (f->type) {
	case FIELD_STR:
		return json_str(*(const str *)(const void *)at);
	case FIELD_U64:
		return write_u64(*(const uint64_t *)(const void *)at);
	case FIELD_TIME:
		return json_integer(*(const int64_t *)(const void *)at);
	case FIELD_UINT:
		return json_integer(*(const unsigned *)(const void *)at);
	case FIELD_BOOL:
		return json_boolean(*(const bool *)(const void *)at);
	case FIELD_DIGEST:
		return json_string(digest_none(d) ? "" : digest_text(d).s);
	case FIELD_OUTCOME:
		return json_string(
			history_outcome_name(*(const enum history_outcome *)(const void *)at));
	}
	CAIRN_BUG("no such type of field");
}

static json_t *write_fields(const struct field *fields, size_t n, const void *from)
{
	json_t *o = json_object();

	for (size_t i = 0; i < n; i++)
		json_object_set_new(o, fields[i].name,
		                    write_field(&fields[i], (const char *)from + fields[i].offset));
	return o;
}

void history_id_text(const struct history_build *b, char buf[2 * HISTORY_ID + 1])
{
	for (size_t i = 0; i < HISTORY_ID; i++)
		(void)snprintf(buf + 2 * i, 3, "%02x", b->id[i]);
}

void history_encode(const struct history_build *b, struct strbuf *out)
{
	cleanup_json json_t *o = write_fields(history_build_fields, BUILD_FIELDS, b);
	json_t *steps = json_array();
	char id[2 * HISTORY_ID + 1];

	history_id_text(b, id);
	json_object_set_new(o, "v", json_integer(HISTORY_VERSION));
	json_object_set_new(o, "id", json_string(id));
	for (size_t i = 0; i < b->n_steps; i++)
		json_array_append_new(steps,
		                      write_fields(history_step_fields, STEP_FIELDS, &b->steps[i]));
	json_object_set_new(o, "steps", steps);
	json_write(o, out);
	strbuf_char(out, '\n');
}

/* --- read ----------------------------------------------------------------------------- */

static int read_str(const json_t *v, struct arena *a, str *ret, struct cairn_err *err)
{
	str s = str_n(json_string_value(v), json_string_length(v));

	if (!json_is_string(v) || s.len > HISTORY_TEXT_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "no text, or a long one");
	*ret = arena_str(a, s);
	return 0;
}

static int read_number(const json_t *v, int64_t max, int64_t *ret, struct cairn_err *err)
{
	*ret = json_integer_value(v);
	if (!json_is_integer(v) || *ret < 0 || *ret > max)
		return cairn_fail(err, CAIRN_E_SYNTAX, "no number, or one out of bounds");
	return 0;
}

static int read_digest(const json_t *v, struct digest *ret, struct cairn_err *err)
{
	str s = str_n(json_string_value(v), json_string_length(v));

	if (!json_is_string(v))
		return cairn_fail(err, CAIRN_E_SYNTAX, "no digest");
	return s.len ? digest_parse(s, ret, err) : 0;
}

static int read_outcome(const json_t *v, enum history_outcome *ret, struct cairn_err *err)
{
	for (unsigned i = 0; json_is_string(v) && i < HISTORY_OUTCOMES_; i++)
		if (strcmp(json_string_value(v), outcomes[i]) == 0) {
			*ret = (enum history_outcome)i;
			return 0;
		}
	return cairn_fail(err, CAIRN_E_SYNTAX, "an outcome that is not known");
}

static int read_field(const struct field *f, const json_t *v, struct arena *a, char *at,
                      struct cairn_err *err)
{
	int64_t n = 0;

	switch (f->type) {
	case FIELD_STR:
		return read_str(v, a, (str *)(void *)at, err);
	case FIELD_U64:
		TRY(read_number(v, INT64_MAX, &n, err));
		*(uint64_t *)(void *)at = (uint64_t)n;
		return 0;
	case FIELD_TIME:
		return read_number(v, INT64_MAX, (int64_t *)(void *)at, err);
	case FIELD_UINT:
		TRY(read_number(v, INT32_MAX, &n, err));
		*(unsigned *)(void *)at = (unsigned)n;
		return 0;
	case FIELD_BOOL:
		*(bool *)(void *)at = json_is_true(v);
		return json_is_boolean(v) ? 0 : cairn_fail(err, CAIRN_E_SYNTAX, "no truth value");
	case FIELD_DIGEST:
		return read_digest(v, (struct digest *)(void *)at, err);
	case FIELD_OUTCOME:
		return read_outcome(v, (enum history_outcome *)(void *)at, err);
	}
	CAIRN_BUG("no such type of field");
}

/* A member that is not there is 0. */
static int read_fields(const struct field *fields, size_t n, const json_t *o, struct arena *a,
                       void *into, struct cairn_err *err)
{
	if (!json_is_object(o))
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record is no object");
	for (size_t i = 0; i < n; i++) {
		const json_t *v = json_object_get(o, fields[i].name);

		if (v && read_field(&fields[i], v, a, (char *)into + fields[i].offset, err) < 0)
			return cairn_wrap(err, "'%s' of a record", fields[i].name);
	}
	return 0;
}

static int read_id(const json_t *o, uint8_t id[HISTORY_ID], struct cairn_err *err)
{
	const json_t *v = json_object_get(o, "id");
	const char *text = json_string_value(v);
	unsigned any = 0;

	if (!text || json_string_length(v) != (size_t)2 * HISTORY_ID)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record has no id");
	for (size_t i = 0; i < 2 * HISTORY_ID; i++) {
		char c = text[i];
		int digit = c >= '0' && c <= '9'   ? c - '0'
		            : c >= 'a' && c <= 'f' ? c - 'a' + 10
		                                   : -1;

		if (digit < 0)
			return cairn_fail(err, CAIRN_E_SYNTAX, "the id of a record is damaged");
		id[i / 2] = (uint8_t)(id[i / 2] << 4 | digit);
		any |= (unsigned)digit;
	}
	return any ? 0 : cairn_fail(err, CAIRN_E_SYNTAX, "a record has no id");
}

int history_decode(str line, struct arena *a, struct history_build *ret, struct cairn_err *err)
{
	cleanup_json json_t *o = NULL;
	const json_t *steps;
	struct history_build b = { 0 };

	if (line.len > HISTORY_LINE_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record is larger than %u bytes",
		                  HISTORY_LINE_MAX);
	TRY(json_parse(line, "a record", &o, err));
	TRY(read_fields(history_build_fields, BUILD_FIELDS, o, a, &b, err));
	if (json_integer_value(json_object_get(o, "v")) != HISTORY_VERSION)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record of another version");
	TRY(read_id(o, b.id, err));
	steps = json_object_get(o, "steps");
	b.n_steps = json_array_size(steps);
	if (b.n_steps > HISTORY_STEPS_MAX)
		return cairn_fail(err, CAIRN_E_SYNTAX, "a record has more than %u steps",
		                  HISTORY_STEPS_MAX);
	b.steps = arena_array(a, struct history_step, b.n_steps);
	for (size_t i = 0; i < b.n_steps; i++)
		TRY(read_fields(history_step_fields, STEP_FIELDS, json_array_get(steps, i), a,
		                &b.steps[i], err));
	*ret = b;
	return 0;
}
