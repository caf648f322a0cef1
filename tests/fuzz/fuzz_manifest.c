/* A manifest that parses is encoded so that it parses and encodes to the same bytes again. */
#include "image/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *a = arena_new();
	struct strbuf first cleanup_strbuf, second cleanup_strbuf;
	struct platform host = platform_host();
	const struct descriptor *entry;
	struct manifest m;
	struct cairn_err err;

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (manifest_parse(a, str_n((const char *)data, size), S(""), &m, &err) < 0)
		return 0;
	if (m.kind == MANIFEST_INDEX)
		(void)manifest_choose(&m, &host, &entry, &err);
	manifest_encode(&m, &first);
	if (manifest_parse(a, strbuf_view(&first), S(""), &m, &err) < 0)
		CAIRN_BUG("own encoding refused: %s", err.msg);
	manifest_encode(&m, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("two encodings of one manifest");
	return 0;
}
