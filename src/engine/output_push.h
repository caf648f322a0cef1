/* engine/output_push.h - private to output*.c: an image on its way into repositories.
 *
 * Nothing is sent that the registry has.  Asked once, at the beginning, is what the first tag
 * means now: layers of that image are there, and when it is the image that is to be pushed that was
 * all.  Each layer that a step of this build made goes off as soon as it is compressed, while later
 * steps run; layers that were known before wait until it is clear that the image is a new one.
 * A layer comes, in this order,
 *
 *	from a blob of the store, when it is small and new: beside its way into a cache
 *	from another repository of that registry, mounted: where a base image or a cache has it
 *	from a blob of the store
 *	from where the supply knows it to be, through this machine
 *
 * Config and manifest follow when all layers are there, then the tags.
 *
 * Threads of its own wait for the registry; one compresses.  States are guarded by the lock.
 */
#ifndef CAIRN_ENGINE_OUTPUT_PUSH_H
#define CAIRN_ENGINE_OUTPUT_PUSH_H

#include <pthread.h>

#include "output_priv.h"
#include "publish.h"
#include "supply.h"

enum push_state {
	PUSH_IDLE,
	PUSH_RUNNING,
	PUSH_DONE,
	PUSH_FAILED,
};

/* A layer in one repository. */
struct push_part {
	struct push_layer *layer;
	struct push_repo *repo;
	enum push_state state;
	bool again; /* the repository does not have it, whatever was thought */
	int result; /* FAILED, and why */
	struct cairn_err err;
};

#define PUSH_ORIGINS_MAX 8 /* repositories of a blob that are remembered; the latest are enough */

/* A layer of the image. */
struct push_layer {
	struct push *p;
	struct layer_blob_source src;
	bool base;
	bool fresh;            /* made by a step of this build: nobody has it yet */
	enum push_state state; /* of finding out what is sent */
	int result;
	struct cairn_err err;
	/* DONE: */
	struct descriptor blob;
	bool stored;    /* its blob is in the store, or can be made here */
	bool elsewhere; /* `where` says where else it is */
	struct supply_layer where;
	/* "registry/repository" of those that the store remembers for the blob. */
	str origins[PUSH_ORIGINS_MAX];
	size_t n_origins;
	struct push_part *parts; /* by repository */
};

/* A repository with the tags that are set. */
struct push_repo {
	struct push *p;
	struct reference ref; /* with its first tag */
	const char **tags;
	size_t n_tags;
	bool looked; /* the first tag was looked at */
	/* What it meant: none, when there was no such tag. */
	struct digest was;
	struct map has; /* digests (as bytes) of blobs that are there */
};

struct push {
	struct outputs *o;
	const struct output *output;
	struct layer_blob_form form;
	struct pool *makers, *net;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	struct arena *arena;
	struct push_repo *repos;
	size_t n_repos;
	VEC(struct push_layer *) layers; /* in the order they became known */
	struct map by_id;                /* diff ID -> struct push_layer * */
	bool go;                         /* the image is a new one: layers may leave */
	bool looking;                    /* the registry is asked, or was */
	bool timing;                     /* the time runs after which `go` is set, or ran */
	bool finishing, stopped;
	unsigned running;     /* parts on their way */
	uint64_t total, done; /* bytes that have to be sent, and that were */
};

/* Sets up; asks nobody. Fails with CAIRN_E_USAGE. */
int push_new(struct outputs *o, const struct output *output, struct push **ret,
             struct cairn_err *err);

/* Ask the registry what the tags mean, if nobody has yet. */
void push_begin(struct push *p);

void push_free(struct push *p); /* gives up what runs; NULL is fine */

/* The image begins with this chain. Main thread. */
void push_chain(struct push *p, const struct chain *chain);

/* How far the bytes are. */
void push_progress(struct push *p, uint64_t *ret_done, uint64_t *ret_total);

/* Bring everything there. A pool thread. */
int push_write(struct push *p, struct out_job *j, struct cairn_err *err);

bool push_stopping(const struct push *p);
struct registry *push_registry(const struct push *p);

/* Start whatever can go on. With the lock. */
void push_advance(struct push *p);

/* --- output_push_look.c: what is there already; with the lock --- */

/* Ask what the tags mean, once. */
void push_look(struct push *p);

/* The first layer is known: from here the time counts after which the image is taken for a new
 * one; before it caches were asked. Once. */
void push_time(struct push *p);

/* --- output_push_layer.c: work without the lock --- */

/* Find out what the layer is called in its form. */
int push_layer_find(struct push_layer *l, struct cairn_err *err);

/* Bring it into the part's repository. */
int push_part_bring(struct push_part *part, struct cairn_err *err);

#endif
