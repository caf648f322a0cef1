/* A configuration is read or refused with a place; what was read holds what its header promises. */
#include "workspace/workspace.h"

static void check(const struct workspace_config *c)
{
	for (size_t i = 0; i < c->caches.len; i++)
		if (!c->caches.ptr[i].type.len || !c->caches.ptr[i].url.len)
			CAIRN_BUG("a cache without a type");
	for (size_t i = 0; i < c->mirrors.len; i++)
		for (size_t k = 0; k < c->mirrors.ptr[i].locations.len; k++)
			if (!c->mirrors.ptr[i].locations.ptr[k].len)
				CAIRN_BUG("an empty mirror");
	if (!c->base.lock.len || c->base.lock.ptr[0] != '/')
		CAIRN_BUG("the lock file has no absolute path");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct workspace_config *c = NULL;
	struct cairn_err err = { 0 };

	if (workspace_config_parse(str_n((const char *)data, size), "f", "/root", &c, &err) < 0) {
		if (err.code != CAIRN_E_SYNTAX || !err.path[0] || !err.msg[0])
			CAIRN_BUG("a mistake without its place: %s", err.msg);
		return 0;
	}
	check(c);
	workspace_config_free(c);
	return 0;
}
