/* engine/supply_priv.h - private to supply*.c. */
#ifndef CAIRN_ENGINE_SUPPLY_PRIV_H
#define CAIRN_ENGINE_SUPPLY_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "arrive.h"
#include "supply.h"
#include "util/map.h"
#include "util/vec.h"

/* All that is known about where a layer's bytes are. */
struct supply_known {
	VEC(struct supply_layer) places; /* in the order in which they were learnt */
	bool asked_store;                /* what the store remembers is among them */
	bool counted;                    /* in the progress */
	bool busy;                       /* somebody brings its index */
};

/* A remote and how it behaves. */
struct supply_remote {
	struct remote *r;
	atomic_bool off; /* it has failed: not asked for entries any more */
};

/* An entry that was not believed. */
struct supply_refusal {
	const struct remote *remote;
	struct digest key;
};

struct supply {
	struct supply_opts opts;
	struct supply_doubts *doubts;
	bool own_doubts;
	struct supply_remote *remotes; /* opts.n */
	struct pool *net;              /* requests and downloads: threads that wait */
	struct pool *work;             /* layers that are unpacked; only these wait for `net` */
	struct pool *cpu;              /* decompression and hashing for them */
	atomic_bool stop;
	atomic_uint_least64_t done, total; /* progress */
	atomic_uint layers;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t idle;  /* a layer's `busy` has ended */
	struct arena *arena;  /* descriptors and names of places */
	struct map known;     /* diff ID -> struct supply_known * */
	VEC(struct supply_refusal) refused;
};

/* CAIRN_E_CANCELLED or 0. */
int supply_check_stop(struct supply *s, struct cairn_err *err);

/* Tell the user that a remote cannot be used, once for each. */
void supply_remote_failed(struct supply *s, struct supply_remote *r, const struct cairn_err *err);

/* Is it not to be believed what names this layer? */
bool supply_doubted(struct supply *s, const struct digest *diff_id);

/* What an entry of a remote says about its layers. */
void supply_remember(struct supply *s, struct remote *r, const struct remote_entry *e);

/* A copy of all places of a layer; in a. */
size_t supply_places(struct supply *s, const struct digest *diff_id, struct arena *a,
                     struct supply_layer **ret);

/* The store remembers the compressed form of a layer, and where it is when that is a registry. */
void supply_keep_place(struct supply *s, const struct digest *diff_id,
                       const struct supply_layer *place);

/* Bytes in memory as a layer_reader. */
struct supply_memory {
	str rest;
};
int supply_memory_read(void *ctx, void *p, size_t n, size_t *ret_n, struct cairn_err *err);

/* One thread brings a layer's index, the others wait for it. */
void supply_index_begin(struct supply *s, const struct digest *diff_id);
void supply_index_end(struct supply *s, const struct digest *diff_id);

/* A layer will be brought: it counts in the progress, once; false: it did already. */
bool supply_count(struct supply *s, const struct digest *diff_id);

/* --- supply_layer.c: one layer -------------------------------------------------- */

/* A layer of a chain that is brought. */
struct supply_item {
	struct supply *s;
	const struct chain_layer *layer;
	const struct digest *ids; /* of the chain up to it */
	size_t n;                 /* the layer is the n-th */
	const struct arrive_limits *limits;
	const struct tree *below; /* for supply_item_unpack() */
	int (*open_lower)(void *ctx, const struct tree_node *node, int *ret_fd,
	                  struct cairn_err *err);
	void *ctx;
	bool hard; /* set: it failed because of this machine; other sources will not help */
};

/* Bring its index into the store. Fails with CAIRN_E_NOT_FOUND when no place has it. */
int supply_item_index(struct supply_item *it, struct cairn_err *err);

/* Bring the layer itself. *ret_dir: its directory, owned. */
int supply_item_unpack(struct supply_item *it, char **ret_dir, struct cairn_err *err);

#endif
