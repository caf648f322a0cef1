/* cache/mount_pointer.h - what a remote keeps for one cache mount: the newest snapshot.
 *
 * A pointer of a remote (remote.h), so it is written in a scope and read from that and its
 * fallbacks.  Its name is a digest over what tells cache mounts apart:
 *
 *	id        of RUN --mount=type=cache: id=, else the target path
 *	platform  of the image; wheels, packages and objects of one are of no use to another
 *	ids       whether files of any owner can be made (root, or a range in /etc/subuid), or of
 *	          one only
 *
 * The project is not in it: a remote's prefix or repository belongs to a project, its scopes to
 * branches.
 *
 * The document is one JSON object:
 *	{"version":1,"created":"...","used":"...","bytes":N,"packed":N,"snapshot":{descriptor}}
 * or, when what was kept became too large, {"version":1,"created":"...","used":"...","empty":true}.
 */
#ifndef CAIRN_CACHE_MOUNT_POINTER_H
#define CAIRN_CACHE_MOUNT_POINTER_H

#include "image/image.h"
#include "util/strbuf.h"

struct mount_pointer {
	int64_t created; /* of the snapshot, ns since 1970 */
	int64_t used;    /* when a build last said that it still needs it */
	bool empty;      /* nothing is kept; the rest is not set */
	uint64_t bytes;  /* of all files */
	uint64_t packed; /* of all packs' blobs */
	/* Blob with the document (layer/snapshot.h), compressed with zstd. */
	struct descriptor snapshot;
};

/* all_ids: files of any owner can be made. */
struct digest mount_pointer_name(str id, const struct platform *platform, bool all_ids);

void mount_pointer_encode(const struct mount_pointer *p, struct strbuf *out);

/* Fails with CAIRN_E_DIGEST when it is damaged or of another version. */
int mount_pointer_decode(str text, struct mount_pointer *ret, struct cairn_err *err);

#endif
