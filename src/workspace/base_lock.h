/* workspace/base_lock.h - cairn.lock, the digests that tags of base images are pinned to.
 *
 *	# Base images and what their tags mean here. ...
 *	docker.io/library/debian:12 sha256:4724...
 *
 * One line an image, sorted bytewise: the name as references are normalised and the digest of what
 * the tag points to, which is an index wherever the image is for several platforms: the lock
 * does not depend on the platform.  '#' begins a comment line.
 */
#ifndef CAIRN_WORKSPACE_BASE_LOCK_H
#define CAIRN_WORKSPACE_BASE_LOCK_H

#include "image/image.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/strbuf.h"
#include "util/vec.h"

#define BASE_LOCK_MAX (4u << 20) /* bytes of a file */

struct base_lock_line {
	str name;             /* "docker.io/library/debian:12" */
	struct digest digest; /* never none */
};

struct base_lock {
	struct arena *arena;              /* owns the names */
	VEC(struct base_lock_line) lines; /* sorted by name; names are unique */
	bool there;                       /* the file exists */
};

/* Read a lock file; one that is not there is empty. Fails with CAIRN_E_SYNTAX, path and line set.
 */
int base_lock_read(const char *path, struct base_lock **ret, struct cairn_err *err);

/* The same from a text. */
int base_lock_parse(str text, const char *path, struct base_lock **ret, struct cairn_err *err);

/* What `ref` is pinned to; NULL: nothing, or it has a digest of its own. */
const struct digest *base_lock_find(const struct base_lock *l, const struct reference *ref);

/* Pin, or pin anew. Copied. */
void base_lock_set(struct base_lock *l, str name, const struct digest *digest);

/* Append the file's text. */
void base_lock_encode(const struct base_lock *l, struct strbuf *out);

/* Replace the file; a reader sees the old or the new one. */
int base_lock_write(const struct base_lock *l, const char *path, struct cairn_err *err);

void base_lock_free(struct base_lock *l); /* NULL is fine */
DEFINE_CLEANUP(struct base_lock *, base_lock_free);
#define cleanup_base_lock __attribute__((cleanup(base_lock_free_p_)))

#endif
