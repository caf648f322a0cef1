/* userns.h - cairn without root: the whole program again, inside a user namespace.
 *
 * Layers hold files of many owners, and overlayfs keeps marks in extended attributes:
 * both are only right when read and written inside one user namespace (DECISIONS.md 11).
 * So cairn starts itself again in one, with the caller's ids as root and
 * his ranges of /etc/subuid and /etc/subgid after it, and lets that process do the
 * work. A build in which nothing runs and nothing is unpacked never gets here.
 */
#ifndef CAIRN_ENGINE_USERNS_H
#define CAIRN_ENGINE_USERNS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/* Set in the environment of the inner process: "UID:GID" of the caller outside. */
#define USERNS_ENV "CAIRN_USERNS"

/* Most ranges of one map: the kernel's limit. */
#define USERNS_RANGES_MAX 340

struct userns_range {
	uint32_t inside, outside, count;
};

struct userns_map {
	struct userns_range uid[USERNS_RANGES_MAX], gid[USERNS_RANGES_MAX];
	unsigned n_uid, n_gid;
};

/* Is this the inner process? Its environment says so, and the maps of its namespace agree. The two
 * ids of the caller come back (may be NULL). */
bool userns_inside(uint32_t *ret_uid, uint32_t *ret_gid);

/* Does this process need to re-execute before it runs steps or unpacks layers: not root,
 * and not inside yet? */
bool userns_needed(void);

/* Execute argv again in a new user and mount namespace, forward signals to it, wait, and
 * return its exit status (128 + signal when one ended it) in *ret_status.
 *
 * more     "NAME=value" for its environment; NULL = nothing
 * warning  at least 256 bytes; "" or one line that the caller shows: without ranges in
 *          /etc/subuid only one id exists inside, files of others cannot be made
 *
 * Fails with CAIRN_E_DENIED when user namespaces are not allowed (the message says which
 * setting forbids them); nothing has been executed then. Call it before threads exist. */
int userns_reexec(char **argv, const char *more, char *warning, int *ret_status,
                  struct cairn_err *err);

/* The map the caller would get, from the texts of /etc/subuid and /etc/subgid (pure). user is
 * his name, may be empty. Fails with CAIRN_E_SYNTAX, naming the line. */
int userns_parse(const char *subuid, const char *subgid, const char *user, uint32_t uid,
                 uint32_t gid, struct userns_map *ret, struct cairn_err *err);

/* The map the caller would get on this machine. Fails with CAIRN_E_SYNTAX. */
int userns_caller_map(struct userns_map *ret, struct cairn_err *err);

/* The map of this process, from /proc/self/uid_map and gid_map. */
int userns_read_map(struct userns_map *ret, struct cairn_err *err);

/* Is root inside this map that user and group outside, and is it a real namespace: not the one that
 * maps all ids to themselves? (pure) */
bool userns_map_root(const struct userns_map *m, uint32_t uid, uint32_t gid);

/* Can a file be given this owner? For the unpacking of layers: 0, or CAIRN_E_DENIED with
 * "uid 70000 of 'PATH' has no place in this user namespace (ids 0-65536): ...". */
int userns_check_owner(const struct userns_map *m, uint32_t uid, uint32_t gid, const char *path,
                       struct cairn_err *err);

#endif
