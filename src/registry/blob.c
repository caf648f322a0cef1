/* registry/blob.c - blobs, streamed, verified and resumed. */
#include <stdio.h>

#include "host.h"
#include "util/num.h"

/* After so much progress a broken connection counts as the first again. */
#define PROGRESS_BYTES (1u << 20)

/* A blob on its way. */
struct transfer {
	const struct descriptor *blob;
	const struct registry_sink *sink;
	struct sha256 hash;
	uint64_t done; /* bytes the sink has got */
	uint64_t pos;  /* where in the blob the next arriving byte lies; <= done */
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
	if (n > t->blob->size - t->done)
		return cairn_fail(err, CAIRN_E_DIGEST, "the registry sent more than its %llu bytes",
		                  (unsigned long long)t->blob->size);
	sha256_add(&t->hash, bytes, n);
	TRY(t->sink->write(t->sink->ctx, bytes, n, err));
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
	char from[40];

	http_response_init(&resp);
	call.sink = &sink;
	if (t->done) {
		(void)snprintf(from, sizeof(from), "bytes=%llu-", (unsigned long long)t->done);
		range.value = from;
		call.fields = &range;
		call.n_fields = 1;
	}
	TRY(registry_send(r, &call, &resp, err));
	return resp.status / 100 == 2 ? 0 : registry_fail(&call, &resp, what, err);
}

static int transfer(struct registry *r, const struct registry_call *call, struct transfer *t,
                    struct cairn_err *err)
{
	struct digest_text name = digest_text(&t->blob->digest);
	struct http_retry retry = { 0 };
	struct digest got;

	do {
		uint64_t before = t->done;
		int rc = attempt(r, call, t, name.s, err);

		if (rc < 0 && (rc != CAIRN_E_TRANSIENT || t->done == before))
			return rc;
		if (rc == 0 && t->done == before && t->done < t->blob->size)
			return cairn_fail(
				err, CAIRN_E_DIGEST, "the registry has only %llu of %llu bytes",
				(unsigned long long)t->done, (unsigned long long)t->blob->size);
		if (t->done - before >= PROGRESS_BYTES)
			retry.used = 0;
		if (rc < 0 && t->done < t->blob->size)
			TRY(http_retry_wait(r->opts.http, &retry, NULL, err));
	} while (t->done < t->blob->size);
	got = sha256_end(&t->hash);
	if (!digest_eq(&got, &t->blob->digest))
		return cairn_fail(err, CAIRN_E_DIGEST, "the registry sent bytes with the digest %s",
		                  digest_text(&got).s);
	return 0;
}

int registry_blob_get(struct registry *r, const struct reference *repo,
                      const struct descriptor *blob, const struct registry_sink *sink,
                      struct cairn_err *err)
{
	struct digest_text name = digest_text(&blob->digest);
	cleanup_free char *path = xasprintf("blobs/%s", name.s);
	struct registry_call call = { .domain = repo->domain,
		                      .repo = repo->path,
		                      .actions = "pull",
		                      .method = "GET",
		                      .path = path };
	struct transfer t = { .blob = blob, .sink = sink };

	sha256_init(&t.hash);
	if (transfer(r, &call, &t, err) < 0)
		return cairn_wrap(err, "blob %s of %s/%s", name.s, repo->domain, repo->path);
	return 0;
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
