/* sandbox_seccomp.h - the system-call filter of a step, in the spirit of Docker's default profile.
 *
 * A call on the list of allowed calls works. One that is known and not on it fails with EPERM.
 * One the library does not know yet fails with ENOSYS, so that programs built for newer
 * kernels fall back to what they used before. 32-bit and x32 programs get the same filter.
 */
#ifndef CAIRN_ENGINE_SANDBOX_SECCOMP_H
#define CAIRN_ENGINE_SANDBOX_SECCOMP_H

#include "util/err.h"
#include "util/strbuf.h"

/* Largest program: BPF_MAXINSNS instructions of 8 bytes. */
#define SECCOMP_PROGRAM_MAX (4096u * 8u)

/* Append the compiled program, struct sock_filter[], for processes with these
 * capabilities (bit N = capability N): some calls are allowed with CAP_SYS_ADMIN ... only.
 * Takes a few milliseconds: once per process. Fails with CAIRN_E_SYSTEM. */
int seccomp_compile(uint64_t caps, struct strbuf *out, struct cairn_err *err);

/* The same program, at once for the default capabilities: that one was compiled when cairn was
 * built (seccomp_gen.c). */
int seccomp_program(uint64_t caps, struct strbuf *out, struct cairn_err *err);

/* Put it onto this process and its future children; needs CAP_SYS_ADMIN or no_new_privs.
 * Returns 0 or -1 with errno. */
int seccomp_apply(const void *program, size_t bytes);

#endif
