/* net/http.h - HTTP requests.
 *
 * A client is shared by all threads: each call of http_send() blocks its thread and
 * uses a connection of its own, kept open for the next call.  Transfers run in
 * parallel by running in several threads (util/pool.h).
 *
 * Retries happen here and nowhere else.  A request is tried again, with exponential
 * back-off and jitter, when the connection fails or the answer is 429, 500, 502, 503
 * or 504 (429 and 503 after their Retry-After) - unless its sink has already got bytes:
 * then the caller decides where to go on (http_retry_wait()).
 *
 * Redirects (GET and HEAD, at most 10) are followed here; Authorization is sent only
 * to the origin (scheme, host, port) that the request named, and https never leads to http.
 *
 * Secrets: URLs in errors and in the debug log have no user part and no query.
 */
#ifndef CAIRN_NET_HTTP_H
#define CAIRN_NET_HTTP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "util/err.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define HTTP_URL_MAX     8192u        /* longest URL, with its NUL */
#define HTTP_HEADERS_MAX (256u << 10) /* all header lines of one answer */
#define HTTP_ERROR_MAX   (64u << 10)  /* body of an answer that is not 2xx; the rest is dropped */

struct http_field {
	const char *name, *value;
};

struct http_response {
	int status;                    /* 100..599 */
	VEC(struct http_field) fields; /* owned; in order of arrival */
	struct strbuf body;            /* what was not sent to a sink */
	char url[HTTP_URL_MAX];        /* where the answer came from, after redirects */
};

void http_response_init(struct http_response *r);
void http_response_done(struct http_response *r);
#define cleanup_http_response __attribute__((cleanup(http_response_done)))

/* Forget the headers: a transport met the next status line (1xx answers precede the real one). */
void http_response_drop_headers(struct http_response *r);

/* Value of the first header `name` (any case), or NULL. Borrowed from r. */
const char *http_header(const struct http_response *r, const char *name);

/* Where the body of a 2xx answer goes while it arrives, in the calling thread. */
struct http_sink {
	/* Once, before the first write: status and headers are known. NULL is fine. */
	int (*begin)(void *ctx, const struct http_response *r, struct cairn_err *err);
	/* A failure ends the transfer and is what http_send() returns. */
	int (*write)(void *ctx, const void *p, size_t n, struct cairn_err *err);
	void *ctx;
};

/* A body that is not held in memory: read while it is sent, and again from its start when the
 * request is tried again. */
struct http_source {
	uint64_t size; /* bytes of the body; all of them are sent */
	/* Up to n (> 0) bytes at `offset` of the body into p; *ret_n > 0 when offset < size. In the
	 * thread that called http_send(). A failure ends the transfer and is what it returns. */
	int (*read)(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
	            struct cairn_err *err);
	void *ctx;
};

/* Part of a file as a body; pread() alone is used, so several may share a descriptor. */
struct http_file {
	int fd;          /* borrowed */
	uint64_t offset; /* where in the file the body begins */
};
/* f is borrowed as long as the source is used. A file that ends before `size` bytes is
 * CAIRN_E_SYSTEM. */
struct http_source http_file_source(struct http_file *f, uint64_t size);

/* Whom to believe at the other end, and who to be, where it is not what http_opts says. */
struct http_tls {
	const char *ca_file;   /* PEM file of authorities; NULL = http_opts.ca_file */
	const char *cert_file; /* PEM file of our own certificate, or NULL */
	const char *key_file;  /* of its key; NULL = it is in cert_file */
	bool skip_verify;      /* any certificate will do */
};

/* What a caller can stand. A guard holds for everything that its thread sends with a client while
 * it is in force: requests of the protocols between here and there, tokens, credentials. */
struct http_guard {
	/* How much longer the caller waits, ns; when it is 0 or less, requests end within a second
	 * with CAIRN_E_TRANSIENT and are not tried again. Asked often. */
	int64_t (*left)(void *ctx);
	/* The other end is there: it has answered with a status that is not one to come again for
	 * (`answered`), or bytes of a body have moved. Called often. */
	void (*heard)(void *ctx, bool answered);
	void *ctx;
	/* Private: */
	pthread_t thread;
	struct http_guard *next;
};

struct http_request {
	const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
	const char *url;
	const struct http_field *fields; /* n_fields of them, without Authorization */
	size_t n_fields;
	const char *authorization;        /* value of the Authorization header, or NULL; a secret */
	str body;                         /* sent with POST, PUT and PATCH, also when empty */
	const struct http_source *source; /* sent instead of body; NULL: body */
	const struct http_sink *sink;     /* NULL: the body is collected */
	size_t max_body;                  /* most bytes to collect; more is CAIRN_E_SYNTAX */
	const struct http_tls *tls; /* for this origin, not where redirects lead; NULL: none */
	/* One try: what the server has got of the body decides how to go on, and the caller knows
	 * to find that out (http_retry_wait()). */
	bool once;
	bool keep_redirects; /* a 3xx is the answer: a signature is for one host */
	bool direct;         /* never through a proxy: addresses that mean this machine */
	/* http_send() sets it: the one in force, or NULL. For transports. */
	const struct http_guard *guard;
};

/* The seam to the network: one exchange, without redirects or retries. A test puts its
 * own here. Must be callable from several threads at once. */
struct http_transport {
	/* Fills `r` (initialised, empty). Fails with CAIRN_E_TRANSIENT when the connection could
	 * not be made (err->sys is EHOSTUNREACH; tried 3 times at most) or broke or the guard has
	 * no time left, CAIRN_E_DENIED
	 * when the certificate is not trusted, CAIRN_E_CANCELLED, CAIRN_E_UNSUPPORTED when libcurl
	 * is missing. */
	int (*exchange)(struct http_transport *t, const struct http_request *req,
	                struct http_response *r, struct cairn_err *err);
	void (*free)(struct http_transport *t);
};

/* Bytes of bodies that moved, of all answers and all attempts. */
struct http_traffic {
	atomic_ullong received, sent;
};

/* Connections that wait for their next request. Clients that talk to the same servers share them:
 * each connection that need not be made spares a round trip, or three with TLS. */
struct http_connections;

struct http_connections *http_connections_new(void);
void http_connections_free(struct http_connections *c); /* after its clients; NULL is fine */

struct http_opts {
	struct http_transport *transport; /* owned by the client; NULL = libcurl */
	struct http_connections
		*connections;    /* of libcurl; borrowed; NULL = of this client alone */
	unsigned attempts;       /* tries of one request in all, >= 1 */
	uint64_t backoff_ns;     /* about the first wait; doubles each time */
	uint64_t backoff_max_ns; /* longest wait, also for Retry-After */
	uint64_t connect_timeout_ns;
	uint64_t stall_timeout_ns; /* give up a transfer that moves nothing for so long */
	const char *ca_file;       /* PEM file of authorities; NULL = the system's; borrowed */
	const atomic_bool
		*cancel; /* becomes true: calls end soon with CAIRN_E_CANCELLED; may be NULL */
	/* The same for requests with a sink alone: what is on its way to us is not wanted any more,
	 * what is sent goes on. May be NULL. */
	const atomic_bool *stop_reading;
	struct http_traffic *traffic; /* counted here; borrowed; may be NULL */
};
#define HTTP_OPTS_INIT                                                                       \
	{                                                                                    \
		.attempts = 5, .backoff_ns = 500000000ull, .backoff_max_ns = 30000000000ull, \
		.connect_timeout_ns = 15000000000ull, .stall_timeout_ns = 60000000000ull     \
	}

struct http_client;

/* Never fails: libcurl is looked for at the first request. */
struct http_client *http_client_new(const struct http_opts *opts);
void http_client_free(struct http_client *c); /* no call may be running; NULL is fine */
DEFINE_CLEANUP(struct http_client *, http_client_free);
#define cleanup_http_client __attribute__((cleanup(http_client_free_p_)))

/* From here to the end the calling thread sends under this guard, which is borrowed; one within
 * another stands in for it. */
void http_guard_begin(struct http_client *c, struct http_guard *g);
void http_guard_end(struct http_client *c, struct http_guard *g);

/* The calling thread's guard, as one that another thread may begin: its functions are then called
 * from both. All NULL when none is in force: to be begun and ended like others. */
struct http_guard http_guard_copy(struct http_client *c);

/* Send a request and read its answer, through redirects and retries. An answer of any
 * status is success: the caller looks at r->status. r must be initialised; it is
 * emptied first.
 *
 * Fails as http_transport.exchange does, after the last attempt; with the sink's error;
 * with CAIRN_E_SYNTAX for an answer that is too large or a redirect that makes no sense. */
int http_send(struct http_client *c, const struct http_request *req, struct http_response *r,
              struct cairn_err *err);

/* Counts attempts of something larger than a request (a blob that is resumed). */
struct http_retry {
	unsigned used;
	bool reading; /* into a sink: waits end with http_opts.stop_reading */
};

/* Wait before the next attempt. `r` is the answer that said to come again, or NULL after
 * a failure in *err. Returns err's failure unchanged when the attempts are used up (with
 * r: CAIRN_E_TRANSIENT) or the thread's guard has no time left, CAIRN_E_CANCELLED when cancelled
 * while waiting. */
int http_retry_wait(struct http_client *c, struct http_retry *retry, const struct http_response *r,
                    struct cairn_err *err);

/* Is this a status after which the same request may succeed? */
bool http_status_transient(int status);

/* Append `s` percent-encoded for a query value. */
void http_escape(struct strbuf *out, str s);

/* The URL without user, query and fragment, for messages. Returns buf. */
const char *http_url_public(const char *url, char buf[HTTP_URL_MAX]);

/* Do two URLs have the same scheme, host and port? */
bool http_same_origin(const char *a, const char *b);

/* What `location` means on a page at `base`. Fails with CAIRN_E_SYNTAX when the result is
 * not an http or https URL or is too long. */
int http_url_join(const char *base, const char *location, char ret[HTTP_URL_MAX],
                  struct cairn_err *err);

#endif
