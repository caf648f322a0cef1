/* A lock file that is read is written so that it reads the same. */
#include "workspace/workspace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_base_lock struct base_lock *l = NULL, *again = NULL;
	cleanup_strbuf struct strbuf first, second;
	struct cairn_err err = { 0 };

	strbuf_init(&first, SIZE_MAX);
	strbuf_init(&second, SIZE_MAX);
	if (base_lock_parse(str_n((const char *)data, size), "f", &l, &err) < 0)
		return 0;
	base_lock_encode(l, &first);
	if (base_lock_parse(strbuf_view(&first), "f", &again, &err) < 0)
		CAIRN_BUG("what was written is refused: %s", err.msg);
	base_lock_encode(again, &second);
	if (!str_eq(strbuf_view(&first), strbuf_view(&second)))
		CAIRN_BUG("what was written reads differently");
	return 0;
}
