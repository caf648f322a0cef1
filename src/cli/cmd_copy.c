#include "commands.h"
#include "settings.h"
#include "transfer.h"
#include "util/json.h"

struct copy_opts {
	const char *config;
	struct cli_list platforms;
	uint64_t jobs;
	bool json, quiet;
};

struct copying {
	struct registry *registry;
	struct reference src, dst;
	struct registry_copy_opts opts;
	struct digest digest;
	uint64_t moved;
};

static int copy(void *ctx, struct cairn_err *err)
{
	struct copying *c = ctx;

	return registry_copy(c->registry, &c->src, &c->dst, &c->opts, &c->digest, &c->moved, err);
}

static void print(struct cli_call *call, const struct transfer *t, const struct copying *c)
{
	const struct copy_opts *o = call->opts;
	cleanup_json json_t *j = json_object();
	struct strbuf out cleanup_strbuf;
	char name[REFERENCE_TEXT_MAX], summary[96];

	strbuf_init(&out, 1u << 20);
	(void)reference_familiar(&c->dst, name);
	if (o->json) {
		json_object_set_new(j, "name", json_string(name));
		json_object_set_new(j, "digest", json_string(digest_text(&c->digest).s));
		json_object_set_new(j, "moved_bytes", json_integer((json_int_t)c->moved));
		json_write(j, &out);
		(void)fprintf(call->ctx->out, "%s\n", out.ptr);
	} else if (o->quiet) {
		(void)fprintf(call->ctx->out, "%s\n", digest_text(&c->digest).s);
	} else {
		(void)fprintf(call->ctx->out, "%s: %s, %s\n", name, digest_text(&c->digest).s,
		              transfer_summary(t, c->moved, summary));
	}
}

/* A name without tag and digest has got "latest"; DST takes over SRC's tag when it has none itself.
 */
static void take_tag(const char *word, const struct reference *src, struct reference *dst)
{
	const char *slash = strrchr(word, '/');

	if (!digest_none(&dst->digest) || strchr(slash ? slash : word, ':'))
		return;
	if (src->tag[0])
		(void)snprintf(dst->tag, sizeof(dst->tag), "%s", src->tag);
	else
		dst->digest = src->digest;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct copy_opts *o = call->opts;
	cleanup_transfer struct transfer *t = NULL;
	cleanup_arena struct arena *a = arena_new();
	cleanup_free char *what = NULL;
	struct copying c = { .opts.parallel = (unsigned)o->jobs };
	struct transfer_work work = { .run = copy, .ctx = &c };
	struct platform *platforms = NULL;

	TRY(transfer_reference(call->argv[0], &c.src, err));
	TRY(transfer_reference(call->argv[1], &c.dst, err));
	take_tag(call->argv[1], &c.src, &c.dst);
	TRY(transfer_platforms(&o->platforms, a, &platforms, &c.opts.n_platforms, err));
	TRY(settings_load(call->ctx, o->config, ".", err));
	what = xasprintf("copying %s", call->argv[0]);
	TRY(transfer_new(call->ctx, what, o->quiet, &t, err));
	c.registry = transfer_registry(t);
	c.opts.platforms = platforms;
	c.opts.progress = transfer_progress(t);
	TRY(transfer_run(t, &work, err));
	print(call, t, &c);
	return 0;
}

#define T struct copy_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "jobs", 'j', OPT_UINT(T, jobs), .arg = "N", .help = "Blobs moved at once (default: 4)" },
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_LIST(T, platforms), .arg = "OS/ARCH[,...]",
	  .help = "Copy these platforms of an index only (default: all)" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print the digest only" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn copy debian:12 registry.example/base/debian:12",
	  "all platforms, to your registry" },
	{ "cairn copy registry.example/app:ci registry.example/app:1.2",
	  "another tag: one small request, no layers" },
	{ 0 },
};

const struct cli_cmd cmd_copy = {
	.name = "copy",
	.group = "Registries",
	.summary = "Copy an image from registry to registry",
	.description =
		"Copies an image, or an index with all its platforms, byte for byte: digests stay what "
		"they were. What the target has is not moved; within one registry layers are mounted "
		"from repository to repository. What must be moved goes through this machine without "
		"touching its disk, is verified on the way, and a transfer that breaks goes on where it "
		"was. The store is not used.\n\n"
		"With one --platform the target is that image alone; with several, an index of those.\n\n"
		"Without a tag DST gets SRC's.",
	.args = "[OPTIONS] SRC DST",
	.min_args = 2,
	.max_args = 2,
	.hint = CLI_HINT_IMAGE,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
