/* tests/unit/net/fake_server.h - an HTTP server on a loopback port that misbehaves by script.
 *
 * A thread answers connections one after the other (one exchange each unless keep is
 * set) with the bytes it was given, whatever is asked.  What it was sent is kept.
 */
#ifndef CAIRN_TESTS_FAKE_SERVER_H
#define CAIRN_TESTS_FAKE_SERVER_H

#include <stdbool.h>

#include "util/str.h"

enum fake_end {
	FAKE_CLOSE, /* an orderly end of the connection */
	FAKE_RESET, /* RST, as from a crashed proxy */
	FAKE_STALL, /* nothing more comes; the connection stays open */
	FAKE_KEEP,  /* the next answer goes over the same connection */
};

struct fake_answer {
	const char *bytes; /* status line, headers, body */
	enum fake_end end;
};

struct fake_server;

/* Answers are borrowed; connections after the last are refused. */
struct fake_server *fake_server_new(const struct fake_answer *answers, size_t n);
void fake_server_free(struct fake_server *s);
const char *fake_server_url(const struct fake_server *s); /* "http://127.0.0.1:PORT" */

/* Heads of the requests so far, one after the other. After fake_server_stop(). */
void fake_server_stop(struct fake_server *s);
const char *fake_server_requests(const struct fake_server *s);

#endif
