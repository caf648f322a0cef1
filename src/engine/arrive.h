/* engine/arrive.h - private: a layer that comes from elsewhere becomes one of the store.
 *
 *	arrive_limits(&limits, err)            once
 *	arrive_unpack(&a, &reader, &got, err)  decompresses, unpacks, hashes in one pass
 *	... the caller checks that the blob was the one it asked for ...
 *	arrive_commit(&a, &got, &dir, err)     checks what came out, and keeps it
 *	arrival_done(&got)
 */
#ifndef CAIRN_ENGINE_ARRIVE_H
#define CAIRN_ENGINE_ARRIVE_H

#include "layer/layer.h"
#include "store/store.h"

struct pool;

/* Whose ids exist here, and which overlay marks can be read back. */
struct arrive_limits {
	uint32_t max_id;              /* 0: no limit */
	enum layer_xattr_ns xattr_ns; /* of opaque marks */
};

/* Ask the kernel, for the process as it is now. Fails with CAIRN_E_SYSTEM. */
int arrive_limits(struct arrive_limits *ret, struct cairn_err *err);

/* A layer on its way. Everything is borrowed. */
struct arriving {
	struct store *store;
	struct pool *pool;                  /* reads and hashes ahead; may be NULL */
	const struct arrive_limits *limits; /* never NULL */
	const struct digest *ids; /* diff IDs of the chain, bottom first; the layer is the last */
	size_t n;                 /* of ids; at least 1 */
	const struct tree *below; /* what the layer lies on */
	bool foreign;             /* made elsewhere: its tar cannot be made again from its files */
	/* Open a file of a lower layer (layer_unpack_opts). */
	int (*open_lower)(void *ctx, const struct tree_node *node, int *ret_fd,
	                  struct cairn_err *err);
	void *ctx; /* of open_lower */
	/* What is promised; none, 0: nothing is. */
	struct digest content; /* content digest of its index */
	uint64_t tar_size;     /* bytes of its tar */
};

/* A layer that has been unpacked and is not kept yet. Owned by the caller. */
struct arrival {
	struct store_layer_txn *txn; /* its files; owned */
	struct layer_result result;  /* its index and diff ID; owned */
	enum compress_kind kind;     /* of what was read, when arrive_unpack() decompressed it */
};
void arrival_done(struct arrival *a); /* what was not kept is removed; a zeroed one is fine */
#define cleanup_arrival __attribute__((cleanup(arrival_done)))

/* raw: the blob, or with `plain` the tar itself. Fails as layer_unpack() does. */
int arrive_unpack(const struct arriving *a, const struct layer_reader *raw, bool plain,
                  struct arrival *ret, struct cairn_err *err);

/* Is it the layer that it should be? Fails with CAIRN_E_DIGEST, saying what differs. */
int arrive_check(const struct arriving *a, const struct arrival *got, struct cairn_err *err);

/* Keep it. *ret_dir (may be NULL): its directory, owned. Fails with CAIRN_E_UNSUPPORTED when the
 * store has the layer with another content: on other lower layers it came to something else. */
int arrive_commit(const struct arriving *a, struct arrival *got, char **ret_dir,
                  struct cairn_err *err);

#endif
