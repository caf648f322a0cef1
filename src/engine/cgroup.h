/* cgroup.h - one control group a step, to measure it and to tell what killed it.
 *
 * v1: the memory and cpuacct hierarchies; v2: the unified one. Where the caller's own group
 * cannot be written, nothing happens and nothing is said: rusage and the kernel's
 * counters stand in.
 */
#ifndef CAIRN_ENGINE_CGROUP_H
#define CAIRN_ENGINE_CGROUP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe.h"

/* A group, all of it or in part not there: all functions take that. */
struct cgroup {
	enum cgroup_version version;
	char memory[600]; /* directory of the group; "" = none */
	char cpu[600];    /* v1: of cpuacct; v2: "" */
	uint64_t kills;   /* the machine's oom_kill counter at the start */
};

/* What it measured; 0 = not known. */
struct cgroup_stat {
	uint64_t cpu_ns;
	uint64_t peak_bytes;
	bool oom; /* a process was killed for memory: in the group, else on the machine meanwhile */
};

/* Find where groups can be made: fills the four fields of machine about cgroups and makes
 * nothing. Returns why steps get none, or "". text is a static or machine's. */
const char *cgroup_probe(struct machine *m);

/* Name the group `name` below these directories ("" = none); nothing is made. */
void cgroup_name(enum cgroup_version version, const char *memory, const char *cpu, const char *name,
                 struct cgroup *ret);

/* Make the named group and put pid into it; what cannot be made is "" afterwards. memory_max: 0
 * = no limit. Returns false when it could not be set. */
bool cgroup_enter(struct cgroup *c, pid_t pid, uint64_t memory_max);

/* Read the counters; everything in the group has ended. */
void cgroup_read(const struct cgroup *c, struct cgroup_stat *ret);

/* Remove the group; its processes have ended or are about to. */
void cgroup_remove(struct cgroup *c);

#endif
