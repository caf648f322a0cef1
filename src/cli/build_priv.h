/* cli/build_priv.h - private to build_*.c: what a build holds, from its options to its image. */
#ifndef CAIRN_CLI_BUILD_PRIV_H
#define CAIRN_CLI_BUILD_PRIV_H

#include <stdatomic.h>

#include "build_opts.h"
#include "engine/engine.h"
#include "interrupt.h"
#include "store/store.h"
#include "workspace/workspace.h"

struct build_cache_spec;
struct build_caches;
struct build_imports;
struct build_record;
struct build_warnings;

/* Everything a build holds, released in one place. */
struct build_run {
	const struct cli_build_opts *o;
	bool explain; /* only to tell what a build would do: nothing is published */
	struct cairn_ctx *ctx;
	struct arena *a;
	struct store *store;
	struct pool *pool;
	struct layer_press *press;
	struct progress *progress;
	struct dockerfile *df;
	struct graph *graph;
	struct engine_build *build;
	const char *path; /* of the Dockerfile, as shown */
	struct ignore *ignore;
	struct map build_args, contexts, context_values;
	struct bases *bases;
	struct base_lock *lock; /* digests that base images are pinned to */
	struct graph_opts gopts;
	struct engine_opts eopts;
	struct engine_observer observer; /* keeps warnings back while `holding` */
	struct engine_observer display;  /* of the progress */
	bool holding;                    /* another process may do all this again, and tell it */
	struct engine_context context;
	struct outputs_opts oopts;
	struct outputs *outputs;
	/* Other machines; all NULL when the build has to do with none but for its bases. */
	struct build_cache_spec *specs;
	size_t n_specs;
	const char *const *insecure; /* registries that are spoken to by plain HTTP */
	size_t n_insecure;
	atomic_bool net_cancel, net_stop_reading;
	struct registry_session *net;
	struct http_connections *connections; /* of net and of the bases */
	struct http_traffic traffic;          /* likewise */
	struct pool *net_pool;
	struct build_caches *caches;
	struct build_imports *imports; /* in a; NULL until they were asked for */
	struct supply_doubts *doubts;  /* borrowed: outlives an attempt */
	struct remote_watch *watch;    /* likewise; never NULL */
	struct supply *supply;
	struct publisher *publisher;
	struct pool *teller;        /* build_remote_teller(); NULL: nobody needed it */
	struct build_asked *asked;  /* pointers; never NULL once bases are opened */
	struct mount_cache *mounts; /* NULL: cache mounts stay on this machine */
	bool foreseen;              /* images that have a cache inside are looked at */
	bool published;             /* it was waited for */
	struct build_warnings *warnings;
	struct build_record *record;      /* build_history.c; in a; NULL until it is made */
	VEC(struct inline_entry) inlined; /* what type=inline puts into the image */
	int64_t started;                  /* clock_monotonic() */
	struct interrupt *interrupt;
	int cancel_fd; /* of the interrupt */
};

/* --- build_engine.c: options of the command line as those of graph and engine --- */

/* --build-arg, --build-context, and the variables of the environment that are arguments. */
int build_set_pairs(struct build_run *r, struct cairn_err *err);
int build_set_graph_opts(struct build_run *r, struct cairn_err *err);
int build_set_engine_opts(struct build_run *r, struct cairn_err *err);

/* --- build_run.c --- */

/* One line for the user. Main thread. */
void build_run_warn(struct build_run *r, str text);

/* --- build_warnings.c: what the user is told, and when --- */

/* Events go to the display. hold: warnings only once build_warnings_release() was called; a process
 * that leaves the build to another one drops them, which will come to them, too. */
void build_warnings_new(struct build_run *r, bool hold);
void build_warnings_free(struct build_run *r);
/* One line for the user; any thread; ctx is a struct build_warnings. */
void build_warnings_add(void *ctx, str text);
/* Show what other threads had to say. Main thread. */
void build_warnings_show(struct build_run *r);
void build_warnings_release(struct build_run *r); /* nobody else will tell them */
/* Tell those that were kept back, now that another process does all this again; but not those about
 * caches, which it asks again. Returns a variable for its environment that lets it tell none of
 * them a second time; owned. */
char *build_warnings_hand_over(struct build_run *r);

/* --- build_bases.c: what caches know about base images --- */

/* Fits base_opts.foresee; ctx is a struct build_run. */
void build_bases_foresee(void *ctx, str ref, const struct platform *platform);
/* Fits base_opts.recall. */
bool build_bases_recall(void *ctx, str ref, const struct platform *platform, int64_t patience,
                        struct arena *a, struct base_fact *ret);
/* Let the caches that are written know those of this build, in the background. */
void build_bases_tell(struct build_run *r);

/* --- build_buildkit.c: BuildKit's caches --- */

/* Let the engine look into those that --cache-from names. */
void build_buildkit_open(struct build_run *r);
void build_buildkit_free(struct build_run *r);
bool build_buildkit_writes(const struct build_run *r); /* is one written? */
/* The build is done: write those that --cache-to names. */
int build_buildkit_export(struct build_run *r, struct cairn_err *err);

/* --- build_remote.c: caches, what comes from them and what goes to them --- */

/* Read --cache-from and --cache-to. */
int build_remote_parse(struct build_run *r, struct cairn_err *err);
/* Open what the options name; sets options of engine and outputs, whose own are set before. */
int build_remote_open(struct build_run *r, struct cairn_err *err);
/* With type=inline: put the cache into the image. */
int build_remote_inline(struct build_run *r, struct engine_image *im, struct cairn_err *err);
/* Wait until finished steps are published; result: of the build. */
int build_remote_finish(struct build_run *r, unsigned n_steps, int result, struct cairn_err *err);
/* Gives up what is not done; frees the outputs as well. */
/* Threads for what caches are told and asked beside the work, made when first needed. Who adds a
 * task owns what it works on; all of them have ended before the build does. Main thread. */
struct pool *build_remote_teller(struct build_run *r);
void build_remote_free(struct build_run *r);

#endif
