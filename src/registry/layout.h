/* registry/layout.h - an OCI image layout in a folder, as one end of a copy.
 *
 * https://github.com/opencontainers/image-spec/blob/main/image-layout.md: `oci-layout`,
 * `index.json` with an entry for each image, `blobs/sha256/HEX`.  An image is called by the
 * annotation org.opencontainers.image.ref.name of its entry, its tag.
 *
 * Nothing in the folder is believed: what is read is checked against its digest, no symbolic link
 * is followed.  Blobs appear complete, under a temporary name until then; index.json is replaced
 * last.  Several threads may read and write blobs at once; two programs that set tags at once may
 * lose one.
 */
#ifndef CAIRN_REGISTRY_LAYOUT_H
#define CAIRN_REGISTRY_LAYOUT_H

#include "registry.h"

struct layout;

/* make: the folder is to be written: it is made where there is none, and a layout begun where it is
 * empty. That is undone by layout_free() when neither a blob nor a tag came.
 * Fails with CAIRN_E_NOT_FOUND, CAIRN_E_SYNTAX (a folder that is no layout), CAIRN_E_EXISTS (to be
 * written, and full of other things), CAIRN_E_SYSTEM. */
int layout_open(const char *path, bool make, struct layout **ret, struct cairn_err *err);
void layout_free(struct layout *l);                   /* NULL is fine */
void layout_call(struct layout *l, const char *name); /* what messages call it from now on */
DEFINE_CLEANUP(struct layout *, layout_free);
#define cleanup_layout __attribute__((cleanup(layout_free_p_)))

/* The entry with that tag; "": of the only image there is. Strings in a.
 * Fails with CAIRN_E_NOT_FOUND, telling the tags there are; CAIRN_E_SYNTAX. */
int layout_find(const struct layout *l, const char *tag, struct arena *a, struct descriptor *ret,
                struct cairn_err *err);

/* Set the tag ("": none) to a manifest whose blobs are all there. */
int layout_tag(const struct layout *l, const char *tag, const struct descriptor *manifest,
               struct cairn_err *err);

/* Is a blob of that size there? */
bool layout_has(const struct layout *l, const struct descriptor *blob);

/* A small blob into memory (at most out's maximum), verified. */
int layout_read(const struct layout *l, const struct digest *digest, struct strbuf *out,
                struct cairn_err *err);

/* Open a blob for reading; not verified. */
int layout_blob_open(const struct layout *l, const struct digest *digest, int *ret_fd,
                     struct cairn_err *err);

/* A blob through the sink, verified: as registry_blob_get(). */
int layout_blob_get(const struct layout *l, const struct descriptor *blob,
                    const struct registry_sink *sink, struct cairn_err *err);

/* A blob that is being written. */
struct layout_blob {
	const struct layout *l;
	struct digest digest;
	char *tmp; /* owned */
	int fd;
};

int layout_blob_begin(const struct layout *l, const struct digest *digest, struct layout_blob *ret,
                      struct cairn_err *err);
int layout_blob_write(struct layout_blob *b, const void *p, size_t n, struct cairn_err *err);
/* All is written, and the caller has verified it: now it is there. */
int layout_blob_commit(struct layout_blob *b, struct cairn_err *err);
void layout_blob_done(struct layout_blob *b); /* what was not committed is removed */

/* These bytes as a blob. */
int layout_put(const struct layout *l, const struct digest *digest, str bytes,
               struct cairn_err *err);

#endif
