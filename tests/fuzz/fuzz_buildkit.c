/* A cache config that parses is written so that it parses and is written the same again; and
 * whatever it says, looking for records ends. The first byte chooses between a document and inline
 * base64. */
#include "cache/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *a = arena_new();
	struct strbuf first cleanup_strbuf, second cleanup_strbuf;
	str text = str_n((const char *)data, size);
	struct buildkit_config c;
	struct cairn_err err;

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (size && data[0] == 'b') {
		(void)buildkit_inline_parse(a, str_skip(text, 1), 3, &c, &err);
		return 0;
	}
	if (buildkit_config_parse(a, text, &c, &err) < 0)
		return 0;
	buildkit_config_encode(&c, &first);
	if (buildkit_config_parse(a, strbuf_view(&first), &c, &err) < 0)
		CAIRN_BUG("own encoding refused: %s", err.msg);
	buildkit_config_encode(&c, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("two encodings of one config");
	return 0;
}
