/* engine/step.h - the state of a build, private to engine/.
 *
 * Life of a step:
 *
 *	IDLE -> HIT                                  the cache answered while planning
 *	IDLE -> WAITING -> [LOCKED] -> RUNNING -> DONE
 *	                -> DONE                      the content key answered
 *	                             -> FAILED
 *
 * Everything here is touched by the main thread only, with one exception: while
 * a step is RUNNING in the pool, its `work` belongs to the pool thread.
 */
#ifndef CAIRN_ENGINE_STEP_H
#define CAIRN_ENGINE_STEP_H

#include "arrive.h"
#include "build.h"
#include "layer/layer.h"
#include "probe.h"
#include "sandbox.h"
#include "supply.h"
#include "userdb.h"

enum step_state {
	STEP_IDLE,    /* not needed, or not looked at yet */
	STEP_WAITING, /* needed; its inputs are not complete, or a lock or a job slot is missing */
	STEP_RUNNING,
	STEP_DONE, /* chain is set; also hits */
	STEP_FAILED,
};

/* What a pool thread does for a step, and what comes out of it. */
struct step_work {
	struct step *step;
	struct arena *arena;         /* the thread's own */
	struct store_layer_txn *txn; /* the layer being made */
	struct layer_plan *plan;     /* what it shall hold */
	/* Fills the plan, in the thread: what COPY does (op_copy.c); NULL for RUN. */
	int (*make_plan)(struct step_work *w, struct cairn_err *err);
	struct copy_work *copy;   /* for make_plan */
	const struct tree *below; /* the tree it lies on */
	bool in_place;            /* the plan's files lie in the layer's directory already */
	struct rootfs_step *root; /* RUN: scanned by the thread; NULL otherwise */
	int *fds;                 /* descriptors the plan's sources borrow; closed at the end */
	size_t n_fds;
	struct layer_result result;
	struct digest content; /* of result.index */
};

enum run_stream { /* numbers of the descriptors */
	RUN_STDOUT = 1,
	RUN_STDERR = 2,
	RUN_STREAM_N_,
};

/* A command that runs. */
struct step_run {
	bool closed[RUN_STREAM_N_]; /* the command has closed that stream */
	struct sandbox_proc *proc;
	struct rootfs_step *root;
	struct store_layer_txn *txn;
	char **tmp_dirs; /* of bind mounts; removed by the store at the latest */
	size_t n_tmp_dirs;
	struct sandbox_spec spec;
};

struct step {
	struct engine_build *b;
	const struct graph_node *node;
	unsigned number; /* in events */
	enum step_state state;
	bool needed; /* the target cannot be made without it */
	bool forced; /* it, or a step it stands on, must run: its definition key may lie */
	bool hit;    /* DONE without having run */
	struct digest def_key;
	struct digest content_key;        /* set when the inputs are complete */
	struct digest link_key;           /* COPY --link */
	const struct record *link_record; /* its layer alone, when it ran */
	struct define_step *define;       /* what follows, as define.h knows it */
	struct key_operand
		*operands; /* one for COPY; one per mount with a source, in their order */
	struct selection
		*selections; /* of the operands; those of steps are made when they are complete */
	struct view *views;  /* where each was selected from */
	size_t n_operands;
	const struct record *found; /* under def_key, not yet believed */
	const char *found_from;     /* name of the remote that had it, or more; NULL: the store */
	bool asked, visited; /* while planning: a remote was asked for it; it was looked at */
	const struct record *record; /* that gave the chain, once DONE; NULL: a base image */
	const char *from;            /* name of the remote that had it; NULL: it was here */
	const struct chain *chain;   /* what it ends with, once DONE */
	bool by_definition; /* its definition key, or a base image's config, gave the chain */
	bool shown;         /* EVENT_START was told */
	/* COPY --from: directories that hold only the files it takes, by number of the layer;
	 * NULL: the layer's own directory. */
	char **picked;
	bool no_pick;             /* that did not work: layers are brought whole */
	struct step_fetch *fetch; /* what is being fetched for it now */
	unsigned supplied;        /* enum need: what it was given already */
	struct store_lock *lock;
	struct store_mount **mounts; /* cache mounts held, by index in node->run.mounts; */
	bool *restore;               /* they are replaced by what other machines have; */
	bool *filled;                /* they were */
	unsigned restoring;          /* restores that run */
	int64_t started;             /* clock_monotonic() */
	uint64_t fetched;            /* bytes of a base image that were told of */
	struct step_cost cost;
	bool oom; /* FAILED: killed because memory ran out */
	struct step_run *run;
	struct step_work *work;
};

struct engine_build {
	const struct engine_opts *opts;
	struct arena *arena;
	struct step *steps; /* by graph node id */
	size_t n;
	struct step *target;
	unsigned n_numbers;  /* step numbers given out */
	struct map trees;    /* diff IDs of a chain -> struct tree * (owned) */
	struct map pinned;   /* definition key -> struct digest *: the tree it has in this build */
	struct map contexts; /* name -> struct context_source * */
	struct arrive_limits limits; /* of layers that are made here */
	struct machine machine;
	struct rootfs *rootfs; /* opened with the first RUN, or before */
	struct sandbox_host *host;
	char *trees_dir;   /* for the plain driver */
	unsigned running;  /* steps that occupy a job slot */
	unsigned fetching; /* tasks that bring layers */
	struct map
		ahead; /* chains (by address) that were asked for before their step could start */
	VEC(struct arena *) fetched; /* of tasks that brought something; records live in them */
	uint64_t told;               /* bytes that the progress of fetches has told of */
	unsigned jobs;
	bool stopping; /* something failed: start nothing more */
	bool cancelled;
	bool draining;        /* start nothing more, but let what runs end */
	bool demoted;         /* a hit's layer proved to be damaged or gone */
	struct cairn_err err; /* the first failure */
};

/* --- sources.c: contexts and trees that files are read from --- */

/* View of a context by name; scanned once. */
int sources_context(struct engine_build *b, str name, struct view *ret, struct cairn_err *err);
/* Make sure that everything selected from a context has its digest. */
int sources_hash(struct engine_build *b, str name, const struct selection *sel,
                 struct cairn_err *err);
/* Directory of the context; borrowed. */
int sources_context_fd(struct engine_build *b, str name);
void sources_free(struct engine_build *b);

/* --- trees.c: chains as trees and directories --- */

/* The merged tree of a chain; owned by the build. */
int trees_get(struct engine_build *b, const struct chain *c, const struct tree **ret,
              struct cairn_err *err);
/* Absolute directories of a chain's layers, lowest first; in `a`. A layer without one is
 * CAIRN_E_NOT_FOUND: the hit that named it was empty.
 * used: only layers i with used[i] need one, NULL = all. */
int trees_dirs(struct engine_build *b, const struct chain *c, const bool *used, struct arena *a,
               char ***ret, struct cairn_err *err);
/* Users and groups of a tree; texts are borrowed from it or live in `a`. */
int trees_userdb(struct engine_build *b, const struct chain *c, struct arena *a, struct userdb *ret,
                 struct cairn_err *err);
/* The chain of a base image out of the store; *ret is NULL when a layer is not there. */
int trees_base_chain(struct engine_build *b, const struct step *s, const struct chain **ret,
                     struct cairn_err *err);
/* --- lookup.c: keys and records --- */

int lookup_plan(struct engine_build *b, struct cairn_err *err);
/* The layers of a base image as a remote described them, when they are the ones that its config
 * names; else NULL. */
const struct chain *lookup_base(const struct step *s);
/* With complete inputs: compute the content key, and see whether it answers. */
int lookup_content(struct step *s, bool *ret_hit, struct cairn_err *err);
/* The same with what a remote had under that key: the content key, or the --link layer's. */
int lookup_take(struct step *s, const struct digest *key, const struct supply_found *found,
                bool *ret_hit, struct cairn_err *err);
/* Look the definition key up again, after waiting for another process. */
int lookup_again(struct step *s, bool *ret_hit, struct cairn_err *err);
/* A step ran and made `layer` on its parent's chain: keep records, decide the chain. */
int lookup_publish(struct step *s, const struct chain_layer *layer, int64_t created,
                   struct cairn_err *err);

/* What caches had for the steps of a build that is done goes into the store, as far as the files of
 * its layers are here: the next build finds it when it asks no cache. Best effort. Needs
 * opts->supply. */
void lookup_keep(struct engine_build *b);

/* While planning: does what was found for the step's definition key serve? */
bool lookup_usable(const struct step *s);
/* While planning: a result made elsewhere is the step's, unless it contradicts. from: where that
 * is, for people; lives as long as the build. */
int lookup_import(struct step *s, const struct record *r, const char *from, struct cairn_err *err);

/* --- buildkit_ops.c, import.c: BuildKit's caches --- */

/* The operations of all steps, by number; NULL where BuildKit's way is not known. In `a`. */
int buildkit_ops(struct engine_build *b, struct arena *a, struct buildkit_op ***ret,
                 struct cairn_err *err);

/* Look for results of the steps that the target needs and nobody else knows, and keep them as
 * records. What cannot be had is a miss; fails with CAIRN_E_CANCELLED, or as the store does. */
int import_hits(struct engine_build *b, struct cairn_err *err);

/* --- ops --- */

/* RUN: start the command; its output and end come through the loop. */
int op_run_start(struct step *s, struct cairn_err *err);
/* Some RUN will have to run: look at the machine now, while there is nothing else to do. */
void op_run_ahead(struct engine_build *b);
/* The command has ended well: what the pool has to do now. */
int op_run_collect(struct step *s, struct cairn_err *err);
void op_run_free(struct step *s);
/* COPY, ADD, WORKDIR: prepare the work for the pool. */
int op_copy_prepare(struct step *s, struct cairn_err *err);
int op_workdir_prepare(struct step *s, struct cairn_err *err);
/* In the pool: scan where needed, write the layer, store it. */
int work_execute(void *work, struct cairn_err *err);
void copy_work_free(struct copy_work *c); /* NULL is fine */
struct step_work *work_new(struct step *s);
void work_free(struct step_work *w);
/* Give a new layer's directory the owner, mode and time of "/" in the tree that it will lie on. */
int work_root(const char *dir, const struct tree *t, struct cairn_err *err);
/* Take another descriptor that the plan borrows; returns fd. */
int work_keep_fd(struct step_work *w, int fd);

/* Fill a plan with what a COPY makes (copy.c). */
struct copy_target {
	const struct graph_copy *copy;
	const struct tree *below;
	uint32_t uid, gid; /* of what is created, and of what is copied with --chown */
	bool chown;
	int64_t now; /* mtime of directories that are made */
	/* Where an item's bytes are. */
	int (*source)(void *ctx, const struct select_item *item, struct layer_source *ret,
	              struct cairn_err *err);
	/* ADD: is this file an archive? Then its index and the directory it was unpacked into, both
	 * borrowed; else *ret_index stays NULL. */
	int (*expand)(void *ctx, const struct select_item *item,
	              const struct layer_index **ret_index, int *ret_dirfd, struct cairn_err *err);
	void *ctx;
};
int copy_plan(struct layer_plan *plan, const struct copy_target *t, const struct selection *sel,
              struct arena *a, struct cairn_err *err);

/* --- result.c --- */
int result_image(struct engine_build *b, struct engine_image *ret, struct cairn_err *err);

/* --- need.c: what a step needs from elsewhere --- */

/* Is everything there for the step's content key to be computed, or for the step to run? Starts
 * what is missing: then *ret_there is false, and the loop comes back. */
int need_operands(struct step *s, bool *ret_there, struct cairn_err *err);
int need_inputs(struct step *s, bool *ret_there, struct cairn_err *err);
/* Ask the remotes for the step's content key, when that may help. A hit completes the step. */
void need_content(struct step *s, bool *ret_there);
/* What was brought for this step alone goes. */
void need_release(struct step *s);
/* Begin to bring the files that commands will stand on, before their steps can start. */
void need_ahead(struct engine_build *b);
/* The files of the image, when outputs want them. */
int need_image(struct engine_build *b, bool *ret_there, struct cairn_err *err);
/* Tell how far all that is. */
void need_progress(struct engine_build *b);
struct pool *need_pool(const struct engine_build *b); /* for tasks that wait for other machines */

/* --- step_mounts.c: cache mounts --- */

/* All cache mounts of a step, or none: nothing is held while another one is waited for. */
int mounts_lock(struct step *s, bool *ret_ok, struct cairn_err *err);
/* Begin to fill them from other machines; false: nothing to do. When all are there,
 * op_run_start() is called. */
bool mounts_restore(struct step *s);
/* The cache mount at index i of node->run.mounts, held; two with one id are one. */
struct store_mount *mounts_get(const struct step *s, size_t i);
/* The step's command ran and the step is over: let go of them, and see what is to be saved. */
void mounts_used(struct step *s, bool ok);
void mounts_release(struct step *s);

/* --- step.c --- */
void step_emit(struct step *s, enum event_kind kind);
/* EVENT_START, once. */
void step_show(struct step *s);
/* It cannot be made. */
void step_fail(struct step *s, const struct cairn_err *cause);
/* Nothing more is started, what runs is killed; the first failure is the build's. */
void steps_stop(struct engine_build *b, const struct cairn_err *err);
/* Start what can be started now. */
void steps_advance(struct engine_build *b);
/* There is output to be read. */
void step_output(struct step *s, enum run_stream stream);
/* The command has ended: read the rest, keep its changes or fail. */
void step_ended(struct step *s);

/* --- loop.c --- */
/* Until every needed step is done, or something failed and nothing runs any more. */
void loop_run(struct engine_build *b);

/* --- build.c --- */
void build_emit(struct engine_build *b, const struct build_event *ev);
void build_warn(struct engine_build *b, unsigned step, const char *fmt, ...) PRINTF(3, 4);
struct step *build_step(struct engine_build *b, const struct graph_node *n);
/* A step got its chain. */
void build_step_done(struct step *s, const struct chain *chain, bool hit);

#endif
