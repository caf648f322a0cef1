/* Compose files: the services that have a build section
 * (https://github.com/compose-spec/compose-spec/blob/main/build.md).
 *
 * Anchors, aliases and merge keys are taken.  Variables come from the environment, then from the
 * file .env beside the compose file.  Profiles, extends and include change nothing: the last two
 * are told.
 */
#include "images_batch.h"
#include "util/fs.h"

#define ENV_FILE_MAX (1u << 20)

struct compose {
	struct images_batch b;
	str folder;            /* of the file, relative to the root */
	struct image_kvs dots; /* of .env */
};

/* What stands at a service. */
struct service {
	struct workspace_image image;
	str tag, platform;
	struct image_strs build_tags;
};

/* --- variables -------------------------------------------------------------------------- */

static bool lookup(void *ctx, str name, str *ret)
{
	const struct compose *c = ctx;
	const str *v;

	if (images_env(name, ret))
		return true;
	v = image_kvs_get(&c->dots, name);
	if (v)
		*ret = *v;
	return v != NULL;
}

/* NAME=value, 'value' or "value" a line, # comments. */
static void read_dots(struct compose *c, str text)
{
	str line, key, value;

	while (str_next(&text, '\n', &line)) {
		line = str_trim(line);
		if (str_starts(line, S("export ")))
			line = str_trim(str_skip(line, 7));
		if (str_starts(line, S("#")) || !str_cut(line, '=', &key, &value))
			continue;
		value = str_trim(value);
		if (value.len > 1 && strchr("'\"", value.ptr[0]) &&
		    value.ptr[value.len - 1] == value.ptr[0]) {
			value = str_n(value.ptr + 1, value.len - 2);
		} else {
			ptrdiff_t comment = str_search(value, S(" #"));

			if (comment >= 0)
				value = str_trim(str_n(value.ptr, (size_t)comment));
		}
		image_kvs_set(c->b.l->a, &c->dots, str_trim(key), value);
	}
}

static void load_dots(struct compose *c)
{
	cleanup_free char *path = xasprintf("%.*s/.env", STR(c->folder));
	cleanup_strbuf struct strbuf text;
	struct cairn_err ignored;

	strbuf_init(&text, ENV_FILE_MAX);
	if (c->b.l->root_fd >= 0 && fs_read_file(c->b.l->root_fd, path, &text, &ignored) == 0)
		read_dots(c, strbuf_view(&text));
}

/* --- services ----------------------------------------------------------------------------- */

#define AT(field) offsetof(struct service, field)
#define IGNORED(name)               \
	{                           \
		name, CONF_F_ANY, 0 \
	}

static const struct conf_field build_fields[] = {
	{ "context", CONF_F_STRING, AT(image.context) },
	{ "dockerfile", CONF_F_STRING, AT(image.dockerfile) },
	{ "dockerfile_inline", CONF_F_STRING, AT(image.dockerfile_inline) },
	{ "target", CONF_F_STRING, AT(image.target) },
	{ "args", CONF_F_KVS, AT(image.args) },
	{ "additional_contexts", CONF_F_KVS, AT(image.contexts) },
	{ "labels", CONF_F_KVS, AT(image.labels) },
	{ "tags", CONF_F_STRINGS, AT(build_tags) },
	{ "platforms", CONF_F_STRINGS, AT(image.platforms) },
	IGNORED("secrets"), /* read_secrets() */
	IGNORED("cache_from"),
	IGNORED("cache_to"),
	IGNORED("entitlements"),
	IGNORED("extra_hosts"),
	IGNORED("isolation"),
	IGNORED("network"),
	IGNORED("no_cache"),
	IGNORED("no_cache_filter"),
	IGNORED("privileged"),
	IGNORED("provenance"),
	IGNORED("pull"),
	IGNORED("sbom"),
	IGNORED("shm_size"),
	IGNORED("ssh"),
	IGNORED("ulimits"),
	{ 0 },
};

static const struct conf_object build_object = { .fields = build_fields };

static const struct conf_field service_fields[] = {
	{ "image", CONF_F_STRING, AT(tag) },
	{ "platform", CONF_F_STRING, AT(platform) },
	{ 0 },
};

static const struct conf_object service_object = { .fields = service_fields, .open = true };

static const struct batch_ignored ignored[] = {
	{ "cache_from", "caches are those of cairn.yaml and of --cache-from" },
	{ "cache_to", "caches are those of cairn.yaml and of --cache-to" },
	{ "extra_hosts", "names of hosts are the machine's" },
	{ "network", "--network says it for a build" },
	{ "no_cache", "--no-cache says it for a build" },
	{ "ssh", "--ssh says it for a build" },
	{ 0 },
};

static const struct batch_ignored ignored_of_service[] = {
	{ "extends", "write the service out with 'docker compose config'" },
	{ 0 },
};

static const struct batch_ignored ignored_of_file[] = {
	{ "include",
	  "name the other files by themselves, or join them with 'docker compose config'" },
	{ 0 },
};

/* "- name" or "- {source: name, target: id}", with the file or variable that `secrets:` of the
 * file gives it. */
static int add_secret(struct compose *c, const struct conf_node *n, struct image_strs *list,
                      struct cairn_err *err)
{
	const struct conf_node *source = n->kind == CONF_MAP ? conf_get(n, "source") : n;
	const struct conf_node *id = n->kind == CONF_MAP ? conf_get(n, "target") : NULL, *def, *v;
	cleanup_strbuf struct strbuf text;

	strbuf_init(&text, SIZE_MAX);
	if (!source || source->kind != CONF_SCALAR || (id && id->kind != CONF_SCALAR))
		return conf_fail(&c->b.reader, n, err, "secrets: expected the name of a secret");
	def = conf_get(conf_get(c->b.root, "secrets"), arena_cstr(c->b.l->a, source->text));
	if (!def)
		return conf_fail(&c->b.reader, n, err, "the file has no secret '%.*s'",
		                 STR(source->text));
	strbuf_printf(&text, "id=%.*s", STR(id ? id->text : source->text));
	v = conf_get(def, "file");
	if (v && v->kind == CONF_SCALAR)
		strbuf_printf(&text, ",src=%.*s", STR(v->text));
	v = conf_get(def, "environment");
	if (v && v->kind == CONF_SCALAR)
		strbuf_printf(&text, ",env=%.*s", STR(v->text));
	list->ptr[list->len++] = arena_str(c->b.l->a, strbuf_view(&text));
	return 0;
}

static int read_secrets(struct compose *c, const struct conf_node *build, struct service *s,
                        struct cairn_err *err)
{
	const struct conf_node *list = conf_get(build, "secrets");

	if (!list || conf_is_null(list))
		return 0;
	if (list->kind != CONF_LIST)
		return conf_fail(&c->b.reader, list, err, "secrets: expected a list, not %s",
		                 conf_kind_name(list));
	s->image.secrets.ptr = arena_array(c->b.l->a, str, list->n + 1);
	for (size_t i = 0; i < list->n; i++)
		TRY(add_secret(c, list->items[i], &s->image.secrets, err));
	return 0;
}

/* An argument without value has the environment's. */
static void fill_args(struct compose *c, struct image_kvs *args)
{
	for (size_t i = 0; i < args->len; i++) {
		str value = { NULL, 0 };

		if (!args->ptr[i].value.ptr && lookup(c, args->ptr[i].key, &value))
			args->ptr[i].value = value.ptr ? value : S("");
	}
}

/* What is meant for the user of the file only: x-anything. */
static void drop_extensions(struct conf_node *n)
{
	size_t len = 0;

	for (size_t i = 0; i < n->n; i++)
		if (!str_starts(n->pairs[i].key, S("x-")))
			n->pairs[len++] = n->pairs[i];
	n->n = len;
}

static int read_build(struct compose *c, struct conf_node *build, struct service *s,
                      struct cairn_err *err)
{
	if (build->kind == CONF_SCALAR) {
		s->image.context = build->text;
		return 0;
	}
	if (build->kind != CONF_MAP)
		return conf_fail(&c->b.reader, build, err, "build: expected a folder or a mapping");
	drop_extensions(build);
	batch_tell_ignored(&c->b, build, ignored);
	TRY(conf_read(&c->b.reader, &build_object, build, s, err));
	TRY(read_secrets(c, build, s, err));
	fill_args(c, &s->image.args);
	batch_rename_contexts(&c->b, &s->image.contexts, "service:");
	return 0;
}

/* image: comes first, then build.tags; a platform of the service is that of its image. */
static void finish(struct compose *c, struct service *s)
{
	str *tags = arena_array(c->b.l->a, str, s->build_tags.len + 2);
	size_t n = 0;

	if (s->tag.len)
		tags[n++] = s->tag;
	for (size_t i = 0; i < s->build_tags.len; i++)
		tags[n++] = s->build_tags.ptr[i];
	s->image.tags = (struct image_strs){ tags, n };
	if (!s->image.platforms.len && s->platform.len) {
		str *one = arena_array(c->b.l->a, str, 1);

		one[0] = s->platform;
		s->image.platforms = (struct image_strs){ one, 1 };
	}
}

/* Only what is read is expanded: a command may hold any dollars. */
static int expand_service(struct compose *c, const struct conf_node *n, struct conf_node **ret,
                          struct cairn_err *err)
{
	static const char *const keys[] = { "build", "image", "platform", "extends" };
	const struct vars vars = {
		.style = VARS_COMPOSE, .arena = c->b.l->a, .lookup = lookup, .ctx = c
	};
	struct conf_node *s = arena_new_of(c->b.l->a, struct conf_node);

	*s = *n;
	s->n = 0;
	s->pairs = arena_array(c->b.l->a, struct conf_pair, ARRAY_SIZE(keys));
	for (size_t i = 0; i < n->n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
			if (!str_is(n->pairs[i].key, keys[k]))
				continue;
			s->pairs[s->n] = n->pairs[i];
			TRY(batch_expand(&c->b, &vars, true, n->pairs[i].value,
			                 &s->pairs[s->n].value, err));
			s->n++;
		}
	*ret = s;
	return 0;
}

static int add_service(struct compose *c, const struct conf_pair *p, struct cairn_err *err)
{
	const struct images_place place = { .from = IMAGE_COMPOSE,
		                            .file = c->b.l->groups_file,
		                            .line = p->line,
		                            .col = p->col,
		                            .base = c->folder };
	struct service s = { .image = { .name = p->key } };
	struct conf_node *service = NULL, *build;
	struct ws_image *i;

	if (p->value->kind != CONF_MAP)
		return conf_is_null(p->value) ? 0
		                              : conf_fail(&c->b.reader, p->value, err,
		                                          "expected a mapping of keys, not %s",
		                                          conf_kind_name(p->value));
	batch_tell_ignored(&c->b, p->value, ignored_of_service);
	if (!conf_get(p->value, "build") || conf_is_null(conf_get(p->value, "build")))
		return 0;
	TRY(expand_service(c, p->value, &service, err));
	build = conf_get(service, "build");
	TRY(conf_read(&c->b.reader, &service_object, service, &s, err));
	TRY(read_build(c, build, &s, err));
	finish(c, &s);
	return images_add(c->b.l, &s.image, &place, &i, err);
}

/* The folder of the file, relative to the root. */
static int find_folder(struct compose *c, str file, struct cairn_err *err)
{
	cleanup_free char *path = str_dup(file), *full = realpath(path, NULL);
	str where = str_of(full);
	ptrdiff_t slash = str_rfind(where, '/');

	c->folder = S(".");
	if (!full) /* a text that is no file: tests */
		return 0;
	where.len = slash > 0 ? (size_t)slash : 1;
	if (!images_path(c->b.l, S("."), where, &c->folder))
		return cairn_fail_at(err, file.ptr, 0, 0, "it is outside of the repository '%s'",
		                     c->b.l->config->root);
	return 0;
}

int images_compose(struct images_loader *l, str text, str file, struct cairn_err *err)
{
	struct compose c = { .b = { .l = l,
		                    .reader = { .arena = l->a,
		                                .path = file.ptr,
		                                .root = "/",
		                                .empty_is_none = true } } };
	const struct conf_node *services;

	l->groups_file = file;
	TRY(find_folder(&c, file, err));
	load_dots(&c);
	TRY(conf_parse_aliases(text, file.ptr, l->a, &c.b.root, err));
	services = conf_get(c.b.root, "services");
	if (!services || services->kind != CONF_MAP)
		return cairn_fail_at(err, file.ptr, 0, 0,
		                     "there are no 'services:': this is no compose file");
	batch_tell_ignored(&c.b, c.b.root, ignored_of_file);
	for (size_t i = 0; i < services->n; i++)
		TRY(add_service(&c, &services->pairs[i], err));
	return 0;
}
