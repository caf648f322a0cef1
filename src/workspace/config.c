/* The keys of cairn.yaml. A new one is a row here and a field in config.h. */
#include "config.h"

#include "config_priv.h"

#define MOUNT_SIZE (2ull << 30)                 /* bytes */
#define MOUNT_TTL  (30 * 86400 * 1000000000ull) /* ns */

static const struct conf_field cache_mounts_fields[] = {
	{ "enabled", CONF_F_BOOL, offsetof(struct workspace_cache_mounts, enabled),
	  .help = "Save the contents of RUN --mount=type=cache to the caches (default: true)" },
	{ "max_size", CONF_F_BYTES, offsetof(struct workspace_cache_mounts, max_size),
	  .help = "Most bytes of one mount that are saved (default: 2g)", .example = "5g" },
	{ "ttl", CONF_F_DURATION, offsetof(struct workspace_cache_mounts, ttl),
	  .help = "How long what was saved is restored (default: 30d)", .example = "14d" },
	{ 0 },
};

static const struct conf_object cache_mounts_object = { .fields = cache_mounts_fields };

/* --- names of hosts --------------------------------------------------------------- */

int config_check_location(const struct conf_reader *r, const struct conf_node *n, str *text,
                          bool need_path, struct cairn_err *err)
{
	struct cairn_err why;
	struct reference ref;
	cleanup_free char *image = NULL;
	str host, path;

	while (str_ends(*text, S("/")))
		text->len--;
	if (str_search(*text, S("://")) >= 0)
		return conf_fail(
			r, n, err,
			"'%.*s' is a URL; write the host alone (under 'registries', 'http: "
			"true' says that it is spoken to by plain HTTP)",
			STR(*text));
	image = xasprintf("%.*s/x", STR(*text));
	if (reference_parse(str_of(image), &ref, &why) < 0)
		return conf_fail(r, n, err, "'%.*s' is no registry: %s", STR(*text), why.msg);
	(void)str_cut(*text, '/', &host, &path);
	/* What is no host would be a folder at Docker Hub. */
	if (strcmp(ref.domain, REFERENCE_DOCKER_IO) == 0 && !str_is(host, REFERENCE_DOCKER_IO) &&
	    !str_is(host, "index.docker.io"))
		return conf_fail(r, n, err,
		                 "'%.*s' does not begin with the host of a registry, as in "
		                 "registry.example:5000/%.*s",
		                 STR(*text), STR(*text));
	if (need_path && !path.len)
		return conf_fail(r, n, err,
		                 "'%.*s' has no repository behind the host, as in "
		                 "%.*s/base",
		                 STR(*text), STR(*text));
	return 0;
}

static int check_host(const struct conf_reader *r, const struct conf_pair *p, struct cairn_err *err)
{
	const struct conf_node at = { .line = p->line, .col = p->col };
	str host = p->key;

	TRY(config_check_location(r, &at, &host, false, err));
	if (str_find(p->key, '/') >= 0)
		return conf_fail(r, p, err, "'%.*s' is more than the host of a registry",
		                 STR(p->key));
	return 0;
}

/* --- mirrors, registries, base ------------------------------------------------------- */

static int check_locations(const struct conf_reader *r, const struct conf_node *n, void *value,
                           struct cairn_err *err)
{
	struct image_strs *list = value;

	for (size_t i = 0; i < list->len; i++)
		TRY(config_check_location(r, n->kind == CONF_LIST ? n->items[i] : n, &list->ptr[i],
		                          false, err));
	return 0;
}

static const struct conf_field mirror_value = {
	"mirrors",
	CONF_F_STRINGS,
	offsetof(struct workspace_mirror, locations),
	.help = "HOST[:PORT][/PREFIX], asked in this order; the registry itself comes last",
	.example = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/docker-hub",
	.check = check_locations,
};

static const struct conf_object mirror_object = {
	.value = &mirror_value,
	.size = sizeof(struct workspace_mirror),
	.check_name = check_host,
};

static const struct conf_field registry_fields[] = {
	{ "http", CONF_F_BOOL, offsetof(struct workspace_registry, http),
	  .help = "Speak plain HTTP (always so for localhost and 127.x)" },
	{ "ca", CONF_F_PATH, offsetof(struct workspace_registry, ca),
	  .help = "File of certificate authorities (PEM) to trust in place of the system's" },
	{ "cert", CONF_F_PATH, offsetof(struct workspace_registry, cert),
	  .help = "File of a client certificate (PEM)" },
	{ "key", CONF_F_PATH, offsetof(struct workspace_registry, key),
	  .help = "File of its key (PEM; default: it is in cert)" },
	{ "insecure_skip_verify", CONF_F_BOOL,
	  offsetof(struct workspace_registry, insecure_skip_verify),
	  .help = "Believe any certificate" },
	{ 0 },
};

static const struct conf_object registry_object = {
	.fields = registry_fields,
	.size = sizeof(struct workspace_registry),
	.check_name = check_host,
};

static int check_base_registry(const struct conf_reader *r, const struct conf_node *n, void *value,
                               struct cairn_err *err)
{
	return config_check_location(r, n, value, true, err);
}

static int check_images(const struct conf_reader *r, const struct conf_node *n, void *value,
                        struct cairn_err *err)
{
	const struct image_strs *list = value;
	struct reference ref;
	struct cairn_err why;

	for (size_t i = 0; i < list->len; i++)
		if (reference_parse(list->ptr[i], &ref, &why) < 0)
			return conf_fail(r, n->kind == CONF_LIST ? n->items[i] : n, err, "%s",
			                 why.msg);
	return 0;
}

static const struct conf_field base_fields[] = {
	{ "registry", CONF_F_STRING, offsetof(struct workspace_base, registry),
	  .help = "HOST/PREFIX where 'cairn base sync' copies base images to; builds ask it first",
	  .example = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/base",
	  .check = check_base_registry },
	{ "ignore", CONF_F_STRINGS, offsetof(struct workspace_base, ignore),
	  .help = "Images that 'cairn base' passes over, as those that are built on the machine",
	  .example = "my-base", .check = check_images },
	{ "lock", CONF_F_PATH, offsetof(struct workspace_base, lock),
	  .help = "The lock file (default: cairn.lock beside cairn.yaml)" },
	{ 0 },
};

static const struct conf_object base_object = { .fields = base_fields };

/* --- the file -------------------------------------------------------------------------- */

static const char *const networks[] = {
	[WORKSPACE_NETWORK_HOST] = "host",
	[WORKSPACE_NETWORK_NONE] = "none",
	NULL,
};

/* The file says it so that a later format can be told apart. */
struct config_file {
	struct workspace_config c;
	uint64_t version;
};

#define AT(field) offsetof(struct config_file, field)

static const struct conf_field file_fields[] = {
	{ "version", CONF_F_UINT, AT(version), .help = "Version of this format", .min = 1,
	  .max = 1 },
	{ "cache", CONF_F_OBJECTS, AT(c.caches), .object = &config_cache_object,
	  .help = "Where results of steps are shared between machines: one or several" },
	{ "cache_mounts", CONF_F_OBJECT, AT(c.cache_mounts), .object = &cache_mounts_object,
	  .help = "What becomes of RUN --mount=type=cache on another machine" },
	{ "mirrors", CONF_F_NAMED, AT(c.mirrors), .object = &mirror_object,
	  .help = "Registries that are asked in place of another, by its host" },
	{ "registries", CONF_F_NAMED, AT(c.registries), .object = &registry_object,
	  .help = "How registries are spoken to, by host" },
	{ "base", CONF_F_OBJECT, AT(c.base), .object = &base_object,
	  .help = "Base images: 'cairn base'" },
	{ "sandbox_network", CONF_F_ENUM, AT(c.sandbox_network), .choices = networks,
	  .help = "Network of RUN steps, unless --network says another (default: host)" },
	{ "images", CONF_F_NAMED, AT(c.images), .object = &config_image_object,
	  .help = "The images of the repository, by name (default: every Dockerfile is one)" },
	{ "defaults", CONF_F_OBJECT, AT(c.defaults), .object = &config_defaults_object,
	  .help = "What images have that say nothing else" },
	{ "groups", CONF_F_NAMED, AT(c.groups), .object = &config_group_object,
	  .help = "Names for several images" },
	{ "runners", CONF_F_NAMED, AT(c.runners), .object = &config_runner_object,
	  .help = "Machines that builds can be sent to, by name: 'cairn runners'" },
	{ 0 },
};

static const struct conf_object file_object = { .fields = file_fields };

static void set_defaults(struct workspace_config *c, const char *path, const char *root)
{
	c->arena = arena_new();
	c->file = path ? arena_cstr(c->arena, str_of(path)) : NULL;
	c->root = arena_cstr(c->arena, str_of(root));
	c->cache_mounts = (struct workspace_cache_mounts){ true, MOUNT_SIZE, MOUNT_TTL };
	c->base.lock = str_of(arena_printf(c->arena, "%s/%s", strcmp(root, "/") == 0 ? "" : root,
	                                   WORKSPACE_LOCK_NAME));
}

int workspace_config_parse(str text, const char *path, const char *root,
                           struct workspace_config **ret, struct cairn_err *err)
{
	struct config_file file = { .version = 1 };
	struct conf_node *tree = NULL;
	struct conf_reader r = { .path = path, .root = root };
	int got;

	set_defaults(&file.c, path, root);
	r.arena = file.c.arena;
	got = path ? conf_parse(text, path, r.arena, &tree, err) : 0;
	if (got == 0)
		got = conf_read(&r, &file_object, tree, &file, err);
	if (got < 0) {
		arena_free(file.c.arena);
		return got;
	}
	*ret = xmalloc(sizeof(**ret));
	**ret = file.c;
	return 0;
}

void workspace_config_free(struct workspace_config *c)
{
	if (!c)
		return;
	arena_free(c->arena);
	free(c);
}

#define SCHEMA_TITLE "cairn.yaml"
#define SCHEMA_DRAFT "https://json-schema.org/draft/2020-12/schema"

static int add_text(const char *p, size_t n, void *out)
{
	strbuf_add(out, p, n);
	return 0;
}

void workspace_config_schema(struct strbuf *out)
{
	cleanup_json json_t *head =
		json_pack("{s:s,s:s}", "$schema", SCHEMA_DRAFT, "title", SCHEMA_TITLE);
	cleanup_json json_t *body = conf_schema(&file_object);

	if (!head || json_object_update(head, body) < 0 ||
	    json_dump_callback(head, add_text, out, JSON_INDENT(2)) < 0)
		CAIRN_BUG("the schema cannot be written");
	strbuf_char(out, '\n');
}
