/* Lint rules about FROM. */
#include "lint_rules.h"

static const struct dockerfile_node *from_of(const struct lint *l, const struct lint_stage *s)
{
	return &l->df->nodes[s->first];
}

static bool has_upper(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'A' && s.ptr[i] <= 'Z')
			return true;
	return false;
}

static bool has_lower(str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] >= 'a' && s.ptr[i] <= 'z')
			return true;
	return false;
}

void lint_stage_name_casing(struct lint *l, const struct lint_stage *s)
{
	if (has_upper(s->name))
		lint_warn(l, from_of(l, s), "Stage name '%.*s' should be lowercase", STR(s->name));
}

void lint_from_as_casing(struct lint *l, const struct lint_stage *s)
{
	const struct dockerfile_node *n = from_of(l, s);
	str as;

	if (n->n_args != 3)
		return;
	as = n->args[1];
	/* a FROM in mixed case is another rule's */
	if ((!has_upper(n->keyword) && has_upper(as)) || (!has_lower(n->keyword) && has_lower(as)))
		lint_warn(l, n, "'%.*s' and '%.*s' keywords' casing do not match", STR(as),
		          STR(n->keyword));
}

void lint_duplicate_stage_name(struct lint *l, const struct lint_stage *s)
{
	for (const struct lint_stage *t = l->stages; s->name.len && t < s; t++) {
		if (!str_eq_nocase(s->name, t->name))
			continue;
		lint_warn(l, from_of(l, s),
		          "Duplicate stage name \"%.*s\", stage names should be unique",
		          STR(s->name));
		break;
	}
}

void lint_reserved_stage_name(struct lint *l, const struct lint_stage *s)
{
	if (str_eq_nocase(s->name, S("scratch")) || str_eq_nocase(s->name, S("context")))
		lint_warn(l, from_of(l, s),
		          "Stage name should not use the same name as reserved stage "
		          "\"%.*s\"",
		          STR(s->name));
}

/* --- Variables of FROM ---------------------------------------------------- */

/* Set for FROM without an ARG. */
static const char *const predefined[] = {
	"BUILDPLATFORM",  "BUILDOS",     "BUILDOSVERSION",  "BUILDARCH",
	"BUILDVARIANT",   "TARGETOS",    "TARGETOSVERSION", "TARGETARCH",
	"TARGETPLATFORM", "TARGETSTAGE", "TARGETVARIANT",   "HTTP_PROXY",
	"HTTPS_PROXY",    "FTP_PROXY",   "NO_PROXY",        "ALL_PROXY",
	"http_proxy",     "https_proxy", "ftp_proxy",       "no_proxy",
	"all_proxy",      NULL,
};

/* The global ARGs with the values they have when nobody gives others. */
struct globals {
	const struct lint *l;
	VEC(struct instr_pair) args; /* value.ptr NULL: no default */
	VEC(str) missing;            /* looked up, but neither declared nor predefined */
	bool predefined;             /* a predefined one was looked up */
};

static bool lookup(void *ctx, str name, str *ret_value)
{
	struct globals *g = ctx;

	for (size_t i = g->args.len; i-- > 0;) {
		if (!str_eq(g->args.ptr[i].key, name))
			continue;
		*ret_value = g->args.ptr[i].value;
		return g->args.ptr[i].value.ptr != NULL;
	}
	for (size_t i = 0; predefined[i]; i++) {
		if (str_is(name, predefined[i])) {
			g->predefined = true;
			return false;
		}
	}
	vec_push(&g->missing, name);
	return false;
}

static struct words words_of(struct globals *g)
{
	return (struct words){
		.lookup = lookup, .ctx = g, .arena = g->l->arena, .escape = g->l->df->escape
	};
}

static void globals_init(struct globals *g, const struct lint *l)
{
	struct cairn_err ignored;

	*g = (struct globals){ .l = l };
	for (size_t i = 0; i < l->n_global; i++) {
		const struct dockerfile_node *n = &l->df->nodes[i];

		for (size_t k = 0; str_is(n->name, "arg") && k < n->n_args; k++) {
			struct words w = words_of(g);
			str key, value;

			if (str_cut(n->args[k], '=', &key, &value) && !value.ptr)
				value = S("");
			if (value.ptr && words_expand(&w, value, &value, &ignored) < 0)
				value = str_n(NULL, 0);
			vec_push(&g->args, (struct instr_pair){ key, value });
		}
	}
}

static void globals_done(struct globals *g)
{
	vec_free(&g->args);
	vec_free(&g->missing);
}

static str platform_of(const struct dockerfile_node *n)
{
	for (size_t i = 0; i < n->n_flags; i++)
		if (str_starts(n->flags[i], S("--platform=")))
			return str_skip(n->flags[i], strlen("--platform="));
	return str_n(NULL, 0);
}

static void warn_missing(struct lint *l, const struct dockerfile_node *n, struct globals *g)
{
	cleanup_free const char **names =
		xreallocarray(NULL, g->args.len + ARRAY_SIZE(predefined), sizeof(*names));
	size_t n_names = 0;

	vec_foreach (a, &g->args)
		names[n_names++] = arena_cstr(l->arena, a->key);
	for (size_t i = 0; predefined[i]; i++)
		names[n_names++] = predefined[i];
	names[n_names] = NULL;
	vec_foreach (name, &g->missing) {
		const char *near = str_suggest(*name, names);

		lint_warn(l, n, "FROM argument '%.*s' is not declared%s%s%s", STR(*name),
		          near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
	}
}

void lint_undefined_arg_in_from(struct lint *l)
{
	struct cairn_err ignored;
	struct globals g;
	str result;

	globals_init(&g, l);
	for (size_t i = 0; i < l->n_stages; i++) {
		const struct dockerfile_node *n = from_of(l, &l->stages[i]);
		struct words w = words_of(&g);

		g.missing.len = 0;
		if (n->n_args)
			(void)words_expand(&w, n->args[0], &result, &ignored);
		(void)words_expand(&w, platform_of(n), &result, &ignored);
		warn_missing(l, n, &g);
	}
	globals_done(&g);
}

/* An image name of which a part is missing: "", ":tag", "image:", "/x", "x@". */
static bool is_incomplete(str image)
{
	return !image.len || strchr(":/@", image.ptr[0]) || strchr(":/@", image.ptr[image.len - 1]);
}

void lint_invalid_default_arg_in_from(struct lint *l)
{
	struct cairn_err ignored;
	struct globals g;

	globals_init(&g, l);
	for (size_t i = 0; i < l->n_stages; i++) {
		const struct dockerfile_node *n = from_of(l, &l->stages[i]);
		struct words w = words_of(&g);
		str image;

		g.missing.len = 0;
		g.predefined = false;
		if (!n->n_args || str_find(n->args[0], '$') < 0 ||
		    words_expand(&w, n->args[0], &image, &ignored) < 0)
			continue;
		/* undeclared ones are UndefinedArgInFrom's, predefined ones have values */
		if (!g.missing.len && !g.predefined && is_incomplete(image))
			lint_warn(l, n,
			          "Default value for ARG %.*s results in empty or invalid base "
			          "image name",
			          STR(n->args[0]));
	}
	globals_done(&g);
}

void lint_redundant_target_platform(struct lint *l, const struct lint_stage *s)
{
	str p = platform_of(from_of(l, s));

	if (str_is(p, "$TARGETPLATFORM") || str_is(p, "${TARGETPLATFORM}"))
		lint_warn(l, from_of(l, s),
		          "Setting platform to predefined %.*s in FROM is redundant as this "
		          "is the default behavior",
		          STR(p));
}

void lint_platform_const(struct lint *l, const struct lint_stage *s)
{
	str p = platform_of(from_of(l, s)), os, arch, variant;
	char *name;

	if (!p.len || str_find(p, '$') >= 0)
		return;
	str_cut(p, '/', &os, &arch);
	str_cut(arch, '/', &arch, &variant);
	/* a stage called build-arm64 says what it is */
	name = arena_cstr(l->arena, s->name);
	for (char *c = name; *c; c++)
		*c = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
	if (str_search(str_of(name), os) >= 0 || (arch.len && str_search(str_of(name), arch) >= 0))
		return;
	lint_warn(l, from_of(l, s), "FROM --platform flag should not use constant value \"%.*s\"",
	          STR(p));
}
