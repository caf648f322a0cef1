/* engine/build.h - plan and run a build.
 *
 *	engine_plan(&opts, &build, err);     keys, look-up: says what hits and what must run
 *	if (engine_work(build)) ...          a rootless caller enters its user namespace here
 *	engine_run(build, &image, err);      runs what is missing
 *	engine_free(build);
 *
 * One poll loop in the calling (main) thread drives everything: it starts
 * processes, reads their output, takes what pool threads have finished.  Events
 * are emitted from that thread only.
 */
#ifndef CAIRN_ENGINE_BUILD_H
#define CAIRN_ENGINE_BUILD_H

#include "cache/cache.h"
#include "event.h"
#include "rootfs.h"
#include "sandbox.h"
#include "store/store.h"
#include "util/map.h"
#include "util/pool.h"

struct base_progress; /* base.h */
struct publish_step;  /* publish.h */
struct supply;        /* supply.h */
struct mount_cache;   /* mount_cache.h */

/* A local directory that files may be copied from. */
struct engine_context {
	const char *dir;             /* path as given by the user */
	const struct ignore *ignore; /* its .dockerignore; NULL = nothing is ignored */
};

/* A value that a step may see and that never reaches a key, a layer or a log. */
struct engine_secret {
	str id;
	str value;
};

/* An ssh agent for RUN --mount=type=ssh. */
struct engine_ssh {
	str id;             /* "default" unless named */
	const char *socket; /* path of the agent's socket */
};

/* A cache of BuildKit that is read. */
struct engine_import {
	const struct buildkit_cache *cache;
	str from; /* "registry/repository": where its layers are */
};

struct engine_build;

struct engine_opts {
	struct store *store;                    /* never NULL */
	struct pool *pool;                      /* never NULL */
	const struct engine_observer *observer; /* never NULL */
	const struct graph *graph;              /* never NULL */
	const struct map *contexts; /* name ("" = the build context) -> struct engine_context */
	const struct engine_secret *secrets;
	size_t n_secrets;
	const struct engine_ssh *ssh;
	size_t n_ssh;
	struct key_env env; /* add-hosts, ulimits, shm size, network: what enters keys */
	const struct sandbox_limit *limits; /* env.ulimits, parsed */
	size_t n_limits;
	unsigned jobs;           /* steps that run at once; 0 = one a processor, at least 4 */
	enum rootfs_kind rootfs; /* ROOTFS_AUTO, or one wished for */
	/* Keeps cache mounts beyond this machine; NULL: they stay here. Borrowed; outlives the
	 * build, for mount_cache_finish(). */
	struct mount_cache *mounts;
	bool read_only_cache; /* look up, but keep no records */

	/* Make the layers of a base image available in the store. Called from a pool thread.
	 * NULL: only what is in the store can be used. Fails as registry/ does. */
	int (*fetch_base)(void *ctx, const struct graph_node *base, struct cairn_err *err);
	/* How far a running fetch_base() is; from the main thread. false: nothing to tell. */
	bool (*fetch_progress)(void *ctx, const struct graph_node *base, struct base_progress *ret);
	/* Let running fetches end soon: the build has failed or the user wants to stop. */
	void (*fetch_stop)(void *ctx);
	void *fetch_ctx; /* of all three; the other two are set when fetch_base is */

	/* All keys are known, and caches are about to be asked: engine_input() can be called. Main
	 * thread, in engine_plan(). NULL: nobody wants to know. */
	void (*keyed)(void *ctx, const struct engine_build *b);
	void *keyed_ctx;

	/* Caches of other machines, and layers that come as late as they can; NULL: only what is in
	 * the store is used. Not asked with --no-cache. */
	struct supply *supply;
	struct pool *net; /* for tasks that wait for other machines; NULL: pool */
	/* Outputs will read the image's files: bring them in the end, also those of hits. */
	bool want_files;

	/* A step, or a base image, has its result: it ran, or a cache had it. Also told of steps
	 * that a hit made unnecessary, when the store has their records. Main thread, while
	 * engine_run() works; must not block. NULL: nobody wants to know. */
	void (*step_result)(void *ctx, const struct publish_step *step);
	void *step_result_ctx;

	/* A step that the target stands on is complete, so the image will begin with this chain,
	 * which lives as long as the build. Called from the main thread while engine_run() works;
	 * NULL: nobody wants to know. */
	void (*chain_done)(void *ctx, const struct chain *chain);
	void *chain_ctx;
	bool unregistered; /* do not put the image into the store: its times will be changed */

	/* BuildKit's caches, asked for steps that nobody else knows; with `supply`, which brings
	 * the layers. Called once, while planning, and only when the target is not known. NULL:
	 * none. *ret lives as long as the build. */
	int (*imports)(void *ctx, const struct engine_import **ret, size_t *ret_n,
	               struct cairn_err *err);
	void *imports_ctx;
	int cancel_fd; /* readable when the user wants to stop; -1 = never */
	int drain_fd;  /* readable when no further step shall be started: those that run end, then
	                  the  build fails with CAIRN_E_CANCELLED unless it is complete; -1 = never
	                */
	void (*tick)(void *ctx, int64_t now_ns); /* called about ten times a second; may be NULL */
	void *tick_ctx;
};

/* Compute keys, look up what is known, tell the observer all steps. Runs nothing.
 *
 * opts  borrowed, with all that it points to, until engine_free()
 *
 * Fails with CAIRN_E_NOT_FOUND for a missing source of a COPY (path and line of the
 * Dockerfile set), CAIRN_E_SYSTEM for a context that cannot be read. */
int engine_plan(const struct engine_opts *opts, struct engine_build **ret, struct cairn_err *err);

/* Number of steps that must run (bases that are in the store do not count). */
unsigned engine_work(const struct engine_build *b);

/* Did a step run and leave something in the store that is not on the disk yet? */
bool engine_ran(const struct engine_build *b);

/* Did engine_run() fail because a hit promised a layer that is damaged or gone? The store has
 * forgotten it, so another build misses there and works (DECISIONS.md 5). */
bool engine_demoted(const struct engine_build *b);

/* The image that a build made. Everything lives as long as the build. */
struct engine_image {
	str config;                  /* bytes of the image config */
	struct digest config_digest; /* its identity */
	const struct chain *chain;   /* its layers */
	struct platform platform;
	int64_t created;            /* ns since 1970 */
	size_t n_base_history;      /* lines of its history that come from the base image */
	unsigned n_steps, n_cached; /* of those that the target needs */
};

/* Run what is missing and put the image together; it is registered (without a tag) unless
 * opts->unregistered.
 *
 * Fails with CAIRN_E_STEP when a command failed (path and line set; EVENT_FAILED has told the
 * rest), CAIRN_E_CANCELLED when cancel_fd became readable, and with what the steps fail with.
 * Finished steps are kept in any case. */
int engine_run(struct engine_build *b, struct engine_image *ret, struct cairn_err *err);

/* Put an image into the store: its config as a blob, and the image without a tag. Nothing
 * happens in a read-only store. */
int engine_image_register(struct store *s, const struct engine_image *image, struct cairn_err *err);

/* The definition key of the target: what the image is made of, before anything has run. */
struct digest engine_key(const struct engine_build *b);

/* The input key of the image (cache/define.h). identities: what stands for base images, by node id
 * of the graph; see define_input(). */
struct digest engine_input(const struct engine_build *b, const struct digest *identities);

/* Describe all steps in r->steps, after engine_plan() (what would run) or after engine_run(),
 * whatever its end was; with the parts of their keys, values keyed by r->salt, or without.
 * Allocated in `a`; texts live as long as the build. */
void engine_report(const struct engine_build *b, bool parts, struct report *r, struct arena *a);

void engine_free(struct engine_build *b); /* NULL is fine */
DEFINE_CLEANUP(struct engine_build *, engine_free);
#define cleanup_engine __attribute__((cleanup(engine_free_p_)))

#endif
