/* net/transport_curl.c - one exchange over libcurl.
 *
 * A handle keeps its connections, so handles are kept in a list and a request prefers
 * one that has talked to its origin before; transports may have one list together.  libcurl cannot
 * share connections between threads that run at the same time; DNS answers and TLS sessions it can,
 * and does.
 */
#include "transport_curl.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

#include "curl_api.h"
#include "util/log.h"
#include "util/num.h"

#define BUFFER_SIZE (256l << 10) /* 16 KiB, the default, costs a callback each */
#define IDLE_MAX    32u          /* handles kept */
#define MS          1000000ull   /* ns */

struct idle {
	CURL *handle;
	char *url; /* one of the origin it talked to last */
};

struct http_connections {
	pthread_mutex_t lock; /* of what follows */
	bool loaded;
	struct curl_api api; /* constant once loaded */
	CURLSH *share;
	VEC(struct idle) idle;
	pthread_mutex_t share_locks[CURL_LOCK_DATA_LAST];
};

struct curl_transport {
	struct http_transport base;
	struct http_opts opts;
	struct http_connections *connections;
	bool own; /* nobody else uses them */
};

/* One exchange while it runs. */
struct xfer {
	struct curl_transport *t;
	const struct http_request *req;
	struct http_response *r;
	struct cairn_err *err;
	CURL *handle;
	size_t header_bytes;
	uint64_t sent; /* bytes of the source given to libcurl */
	bool began;    /* the sink's begin was called */
	bool cut;      /* stopped on purpose: the rest of an error's body */
	bool gave_up;  /* the caller's guard has no time left */
	int rc;        /* failure of a callback, in *err */
	char message[CURL_ERROR_SIZE];
};

static void lock_share(CURL *h, curl_lock_data data, curl_lock_access access, void *ctx)
{
	struct http_connections *c = ctx;

	(void)h;
	(void)access;
	(void)pthread_mutex_lock(&c->share_locks[data]);
}

static void unlock_share(CURL *h, curl_lock_data data, void *ctx)
{
	struct http_connections *c = ctx;

	(void)h;
	(void)pthread_mutex_unlock(&c->share_locks[data]);
}

static int load(struct http_connections *c, struct cairn_err *err)
{
	if (c->loaded)
		return 0;
	TRY(curl_api_load(&c->api, err));
	c->share = c->api.share_init();
	if (c->share) {
		(void)c->api.share_setopt(c->share, CURLSHOPT_LOCKFUNC, lock_share);
		(void)c->api.share_setopt(c->share, CURLSHOPT_UNLOCKFUNC, unlock_share);
		(void)c->api.share_setopt(c->share, CURLSHOPT_USERDATA, c);
		(void)c->api.share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
		(void)c->api.share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	}
	c->loaded = true;
	return 0;
}

/* An idle handle, best one of this origin, or a new one. */
static int take(struct http_connections *c, const char *url, CURL **ret, struct cairn_err *err)
{
	size_t pick;
	int rc;

	*ret = NULL;
	(void)pthread_mutex_lock(&c->lock);
	rc = load(c, err);
	pick = c->idle.len;
	for (size_t i = 0; rc == 0 && i < c->idle.len; i++)
		if (pick == c->idle.len || http_same_origin(c->idle.ptr[i].url, url))
			pick = i;
	if (rc == 0 && pick < c->idle.len) {
		*ret = c->idle.ptr[pick].handle;
		free(c->idle.ptr[pick].url);
		c->idle.ptr[pick] = c->idle.ptr[--c->idle.len];
	}
	(void)pthread_mutex_unlock(&c->lock);
	TRY(rc);
	if (!*ret)
		*ret = c->api.easy_init();
	if (!*ret)
		return cairn_fail(err, CAIRN_E_SYSTEM, "libcurl has no memory");
	return 0;
}

static void give_back(struct http_connections *c, CURL *h, const char *url)
{
	bool kept;

	c->api.easy_reset(h);
	(void)pthread_mutex_lock(&c->lock);
	kept = c->idle.len < IDLE_MAX;
	if (kept)
		vec_push(&c->idle, (struct idle){ h, xstrdup(url) });
	(void)pthread_mutex_unlock(&c->lock);
	if (!kept)
		c->api.easy_cleanup(h);
}

static bool success(const struct xfer *x)
{
	return x->r->status >= 200 && x->r->status < 300;
}

/* Keep a header line. A status line begins a new answer: 1xx ones come before the real. */
static int add_header(struct xfer *x, str line)
{
	struct http_response *r = x->r;
	str name, value;

	if (str_starts(line, S("HTTP/"))) {
		http_response_drop_headers(r);
		return 0;
	}
	x->header_bytes += line.len;
	if (x->header_bytes > HTTP_HEADERS_MAX)
		return cairn_fail(x->err, CAIRN_E_SYNTAX,
		                  "the answer's headers are larger than %u bytes",
		                  HTTP_HEADERS_MAX);
	if (str_cut(line, ':', &name, &value))
		vec_push(&r->fields,
		         (struct http_field){ str_dup(str_trim(name)), str_dup(str_trim(value)) });
	return 0;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	str line = str_n(p, size * n);
	long status = 0;

	x->rc = add_header(x, str_trim(line));
	(void)x->t->connections->api.easy_getinfo(x->handle, CURLINFO_RESPONSE_CODE, &status);
	x->r->status = (int)status;
	return x->rc < 0 ? 0 : line.len;
}

static int begin(struct xfer *x)
{
	const struct http_sink *sink = x->req->sink;

	if (x->began || !sink || !success(x))
		return 0;
	x->began = true;
	return sink->begin ? sink->begin(sink->ctx, x->r, x->err) : 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	size_t len = size * n;

	if (x->req->sink && success(x)) {
		x->rc = begin(x);
		if (x->rc == 0)
			x->rc = x->req->sink->write(x->req->sink->ctx, p, len, x->err);
		return x->rc < 0 ? CURL_WRITEFUNC_ERROR : len;
	}
	strbuf_add(&x->r->body, p, len);
	if (!x->r->body.overflow)
		return len;
	if (success(x))
		x->rc = cairn_fail(x->err, CAIRN_E_SYNTAX, "the answer is larger than %zu bytes",
		                   x->r->body.max);
	else
		x->cut = true;
	return CURL_WRITEFUNC_ERROR;
}

/* The next bytes of a body that is read while it is sent. */
static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
	struct xfer *x = ctx;
	const struct http_source *s = x->req->source;
	uint64_t left = s->size - x->sent;
	size_t want = size * n < left ? size * n : (size_t)left, got = 0;

	if (want == 0)
		return 0;
	x->rc = s->read(s->ctx, x->sent, p, want, &got, x->err);
	if (x->rc < 0)
		return CURL_READFUNC_ABORT;
	x->sent += got;
	return got;
}

/* libcurl sends a body again when a kept connection turns out to be closed. */
static int on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct xfer *x = ctx;

	if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > x->req->source->size)
		return CURL_SEEKFUNC_FAIL;
	x->sent = (uint64_t)offset;
	return CURL_SEEKFUNC_OK;
}

static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct xfer *x = ctx;
	const struct http_guard *g = x->req->guard;
	const struct http_opts *o = &x->t->opts;

	(void)a;
	(void)b;
	(void)c;
	(void)d;
	x->gave_up = g && g->left(g->ctx) <= 0;
	return x->gave_up || (o->cancel && atomic_load(o->cancel)) ||
	       (x->req->sink && o->stop_reading && atomic_load(o->stop_reading));
}

/* "name: value" onto the list; a value with a line break would smuggle another header. */
static int add_field(const struct curl_api *api, struct curl_slist **list, const char *name,
                     const char *value, struct cairn_err *err)
{
	cleanup_free char *line = xasprintf("%s: %s", name, value);
	struct curl_slist *l;

	if (strpbrk(line, "\r\n"))
		return cairn_fail(err, CAIRN_E_SYNTAX, "line break in the header %s", name);
	l = api->slist_append(*list, line);
	explicit_bzero(line, strlen(line));
	if (!l)
		return cairn_fail(err, CAIRN_E_SYSTEM, "libcurl has no memory");
	*list = l;
	return 0;
}

static int make_fields(const struct curl_api *api, const struct http_request *req,
                       struct curl_slist **list, struct cairn_err *err)
{
	*list = api->slist_append(NULL, "Expect:"); /* no 100-continue round trip */
	for (size_t i = 0; i < req->n_fields; i++)
		TRY(add_field(api, list, req->fields[i].name, req->fields[i].value, err));
	if (req->authorization)
		TRY(add_field(api, list, "Authorization", req->authorization, err));
	return 0;
}

static bool has_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 ||
	       strcmp(method, "PATCH") == 0;
}

/* POST of libcurl for all methods: it sends a Content-Length and no 100-continue. */
static void set_source(struct xfer *x)
{
	const struct curl_api *api = &x->t->connections->api;

	(void)api->easy_setopt(x->handle, CURLOPT_POST, 1l);
	(void)api->easy_setopt(x->handle, CURLOPT_POSTFIELDS, NULL);
	(void)api->easy_setopt(x->handle, CURLOPT_POSTFIELDSIZE_LARGE,
	                       (curl_off_t)x->req->source->size);
	(void)api->easy_setopt(x->handle, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_SIZE);
	(void)api->easy_setopt(x->handle, CURLOPT_READFUNCTION, on_read);
	(void)api->easy_setopt(x->handle, CURLOPT_READDATA, x);
	(void)api->easy_setopt(x->handle, CURLOPT_SEEKFUNCTION, on_seek);
	(void)api->easy_setopt(x->handle, CURLOPT_SEEKDATA, x);
	(void)api->easy_setopt(x->handle, CURLOPT_CUSTOMREQUEST, x->req->method);
}

static void set_method(struct xfer *x)
{
	const struct http_request *req = x->req;
	const struct curl_api *api = &x->t->connections->api;

	if (strcmp(req->method, "HEAD") == 0) {
		(void)api->easy_setopt(x->handle, CURLOPT_NOBODY, 1l);
	} else if (req->source) {
		set_source(x);
	} else if (has_body(req->method)) {
		(void)api->easy_setopt(x->handle, CURLOPT_POST, 1l);
		(void)api->easy_setopt(x->handle, CURLOPT_POSTFIELDS,
		                       req->body.ptr ? req->body.ptr : "");
		(void)api->easy_setopt(x->handle, CURLOPT_POSTFIELDSIZE_LARGE,
		                       (curl_off_t)req->body.len);
		(void)api->easy_setopt(x->handle, CURLOPT_CUSTOMREQUEST, req->method);
	} else if (strcmp(req->method, "GET") != 0) {
		(void)api->easy_setopt(x->handle, CURLOPT_CUSTOMREQUEST, req->method);
	}
}

static void set_tls(struct xfer *x)
{
	static const struct http_tls none;
	const struct curl_api *api = &x->t->connections->api;
	const struct http_tls *tls = x->req->tls ? x->req->tls : &none;
	const char *ca_file = tls->ca_file ? tls->ca_file : x->t->opts.ca_file;

	if (ca_file)
		(void)api->easy_setopt(x->handle, CURLOPT_CAINFO, ca_file);
	if (tls->cert_file) {
		(void)api->easy_setopt(x->handle, CURLOPT_SSLCERT, tls->cert_file);
		(void)api->easy_setopt(x->handle, CURLOPT_SSLKEY,
		                       tls->key_file ? tls->key_file : tls->cert_file);
	}
	if (tls->skip_verify) {
		(void)api->easy_setopt(x->handle, CURLOPT_SSL_VERIFYPEER, 0l);
		(void)api->easy_setopt(x->handle, CURLOPT_SSL_VERIFYHOST, 0l);
	}
}

/* Those of the caller's guard, where it waits less long. */
static void set_guard(struct xfer *x)
{
	const struct curl_api *api = &x->t->connections->api;
	const struct http_guard *g = x->req->guard;
	uint64_t most = x->t->opts.connect_timeout_ns;
	int64_t left = g ? g->left(g->ctx) : INT64_MAX;

	if (left < (int64_t)most)
		most = left > (int64_t)MS ? (uint64_t)left : MS;
	(void)api->easy_setopt(x->handle, CURLOPT_CONNECTTIMEOUT_MS, (long)(most / MS));
	if (g) /* a name that is still being looked up is not waited for */
		(void)api->easy_setopt(x->handle, CURLOPT_QUICK_EXIT, 1l);
}

static void set_options(struct xfer *x, struct curl_slist *fields)
{
	const struct curl_api *api = &x->t->connections->api;
	const struct http_opts *o = &x->t->opts;
	CURL *h = x->handle;

	(void)api->easy_setopt(h, CURLOPT_URL, x->req->url);
	(void)api->easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	(void)api->easy_setopt(h, CURLOPT_HTTPHEADER, fields);
	(void)api->easy_setopt(h, CURLOPT_USERAGENT, "cairn/" CAIRN_VERSION);
	(void)api->easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	(void)api->easy_setopt(h, CURLOPT_NOSIGNAL, 1l);
	(void)api->easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1l);
	(void)api->easy_setopt(h, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1l);
	(void)api->easy_setopt(h, CURLOPT_BUFFERSIZE, BUFFER_SIZE);
	(void)api->easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1l);
	(void)api->easy_setopt(h, CURLOPT_LOW_SPEED_TIME,
	                       (long)((o->stall_timeout_ns + 999 * MS) / (1000 * MS)));
	(void)api->easy_setopt(h, CURLOPT_ERRORBUFFER, x->message);
	(void)api->easy_setopt(h, CURLOPT_HEADERFUNCTION, on_header);
	(void)api->easy_setopt(h, CURLOPT_HEADERDATA, x);
	(void)api->easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	(void)api->easy_setopt(h, CURLOPT_WRITEDATA, x);
	(void)api->easy_setopt(h, CURLOPT_NOPROGRESS, 0l);
	(void)api->easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	(void)api->easy_setopt(h, CURLOPT_XFERINFODATA, x);
	if (x->t->connections->share)
		(void)api->easy_setopt(h, CURLOPT_SHARE, x->t->connections->share);
	if (x->req->direct)
		(void)api->easy_setopt(h, CURLOPT_NOPROXY, "*");
	set_guard(x);
	set_tls(x);
}

/* What a failure of libcurl means to us; what is not listed is CAIRN_E_SYSTEM.
 * sys EHOSTUNREACH: no connection was made, trying often will not help. */
static const struct {
	CURLcode curl;
	enum cairn_code code;
	int sys;
} failures[] = {
	{ CURLE_COULDNT_RESOLVE_PROXY, CAIRN_E_TRANSIENT, EHOSTUNREACH },
	{ CURLE_COULDNT_RESOLVE_HOST, CAIRN_E_TRANSIENT, EHOSTUNREACH },
	{ CURLE_COULDNT_CONNECT, CAIRN_E_TRANSIENT, EHOSTUNREACH },
	{ CURLE_SSL_CONNECT_ERROR, CAIRN_E_TRANSIENT, EHOSTUNREACH },
	{ CURLE_WEIRD_SERVER_REPLY, CAIRN_E_TRANSIENT, 0 },
	{ CURLE_PARTIAL_FILE, CAIRN_E_TRANSIENT, 0 },
	{ CURLE_OPERATION_TIMEDOUT, CAIRN_E_TRANSIENT, ETIMEDOUT },
	{ CURLE_GOT_NOTHING, CAIRN_E_TRANSIENT, 0 },
	{ CURLE_SEND_ERROR, CAIRN_E_TRANSIENT, 0 },
	{ CURLE_RECV_ERROR, CAIRN_E_TRANSIENT, 0 },
	{ CURLE_ABORTED_BY_CALLBACK, CAIRN_E_CANCELLED, 0 },
	{ CURLE_PEER_FAILED_VERIFICATION, CAIRN_E_DENIED, 0 },
	{ CURLE_SSL_CACERT_BADFILE, CAIRN_E_DENIED, 0 },
	{ CURLE_URL_MALFORMAT, CAIRN_E_SYNTAX, 0 },
	{ CURLE_UNSUPPORTED_PROTOCOL, CAIRN_E_SYNTAX, 0 },
};

static int failed(const struct xfer *x, CURLcode c)
{
	const char *text = x->message[0] ? x->message : x->t->connections->api.easy_strerror(c);
	char url[HTTP_URL_MAX];
	enum cairn_code code = CAIRN_E_SYSTEM;
	int sys = 0;

	if (x->rc < 0)
		return x->rc;
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++)
		if (failures[i].curl == c) {
			code = failures[i].code;
			sys = failures[i].sys;
		}
	if (x->gave_up) {
		code = CAIRN_E_TRANSIENT;
		text = "no answer";
	}
	(void)http_url_public(x->req->url, url);
	(void)cairn_fail(x->err, code, "%s %.200s: %s", x->req->method, url,
	                 code == CAIRN_E_CANCELLED ? "cancelled" : text);
	x->err->sys = sys;
	return code;
}

static int run(struct xfer *x)
{
	struct curl_slist *fields = NULL;
	char url[HTTP_URL_MAX];
	CURLcode c;
	int rc;

	rc = make_fields(&x->t->connections->api, x->req, &fields, x->err);
	if (rc == 0) {
		set_options(x, fields);
		set_method(x);
		c = x->t->connections->api.easy_perform(x->handle);
		log_debug("%s %s: %d%s%s", x->req->method, http_url_public(x->req->url, url),
		          x->r->status, c ? " " : "",
		          c ? x->t->connections->api.easy_strerror(c) : "");
		if (c != CURLE_OK && !x->cut)
			rc = failed(x, c);
		else
			rc = begin(x); /* an empty body made no call */
	}
	x->t->connections->api.slist_free_all(fields);
	return rc;
}

static int exchange(struct http_transport *base, const struct http_request *req,
                    struct http_response *r, struct cairn_err *err)
{
	struct curl_transport *t = (struct curl_transport *)base;
	struct xfer x = { .t = t, .req = req, .r = r, .err = err };
	int rc;

	TRY(take(t->connections, req->url, &x.handle, err));
	rc = run(&x);
	give_back(t->connections, x.handle, req->url);
	return rc;
}

static void transport_free(struct http_transport *base)
{
	struct curl_transport *t = (struct curl_transport *)base;

	if (t->own)
		http_connections_free(t->connections);
	free(t);
}

struct http_transport *transport_curl_new(const struct http_opts *opts)
{
	struct curl_transport *t = xcalloc(1, sizeof(*t));

	t->base = (struct http_transport){ exchange, transport_free };
	t->opts = *opts;
	t->own = !opts->connections;
	t->connections = t->own ? http_connections_new() : opts->connections;
	return &t->base;
}

struct http_connections *http_connections_new(void)
{
	struct http_connections *c = xcalloc(1, sizeof(*c));

	(void)pthread_mutex_init(&c->lock, NULL);
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		(void)pthread_mutex_init(&c->share_locks[i], NULL);
	return c;
}

void http_connections_free(struct http_connections *c)
{
	if (!c)
		return;
	vec_foreach (i, &c->idle) {
		c->api.easy_cleanup(i->handle);
		free(i->url);
	}
	vec_free(&c->idle);
	if (c->share)
		(void)c->api.share_cleanup(c->share);
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		(void)pthread_mutex_destroy(&c->share_locks[i]);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}
