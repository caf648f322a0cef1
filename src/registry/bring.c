/* registry/bring.c - one blob into a repository, by the cheapest way there is. */
#include "push.h"
#include "upload.h"
#include "util/fs.h"

/* Bytes of a blob on its way between registries that are held: above the 5 MiB that ECR
 * wants in a piece, and four at once stay below 64 MiB. */
#define STREAM_BYTES (8u << 20)

struct bringing {
	struct registry *r;
	const struct reference *dst;
	const struct registry_want *want;
	const struct registry_progress *progress;
	struct upload upload;
	uint64_t told; /* bytes that progress knows of */
};

static void tell(struct bringing *b, uint64_t total, uint64_t done)
{
	if (b->progress && (total || done))
		b->progress->add(b->progress->ctx, total, done);
}

/* Bytes that are sent a second time do not count. */
static void tell_at(void *ctx, uint64_t done)
{
	struct bringing *b = ctx;

	if (done <= b->told)
		return;
	tell(b, 0, done - b->told);
	b->told = done;
}

/* --- through this machine ---------------------------------------------------------- */

/* From one registry to another: what has arrived and not left yet. */
struct stream {
	struct bringing *b;
	char *buf; /* owned */
	size_t n, cap;
	uint64_t start; /* where in the blob buf begins */
};

static int read_buffer(void *ctx, uint64_t offset, void *p, size_t n, size_t *ret_n,
                       struct cairn_err *err)
{
	const struct stream *s = ctx;
	size_t left = s->n - (size_t)offset;

	(void)err;
	*ret_n = n < left ? n : left;
	memcpy(p, s->buf + offset, *ret_n);
	return 0;
}

static int flush(struct stream *s, struct cairn_err *err)
{
	struct http_source source = { s->n, read_buffer, s };

	TRY(upload_send(&s->b->upload, &source, s->start, err));
	s->start += s->n;
	s->n = 0;
	return 0;
}

static int stream_write(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct stream *s = ctx;
	const char *from = p;

	while (n) {
		size_t take = s->cap - s->n < n ? s->cap - s->n : n;

		memcpy(s->buf + s->n, from, take);
		s->n += take;
		from += take;
		n -= take;
		if (s->n == s->cap && flush(s, err) < 0) {
			/* A transient failure here is not one of the download. */
			if (err->code == CAIRN_E_TRANSIENT)
				err->code = CAIRN_E_TIMEOUT;
			return err->code;
		}
	}
	tell_at(s->b, s->start + s->n);
	return 0;
}

/* upload is open. */
static int stream(struct bringing *b, struct cairn_err *err)
{
	cleanup_free char *buf = NULL;
	struct stream s = { .b = b, .cap = STREAM_BYTES };
	struct registry_sink sink = { .write = stream_write, .ctx = &s };
	const struct descriptor *blob = &b->want->blob;

	if (b->upload.least > s.cap)
		s.cap = (size_t)b->upload.least;
	if (s.cap > UPLOAD_PIECE)
		return cairn_fail(err, CAIRN_E_UNSUPPORTED,
		                  "%s wants pieces of %zu bytes, which is too much for a copy",
		                  b->dst->domain, s.cap);
	buf = xmalloc(s.cap < blob->size ? s.cap : (size_t)blob->size + 1);
	s.buf = buf;
	TRY(registry_blob_get(b->r, b->want->from, blob, &sink, err));
	if (s.start == 0) {
		struct http_source all = { s.n, read_buffer, &s };

		return upload_finish(&b->upload, &all, err);
	}
	TRY(flush(&s, err));
	return upload_finish(&b->upload, NULL, err);
}

/* *open: the upload is open already. */
static int stream_again(struct bringing *b, bool open, struct cairn_err *err)
{
	bool there = false;
	int rc = open ? 0 : upload_open(&b->upload, NULL, &there, err);

	for (;;) {
		if (rc == 0)
			rc = stream(b, err);
		if (rc == 0 || !b->upload.lost)
			return rc;
		TRY(upload_again(&b->upload, &there, err));
		if (there)
			return 0;
		rc = upload_open(&b->upload, NULL, &there, err);
	}
}

/* --- from here ------------------------------------------------------------------------ */

static int put(struct bringing *b, struct cairn_err *err)
{
	const struct registry_want *w = b->want;
	struct registry_source source = {
		.fd = -1, .bytes = w->bytes, .progress = tell_at, .ctx = b
	};
	cleanup_fd int fd = -1;

	if (!w->bytes.ptr) {
		TRY(w->open(w->ctx, &w->blob.digest, &fd, err));
		source.fd = fd;
	}
	return registry_blob_put(b->r, b->dst, &w->blob, &source, err);
}

static int bring(struct bringing *b, uint64_t *ret_moved, struct cairn_err *err)
{
	const struct registry_want *w = b->want;
	bool there = false, open = false;
	int rc;

	if (w->mount) {
		TRY(upload_open(&b->upload, w->mount, &there, err));
		open = true;
	}
	if (!there && !w->blind && !(w->bytes.ptr && w->blob.size <= REGISTRY_BLIND_MAX))
		TRY(registry_blob_has(b->r, b->dst, &w->blob.digest, &there, err));
	if (there)
		return 0;
	tell(b, w->blob.size, 0);
	if (w->bytes.ptr || !w->from)
		rc = put(b, err);
	else
		rc = stream_again(b, open, err);
	if (rc == 0) {
		*ret_moved = w->blob.size;
		tell_at(b, w->blob.size);
	}
	return rc;
}

int registry_blob_bring(struct registry *r, const struct reference *dst,
                        const struct registry_want *want, const struct registry_progress *progress,
                        uint64_t *ret_moved, struct cairn_err *err)
{
	struct bringing b = { .r = r, .dst = dst, .want = want, .progress = progress };
	int rc;

	*ret_moved = 0;
	upload_init(&b.upload, r, dst, &want->blob);
	rc = bring(&b, ret_moved, err);
	upload_done(&b.upload);
	return rc;
}
