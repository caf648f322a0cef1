/* registry/blob.c - blobs, streamed, verified and resumed. */
#include <stdio.h>

#include "host.h"
#include "push.h"
#include "util/num.h"

/* After so much progress a broken connection counts as the first again. */
#define PROGRESS_BYTES (1u << 20)

/* A blob, or a part of it, on its way. */
struct transfer {
	const struct descriptor *blob;
	const struct registry_sink *sink;
	struct sha256 hash;
	bool part;     /* bytes after `end` are not wanted */
	uint64_t end;  /* in the blob */
	uint64_t done; /* where in the blob the sink's next byte lies */
	uint64_t pos;  /* where the next arriving byte lies; <= done */
	bool sink_failed;
};

/* First byte's position in "bytes 100-199/200". */
static int range_start(const char *value, uint64_t *ret, struct cairn_err *err)
{
	str s = str_of(value), first, rest;

	if (!str_starts(s, S("bytes ")) || !str_cut(str_trim(str_skip(s, 6)), '-', &first, &rest))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "the registry sent a senseless Content-Range");
	return num_u64(str_trim(first), UINT64_MAX, ret, err);
}

static int on_begin(void *ctx, const struct http_response *resp, struct cairn_err *err)
{
	struct transfer *t = ctx;
	const char *range = http_header(resp, "Content-Range");

	t->pos = 0; /* 200: everything again */
	if (resp->status == 206 && range)
		TRY(range_start(range, &t->pos, err));
	if (t->pos > t->done || (resp->status == 206 && !range))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "the registry sent another range than asked for");
	return 0;
}

static int on_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct transfer *t = ctx;
	uint64_t skip = t->done - t->pos;
	const char *bytes = p;

	if (skip >= n) {
		t->pos += n;
		return 0;
	}
	bytes += skip;
	n -= (size_t)skip;
	if (t->part && n > t->end - t->done)
		n = (size_t)(t->end - t->done);
	if (t->part && n == 0) /* the registry ignores ranges: the rest is not worth waiting for */
		return cairn_fail(err, CAIRN_E_TRANSIENT, "enough");
	if (n > t->end - t->done)
		return cairn_fail(err, CAIRN_E_DIGEST, "the registry sent more than its %llu bytes",
		                  (unsigned long long)t->blob->size);
	if (!t->sink->verify)
		sha256_add(&t->hash, bytes, n);
	t->sink_failed = t->sink->write(t->sink->ctx, bytes, n, err) < 0;
	if (t->sink_failed)
		return err->code;
	t->done += n;
	t->pos = t->done;
	if (t->sink->progress)
		t->sink->progress(t->sink->ctx, t->done, t->blob->size);
	return 0;
}

/* One attempt, from where the last one ended. */
static int attempt(struct registry *r, const struct registry_call *base, struct transfer *t,
                   const char *what, struct cairn_err *err)
{
	struct http_sink sink = { on_begin, on_bytes, t };
	struct http_response resp cleanup_http_response;
	struct registry_call call = *base;
	struct http_field range = { "Range", NULL };
	char from[64];

	http_response_init(&resp);
	call.sink = &sink;
	if (t->part || t->done) {
		int len = snprintf(from, sizeof(from), "bytes=%llu-", (unsigned long long)t->done);

		if (t->part)
			(void)snprintf(from + len, sizeof(from) - (size_t)len, "%llu",
			               (unsigned long long)(t->end - 1));
		range.value = from;
		call.fields = &range;
		call.n_fields = 1;
	}
	TRY(registry_send(r, &call, &resp, err));
	return resp.status / 100 == 2 ? 0 : registry_fail(&call, &resp, what, err);
}

/* Until the sink has got everything; nothing is verified but the number of bytes. */
static int transfer(struct registry *r, const struct registry_call *call, struct transfer *t,
                    struct cairn_err *err)
{
	struct digest_text name = digest_text(&t->blob->digest);
	struct http_retry retry = { .reading = true };

	do {
		uint64_t before = t->done;
		int rc = attempt(r, call, t, name.s, err);

		if (rc < 0 && (rc != CAIRN_E_TRANSIENT || t->done == before))
			return rc;
		if (rc == 0 && t->done == before && t->done < t->end)
			return cairn_fail(err, CAIRN_E_DIGEST,
			                  "the registry has only %llu of %llu bytes",
			                  (unsigned long long)t->done, (unsigned long long)t->end);
		if (t->done - before >= PROGRESS_BYTES)
			retry.used = 0;
		if (rc < 0 && t->done < t->end)
			TRY(http_retry_wait(r->opts.http, &retry, NULL, err));
	} while (t->done < t->end);
	return 0;
}

static int verify(struct transfer *t, struct cairn_err *err)
{
	struct digest got;

	if (t->sink->verify)
		return t->sink->verify(t->sink->ctx, err);
	got = sha256_end(&t->hash);
	return digest_eq(&got, &t->blob->digest)
	               ? 0
	               : cairn_fail(err, CAIRN_E_DIGEST,
	                            "the registry sent bytes with the digest %s",
	                            digest_text(&got).s);
}

/* From one place, from where the last one ended. */
static int get_at(struct registry *r, const struct reference *at, struct transfer *t,
                  struct cairn_err *err)
{
	struct digest_text name = digest_text(&t->blob->digest);
	cleanup_free char *path = xasprintf("blobs/%s", name.s);
	struct registry_call call = { .domain = at->domain,
		                      .repo = at->path,
		                      .actions = "pull",
		                      .method = "GET",
		                      .path = path };
	int rc = transfer(r, &call, t, err);

	if (rc == 0 && !t->part)
		rc = verify(t, err);
	return rc < 0 ? cairn_wrap(err, "blob %s of %s/%s", name.s, at->domain, at->path) : 0;
}

static int get(struct registry *r, const struct reference *repo, struct transfer *t,
               struct cairn_err *err)
{
	size_t n = 0;
	cleanup_free struct place *places = mirrors_places(r->mirrors, repo, true, &n);
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		rc = get_at(r, &places[i].ref, t, err);
		if (rc == 0) {
			if (n > 1)
				mirrors_served(r->mirrors, repo, &places[i]);
			return 0;
		}
		if (t->sink_failed || !mirrors_pass_over(r->mirrors, &places[i], true, err) ||
		    t->done == t->end) /* what the sink has got wrong cannot be taken back */
			break;
	}
	return rc;
}

int registry_blob_get(struct registry *r, const struct reference *repo,
                      const struct descriptor *blob, const struct registry_sink *sink,
                      struct cairn_err *err)
{
	struct transfer t = { .blob = blob, .sink = sink, .end = blob->size };

	sha256_init(&t.hash);
	return get(r, repo, &t, err);
}

int registry_blob_range(struct registry *r, const struct reference *repo,
                        const struct descriptor *blob, uint64_t offset, uint64_t len,
                        const struct registry_sink *sink, struct cairn_err *err)
{
	struct transfer t = {
		.blob = blob, .sink = sink, .part = true, .end = offset + len, .done = offset
	};

	if (len == 0)
		return 0;
	if (offset > blob->size || len > blob->size - offset)
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "blob %s has no %llu bytes at %llu: it has only %llu",
		                  digest_text(&blob->digest).s, (unsigned long long)len,
		                  (unsigned long long)offset, (unsigned long long)blob->size);
	sha256_init(&t.hash);
	return get(r, repo, &t, err);
}

static int add_bytes(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	(void)err;
	strbuf_add(ctx, p, n);
	return 0;
}

int registry_blob_read(struct registry *r, const struct reference *repo,
                       const struct descriptor *blob, struct strbuf *out, struct cairn_err *err)
{
	struct registry_sink sink = { .write = add_bytes, .ctx = out };

	if (blob->size > out->max - out->len)
		return cairn_fail(err, CAIRN_E_SYNTAX, "blob %s is larger than %zu bytes",
		                  digest_text(&blob->digest).s, out->max);
	return registry_blob_get(r, repo, blob, &sink, err);
}
