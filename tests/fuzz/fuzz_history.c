/* A line of the history that is read is written so that it reads the same. */
#include "history/history_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *a = arena_new();
	cleanup_strbuf struct strbuf first, second;
	struct history_build b, again;
	struct cairn_err err = { 0 };

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (history_decode(str_n((const char *)data, size), a, &b, &err) < 0)
		return 0;
	history_encode(&b, &first);
	if (first.len > HISTORY_LINE_MAX)
		return 0;
	if (history_decode(str_trim(strbuf_view(&first)), a, &again, &err) < 0)
		CAIRN_BUG("what was written is refused: %s", err.msg);
	history_encode(&again, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("what was written reads differently");
	return 0;
}
