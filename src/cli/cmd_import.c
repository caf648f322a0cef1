#include <unistd.h>

#include "background_sync.h"
#include "commands.h"
#include "ctx.h"
#include "engine/engine.h"
#include "import_root.h"
#include "import_source.h"
#include "util/clock.h"
#include "util/num.h"

struct import_opts {
	struct cli_list changes;
	const char *message;
	const char *platform;
};

/* Now, or what SOURCE_DATE_EPOCH says. */
static int created_time(struct cairn_ctx *ctx, int64_t *ret_ns, struct cairn_err *err)
{
	const char *epoch = ctx_env(ctx->envp, "SOURCE_DATE_EPOCH");
	uint64_t s = 0;

	*ret_ns = clock_now();
	if (!epoch)
		return 0;
	if (num_u64(str_of(epoch), INT64_MAX / CLOCK_SEC, &s, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "SOURCE_DATE_EPOCH");
	}
	*ret_ns = (int64_t)s * CLOCK_SEC;
	return 0;
}

static int make_image(struct cli_call *call, const struct digest *diff_id, int64_t created,
                      struct image_config *c, struct digest *ret_id, struct cairn_err *err)
{
	const struct import_opts *o = call->opts;
	const char *file = call->argv[0];
	cleanup_strbuf struct strbuf json;
	cleanup_free char *comment = NULL;
	char platform[PLATFORM_TEXT_MAX];
	struct digest diff_ids[1] = { *diff_id };
	struct store_image image = { .created = created, .diff_ids = diff_ids, .n_layers = 1 };
	struct store *s = call->ctx->store;

	comment = o->message ? xstrdup(o->message)
	                     : xasprintf("Imported from %s", strcmp(file, "-") == 0 ? "-" : file);
	c->created = (struct image_time){ true, created };
	image_config_layer_add(c, diff_id);
	image_config_history_add(
		c, &(struct image_history){ .created = c->created, .comment = str_of(comment) });
	strbuf_init(&json, IMAGE_CONFIG_MAX);
	image_config_encode(c, &json);
	TRY(strbuf_check(&json, "image config", err));
	TRY(store_blob_put(s, strbuf_view(&json), &image.config, err));
	(void)platform_text(&c->platform, platform);
	image.platform = platform;
	TRY(store_image_put(s, &image, err));
	*ret_id = image.config;
	return 0;
}

/* What this process may do: in a user namespace only some owners exist. */
static int set_limits(struct import_root *in, struct cairn_err *err)
{
	struct userns_map *m = xcalloc(1, sizeof(*m));
	int r = userns_read_map(m, err);
	uint64_t end = 0;

	for (unsigned i = 0; r == 0 && i < m->n_uid; i++)
		if ((uint64_t)m->uid[i].inside + m->uid[i].count > end)
			end = (uint64_t)m->uid[i].inside + m->uid[i].count;
	in->max_id = end > 0 && end < UINT32_MAX ? (uint32_t)(end - 1) : 0;
	in->ns = userns_inside(NULL, NULL) ? LAYER_XATTR_USER : LAYER_XATTR_TRUSTED;
	free(m);
	return r;
}

static int import_layer(struct cli_call *call, int64_t created, struct digest *ret_diff_id,
                        struct cairn_err *err)
{
	cleanup_import_source struct import_source *src = NULL;
	struct import_root in = { .store = call->ctx->store, .created = created };
	struct layer_reader tar;
	int r;

	TRY(set_limits(&in, err));
	TRY(import_source_open(call->argv[0], &src, err));
	tar = import_source_reader(src);
	in.pool = pool_new((unsigned)sysconf(_SC_NPROCESSORS_ONLN));
	r = import_root(&in, &tar, ret_diff_id, err);
	pool_free(in.pool);
	if (r < 0)
		return cairn_wrap(err, "import '%s'", call->argv[0]);
	return import_source_end(src, err);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct import_opts *o = call->opts;
	cleanup_arena struct arena *a = arena_new();
	struct platform platform = platform_host();
	struct reference ref;
	struct image_config config;
	struct digest diff_id, id;
	char text[REFERENCE_TEXT_MAX];
	int64_t created;

	if (o->platform && platform_parse(str_of(o->platform), &platform, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--platform");
	}
	if (call->argc > 1 && (reference_parse(str_of(call->argv[1]), &ref, err) < 0)) {
		err->code = CAIRN_E_USAGE;
		return err->code;
	}
	TRY(import_changes(o->changes.ptr, o->changes.len, &platform, a, &config, err));
	TRY(created_time(call->ctx, &created, err));
	TRY(import_layer(call, created, &diff_id, err));
	TRY(make_image(call, &diff_id, created, &config, &id, err));
	if (call->argc > 1)
		TRY(store_tag_put(call->ctx->store, str_of(reference_text(&ref, text)), &id, err));
	background_sync_start(call->ctx->home);
	(void)fprintf(call->ctx->out, "%s\n", digest_text(&id).s);
	return 0;
}

#define T struct import_opts

static const struct cli_opt opts[] = {
	{ "change", 'c', OPT_LIST(T, changes), .arg = "INSTRUCTION",
	  .help = "Apply a Dockerfile instruction to the image, as in 'CMD [\"sh\"]' (CMD, ENTRYPOINT, "
	          "ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR, ...)" },
	{ "message", 'm', OPT_STRING(T, message), .arg = "TEXT",
	  .help = "Comment in the image's history" },
	{ "platform", 0, OPT_STRING(T, platform), .arg = "OS/ARCH",
	  .help = "What the files run on (default: this machine)" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn import rootfs.tar.zst debian:12", "make an image from a root file system" },
	{ "mmdebstrap bookworm - | cairn import -c 'CMD [\"bash\"]' - debian:12",
	  "make a Debian base image from a mirror" },
	{ 0 },
};

const struct cli_cmd cmd_import = {
	.name = "import",
	.group = "Images",
	.summary = "Make an image from a root file system in a tar archive",
	.description =
		"FILE is a tar archive, plain or compressed with gzip, zstd, xz, bzip2, lz4 or lzip; - is "
		"standard input. The image has one layer and is named NAME, tag latest where none is "
		"given. Prints the image's id.",
	.args = "[OPTIONS] FILE|- [NAME[:TAG]]",
	.min_args = 1,
	.max_args = 2,
	.hint = CLI_HINT_FILE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_NEED_USERNS,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
