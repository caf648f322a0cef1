#include "graph.h"

#include <stdarg.h>
#include <stdio.h>

#include "lower.h"

int lower_fail(const struct stage *s, enum cairn_code code, struct cairn_err *err, const char *fmt,
               ...)
{
	char msg[sizeof(err->msg)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* may print err->msg */
	va_end(ap);
	(void)cairn_fail_at(err, s->l->path, s->cur->line, 0, "%s", msg);
	err->code = code;
	return code;
}

#define FINDINGS_MAX 1000

void lower_find(struct lower *l, unsigned line, const char *rule, str text)
{
	for (size_t i = l->g->findings.len; i-- > 0 && l->g->findings.ptr[i].line == line;)
		if (str_eq(l->g->findings.ptr[i].text, text))
			return;
	if (l->g->findings.len < FINDINGS_MAX)
		vec_push(&l->g->findings,
		         (struct dockerfile_warning){ line, rule, arena_str(l->a, text) });
}

/* A variable that nothing sets: a word for the user, with a name that is like it. */
static void find_undefined(struct stage *s, str name)
{
	const struct image_strs *env = &s->out->config->env;
	size_t n = 0, max = env->len + s->args.len + s->l->globals.len;
	const char **names = arena_array(s->l->a, const char *, max + 1);
	cleanup_strbuf struct strbuf text;
	const char *near;

	for (size_t i = 0; i < env->len; i++) {
		str key, value;

		(void)str_cut(env->ptr[i], '=', &key, &value);
		names[n++] = arena_cstr(s->l->a, key);
	}
	vec_foreach (arg, &s->args)
		names[n++] = arena_cstr(s->l->a, arg->key);
	vec_foreach (arg, &s->l->globals)
		if (!str_eq(arg->key, name)) /* that one would have to be declared in the stage */
			names[n++] = arena_cstr(s->l->a, arg->key);
	strbuf_init(&text, 512);
	strbuf_printf(&text, "Usage of undefined variable '$%.*s'", STR(name));
	near = str_suggest(name, names);
	if (near)
		strbuf_printf(&text, " (did you mean $%s?)", near);
	lower_find(s->l, s->cur->line, "UndefinedVar", strbuf_view(&text));
}

/* Of an ENV and an ARG the later one counts, as in BuildKit; of several ARGs the last one. */
static bool stage_lookup(void *ctx, str name, str *ret)
{
	struct stage *s = ctx;

	if (!map_get(&s->args_over_env, name) && image_config_env_get(s->out->config, name, ret))
		return true;
	for (size_t i = s->args.len; i-- > 0;)
		if (str_eq(s->args.ptr[i].key, name)) {
			*ret = s->args.ptr[i].value;
			return ret->ptr != NULL;
		}
	find_undefined(s, name);
	return false;
}

struct words lower_words(struct stage *s)
{
	return (struct words){ .lookup = stage_lookup,
		               .ctx = s,
		               .arena = s->l->a,
		               .escape = s->l->df->escape,
		               .path = s->l->path,
		               .line = s->cur->line };
}

str lower_abs_path(struct arena *a, str dir, str p)
{
	if (str_starts(p, S("/")))
		return arena_clean_path(a, p);
	return arena_clean_path(a, str_of(arena_printf(a, "%.*s/%.*s", STR(dir), STR(p))));
}

bool lower_platform_arg(const struct lower *l, const struct platform *p, str name, str *ret)
{
	const struct platform host = platform_host();
	const struct {
		const char *name;
		const struct platform *of;
		const char *value; /* NULL: the whole platform */
	} table[] = {
		{ "TARGETPLATFORM", p, NULL },
		{ "TARGETOS", p, p->os },
		{ "TARGETARCH", p, p->arch },
		{ "TARGETVARIANT", p, p->variant },
		{ "TARGETOSVERSION", p, p->os_version },
		{ "BUILDPLATFORM", &host, NULL },
		{ "BUILDOS", &host, host.os },
		{ "BUILDARCH", &host, host.arch },
		{ "BUILDVARIANT", &host, host.variant },
		{ "BUILDOSVERSION", &host, host.os_version },
	};
	char text[PLATFORM_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (!str_is(name, table[i].name))
			continue;
		*ret = arena_str(l->a, str_of(table[i].value ? table[i].value
		                                             : platform_text(table[i].of, text)));
		return true;
	}
	if (str_is(name, "TARGETSTAGE")) {
		*ret = l->opts->target.len ? l->opts->target : S("default");
		return true;
	}
	return false;
}

/* Split the instructions into stages; evaluate the ARGs before the first. */
static int split(struct lower *l, size_t *ret_n_globals, struct cairn_err *err)
{
	struct raw_stage *raw = NULL;
	size_t n_from = 0;

	for (size_t i = 0; i < l->instrs.len; i++)
		n_from += l->instrs.ptr[i].kind == INSTR_FROM;
	l->raws = arena_array(l->a, struct raw_stage, n_from);
	*ret_n_globals = 0;
	for (size_t i = 0; i < l->instrs.len; i++) {
		const struct instr *in = &l->instrs.ptr[i];

		if (in->kind == INSTR_FROM) {
			raw = &l->raws[l->n_raws];
			raw->index = (unsigned)l->n_raws++;
			raw->from = in;
			raw->name = in->from.name.ptr ? in->from.name : S("");
			raw->first = raw->end = i + 1;
		} else if (raw) {
			raw->end = i + 1;
		} else if (in->kind == INSTR_ARG) {
			*ret_n_globals = i + 1;
		} else {
			CAIRN_BUG("the parser let a %s pass before the first FROM",
			          instr_name(in->kind));
		}
	}
	if (!n_from)
		return cairn_fail_at(err, l->path, 1, 0,
		                     "no FROM: a Dockerfile needs at least one stage");
	return 0;
}

static bool globals_lookup(void *ctx, str name, str *ret)
{
	const struct lower *l = ctx;

	for (size_t i = l->globals.len; i-- > 0;)
		if (str_eq(l->globals.ptr[i].key, name)) {
			*ret = l->globals.ptr[i].value;
			return ret->ptr != NULL;
		}
	return lower_platform_arg(l, &l->opts->platform, name, ret);
}

static int global_args(struct lower *l, size_t n, struct cairn_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const struct instr *in = &l->instrs.ptr[i];
		struct words w = { .lookup = globals_lookup,
			           .ctx = l,
			           .arena = l->a,
			           .escape = l->df->escape,
			           .path = l->path,
			           .line = in->line };

		for (size_t k = 0; k < in->pairs.len; k++) {
			struct instr_pair pair = { 0 };
			const char *given;

			TRY(words_expand(&w, in->pairs.ptr[k].key, &pair.key, err));
			given = map_get(l->opts->build_args, pair.key);
			if (given)
				pair.value = str_of(given);
			else if (in->pairs.ptr[k].value.ptr)
				TRY(words_expand(&w, in->pairs.ptr[k].value, &pair.value, err));
			else
				(void)lower_platform_arg(l, &l->opts->platform, pair.key,
				                         &pair.value);
			if (given)
				map_put(&l->used_args, pair.key, l);
			vec_push(&l->globals, pair);
		}
	}
	return 0;
}

static int find_target(struct lower *l, struct raw_stage **ret, struct cairn_err *err)
{
	const char **names;
	const char *hint;
	size_t n = 0;

	if (!l->opts->target.len) {
		*ret = &l->raws[l->n_raws - 1];
		return 0;
	}
	*ret = lower_find_stage(l, l->opts->target, NULL);
	if (*ret)
		return 0;
	names = arena_array(l->a, const char *, l->n_raws + 1);
	for (size_t i = 0; i < l->n_raws; i++)
		if (l->raws[i].name.len)
			names[n++] = arena_cstr(l->a, l->raws[i].name);
	hint = str_suggest(l->opts->target, names);
	(void)cairn_fail_at(err, l->path, 0, 0, "no stage is called '%.*s'%s%s%s",
	                    STR(l->opts->target), hint ? "; did you mean '" : "", hint ? hint : "",
	                    hint ? "'?" : "");
	return err->code = CAIRN_E_NOT_FOUND;
}

/* Arguments that BuildKit itself takes; nobody needs to declare them. */
static bool behaviour_arg(str name)
{
	return str_starts(name, S("BUILDKIT_")) || str_is(name, "SOURCE_DATE_EPOCH");
}

static void warn_unused_args(struct lower *l)
{
	map_foreach (e, l->opts->build_args)
		if (!map_has(&l->used_args, e->key) && !behaviour_arg(e->key))
			vec_push(
				&l->g->warnings,
				str_of(arena_printf(
					l->a,
					"build argument '%.*s' is not declared by any ARG that the build reaches",
					STR(e->key))));
}

static int lower_all(struct lower *l, struct cairn_err *err)
{
	struct raw_stage *target = NULL;
	struct stage *s = NULL;
	size_t n_globals = 0;

	TRY(dockerfile_instrs(l->df, &l->instrs, err));
	TRY(split(l, &n_globals, err));
	TRY(global_args(l, n_globals, err));
	TRY(find_target(l, &target, err));
	TRY(lower_stage(l, target, &s, err));
	l->g->target = s->out;
	for (size_t i = 0; i < l->opts->n_labels; i++) {
		str key, value;

		(void)str_cut(l->opts->labels[i], '=', &key, &value);
		image_config_label_set(s->out->config, key, value);
	}
	warn_unused_args(l);
	return 0;
}

/* Move what the vectors hold into the graph. */
static void finish(struct lower *l)
{
	struct graph *g = l->g;

	g->n_nodes = l->nodes.len;
	g->nodes = arena_array(l->a, struct graph_node *, g->n_nodes);
	if (g->n_nodes)
		memcpy(g->nodes, l->nodes.ptr, g->n_nodes * sizeof(*g->nodes));
	g->n_stages = l->stages.len;
	g->stages = arena_array(l->a, struct graph_stage *, g->n_stages);
	if (g->n_stages)
		memcpy(g->stages, l->stages.ptr, g->n_stages * sizeof(*g->stages));
}

static void release(struct lower *l)
{
	for (size_t i = 0; i < l->n_raws; i++) {
		struct stage *s = l->raws[i].lowered;

		if (!s)
			continue;
		vec_free(&s->args);
		map_done(&s->args_over_env);
		map_done(&s->set_at);
	}
	vec_free(&l->globals);
	vec_free(&l->nodes);
	vec_free(&l->stages);
	map_done(&l->images);
	map_done(&l->used_args);
}

int graph_lower(const struct dockerfile *df, const char *path, const struct graph_opts *opts,
                struct graph **ret, struct cairn_err *err)
{
	struct graph *g = xcalloc(1, sizeof(*g));
	struct lower l = { .df = df, .path = path, .opts = opts, .g = g };
	int r;

	g->arena = l.a = arena_new();
	g->path = arena_str(l.a, str_of(path));
	r = lower_all(&l, err);
	if (r == 0)
		finish(&l);
	release(&l);
	if (r == 0)
		*ret = g;
	else
		graph_free(g);
	return r;
}

void graph_free(struct graph *g)
{
	if (!g)
		return;
	vec_free(&g->warnings);
	vec_free(&g->findings);
	arena_free(g->arena);
	free(g);
}
