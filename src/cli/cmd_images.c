#include "commands.h"
#include "image_lookup.h"
#include "table.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/num.h"

struct images_opts {
	bool json, quiet, names, no_trunc, all;
};

#define OUT_MAX (64 * 1024 * 1024)

/* The parts of a tag's name as docker shows them; "<none>" without one. */
static void split_name(const char *name, char *repo, char *tag)
{
	struct reference ref;
	struct cairn_err ignored;
	char text[REFERENCE_TEXT_MAX];

	(void)snprintf(repo, REFERENCE_TEXT_MAX, "<none>");
	(void)snprintf(tag, REFERENCE_TEXT_MAX, "<none>");
	if (!name || reference_parse(str_of(name), &ref, &ignored) < 0)
		return;
	if (ref.tag[0])
		(void)snprintf(tag, REFERENCE_TEXT_MAX, "%s", ref.tag);
	ref.tag[0] = '\0';
	ref.digest = (struct digest){ 0 };
	(void)snprintf(repo, REFERENCE_TEXT_MAX, "%s", reference_familiar(&ref, text));
}

/* Does the filter word name this tag? Without a tag in the word: any tag. */
static bool wanted(const char *filter, const char *name)
{
	struct reference want, have;
	struct cairn_err ignored;
	const char *colon, *slash;

	if (!filter)
		return true;
	if (!name || reference_parse(str_of(filter), &want, &ignored) < 0 ||
	    reference_parse(str_of(name), &have, &ignored) < 0)
		return false;
	colon = strrchr(filter, ':');
	slash = strrchr(filter, '/');
	return strcmp(want.domain, have.domain) == 0 && strcmp(want.path, have.path) == 0 &&
	       (!colon || (slash && colon < slash) || strcmp(want.tag, have.tag) == 0);
}

static void add_json(json_t *list, const struct store_listed *l)
{
	char repo[REFERENCE_TEXT_MAX], tag[REFERENCE_TEXT_MAX], time[CLOCK_TEXT_MAX];
	json_t *o = json_object();

	split_name(l->tag.name, repo, tag);
	json_object_set_new(o, "id", json_string(digest_text(&l->image.config).s));
	json_object_set_new(o, "name", l->tag.name ? json_string(l->tag.name) : json_null());
	json_object_set_new(o, "repository", l->tag.name ? json_string(repo) : json_null());
	json_object_set_new(o, "tag", l->tag.name ? json_string(tag) : json_null());
	json_object_set_new(o, "platform", json_str(str_of(l->image.platform)));
	json_object_set_new(o, "created", json_string(clock_text(l->image.created, time)));
	json_object_set_new(o, "layers", json_integer((json_int_t)l->image.n_layers));
	json_object_set_new(o, "size", json_integer((json_int_t)l->size));
	json_array_append_new(list, o);
}

static void add_row(struct table *t, const struct store_listed *l, bool no_trunc)
{
	char repo[REFERENCE_TEXT_MAX], tag[REFERENCE_TEXT_MAX], ago[32], size[32];
	struct digest_text id =
		no_trunc ? digest_text(&l->image.config) : digest_hex(&l->image.config);

	split_name(l->tag.name, repo, tag);
	if (!no_trunc)
		id.s[IMAGE_ID_SHORT] = '\0';
	table_cell(t, repo);
	table_cell(t, tag);
	table_cell(t, id.s);
	table_cell(t, table_ago(l->image.created, clock_now(), ago));
	table_cell(t, num_human_bytes(l->size, size, sizeof(size)));
}

static void print_word(FILE *out, const struct images_opts *o, const struct store_listed *l)
{
	struct digest_text id =
		o->no_trunc ? digest_text(&l->image.config) : digest_hex(&l->image.config);
	char text[REFERENCE_TEXT_MAX];
	struct reference ref;
	struct cairn_err ignored;

	if (!o->no_trunc)
		id.s[IMAGE_ID_SHORT] = '\0';
	if (o->quiet)
		(void)fprintf(out, "%s\n", id.s);
	else if (l->tag.name && reference_parse(str_of(l->tag.name), &ref, &ignored) == 0)
		(void)fprintf(out, "%s\n", reference_familiar(&ref, text));
}

static int print(struct cli_call *call, const struct store_listing *list)
{
	static const char *const headings[] = { "REPOSITORY", "TAG",  "IMAGE ID",
		                                "CREATED",    "SIZE", NULL };
	const struct images_opts *o = call->opts;
	const char *filter = call->argc > 0 ? call->argv[0] : NULL;
	struct table *t = table_new(headings);
	cleanup_json json_t *j = json_array();
	cleanup_strbuf struct strbuf out;
	FILE *file = call->ctx->out;
	const struct digest *last = NULL;

	strbuf_init(&out, OUT_MAX);
	for (size_t i = 0; i < list->len; i++) {
		const struct store_listed *l = &list->ptr[i];

		if (!wanted(filter, l->tag.name) ||
		    (!l->tag.name && !o->all && !o->json && !o->quiet))
			continue;
		if (o->quiet && last && digest_eq(last, &l->image.config))
			continue;
		last = &l->image.config;
		if (o->json)
			add_json(j, l);
		else if (o->quiet || o->names)
			print_word(file, o, l);
		else
			add_row(t, l, o->no_trunc);
	}
	if (o->json) {
		json_write(j, &out);
		(void)fprintf(file, "%s\n", out.ptr);
	}
	table_print(t, o->json || o->quiet || o->names ? NULL : file);
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct store_listing list = { 0 };

	if (call->ctx->store)
		TRY(store_images_list(call->ctx->store, &list, err));
	(void)print(call, &list);
	store_listing_done(&list);
	return 0;
}

#define T struct images_opts

static const struct cli_opt opts[] = {
	{ "all", 'a', OPT_FLAG(T, all), .help = "List images without a name too" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON, all images" },
	{ "names", 0, OPT_FLAG(T, names), .help = "Print names only" },
	{ "no-trunc", 0, OPT_FLAG(T, no_trunc), .help = "Print ids in full" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print ids only" },
	{ 0 },
};

const struct cli_cmd cmd_images = {
	.name = "images",
	.group = "Images",
	.summary = "List the images in the store",
	.args = "[OPTIONS] [NAME[:TAG]]",
	.max_args = 1,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE_READ,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
};
