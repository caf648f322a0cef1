/* sandbox_wire.h - what passes between cairn and its sandbox helper.
 *
 * Job: in a memory file, descriptor SANDBOX_FD_JOB of the helper.
 *
 *	u32 SANDBOX_WIRE_MAGIC, u32 SANDBOX_WIRE_VERSION
 *	fields in a fixed order (sandbox_wire.c): u32, u64, or bytes framed by a u32 length
 *
 * all little-endian. Both ends are the same program, so a wrong version is a bug; the
 * bounds are checked all the same, as the reader runs with all rights.
 *
 * Status: records of struct sandbox_status on a pipe, each one atomic write.
 */
#ifndef CAIRN_ENGINE_SANDBOX_WIRE_H
#define CAIRN_ENGINE_SANDBOX_WIRE_H

#include "probe.h"
#include "sandbox.h"
#include "util/strbuf.h"

#define SANDBOX_WIRE_MAGIC   0x62736163u /* "casb" */
#define SANDBOX_WIRE_VERSION 1u

/* Descriptors of the helper; 0, 1 and 2 are the command's. */
enum {
	SANDBOX_FD_JOB = 3,    /* the job */
	SANDBOX_FD_STATUS = 4, /* status records go out here */
	SANDBOX_FD_DEATH = 5,  /* end of file: whoever started this is dead or wants it to end */
	SANDBOX_FD_N = 6,
};

/* All the helper is told. */
struct sandbox_job {
	struct sandbox_spec spec;
	const char *scratch; /* see struct sandbox_host_opts */
	str filter;          /* seccomp program: struct sock_filter[]; empty = none */
	enum cgroup_version cgroup;
	const char *cgroup_memory, *cgroup_cpu; /* see struct machine */
	const char *cgroup_name;                /* of the step's group below them */
};

/* Append a checked job. */
void sandbox_job_write(const struct sandbox_job *job, struct strbuf *out);

/* Parse a job; strings live in a. Checks as sandbox_spec_check(). Fails with CAIRN_E_DIGEST
 * for bytes that are no job of this version. */
int sandbox_job_read(str bytes, struct arena *a, struct sandbox_job *ret, struct cairn_err *err);

enum sandbox_status_kind {
	SANDBOX_STATUS_ERROR = 1, /* the set-up failed: err */
	SANDBOX_STATUS_WARNING,   /* warning */
	SANDBOX_STATUS_RESULT,    /* the command ended */
};

struct sandbox_status {
	uint32_t magic, version; /* SANDBOX_WIRE_... */
	enum sandbox_status_kind kind;
	int code, sys;               /* ERROR: of struct cairn_err */
	int wait_status;             /* RESULT: as waitpid() gives it */
	int64_t end_ns;              /* RESULT: clock_monotonic() when it ended */
	uint64_t cpu_ns, peak_bytes; /* RESULT */
	bool oom;                    /* RESULT: the kernel killed something meanwhile */
	char text[512];              /* ERROR, WARNING */
};

#endif
