/* WWW-Authenticate of a hostile registry. */
#include "registry/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_arena struct arena *a = arena_new();
	struct auth_challenge c;
	struct cairn_err err;

	if (auth_header_parse(a, str_n((const char *)data, size), &c, &err) == 0 &&
	    (c.realm.len > size || c.service.len > size || c.scope.len > size ||
	     (c.scheme == AUTH_BEARER && c.realm.len == 0)))
		CAIRN_BUG("more came out than went in");
	return 0;
}
