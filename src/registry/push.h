/* registry/push.h - images and blobs to a registry.
 *
 * The push side of the OCI distribution specification: POST, PATCH and PUT of uploads (resumed by
 * asking where they stand), cross-repository mounts (201, and 202 when the registry does not
 * want to), manifests and tags, the list of tags.
 *
 * Nothing is sent that is there already.  Manifests go last: whoever reads a tag finds everything.
 *
 * Errors as in registry.h, and CAIRN_E_NOT_FOUND when the registry has lost a blob that a
 * manifest names (MANIFEST_BLOB_UNKNOWN), CAIRN_E_EXISTS for an immutable tag that means
 * something else.
 */
#ifndef CAIRN_REGISTRY_PUSH_H
#define CAIRN_REGISTRY_PUSH_H

#include "registry.h"

/* The repository will be written to: tokens for reading it are asked for pushing as well, which
 * saves a second login. Only a saving: pushing works without. */
void registry_expect_push(struct registry *r, const struct reference *repo);

/* Bytes to be sent; read again from the start or the middle when a transfer broke. */
struct registry_source {
	int fd;    /* read with pread() from offset 0; -1: bytes. Borrowed */
	str bytes; /* when fd is -1 */
	/* After each piece: bytes so far, never fewer than before. In the calling thread. NULL is
	 * fine. */
	void (*progress)(void *ctx, uint64_t done);
	void *ctx;
};

/* Is the blob in the repository? One HEAD. */
int registry_blob_has(struct registry *r, const struct reference *repo, const struct digest *digest,
                      bool *ret, struct cairn_err *err);

/* Ask the registry to take the blob from another of its repositories. *ret_done: it is there now;
 * else nothing happened (a registry that does not mount opened an upload: it is left to expire). */
int registry_blob_mount(struct registry *r, const struct reference *repo,
                        const struct digest *digest, const char *from_path, bool *ret_done,
                        struct cairn_err *err);

/* So few bytes are sent without asking whether they are there: the question takes as long. */
#define REGISTRY_BLIND_MAX (256u << 10)

/* Send a blob. The caller has asked whether it is there, where that is worth it. blob->digest and
 * size must be those of the source; the registry verifies. */
int registry_blob_put(struct registry *r, const struct reference *repo,
                      const struct descriptor *blob, const struct registry_source *source,
                      struct cairn_err *err);

/* May blobs be sent to the repository? An upload is begun and given up. */
int registry_check_push(struct registry *r, const struct reference *repo, struct cairn_err *err);

/* Part of a blob, by Range; not verified. A registry that ignores Range is answered by skipping. */
int registry_blob_range(struct registry *r, const struct reference *repo,
                        const struct descriptor *blob, uint64_t offset, uint64_t len,
                        const struct registry_sink *sink, struct cairn_err *err);

/* Put a manifest or an index under ref's tag, or, when ref has a digest, under that alone. An
 * immutable tag that has this very manifest already is success. */
int registry_manifest_put(struct registry *r, const struct reference *ref, str media_type,
                          str bytes, struct cairn_err *err);

/* All tags of a repository, sorted; strings in a. At most REGISTRY_TAGS_MAX. */
#define REGISTRY_TAGS_MAX 1000000u
int registry_tags(struct registry *r, const struct reference *repo, struct arena *a,
                  struct image_strs *ret, struct cairn_err *err);

/* How far a copy or a push is; counters grow in any thread. */
struct registry_progress {
	/* Increments: bytes that are to be sent, bytes that were. */
	void (*add)(void *ctx, uint64_t bytes_total, uint64_t bytes_done);
	void *ctx;
};

/* A blob that a repository is to have, and where it can come from. */
struct registry_want {
	struct descriptor blob;
	const char
		*mount; /* a repository of the same registry that may have it: its path; or NULL */
	bool blind;     /* most likely it is not there, and it is small: nobody asks */
	str bytes;      /* these, when ptr is not NULL */
	/* else, when not NULL: a repository that has it; the bytes go through this machine,
	 * verified, a few MiB of them in memory */
	const struct reference *from;
	/* else: a file with exactly these bytes; closed by the callee. In the calling thread. */
	int (*open)(void *ctx, const struct digest *digest, int *ret_fd, struct cairn_err *err);
	void *ctx;
};

/* Bring one blob: mounted, found there, or sent; for use by several threads at once.
 * *ret_moved: bytes that were sent, 0 when it did not have to be. progress may be NULL. */
int registry_blob_bring(struct registry *r, const struct reference *dst,
                        const struct registry_want *want, const struct registry_progress *progress,
                        uint64_t *ret_moved, struct cairn_err *err);

/* Copy an image or an index with all its platforms and blobs. Blobs that dst has are not moved;
 * within a registry they are mounted; else they stream through this machine, a few at a time, and
 * are verified. Manifests keep their bytes and digests.
 *
 * platforms: only those (NULL, 0 = all). One gives the image without an index; of several the index
 * is made anew, without attestations.
 * dst has a tag, or the digest that the copy will have.
 * *ret_digest: what dst means now. *ret_moved: bytes of blobs that went through this machine. */
struct registry_copy_opts {
	const struct platform *platforms;
	size_t n_platforms;
	unsigned parallel;                        /* blobs at once; 0 = 4 */
	const struct registry_progress *progress; /* may be NULL */
};
int registry_copy(struct registry *r, const struct reference *src, const struct reference *dst,
                  const struct registry_copy_opts *opts, struct digest *ret_digest,
                  uint64_t *ret_moved, struct cairn_err *err);

/* One end of a copy: a repository, or an OCI layout in a folder. */
struct registry_end {
	struct reference ref; /* of a layout: its tag, or "", and a digest */
	const char *layout;   /* the folder; NULL: the repository */
	const char *shown;    /* what messages call the folder; NULL: its path */
};

/* As registry_copy(), between any two. A folder that is written gets its index.json last; what it
 * held stays. Of a layout without a tag the only image is meant.
 * Fails also with CAIRN_E_EXISTS for a folder with other things in it. */
int registry_copy_ends(struct registry *r, const struct registry_end *src,
                       const struct registry_end *dst, const struct registry_copy_opts *opts,
                       struct digest *ret_digest, uint64_t *ret_moved, struct cairn_err *err);

#endif
