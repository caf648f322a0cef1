/* sandbox_exe.h - a copy of this program that nobody can change. */
#ifndef CAIRN_ENGINE_SANDBOX_EXE_H
#define CAIRN_ENGINE_SANDBOX_EXE_H

#include "util/err.h"

/* Open an executable copy of a program: a sealed memory file, or where the kernel has none
 * (or forbids to execute it) an unlinked file in dir, opened read-only.
 *
 * A command in the sandbox can execute /proc/self/exe and so have cairn run against the
 * image's libraries, with its executable open (CVE-2019-5736): what it can then write to is
 * this copy, and a seal or the read-only descriptor keeps it from that too.
 *
 * path  NULL: this program. ret_fd is O_CLOEXEC. Fails with CAIRN_E_SYSTEM. */
int sandbox_exe_open(const char *path, const char *dir, int *ret_fd, struct cairn_err *err);

#endif
