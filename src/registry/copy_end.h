/* registry/copy_end.h - private: the two ends of a copy, repositories or layouts. */
#ifndef CAIRN_REGISTRY_COPY_END_H
#define CAIRN_REGISTRY_COPY_END_H

#include "layout.h"
#include "push.h"

struct copy_end {
	struct registry *r;
	struct reference ref;  /* of a layout only the tag and the digest count */
	struct layout *layout; /* NULL: the repository; owned */
};

/* Fails as layout_open(). Release with copy_end_done(). */
int copy_end_open(struct registry *r, const struct registry_end *end, bool make,
                  struct copy_end *ret, struct cairn_err *err);
void copy_end_done(struct copy_end *e);

/* What ref means at the end; verified. *ret_type: its media type, owned. */
int copy_end_manifest(const struct copy_end *e, const struct reference *ref, struct strbuf *out,
                      char **ret_type, struct cairn_err *err);

/* Does it have that manifest, and therefore what it names? Of a layout that is never believed. */
int copy_end_has(const struct copy_end *e, const struct digest *digest, bool *ret,
                 struct cairn_err *err);

/* Does its tag mean that, with all that belongs to it? */
bool copy_end_is(const struct copy_end *e, const struct digest *digest);

/* A small blob into memory. */
int copy_end_read(const struct copy_end *e, const struct descriptor *blob, struct strbuf *out,
                  struct cairn_err *err);

/* Bring a blob from one to the other, unless it is there. *ret_moved as registry_blob_bring(). */
int copy_end_bring(const struct copy_end *src, const struct copy_end *dst,
                   const struct descriptor *blob, const struct registry_progress *progress,
                   uint64_t *ret_moved, struct cairn_err *err);

/* Put a manifest: by its digest, or under ref's tag. */
int copy_end_put(const struct copy_end *e, const struct reference *ref, str type, str bytes,
                 struct cairn_err *err);

/* "registry.example/app:1" or "oci:DIR:1". Returns buf. */
const char *copy_end_name(const struct registry_end *end, char buf[REFERENCE_TEXT_MAX]);

#endif
