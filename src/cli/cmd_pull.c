#include "commands.h"
#include "pull.h"
#include "settings.h"
#include "util/json.h"

struct pull_opts {
	const char *config;
	const char *platform;
	bool json, quiet;
};

static json_t *as_json(const struct pulled *im)
{
	char name[REFERENCE_TEXT_MAX], platform[PLATFORM_TEXT_MAX];
	json_t *o = json_object();

	json_object_set_new(o, "name", json_string(reference_text(&im->ref, name)));
	json_object_set_new(o, "id", json_string(digest_text(&im->id).s));
	json_object_set_new(o, "digest",
	                    digest_none(&im->manifest) ? json_null()
	                                               : json_string(digest_text(&im->manifest).s));
	json_object_set_new(o, "platform", json_string(platform_text(&im->platform, platform)));
	json_object_set_new(o, "moved_bytes", json_integer((json_int_t)im->moved));
	return o;
}

static void print_json(FILE *file, const struct pulled *images, size_t n)
{
	cleanup_json json_t *list = json_array();
	struct strbuf out cleanup_strbuf;

	strbuf_init(&out, 64u << 20);
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, as_json(&images[i]));
	json_write(list, &out);
	(void)fprintf(file, "%s\n", out.ptr);
}

static void print(FILE *file, const struct pulled *im, bool quiet)
{
	char name[REFERENCE_TEXT_MAX];
	const struct digest *known = digest_none(&im->manifest) ? &im->id : &im->manifest;

	if (quiet)
		(void)fprintf(file, "%s\n", digest_text(&im->id).s);
	else
		(void)fprintf(file, "%s: %s, %s\n", reference_familiar(&im->ref, name),
		              digest_text(known).s, im->summary);
}

static int run(struct cli_call *call, struct cairn_err *err)
{
	const struct pull_opts *o = call->opts;
	cleanup_arena struct arena *a = arena_new();
	struct platform platform = platform_host();
	const struct pull_request request = { call->argv, (size_t)call->argc, &platform, o->quiet };
	struct pulled *images = arena_array(a, struct pulled, request.n);

	if (o->platform && platform_parse(str_of(o->platform), &platform, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "--platform");
	}
	TRY(settings_load(call->ctx, o->config, ".", err));
	TRY(pull_images(call->ctx, &request, a, images, err));
	if (o->json)
		print_json(call->ctx->out, images, request.n);
	for (size_t i = 0; i < request.n && !o->json; i++)
		print(call->ctx->out, &images[i], o->quiet);
	return 0;
}

#define T struct pull_opts

static const struct cli_opt opts[] = {
	SETTINGS_OPTION(T, config),
	{ "json", 0, OPT_FLAG(T, json), .help = "Print JSON" },
	{ "platform", 0, OPT_STRING(T, platform), .arg = "OS/ARCH",
	  .help = "Which image of an index (default: this machine's)" },
	{ "quiet", 'q', OPT_FLAG(T, quiet), .help = "Print the image's id only" },
	{ "all-tags", 'a', OPT_UNSUPPORTED(false, "'cairn tags' lists them") },
	{ 0 },
};

static const struct cli_example examples[] = {
	{ "cairn pull debian:12", "from Docker Hub" },
	{ "cairn pull registry.example/app:1.2 registry.example/db:7", "several at once" },
	{ 0 },
};

const struct cli_cmd cmd_pull = {
	.name = "pull",
	.group = "Registries",
	.summary = "Get images from a registry into the store",
	.description =
		"The image is unpacked while it arrives, several layers at once, every byte compared "
		"with the digest that named it; afterwards 'cairn run' starts it and builds stand on it "
		"without a network. What the store has is not moved again. 'cairn build' pulls what it "
		"needs by itself.",
	.args = "[OPTIONS] NAME[:TAG|@DIGEST]...",
	.min_args = 1,
	.max_args = CLI_ARGS_ANY,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE | CLI_NEED_USERNS,
	.opts = opts,
	.opts_size = sizeof(T),
	.run = run,
	.examples = examples,
};
