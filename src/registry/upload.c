#include "upload.h"

#include <stdio.h>

#include "push.h"
#include "util/num.h"

#define PROGRESS_BYTES                                                                         \
	(1u << 20)              /* after so much a broken connection counts as the first again \
	                         */
#define PIECE_MAX  (1ull << 30) /* more than that no registry may ask for */
#define RANGE_TEXT 48

void upload_init(struct upload *u, struct registry *r, const struct reference *repo,
                 const struct descriptor *blob)
{
	*u = (struct upload){ .r = r, .repo = repo, .blob = blob, .piece = r->opts.piece };
	if (!u->piece)
		u->piece = UPLOAD_PIECE;
	u->whole = u->piece;
}

void upload_done(struct upload *u)
{
	free(u->location);
	u->location = NULL;
}

/* --- where it stands ------------------------------------------------------------ */

static struct registry_call call_of(const struct upload *u, const char *method)
{
	return (struct registry_call){ .domain = u->repo->domain,
		                       .repo = u->repo->path,
		                       .actions = "pull,push",
		                       .method = method,
		                       .url = u->location };
}

/* The upload is of no use: everything again. */
static int lose(struct upload *u, struct cairn_err *err)
{
	u->lost = true;
	u->shaky = true;
	err->code = CAIRN_E_TRANSIENT;
	err->sys = 0;
	return err->code;
}

static int lose_why(struct upload *u, const char *why, struct cairn_err *err)
{
	(void)cairn_fail(err, CAIRN_E_TRANSIENT, "%s", why);
	return lose(u, err);
}

/* The next request goes where the answer says. */
static int follow(struct upload *u, const struct http_response *resp, struct cairn_err *err)
{
	const char *location = http_header(resp, "Location");
	char url[HTTP_URL_MAX];

	if (!location)
		return u->location ? 0
		                   : cairn_fail(err, CAIRN_E_SYNTAX,
		                                "%s opened an upload without a Location",
		                                u->repo->domain);
	TRY(http_url_join(resp->url, location, url, err));
	if (str_starts(str_of(resp->url), S("https:")) && !str_starts(str_of(url), S("https:")))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "%s wants uploads over plain HTTP; refused (a proxy in front of "
		                  "it does not tell it X-Forwarded-Proto)",
		                  u->repo->domain);
	free(u->location);
	u->location = xstrdup(url);
	return 0;
}

/* Bytes that have arrived, by "Range: 0-99" ("bytes=0-99" is met too); false: it does not say.
 * docker-registry writes 0-0 for none. */
static bool arrived(const struct http_response *resp, uint64_t *ret)
{
	str s = str_of(http_header(resp, "Range")), first, last;
	struct cairn_err ignored;
	uint64_t end = 0;

	if (str_starts(s, S("bytes=")))
		s = str_skip(s, 6);
	if (!str_cut(str_trim(s), '-', &first, &last) ||
	    num_u64(last, UINT64_MAX - 1, &end, &ignored) < 0)
		return false;
	*ret = end ? end + 1 : 0;
	return true;
}

static void moved(struct upload *u, uint64_t at)
{
	u->at = at;
	if (at <= u->best)
		return;
	if (at - u->best >= PROGRESS_BYTES)
		u->retry.used = 0;
	u->best = at;
}

/* --- opening ----------------------------------------------------------------------- */

static void set_piece(struct upload *u, const struct http_response *resp)
{
	const char *s = http_header(resp, "OCI-Chunk-Min-Length");
	struct cairn_err ignored;

	u->piece = u->whole;
	u->least = 0;
	if (s && num_u64(str_of(s), PIECE_MAX, &u->least, &ignored) == 0 && u->least > u->piece)
		u->piece = u->least;
}

static int post(struct upload *u, const char *from, struct http_response *resp,
                struct cairn_err *err)
{
	struct registry_call call = call_of(u, "POST");
	struct strbuf path cleanup_strbuf;

	strbuf_init(&path, HTTP_URL_MAX);
	strbuf_cstr(&path, "blobs/uploads/");
	if (from) {
		strbuf_printf(&path, "?mount=%s&from=", digest_text(&u->blob->digest).s);
		http_escape(&path, str_of(from));
	}
	call.url = NULL;
	call.path = path.ptr;
	call.from_repo = from;
	return registry_send(u->r, &call, resp, err);
}

int upload_open(struct upload *u, const char *from, bool *ret_there, struct cairn_err *err)
{
	struct registry_call call = call_of(u, "POST");
	struct http_response resp cleanup_http_response;
	int rc;

	*ret_there = false;
	u->at = 0;
	u->lost = false;
	upload_done(u);
	http_response_init(&resp);
	rc = post(u, from, &resp, err);
	/* A registry that does not mount, or not from there, gets the bytes. */
	if (from && (rc == CAIRN_E_AUTH || (rc == 0 && resp.status / 100 == 4)))
		rc = post(u, NULL, &resp, err);
	TRY(rc);
	*ret_there = from && resp.status == 201;
	if (*ret_there)
		return 0;
	if (resp.status / 100 != 2)
		return registry_fail(&call, &resp, "upload", err);
	set_piece(u, &resp);
	return follow(u, &resp, err);
}

/* --- pieces --------------------------------------------------------------------------- */

/* A part of a source. */
struct window {
	const struct http_source *of;
	uint64_t from;
};

static int read_window(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
                       struct cairn_err *err)
{
	const struct window *w = ctx;

	return w->of->read(w->of->ctx, w->from + offset, p, n, ret_n, err);
}

/* Before the next attempt; once for each failure. */
static int wait_turn(struct upload *u, const struct http_response *resp, struct cairn_err *err)
{
	if (!u->waited)
		TRY(http_retry_wait(u->r->opts.http, &u->retry, resp, err));
	u->waited = resp != NULL;
	return 0;
}

/* A busy registry says how long to wait: Retry-After. */
static int busy(struct upload *u, const struct http_response *resp, struct cairn_err *err)
{
	struct cairn_err why = *err;

	if (http_status_transient(resp->status))
		TRY(wait_turn(u, resp, err));
	*err = why;
	err->code = CAIRN_E_TRANSIENT;
	return err->code;
}

/* Is it an answer after which the upload may go on, or only from the start? */
static int piece_refused(struct upload *u, const struct registry_call *call,
                         const struct http_response *resp, struct cairn_err *err)
{
	int status = resp->status;

	(void)registry_fail(call, resp, "upload", err);
	u->shaky = true;
	if (status == 416 || http_status_transient(status))
		return busy(u, resp, err); /* then ask where it stands */
	return status == 404 || status == 400 ? lose(u, err) : err->code;
}

/* Send the next len bytes of s, whose first byte is `start` in the blob. */
static int patch(struct upload *u, const struct http_source *s, uint64_t start, uint64_t len,
                 struct cairn_err *err)
{
	struct window w = { s, u->at - start };
	struct http_source piece = { len, read_window, &w };
	char range[RANGE_TEXT];
	struct http_field fields[] = { { "Content-Type", "application/octet-stream" },
		                       { "Content-Range", range } };
	struct registry_call call = call_of(u, "PATCH");
	struct http_response resp cleanup_http_response;
	uint64_t at = u->at + len;

	(void)snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long)u->at,
	               (unsigned long long)(at - 1));
	call.fields = fields;
	call.n_fields = ARRAY_SIZE(fields);
	call.source = &piece;
	call.once = true;
	http_response_init(&resp);
	TRY(registry_send(u->r, &call, &resp, err));
	if (resp.status / 100 != 2)
		return piece_refused(u, &call, &resp, err);
	if (arrived(&resp, &at) && (at > u->at + len || at <= u->at))
		return lose_why(u, "the registry says that other bytes have arrived than were sent",
		                err);
	TRY(follow(u, &resp, err));
	moved(u, at);
	return 0;
}

/* Ask where the upload stands. Without an answer the failure is transient. */
static int ask(struct upload *u, uint64_t *ret_at, struct cairn_err *err)
{
	struct registry_call call = call_of(u, "GET");
	struct http_response resp cleanup_http_response;

	http_response_init(&resp);
	TRY(registry_send(u->r, &call, &resp, err));
	if (http_status_transient(resp.status))
		return registry_fail(&call, &resp, "upload", err);
	if (resp.status / 100 != 2 || !arrived(&resp, ret_at))
		return lose_why(u, "the registry has lost the upload", err);
	return follow(u, &resp, err);
}

/* After the transient failure in *err: wait, then find out where to go on. */
static int recover(struct upload *u, uint64_t start, uint64_t end, struct cairn_err *err)
{
	uint64_t at = 0;
	int rc;

	u->shaky = true;
	do {
		TRY(wait_turn(u, NULL, err));
		rc = ask(u, &at, err);
	} while (rc == CAIRN_E_TRANSIENT && !u->lost);
	TRY(rc);
	if (at < start || at > end)
		return lose_why(u, "the registry has lost a part of the upload", err);
	moved(u, at);
	return 0;
}

int upload_send(struct upload *u, const struct http_source *s, uint64_t start,
                struct cairn_err *err)
{
	uint64_t end = start + s->size;

	while (u->at < end) {
		uint64_t len = end - u->at < u->piece ? end - u->at : u->piece;
		int rc = patch(u, s, start, len, err);

		if (rc == CAIRN_E_TRANSIENT && !u->lost)
			rc = recover(u, start, end, err);
		TRY(rc);
	}
	return 0;
}

/* --- the end --------------------------------------------------------------------------- */

static int put(struct upload *u, const struct http_source *all, struct http_response *resp,
               struct registry_call *call, struct cairn_err *err)
{
	static const struct http_field type = { "Content-Type", "application/octet-stream" };
	struct strbuf url cleanup_strbuf;
	int rc;

	strbuf_init(&url, HTTP_URL_MAX);
	strbuf_printf(&url, "%s%cdigest=", u->location, strchr(u->location, '?') ? '&' : '?');
	http_escape(&url, str_of(digest_text(&u->blob->digest).s));
	*call = call_of(u, "PUT");
	call->url = url.ptr;
	call->fields = &type;
	call->n_fields = 1;
	call->source = all;
	call->once = true;
	rc = registry_send(u->r, call, resp, err);
	call->url = NULL;
	return rc;
}

/* The PUT was refused: is the blob there (an earlier answer was lost), is there hope? */
static int put_refused(struct upload *u, const struct registry_call *call,
                       const struct http_response *resp, struct cairn_err *err)
{
	bool there = false;

	(void)registry_fail(call, resp, "upload", err);
	if (http_status_transient(resp->status))
		return busy(u, resp, err);
	if (resp->status != 400 && resp->status != 404 && resp->status != 416)
		return err->code;
	if (!u->shaky) /* nothing happened on the way: it is the bytes */
		return err->code == CAIRN_E_DIGEST ? err->code : lose(u, err);
	if (registry_blob_has(u->r, u->repo, &u->blob->digest, &there, err) == 0 && there)
		return 0;
	return lose(u, err);
}

int upload_finish(struct upload *u, const struct http_source *all, struct cairn_err *err)
{
	for (;;) {
		struct registry_call call;
		struct http_response resp cleanup_http_response;
		int rc;

		http_response_init(&resp);
		rc = put(u, all, &resp, &call, err);
		if (rc == 0 && resp.status / 100 == 2)
			return 0;
		if (rc == 0)
			rc = put_refused(u, &call, &resp, err);
		if (rc != CAIRN_E_TRANSIENT || u->lost)
			return rc;
		if (all)
			return lose(u, err);
		TRY(recover(u, u->blob->size, u->blob->size, err));
	}
}

void upload_drop(struct upload *u)
{
	struct registry_call call = call_of(u, "DELETE");
	struct http_response resp cleanup_http_response;
	struct cairn_err ignored;

	http_response_init(&resp);
	if (u->location)
		(void)registry_send(u->r, &call, &resp, &ignored);
}

int upload_again(struct upload *u, bool *ret_there, struct cairn_err *err)
{
	struct cairn_err ignored;

	TRY(wait_turn(u, NULL, err));
	if (registry_blob_has(u->r, u->repo, &u->blob->digest, ret_there, &ignored) < 0)
		*ret_there = false;
	return 0;
}
