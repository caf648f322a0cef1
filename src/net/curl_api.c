#include "curl_api.h"

#include <dlfcn.h>

#include "util/mem.h"

static const char *const libraries[] = { "libcurl.so.4", "libcurl-gnutls.so.4" };

#define SYMBOL(name)                                           \
	{                                                      \
		"curl_" #name, offsetof(struct curl_api, name) \
	}

static const struct {
	const char *name;
	size_t offset; /* of the pointer in struct curl_api */
} symbols[] = {
	SYMBOL(global_init),   SYMBOL(easy_init),      SYMBOL(easy_reset),   SYMBOL(easy_cleanup),
	SYMBOL(easy_setopt),   SYMBOL(easy_perform),   SYMBOL(easy_getinfo), SYMBOL(easy_strerror),
	SYMBOL(slist_append),  SYMBOL(slist_free_all), SYMBOL(share_init),   SYMBOL(share_setopt),
	SYMBOL(share_cleanup),
};

int curl_api_load(struct curl_api *ret, struct cairn_err *err)
{
	struct curl_api api;
	void *lib = NULL;

	for (size_t i = 0; !lib && i < ARRAY_SIZE(libraries); i++)
		lib = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "HTTP needs the library %s; install the package libcurl4",
		                  libraries[0]);
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *p = dlsym(lib, symbols[i].name);

		if (!p)
			return cairn_fail(err, CAIRN_E_UNSUPPORTED,
			                  "the installed libcurl has no %s; install a newer one",
			                  symbols[i].name);
		memcpy((char *)&api + symbols[i].offset, &p, sizeof(p));
	}
	if (api.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED, "libcurl cannot be initialised");
	*ret = api;
	return 0;
}
