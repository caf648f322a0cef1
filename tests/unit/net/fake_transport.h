/* tests/unit/net/fake_transport.h - a network that follows a script.
 *
 * Each request must be the next one of the script; its answer is delivered as a real
 * transport would, to the sink in small pieces.
 */
#ifndef CAIRN_TESTS_FAKE_TRANSPORT_H
#define CAIRN_TESTS_FAKE_TRANSPORT_H

#include "net/net.h"

struct fake_step {
	const char *method, *url; /* what must be asked for */
	const char
		*authorization; /* what must be sent, or how it begins before a '*'; NULL = none */
	const char *range;      /* value of the Range header; NULL = none */
	const char *request_body; /* NULL = not looked at */
	const char *sends;        /* fields that must be there: "Name: value\nName: value" */
	int status;               /* the answer; 0 = the connection cannot be made */
	const char *headers;      /* "Name: value\nName: value"; NULL = none */
	str body;
	bool cut; /* the connection breaks after the body: CAIRN_E_TRANSIENT */
};

/* Steps are borrowed. Freed by the client. */
struct http_transport *fake_transport_new(const struct fake_step *steps, size_t n);

/* A client over such a script that waits no time between attempts. */
struct http_client *fake_client_new(const struct fake_step *steps, size_t n);

/* Steps played so far by the last transport made. */
size_t fake_played(void);

#endif
