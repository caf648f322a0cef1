/* Stages: which there are, what they are FROM, lowering them on demand. */
#include "lower.h"

#include "util/num.h"

struct raw_stage *lower_find_stage(struct lower *l, str name, const struct raw_stage *upto)
{
	struct cairn_err ignored;
	uint64_t index;

	for (size_t i = 0; i < l->n_raws; i++)
		if (l->raws[i].name.len && str_eq_nocase(l->raws[i].name, name))
			return &l->raws[i];
	if (num_u64(name, upto ? upto->index : l->n_raws, &index, &ignored) < 0 ||
	    index >= (upto ? upto->index : l->n_raws))
		return NULL;
	return &l->raws[index];
}

/* A named context by the name as written, or by what it means as an image. */
static const char *named_context(const struct lower *l, str name)
{
	struct reference ref;
	struct cairn_err ignored;
	char text[REFERENCE_TEXT_MAX];
	const char *v = map_get(l->opts->contexts, name);

	if (v || reference_parse(name, &ref, &ignored) < 0)
		return v;
	v = map_get(l->opts->contexts, str_of(reference_familiar(&ref, text)));
	return v ? v : map_get(l->opts->contexts, str_of(reference_text(&ref, text)));
}

#define CONTEXT_IMAGE "docker-image://"

/* The named context `name` as a source, when it is one; *ret_found says so. */
static int context_source(struct stage *s, str name, struct graph_source *ret, bool *ret_found,
                          struct cairn_err *err)
{
	const char *v = named_context(s->l, name);
	str value = str_of(v);

	*ret_found = v != NULL;
	if (!v)
		return 0;
	if (str_starts(value, S(CONTEXT_IMAGE))) {
		ret->kind = GRAPH_FROM_NODE;
		return lower_image(s->l, str_skip(value, strlen(CONTEXT_IMAGE)), &s->out->platform,
		                   s->cur->line, &ret->node, err);
	}
	if (str_search(value, S("://")) >= 0 || str_starts(value, S("git@")))
		return lower_fail(
			s, CAIRN_E_UNSUPPORTED, err,
			"build context '%.*s=%s': only directories and docker-image:// are built yet",
			STR(name), v);
	ret->kind = GRAPH_FROM_CONTEXT;
	ret->context = arena_str(s->l->a, name);
	return 0;
}

int lower_source(struct stage *s, str name, struct graph_source *ret, struct cairn_err *err)
{
	struct raw_stage *raw;
	struct stage *other = NULL;
	bool found = false;

	if (!name.len) {
		*ret = (struct graph_source){ .kind = GRAPH_FROM_CONTEXT, .context = S("") };
		return 0;
	}
	TRY(context_source(s, name, ret, &found, err));
	if (found)
		return 0;
	ret->kind = GRAPH_FROM_NODE;
	raw = lower_find_stage(s->l, name, s->raw);
	if (!raw)
		return lower_image(s->l, name, &s->out->platform, s->cur->line, &ret->node, err);
	if (raw == s->raw)
		return lower_fail(s, CAIRN_E_SYNTAX, err, "stage '%.*s' cannot copy from itself",
		                  STR(name));
	if (lower_stage(s->l, raw, &other, err) < 0)
		return err->line || err->code != CAIRN_E_SYNTAX
		               ? err->code
		               : lower_fail(s, CAIRN_E_SYNTAX, err, "%s", err->msg);
	ret->node = other->tip;
	return 0;
}

static bool global_lookup(void *ctx, str name, str *ret)
{
	const struct lower *l = ctx;
	struct platform p = l->opts->platform;

	for (size_t i = l->globals.len; i-- > 0;)
		if (str_eq(l->globals.ptr[i].key, name)) {
			*ret = l->globals.ptr[i].value;
			return ret->ptr != NULL;
		}
	return lower_platform_arg(l, &p, name, ret);
}

static struct words global_words(struct lower *l, unsigned line)
{
	return (struct words){ .lookup = global_lookup,
		               .ctx = l,
		               .arena = l->a,
		               .escape = l->df->escape,
		               .path = l->path,
		               .line = line };
}

/* An image that a registry has for one platform only may be for another than the stage. */
static void check_platform(struct lower *l, const struct graph_node *n, str ref)
{
	const struct platform *have = &n->base.config->platform, *want = &n->stage->platform;
	char have_text[PLATFORM_TEXT_MAX], want_text[PLATFORM_TEXT_MAX];
	const char *text;

	if (!have->arch[0] || platform_rank(want, have) >= 0)
		return;
	text = arena_printf(l->a,
	                    "Base image %.*s was pulled with platform \"%s\", expected \"%s\" for "
	                    "current build",
	                    STR(ref), platform_text(have, have_text),
	                    platform_text(want, want_text));
	lower_find(l, n->line, "InvalidBaseImagePlatform", str_of(text));
}

/* A node for an image, or for nothing when ref is empty. */
static int base_node(struct lower *l, str ref, struct graph_stage *stage, unsigned line,
                     struct graph_node **ret, struct cairn_err *err)
{
	struct graph_node *n = arena_new_of(l->a, struct graph_node);
	struct image_config *config = arena_new_of(l->a, struct image_config);
	struct graph_base base = { 0 };
	struct reference parsed;
	char text[REFERENCE_TEXT_MAX];

	n->kind = GRAPH_BASE;
	n->stage = stage;
	n->line = n->end_line = line;
	image_config_init(config, l->a, &stage->platform);
	n->base.config = config;
	if (ref.len) {
		if (reference_parse(ref, &parsed, err) < 0)
			return cairn_fail_at(err, l->path, line, 0, "%s", err->msg);
		n->base.ref = arena_str(l->a, str_of(reference_text(&parsed, text)));
		if (l->opts->resolve_base(l->opts->ctx, l->a, n->base.ref, &stage->platform, &base,
		                          err) < 0) {
			(void)cairn_wrap(err, "%s:%u: base image '%.*s'", l->path, line, STR(ref));
			return err->code;
		}
		n->base.config = base.config;
		n->base.config_digest = base.config_digest;
		memcpy(n->base.names, base.names, sizeof(base.names));
		check_platform(l, n, ref);
	}
	n->id = (unsigned)l->nodes.len;
	n->text = ref.len ? str_of(arena_printf(l->a, "FROM %.*s", STR(n->base.ref)))
	                  : S("FROM scratch");
	n->name = n->text;
	vec_push(&l->nodes, n);
	*ret = n;
	return 0;
}

int lower_image(struct lower *l, str ref, const struct platform *p, unsigned line,
                struct graph_node **ret, struct cairn_err *err)
{
	struct graph_node *n = map_get(&l->images, ref);
	struct graph_stage *stage;

	if (!n) {
		stage = arena_new_of(l->a, struct graph_stage); /* only carries the platform */
		stage->platform = *p;
		TRY(base_node(l, ref, stage, line, &n, err));
		stage->base = stage->last = n;
		map_put(&l->images, ref, n);
	}
	*ret = n;
	return 0;
}

/* Instructions of a stage that are steps, its base included. */
static unsigned count_steps(const struct lower *l, const struct raw_stage *raw, bool from_stage)
{
	unsigned n = !from_stage;

	for (size_t i = raw->first; i < raw->end; i++) {
		enum instr_kind k = l->instrs.ptr[i].kind;

		n += k == INSTR_RUN || k == INSTR_COPY || k == INSTR_ADD || k == INSTR_WORKDIR;
	}
	return n;
}

static str step_name(struct stage *s, str text)
{
	struct lower *l = s->l;

	s->step++;
	if (s->raw->name.len)
		return str_of(arena_printf(l->a, "[%.*s %u/%u] %.*s", STR(s->raw->name), s->step,
		                           s->n_steps, STR(text)));
	if (l->n_raws > 1)
		return str_of(arena_printf(l->a, "[stage-%u %u/%u] %.*s", s->raw->index, s->step,
		                           s->n_steps, STR(text)));
	return str_of(arena_printf(l->a, "[%u/%u] %.*s", s->step, s->n_steps, STR(text)));
}

static bool no_cache(const struct lower *l, const struct raw_stage *raw)
{
	if (l->opts->no_cache)
		return true;
	for (size_t i = 0; i < l->opts->n_no_cache_stages; i++)
		if (raw->name.len && str_eq_nocase(l->opts->no_cache_stages[i], raw->name))
			return true;
	return false;
}

struct graph_node *lower_add_step(struct stage *s, enum graph_kind kind)
{
	struct lower *l = s->l;
	const struct image_config *c = s->out->config;
	struct graph_node *n = arena_new_of(l->a, struct graph_node);

	n->kind = kind;
	n->id = (unsigned)l->nodes.len;
	n->stage = s->out;
	n->parent = s->tip;
	n->line = s->cur->line;
	n->end_line = s->cur->end_line;
	n->text = arena_str(l->a, s->cur->text);
	n->name = step_name(s, n->text);
	n->no_cache = no_cache(l, s->raw);
	n->user = arena_str(l->a, c->user);
	n->cwd = c->workdir.len ? arena_str(l->a, c->workdir) : S("/");
	vec_push(&l->nodes, n);
	s->tip = n;
	return n;
}

void lower_add_input(struct stage *s, struct graph_node *n, struct graph_node *input)
{
	struct graph_node **more;

	for (size_t i = 0; i < n->n_inputs; i++)
		if (n->inputs[i] == input)
			return;
	more = arena_array(s->l->a, struct graph_node *, n->n_inputs + 1);
	if (n->n_inputs)
		memcpy(more, n->inputs, n->n_inputs * sizeof(*more));
	more[n->n_inputs++] = input;
	n->inputs = more;
}

void lower_var_set(struct stage *s, str name)
{
	/* A number, not a pointer: it is only compared. */
	map_put(&s->set_at, name, (void *)++s->n_set); /* NOLINT(performance-no-int-to-ptr) */
}

void lower_add_history(struct stage *s, str created_by, struct graph_node *node)
{
	vec_push(&s->history, (struct graph_history){ created_by, node });
}

/* Start from another stage: its config, its ARGs. */
static int start_from_stage(struct stage *s, struct raw_stage *raw, struct cairn_err *err)
{
	struct stage *below = NULL;

	TRY(lower_stage(s->l, raw, &below, err));
	s->out->from = below->out;
	s->out->base = below->out->base;
	s->tip = below->tip;
	image_config_copy(s->l->a, below->out->config, s->out->config);
	vec_foreach (arg, &below->args) {
		vec_push(&s->args, *arg);
		if (map_get(&below->args_over_env, arg->key))
			map_put(&s->args_over_env, arg->key, s->l);
		if (arg->value.ptr)
			lower_var_set(s, arg->key);
	}
	return 0;
}

static int start_from_image(struct stage *s, str ref, struct cairn_err *err)
{
	struct image_config *c = s->out->config;
	struct graph_node *n = NULL;

	TRY(base_node(s->l, ref, s->out, s->raw->from->line, &n, err));
	n->name = step_name(s, n->text);
	n->no_cache = false; /* an image is what it is */
	s->out->base = s->tip = n;
	image_config_copy(s->l->a, n->base.config, c);
	c->platform = s->out->platform;
	c->created = (struct image_time){ 0 };
	c->n_diff_ids = 0; /* both come from the steps' records */
	c->n_history = 0;
	return 0;
}

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int start_stage(struct stage *s, struct cairn_err *err)
{
	struct lower *l = s->l;
	const struct instr_from *from = &s->raw->from->from;
	struct words w = global_words(l, s->raw->from->line);
	struct raw_stage *below;
	struct graph_source source = { 0 };
	str image = { NULL, 0 }, platform = { NULL, 0 };
	bool is_context = false;

	TRY(words_expand(&w, from->image, &image, err));
	if (!image.len)
		return lower_fail(s, CAIRN_E_SYNTAX, err,
		                  "FROM %.*s: the name is empty; is a global ARG without a value?",
		                  STR(from->image));
	s->out->platform = l->opts->platform;
	if (from->platform.ptr) {
		TRY(words_expand(&w, from->platform, &platform, err));
		if (platform_parse(platform, &s->out->platform, err) < 0)
			return lower_fail(s, CAIRN_E_SYNTAX, err, "FROM --platform: %s", err->msg);
	}
	image = arena_str(l->a, image);
	below = lower_find_stage(l, image, s->raw);
	if (below && below->index >= s->raw->index)
		below = NULL; /* FROM names earlier stages only */
	s->n_steps = count_steps(l, s->raw, below != NULL);
	TRY(context_source(s, image, &source, &is_context, err));
	if (is_context && source.kind != GRAPH_FROM_NODE)
		return lower_fail(s, CAIRN_E_UNSUPPORTED, err,
		                  "FROM %.*s: a directory as base is not built yet", STR(image));
	if (is_context)
		TRY(start_from_image(s, source.node->base.ref, err));
	else if (below)
		TRY(start_from_stage(s, below, err));
	else
		TRY(start_from_image(s, str_is(image, "scratch") ? S("") : image, err));
	if (!image_config_env_get(s->out->config, S("PATH"), &platform))
		image_config_env_set(s->out->config, S("PATH"), S(DEFAULT_PATH));
	if (!s->out->config->workdir.len)
		image_config_str_set(s->out->config, &s->out->config->workdir, S("/"));
	for (size_t i = 0; i < s->out->config->env.len; i++) {
		str name, value;

		(void)str_cut(s->out->config->env.ptr[i], '=', &name, &value);
		lower_var_set(s, name);
	}
	return 0;
}

/* The ONBUILD instructions that came with the base, as if they stood after the FROM. */
static int run_triggers(struct stage *s, struct cairn_err *err)
{
	struct image_strs triggers = s->out->config->onbuild;

	image_config_onbuild_clear(s->out->config);
	for (size_t i = 0; i < triggers.len; i++) {
		const struct instr *from = s->raw->from;
		struct instr *in = arena_new_of(s->l->a, struct instr);
		char *where = arena_printf(s->l->a, "ONBUILD of %.*s", STR(from->from.image));

		TRY(instr_parse_line(triggers.ptr[i], where, s->l->a, in, err));
		in->line = from->line;
		in->end_line = from->end_line;
		s->n_steps += in->kind == INSTR_RUN || in->kind == INSTR_COPY ||
		              in->kind == INSTR_ADD || in->kind == INSTR_WORKDIR;
		TRY(lower_instr(s, in, err));
	}
	return 0;
}

static int lower_body(struct stage *s, struct cairn_err *err)
{
	struct lower *l = s->l;

	s->cur = s->raw->from;
	TRY(start_stage(s, err));
	TRY(run_triggers(s, err));
	for (size_t i = s->raw->first; i < s->raw->end; i++)
		TRY(lower_instr(s, &l->instrs.ptr[i], err));
	return 0;
}

int lower_stage(struct lower *l, struct raw_stage *raw, struct stage **ret, struct cairn_err *err)
{
	struct stage *s;
	int r;

	if (raw->state == RAW_IN_PROGRESS)
		return cairn_fail_at(err, l->path, raw->from->line, 0,
		                     "stages refer to each other in a circle through '%.*s'",
		                     STR(raw->name.len ? raw->name : raw->from->text));
	if (raw->state == RAW_DONE) {
		*ret = raw->lowered;
		return 0;
	}
	raw->state = RAW_IN_PROGRESS;
	s = arena_new_of(l->a, struct stage);
	s->l = l;
	s->raw = raw;
	s->out = arena_new_of(l->a, struct graph_stage);
	s->out->name = arena_str(l->a, raw->name);
	s->out->index = raw->index;
	s->out->config = arena_new_of(l->a, struct image_config);
	image_config_init(s->out->config, l->a, &l->opts->platform);
	r = lower_body(s, err);
	s->out->last = s->tip;
	s->out->n_history = s->history.len;
	s->out->history = arena_array(l->a, struct graph_history, s->history.len);
	if (s->history.len)
		memcpy(s->out->history, s->history.ptr, s->history.len * sizeof(*s->history.ptr));
	vec_free(&s->history);
	if (r < 0) {
		vec_free(&s->args);
		map_done(&s->args_over_env);
		map_done(&s->set_at);
		return r;
	}
	vec_push(&l->stages, s->out);
	raw->state = RAW_DONE;
	raw->lowered = s;
	*ret = s;
	return 0;
}
