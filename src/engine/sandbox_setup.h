/* sandbox_setup.h - inside the new namespaces: from a job to the command.
 *
 * sandbox_ops.c carries out the operations, with the mounts of sandbox_mount.c, the root and
 * trees of sandbox_overlay.c and the /dev of sandbox_dev.c; sandbox_exec.c sheds rights and
 * executes. All of it runs in a single-threaded process that is
 * process 1 of its pid namespace and has its own copy of the mount table.
 */
#ifndef CAIRN_ENGINE_SANDBOX_SETUP_H
#define CAIRN_ENGINE_SANDBOX_SETUP_H

#include "sandbox_stub.h"
#include "sandbox_wire.h"

struct setup {
	const struct sandbox_job *job;
	struct arena *a;
	int staging;  /* our tmpfs, hidden once the root is changed */
	int root;     /* the root of the sandbox, mounted below staging */
	int *trees;   /* by number of the tree, from 1 */
	int *sources; /* by index of the operation: what a BIND binds, else -1 */
	int stub_log; /* where the log of stubs in a ROOT_DIR goes, for the helper */
	unsigned n_overlays;
};

/* Tell cairn something the user should know; does not fail. */
void setup_warn(const char *fmt, ...) PRINTF(1, 2);

/* Make the root of the sandbox and all that is mounted in it, and change to it. Afterwards
 * nothing of the host is reachable by path. */
int setup_mounts(struct setup *s, struct cairn_err *err);

/* Our tmpfs on the scratch directory, with an empty directory "empty"; the host does not see it. */
int setup_staging(struct setup *s, struct cairn_err *err);

/* Mount the overlay of a TREE below staging; *ret_fd (O_PATH) belongs to s. */
int setup_tree(struct setup *s, const struct sandbox_op *op, int *ret_fd, struct cairn_err *err);

/* Mount the root that a ROOT_OVERLAY or ROOT_DIR describes below staging, with stubs for what will
 * be mounted on: n wants, in the order of mounting. Sets s->root. */
int setup_root(struct setup *s, const struct sandbox_op *op, const struct stub_want *wants,
               size_t n, struct cairn_err *err);

/* Change to the new root and let go of the old one. */
int setup_change_root(const struct setup *s, struct cairn_err *err);

/* Does fd name a directory? */
bool setup_is_dir(int fd);

/* mount(2) onto what fd names. */
int setup_mount_fd(int fd, const char *source, const char *type, unsigned long flags,
                   const char *data);

/* Bind what `source` names onto `dest`, without device nodes unless `devices`. */
int setup_bind(const struct setup *s, int source, const char *dest, bool read_only, bool devices,
               struct cairn_err *err);

/* The same with all that is mounted below source, never with device nodes. */
int setup_bind_recursive(const struct setup *s, int source, const char *dest, bool read_only,
                         struct cairn_err *err);

/* Add mount(2) flags to those that the mount fd has; returns as mount(2). */
int setup_remount(int fd, unsigned long add);

/* Mount a file system of its own at dest; returns an O_PATH descriptor of its root when
 * ret_fd is not NULL. */
int setup_fs(const struct setup *s, const char *type, const char *dest, unsigned long flags,
             const char *data, int *ret_fd, struct cairn_err *err);

/* The minimal /dev. */
int setup_dev(const struct setup *s, const struct sandbox_op *op, struct cairn_err *err);

/* A device file for binding over what must read as empty: /dev/null in staging. */
int setup_null(const struct setup *s, int *ret_fd, struct cairn_err *err);

/* Take on user, limits and filter, then execute the command. Returns only with an error.
 * alive: a descriptor that ends when the helper dies. */
int setup_exec(const struct sandbox_job *job, int alive, struct cairn_err *err);

/* Close all descriptors from first on. */
void setup_close_from(unsigned first);

#endif
