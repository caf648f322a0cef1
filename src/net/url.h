/* net/url.h - the parts of an http or https URL (RFC 3986, as far as HTTP needs it). */
#ifndef CAIRN_NET_URL_H
#define CAIRN_NET_URL_H

#include "util/err.h"
#include "util/str.h"

struct url {
	str scheme; /* "http" or "https", as written */
	str user;   /* before '@', without it; "" mostly */
	str host;   /* "example.org", "[::1]" */
	str port;   /* digits, or "" */
	str path;   /* from the '/', or "" */
	str query;  /* with its '?', or "" */
};

/* Split. Views borrow from text; a fragment is dropped. False when it is not an http or
 * https URL with a host, or has a byte that is not printable ASCII. */
bool url_split(str text, struct url *ret);

#endif
