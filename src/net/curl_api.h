/* net/curl_api.h - libcurl, loaded when it is first needed (DECISIONS 32). */
#ifndef CAIRN_NET_CURL_API_H
#define CAIRN_NET_CURL_API_H

#include <curl/curl.h>

#include "util/err.h"

/* The functions that are used, as libcurl declares them. */
struct curl_api {
	__typeof__(curl_global_init) *global_init;
	__typeof__(curl_easy_init) *easy_init;
	__typeof__(curl_easy_reset) *easy_reset;
	__typeof__(curl_easy_cleanup) *easy_cleanup;
	__typeof__(curl_easy_setopt) *easy_setopt;
	__typeof__(curl_easy_perform) *easy_perform;
	__typeof__(curl_easy_getinfo) *easy_getinfo;
	__typeof__(curl_easy_strerror) *easy_strerror;
	__typeof__(curl_slist_append) *slist_append;
	__typeof__(curl_slist_free_all) *slist_free_all;
	__typeof__(curl_share_init) *share_init;
	__typeof__(curl_share_setopt) *share_setopt;
	__typeof__(curl_share_cleanup) *share_cleanup;
};

/* Load and initialise. The library stays loaded until the process ends. Not for two
 * threads at once. Fails with CAIRN_E_UNSUPPORTED, naming the package. */
int curl_api_load(struct curl_api *ret, struct cairn_err *err);

#endif
