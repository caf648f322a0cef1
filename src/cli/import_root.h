/* cli/import_root.h - a root file system as a tar becomes an image of one layer.
 *
 * The archive is unpacked into the store and written again in cairn's canonical
 * form: the same files give the same layer whatever tool packed them, and the
 * layer's tar can be made again from the files, so that the archive is not kept.
 */
#ifndef CAIRN_CLI_IMPORT_ROOT_H
#define CAIRN_CLI_IMPORT_ROOT_H

#include "image/image.h"
#include "layer/layer.h"
#include "store/store.h"

struct pool;

/* Unpack the tar into the store as a layer without a layer below.
 *
 * max_id    largest uid and gid that can be made here; 0: no limit
 * ns        namespace of overlay's marks: TRUSTED for root, else USER
 * created   ns since 1970, recorded with the layer
 * ret       its diff_id
 *
 * Fails as layer_unpack() does; with CAIRN_E_SYNTAX when the archive is empty. */
struct import_root {
	struct store *store;
	struct pool *pool;
	uint32_t max_id;
	enum layer_xattr_ns ns;
	int64_t created;
};

int import_root(const struct import_root *in, const struct layer_reader *tar, struct digest *ret,
                struct cairn_err *err);

/* Apply the instructions of --change ("CMD [\"sh\"]", "ENV A=b") to a config, as if they
 * followed FROM. Only instructions that make no files are taken.
 * Fails with CAIRN_E_USAGE naming the instruction. */
int import_changes(const char *const *changes, size_t n, const struct platform *platform,
                   struct arena *a, struct image_config *ret, struct cairn_err *err);

#endif
