/* engine/base_priv.h - private to base*.c. */
#ifndef CAIRN_ENGINE_BASE_PRIV_H
#define CAIRN_ENGINE_BASE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "base.h"
#include "download.h"
#include "layer/layer.h"
#include "registry/registry.h"

/* An image that a registry told this process about. */
struct base_image {
	char *ref; /* normalised */
	struct platform platform;
	struct registry_image *img; /* NULL: it could not say */
	struct cairn_err err;       /* why; only base_resolve() tells it */
};

struct bases {
	struct base_opts opts;
	atomic_bool cancel;
	pthread_mutex_t lock;               /* of what follows */
	struct registry_session *session;   /* NULL until it is needed */
	VEC(char *) notes;                  /* warnings that wait for the main thread */
	VEC(struct base_image) images;      /* grows in the main thread only, before any fetch */
	VEC(struct base_fetching *) active; /* fetches that run */
	bool failed;                        /* a fetch failed and stopped the others */
	struct cairn_err err;               /* why */
};

/* The registry client, made at the first call. */
struct registry *bases_registry(struct bases *b);

/* The name of a base image; a tag gets the digest that it is pinned to. */
int bases_reference(const struct bases *b, str text, struct reference *ret, bool *ret_pinned,
                    struct cairn_err *err);

bool bases_cancelled(struct bases *b);
int bases_check_cancel(struct bases *b, struct cairn_err *err); /* CAIRN_E_CANCELLED or 0 */

#endif
