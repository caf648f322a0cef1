#include "flags.h"

#include "util/strbuf.h"

enum flag_type {
	TYPE_STRING, /* --name=value, once */
	TYPE_BOOL,   /* --name, --name=true, --name=false, once */
	TYPE_LIST,   /* --name=value, many times */
};

#define ON(kind) (1u << (kind))
#define COPY_ADD (ON(INSTR_COPY) | ON(INSTR_ADD))

static const struct {
	const char *name;
	enum flag_type type;
	unsigned kinds; /* bit INSTR_X: X has it */
} specs[FLAG_N_] = {
	[FLAG_CHECKSUM] = { "checksum", TYPE_STRING, ON(INSTR_ADD) },
	[FLAG_CHMOD] = { "chmod", TYPE_STRING, COPY_ADD },
	[FLAG_CHOWN] = { "chown", TYPE_STRING, COPY_ADD },
	[FLAG_DEVICE] = { "device", TYPE_LIST, ON(INSTR_RUN) },
	[FLAG_EXCLUDE] = { "exclude", TYPE_LIST, COPY_ADD },
	[FLAG_FROM] = { "from", TYPE_STRING, ON(INSTR_COPY) },
	[FLAG_INTERVAL] = { "interval", TYPE_STRING, ON(INSTR_HEALTHCHECK) },
	[FLAG_KEEP_GIT_DIR] = { "keep-git-dir", TYPE_BOOL, ON(INSTR_ADD) },
	[FLAG_LINK] = { "link", TYPE_BOOL, COPY_ADD },
	[FLAG_MOUNT] = { "mount", TYPE_LIST, ON(INSTR_RUN) },
	[FLAG_NETWORK] = { "network", TYPE_STRING, ON(INSTR_RUN) },
	[FLAG_PARENTS] = { "parents", TYPE_BOOL, ON(INSTR_COPY) },
	[FLAG_PLATFORM] = { "platform", TYPE_STRING, ON(INSTR_FROM) },
	[FLAG_RETRIES] = { "retries", TYPE_STRING, ON(INSTR_HEALTHCHECK) },
	[FLAG_SECURITY] = { "security", TYPE_STRING, ON(INSTR_RUN) },
	[FLAG_START_INTERVAL] = { "start-interval", TYPE_STRING, ON(INSTR_HEALTHCHECK) },
	[FLAG_START_PERIOD] = { "start-period", TYPE_STRING, ON(INSTR_HEALTHCHECK) },
	[FLAG_TIMEOUT] = { "timeout", TYPE_STRING, ON(INSTR_HEALTHCHECK) },
	[FLAG_UNPACK] = { "unpack", TYPE_BOOL, ON(INSTR_ADD) },
};

struct place {
	const char *path;
	const struct dockerfile_node *node;
	enum instr_kind kind;
};

static int fail_unknown(const struct place *at, str name, struct cairn_err *err)
{
	const char *names[FLAG_N_ + 1], *near;
	size_t n = 0;

	for (size_t i = 0; i < FLAG_N_; i++)
		if (specs[i].kinds & ON(at->kind))
			names[n++] = specs[i].name;
	names[n] = NULL;
	if (!n)
		return cairn_fail_at(err, at->path, at->node->line, 0,
		                     "%s has no flags, but '--%.*s' is given", instr_name(at->kind),
		                     STR(name));
	near = str_suggest(name, names);
	return cairn_fail_at(err, at->path, at->node->line, 0, "%s has no flag '--%.*s'%s%s%s",
	                     instr_name(at->kind), STR(name), near ? " (did you mean --" : "",
	                     near ? near : "", near ? "?)" : "");
}

static bool find(const struct place *at, str name, enum flag_id *ret)
{
	for (size_t i = 0; i < FLAG_N_; i++) {
		if ((specs[i].kinds & ON(at->kind)) && str_is(name, specs[i].name)) {
			*ret = (enum flag_id)i;
			return true;
		}
	}
	return false;
}

static int set(const struct place *at, enum flag_id id, bool has_value, str value,
               struct flag_value *v, struct cairn_err *err)
{
	const char *name = specs[id].name;

	if (v->given && specs[id].type != TYPE_LIST)
		return cairn_fail_at(err, at->path, at->node->line, 0, "flag '--%s' is given twice",
		                     name);
	v->given = true;
	if (specs[id].type == TYPE_BOOL) {
		v->on = !has_value || str_eq_nocase(value, S("true"));
		if (!v->on && !str_eq_nocase(value, S("false")))
			return cairn_fail_at(err, at->path, at->node->line, 0,
			                     "flag '--%s' is true or false, not '%.*s'", name,
			                     STR(value));
		return 0;
	}
	if (!has_value)
		return cairn_fail_at(err, at->path, at->node->line, 0,
		                     "flag '--%s' needs a value: --%s=...", name, name);
	if (specs[id].type == TYPE_LIST)
		v->values[v->n++] = value;
	else
		v->value = value;
	return 0;
}

int flags_parse(const struct dockerfile_node *node, enum instr_kind kind, const char *path,
                struct arena *arena, struct flags *ret, struct cairn_err *err)
{
	struct place at = { path, node, kind };

	*ret = (struct flags){ 0 };
	for (size_t i = 0; i < node->n_flags; i++) {
		str flag = str_skip(node->flags[i], 2), name, value;
		bool has_value = str_cut(flag, '=', &name, &value);
		enum flag_id id;

		if (!find(&at, name, &id))
			return fail_unknown(&at, name, err);
		if (specs[id].type == TYPE_LIST && !ret->v[id].values)
			ret->v[id].values = arena_array(arena, str, node->n_flags);
		TRY(set(&at, id, has_value, value, &ret->v[id], err));
	}
	return 0;
}
