#include "commands.h"
#include "image_lookup.h"

static int run(struct cli_call *call, struct cairn_err *err)
{
	struct reference to;
	struct image_hit hit;
	char text[REFERENCE_TEXT_MAX];
	int r;

	if (reference_parse(str_of(call->argv[1]), &to, err) < 0) {
		err->code = CAIRN_E_USAGE;
		return cairn_wrap(err, "'%s'", call->argv[1]);
	}
	if (!digest_none(&to.digest))
		return cairn_fail(err, CAIRN_E_USAGE,
		                  "'%s' has a digest; a name that is given ends with a tag",
		                  call->argv[1]);
	TRY(image_lookup(call->ctx->store, call->argv[0], &hit, err));
	r = store_tag_put(call->ctx->store, str_of(reference_text(&to, text)), &hit.image.config,
	                  err);
	image_hit_done(&hit);
	return r;
}

static const struct cli_example examples[] = {
	{ "cairn tag app:latest registry.example/app:1.2", "give the image a second name" },
	{ 0 },
};

const struct cli_cmd cmd_tag = {
	.name = "tag",
	.group = "Images",
	.summary = "Give an image another name",
	.description = "IMAGE is a name or the first digits of an id. A name that is in use moves.",
	.args = "IMAGE NAME[:TAG]",
	.min_args = 2,
	.max_args = 2,
	.hint = CLI_HINT_IMAGE,
	.needs = CLI_NEED_HOME | CLI_NEED_STORE,
	.run = run,
	.examples = examples,
};
