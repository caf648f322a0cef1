/* net/transport_curl.h - the transport that cairn uses, over libcurl. */
#ifndef CAIRN_NET_TRANSPORT_CURL_H
#define CAIRN_NET_TRANSPORT_CURL_H

#include "http.h"

/* opts is copied; what it points to is borrowed. Never fails, see curl_api.h. */
struct http_transport *transport_curl_new(const struct http_opts *opts);

#endif
