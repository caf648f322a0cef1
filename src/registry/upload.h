/* registry/upload.h - one blob on its way to a registry. Private.
 *
 * https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
 *
 *	POST   opens an upload, or mounts the blob from another repository
 *	PATCH  sends a piece; after a broken connection GET tells how much has arrived
 *	PUT    ends it, with all bytes when they are few
 *
 * A registry may forget an upload, or have got bytes that it does not tell about
 * (docker-registry drops an upload whose connection broke within a piece). Then `lost` is set:
 * the caller begins again (upload_again(), upload_open()) and sends everything once more.
 */
#ifndef CAIRN_REGISTRY_UPLOAD_H
#define CAIRN_REGISTRY_UPLOAD_H

#include "host.h"

/* Blobs up to so many bytes go in one PUT; larger ones in pieces of that size, unless
 * registry_opts.piece says otherwise. Large enough that round trips between pieces do not count,
 * and above the 5 MiB that ECR asks for. */
#define UPLOAD_PIECE (64u << 20)

struct upload {
	struct registry *r;
	const struct reference *repo;
	const struct descriptor *blob;
	char *location; /* of the open upload: absolute, owned; NULL: none */
	uint64_t at;    /* bytes that the registry has */
	uint64_t best;  /* the most it ever had: beyond it is progress */
	uint64_t whole; /* blobs of so many bytes go in one PUT */
	uint64_t piece; /* bytes of a PATCH at most */
	uint64_t least; /* at least, but for the last one: what the registry asks for; else 0 */
	bool lost;      /* the upload is of no use any more */
	bool shaky;     /* a transfer broke: the registry may have got other bytes */
	bool waited;    /* after the last failure, as long as the registry asked for */
	struct http_retry retry;
};

/* repo and blob are borrowed. */
void upload_init(struct upload *u, struct registry *r, const struct reference *repo,
                 const struct descriptor *blob);
void upload_done(struct upload *u);
#define cleanup_upload __attribute__((cleanup(upload_done)))

/* Open an upload. from: a repository of the same registry that may have the blob; NULL: none.
 * *ret_there: it has been mounted, nothing is to be sent. */
int upload_open(struct upload *u, const char *from, bool *ret_there, struct cairn_err *err);

/* Send the bytes of the blob from `start` on that s has, in pieces. u->at is within them. */
int upload_send(struct upload *u, const struct http_source *s, uint64_t start,
                struct cairn_err *err);

/* End the upload. all: the whole blob, when nothing was sent before; else NULL. */
int upload_finish(struct upload *u, const struct http_source *all, struct cairn_err *err);

/* Give an open upload up; a registry that does not want to hear of it lets it expire. */
void upload_drop(struct upload *u);

/* After `lost`, with the failure in *err: wait. *ret_there: the blob has arrived after all.
 * Returns the failure when the attempts are used up. */
int upload_again(struct upload *u, bool *ret_there, struct cairn_err *err);

#endif
