/* util/proc.h - run a program and read what it says.
 *
 * For short helpers (credential helpers, git): no shell, nothing inherited but the
 * environment and the working directory.  May be called from any thread: the child is
 * started with posix_spawn (vfork semantics) and awaited by its own pid.
 */
#ifndef CAIRN_UTIL_PROC_H
#define CAIRN_UTIL_PROC_H

#include <stdint.h>

#include "util/err.h"
#include "util/strbuf.h"

struct proc_opts {
	const char *const *argv; /* ends with NULL; argv[0] without a slash is found in $PATH */
	str input;               /* its standard input */
	uint64_t timeout_ns;     /* then it and its children are killed */
};

struct proc_result {
	int exit_code;        /* 0..255, or 128 + the signal that killed it */
	struct strbuf output; /* standard output, up to the maximum it was initialised with */
	struct strbuf errors; /* standard error, likewise; what is too much is dropped */
};

void proc_result_init(struct proc_result *r, size_t max_output);
void proc_result_done(struct proc_result *r); /* wipes: output may be a secret */
#define cleanup_proc_result __attribute__((cleanup(proc_result_done)))

/* Run and wait. A non-zero exit code is success here: the caller looks at r.
 *
 * Fails with CAIRN_E_NOT_FOUND when there is no such program, CAIRN_E_TIMEOUT,
 * CAIRN_E_SYNTAX when the output is larger than its maximum, CAIRN_E_SYSTEM. */
int proc_run(const struct proc_opts *o, struct proc_result *r, struct cairn_err *err);

#endif
