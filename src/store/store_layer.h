/* store_layer.h - layers: description and index, unpacked directories, compressed forms.
 *
 * A layer is known by its diff_id (digest of the uncompressed tar). It has one
 * index, any number of unpacked directories and any number of compressed blobs;
 * each may be absent but the index.
 *
 * A directory is known by a key: the diff_id itself, or the chain id where the
 * directory's layout depended on the layers below.
 */
#ifndef CAIRN_STORE_LAYER_H
#define CAIRN_STORE_LAYER_H

#include "store.h"

struct store_layer {
	struct digest diff_id;
	struct digest content; /* digest over the canonical index, without times */
	uint64_t tar_size;     /* bytes of the uncompressed tar */
	uint64_t n_entries;    /* of the index */
	int64_t created;       /* ns since 1970; when the step that made it ended */
	bool foreign;          /* made elsewhere: its tar cannot be made again from the files */
};

/* Describe a layer; the layer is leased. */
int store_layer_find(struct store *s, const struct digest *diff_id, struct store_layer *ret,
                     bool *ret_found, struct cairn_err *err);

/* Append the layer's encoded index to out, verified against the digest it was stored
 * with. Absent: CAIRN_E_NOT_FOUND. Damaged: the layer is forgotten, CAIRN_E_DIGEST. */
int store_layer_index_read(struct store *s, const struct digest *diff_id, struct strbuf *out,
                           struct cairn_err *err);

/* The key of a directory whose layout depended on the layers below it: a digest over the
 * diff_ids of the layer and of those below, n in all, bottom first. Never a diff_id, also
 * for n = 1 (as OCI's chain id would be): such a directory is right there and nowhere else. */
struct digest store_layer_chain_key(const struct digest *diff_ids, size_t n);

/* The directories of n keys in one look-up; they are leased. ret_paths: n absolute
 * paths, each owned by the caller, NULL where there is none. */
int store_layer_dirs_find(struct store *s, const struct digest *keys, size_t n, char **ret_paths,
                          struct cairn_err *err);

/* Forget a directory that turned out to be damaged or gone; the layer stays. */
int store_layer_dir_forget(struct store *s, const struct digest *key, struct cairn_err *err);

/* Forget a layer with its index, directories and compressed forms. */
int store_layer_forget(struct store *s, const struct digest *diff_id, struct cairn_err *err);

/* A layer in the making: an empty tree on the store's file system. */
struct store_layer_txn;

/* Begin a layer. Its root is a new directory: mode 0755, own group, no ACL, no setgid bit,
 * whatever the store's own directory looks like. */
int store_layer_begin(struct store *s, struct store_layer_txn **ret, struct cairn_err *err);
const char *store_layer_txn_fs(const struct store_layer_txn *t); /* the tree; overlay's upper */
const char *store_layer_txn_work(
	const struct store_layer_txn *t); /* an empty sibling; overlay's work */

struct store_layer_new {
	struct store_layer layer;
	str index;                    /* encoded, not empty */
	const struct digest *dir_key; /* keep the tree under this key; NULL = discard it */
	uint64_t dir_bytes;           /* bytes of its files, for usage figures */
};

/* Publish the layer: index, and the tree under dir_key, in one step. Where another process
 * committed the same layer or directory first, theirs stays and ours is discarded.
 * Nothing may be mounted on or from the tree. *ret_path (may be NULL) is the directory's
 * path, owned; NULL without dir_key. t must still be freed. */
int store_layer_commit(struct store_layer_txn *t, const struct store_layer_new *l, char **ret_path,
                       struct cairn_err *err);

/* The same for a layer of which only the index is known (a base that was not unpacked). */
int store_layer_put(struct store *s, const struct store_layer_new *l, struct cairn_err *err);

/* Without a commit: remove the tree. NULL is fine. */
void store_layer_txn_free(struct store_layer_txn *t);
DEFINE_CLEANUP(struct store_layer_txn *, store_layer_txn_free);
#define cleanup_store_layer_txn __attribute__((cleanup(store_layer_txn_free_p_)))

/* The canonical compressed form of a layer in one variant (its media type, plus
 * whatever else changes the bytes). */
struct store_layer_blob {
	struct digest digest;
	uint64_t size;
};

/* Record a compressed form. The first one recorded wins: *ret_canonical is what everybody
 * must use from now on. */
int store_layer_blob_put(struct store *s, const struct digest *diff_id, str variant,
                         const struct store_layer_blob *blob,
                         struct store_layer_blob *ret_canonical, struct cairn_err *err);

/* The canonical form; the blob's bytes need not be here, when they are they are leased. */
int store_layer_blob_find(struct store *s, const struct digest *diff_id, str variant,
                          struct store_layer_blob *ret, bool *ret_found, struct cairn_err *err);

/* A canonical form of any variant, rather one whose bytes are here; *ret_variant is which one,
 * owned, or NULL when there is none. */
int store_layer_blob_any(struct store *s, const struct digest *diff_id,
                         struct store_layer_blob *ret, char **ret_variant, struct cairn_err *err);

#endif
