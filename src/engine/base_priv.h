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

#endif
