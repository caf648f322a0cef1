/* An entry of a remote cache. One that is accepted is encoded so that it is accepted and encoded to
 * the same bytes again. */
#include "cache/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *a = arena_new();
	struct strbuf first cleanup_strbuf, second cleanup_strbuf;
	struct remote_entry e;
	struct cairn_err err;

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (remote_entry_decode(str_n((const char *)data, size), a, &e, &err) < 0) {
		if (err.code != CAIRN_E_DIGEST)
			CAIRN_BUG("refused with code %d", (int)err.code);
		return 0;
	}
	remote_entry_encode(&e, &first);
	if (first.len > REMOTE_ENTRY_MAX)
		return 0; /* what was short in escapes may grow */
	if (remote_entry_decode(strbuf_view(&first), a, &e, &err) < 0)
		CAIRN_BUG("own encoding refused: %s", err.msg);
	remote_entry_encode(&e, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("two encodings of one entry");
	return 0;
}
