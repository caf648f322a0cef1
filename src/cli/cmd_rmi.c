#include "commands.h"
#include "image_lookup.h"
#include "util/json.h"

struct rmi_opts {
	bool force, json;
};

/* What was done, for the listing. */
struct removal {
	json_t *untagged, *deleted; /* arrays of strings; owned */
};

/* The names of an image: all when id is given. */
static int names_of(struct store *s, const struct digest *id, json_t *into, struct cairn_err *err)
{
	struct store_listing list;

	TRY(store_images_list(s, &list, err));
	for (size_t i = 0; i < list.len; i++)
		if (list.ptr[i].tag.name && digest_eq(&list.ptr[i].image.config, id))
			json_array_append_new(into, json_string(list.ptr[i].tag.name));
	store_listing_done(&list);
	return 0;
}

/* As docker: a name is taken off; the image goes with its last name. Digits of an id
 * remove the image, all names at once only with --force. */
static int remove_one(struct store *s, const char *word, bool force, struct removal *done,
                      struct cairn_err *err)
{
	cleanup_json json_t *names = json_array();
	struct image_hit hit;
	size_t n;
	int r;

	TRY(image_lookup(s, word, &hit, err));
	r = names_of(s, &hit.image.config, names, err);
	n = json_array_size(names);
	if (r == 0 && !hit.name && n > 1 && !force)
		r = cairn_fail(err, CAIRN_E_EXISTS,
		               "image '%s' has %zu names; remove those, or all with --force", word,
		               n);
	if (r == 0 && hit.name && n > 1) {
		r = store_tag_remove(s, str_of(hit.name), &n, err);
		if (r == 0)
			json_array_append_new(done->untagged, json_string(hit.name));
	} else if (r == 0) {
		r = store_image_remove(s, &hit.image.config, err);
		if (r == 0) {
			json_array_extend(done->untagged, names);
			json_array_append_new(done->deleted,
			                      json_string(digest_text(&hit.image.config).s));
		}
	}
	image_hit_done(&hit);
	return r;
}

static void print(struct cli_call *call, struct removal *done, uint64_t bytes)
{
	const struct rmi_opts *o = call->opts;
	cleanup_json json_t *j = json_object();
	cleanup_strbuf struct strbuf out;
	json_t *v;
	size_t i;

	strbuf_init(&out, 16 << 20);
	if (!o->json) {
		json_array_foreach(done->untagged, i, v)(void)
			fprintf(call->ctx->out, "Untagged: %s\n", json_string_value(v));
		json_array_foreach(done->deleted, i, v)(void)
			fprintf(call->ctx->out, "Deleted: %s\n", json_string_value(v));
		return;
	}
	json_object_set(j, "untagged", done->untagged);
	json_object_set(j, "deleted", done->deleted);
	json_object_set_new(j, "freed_bytes", json_integer((json_int_t)bytes));
	json_write(j, &out);
	(void)fprintf(call->ctx->out, "%s\n", out.ptr);
}

/* Remove the layers that nothing needs any more. Looking the images up leased them to this
 * process: only a store that is opened anew lets go of them. */
static int clean(struct cairn_ctx *ctx, struct store_gc_stats *ret, struct cairn_err *err)
{
	struct store_opts o = { .path = ctx->home };

	store_close(steal_ptr(&ctx->store));
	TRY(store_open(&o, &ctx->store, err));
	return store_gc(ctx->store, false, ret, err);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct rmi_opts *o = call->opts;
	struct store *s = call->ctx->store;
	struct removal done = { json_array(), json_array() };
	struct store_gc_stats stats = { 0 };
	int r = 0;

	for (int i = 0; i < call->argc && r == 0; i++)
		r = remove_one(s, call->argv[i], o->force, &done, err);
	if (r == 0 && json_array_size(done.deleted) > 0)
		r = clean(call->ctx, &stats, err);
	print(call, &done, stats.bytes);
	json_decref(done.untagged);
	json_decref(done.deleted);
	return r;
}

#define T struct rmi_opts

static const struct cli_opt opts[] = {
	{ "force", 'f', OPT_FLAG(T, force), .help = "Remove an image with all its names" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ 0 },
};

const struct cli_cmd cmd_rmi = {
	.name = "rmi",
	.group = "Images",
	.summary = "Remove images or names of images",
	.description =
		"A name is taken off its image; the image goes with its last name, and its layers when "
		"neither another image nor the build cache needs them.",
	.args = "[OPTIONS] IMAGE...",
	.min_args = 1,
	.max_args = CLI_ARGS_ANY,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_WANT_USERNS,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
};
