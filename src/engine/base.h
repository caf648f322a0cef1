/* engine/base.h - where base images come from.
 *
 * A tag is resolved in this order (DECISIONS.md 17): what it is pinned to, else with --pull
 * the registry, else the store, else the registry; a digest cannot move, so the store always
 * comes first for it.  Only the config is needed to compute keys; the layers are fetched when a
 * step has to stand on them.
 *
 * Layers are downloaded a few at a time into blobs of the store and unpacked in order, each
 * while it arrives.  The blobs stay: a layer made elsewhere can only be given away as it came
 * (DECISIONS.md 27).  What an interrupted fetch has completed is not fetched again.
 *
 * Nothing touches the network, and libcurl is not loaded, until a registry is asked.
 */
#ifndef CAIRN_ENGINE_BASE_H
#define CAIRN_ENGINE_BASE_H

#include "cache/cache.h"
#include "graph/graph.h"
#include "registry/registry.h"
#include "store/store.h"

struct pool;

struct base_opts {
	struct store *store; /* never NULL */
	struct pool *pool;   /* never NULL; nothing else may use it during base_resolve() */
	bool pull;           /* ask the registry even when the store knows the tag */
	bool tag_later;      /* a tag keeps what it stands for in the store until base_tag() */
	/* How registries are spoken to; what it points to is borrowed. cancel and warn are set
	 * here: warnings of mirrors go to `warn` below. */
	struct registry_session_opts net;
	/* The digest that a tag is pinned to (cairn.lock); false: to none. NULL: no tag is. */
	bool (*pinned)(void *ctx, const struct reference *ref, struct digest *ret);
	void *pinned_ctx;
	/* A registry is about to be asked for an image: recall() may be called for it soon. Main
	 * thread. NULL: nobody wants to know. */
	void (*foresee)(void *ctx, str ref, const struct platform *platform);
	/* Does somebody remember the config of an image? Asked to save a request, and where its
	 * registry cannot be reached. Waits for at most `patience` ns, below 0 as long as it takes;
	 * any thread. *ret lives in a. Any failure is "no". NULL: nobody is there. */
	bool (*recall)(void *ctx, str ref, const struct platform *platform, int64_t patience,
	               struct arena *a, struct base_fact *ret);
	void *recall_ctx; /* of both */
	int cancel_fd;    /* readable when the user wants to stop; -1 = never */
	/* One line for the user, from the main thread; never NULL. */
	void (*warn)(void *ctx, str text);
	void *ctx;
};

/* The variant under which the manifest that an image was pulled with is recorded
 * (store_manifest_find()); where it came from is a source of that blob. */
#define BASE_MANIFEST "pulled"

/* All base images of a build, and the connection to their registries. */
struct bases;

struct bases *bases_new(const struct base_opts *opts);
void bases_free(struct bases *b); /* no fetch may be running; NULL is fine */

/* Find the image `ref` (normalised) for `platform`; the config is parsed into `arena`.
 * ctx is a struct bases: fits graph_opts.resolve_base. Main thread.
 *
 * Fails as registry/ does; the message says how to get the image. */
int base_resolve(void *ctx, struct arena *arena, str ref, const struct platform *platform,
                 struct graph_base *ret, struct cairn_err *err);

/* Let the tag in the store stand for what base_resolve() has found under `ref`, which was passed to
 * it with this platform: with tag_later, once all of it is there. Main thread. */
int base_tag(struct bases *b, str ref, const struct platform *platform, struct cairn_err *err);

/* Ask for n images at once, each for its platform, so that base_resolve() needs not ask for one
 * after the other; what the store knows is passed over, and failures are told by base_resolve().
 * Fits plan_opts.prefetch_bases. Main thread. */
void base_prefetch(void *ctx, const str *refs, const struct platform *platforms, size_t n);

/* Where the layers of the images are that registries have described, as far as they were asked:
 * tell(tell_ctx, ...) for each; from: "registry/repository". Main thread, while nothing else uses
 * the bases. */
void base_places(struct bases *b,
                 void (*tell)(void *ctx, const struct digest *diff_id,
                              const struct descriptor *blob, str from),
                 void *tell_ctx);

/* Make the layers of a base image available in the store, each with an index and a directory.
 * ctx is a struct bases: fits engine_opts.fetch_base. Any thread, several at once; of those that
 * want the same image, also in other processes, one works and the others wait.
 *
 * Fails as registry/ does, with CAIRN_E_DIGEST for layers that are not what the image's config
 * says, and as layer_unpack() does. */
int base_fetch(void *ctx, const struct graph_node *base, struct cairn_err *err);

/* How far a fetch is. */
struct base_progress {
	char text[64];           /* what advances: "layer 3/7" */
	uint64_t current, total; /* bytes of all layers that are fetched */
};

/* Fits engine_opts.fetch_progress: false when there is nothing to tell. */
bool base_fetch_progress(void *ctx, const struct graph_node *base, struct base_progress *ret);

/* Let all that runs end soon with CAIRN_E_CANCELLED. Any thread; fits engine_opts.fetch_stop. */
void base_fetch_stop(void *ctx);

#endif
