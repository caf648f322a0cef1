/* registry/push.c - blobs and manifests to a registry. */
#include "push.h"

#include "upload.h"

#define DIGEST_RETRIES 3 /* of a manifest */

int registry_blob_has(struct registry *r, const struct reference *repo, const struct digest *digest,
                      bool *ret, struct cairn_err *err)
{
	struct digest_text name = digest_text(digest);
	cleanup_free char *path = xasprintf("blobs/%s", name.s);
	struct registry_call call = { .domain = repo->domain,
		                      .repo = repo->path,
		                      .actions = "pull",
		                      .method = "HEAD",
		                      .path = path };
	struct http_response resp cleanup_http_response;

	http_response_init(&resp);
	TRY(registry_send(r, &call, &resp, err));
	if (resp.status / 100 != 2 && resp.status != 404)
		return registry_fail(&call, &resp, name.s, err);
	*ret = resp.status != 404;
	return 0;
}

int registry_blob_mount(struct registry *r, const struct reference *repo,
                        const struct digest *digest, const char *from_path, bool *ret_done,
                        struct cairn_err *err)
{
	struct descriptor blob = { .digest = *digest };
	struct upload u cleanup_upload;

	upload_init(&u, r, repo, &blob);
	return upload_open(&u, from_path, ret_done, err);
}

int registry_check_push(struct registry *r, const struct reference *repo, struct cairn_err *err)
{
	const struct descriptor none = { 0 };
	struct upload u cleanup_upload;
	bool there;

	upload_init(&u, r, repo, &none);
	if (upload_open(&u, NULL, &there, err) < 0)
		return cairn_wrap(err, "%s/%s", repo->domain, repo->path);
	upload_drop(&u);
	return 0;
}

/* --- a blob --------------------------------------------------------------------------- */

/* Counts what is read for the first time. */
struct meter {
	const struct registry_source *source;
	struct http_file file;
	struct http_source in; /* of file; unused for bytes */
	uint64_t done;
};

static int read_source(struct meter *m, uint64_t offset, void *p, size_t n, size_t *ret_n,
                       struct cairn_err *err)
{
	str left;

	if (m->source->fd >= 0)
		return m->in.read(m->in.ctx, offset, p, n, ret_n, err);
	left = str_skip(m->source->bytes, (size_t)offset);
	*ret_n = n < left.len ? n : left.len;
	memcpy(p, left.ptr, *ret_n);
	return 0;
}

static int read_metered(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
                        struct cairn_err *err)
{
	struct meter *m = ctx;

	TRY(read_source(m, offset, p, n, ret_n, err));
	if (offset + *ret_n <= m->done)
		return 0;
	m->done = offset + *ret_n;
	if (m->source->progress)
		m->source->progress(m->source->ctx, m->done);
	return 0;
}

static int send_once(struct upload *u, const struct http_source *s, const char *from,
                     struct cairn_err *err)
{
	bool there = false;

	TRY(upload_open(u, from, &there, err));
	if (there)
		return 0;
	if (u->blob->size <= u->whole)
		return upload_finish(u, s, err);
	TRY(upload_send(u, s, 0, err));
	return upload_finish(u, NULL, err);
}

int registry_blob_put(struct registry *r, const struct reference *repo,
                      const struct descriptor *blob, const struct registry_source *source,
                      struct cairn_err *err)
{
	struct meter m = { .source = source, .file = { source->fd, 0 } };
	struct http_source s = { blob->size, read_metered, &m };
	struct upload u cleanup_upload;
	bool there = false;

	m.in = http_file_source(&m.file, blob->size);
	upload_init(&u, r, repo, blob);
	if (source->fd < 0 && source->bytes.len != blob->size)
		CAIRN_BUG("%zu bytes for a blob of %llu", source->bytes.len,
		          (unsigned long long)blob->size);
	for (;;) {
		int rc = send_once(&u, &s, NULL, err);

		if (rc < 0 && u.lost)
			rc = upload_again(&u, &there, err);
		else if (rc == 0)
			return 0;
		if (rc < 0)
			return cairn_wrap(err, "blob %s to %s/%s", digest_text(&blob->digest).s,
			                  repo->domain, repo->path);
		if (there)
			return 0;
	}
}

/* --- manifests ------------------------------------------------------------------------ */

/* A tag that may not be changed has this manifest already? */
static bool is_same(struct registry *r, const struct reference *ref, const struct digest *digest)
{
	const struct media_type *type;
	struct cairn_err ignored;
	struct digest there;

	return registry_head(r, ref, &there, &type, &ignored) == 0 && digest_eq(&there, digest);
}

static int put_manifest(struct registry *r, const struct reference *ref, struct registry_call *call,
                        const struct digest *digest, struct cairn_err *err)
{
	struct http_response resp cleanup_http_response;
	char what[REFERENCE_TEXT_MAX];
	int rc;

	http_response_init(&resp);
	TRY(registry_send(r, call, &resp, err));
	if (resp.status / 100 == 2)
		return 0;
	rc = registry_fail(call, &resp, reference_familiar(ref, what), err);
	return rc == CAIRN_E_EXISTS && is_same(r, ref, digest) ? 0 : rc;
}

int registry_manifest_put(struct registry *r, const struct reference *ref, str media_type,
                          str bytes, struct cairn_err *err)
{
	struct digest digest = digest_of(bytes.ptr, bytes.len);
	cleanup_free char *path = xasprintf(
		"manifests/%s", digest_none(&ref->digest) ? ref->tag : digest_text(&digest).s);
	cleanup_free char *type_text = str_dup(media_type);
	struct http_field type = { "Content-Type", type_text };
	struct registry_call call = { .domain = ref->domain,
		                      .repo = ref->path,
		                      .actions = "pull,push",
		                      .method = "PUT",
		                      .path = path,
		                      .fields = &type,
		                      .n_fields = 1,
		                      .body = bytes };
	struct http_retry retry = { 0 };
	int rc;

	if (!digest_none(&ref->digest) && !digest_eq(&ref->digest, &digest))
		CAIRN_BUG("a manifest is put under another digest than its own");
	/* DIGEST_INVALID passes: the bytes broke on their way, or docker-registry read the link of
	 * a blob while another client's upload was writing it. */
	while ((rc = put_manifest(r, ref, &call, &digest, err)) == CAIRN_E_DIGEST &&
	       retry.used < DIGEST_RETRIES)
		TRY(http_retry_wait(r->opts.http, &retry, NULL, err));
	return rc;
}
