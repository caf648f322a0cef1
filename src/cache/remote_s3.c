/* cache/remote_s3.c - a remote in a bucket of S3.
 *
 * Documents are written under a condition that the server checks, so that of two writers one
 * learns that it lost.  A document's version is its ETag.
 */
#include "net/net.h"
#include "remote_priv.h"

struct remote_s3 {
	struct remote base;
	struct s3_client *s3; /* borrowed */
	char *prefix;         /* "" or "cache/" */
};

static struct remote_s3 *s3_of(struct remote *r)
{
	return (struct remote_s3 *)r;
}

/* Owned. */
static char *doc_key(struct remote *r, const struct remote_place *at)
{
	return xasprintf("%s%s/%s/%s", s3_of(r)->prefix, at->pointer ? "pointers" : "entries",
	                 at->scope, digest_hex(at->name).s);
}

static char *blob_key(struct remote *r, const struct descriptor *blob)
{
	return xasprintf("%sblobs/%s", s3_of(r)->prefix, digest_text(&blob->digest).s);
}

static int doc_get(struct remote *r, const struct remote_place *at, struct strbuf *out,
                   char **ret_version, bool *ret_found, struct cairn_err *err)
{
	cleanup_free char *key = doc_key(r, at);
	cleanup_free char *version = NULL;
	struct strbuf sealed cleanup_strbuf;
	struct s3_get get = { .key = key, .out = &sealed };
	str text;

	strbuf_init(&sealed, out->max + REMOTE_SEAL_LEN);
	TRY(s3_get(s3_of(r)->s3, &get, ret_found, &version, err));
	if (!*ret_found)
		return 0;
	TRY(remote_unseal(at, strbuf_view(&sealed), &text, err));
	strbuf_str(out, text);
	*ret_version = steal_ptr(&version);
	return 0;
}

/* Is the blob there, with its size? */
static int blob_has(struct remote *r, const struct descriptor *blob, bool *ret,
                    struct cairn_err *err)
{
	cleanup_free char *key = blob_key(r, blob);
	uint64_t size = 0;
	bool found = false;

	TRY(s3_head(s3_of(r)->s3, key, &found, &size, err));
	*ret = found && size == blob->size;
	return 0;
}

static int doc_put(struct remote *r, const struct remote_doc *doc, bool *ret_lost,
                   struct cairn_err *err)
{
	cleanup_free char *key = doc_key(r, &doc->at);
	struct strbuf sealed cleanup_strbuf;
	struct s3_put put = { .key = key,
		              .fd = -1,
		              .if_absent = doc->when == REMOTE_ABSENT,
		              .if_etag = doc->when == REMOTE_SAME ? doc->version : NULL };
	int rc;

	strbuf_init(&sealed, SIZE_MAX);
	for (size_t i = 0; i < doc->n_blobs; i++) {
		bool there = false;

		TRY(blob_has(r, &doc->blobs[i], &there, err));
		if (!there)
			return remote_fail_missing(&doc->blobs[i], err);
	}
	remote_seal(&doc->at, doc->text, &sealed);
	put.bytes = strbuf_view(&sealed);
	put.size = sealed.len;
	rc = s3_put(s3_of(r)->s3, &put, ret_lost, err);
	if (rc == CAIRN_E_NOT_FOUND && doc->when == REMOTE_SAME) { /* it was deleted meanwhile */
		*ret_lost = true;
		return 0;
	}
	return rc;
}

static int blob_get(struct remote *r, const struct descriptor *blob, const struct remote_sink *sink,
                    struct cairn_err *err)
{
	cleanup_free char *key = blob_key(r, blob);
	struct remote_verify v;
	struct http_sink verify = { .write = remote_verify_write, .ctx = &v };
	struct s3_get get = { .key = key, .sink = &verify };
	bool found = false;

	remote_verify_begin(&v, blob, sink);
	TRY(s3_get(s3_of(r)->s3, &get, &found, NULL, err));
	return found ? remote_verify_end(&v, err) : remote_fail_missing(blob, err);
}

static int blob_range(struct remote *r, const struct descriptor *blob, uint64_t offset,
                      uint64_t len, const struct remote_sink *sink, struct cairn_err *err)
{
	cleanup_free char *key = blob_key(r, blob);
	struct http_sink plain = { .write = sink->write, .ctx = sink->ctx };
	struct s3_get get = { .key = key, .offset = offset, .len = len, .sink = &plain };
	bool found = false;

	TRY(s3_get(s3_of(r)->s3, &get, &found, NULL, err));
	return found ? 0 : remote_fail_missing(blob, err);
}

static int blob_put(struct remote *r, const struct descriptor *blob,
                    const struct remote_source *src, struct cairn_err *err)
{
	cleanup_free char *key = blob_key(r, blob);
	struct s3_put put = { .key = key,
		              .fd = src->fd,
		              .bytes = src->bytes,
		              .size = blob->size,
		              .sha256 = &blob->digest };
	bool lost;

	return s3_put(s3_of(r)->s3, &put, &lost, err);
}

/* A write that changes nothing when it was made before. */
static int check_write(struct remote *r, struct cairn_err *err)
{
	static const char text[] = "cairn\n";
	const struct descriptor blob = { .digest = digest_of(text, sizeof(text) - 1) };
	cleanup_free char *key = blob_key(r, &blob);
	struct s3_put put = {
		.key = key, .fd = -1, .bytes = str_n(text, sizeof(text) - 1), .if_absent = true
	};
	bool lost;

	return s3_put(s3_of(r)->s3, &put, &lost, err);
}

static void remote_s3_free(struct remote *r)
{
	free(s3_of(r)->prefix);
	remote_done(r);
	free(r);
}

static const struct remote_ops s3_ops = {
	.doc_get = doc_get,
	.doc_put = doc_put,
	.blob_has = blob_has,
	.blob_get = blob_get,
	.blob_range = blob_range,
	.blob_put = blob_put,
	.check_write = check_write,
	.free = remote_s3_free,
};

int remote_open_s3(struct s3_client *s3, const char *prefix, const struct remote_scopes *scopes,
                   struct remote **ret, struct cairn_err *err)
{
	struct remote_s3 *s = xcalloc(1, sizeof(*s));
	cleanup_remote struct remote *r = &s->base;

	s->s3 = s3;
	s->prefix = xstrdup(prefix);
	TRY(remote_init(r, &s3_ops, xasprintf("s3://%s/%s", s3_bucket(s3), prefix), scopes, err));
	r->http = s3_http(s3);
	r->server = s3_endpoint(s3) ? xstrdup(s3_endpoint(s3)) : NULL;
	*ret = steal_ptr(&r);
	return 0;
}
