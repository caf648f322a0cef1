/* sandbox.h - run one command in namespaces of its own.
 *
 * A sandbox is described by a spec: a list of typed operations (mounts, files,
 * masks) and a few settings (user, capabilities, limits). sandbox_start()
 * checks it, writes it to a memory file and starts the helper: cairn itself,
 * executed again from a sealed copy, so that nothing inside can reach the
 * program of the host. The helper makes mount, pid, ipc, uts, cgroup (and
 * network) namespaces, carries the operations out in order and executes the
 * command, which is process 1 of its namespace.
 *
 *	struct sandbox_spec spec;
 *	sandbox_spec_init(&spec);
 *	rootfs_prepare(rootfs, &request, &spec, &root, err);      (see rootfs.h)
 *	sandbox_add_defaults(&spec, 0);
 *	sandbox_add_file(&spec, "/etc/hosts", hosts, 0644, 0, 0);
 *	spec.argv = ...; spec.n_argv = ...; spec.env = ...;
 *	sandbox_start(host, &spec, &proc, err);
 *	... poll proc->out_fd, proc->err_fd, proc->done_fd ...
 *	sandbox_finish(proc, &result, err);
 *
 * No file system of a sandbox honours device nodes (nodev) but the bind-mounted ones in
 * /dev: a step may mknod, as in Docker, and cannot open what it made. Docker reaches the
 * same with a device cgroup, which needs more rights than cairn always has.
 *
 * What is as in Docker: the 14 default capabilities, the seccomp profile, masked and
 * read-only paths, /dev, umask 022, and no_new_privs is NOT set: a build runs setuid
 * programs (sudo, su, mount helpers of package scripts) as `docker build` does.
 * What is not: the network is the host's unless said otherwise.
 *
 * Lifetime: everything in a sandbox dies with the process that started it, also by
 * kill -9: the helper watches a pipe whose other end only the starter holds, and
 * the command has PDEATHSIG on the helper. The helper's own PDEATHSIG fires when the
 * THREAD that started it ends: call sandbox_start() from the main thread.
 *
 * Threads: a host belongs to the main thread. Other threads may exist; the helper
 * is started with posix_spawn.
 */
#ifndef CAIRN_ENGINE_SANDBOX_H
#define CAIRN_ENGINE_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "event.h"
#include "util/arena.h"
#include "util/err.h"
#include "util/str.h"
#include "util/vec.h"

struct machine;

/* argv[1] of the helper. main() calls sandbox_main() when it sees it, before anything else. */
#define SANDBOX_HELPER_ARG "--sandbox-helper"

/* Largest serialized spec, secrets and all. */
#define SANDBOX_SPEC_MAX (16u << 20)

/* Most lower layers of one overlay: the kernel's limit. */
#define SANDBOX_LOWERS_MAX 500

/* Most operations of a spec. */
#define SANDBOX_OPS_MAX 1024

enum sandbox_op_kind {
	SANDBOX_ROOT_OVERLAY, /* the root: an overlay */
	SANDBOX_ROOT_DIR,     /* the root: a directory */
	SANDBOX_TREE,         /* an overlay at a hidden place, as a source of binds */
	SANDBOX_BIND,         /* a directory or file of the host, or of a TREE */
	SANDBOX_TMPFS,
	SANDBOX_PROC,
	SANDBOX_SYS,    /* sysfs, read-only */
	SANDBOX_DEV,    /* the minimal /dev with pts, shm, mqueue and links */
	SANDBOX_FILE,   /* a file with given bytes, bind-mounted; never in the layer */
	SANDBOX_MASK,   /* hide a file or directory when it exists */
	SANDBOX_RDONLY, /* make a path read-only when it exists */
	SANDBOX_OP_N_,
};

enum sandbox_op_flags {
	SANDBOX_READ_ONLY = 1u << 0, /* BIND, FILE */
	SANDBOX_RECURSIVE = 1u << 1, /* BIND: with the mounts below */
	SANDBOX_VOLATILE = 1u << 2,  /* overlay: no sync; its work directory is thrown away */
	SANDBOX_USERXATTR =
		1u << 3, /* overlay: attributes as user.overlay.* (in a user namespace) */
	SANDBOX_OPTIONAL = 1u << 4, /* BIND: fine when the source does not exist */
	SANDBOX_NOEXEC = 1u << 5,   /* TMPFS, BIND */
};

/* Directories of an overlay; all on the host, absolute. */
struct sandbox_overlay {
	const char *const *lowers; /* top layer first; 0 .. SANDBOX_LOWERS_MAX - 1 */
	size_t n_lowers;
	const char *upper; /* NULL: nothing can be written */
	const char *work;  /* empty, on upper's file system; NULL exactly when upper is */
	/* Empty directory on upper's file system for stubs of missing mount points; it
	 * becomes the topmost lower. NULL: a missing mount point is an error. */
	const char *stubs;
};

/* One operation. Which fields count depends on the kind (table in sandbox_spec.c); the
 * others must be zero. */
struct sandbox_op {
	enum sandbox_op_kind kind;
	unsigned flags; /* SANDBOX_READ_ONLY ... */
	str dest;       /* absolute path inside; symbolic links are followed inside */
	/* BIND of the host, ROOT_DIR: absolute path on the host, trusted. */
	str src;
	/* BIND: path below src or inside the tree, resolved without leaving it; "" = all. */
	str sub;

	unsigned tree;                  /* BIND: 0 = host, else the number of a TREE (from 1) */
	struct sandbox_overlay overlay; /* ROOT_OVERLAY, TREE */
	str bytes;                      /* FILE */
	mode_t mode;                    /* FILE, TMPFS */
	uid_t uid;                      /* FILE, TMPFS */
	gid_t gid;
	uint64_t size; /* TMPFS: bytes, 0 = half of memory; DEV: of /dev/shm, 0 = 64 MiB */
};

enum sandbox_network {
	SANDBOX_NET_HOST, /* the host's: reaches its loopback and its metadata service */
	SANDBOX_NET_NONE, /* a new one with loopback only */
};

enum sandbox_stdio {
	SANDBOX_STDIO_PIPES, /* stdin /dev/null, stdout and stderr are pipes; session of its own */
	/* Those of cairn (`cairn run`); terminal and process group too, unless the
	 * kernel lets a program type into its terminal (TIOCSTI). */
	SANDBOX_STDIO_INHERIT,
};

struct sandbox_limit {
	int resource;        /* RLIMIT_NOFILE ... */
	uint64_t soft, hard; /* UINT64_MAX = unlimited */
};

struct sandbox_spec {
	struct arena *arena; /* owns what the sandbox_add functions copied */
	VEC(struct sandbox_op) ops;
	unsigned n_trees;

	/* Borrowed by the caller's choice of lifetime: must live until sandbox_start() returned. */
	const char *const *argv; /* argv[0] with a slash, or looked up in PATH of env */
	size_t n_argv;
	const char *const *env; /* "NAME=value"; replaces the environment */
	size_t n_env;
	const char *cwd;      /* absolute; made inside when it is missing; NULL = "/" */
	const char *hostname; /* NULL = "buildkitsandbox", as BuildKit */

	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* supplementary; gid itself need not be in it */
	size_t n_groups;

	uint64_t caps; /* bit N = capability N in the bounding set; SANDBOX_CAPS_DEFAULT */
	bool seccomp;  /* true after init */
	enum sandbox_network network;
	enum sandbox_stdio stdio;
	const struct sandbox_limit *limits;
	size_t n_limits;
	uint64_t memory_max; /* bytes the step's cgroup may use; 0 = no limit. Needs a cgroup. */
};

/* chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw
 * sys_chroot mknod audit_write setfcap: what Docker gives. */
#define SANDBOX_CAPS_DEFAULT 0xa80425fbull

/* A spec without operations: seccomp on, default capabilities, root, host network. */
void sandbox_spec_init(struct sandbox_spec *s);
void sandbox_spec_done(struct sandbox_spec *s);
#define cleanup_sandbox_spec __attribute__((cleanup(sandbox_spec_done)))

/* Add an operation. Strings and bytes are copied; a lower directory that an overlay names twice is
 * taken once, at its upper place. Mounts are carried out in the order of
 * the depth of dest (shallow first), equal depths in the order of adding, whatever
 * the order of the calls: a mount never hides one below it by accident. */
void sandbox_add(struct sandbox_spec *s, const struct sandbox_op *op);

/* The usual ones. */
void sandbox_add_bind(struct sandbox_spec *s, const char *src, const char *sub, const char *dest,
                      unsigned flags);
void sandbox_add_tree_bind(struct sandbox_spec *s, unsigned tree, const char *sub, const char *dest,
                           unsigned flags);
void sandbox_add_tmpfs(struct sandbox_spec *s, const char *dest, mode_t mode, uint64_t size);
void sandbox_add_file(struct sandbox_spec *s, const char *dest, str bytes, mode_t mode, uid_t uid,
                      gid_t gid);

/* A hidden overlay for binds (another stage's files); returns its number. Writable when it
 * has upper and work. The lists of o are copied. */
unsigned sandbox_add_tree(struct sandbox_spec *s, const struct sandbox_overlay *o, unsigned flags);

/* /proc, /sys, /dev (shm_size bytes of /dev/shm, 0 = 64 MiB), Docker's masked and
 * read-only paths. */
void sandbox_add_defaults(struct sandbox_spec *s, uint64_t shm_size);

/* Is the spec well formed? Every start checks. Fails with CAIRN_E_BUG for what only
 * cairn can get wrong (no root, unknown tree), CAIRN_E_SYNTAX for what a user can cause
 * (relative dest, too many layers, NUL in a path). */
int sandbox_spec_check(const struct sandbox_spec *s, struct cairn_err *err);

/* What all sandboxes of a process share. */
struct sandbox_host;

struct sandbox_host_opts {
	const struct machine *machine; /* borrowed; what probe_machine() found. Never NULL */
	/* An existing directory, hidden inside each sandbox by its staging area. Not one
	 * with layers below it: $CAIRN_HOME/mnt. */
	const char *scratch;
	const char *exe; /* program that has sandbox_main(); NULL = this one */
};

/* Cheap: the sealed copy of the program and the seccomp filter are made with the first start. */
int sandbox_host_new(const struct sandbox_host_opts *opts, struct sandbox_host **ret,
                     struct cairn_err *err);
void sandbox_host_free(struct sandbox_host *h); /* NULL is fine; all sandboxes are finished */
DEFINE_CLEANUP(struct sandbox_host *, sandbox_host_free);
#define cleanup_sandbox_host __attribute__((cleanup(sandbox_host_free_p_)))

struct cgroup;

/* A sandbox that runs. All descriptors are non-blocking, O_CLOEXEC and owned by it. */
struct sandbox_proc {
	pid_t pid;        /* of the helper, a child of this process; nobody else may wait for it */
	int out_fd;       /* what the command writes to stdout; -1 with SANDBOX_STDIO_INHERIT */
	int err_fd;       /* stderr, likewise */
	int done_fd;      /* readable as soon as sandbox_finish() will not block */
	int death_fd;     /* internal: closing it kills */
	int64_t start_ns; /* clock_monotonic() */
	bool killed;      /* sandbox_kill() was called */
	struct cgroup *group; /* internal: removed here when the helper was killed */
};

struct sandbox_result {
	int exit_code; /* 0..255 of the command; 128 + signal when a signal ended it */
	int signal;    /* that signal, or 0 */
	bool oom;      /* it failed and the kernel killed a process because memory ran out */
	bool killed;   /* by sandbox_kill() */
	struct step_cost cost; /* without written_bytes */
	char warning[256];     /* something the user should know (a clamped limit), or "" */
};

/* Start the command. Returns as soon as the helper runs: failures of the set-up come from
 * sandbox_finish(). Fails with what sandbox_spec_check() gives and CAIRN_E_SYSTEM. */
int sandbox_start(struct sandbox_host *h, const struct sandbox_spec *s, struct sandbox_proc **ret,
                  struct cairn_err *err);

/* Kill the command and all its processes; sandbox_finish() is still needed. */
void sandbox_kill(struct sandbox_proc *p);

/* Wait for the end (without blocking when done_fd is readable), release p in any case.
 * What is still in out_fd and err_fd is lost: read them to their end before.
 *
 * Success: the command ran, see *ret. Fails with CAIRN_E_STEP when the command could not
 * be executed ("cannot execute '/bin/sh': No such file or directory"), CAIRN_E_NOT_FOUND
 * for a missing bind source, user's directory or mount point, CAIRN_E_DENIED and
 * CAIRN_E_SYSTEM for another operation of the set-up; the message names it. */
int sandbox_finish(struct sandbox_proc *p, struct sandbox_result *ret, struct cairn_err *err);

/* The helper's main: never returns to its caller but with an exit status. */
int sandbox_main(int argc, char **argv);

#endif
