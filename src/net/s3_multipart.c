/* net/s3_multipart.c - large objects, in parts that travel side by side.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html: parts of 5 MiB at least
 * but the last, 10,000 at most.  Nothing is visible before the end; what fails is taken back.
 */
#include <stdio.h>

#include "s3_priv.h"
#include "util/pool.h"
#include "xml.h"

#define PART_SIZE    (16ull << 20)
#define PARTS_MAX    10000u
#define PARALLEL     4u
#define ANSWER_MAX   (1u << 20)
#define COMPLETE_MAX (4u << 20)
#define ID_MAX       1024u
#define ETAG_MAX     256u

struct upload {
	struct s3_client *c;
	const struct s3_put *put;
	uint64_t size, part_size;
	size_t n_parts;
	char *id;                /* owned; percent-encoded */
	char **etags;            /* owned; n_parts, of the parts that are there */
	atomic_bool stop;        /* a part failed: the others need not begin */
	struct http_guard guard; /* of who sends all: holds for its parts */
};

static void upload_done(struct upload *u)
{
	for (size_t i = 0; u->etags && i < u->n_parts; i++)
		free(u->etags[i]);
	free(u->etags);
	free(u->id);
}
#define cleanup_upload __attribute__((cleanup(upload_done)))

/* --- begin ---------------------------------------------------------------------------------- */

static int on_upload_id(void *ctx, const char *path, str text, struct cairn_err *err)
{
	char **id = ctx;
	struct strbuf b cleanup_strbuf;

	strbuf_init(&b, ID_MAX);
	if (!xml_path_ends(path, "InitiateMultipartUploadResult/UploadId") || *id)
		return 0;
	http_escape(&b, str_trim(text));
	TRY(strbuf_check(&b, "S3's upload id", err));
	*id = strbuf_steal(&b);
	return 0;
}

static int create(struct upload *u, struct cairn_err *err)
{
	struct http_response r cleanup_http_response;
	const struct s3_call call = { .method = "POST",
		                      .action = "s3:PutObject",
		                      .key = u->put->key,
		                      .query = "uploads=",
		                      .max_body = ANSWER_MAX };

	http_response_init(&r);
	TRY(s3_send(u->c, &call, &r, err));
	if (r.status != 200)
		return s3_fail(u->c, &call, &r, err);
	if (xml_parse(strbuf_view(&r.body), on_upload_id, &u->id, err) < 0)
		return cairn_wrap(err, "s3://%s/%.200s: multipart upload", u->c->bucket,
		                  u->put->key);
	if (!u->id || !u->id[0])
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "s3://%s/%.200s: S3 gave no id of a multipart upload",
		                  u->c->bucket, u->put->key);
	return 0;
}

/* --- parts ------------------------------------------------------------------------------------ */

/* ETags go into the XML of complete(): nothing that would end the element. */
static bool plain_etag(const char *etag)
{
	return etag && etag[0] && strlen(etag) < ETAG_MAX && !strpbrk(etag, "<>&");
}

static int send_part(void *ctx, size_t i, struct cairn_err *err)
{
	struct upload *u = ctx;
	uint64_t offset = i * u->part_size;
	uint64_t len = u->size - offset < u->part_size ? u->size - offset : u->part_size;
	cleanup_free char *query = xasprintf("partNumber=%zu&uploadId=%s", i + 1, u->id);
	struct http_response r cleanup_http_response;
	struct s3_call call = { .method = "PUT",
		                .action = "s3:PutObject",
		                .key = u->put->key,
		                .query = query,
		                .max_body = HTTP_ERROR_MAX };
	struct s3_payload p = { .offset = offset, .len = len };
	const char *etag;
	int rc;

	http_response_init(&r);
	if (atomic_load(&u->stop))
		return 0;
	rc = s3_payload(u->c, u->put, &p, &call, err);
	if (rc == 0)
		rc = s3_send(u->c, &call, &r, err);
	etag = http_header(&r, "ETag");
	if (rc == 0 && r.status != 200)
		rc = s3_fail(u->c, &call, &r, err);
	else if (rc == 0 && !plain_etag(etag))
		rc = cairn_fail(err, CAIRN_E_SYNTAX, "s3://%s: a part has no ETag", u->c->bucket);
	if (rc < 0)
		atomic_store(&u->stop, true);
	else
		u->etags[i] = xstrdup(etag);
	return rc;
}

static int send_guarded(void *ctx, size_t i, struct cairn_err *err)
{
	struct upload *u = ctx;
	struct http_guard guard = u->guard;
	int rc;

	http_guard_begin(u->c->http, &guard);
	rc = send_part(u, i, err);
	http_guard_end(u->c->http, &guard);
	return rc;
}

static int send_parts(struct upload *u, struct cairn_err *err)
{
	struct pool *pool = pool_new(PARALLEL - 1); /* the calling thread is the fourth */
	int rc;

	u->etags = xcalloc(u->n_parts, sizeof(*u->etags));
	rc = pool_map(pool, u->n_parts, send_guarded, u, err);
	pool_free(pool);
	return rc;
}

/* --- end -----------------------------------------------------------------------------------------
 */

/* S3 may say 200, think for minutes, and fail then; the same request may succeed. */
static bool busy_after_all(const struct http_response *r)
{
	struct aws_error e;

	aws_error_read(r, &e);
	return r->status == 200 && e.code[0] && e.kind == AWS_ERROR_BUSY;
}

static int complete(struct upload *u, enum s3_outcome *ret, struct cairn_err *err)
{
	cleanup_free char *query = xasprintf("uploadId=%s", u->id);
	struct http_response r cleanup_http_response;
	struct strbuf xml cleanup_strbuf;
	struct http_retry retry = { 0 };
	struct http_field condition[1];
	struct s3_call call = { .method = "POST",
		                .action = "s3:PutObject",
		                .key = u->put->key,
		                .query = query,
		                .fields = condition,
		                .n_fields = s3_condition(u->put, condition),
		                .max_body = ANSWER_MAX };

	http_response_init(&r);
	strbuf_init(&xml, COMPLETE_MAX);
	strbuf_cstr(&xml, "<CompleteMultipartUpload "
	                  "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (size_t i = 0; i < u->n_parts; i++)
		strbuf_printf(&xml, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>",
		              i + 1, u->etags[i]);
	strbuf_cstr(&xml, "</CompleteMultipartUpload>");
	TRY(strbuf_check(&xml, "the list of parts", err));
	call.body = strbuf_view(&xml);
	do {
		TRY(s3_send(u->c, &call, &r, err));
		if (!busy_after_all(&r))
			return s3_outcome(u->c, &call, &r, ret, err);
		(void)s3_fail(u->c, &call, &r, err);
		TRY(http_retry_wait(u->c->http, &retry, NULL, err));
	} while (true);
}

/* Best effort: what stays costs money until a lifecycle rule takes it. */
static void abort_upload(struct upload *u)
{
	cleanup_free char *query = xasprintf("uploadId=%s", u->id);
	struct http_response r cleanup_http_response;
	const struct s3_call call = { .method = "DELETE",
		                      .action = "s3:AbortMultipartUpload",
		                      .key = u->put->key,
		                      .query = query };
	struct cairn_err ignored;

	http_response_init(&r);
	(void)s3_send(u->c, &call, &r, &ignored);
}

int s3_put_parts(struct s3_client *c, const struct s3_put *put, enum s3_outcome *ret,
                 struct cairn_err *err)
{
	struct upload u cleanup_upload = { .c = c, .put = put, .guard = http_guard_copy(c->http) };
	int rc;

	u.size = put->fd >= 0 ? put->size : put->bytes.len;
	u.part_size = PART_SIZE;
	while ((u.size + u.part_size - 1) / u.part_size > PARTS_MAX)
		u.part_size += PART_SIZE;
	u.n_parts = (size_t)((u.size + u.part_size - 1) / u.part_size);
	TRY(create(&u, err));
	rc = send_parts(&u, err);
	if (rc == 0)
		rc = complete(&u, ret, err);
	if (rc < 0 || *ret != S3_WRITTEN)
		abort_upload(&u);
	return rc;
}
