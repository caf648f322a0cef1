/* probe.h - what this machine and this user allow, and what cairn does instead.
 *
 * Nothing is assumed from versions: what matters is tried, in a child process where it
 * would change this one. `cairn doctor` prints the table, the engine chooses
 * drivers from it.
 */
#ifndef CAIRN_ENGINE_PROBE_H
#define CAIRN_ENGINE_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

/* In the order in which doctor prints them. */
enum probe_kind {
	PROBE_KERNEL,
	PROBE_PRIVILEGE,  /* root, root of a user namespace, or an ordinary user */
	PROBE_USERNS,     /* may make user namespaces */
	PROBE_SUBIDS,     /* ranges in /etc/subuid and /etc/subgid, newuidmap and newgidmap */
	PROBE_OVERLAY,    /* overlayfs with its upper in the store */
	PROBE_REFLINK,    /* the store's file system clones files */
	PROBE_FUSE,       /* /dev/fuse opens */
	PROBE_NAMESPACES, /* mount, pid, ipc, uts, net */
	PROBE_PROC,       /* a new one can be mounted; what hides processes from steps */
	PROBE_SECCOMP,
	PROBE_CGROUP, /* version, and whether steps get groups of their own */
	PROBE_LIMITS, /* descriptors, CAP_SYS_RESOURCE */
	PROBE_MEMORY,
	PROBE_DISK,
	PROBE_N_,
};

enum probe_state {
	PROBE_OK,
	PROBE_DEGRADED, /* works in another way, see instead */
	PROBE_BROKEN,   /* RUN steps do not work */
};

/* One row of the table. */
struct probe_row {
	const char *name; /* "overlay"; static */
	enum probe_state state;
	char found[256];   /* what was found, and why: "mount: Operation not permitted" */
	char instead[256]; /* what cairn does instead; "" when PROBE_OK */
};

enum cgroup_version {
	CGROUP_NONE,
	CGROUP_V1,
	CGROUP_V2,
};

struct machine {
	struct probe_row rows[PROBE_N_]; /* by enum probe_kind */

	bool root;      /* effective uid 0 in the initial user namespace */
	bool in_userns; /* in a user namespace that is not the initial one */
	bool userns;    /* can make one */
	bool subids;    /* newuidmap and ranges: more than one id */
	bool overlay;   /* overlayfs on the store works, in the user namespace if that is needed */
	bool overlay_userxattr; /* and needs userxattr */
	bool reflink;
	bool fuse;
	bool seccomp;
	enum cgroup_version cgroup;
	/* Where steps get cgroups: absolute directories that can be written; "" = none.
	 * v2 uses cgroup_memory alone. */
	char cgroup_memory[512];
	char cgroup_cpu[512];
	uint64_t nofile_hard;
	bool cap_sys_resource;
	uint64_t memory_bytes;
	uint64_t disk_free; /* bytes a user may write on the store's file system */
	uint32_t uid, gid;  /* outside any namespace of ours */
};

/* Look. store: an existing directory on the store's file system; a hidden subdirectory is
 * made and removed again for the tries. Takes about 3 ms. Fails only when store cannot be
 * written (CAIRN_E_SYSTEM): everything else is a row. */
int probe_machine(const char *store, struct machine *ret, struct cairn_err *err);

/* A reason why RUN cannot work here, or NULL: the first broken row's text. */
const char *probe_blocker(const struct machine *m);

#endif
