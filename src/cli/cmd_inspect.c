#include "commands.h"
#include "image_lookup.h"
#include "util/json.h"

struct inspect_opts {
	bool json, config;
};

/* Names of the image as people write them. */
static int names_of(struct store *s, const struct digest *id, json_t **ret, struct cairn_err *err)
{
	struct store_listing list;
	json_t *names = json_array();

	if (store_images_list(s, &list, err) < 0) {
		json_decref(names);
		return err->code;
	}
	for (size_t i = 0; i < list.len; i++) {
		char text[REFERENCE_TEXT_MAX];
		struct reference ref;
		struct cairn_err ignored;

		if (list.ptr[i].tag.name && digest_eq(&list.ptr[i].image.config, id) &&
		    reference_parse(str_of(list.ptr[i].tag.name), &ref, &ignored) == 0)
			json_array_append_new(names, json_string(reference_familiar(&ref, text)));
	}
	store_listing_done(&list);
	*ret = names;
	return 0;
}

static json_t *layers_of(const struct store_image *i)
{
	json_t *fs = json_object(), *layers = json_array();

	for (size_t k = 0; k < i->n_layers; k++)
		json_array_append_new(layers, json_string(digest_text(&i->diff_ids[k]).s));
	json_object_set_new(fs, "Type", json_string("layers"));
	json_object_set_new(fs, "Layers", layers);
	return fs;
}

/* The object that `docker inspect` prints, as far as it is about the image. */
static int describe(struct store *s, const struct store_image *image, str config_bytes,
                    json_t **ret, struct cairn_err *err)
{
	cleanup_json json_t *config = NULL;
	json_t *o, *names = NULL;
	uint64_t size = 0;
	static const struct {
		const char *from, *to;
	} members[] = {
		{ "author", "Author" },   { "architecture", "Architecture" },
		{ "variant", "Variant" }, { "os", "Os" },
		{ "config", "Config" },
	};

	TRY(json_parse(config_bytes, "image config", &config, err));
	TRY(image_size(s, image, &size, err));
	TRY(names_of(s, &image->config, &names, err));
	o = json_object();
	json_object_set_new(o, "Id", json_string(digest_text(&image->config).s));
	json_object_set_new(o, "RepoTags", names);
	json_object_set(o, "Created", json_object_get(config, "created"));
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		json_object_set(o, members[i].to, json_object_get(config, members[i].from));
	json_object_set_new(o, "Size", json_integer((json_int_t)size));
	json_object_set_new(o, "RootFS", layers_of(image));
	*ret = o;
	return 0;
}

static int one(struct cli_call *call, const char *word, json_t *list, struct cairn_err *err)
{
	const struct inspect_opts *o = call->opts;
	cleanup_arena struct arena *a = arena_new();
	struct store *s = call->ctx->store;
	struct image_config config;
	struct image_hit hit;
	json_t *j = NULL;
	str bytes = { 0 };
	int r;

	TRY(image_lookup(s, word, &hit, err));
	r = image_read_config(s, &hit.image.config, a, &config, &bytes, err);
	if (r == 0 && o->config)
		(void)fprintf(call->ctx->out, "%.*s\n", STR(bytes));
	else if (r == 0)
		r = describe(s, &hit.image, bytes, &j, err);
	if (j)
		json_array_append_new(list, j);
	image_hit_done(&hit);
	return r;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct inspect_opts *o = call->opts;
	cleanup_json json_t *list = json_array();
	cleanup_free char *text = NULL;

	for (int i = 0; i < call->argc; i++)
		TRY(one(call, call->argv[i], list, err));
	if (o->config)
		return 0;
	text = json_dumps(list, o->json ? JSON_COMPACT : JSON_INDENT(4));
	(void)fprintf(call->ctx->out, "%s\n", text);
	return 0;
}

#define T struct inspect_opts

static const struct cli_opt opts[] = {
	{ "config", 0, OPT_FLAG(T, config), .help = "Print the image's config, byte for byte" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON on one line" },
	{ 0 },
};

const struct cli_cmd cmd_inspect = {
	.name = "inspect",
	.group = "Images",
	.summary = "Print what is known about images, as JSON",
	.description = "The members are those of docker inspect.",
	.args = "[OPTIONS] IMAGE...",
	.min_args = 1,
	.max_args = CLI_ARGS_ANY,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE_READ,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
};
