/* net/http.c - redirects and retries, over a transport. */
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "transport_curl.h"
#include "url.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/num.h"

#define MAX_REDIRECTS 10
#define WAIT_SLICE_NS (CLOCK_SEC / 20) /* how soon a cancelled wait ends */

/* Where no connection could be made, more tries only delay the message. */
#define UNREACHABLE_ATTEMPTS 3u

struct http_client {
	struct http_opts opts;
	struct http_transport *transport; /* owned */
	pthread_mutex_t lock;             /* of guards */
	struct http_guard *guards;        /* in force; a thread's inner ones come first */
};

void http_response_init(struct http_response *r)
{
	memset(r, 0, sizeof(*r));
	strbuf_init(&r->body, 0);
}

void http_response_drop_headers(struct http_response *r)
{
	vec_foreach (f, &r->fields) {
		free((void *)(uintptr_t)f->name);
		free((void *)(uintptr_t)f->value);
	}
	r->fields.len = 0;
}

void http_response_done(struct http_response *r)
{
	http_response_drop_headers(r);
	vec_free(&r->fields);
	if (r->body.cap)
		explicit_bzero(r->body.ptr, r->body.cap); /* may be a token */
	strbuf_done(&r->body);
	r->status = 0;
}

const char *http_header(const struct http_response *r, const char *name)
{
	for (size_t i = 0; i < r->fields.len; i++)
		if (str_eq_nocase(str_of(r->fields.ptr[i].name), str_of(name)))
			return r->fields.ptr[i].value;
	return NULL;
}

static int read_file(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
                     struct cairn_err *err)
{
	const struct http_file *f = ctx;
	ssize_t got;

	do
		got = pread(f->fd, p, n, (off_t)(f->offset + offset));
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return cairn_fail_sys(err, "read what is to be sent");
	if (got == 0)
		return cairn_fail(err, CAIRN_E_SYSTEM,
		                  "what is to be sent became shorter while it was sent");
	*ret_n = (size_t)got;
	return 0;
}

struct http_source http_file_source(struct http_file *f, uint64_t size)
{
	return (struct http_source){ .size = size, .read = read_file, .ctx = f };
}

struct http_client *http_client_new(const struct http_opts *opts)
{
	struct http_client *c = xcalloc(1, sizeof(*c));

	c->opts = *opts;
	c->transport = opts->transport ? opts->transport : transport_curl_new(opts);
	(void)pthread_mutex_init(&c->lock, NULL);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (!c)
		return;
	c->transport->free(c->transport);
	(void)pthread_mutex_destroy(&c->lock);
	free(c);
}

/* --- guards --------------------------------------------------------------------- */

void http_guard_begin(struct http_client *c, struct http_guard *g)
{
	if (!g->left)
		return;
	g->thread = pthread_self();
	(void)pthread_mutex_lock(&c->lock);
	g->next = c->guards;
	c->guards = g;
	(void)pthread_mutex_unlock(&c->lock);
}

void http_guard_end(struct http_client *c, struct http_guard *g)
{
	struct http_guard **at = &c->guards;

	if (!g->left)
		return;
	(void)pthread_mutex_lock(&c->lock);
	while (*at != g)
		at = &(*at)->next;
	*at = g->next;
	(void)pthread_mutex_unlock(&c->lock);
}

static const struct http_guard *guard_of(struct http_client *c)
{
	const struct http_guard *g;

	(void)pthread_mutex_lock(&c->lock);
	for (g = c->guards; g && !pthread_equal(g->thread, pthread_self());)
		g = g->next;
	(void)pthread_mutex_unlock(&c->lock);
	return g; /* only this thread ends it */
}

struct http_guard http_guard_copy(struct http_client *c)
{
	const struct http_guard *g = guard_of(c);

	return g ? (struct http_guard){ .left = g->left, .heard = g->heard, .ctx = g->ctx }
	         : (struct http_guard){ 0 };
}

static bool has_time(const struct http_guard *g)
{
	return !g || g->left(g->ctx) > 0;
}

static void heard(const struct http_guard *g, bool answered)
{
	if (g)
		g->heard(g->ctx, answered);
}

/* --- retries -------------------------------------------------------------------- */

bool http_status_transient(int status)
{
	return status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

static bool is_set(const atomic_bool *flag)
{
	return flag && atomic_load(flag);
}

static int check_cancel(const struct http_client *c, bool reading, struct cairn_err *err)
{
	if (is_set(c->opts.cancel) || (reading && is_set(c->opts.stop_reading)))
		return cairn_fail(err, CAIRN_E_CANCELLED, "cancelled");
	return 0;
}

/* Retry-After as ns from now: seconds, or a date; 0 when absent or senseless. */
static uint64_t retry_after(const struct http_response *r, uint64_t max)
{
	const char *s = r ? http_header(r, "Retry-After") : NULL;
	struct tm tm = { 0 };
	struct cairn_err err;
	uint64_t secs = 0;
	int64_t at;

	if (!s)
		return 0;
	if (num_u64(str_of(s), UINT32_MAX, &secs, &err) == 0)
		return secs < max / CLOCK_SEC ? secs * (uint64_t)CLOCK_SEC : max;
	if (!strptime(s, "%a, %d %b %Y %H:%M:%S GMT", &tm))
		return 0;
	at = (int64_t)timegm(&tm) - clock_now() / CLOCK_SEC;
	if (at <= 0)
		return 0;
	return (uint64_t)at < max / CLOCK_SEC ? (uint64_t)at * (uint64_t)CLOCK_SEC : max;
}

/* Half to all of backoff * 2^used: clients that failed together do not come back together. */
static uint64_t backoff(const struct http_opts *o, unsigned used)
{
	uint64_t wait = o->backoff_ns << (used < 16 ? used : 16), random = 0;

	if (wait > o->backoff_max_ns)
		wait = o->backoff_max_ns;
	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
		random = (uint64_t)clock_monotonic();
	return wait / 2 + random % (wait / 2 + 1);
}

int http_retry_wait(struct http_client *c, struct http_retry *retry, const struct http_response *r,
                    struct cairn_err *err)
{
	const struct http_guard *guard = guard_of(c);
	unsigned most = c->opts.attempts;
	uint64_t wait, asked;
	char url[HTTP_URL_MAX];

	if (!has_time(guard))
		most = retry->used + 1;
	if (!r && err->sys == EHOSTUNREACH && most > UNREACHABLE_ATTEMPTS)
		most = UNREACHABLE_ATTEMPTS;
	if (retry->used + 1 >= most) {
		if (r)
			return cairn_fail(err, CAIRN_E_TRANSIENT, "%.200s answered %d, %u times",
			                  http_url_public(r->url, url), r->status, most);
		return err->code;
	}
	wait = backoff(&c->opts, retry->used++);
	asked = retry_after(r, c->opts.backoff_max_ns);
	if (asked > wait)
		wait = asked;
	log_debug("try %u of %u in %.2f s", retry->used + 1, most, (double)wait / CLOCK_SEC);
	for (int64_t end = clock_monotonic() + (int64_t)wait; clock_monotonic() < end;) {
		int64_t left = end - clock_monotonic();
		struct timespec ts = { 0 };

		TRY(check_cancel(c, retry->reading, err));
		if (!has_time(guard))
			break; /* the next attempt ends at once and says so */
		ts.tv_nsec = (long)(left < WAIT_SLICE_NS ? left : WAIT_SLICE_NS);
		if (ts.tv_nsec > 0)
			(void)nanosleep(&ts, NULL);
	}
	return check_cancel(c, retry->reading, err);
}

/* Counts what reached the caller's sink: from then on a retry is the caller's matter. */
struct counter {
	const struct http_sink *sink;
	const struct http_source *source;
	const struct http_guard *guard;
	struct http_traffic *traffic;
	bool delivered;
};

static void count_received(struct http_traffic *t, size_t n)
{
	if (t)
		(void)atomic_fetch_add_explicit(&t->received, n, memory_order_relaxed);
}

static void count_sent(struct http_traffic *t, size_t n)
{
	if (t)
		(void)atomic_fetch_add_explicit(&t->sent, n, memory_order_relaxed);
}

static int count_begin(void *ctx, const struct http_response *r, struct cairn_err *err)
{
	const struct counter *k = ctx;

	return k->sink->begin ? k->sink->begin(k->sink->ctx, r, err) : 0;
}

static int count_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct counter *k = ctx;
	int rc;

	if (n)
		k->delivered = true;
	count_received(k->traffic, n);
	rc = k->sink->write(k->sink->ctx, p, n, err);
	heard(k->guard, true); /* after it: a slow sink is not the other end's fault */
	return rc;
}

static int count_read(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
                      struct cairn_err *err)
{
	struct counter *k = ctx;
	int rc = k->source->read(k->source->ctx, offset, p, n, ret_n, err);

	if (rc == 0)
		count_sent(k->traffic, *ret_n);
	heard(k->guard, false);
	return rc;
}

static bool is_redirect(const struct http_request *req, const struct http_response *r)
{
	static const int codes[] = { 301, 302, 303, 307, 308 };

	if (req->keep_redirects ||
	    (strcmp(req->method, "GET") != 0 && strcmp(req->method, "HEAD") != 0))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
		if (r->status == codes[i])
			return http_header(r, "Location") != NULL;
	return false;
}

static void reset_response(struct http_response *r, const char *url, size_t max_body)
{
	http_response_done(r);
	strbuf_init(&r->body, max_body > HTTP_ERROR_MAX ? max_body : HTTP_ERROR_MAX);
	(void)snprintf(r->url, sizeof(r->url), "%s", url);
}

static bool is_https(const char *url)
{
	return str_starts(str_of(url), S("https:")) || str_starts(str_of(url), S("HTTPS:"));
}

/* Exchange until an answer is no redirect. */
static int follow(struct http_client *c, const struct http_request *req, struct http_response *r,
                  struct cairn_err *err)
{
	struct http_request now = *req;
	char url[HTTP_URL_MAX], next[HTTP_URL_MAX], shown[HTTP_URL_MAX];
	bool home;

	(void)snprintf(url, sizeof(url), "%s", req->url);
	for (int hops = 0;; hops++) {
		now.url = url;
		home = http_same_origin(req->url, url);
		now.authorization = home ? req->authorization : NULL;
		now.tls = home ? req->tls : NULL;
		reset_response(r, url, req->max_body);
		TRY(check_cancel(c, req->sink != NULL, err));
		if (!has_time(req->guard))
			return cairn_fail(err, CAIRN_E_TRANSIENT, "%s %.200s: no answer",
			                  req->method, http_url_public(url, shown));
		TRY(c->transport->exchange(c->transport, &now, r, err));
		if (!http_status_transient(r->status))
			heard(req->guard, true);
		if (!is_redirect(req, r))
			return 0;
		(void)http_url_public(url, shown);
		if (hops == MAX_REDIRECTS)
			return cairn_fail(err, CAIRN_E_SYNTAX, "%.200s: more than %d redirects",
			                  shown, MAX_REDIRECTS);
		if (http_url_join(url, http_header(r, "Location"), next, err) < 0)
			return cairn_wrap(err, "%.200s", shown);
		if (is_https(url) && !is_https(next))
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "%.200s: redirects from https to http; refused", shown);
		memcpy(url, next, sizeof(url));
	}
}

int http_send(struct http_client *c, const struct http_request *req, struct http_response *r,
              struct cairn_err *err)
{
	struct counter counter = { req->sink, req->source, guard_of(c), c->opts.traffic, false };
	struct http_sink sink = { count_begin, count_write, &counter };
	struct http_source source = { 0, count_read, &counter };
	struct http_request counted = *req;
	struct http_retry retry = { .reading = req->sink != NULL };
	struct url parts;

	if (!url_split(str_of(req->url), &parts))
		return cairn_fail(err, CAIRN_E_SYNTAX, "not an http or https URL");
	counted.guard = counter.guard;
	counted.sink = req->sink ? &sink : NULL;
	if (req->source) {
		source.size = req->source->size;
		counted.source = &source;
	}
	for (;;) {
		int rc = follow(c, &counted, r, err), wait;

		count_received(counter.traffic, r->body.len);
		count_sent(counter.traffic, req->source ? 0 : req->body.len);
		if (req->once)
			return rc;
		if (rc == 0 && !http_status_transient(r->status))
			return 0;
		if (rc < 0 && (rc != CAIRN_E_TRANSIENT || counter.delivered))
			return rc;
		wait = http_retry_wait(c, &retry, rc == 0 ? r : NULL, err);
		if (wait == CAIRN_E_TRANSIENT && rc == 0)
			return 0; /* the caller sees the status */
		TRY(wait);
		if (!has_time(counter.guard))
			return rc; /* what went wrong says more than that time is up */
	}
}
