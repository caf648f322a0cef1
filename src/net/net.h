/* net/net.h - talking to other machines.
 *
 *	http.h          requests with retries and redirects, from any thread
 *	credentials.h   who to be at a registry: Docker's config.json and its helpers
 *	aws.h           who to be at AWS, signed requests, ECR tokens, spot notices
 *	aws_json.h      calls of its services that speak JSON
 *	s3.h            objects in a bucket
 *
 * libcurl is loaded at the first request, not at start-up: linking it would cost
 * every command 5 ms (DECISIONS 32).
 */
#ifndef CAIRN_NET_NET_H
#define CAIRN_NET_NET_H

#include "aws.h"
#include "aws_json.h"
#include "credentials.h"
#include "http.h"
#include "s3.h"

#endif
