/* layer/snapshot_code.h - private: what the files of snapshot.h share. */
#ifndef CAIRN_LAYER_SNAPSHOT_CODE_H
#define CAIRN_LAYER_SNAPSHOT_CODE_H

#include <sys/stat.h>

#include "snapshot.h"

#define SNAPSHOT_MAGIC     "cairnsnp"
#define SNAPSHOT_MAGIC_LEN 8u
#define SNAPSHOT_HEADER    (SNAPSHOT_MAGIC_LEN + 4 + 4 + 8)
#define SNAPSHOT_PACK_LEN  (8u + 8 + DIGEST_LEN)

/* A change of a file this near to the moment it was looked at may hide behind equal times. */
#define SNAPSHOT_RACY_NS (2 * 1000000000ll)

/* Put the parts together and check the rules of snapshot.h: packs are copied, the index is taken
 * over, also on failure. Fails with CAIRN_E_DIGEST. */
int snapshot_make(const struct snapshot_pack *packs, size_t n_packs, struct layer_index *index,
                  int64_t created, struct snapshot **ret, struct cairn_err *err);

/* Does an entry have bytes in a pack? */
static inline bool snapshot_has_bytes(const struct layer_entry *e)
{
	return e->type == LAYER_FILE && e->size > 0;
}

/* Position of the pack that the byte at `offset` of the stream lies in. */
size_t snapshot_pack_at(const struct snapshot *s, uint64_t offset);

int64_t snapshot_time(const struct timespec *t); /* ns */

#endif
