/* registry/mirror.h - where a registry's images are to be had instead. Private.
 *
 * A mirror is asked first and believed no more than the registry itself: what has a digest is
 * compared with it, whoever sent it.  A mirror that is down, knows nothing or refuses is passed
 * over; the user is told once, and one that is down or sent a damaged layer is not asked again.
 */
#ifndef CAIRN_REGISTRY_MIRROR_H
#define CAIRN_REGISTRY_MIRROR_H

#include "registry.h"

#define MIRROR_NONE SIZE_MAX

/* A name under which something may be found. */
struct place {
	struct reference ref;
	size_t mirror; /* index in registry_opts.mirrors, or MIRROR_NONE: the registry itself */
};

struct mirrors;

struct mirrors *mirrors_new(const struct registry_opts *opts);
void mirrors_free(struct mirrors *m); /* NULL is fine */

/* Where to ask for `ref`, best first; owned, *ret_n >= 1 of them.
 *
 * blobs  for a layer or config: copies of single images (registry_mirror.domain NULL) come after
 *        the registry itself, unless one of them has served this repository */
struct place *mirrors_places(struct mirrors *m, const struct reference *ref, bool blobs,
                             size_t *ret_n);

/* `p` had something of this repository: it is asked first from now on. */
void mirrors_served(struct mirrors *m, const struct reference *ref, const struct place *p);

/* `p` failed with *err. Is it worth to ask the next place? Tells the user, but not that a mirror
 * has not a blob: it may be of a repository that nobody mirrors. */
bool mirrors_pass_over(struct mirrors *m, const struct place *p, bool blob,
                       const struct cairn_err *err);

#endif
