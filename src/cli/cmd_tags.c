#include "commands.h"
#include "settings.h"
#include "transfer.h"
#include "util/json.h"

struct tags_opts {
	const char *config;
	bool json;
};

#define OUT_MAX (256u << 20)

struct listing {
	struct registry *registry;
	struct reference ref;
	struct arena *arena;
	struct image_strs tags;
};

static int list(void *ctx, struct cairn_err *err)
{
	struct listing *l = ctx;

	return registry_tags(l->registry, &l->ref, l->arena, &l->tags, err);
}

static int print(struct cli_call *call, const struct listing *l, struct cairn_err *err)
{
	const struct tags_opts *o = call->opts;
	cleanup_json json_t *j = json_array();
	struct strbuf out cleanup_strbuf;

	strbuf_init(&out, OUT_MAX);
	for (size_t i = 0; i < l->tags.len; i++) {
		if (o->json)
			json_array_append_new(j, json_str(l->tags.ptr[i]));
		else
			(void)fprintf(call->ctx->out, "%.*s\n", STR(l->tags.ptr[i]));
	}
	if (!o->json)
		return 0;
	json_write(j, &out);
	TRY(strbuf_check(&out, "the list", err));
	(void)fprintf(call->ctx->out, "%s\n", out.ptr);
	return 0;
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct tags_opts *o = call->opts;
	cleanup_transfer struct transfer *t = NULL;
	cleanup_arena struct arena *a = arena_new();
	struct listing l = { .arena = a };
	struct transfer_work work = { .run = list, .ctx = &l };

	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(transfer_reference(call->argv[0], &l.ref, err));
	TRY(transfer_new(call->ctx, "listing", true, &t, err));
	l.registry = transfer_registry(t);
	TRY(transfer_run(t, &work, err));
	return print(call, &l, err);
}

#define T struct tags_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn tags registry.example/app", "all tags, sorted" },
	{ 0 },
};

const struct cli_cmd cmd_tags = {
	.name = "tags",
	.group = "Registries",
	.summary = "List the tags of a repository at a registry",
	.description = "One tag a line, sorted by bytes. A tag in NAME is not looked at.",
	.args = "[OPTIONS] NAME",
	.min_args = 1,
	.max_args = 1,
	.hint = CLI_HINT_IMAGE,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
