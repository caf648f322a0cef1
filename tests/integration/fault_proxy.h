/* tests/integration/fault_proxy.h - a TCP proxy that breaks connections on purpose.
 *
 * Imitates what happens between a runner and a registry: a load balancer that resets a
 * long transfer, a proxy that ends it early, memory that flips a bit.  Connection number
 * i (from 0) gets fault i; later ones pass untouched.
 */
#ifndef CAIRN_TESTS_FAULT_PROXY_H
#define CAIRN_TESTS_FAULT_PROXY_H

#include <stddef.h>
#include <stdint.h>

enum fault_kind {
	FAULT_NONE,
	FAULT_RESET, /* RST */
	FAULT_CLOSE, /* FIN in the middle of the body */
	FAULT_FLIP,  /* one byte is changed, the rest passes */
};

struct fault {
	enum fault_kind kind;
	uint64_t after; /* bytes from the server on this connection before it happens */
};

struct fault_proxy;

/* Proxy from a free loopback port to `port` on loopback. Faults are borrowed. */
struct fault_proxy *fault_proxy_new(int port, const struct fault *faults, size_t n);
int fault_proxy_port(const struct fault_proxy *p);
size_t fault_proxy_connections(struct fault_proxy *p); /* accepted so far */
void fault_proxy_free(struct fault_proxy *p);

#endif
