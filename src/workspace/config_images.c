/* `images:`, `defaults:`, `groups:`. What the values come to is found out by images_declared.c. */
#include "config_priv.h"

/* In the order of enum image_category. */
static const char *const categories[] = {
	[IMAGE_UNKNOWN] = "auto",
	[IMAGE_LIGHT] = "light",
	[IMAGE_HEAVY] = "heavy",
	[IMAGE_GPU] = "gpu",
	NULL,
};

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-' || c == '/';
}

static int check_name(const struct conf_reader *r, const struct conf_pair *p, struct cairn_err *err)
{
	bool ok = p->key.len > 0;

	for (size_t i = 0; i < p->key.len; i++)
		ok = ok && (name_char(p->key.ptr[i]) || strchr("${}", p->key.ptr[i]));
	if (!ok)
		return conf_fail(r, p, err,
		                 "'%.*s' is no name of an image; it may have letters, digits, "
		                 "'.', '_', '-' and '/'",
		                 STR(p->key));
	return 0;
}

static int check_platforms(const struct conf_reader *r, const struct conf_node *n, void *value,
                           struct cairn_err *err)
{
	const struct image_strs *list = value;
	struct platform p;
	struct cairn_err why;

	for (size_t i = 0; i < list->len; i++)
		if (str_find(list->ptr[i], '$') < 0 && platform_parse(list->ptr[i], &p, &why) < 0)
			return conf_fail(r, n->kind == CONF_LIST ? n->items[i] : n, err, "%s",
			                 why.msg);
	return 0;
}

/* --- matrix --------------------------------------------------------------------- */

static int check_values(const struct conf_reader *r, const struct conf_node *n, void *value,
                        struct cairn_err *err)
{
	const struct image_strs *list = value;

	for (size_t i = 0; i < list->len; i++)
		for (size_t k = 0; k < i; k++)
			if (str_eq(list->ptr[i], list->ptr[k]))
				return conf_fail(r, n->items[i], err,
				                 "'%.*s' stands here for the second time",
				                 STR(list->ptr[i]));
	if (!list->len)
		return conf_fail(r, n, err, "the list is empty");
	return 0;
}

static int check_axis(const struct conf_reader *r, const struct conf_pair *p, struct cairn_err *err)
{
	bool ok = p->key.len > 0 && !str_is(p->key, "name");

	for (size_t i = 0; i < p->key.len; i++)
		ok = ok && (name_char(p->key.ptr[i]) && !strchr("./-", p->key.ptr[i]));
	if (conf_is_null(p->value))
		return conf_fail(r, p, err, "'%.*s' has no values", STR(p->key));
	if (!ok)
		return conf_fail(r, p, err,
		                 "'%.*s' cannot be the name of a variable: letters, digits and "
		                 "'_', and not 'name'",
		                 STR(p->key));
	return 0;
}

static const struct conf_field axis_value = {
	"matrix",
	CONF_F_STRINGS,
	offsetof(struct workspace_axis, values),
	.help = "Values, which ${KEY} stands for; the image is made once for each",
	.check = check_values,
};

static const struct conf_object axis_object = {
	.value = &axis_value,
	.size = sizeof(struct workspace_axis),
	.check_name = check_axis,
};

/* --- images ----------------------------------------------------------------------- */

#define AT(field) offsetof(struct workspace_image, field)

/* What defaults: has, too. */
#define COMMON_FIELDS                                                                              \
	{ "args", CONF_F_KVS, AT(args), .help = "Build arguments" },                               \
		{ "contexts", CONF_F_KVS, AT(contexts),                                            \
		  .help = "Named contexts: a folder, docker-image://REF, or image:NAME, an image " \
		          "of this file" },                                                        \
		{ "labels", CONF_F_KVS, AT(labels), .help = "Labels of the image" },               \
		{ "tags", CONF_F_STRINGS, AT(tags),                                                \
		  .help = "References that the image gets, the main one first",                    \
		  .example = "registry.example/team/${name}:latest" },                             \
		{ "platforms",                                                                     \
		  CONF_F_STRINGS,                                                                  \
		  AT(platforms),                                                                   \
		  .help = "Platforms to build for",                                                \
		  .example = "linux/amd64",                                                        \
		  .check = check_platforms },                                                      \
		{ "secrets", CONF_F_STRINGS, AT(secrets), .help = "Secrets, as --secret has them", \
		  .example = "id=token,env=TOKEN" },                                               \
		{ "category", CONF_F_ENUM, AT(category), .choices = categories,                    \
		  .help = "How much of a machine it wants (default: auto, from evidence)" },       \
		{ "deadline", CONF_F_DURATION, AT(deadline),                                       \
		  .help = "Time within which it should be there", .example = "20m" },              \
	{                                                                                          \
		"runner", CONF_F_STRING, AT(runner), .help = "Name of the runner it has to go to"  \
	}

static const struct conf_field defaults_fields[] = {
	COMMON_FIELDS,
	{ 0 },
};

const struct conf_object config_defaults_object = { .fields = defaults_fields };

static const struct conf_field image_fields[] = {
	{ "context", CONF_F_STRING, AT(context),
	  .help = "Folder, relative to this file, or URL (default: .)" },
	{ "dockerfile", CONF_F_STRING, AT(dockerfile),
	  .help = "File, relative to the context (default: Dockerfile)" },
	{ "target", CONF_F_STRING, AT(target), .help = "Stage to build (default: the last one)" },
	COMMON_FIELDS,
	{ "depends", CONF_F_STRINGS, AT(depends),
	  .help = "Images or groups that are built before it, beside those its Dockerfile names" },
	{ "matrix", CONF_F_NAMED, AT(matrix), .object = &axis_object,
	  .help = "Variables with lists of values: the image is made for each combination" },
	{ 0 },
};

static void place_image(void *object, unsigned line, unsigned col)
{
	struct workspace_image *i = object;

	i->line = line;
	i->col = col;
}

const struct conf_object config_image_object = {
	.fields = image_fields,
	.size = sizeof(struct workspace_image),
	.check_name = check_name,
	.place = place_image,
};

/* --- groups ------------------------------------------------------------------------- */

static const struct conf_field group_value = {
	"groups",
	CONF_F_STRINGS,
	offsetof(struct workspace_group, members),
	.help = "Names of images and of groups",
};

static void place_group(void *object, unsigned line, unsigned col)
{
	struct workspace_group *g = object;

	g->line = line;
	g->col = col;
}

const struct conf_object config_group_object = {
	.value = &group_value,
	.size = sizeof(struct workspace_group),
	.check_name = check_name,
	.place = place_group,
};
