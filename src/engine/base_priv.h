/* engine/base_priv.h - private to base*.c. */
#ifndef CAIRN_ENGINE_BASE_PRIV_H
#define CAIRN_ENGINE_BASE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base.h"
#include "layer/layer.h"
#include "registry/registry.h"

/* An image that a registry told this process about. */
struct base_image {
	char *ref; /* normalised */
	struct platform platform;
	struct registry_image *img;
};

struct bases {
	struct base_opts opts;
	atomic_bool cancel;
	pthread_mutex_t lock; /* of what follows */
	char *docker_config;
	struct http_client *http;
	struct registry *registry;          /* NULL until it is needed */
	VEC(struct base_image) images;      /* grows in the main thread only, before any fetch */
	VEC(struct base_fetching *) active; /* fetches that run */
	bool failed;                        /* a fetch failed and stopped the others */
	struct cairn_err err;               /* why */
};

/* The registry client, made at the first call. */
struct registry *bases_registry(struct bases *b);

bool bases_cancelled(struct bases *b);
int bases_check_cancel(struct bases *b, struct cairn_err *err); /* CAIRN_E_CANCELLED or 0 */

/* --- base_download.c: a blob on its way into the store, readable while it comes --- */

struct download;

/* Begin: the work is done by `pool`, which is only for downloads.
 * repo and blob are borrowed until download_free(). */
int download_new(struct bases *b, const struct reference *repo, const struct descriptor *blob,
                 struct pool *pool, struct download **ret, struct cairn_err *err);

/* Its bytes, as far as they are there; a read waits for more. Reading fails as the download
 * does. The bytes have not been verified before download_wait(). */
struct layer_reader download_reader(struct download *d);

/* Until the blob is in the store, verified. Fails as the download did. */
int download_wait(struct download *d, struct cairn_err *err);

uint64_t download_done(struct download *d); /* bytes so far; any thread */
void download_free(struct download *d);     /* after its pool; NULL is fine */

#endif
