/* sandbox_setup.h - inside the new namespaces: from a job to the command.
 *
 * sandbox_mount.c carries out the operations, sandbox_dev.c makes /dev, sandbox_exec.c
 * sheds rights and executes. All of it runs in a single-threaded process that is
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

/* mount(2) onto what fd names. */
int setup_mount_fd(int fd, const char *source, const char *type, unsigned long flags,
                   const char *data);

/* Bind what `source` names onto what `target` names, and see it as *ret_fd (may be NULL). Without
 * device nodes unless `devices`. */
int setup_bind(const struct setup *s, int source, const char *dest, bool read_only, bool devices,
               struct cairn_err *err);

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
