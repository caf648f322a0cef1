#include "copy_end.h"

#include <stdio.h>

int copy_end_open(struct registry *r, const struct registry_end *end, bool make,
                  struct copy_end *ret, struct cairn_err *err)
{
	*ret = (struct copy_end){ .r = r, .ref = end->ref };
	if (!end->layout)
		return 0;
	TRY(layout_open(end->layout, make, &ret->layout, err));
	if (end->shown)
		layout_call(ret->layout, end->shown);
	return 0;
}

void copy_end_done(struct copy_end *e)
{
	layout_free(steal_ptr(&e->layout));
}

const char *copy_end_name(const struct registry_end *end, char buf[REFERENCE_TEXT_MAX])
{
	if (!end->layout)
		return reference_familiar(&end->ref, buf);
	(void)snprintf(buf, REFERENCE_TEXT_MAX, "%.200s%s%s", end->shown ? end->shown : end->layout,
	               end->ref.tag[0] ? ":" : "", end->ref.tag);
	return buf;
}

/* --- manifests ------------------------------------------------------------------------- */

int copy_end_manifest(const struct copy_end *e, const struct reference *ref, struct strbuf *out,
                      char **ret_type, struct cairn_err *err)
{
	cleanup_arena struct arena *a = arena_new();
	struct descriptor d = { .media_type = S(""), .digest = ref->digest };
	struct manifest m = { 0 };

	if (!e->layout)
		return registry_manifest_get(e->r, ref, out, ret_type, err);
	if (digest_none(&d.digest))
		TRY(layout_find(e->layout, ref->tag, a, &d, err));
	TRY(layout_read(e->layout, &d.digest, out, err));
	TRY(manifest_parse(a, strbuf_view(out), d.media_type, &m, err));
	*ret_type = xstrdup(manifest_media_type(&m));
	return 0;
}

int copy_end_has(const struct copy_end *e, const struct digest *digest, bool *ret,
                 struct cairn_err *err)
{
	const struct media_type *type;
	struct reference ref = e->ref;
	struct digest there;
	int rc;

	*ret = false;
	if (e->layout)
		return 0;
	ref.digest = *digest;
	rc = registry_head(e->r, &ref, &there, &type, err);
	*ret = rc == 0;
	return rc == CAIRN_E_NOT_FOUND || rc == CAIRN_E_SYNTAX ? 0 : rc;
}

bool copy_end_is(const struct copy_end *e, const struct digest *digest)
{
	const struct media_type *type;
	struct cairn_err ignored;
	struct digest there;

	return !e->layout && registry_head(e->r, &e->ref, &there, &type, &ignored) == 0 &&
	       digest_eq(&there, digest);
}

int copy_end_put(const struct copy_end *e, const struct reference *ref, str type, str bytes,
                 struct cairn_err *err)
{
	struct descriptor d = { .media_type = type,
		                .digest = digest_of(bytes.ptr, bytes.len),
		                .size = bytes.len };

	if (!e->layout)
		return registry_manifest_put(e->r, ref, type, bytes, err);
	TRY(layout_put(e->layout, &d.digest, bytes, err));
	return digest_none(&ref->digest) ? layout_tag(e->layout, ref->tag, &d, err) : 0;
}

/* --- blobs ------------------------------------------------------------------------------ */

int copy_end_read(const struct copy_end *e, const struct descriptor *blob, struct strbuf *out,
                  struct cairn_err *err)
{
	return e->layout ? layout_read(e->layout, &blob->digest, out, err)
	                 : registry_blob_read(e->r, &e->ref, blob, out, err);
}

static int open_blob(void *ctx, const struct digest *digest, int *ret_fd, struct cairn_err *err)
{
	const struct copy_end *e = ctx;

	return layout_blob_open(e->layout, digest, ret_fd, err);
}

static int to_registry(const struct copy_end *src, const struct copy_end *dst,
                       const struct descriptor *blob, const struct registry_progress *progress,
                       uint64_t *ret_moved, struct cairn_err *err)
{
	struct copy_end from = *src;
	struct registry_want want = { .blob = *blob };

	if (src->layout) {
		if (!layout_has(src->layout, blob)) /* the upload would end in the middle */
			return cairn_fail(err, CAIRN_E_DIGEST,
			                  "the layout lacks blob %s, or has it in another size",
			                  digest_text(&blob->digest).s);
		want.open = open_blob;
		want.ctx = &from;
	} else {
		want.from = &src->ref;
		if (strcmp(src->ref.domain, dst->ref.domain) == 0)
			want.mount = src->ref.path;
	}
	return registry_blob_bring(dst->r, &dst->ref, &want, progress, ret_moved, err);
}

/* A blob that is written into a layout, and counted. */
struct writing {
	struct layout_blob blob;
	const struct registry_progress *progress; /* may be NULL */
};

static int write_blob(void *ctx, const void *p, size_t n, struct cairn_err *err)
{
	struct writing *w = ctx;

	TRY(layout_blob_write(&w->blob, p, n, err));
	if (w->progress)
		w->progress->add(w->progress->ctx, 0, n);
	return 0;
}

static int to_layout(const struct copy_end *src, const struct copy_end *dst,
                     const struct descriptor *blob, const struct registry_progress *progress,
                     uint64_t *ret_moved, struct cairn_err *err)
{
	struct writing w = { .progress = progress };
	struct registry_sink sink = { .write = write_blob, .ctx = &w };
	int rc;

	*ret_moved = 0;
	if (layout_has(dst->layout, blob))
		return 0;
	if (progress)
		progress->add(progress->ctx, blob->size, 0);
	TRY(layout_blob_begin(dst->layout, &blob->digest, &w.blob, err));
	rc = src->layout ? layout_blob_get(src->layout, blob, &sink, err)
	                 : registry_blob_get(src->r, &src->ref, blob, &sink, err);
	if (rc == 0)
		rc = layout_blob_commit(&w.blob, err);
	layout_blob_done(&w.blob);
	if (rc == 0)
		*ret_moved = blob->size;
	return rc;
}

int copy_end_bring(const struct copy_end *src, const struct copy_end *dst,
                   const struct descriptor *blob, const struct registry_progress *progress,
                   uint64_t *ret_moved, struct cairn_err *err)
{
	return dst->layout ? to_layout(src, dst, blob, progress, ret_moved, err)
	                   : to_registry(src, dst, blob, progress, ret_moved, err);
}
