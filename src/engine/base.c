#include "base.h"

static int load_config(struct store *s, const struct digest *config, struct arena *arena,
                       struct graph_base *ret, struct cairn_err *err)
{
	cleanup_strbuf struct strbuf bytes;

	strbuf_init(&bytes, IMAGE_CONFIG_MAX);
	TRY(store_blob_read(s, config, &bytes, err));
	ret->config = arena_new_of(arena, struct image_config);
	ret->config_digest = *config;
	return image_config_parse(arena, arena_str(arena, strbuf_view(&bytes)), ret->config, err);
}

int base_resolve(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                 struct graph_base *ret, struct cairn_err *err)
{
	const struct base_opts *o = ctx;
	struct store_tag tag = { 0 };
	char text[PLATFORM_TEXT_MAX];
	bool found = false;
	int r;

	TRY(store_tag_find(o->store, ref, str_of(platform_text(platform, text)), &tag, &found,
	                   err));
	if (!found)
		return cairn_fail(err, CAIRN_E_NOT_FOUND,
		                  "it is not in the store; 'cairn import FILE %.*s' puts one there",
		                  STR(ref));
	ret->ref = ref;
	r = load_config(o->store, &tag.config, arena, ret, err);
	store_tag_done(&tag);
	return r;
}
