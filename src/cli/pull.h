/* cli/pull.h - images from registries into the store, unpacked while they arrive. */
#ifndef CAIRN_CLI_PULL_H
#define CAIRN_CLI_PULL_H

#include "ctx.h"
#include "image/image.h"

/* What is wanted. */
struct pull_request {
	char *const *names; /* NAME[:TAG|@DIGEST] */
	size_t n;
	const struct platform *platform; /* of an index */
	bool quiet;                      /* no progress */
};

/* An image that came. */
struct pulled {
	struct reference ref;
	struct digest id;       /* of its config */
	struct digest manifest; /* none when it is not known */
	struct platform platform;
	uint64_t moved;   /* bytes */
	char summary[96]; /* for a person: what moved, how fast */
};

/* Pull all of them, several at once; what the store has is not moved again. Progress and warnings
 * go to ctx's err. settings_load() was called.
 * a    owns the texts of ret
 * ret  one an image, in the order of the request
 *
 * Fails as base_resolve() and base_fetch() (engine/base.h), and with CAIRN_E_CANCELLED. */
int pull_images(struct cairn_ctx *ctx, const struct pull_request *request, struct arena *a,
                struct pulled *ret, struct cairn_err *err);

#endif
