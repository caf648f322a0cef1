/* A config that parses is encoded so that it parses and encodes to the same bytes again,
 * also after a deep copy whose original is gone. */
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new();
	cleanup_arena struct arena *b = arena_new();
	struct strbuf first cleanup_strbuf, second cleanup_strbuf;
	struct image_config c, copy;
	struct cairn_err err;

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (image_config_parse(a, str_n((const char *)data, size), &c, &err) < 0) {
		arena_free(a);
		return 0;
	}
	image_config_encode(&c, &first);
	image_config_copy(b, &c, &copy);
	arena_free(a);
	image_config_env_set(&copy, S("CAIRN"), S("x"));
	if (copy.n_diff_ids)
		(void)image_config_chain_id(&copy, copy.n_diff_ids);
	if (image_config_parse(b, strbuf_view(&first), &c, &err) < 0)
		CAIRN_BUG("own encoding refused: %s", err.msg);
	image_config_encode(&c, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("two encodings of one config");
	return 0;
}
