/* tests/conformance/world.h - a cache of the kind that is tested, and ways to harm it.
 *
 * Which kind, and where its server is, stands in the environment (with_server).  Each world has
 * a place of its own: a directory, a repository or a prefix.
 *
 * A registry is spoken to through a transport that has ECR's manners: it refuses manifests with
 * media types that are not an image's, indexes, and manifests without layers.
 */
#ifndef CAIRN_TESTS_WORLD_H
#define CAIRN_TESTS_WORLD_H

#include "harness.h"

#include "cache/cache.h"
#include "net/net.h"
#include "registry/registry.h"

enum world_kind {
	WORLD_DIR,
	WORLD_REGISTRY,
	WORLD_S3,
};

enum world_kind world_kind(void); /* that is tested */

struct world_wire; /* the transport */

struct world {
	enum world_kind kind;
	bool conditions;  /* writes can depend on what is there */
	char *place;      /* path of the directory, name of the repository, prefix in the bucket */
	char *repository; /* "127.0.0.1:PORT/PLACE" */
	struct world_wire *wire;
	struct http_client *http;
	struct registry *registry;
	struct aws *aws;
	struct s3_client *s3;
};

/* name: of the place; NULL = one that nobody else has. */
void world_open(struct world *w, const char *name);
void world_done(struct world *w);
#define cleanup_world __attribute__((cleanup(world_done)))

/* A remote of the world; read: fallbacks, ends with NULL, or NULL. */
struct remote *world_remote(struct world *w, const char *write, const char *const *read);

unsigned world_requests(const struct world *w);        /* sent so far; 0 in a directory */
void world_immutable(struct world *w, bool immutable); /* tags of the registry, from now on */

/* What happens to a request. */
enum world_fault {
	WORLD_RESET, /* it does not arrive */
	WORLD_LOST,  /* it arrives, its answer does not */
	WORLD_BUSY,  /* 503 */
	WORLD_LIMIT, /* 429 with Retry-After */
	WORLD_FLIP,  /* a byte of the answer's body is another */
	WORLD_CUT,   /* the answer's body has only its first half */
	WORLD_FAULTS_N_,
};

/* To the n-th request from now (0 = the next) and those after it, `times` in all. */
void world_fault(struct world *w, enum world_fault fault, unsigned n, unsigned times);

/* Behind the back of the remote, in the default scope: */
void world_corrupt_blob(struct world *w, const struct descriptor *blob); /* of the same length */
void world_lose_blob(struct world *w, const struct descriptor *blob);
/* These bytes where the entry lies; on a registry a whole manifest with this text. */
void world_write_entry(struct world *w, const struct digest *key, str text);
void world_collect(void); /* the registry's own clean-up of blobs that no manifest names */

/* Entries of the default scope with the keys world_key(0 .. n-1), n at most $SEED_COUNT, past the
 * server where that is quicker. For S3 only in the place "seed/". On a registry the tags between
 * every step-th one stand for the manifest of the first. */
void world_seed(struct world *w, unsigned n, unsigned step);
struct digest world_key(unsigned i);

#endif
