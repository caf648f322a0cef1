/* From images to graphs and input keys. */
#include "plan_input.h"

#include "util/fs.h"

#define IGNORE_MAX (1u << 20) /* bytes of an ignore file, as in a build */

/* Names that only a plan uses, for named contexts that are images of the workspace. */
#define IMAGE_DOMAIN  "image.cairn.invalid"
#define IMAGE_CONTEXT "image:"

struct plan_ignore {
	struct ignore *set;
	bool there;
	int result; /* of reading it */
	struct cairn_err err;
};

struct plan_base {
	int result;
	struct cairn_err err;
	struct graph_base base;
};

void input_failed(struct plan_input *in, const struct cairn_err *err)
{
	if (in->failed)
		return;
	in->failed = true;
	in->err = *err;
}

/* --- files --------------------------------------------------------------------------- */

static struct plan_ignore *ignore_file(struct plan_inputs *p, const char *path)
{
	struct plan_ignore *i = map_get(&p->ignores, str_of(path));
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, IGNORE_MAX);
	if (i)
		return i;
	i = arena_new_of(p->arena, struct plan_ignore);
	map_put(&p->ignores, str_of(path), i);
	i->result = fs_read_file(p->root, path, &text, &i->err);
	i->there = i->result != CAIRN_E_NOT_FOUND;
	if (i->result == 0)
		i->result = ignore_parse(strbuf_view(&text), path, &i->set, &i->err);
	else if (!i->there)
		i->result = 0;
	return i;
}

/* FILE.dockerignore beside the Dockerfile wins over the context's, as in a build. */
static int find_ignore(struct plan_inputs *p, struct plan_input *in, struct cairn_err *err)
{
	const char *paths[] = { arena_printf(p->arena, "%s.dockerignore", in->path),
		                arena_printf(p->arena, "%.*s/.dockerignore",
		                             STR(in->image->context)) };

	for (size_t k = 0; k < ARRAY_SIZE(paths); k++) {
		const struct plan_ignore *i = ignore_file(p, paths[k]);

		if (!i->there)
			continue;
		if (i->result < 0) {
			*err = i->err;
			return i->result;
		}
		in->ignore = ignore_empty(i->set) ? NULL : i->set;
		return 0;
	}
	return 0;
}

static int read_dockerfile(struct plan_inputs *p, struct plan_input *in, struct cairn_err *err)
{
	const struct ws_image *i = in->image;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, DOCKERFILE_MAX);
	in->path = arena_cstr(p->arena, i->dockerfile_inline.len ? i->file
	                                : i->dockerfile.len      ? i->dockerfile
	                                                         : S("Dockerfile"));
	in->df = images_dockerfile(i);
	if (in->df)
		return 0;
	if (!i->dockerfile_inline.len && fs_read_file(p->root, in->path, &text, err) < 0)
		return cairn_wrap(err, "Dockerfile");
	TRY(dockerfile_parse(i->dockerfile_inline.len ? i->dockerfile_inline : strbuf_view(&text),
	                     in->path, &in->own_df, err));
	in->df = in->own_df;
	return 0;
}

/* --- bases --------------------------------------------------------------------------- */

static bool same_reference(str a, str b)
{
	struct reference x, y;
	struct cairn_err ignored;

	return reference_parse(a, &x, &ignored) == 0 && reference_parse(b, &y, &ignored) == 0 &&
	       reference_eq(&x, &y);
}

static bool has_name(const struct ws_image *i, str ref)
{
	if (same_reference(i->name, ref))
		return true;
	for (size_t k = 0; k < i->tags.len; k++)
		if (same_reference(i->tags.ptr[k], ref))
			return true;
	return false;
}

static const char *context_ref(struct arena *a, const struct ws_image *i)
{
	return arena_printf(a, IMAGE_DOMAIN "/image:%zu", i->order);
}

/* The image of the workspace that this image calls by that name. */
static struct plan_input *parent_called(const struct plan_inputs *p, const struct ws_image *i,
                                        str ref)
{
	for (size_t k = 0; k < i->n_parents; k++) {
		const struct ws_image *parent = i->parents[k];
		char own[64];

		(void)snprintf(own, sizeof(own), IMAGE_DOMAIN "/image:%zu", parent->order);
		if (str_is(ref, own) || has_name(parent, ref))
			return map_get(&p->by_name, parent->name);
	}
	return NULL;
}

/* All that resolving needs to know. */
struct resolving {
	struct plan_inputs *p;
	struct plan_input *in;
};

static int workspace_base(const struct plan_input *parent, struct arena *arena,
                          struct graph_base *ret, struct cairn_err *err)
{
	struct image_config *c;

	if (parent->failed)
		return cairn_fail(err, CAIRN_E_NOT_FOUND, "image '%.*s' cannot be planned: %s",
		                  STR(parent->image->name), parent->err.msg);
	c = arena_new_of(arena, struct image_config);
	image_config_copy(arena, parent->graph->target->config, c);
	/* What stands for it in keys is known later; its config not before it is built. */
	*ret = (struct graph_base){ .config = c };
	ret->config_digest = digest_of(parent->image->name.ptr, parent->image->name.len);
	return 0;
}

/* Each image is asked for once. */
static int foreign_base(struct plan_inputs *p, str ref, const struct platform *platform,
                        const struct plan_base **ret)
{
	char text[PLATFORM_TEXT_MAX];
	const char *key =
		arena_printf(p->arena, "%.*s %s", STR(ref), platform_text(platform, text));
	struct plan_base *b = map_get(&p->bases, str_of(key));

	if (!b) {
		b = arena_new_of(p->arena, struct plan_base);
		b->result = p->opts->resolve_base(p->opts->ctx, p->arena, ref, platform, &b->base,
		                                  &b->err);
		map_put(&p->bases, str_of(key), b);
	}
	*ret = b;
	return b->result;
}

static int resolve(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                   struct graph_base *ret, struct cairn_err *err)
{
	struct resolving *r = ctx;
	const struct plan_input *parent = parent_called(r->p, r->in->image, ref);
	const struct plan_base *b = NULL;

	if (parent)
		return workspace_base(parent, arena, ret, err);
	if (foreign_base(r->p, ref, platform, &b) < 0) {
		*err = b->err;
		return b->result;
	}
	*ret = b->base;
	return 0;
}

/* --- lowering ---------------------------------------------------------------------------- */

/* As in builds, an empty variable is none. */
static const char *environment(const struct plan_inputs *p, str name)
{
	for (char *const *e = p->opts->envp; *e; e++) {
		str key, value;

		if (str_cut(str_of(*e), '=', &key, &value) && str_eq(key, name))
			return value.len ? value.ptr : NULL;
	}
	return NULL;
}

static void set_arg(struct plan_inputs *p, struct plan_input *in, str name, const char *value)
{
	if (value)
		map_put(&in->args, name, arena_cstr(p->arena, str_of(value)));
}

static void set_args(struct plan_inputs *p, struct plan_input *in)
{
	static const char epoch[] = "SOURCE_DATE_EPOCH"; /* an argument of every build */
	const struct ws_image *i = in->image;

	for (size_t k = 0; k < i->args.len; k++) {
		str name = i->args.ptr[k].key, value = i->args.ptr[k].value;

		set_arg(p, in, name,
		        value.ptr ? arena_cstr(p->arena, value) : environment(p, name));
	}
	if (!map_has(&in->args, str_of(epoch)))
		set_arg(p, in, str_of(epoch), environment(p, str_of(epoch)));
}

static int set_contexts(struct plan_inputs *p, struct plan_input *in, struct cairn_err *err)
{
	const struct ws_image *i = in->image;

	for (size_t k = 0; k < i->contexts.len; k++) {
		str value = i->contexts.ptr[k].value;
		const char *text = arena_cstr(p->arena, value);

		if (str_starts(value, S(IMAGE_CONTEXT))) {
			const struct plan_input *of =
				map_get(&p->by_name, str_skip(value, sizeof(IMAGE_CONTEXT) - 1));

			if (!of)
				return cairn_fail(err, CAIRN_E_NOT_FOUND,
				                  "context '%.*s': there is no image '%.*s'",
				                  STR(i->contexts.ptr[k].key), STR(value));
			text = arena_printf(p->arena, "docker-image://%s",
			                    context_ref(p->arena, of->image));
		}
		map_put(&in->contexts, i->contexts.ptr[k].key, (void *)(uintptr_t)text);
	}
	return 0;
}

static int set_platform(const struct ws_image *i, struct platform *ret, struct cairn_err *err)
{
	*ret = platform_host();
	if (i->platforms.len > 1)
		return cairn_fail_at(err, i->file.ptr, i->line, i->col,
		                     "several platforms are not built together yet; make an image "
		                     "of each, with matrix: and platforms: [\"${...}\"]");
	return i->platforms.len ? platform_parse(i->platforms.ptr[0], ret, err) : 0;
}

/* Which bases are images of the workspace. */
static void find_bases(struct plan_inputs *p, struct plan_input *in)
{
	in->bases = arena_array(p->arena, struct plan_input *, in->graph->n_nodes);
	for (size_t k = 0; k < in->graph->n_nodes; k++) {
		const struct graph_node *n = in->graph->nodes[k];

		if (n->kind == GRAPH_BASE && n->base.ref.len)
			in->bases[k] = parent_called(p, in->image, n->base.ref);
	}
}

static int lower(struct plan_inputs *p, struct plan_input *in, struct cairn_err *err)
{
	const struct ws_image *i = in->image;
	struct resolving resolving = { p, in };
	struct graph_opts o = { .target = i->target,
		                .build_args = &in->args,
		                .contexts = &in->contexts,
		                .resolve_base = resolve,
		                .ctx = &resolving };

	if (str_search(i->context, S("://")) >= 0 || str_starts(i->context, S("git@")))
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "context '%.*s': only directories are built yet",
		                  STR(i->context));
	TRY(set_platform(i, &o.platform, err));
	TRY(read_dockerfile(p, in, err));
	TRY(find_ignore(p, in, err));
	set_args(p, in);
	TRY(set_contexts(p, in, err));
	o.labels = arena_array(p->arena, str, i->labels.len);
	for (size_t k = 0; k < i->labels.len; k++)
		o.labels[o.n_labels++] =
			str_of(arena_printf(p->arena, "%.*s=%.*s", STR(i->labels.ptr[k].key),
		                            STR(i->labels.ptr[k].value)));
	TRY(graph_lower(in->df, in->path, &o, &in->graph, err));
	in->steps = define_steps(in->graph, p->arena);
	find_bases(p, in);
	return 0;
}

/* Base images of all, each once for a platform. */
static void prefetch(struct plan_inputs *p)
{
	VEC(str) refs = { 0 };
	VEC(struct platform) platforms = { 0 };
	struct map seen cleanup_map = { 0 };
	char text[PLATFORM_TEXT_MAX];

	for (size_t i = 0; p->opts->prefetch_bases && i < p->len; i++) {
		const struct ws_image *w = p->ptr[i].image;
		struct platform platform;
		struct cairn_err ignored;

		for (size_t k = 0; set_platform(w, &platform, &ignored) == 0 && k < w->bases.len;
		     k++) {
			const char *key = arena_printf(p->arena, "%.*s %s", STR(w->bases.ptr[k]),
			                               platform_text(&platform, text));

			if (map_put(&seen, str_of(key), p))
				continue;
			vec_push(&refs, w->bases.ptr[k]);
			vec_push(&platforms, platform);
		}
	}
	if (refs.len)
		p->opts->prefetch_bases(p->opts->ctx, refs.ptr, platforms.ptr, refs.len);
	vec_free(&refs);
	vec_free(&platforms);
}

int inputs_new(const struct plan_opts *o, struct plan_inputs **ret, struct cairn_err *err)
{
	cleanup_inputs struct plan_inputs *p = xcalloc(1, sizeof(*p));

	p->arena = arena_new();
	p->opts = o;
	p->root = -1;
	TRY(fs_open_dir(AT_FDCWD, o->root, &p->root, err));
	p->ptr = arena_array(p->arena, struct plan_input, o->n_selected);
	for (size_t i = 0; i < o->n_selected; i++) {
		p->ptr[i].image = o->selected[i];
		map_put(&p->by_name, o->selected[i]->name, &p->ptr[i]);
	}
	p->len = o->n_selected;
	prefetch(p);
	for (size_t i = 0; i < p->len; i++) {
		struct cairn_err failure = { 0 };

		if (lower(p, &p->ptr[i], &failure) < 0)
			input_failed(&p->ptr[i], &failure);
	}
	*ret = steal_ptr(&p);
	return 0;
}

/* In the pool: what is new of a context is written down first. */
static int context_done(void *ctx, size_t i, struct cairn_err *ignored)
{
	struct plan_context *c = (struct plan_context *)ctx + i;

	(void)ignored;
	context_free(c->context);
	arena_free(c->arena);
	return 0;
}

void inputs_free(struct plan_inputs *p)
{
	struct cairn_err ignored;

	if (!p)
		return;
	for (size_t i = 0; i < p->len; i++) {
		graph_free(p->ptr[i].graph);
		dockerfile_free(p->ptr[i].own_df);
		map_done(&p->ptr[i].args);
		map_done(&p->ptr[i].contexts);
	}
	map_foreach (e, &p->ignores)
		ignore_free(((struct plan_ignore *)e->value)->set);
	map_done(&p->ignores);
	map_done(&p->by_name);
	map_done(&p->bases);
	(void)pool_map(p->opts->pool, p->contexts.len, context_done, p->contexts.ptr, &ignored);
	vec_free(&p->contexts);
	vec_foreach (w, &p->warnings)
		free(*w);
	vec_free(&p->warnings);
	fs_close_p_(&p->root);
	arena_free(p->arena);
	free(p);
}

/* --- keys -------------------------------------------------------------------------------- */

static void input_key(struct plan_inputs *p, struct plan_input *in)
{
	struct digest *ids = arena_array(p->arena, struct digest, in->graph->n_nodes);

	for (size_t k = 0; k < in->graph->n_nodes; k++) {
		const struct plan_input *base = in->bases[k];

		if (!base)
			continue;
		if (base->failed) {
			struct cairn_err err;

			(void)cairn_fail(&err, CAIRN_E_NOT_FOUND,
			                 "image '%.*s' cannot be planned: %s",
			                 STR(base->image->name), base->err.msg);
			input_failed(in, &err);
			return;
		}
		ids[k] = define_identity(&base->key);
	}
	define_keys(in->graph, &p->opts->env, in->steps);
	in->key = define_input(in->graph, &p->opts->env, in->steps, ids);
}

void inputs_keys(struct plan_inputs *p)
{
	for (size_t i = 0; i < p->len; i++)
		if (!p->ptr[i].failed)
			input_key(p, &p->ptr[i]);
}
