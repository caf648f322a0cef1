/* probe_try.h - private: try in a child process what would change this one. */
#ifndef CAIRN_ENGINE_PROBE_TRY_H
#define CAIRN_ENGINE_PROBE_TRY_H

#include <stdbool.h>

#include "util/err.h"

/* Each is 0 or the errno of what failed first; *_step says what that was. A thing that
 * could not be tried because one before it failed has its error. */
struct probe_try {
	int userns;     /* a user namespace in which mounting works */
	int namespaces; /* mount, pid, ipc, uts, net */
	char namespaces_step[32];
	int proc;    /* a /proc of the new pid namespace */
	int overlay; /* mount on the store, whiteout, opaque directory */
	char overlay_step[32];
};

/* Where the caller is not root, all is tried in a user namespace. userxattr: the overlay's marks
 * are to be user.overlay.* (in a user namespace others are refused). Fails with
 * CAIRN_E_SYSTEM when store cannot be written to. */
int probe_try(const char *store, bool userxattr, struct probe_try *ret, struct cairn_err *err);

#endif
