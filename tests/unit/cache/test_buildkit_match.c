/* Caches that a BuildKit 0.25 (Docker 28.5, buildx 0.29) wrote for tests/assets/buildkit/
 * steps.Dockerfile: every step has to be found in them. */
#include "harness.h"

#include <fcntl.h>

#include "cache/buildkit_export.h"
#include "cache/buildkit_import.h"
#include "util/fs.h"
#include "util/map.h"

#define ASSETS TEST_ASSETS "/buildkit/"

#define BASE_MANIFEST "sha256:b98ad34effb4583973f7f89d72e12b8fb331df87f5d186dbde1f227446520563"

/* The only layer of the base image. */
#define BASE_LAYER "sha256:4a395ef63cfffb8aa547867c96787237ec61e9492d5d9aeb40557e133249517b"

static str read_asset(struct arena *a, const char *name)
{
	struct strbuf b cleanup_strbuf;
	char *path = arena_printf(a, ASSETS "%s", name);
	struct cairn_err err;

	strbuf_init(&b, 1u << 24);
	assert_ok(fs_read_file(AT_FDCWD, path, &b, &err));
	return arena_str(a, strbuf_view(&b));
}

static int resolve(void *ctx, struct arena *a, str ref, const struct platform *p,
                   struct graph_base *ret, struct cairn_err *err)
{
	struct image_config *c = arena_new_of(a, struct image_config);
	struct digest layer;

	image_config_init(c, a, p);
	TRY(digest_parse(S(BASE_LAYER), &layer, err));
	image_config_layer_add(c, &layer);
	*ret = (struct graph_base){ ref, c, digest_of(ref.ptr, ref.len) };
	if (*(bool *)ctx)
		TRY(digest_parse(S(BASE_MANIFEST), &ret->names[0], err));
	return 0;
}

#define FILES 9

struct fixture {
	bool named; /* the base's digest at its registry is known */
	struct arena *a;
	struct dockerfile *df;
	struct graph *g;
	struct map args, contexts;
	struct layer_entry entries[FILES];
	struct view_file view_files[FILES];
	struct view view;
	struct buildkit_tree *tree;
	struct buildkit_op **ops;
};

static int open_file(void *ctx, const struct view_file *f, int *ret_fd, struct cairn_err *err)
{
	(void)ctx;
	*ret_fd = openat(harness_dirfd(), f->entry->path.ptr, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? cairn_fail_sys(err, "open") : 0;
}

static int tree(void *ctx, str context, struct buildkit_tree **ret, struct cairn_err *err)
{
	(void)context;
	(void)err;
	*ret = ((struct fixture *)ctx)->tree;
	return 0;
}

/* The context that the caches were made with. */
static void make_context(struct fixture *x, str dockerfile)
{
	const struct layer_entry entries[FILES] = {
		{ .path = S("Dockerfile"), .mode = 0644, .size = dockerfile.len },
		{ .path = S("one.txt"), .mode = 0644, .size = 5 },
		{ .path = S("src"), .mode = 0755, .type = LAYER_DIR },
		{ .path = S("src/a.txt"), .mode = 0644, .size = 2 },
		{ .path = S("src/b.txt"), .mode = 0600, .size = 2 },
		{ .path = S("src/link"),
		  .mode = 0777,
		  .type = LAYER_SYMLINK,
		  .target = S("a.txt") },
		{ .path = S("src/sub"), .mode = 0755, .type = LAYER_DIR },
		{ .path = S("src/sub/c.txt"), .mode = 0644, .size = 2 },
	};

	harness_write("Dockerfile", dockerfile);
	harness_write("one.txt", S("data0"));
	harness_write("src/a.txt", S("aa"));
	harness_write("src/b.txt", S("bb"));
	harness_write("src/sub/c.txt", S("c\n"));
	memcpy(x->entries, entries, sizeof(entries));
	for (size_t i = 0; i < FILES; i++)
		x->view_files[i].entry = &x->entries[i];
	x->view = (struct view){ x->view_files, FILES - 1, false, S("the context") };
	x->tree = buildkit_tree_new(&x->view, open_file, x);
}

static void setup(struct fixture *x, const char *name)
{
	static const struct key_env env = { .network = GRAPH_NET_HOST };
	struct graph_opts opts = { .build_args = &x->args,
		                   .contexts = &x->contexts,
		                   .resolve_base = resolve,
		                   .ctx = &x->named };
	struct buildkit_contexts contexts = { tree, x };
	struct cairn_err err;
	str text;

	x->a = arena_new();
	text = read_asset(x->a, name);
	make_context(x, text);
	assert_ok(platform_make(S("linux"), S("amd64"), S(""), &opts.platform, &err));
	assert_ok(dockerfile_parse(text, "Dockerfile", &x->df, &err));
	assert_ok(graph_lower(x->df, "Dockerfile", &opts, &x->g, &err));
	x->ops = arena_array(x->a, struct buildkit_op *, x->g->n_nodes);
	for (size_t i = 0; i < x->g->n_nodes; i++)
		assert_ok(buildkit_op_new(x->a, x->g->nodes[i], &env, &contexts, &x->ops[i], &err));
}

static void teardown(struct fixture *x)
{
	buildkit_tree_free(x->tree);
	graph_free(x->g);
	dockerfile_free(x->df);
	map_done(&x->args);
	map_done(&x->contexts);
	arena_free(x->a);
}

static struct buildkit_cache *open_cache(struct fixture *x, const char *manifest,
                                         const char *config)
{
	struct buildkit_cache *c = NULL;
	struct manifest m;
	struct cairn_err err;

	assert_ok(manifest_parse(x->a, read_asset(x->a, manifest), S(""), &m, &err));
	assert_ok(buildkit_import_parse(&m, read_asset(x->a, config), &c, &err));
	assert_non_null(c);
	return c;
}

/* Number of steps that must be found, and are not. */
static unsigned missing(const char *dockerfile, const char *manifest, const char *config,
                        bool named)
{
	struct fixture x = { .named = named };
	struct buildkit_cache *c;
	const struct buildkit_hit **hits;
	unsigned missing = 0;

	setup(&x, dockerfile);
	c = open_cache(&x, manifest, config);
	hits = arena_array(x.a, const struct buildkit_hit *, x.g->n_nodes);
	buildkit_match(c, x.g, x.ops, x.a, hits);
	for (size_t i = 0; i < x.g->n_nodes; i++) {
		const struct graph_node *n = x.g->nodes[i];

		if (n->kind == GRAPH_BASE || hits[i])
			continue;
		print_error("%s has no result of line %u: %.*s\n", config, n->line, STR(n->text));
		missing++;
	}
	buildkit_cache_free(c);
	teardown(&x);
	return missing;
}

void test_buildkit_match__every_step_is_found(void **state)
{
	static const struct {
		const char *dockerfile, *cache;
		bool named;
	} cases[] = { { "steps", "steps-max" }, /* an image manifest */
		      { "steps", "steps-old" }, /* an index */
		      { "steps", "steps-oci" }, /* a Docker manifest list */
		      { "steps", "steps-max", true },
		      { "more", "more-max", true } };
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *dockerfile = xasprintf("%s.Dockerfile", cases[i].dockerfile);
		char *manifest = xasprintf("%s.manifest.json", cases[i].cache);
		char *config = xasprintf("%s.config.json", cases[i].cache);

		n += missing(dockerfile, manifest, config, cases[i].named);
		free(dockerfile);
		free(manifest);
		free(config);
	}
	assert_int_equal(n, 0);
}

/* An image with its cache inside, and a cache of mode=min: they have the image. The other stage has
 * no result that would prove on what it stands; without the name of its base nothing is taken. */
void test_buildkit_match__the_target_is_found(void **state)
{
	static const char *const caches[] = { "steps-inline", "steps-min" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(caches); i++) {
		struct fixture x = { .named = true };
		char *manifest = xasprintf("%s.manifest.json", caches[i]);
		char *config = xasprintf("%s.config.json", caches[i]);
		const struct buildkit_hit **hits;
		struct buildkit_cache *c;
		unsigned last;

		setup(&x, "steps.Dockerfile");
		c = open_cache(&x, manifest, config);
		hits = arena_array(x.a, const struct buildkit_hit *, x.g->n_nodes);
		buildkit_match(c, x.g, x.ops, x.a, hits);
		last = x.g->target->last->id;
		assert_non_null(hits[last]);
		assert_int_equal(hits[last]->n, 14); /* the base's, and one for each step */
		assert_non_null(hits[last]->layers[0].blob);
		buildkit_cache_free(c);
		teardown(&x);
		free(manifest);
		free(config);
	}
}

/* The chain of a node, made up: a layer for the base and one for each step; every third RUN or
 * WORKDIR has changed nothing. */
static void make_up(struct fixture *x, const struct graph_node *n, struct buildkit_export_step *s)
{
	struct buildkit_export_layer *layers;
	const struct graph_node *at = n;
	size_t count = 0;

	for (; at->kind != GRAPH_BASE; at = at->parent)
		count++;
	count += at->base.config->n_diff_ids;
	s->layers = layers = arena_array(x->a, struct buildkit_export_layer, count + 1);
	s->n_layers = count;
	s->created = 1767225600000000000ll + n->id;
	at = n;
	for (size_t i = count; i-- > 0;) {
		struct buildkit_export_layer *l = &layers[i];
		char *text = arena_printf(x->a, "layer of %u", at->id);

		l->diff_id = at->kind == GRAPH_BASE                 ? at->base.config->diff_ids[0]
		             : at->id % 3 || at->kind == GRAPH_COPY ? digest_of(text, strlen(text))
		                                                    : buildkit_empty_layer();
		l->blob = (struct descriptor){ S(MEDIA_OCI_LAYER "+gzip"),
			                       digest_of(l->diff_id.b, DIGEST_LEN), 100 };
		if (at->kind != GRAPH_BASE)
			at = at->parent;
	}
}

void test_buildkit_match__what_is_exported_is_found(void **state)
{
	static const char *const names[] = { "steps.Dockerfile", "more.Dockerfile" };

	(void)state;
	for (size_t k = 0; k < 2 * ARRAY_SIZE(names); k++) {
		struct fixture x = { .named = k % 2 };
		struct buildkit_export_step *steps;
		struct buildkit_export exported;
		struct buildkit_cache *c = NULL;
		const struct buildkit_hit **hits;
		struct strbuf text cleanup_strbuf;
		struct manifest m;
		struct cairn_err err;

		setup(&x, names[k / 2]);
		steps = arena_array(x.a, struct buildkit_export_step, x.g->n_nodes);
		for (size_t i = 0; i < x.g->n_nodes; i++) {
			steps[i].op = x.ops[i];
			make_up(&x, x.g->nodes[i], &steps[i]);
		}
		strbuf_init(&text, BUILDKIT_READ_MAX);
		buildkit_export_make(x.a, steps, x.g->n_nodes, &exported);
		buildkit_config_encode(&exported.config, &text);
		buildkit_export_manifest(x.a, &exported, strbuf_view(&text), k % 2, &m);
		assert_ok(buildkit_import_parse(&m, strbuf_view(&text), &c, &err));
		hits = arena_array(x.a, const struct buildkit_hit *, x.g->n_nodes);
		buildkit_match(c, x.g, x.ops, x.a, hits);
		for (size_t i = 0; i < x.g->n_nodes; i++) {
			const struct graph_node *n = x.g->nodes[i];

			if (n->kind == GRAPH_BASE)
				continue;
			if (!hits[i] || hits[i]->n != steps[i].n_layers)
				fail_msg("line %u is not found", n->line);
			for (size_t l = 0; l < hits[i]->n; l++)
				if (!digest_eq(&hits[i]->layers[l].diff_id,
				               &steps[i].layers[l].diff_id))
					fail_msg("line %u: another layer %zu", n->line, l);
			assert_int_equal(hits[i]->created, steps[i].created);
		}
		buildkit_cache_free(c);
		teardown(&x);
	}
}
