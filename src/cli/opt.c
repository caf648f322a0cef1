#include "opt.h"

#include "util/mem.h"
#include "util/num.h"
#include "util/str.h"
#include "util/vec.h"

#define OPT_NAMES_MAX 128 /* options of one command; more is a bug */

/* The words still to be read. */
struct words {
	char **argv;
	int argc, at;
};

static const struct cli_opt *find_long(const struct cli_opt *opts, str name)
{
	opt_foreach(o, opts) if (str_is(name, o->name)) return o;
	return NULL;
}

static const struct cli_opt *find_letter(const struct cli_opt *opts, char c)
{
	opt_foreach(o, opts) if (o->letter && o->letter == c) return o;
	return NULL;
}

static int fail_unknown(const struct opt_spec *spec, str name, struct cairn_err *err)
{
	const char *names[OPT_NAMES_MAX + 2];
	const char *near;
	size_t n = 0;

	opt_foreach(o, spec->opts) if (n < OPT_NAMES_MAX) names[n++] = o->name;
	names[n++] = "help";
	names[n] = NULL;
	near = str_suggest(name, names);
	if (near)
		return cairn_fail(err, CAIRN_E_USAGE, "unknown option --%.*s; did you mean --%s?",
		                  STR(name), near);
	return cairn_fail(err, CAIRN_E_USAGE, "unknown option --%.*s", STR(name));
}

static int fail_value(const struct cli_opt *o, struct cairn_err *err)
{
	err->code = CAIRN_E_USAGE;
	return cairn_wrap(err, "--%s", o->name);
}

static int set_flag(const struct cli_opt *o, const char *value, bool *field, struct cairn_err *err)
{
	static const char *const yes[] = { "true", "1", "yes", "on", NULL };
	static const char *const no[] = { "false", "0", "no", "off", NULL };

	if (!value) {
		*field = true;
		return 0;
	}
	for (size_t i = 0; yes[i]; i++) {
		if (strcmp(value, yes[i]) == 0 || strcmp(value, no[i]) == 0) {
			*field = strcmp(value, yes[i]) == 0;
			return 0;
		}
	}
	return cairn_fail(err, CAIRN_E_USAGE, "--%s takes true or false, not '%s'", o->name, value);
}

static int set_enum(const struct cli_opt *o, const char *value, int *field, struct cairn_err *err)
{
	char list[256] = "", hint[STR_HINT_MAX];
	size_t used = 0;

	for (int i = 0; o->choices[i]; i++) {
		if (strcmp(value, o->choices[i]) == 0) {
			*field = i;
			return 0;
		}
		used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s", i ? ", " : "",
		                         o->choices[i]);
		if (used >= sizeof(list))
			used = sizeof(list) - 1;
	}
	return cairn_fail(err, CAIRN_E_USAGE, "--%s is one of %s, not '%s'%s", o->name, list, value,
	                  str_did_you_mean(str_of(value), o->choices, hint));
}

static int set_value(const struct cli_opt *o, const char *value, void *into, struct cairn_err *err)
{
	char *field = (char *)into + o->offset;
	int r = 0;

	switch (o->kind) {
	case CLI_FLAG:
		return set_flag(o, value, (bool *)field, err);
	case CLI_STRING:
		*(const char **)(void *)field = value;
		return 0;
	case CLI_LIST:
		vec_push((struct cli_list *)(void *)field, value);
		return 0;
	case CLI_ENUM:
		return set_enum(o, value, (int *)(void *)field, err);
	case CLI_BYTES:
		r = num_bytes(str_of(value), (uint64_t *)(void *)field, err);
		break;
	case CLI_DURATION:
		r = num_duration(str_of(value), (uint64_t *)(void *)field, err);
		break;
	case CLI_UINT:
		r = num_u64(str_of(value), UINT64_MAX, (uint64_t *)(void *)field, err);
		break;
	case CLI_N_:
		CAIRN_BUG("option --%s has no kind", o->name);
	}
	return r < 0 ? fail_value(o, err) : 0;
}

/* Give `o` its value: the one attached to it, or the next word. */
static int take(const struct cli_opt *o, const char *attached, struct words *w, void *into,
                struct cairn_err *err)
{
	const char *value = attached;

	if (o->unsupported)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "--%s is not built yet%s%s", o->name,
		                  *o->unsupported ? ": " : "", o->unsupported);
	if (!value && o->kind != CLI_FLAG) {
		if (w->at >= w->argc)
			return cairn_fail(err, CAIRN_E_USAGE, "--%s needs a value (%s)", o->name,
			                  o->arg ? o->arg : "VALUE");
		value = w->argv[w->at++];
	}
	return set_value(o, value, into, err);
}

static int parse_long(const struct opt_spec *spec, const char *word, struct words *w, void *into,
                      struct cairn_err *err)
{
	str name, rest;
	bool has_value = str_cut(str_of(word + 2), '=', &name, &rest);
	const struct cli_opt *o = find_long(spec->opts, name);

	if (!o)
		return fail_unknown(spec, name, err);
	return take(o, has_value ? rest.ptr : NULL, w, into, err);
}

/* "-it", "-fFILE", "-f=FILE", "-f FILE". *ret_help when 'h' is met and is no option. */
static int parse_short(const struct opt_spec *spec, const char *word, struct words *w, void *into,
                       bool *ret_help, struct cairn_err *err)
{
	for (const char *p = word + 1; *p; p++) {
		const struct cli_opt *o = find_letter(spec->opts, *p);
		const char *attached = NULL;

		if (!o && *p == 'h') {
			*ret_help = true;
			return 0;
		}
		if (!o)
			return cairn_fail(err, CAIRN_E_USAGE, "unknown option -%c", *p);
		if (o->kind != CLI_FLAG || p[1] == '=') {
			if (p[1])
				attached = p + 1 + (p[1] == '=');
			return take(o, attached, w, into, err);
		}
		TRY(take(o, NULL, w, into, err));
	}
	return 0;
}

int opt_parse(const struct opt_spec *spec, int argc, char **argv, void *into,
              struct opt_result *ret, struct cairn_err *err)
{
	struct words w = { argv, argc, 0 };
	bool ended = false;

	*ret = (struct opt_result){ .argv = xcalloc((size_t)argc + 1, sizeof(char *)) };
	while (w.at < argc && !ret->help) {
		char *word = argv[w.at++];

		if (ended || word[0] != '-' || !word[1]) {
			ret->argv[ret->argc++] = word;
			ended = ended || spec->stop_at_word;
		} else if (strcmp(word, "--") == 0) {
			ended = true;
		} else if (strcmp(word, "--help") == 0) {
			ret->help = true;
		} else if (word[1] == '-') {
			TRY(parse_long(spec, word, &w, into, err));
		} else {
			TRY(parse_short(spec, word, &w, into, &ret->help, err));
		}
	}
	return 0;
}

void opt_done(const struct cli_opt *opts, void *from)
{
	opt_foreach(o, opts) if (o->kind == CLI_LIST && !o->unsupported)
		vec_free((struct cli_list *)(void *)((char *)from + o->offset));
}

void opt_result_done(struct opt_result *r)
{
	free(r->argv);
	*r = (struct opt_result){ 0 };
}
