/* cairn base, and cairn base list. */
#include "base_images.h"
#include "commands.h"
#include "table.h"

const struct cli_cmd cmd_base = {
	.name = "base",
	.is_group = true,
	.group = "Registries",
	.summary = "Base images of a repository: pin, copy and renew them",
	.description =
		"Looks at every Dockerfile of the repository (Dockerfile, Dockerfile.*, *.Dockerfile; "
		"node_modules, vendor and the like are passed over) for FROM, COPY --from=IMAGE and RUN "
		"--mount=from=IMAGE. ARGs have their defaults; images that the repository builds "
		"itself are left out.\n\n"
		"The repository is the folder of cairn.yaml, else that of .git, else the working "
		"directory.",
	.args = "list|sync|lock|update",
};

struct list_opts {
	const char *config;
	bool json;
};

static const struct digest *pin_of(const struct base_images *b, const struct base_image_use *use)
{
	return digest_none(&use->ref.digest) ? base_lock_find(b->lock, &use->ref)
	                                     : &use->ref.digest;
}

static const char *state_of(const struct base_images *b, const struct base_image_use *use)
{
	return !digest_none(&use->ref.digest)       ? "by digest"
	       : base_lock_find(b->lock, &use->ref) ? "locked"
	                                            : "not locked";
}

static void add_row(const struct base_images *b, const struct base_image_use *use, struct table *t)
{
	const struct digest none = { 0 }, *pin = pin_of(b, use);
	const struct base_place *first = &use->places.ptr[0];
	cleanup_free char *more =
		use->places.len > 1 ? xasprintf(" +%zu", use->places.len - 1) : xstrdup("");
	cleanup_free char *place = xasprintf("%.*s:%u%s", STR(first->file), first->line, more);
	struct reference tag = use->ref;
	char name[REFERENCE_TEXT_MAX], hex[16];

	tag.digest = none; /* it has a column of its own */
	table_cell(t, reference_familiar(&tag, name));
	table_cell(t, state_of(b, use));
	table_cell(t, base_short(pin ? pin : &none, hex));
	table_cell(t, place);
}

static json_t *as_json(const struct base_images *b, const struct base_image_use *use)
{
	json_t *o = json_object(), *places = json_array();
	const struct digest *pin = pin_of(b, use);

	vec_foreach (p, &use->places) {
		json_t *place = json_object();

		json_object_set_new(place, "file", json_str(p->file));
		json_object_set_new(place, "line", json_integer(p->line));
		json_array_append_new(places, place);
	}
	json_object_set_new(o, "image", json_str(use->name));
	json_object_set_new(o, "state", json_string(state_of(b, use)));
	json_object_set_new(o, "digest", pin ? json_string(digest_text(pin).s) : json_null());
	json_object_set_new(o, "places", places);
	return o;
}

static int run_list(struct cli_call *call, struct cairn_err *err)
{
	static const char *const headings[] = { "IMAGE", "STATE", "DIGEST", "USED IN", NULL };
	const struct list_opts *o = call->opts;
	struct base_images b cleanup_base_images;
	cleanup_json json_t *list = json_array();
	struct table *t;

	TRY(base_images_open(call->ctx, o->config, &b, err));
	vec_foreach (use, &b.scan->images)
		json_array_append_new(list, as_json(&b, use));
	if (o->json) {
		base_print_json(&b, list);
		return 0;
	}
	if (!b.scan->n_files)
		base_warn(&b, "there is no Dockerfile in %s", call->ctx->config->root);
	t = table_new(headings);
	vec_foreach (use, &b.scan->images)
		add_row(&b, use, t);
	table_print(t, call->ctx->out);
	return 0;
}

#define T struct list_opts

static const struct cli_opt list_opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON, with all places" },
	{ 0 },
};

static const struct cli_example list_examples[] = {
	{ "cairn base list", "what the Dockerfiles of this repository stand on" },
	{ 0 },
};

const struct cli_cmd cmd_base_list = {
	.name = "base list",
	.group = "Registries",
	.summary = "List the base images that the Dockerfiles name",
	.description = "STATE tells whether cairn.lock pins the tag. No registry is asked.",
	.args = "[OPTIONS]",
	.opts = list_opts,
	.opts_size = sizeof(T),
	.run = run_list,
	.examples = list_examples,
};
