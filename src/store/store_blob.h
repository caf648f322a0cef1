/* store_blob.h - any bytes by their digest, and where else they can be had. */
#ifndef CAIRN_STORE_BLOB_H
#define CAIRN_STORE_BLOB_H

#include "store.h"

/* Is the blob here? size may be NULL. A found blob is leased. */
int store_blob_find(struct store *s, const struct digest *digest, bool *ret_found,
                    uint64_t *ret_size, struct cairn_err *err);

/* Open a blob for reading. The bytes are not verified: who needs certainty hashes while
 * reading. A blob that is absent, or whose file is gone or has another size (it is then
 * forgotten), is CAIRN_E_NOT_FOUND. */
int store_blob_open(struct store *s, const struct digest *digest, int *ret_fd, uint64_t *ret_size,
                    struct cairn_err *err);

/* Append a small blob to out, verified. Absent: CAIRN_E_NOT_FOUND. Damaged: it is
 * forgotten, CAIRN_E_DIGEST. Larger than out takes: CAIRN_E_SYNTAX. */
int store_blob_read(struct store *s, const struct digest *digest, struct strbuf *out,
                    struct cairn_err *err);

/* Store bytes; their digest comes back (may be NULL). Present already: nothing is written. */
int store_blob_put(struct store *s, str bytes, struct digest *ret_digest, struct cairn_err *err);

/* Forget a blob that turned out to be damaged. */
int store_blob_forget(struct store *s, const struct digest *digest, struct cairn_err *err);

struct store_blob_writer;

/* Begin to write a blob. expected: what the digest must be in the end; NULL = not known. */
int store_blob_writer_new(struct store *s, const struct digest *expected,
                          struct store_blob_writer **ret, struct cairn_err *err);
int store_blob_writer_add(struct store_blob_writer *w, const void *p, size_t n,
                          struct cairn_err *err);
uint64_t store_blob_writer_size(const struct store_blob_writer *w); /* bytes added so far */
/* The file behind it, to read (pread) what was added already; owned by w. */
int store_blob_writer_fd(const struct store_blob_writer *w);

/* Is what was added so far all of the expected blob? Else CAIRN_E_DIGEST. More may be added. */
int store_blob_writer_check(const struct store_blob_writer *w, struct cairn_err *err);

/* Verify and publish. ret_digest and ret_size may be NULL. w must still be freed.
 * Fails with CAIRN_E_DIGEST when the bytes are not what was expected. */
int store_blob_writer_commit(struct store_blob_writer *w, struct digest *ret_digest,
                             uint64_t *ret_size, struct cairn_err *err);

/* Without a commit: discard what was written. NULL is fine. */
void store_blob_writer_free(struct store_blob_writer *w);
DEFINE_CLEANUP(struct store_blob_writer *, store_blob_writer_free);
#define cleanup_store_blob_writer __attribute__((cleanup(store_blob_writer_free_p_)))

/* A place where a blob can be had again: a foreign layer's tar cannot be made anew from
 * its files. */
struct store_source {
	char *registry;   /* "registry-1.docker.io", owned */
	char *repository; /* "library/debian", owned */
};

struct store_sources {
	struct store_source *ptr; /* newest first */
	size_t len;
};

/* Remember that registry/repository has the blob (whether or not it is here). */
int store_blob_source_put(struct store *s, const struct digest *digest, str registry,
                          str repository, struct cairn_err *err);
int store_blob_sources(struct store *s, const struct digest *digest, struct store_sources *ret,
                       struct cairn_err *err);
void store_sources_done(struct store_sources *list);

#endif
