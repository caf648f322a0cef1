#include "instr.h"
#include "util/num.h"
#include "util/strbuf.h"
#include "util/vec.h"
#include "words.h"

#define TYPE(t)   (1u << (t))
#define FILE_INFO (TYPE(RUN_MOUNT_CACHE) | TYPE(RUN_MOUNT_SECRET) | TYPE(RUN_MOUNT_SSH))
#define ALL       (TYPE(RUN_MOUNT_N_) - 1)

static const char *const type_names[RUN_MOUNT_N_ + 1] = {
	[RUN_MOUNT_BIND] = "bind",     [RUN_MOUNT_CACHE] = "cache", [RUN_MOUNT_TMPFS] = "tmpfs",
	[RUN_MOUNT_SECRET] = "secret", [RUN_MOUNT_SSH] = "ssh",     NULL,
};

static const char *const sharing_names[RUN_SHARING_N_ + 1] = {
	[RUN_SHARING_SHARED] = "shared",
	[RUN_SHARING_PRIVATE] = "private",
	[RUN_SHARING_LOCKED] = "locked",
	NULL,
};

enum key {
	KEY_TYPE,
	KEY_FROM,
	KEY_SOURCE,
	KEY_TARGET,
	KEY_READONLY,
	KEY_READWRITE,
	KEY_REQUIRED,
	KEY_SIZE,
	KEY_ID,
	KEY_ENV,
	KEY_SHARING,
	KEY_MODE,
	KEY_UID,
	KEY_GID,
};

static const struct key_spec {
	const char *name;
	enum key key;
	unsigned types; /* bit RUN_MOUNT_X: X takes it; as in BuildKit some take what they ignore */
} specs[] = {
	{ "type", KEY_TYPE, ALL },
	{ "from", KEY_FROM, ALL & ~TYPE(RUN_MOUNT_SECRET) },
	{ "source", KEY_SOURCE, ALL },
	{ "src", KEY_SOURCE, ALL },
	{ "target", KEY_TARGET, ALL },
	{ "dst", KEY_TARGET, ALL },
	{ "destination", KEY_TARGET, ALL },
	{ "readonly", KEY_READONLY, ALL },
	{ "ro", KEY_READONLY, ALL },
	{ "readwrite", KEY_READWRITE, ALL },
	{ "rw", KEY_READWRITE, ALL },
	{ "required", KEY_REQUIRED, TYPE(RUN_MOUNT_SECRET) | TYPE(RUN_MOUNT_SSH) },
	{ "size", KEY_SIZE, TYPE(RUN_MOUNT_TMPFS) },
	{ "id", KEY_ID, ALL },
	{ "env", KEY_ENV, TYPE(RUN_MOUNT_SECRET) },
	{ "sharing", KEY_SHARING, TYPE(RUN_MOUNT_CACHE) },
	{ "mode", KEY_MODE, FILE_INFO },
	{ "uid", KEY_UID, FILE_INFO },
	{ "gid", KEY_GID, FILE_INFO },
};

struct mount_parser {
	str text; /* the whole flag value, for messages */
	const struct words *w;
	struct arena *arena;
	struct run_mount *m;
	unsigned seen; /* bit KEY_X: given */
};

static int fail(const struct mount_parser *p, struct cairn_err *err, const char *why)
{
	const char *path = p->w && p->w->path ? p->w->path : "";

	return cairn_fail_at(err, path, p->w ? p->w->line : 0, 0, "--mount=%.*s: %s",
	                     (int)(p->text.len < 200 ? p->text.len : 200), p->text.ptr, why);
}

/* --- CSV: one record, as Go's encoding/csv reads it ----------------------- */

/* A quoted field: "" inside stands for a quote. */
static int csv_quoted(const struct mount_parser *p, str *rest, str *ret, struct cairn_err *err)
{
	char *out = arena_alloc(p->arena, rest->len + 1);
	size_t n = 0, i = 1;

	for (;; i++) {
		if (i >= rest->len)
			return fail(p, err, "a quote is not closed");
		if (rest->ptr[i] == '"' && (i + 1 == rest->len || rest->ptr[i + 1] != '"'))
			break;
		i += rest->ptr[i] == '"';
		out[n++] = rest->ptr[i];
	}
	*ret = str_n(out, n);
	*rest = str_skip(*rest, i + 1);
	if (rest->len && rest->ptr[0] != ',')
		return fail(p, err, "a closing quote is not followed by a comma");
	return 0;
}

static int csv_field(const struct mount_parser *p, str *rest, str *ret, struct cairn_err *err)
{
	ptrdiff_t comma;

	if (rest->len && rest->ptr[0] == '"')
		return csv_quoted(p, rest, ret, err);
	comma = str_find(*rest, ',');
	*ret = comma < 0 ? *rest : str_n(rest->ptr, (size_t)comma);
	*rest = str_n(rest->ptr + ret->len, rest->len - ret->len);
	if (str_find(*ret, '"') >= 0)
		return fail(p, err, "a quote stands inside of a field");
	return 0;
}

/* --- Values --------------------------------------------------------------- */

/* Go's strconv.ParseBool. */
static bool to_bool(str s, bool *ret)
{
	static const struct {
		const char *text;
		bool value;
	} forms[] = {
		{ "1", true },    { "t", true },      { "T", true },      { "TRUE", true },
		{ "true", true }, { "True", true },   { "0", false },     { "f", false },
		{ "F", false },   { "FALSE", false }, { "false", false }, { "False", false }
	};

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		if (str_is(s, forms[i].text)) {
			*ret = forms[i].value;
			return true;
		}
	}
	return false;
}

static int set_bool(const struct mount_parser *p, str key, str value, bool *ret,
                    struct cairn_err *err)
{
	if (!value.ptr || to_bool(value, ret)) {
		*ret = value.ptr ? *ret : true;
		return 0;
	}
	return fail(
		p, err,
		arena_printf(p->arena, "%.*s is true or false, not '%.*s'", STR(key), STR(value)));
}

static int set_name(const struct mount_parser *p, str key, str value, const char *const *names,
                    unsigned *ret, struct cairn_err *err)
{
	const char *near;

	for (unsigned i = 0; names[i]; i++) {
		if (str_eq_nocase(value, str_of(names[i]))) {
			*ret = i;
			return 0;
		}
	}
	near = str_suggest(value, names);
	return fail(p, err,
	            arena_printf(p->arena, "unknown %.*s '%.*s'%s%s%s", STR(key), STR(value),
	                         near ? " (did you mean " : "", near ? near : "",
	                         near ? "?)" : ""));
}

static int set_number(const struct mount_parser *p, str key, str value, bool octal, uint32_t *ret,
                      struct cairn_err *err)
{
	struct cairn_err why;
	uint64_t n = 0;
	int r;

	if (octal)
		r = num_octal(value, 07777, ret, &why);
	else
		r = num_u64(value, UINT32_MAX, &n, &why);
	if (r < 0)
		return fail(p, err,
		            arena_printf(p->arena, "%.*s is %s number, not '%.*s'", STR(key),
		                         octal ? "an octal" : "a", STR(value)));
	if (!octal)
		*ret = (uint32_t)n;
	return 0;
}

static int set_value(struct mount_parser *p, enum key id, str key, str value, struct cairn_err *err)
{
	struct run_mount *m = p->m;
	struct cairn_err why;
	unsigned n = 0;
	bool rw = false;

	switch (id) {
	case KEY_TYPE:
		TRY(set_name(p, key, value, type_names, &n, err));
		m->type = (enum run_mount_type)n;
		return 0;
	case KEY_FROM:
		m->from = value;
		return 0;
	case KEY_SOURCE:
		m->source = value;
		return 0;
	case KEY_TARGET:
		m->target = value;
		return 0;
	case KEY_READONLY:
		return set_bool(p, key, value, &m->readonly, err);
	case KEY_READWRITE:
		TRY(set_bool(p, key, value, &rw, err));
		m->readonly = !rw;
		return 0;
	case KEY_REQUIRED:
		return set_bool(p, key, value, &m->required, err);
	case KEY_SIZE:
		if (num_bytes(value, &m->size, &why) < 0)
			return fail(p, err, "size is a number of bytes like 64m");
		return 0;
	case KEY_ID:
		m->id = value;
		return 0;
	case KEY_ENV:
		m->env = value;
		return 0;
	case KEY_SHARING:
		TRY(set_name(p, key, value, sharing_names, &n, err));
		m->sharing = (enum run_mount_sharing)n;
		return 0;
	case KEY_MODE:
		m->has_mode = true;
		return set_number(p, key, value, true, &m->mode, err);
	case KEY_UID:
		m->has_uid = true;
		return set_number(p, key, value, false, &m->uid, err);
	case KEY_GID:
		m->has_gid = true;
		return set_number(p, key, value, false, &m->gid, err);
	}
	return 0;
}

/* --- Fields --------------------------------------------------------------- */

static const struct key_spec *find_key(str key)
{
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		if (str_eq_nocase(key, str_of(specs[i].name)))
			return &specs[i];
	return NULL;
}

static int fail_key(const struct mount_parser *p, str key, struct cairn_err *err)
{
	const char *names[ARRAY_SIZE(specs) + 1] = { 0 }, *near;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		names[i] = specs[i].name;
	near = str_suggest(key, names);
	return fail(p, err,
	            arena_printf(p->arena, "unknown option '%.*s'%s%s%s", STR(key),
	                         near ? " (did you mean " : "", near ? near : "",
	                         near ? "?)" : ""));
}

static int field(struct mount_parser *p, str text, struct cairn_err *err)
{
	str key, value;
	bool has_value = str_cut(text, '=', &key, &value);
	const struct key_spec *spec = find_key(key);

	if (!spec)
		return fail_key(p, key, err);
	if (has_value && !value.ptr)
		value = S("");
	if (!has_value && spec->key != KEY_READONLY && spec->key != KEY_READWRITE &&
	    spec->key != KEY_REQUIRED)
		return fail(p, err, arena_printf(p->arena, "'%.*s' needs a value", STR(key)));
	/* what a stage depends on must be known before anything is expanded */
	if (spec->key == KEY_FROM && str_find(value, '$') >= 0)
		return fail(p, err, "from cannot have variables; make a stage with a fixed name");
	if (has_value && p->w)
		TRY(words_expand(p->w, value, &value, err));
	p->seen |= 1u << spec->key;
	return set_value(p, spec->key, key, has_value ? value : str_n(NULL, 0), err);
}

static int check(const struct mount_parser *p, struct cairn_err *err)
{
	const struct run_mount *m = p->m;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		if ((p->seen & (1u << specs[i].key)) && !(specs[i].types & TYPE(m->type)))
			return fail(p, err,
			            arena_printf(p->arena, "type=%s has no option '%s'",
			                         type_names[m->type], specs[i].name));
	if (m->type == RUN_MOUNT_SECRET && m->source.ptr && m->id.ptr)
		return fail(p, err, "source and id of a secret are the same thing; give one");
	if (m->type == RUN_MOUNT_SECRET && !m->source.len && !m->target.len && !m->id.len)
		return fail(p, err, "a secret needs an id");
	if (m->type != RUN_MOUNT_SECRET && m->type != RUN_MOUNT_SSH && !m->target.len)
		return fail(p, err, "it needs a target");
	return 0;
}

int run_mount_parse(str value, const struct words *w, struct arena *arena, struct run_mount *ret,
                    struct cairn_err *err)
{
	static const uint32_t modes[RUN_MOUNT_N_] = {
		[RUN_MOUNT_CACHE] = 0755,
		[RUN_MOUNT_SECRET] = 0400,
		[RUN_MOUNT_SSH] = 0600,
	};
	struct run_mount m = { 0 };
	struct mount_parser p = { .text = value, .w = w, .arena = arena, .m = &m };
	str rest = value;

	if (!value.len)
		return fail(&p, err, "it is empty");
	for (bool more = true; more;) {
		str f = { 0 };

		TRY(csv_field(&p, &rest, &f, err));
		TRY(field(&p, f, err));
		more = rest.len > 0; /* at a comma: another field, perhaps empty */
		if (more)
			rest = str_n(rest.ptr + 1, rest.len - 1);
	}
	TRY(check(&p, err));
	if (!(p.seen & (1u << KEY_READONLY | 1u << KEY_READWRITE)))
		m.readonly = m.type != RUN_MOUNT_CACHE && m.type != RUN_MOUNT_TMPFS;
	if (!m.has_mode)
		m.mode = modes[m.type];
	*ret = m;
	return 0;
}
