/* engine/userdb.h - users and groups of an image, from its /etc/passwd and /etc/group. */
#ifndef CAIRN_ENGINE_USERDB_H
#define CAIRN_ENGINE_USERDB_H

#include <stdint.h>
#include <sys/types.h>

#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"

#define USERDB_ID_MAX 2147483647u /* as Docker: larger numbers are refused */

struct userdb {
	str passwd; /* text of /etc/passwd; empty when there is none */
	str group;  /* text of /etc/group */
};

struct userdb_user {
	uint32_t uid, gid;
	str home;      /* "/" when the user has no entry */
	gid_t *groups; /* supplementary; gid is the first of them, as in Docker; in the arena */
	size_t n_groups;
};

/* Find "user[:group]", each a name or a number, as USER takes it; empty is root.
 *
 * A number need not have an entry; its group is then 0. With a group named, that is the only
 * supplementary group, as in Docker.
 * Fails with CAIRN_E_NOT_FOUND naming the user or group. */
int userdb_find(const struct userdb *db, str spec, struct arena *a, struct userdb_user *ret,
                struct cairn_err *err);

/* The same for --chown: without a group the user's number is the group too, as in BuildKit for
 * names it is the user's group. */
int userdb_owner(const struct userdb *db, str spec, uint32_t *ret_uid, uint32_t *ret_gid,
                 struct cairn_err *err);

#endif
