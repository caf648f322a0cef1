/* net/net.h - talking to other machines.
 *
 *	http.h          requests with retries and redirects, from any thread
 *	credentials.h   who to be at a registry: Docker's config.json and its helpers
 *
 * libcurl is loaded at the first request, not at start-up: linking it would cost
 * every command 5 ms (DECISIONS 32).
 */
#ifndef CAIRN_NET_NET_H
#define CAIRN_NET_NET_H

#include "credentials.h"
#include "http.h"

#endif
