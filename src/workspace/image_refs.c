#include "image_refs.h"

#include "util/num.h"

/* A variable that is known; value.ptr NULL: declared without one. */
struct var {
	str name, value;
	bool env; /* ENV goes before ARG */
};

struct stage {
	str name;
	size_t first, end; /* instructions */
	bool reached;
	VEC(struct var) vars;
	VEC(unsigned) needs; /* indexes of stages */
	VEC(struct image_ref) refs;
	VEC(struct image_source) sources;
};

struct reading {
	struct image_refs *r;
	const struct image_kvs *args;
	const char *path;
	VEC(struct var) globals;
	VEC(struct stage) stages;
	struct stage *cur; /* NULL before the first FROM */
	bool missing;      /* a variable that is not known was looked up */
};

/* --- variables ------------------------------------------------------------------- */

static bool find(const struct var *vars, size_t n, str name, bool env_only, str *ret)
{
	for (size_t i = n; i-- > 0;)
		if (str_eq(vars[i].name, name) && vars[i].env >= env_only) {
			*ret = vars[i].value;
			return ret->ptr != NULL;
		}
	return false;
}

/* TARGETARCH and the like, for this machine. */
static bool predefined(struct reading *rd, str name, str *ret)
{
	struct platform p = platform_host();
	char text[PLATFORM_TEXT_MAX];
	str part = str_skip(name, str_starts(name, S("TARGET")) ? 6 : 5);

	if (!str_starts(name, S("TARGET")) && !str_starts(name, S("BUILD")))
		return false;
	*ret = str_is(part, "PLATFORM")  ? str_of(platform_text(&p, text))
	       : str_is(part, "OS")      ? str_of(p.os)
	       : str_is(part, "ARCH")    ? str_of(p.arch)
	       : str_is(part, "VARIANT") ? str_of(p.variant)
	                                 : str_n(NULL, 0);
	if (!ret->ptr)
		return false;
	*ret = arena_str(rd->r->a, *ret);
	return true;
}

static bool lookup(void *ctx, str name, str *ret)
{
	struct reading *rd = ctx;

	if (rd->cur) {
		if (find(rd->cur->vars.ptr, rd->cur->vars.len, name, true, ret) ||
		    find(rd->cur->vars.ptr, rd->cur->vars.len, name, false, ret))
			return true;
	} else if (find(rd->globals.ptr, rd->globals.len, name, false, ret) ||
	           predefined(rd, name, ret)) {
		return true;
	}
	rd->missing = true;
	return false;
}

/* False: it cannot be told without a base image or an argument. */
static bool expand(struct reading *rd, str word, str *ret)
{
	const struct words w = {
		.lookup = lookup, .ctx = rd, .arena = rd->r->a, .escape = rd->r->df->escape
	};
	struct cairn_err ignored;

	rd->missing = false;
	return words_expand(&w, word, ret, &ignored) == 0 && !rd->missing;
}

static void read_arg(struct reading *rd, const struct instr_pair *p)
{
	const str *given = rd->args ? image_kvs_get(rd->args, p->key) : NULL;
	struct var v = { p->key, { NULL, 0 }, false };
	str value = { NULL, 0 };

	if (given)
		v.value = *given;
	else if (p->value.ptr && expand(rd, p->value, &value))
		v.value = value;
	else if (!p->value.ptr && rd->cur &&
	         !find(rd->globals.ptr, rd->globals.len, p->key, false, &v.value))
		(void)predefined(rd, p->key, &v.value);
	if (rd->cur)
		vec_push(&rd->cur->vars, v);
	else
		vec_push(&rd->globals, v);
}

static void read_env(struct reading *rd, const struct instr_pairs *pairs)
{
	VEC(struct var) set = { 0 }; /* all see what was before */

	for (size_t i = 0; i < pairs->len; i++) {
		struct var v = { pairs->ptr[i].key, { NULL, 0 }, true };
		str value = { NULL, 0 };

		if (expand(rd, pairs->ptr[i].value, &value))
			v.value = value;
		vec_push(&set, v);
	}
	vec_foreach (v, &set)
		vec_push(&rd->cur->vars, *v);
	vec_free(&set);
}

/* --- what is named ----------------------------------------------------------------- */

/* Index of a stage before the current one (before all, for a mount: of all so far), or -1. */
static int find_stage(const struct reading *rd, str name, bool numbers)
{
	struct cairn_err ignored;
	uint64_t n = 0;

	for (size_t i = rd->stages.len; i-- > 0;)
		if (rd->stages.ptr[i].name.len && str_eq_nocase(rd->stages.ptr[i].name, name))
			return (int)i;
	if (numbers && num_u64(name, rd->stages.len, &n, &ignored) == 0 && n < rd->stages.len)
		return (int)n;
	return -1;
}

static void read_name(struct reading *rd, str name, unsigned line, bool from)
{
	struct image_ref ref = { name, line, from };
	int stage = find_stage(rd, name, !from);

	if (!name.len || str_is(name, "scratch"))
		return;
	if (stage >= 0 && &rd->stages.ptr[stage] == rd->cur)
		return;
	if (stage >= 0)
		vec_push(&rd->cur->needs, (unsigned)stage);
	else
		vec_push(&rd->cur->refs, ref);
}

static void read_from(struct reading *rd, const struct instr *i, size_t at)
{
	struct stage s = { .first = at };
	str image = { NULL, 0 };
	bool known;
	int parent;

	if (rd->cur)
		rd->cur->end = at;
	rd->cur = NULL;
	known = expand(rd, i->from.image, &image);
	parent = known ? find_stage(rd, image, false) : -1;
	for (size_t k = 0; parent >= 0 && k < rd->stages.ptr[parent].vars.len; k++)
		if (rd->stages.ptr[parent].vars.ptr[k].env)
			vec_push(&s.vars, rd->stages.ptr[parent].vars.ptr[k]);
	vec_push(&rd->stages, s);
	rd->cur = vec_last(&rd->stages);
	if (known)
		read_name(rd, image, i->line, true);
	rd->cur->name = i->from.name;
}

static void read_source(struct reading *rd, str word, unsigned line)
{
	struct image_source s = { { NULL, 0 }, line };

	if (str_search(word, S("://")) >= 0 || str_starts(word, S("git@")) ||
	    !expand(rd, word, &s.path))
		return;
	while (str_starts(s.path, S("/")) || str_starts(s.path, S("./")))
		s.path = str_skip(s.path, s.path.ptr[0] == '/' ? 1 : 2);
	while (str_ends(s.path, S("/")))
		s.path.len--;
	if (s.path.len && !str_is(s.path, ".") && str_search(s.path, S("..")) < 0)
		vec_push(&rd->cur->sources, s);
}

static void read_mounts(struct reading *rd, const struct instr *i)
{
	struct words w = {
		.lookup = lookup, .ctx = rd, .arena = rd->r->a, .escape = rd->r->df->escape
	};
	struct cairn_err ignored;

	for (size_t k = 0; k < i->run.n_mounts; k++) {
		struct run_mount m = { 0 };

		if (run_mount_parse(i->run.mounts[k], &w, rd->r->a, &m, &ignored) < 0)
			continue;
		if (m.from.len)
			read_name(rd, m.from, i->line, false);
		else if (m.type == RUN_MOUNT_BIND && m.source.len)
			read_source(rd, m.source, i->line);
	}
}

static void read_instr(struct reading *rd, const struct instr *i, size_t at)
{
	if (i->kind == INSTR_FROM)
		read_from(rd, i, at);
	for (size_t k = 0; i->kind == INSTR_ARG && k < i->pairs.len; k++)
		read_arg(rd, &i->pairs.ptr[k]);
	if (!rd->cur)
		return;
	if (i->kind == INSTR_ENV)
		read_env(rd, &i->pairs);
	if (i->kind == INSTR_RUN)
		read_mounts(rd, i);
	if (i->kind != INSTR_COPY && i->kind != INSTR_ADD)
		return;
	if (i->copy.from.len)
		read_name(rd, i->copy.from, i->line, false);
	for (size_t k = 0; !i->copy.from.len && k < i->copy.n_sources; k++)
		if (!i->copy.sources[k].heredoc)
			read_source(rd, i->copy.sources[k].word, i->line);
}

/* --- what is reached ----------------------------------------------------------------- */

static int reach(struct reading *rd, str target, struct cairn_err *err)
{
	int at = (int)rd->stages.len - 1;

	if (target.len)
		at = find_stage(rd, target, true);
	if (at < 0 && target.len)
		return cairn_fail_at(err, rd->path, 0, 0, "there is no stage '%.*s'", STR(target));
	if (at >= 0)
		rd->stages.ptr[at].reached = true;
	for (size_t i = rd->stages.len; i-- > 0;) /* stages need only earlier ones */
		for (size_t k = 0; rd->stages.ptr[i].reached && k < rd->stages.ptr[i].needs.len;
		     k++)
			rd->stages.ptr[rd->stages.ptr[i].needs.ptr[k]].reached = true;
	return 0;
}

static void collect(struct reading *rd)
{
	struct image_refs *r = rd->r;

	for (size_t i = 0; i < r->instrs.len; i++)
		vec_push(&r->reached, 0);
	vec_foreach (s, &rd->stages) {
		if (!s->reached)
			continue;
		memset(r->reached.ptr + s->first, 1, s->end - s->first);
		vec_foreach (ref, &s->refs)
			vec_push(&r->refs, *ref);
		vec_foreach (source, &s->sources)
			vec_push(&r->sources, *source);
	}
}

static void reading_done(struct reading *rd)
{
	vec_foreach (s, &rd->stages) {
		vec_free(&s->vars);
		vec_free(&s->needs);
		vec_free(&s->refs);
		vec_free(&s->sources);
	}
	vec_free(&rd->stages);
	vec_free(&rd->globals);
}

int image_refs_read(str text, const char *path, str target, const struct image_kvs *args,
                    struct arena *a, struct image_refs *ret, struct cairn_err *err)
{
	struct image_refs r = { .a = a };
	struct reading rd = { .r = &r, .args = args, .path = path };
	int got = dockerfile_parse(text, path, &r.df, err);

	if (got == 0)
		got = dockerfile_instrs(r.df, &r.instrs, err);
	for (size_t i = 0; got == 0 && i < r.instrs.len; i++)
		read_instr(&rd, &r.instrs.ptr[i], i);
	if (rd.cur)
		rd.cur->end = r.instrs.len;
	if (got == 0)
		got = reach(&rd, target, err);
	if (got == 0)
		collect(&rd);
	reading_done(&rd);
	if (got < 0)
		image_refs_done(&r);
	else
		*ret = r;
	return got;
}

void image_refs_done(struct image_refs *r)
{
	dockerfile_free(r->df);
	r->df = NULL;
	vec_free(&r->reached);
	vec_free(&r->refs);
	vec_free(&r->sources);
}
