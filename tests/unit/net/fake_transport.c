#include "net/fake_transport.h"

#include <errno.h>

#include "harness.h"

#define PIECE 7 /* bytes a write; small, so that states between pieces are met */

struct fake {
	struct http_transport base;
	const struct fake_step *steps;
	size_t n;
};

static size_t played;

size_t fake_played(void)
{
	return played;
}

static void same(const char *what, const char *got, const char *want)
{
	if ((got == NULL) != (want == NULL) || (got && strcmp(got, want) != 0))
		fail_msg("request %zu: %s is '%s', not '%s'", played, what, got ? got : "(none)",
		         want ? want : "(none)");
}

/* want may end with '*' after what is looked at. */
static void same_start(const char *what, const char *got, const char *want)
{
	size_t n = want ? strlen(want) : 0;

	if (!n || want[n - 1] != '*')
		same(what, got, want);
	else if (!got || strncmp(got, want, n - 1) != 0)
		fail_msg("request %zu: %s is '%s', not '%s'", played, what, got ? got : "(none)",
		         want);
}

static const char *request_field(const struct http_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_fields; i++)
		if (strcmp(req->fields[i].name, name) == 0)
			return req->fields[i].value;
	return NULL;
}

static void same_fields(const struct http_request *req, const char *sends)
{
	str rest = str_of(sends), line, name, value;

	while (sends && str_next(&rest, '\n', &line)) {
		cleanup_free char *want = NULL, *key = NULL;

		(void)str_cut(line, ':', &name, &value);
		key = str_dup(name);
		want = str_dup(str_trim(value));
		same(key, request_field(req, key), want);
	}
}

/* The body that is sent, from memory or read from its source. */
static char *sent_body(const struct http_request *req)
{
	char *all;
	struct cairn_err err;
	size_t n = 0, got;

	if (!req->source)
		return str_dup(req->body);
	all = xcalloc(1, (size_t)req->source->size + 1);
	while (n < req->source->size) {
		assert_ok(req->source->read(req->source->ctx, n, all + n,
		                            (size_t)req->source->size - n, &got, &err));
		n += got;
	}
	return all;
}

static void add_headers(struct http_response *r, const char *headers)
{
	str rest = str_of(headers), line, name, value;

	while (headers && str_next(&rest, '\n', &line))
		if (str_cut(line, ':', &name, &value))
			vec_push(&r->fields,
			         (struct http_field){ str_dup(name), str_dup(str_trim(value)) });
}

static int deliver(const struct http_request *req, const struct fake_step *s,
                   struct http_response *r, struct cairn_err *err)
{
	const struct http_sink *sink = s->status / 100 == 2 ? req->sink : NULL;
	str rest = s->body;

	if (sink && sink->begin)
		TRY(sink->begin(sink->ctx, r, err));
	while (rest.len) {
		str piece = str_n(rest.ptr, rest.len < PIECE ? rest.len : PIECE);

		if (sink)
			TRY(sink->write(sink->ctx, piece.ptr, piece.len, err));
		else
			strbuf_str(&r->body, piece);
		rest = str_skip(rest, piece.len);
	}
	return s->cut ? cairn_fail(err, CAIRN_E_TRANSIENT, "connection broke") : 0;
}

static int exchange(struct http_transport *t, const struct http_request *req,
                    struct http_response *r, struct cairn_err *err)
{
	struct fake *f = (struct fake *)t;
	const struct fake_step *s = &f->steps[played];

	if (played == f->n)
		fail_msg("unexpected request %s %s", req->method, req->url);
	same("method", req->method, s->method);
	same("url", req->url, s->url);
	same_start("authorization", req->authorization, s->authorization);
	same("range", request_field(req, "Range"), s->range);
	same_fields(req, s->sends);
	if (s->request_body) {
		cleanup_free char *body = sent_body(req);

		same("body", body, s->request_body);
	}
	played++;
	if (s->status == 0) {
		(void)cairn_fail(err, CAIRN_E_TRANSIENT, "no connection");
		err->sys = EHOSTUNREACH;
		return CAIRN_E_TRANSIENT;
	}
	r->status = s->status;
	add_headers(r, s->headers);
	return deliver(req, s, r, err);
}

static void fake_free(struct http_transport *t)
{
	free(t);
}

struct http_transport *fake_transport_new(const struct fake_step *steps, size_t n)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	*f = (struct fake){ { exchange, fake_free }, steps, n };
	played = 0;
	return &f->base;
}

struct http_client *fake_client_new(const struct fake_step *steps, size_t n)
{
	struct http_opts o = HTTP_OPTS_INIT;

	o.transport = fake_transport_new(steps, n);
	o.backoff_ns = 1000;
	o.backoff_max_ns = 1000000;
	return http_client_new(&o);
}
