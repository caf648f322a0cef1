/* engine/publish_priv.h - private to publish*.c.
 *
 * All states are guarded by publisher.lock.  While a layer or a part is PUB_RUNNING, what it is
 * about belongs to the thread that works on it; once it is PUB_DONE it does not change.
 */
#ifndef CAIRN_ENGINE_PUBLISH_PRIV_H
#define CAIRN_ENGINE_PUBLISH_PRIV_H

#include <pthread.h>

#include "publish.h"
#include "util/map.h"
#include "util/pool.h"
#include "util/vec.h"

enum pub_state {
	PUB_IDLE,
	PUB_RUNNING, /* in a pool */
	PUB_DONE,
	PUB_FAILED,
};

/* A layer in the remote of one target. */
struct pub_part {
	struct pub_layer *layer;
	size_t target;
	enum pub_state state;
	bool told;    /* by an entry of that remote: nothing has to be sent */
	bool covered; /* an entry that can be seen names its blobs: safe from collection */
	/* As that remote's entries describe it: */
	struct descriptor blob, index;
	str index_bytes; /* the index stands in the entries; else it is a blob */
	str from;
};

/* A layer in one form. */
struct pub_layer {
	struct publisher *p;
	struct digest *ids; /* diff IDs of the chain up to it */
	size_t n;
	bool base; /* of a base image */
	struct layer_blob_form form;
	enum pub_state state;
	/* DONE: */
	struct descriptor blob;
	struct descriptor index; /* digest none: not known */
	str index_bytes;         /* of it, when they are few; else empty */
	str from;                /* "registry/repository" where the blob stays, or empty */
	bool here;               /* the store has it, so that its blob can be made */
	bool elsewhere;          /* `where` says from where it can be had */
	bool lost;               /* it was said to be elsewhere and is not */
	struct supply_layer where;
	struct pub_part *parts; /* by target */
};

enum pub_stage {
	PUB_ASK,    /* does the remote have the entry? */
	PUB_LAYERS, /* its layers are on their way */
	PUB_PUT,    /* the entry itself */
	PUB_END,
};

/* A record on its way into one remote. */
struct pub_entry {
	struct publisher *p;
	size_t target;
	struct digest *keys;
	size_t n_keys;
	str record;
	bool forced; /* takes the place of what is there */
	bool retried;
	struct pub_layer **layers;
	size_t n;
	enum pub_stage stage;
	bool busy;          /* a task works on it */
	bool expected;      /* its keys are asked for, or were, while its layers went */
	unsigned expecting; /* tasks that do so */
};

/* A key of an entry that is asked for. */
struct pub_asking {
	struct pub_entry *entry;
	const struct digest *key;
};

struct pub_target {
	struct publisher *p;
	const struct publish_target *opts;
	size_t form;    /* layers of equal forms are shared by targets */
	bool wrote;     /* something is on its way to it: that shows whether it can be written */
	bool failed;    /* nothing more is sent to it */
	bool told;      /* the user knows that it failed */
	bool away;      /* it did not answer: its entries wait until it does, or for the end */
	bool asked;     /* whether it is back: a task */
	bool last;      /* this is the end: nothing waits any more */
	size_t missing; /* entries that did not get there */
	struct cairn_err err;
};

struct publisher {
	struct publish_opts opts;
	struct pool *press_pool; /* compresses pieces */
	struct pool *makers;     /* one thread: brings layers into their form */
	struct pool *net;        /* everything that waits for a remote */
	struct pool *checker;    /* one thread: publisher_check(); NULL: nobody asked for it */
	int64_t check_at;        /* clock_now() from when on it asks */
	atomic_bool stop;
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	struct arena *arena;
	struct pub_target *targets;
	struct map layers; /* form and diff ID -> struct pub_layer * */
	VEC(struct pub_entry *) entries;
	VEC(char *) warnings; /* owned; for the main thread to show */
	size_t open;          /* entries that have not ended */
	size_t waiting;       /* of them: those whose target is away */
	unsigned asking;      /* targets that are asked whether they are back */
	unsigned parts;       /* being sent or about to */
	uint64_t total, done; /* bytes of the parts of this build */
};

/* --- publish_entry.c ------------------------------------------------------------- */

/* The remote has an entry for the key: what it says about its layers need not be sent. With the
 * lock. */
void pub_entry_learn(struct pub_entry *e, str text);

/* Make an entry visible; its layers are there. What it covers then is noted. Without the lock.
 * Fails as remote_entry_put(). */
int pub_entry_put(struct pub_entry *e, struct cairn_err *err);

/* One line for the user. Main thread. */
void pub_warn(struct publisher *p, str text);

/* Ask targets that are away whether they are back, those where it makes sense; what waits for them
 * then goes on. last: all of them, and what fails from now on does not wait again. */
void pub_come_back(struct publisher *p, bool last);

/* --- publish_layer.c: the work on one layer; without the lock --- */

/* Find out what the layer is called in its form and where it is. */
int pub_layer_make(struct pub_layer *l, struct cairn_err *err);

/* Is it known to be in that remote? */
bool pub_is_at(const struct pub_layer *l, const struct remote *remote);

/* Bring it into the remote of the part's target. *ret_remote: the remote is to blame. */
int pub_part_send(struct pub_part *part, bool *ret_remote, struct cairn_err *err);

#endif
