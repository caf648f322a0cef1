/* sandbox_stub.h - places to mount on, where the tree has none.
 *
 * Overlay: stubs go into a throw-away directory that becomes the topmost lower layer. A
 * directory that merges with one below must look like it, so metadata is copied.
 * The upper, which becomes the layer, is not touched.
 * Plain: stubs go into the tree itself, are remembered, and removed after the step.
 */
#ifndef CAIRN_ENGINE_SANDBOX_STUB_H
#define CAIRN_ENGINE_SANDBOX_STUB_H

#include "util/arena.h"
#include "util/strbuf.h"
#include "util/vec.h"

/* Longest log as bytes: 1024 mounts with long paths. */
#define STUB_LOG_MAX (8u << 20)

/* Something that was made. Strings live in the arena given to the functions. */
struct stub_entry {
	const char *path; /* in the tree, without a leading slash or links */
	bool dir;
};

/* A directory that got a stub, with its times (ns). after: its mtime with the stub in it. */
struct stub_parent {
	const char *path; /* "." = the root */
	int64_t atime, mtime, after;
};

/* What was made in a tree, to undo it. A zeroed struct is empty. */
struct stub_log {
	VEC(struct stub_entry) made; /* in the order of making */
	VEC(struct stub_parent) parents;
};

void stub_log_done(struct stub_log *l);
#define cleanup_stub_log __attribute__((cleanup(stub_log_done)))

/* As bytes, for passing from one process to another that trusts it; and back. */
void stub_log_write(const struct stub_log *l, struct strbuf *out);
int stub_log_read(str bytes, struct arena *a, struct stub_log *ret, struct cairn_err *err);

/* One mount point to be. */
struct stub_want {
	const char *dest; /* absolute */
	bool dir;         /* a directory, else a file is mounted there */
};

/* Make what is missing of these mount points, given in the order of mounting. A dest inside an
 * earlier one is left out: it is to be made in what is mounted there.
 *
 * treefd  the tree as it is below the mounts
 * outfd   where the stubs go; -1: into the tree itself
 * log     what was made; owned by the caller, strings in a */
int stub_make(int treefd, int outfd, const struct stub_want *wants, size_t n, struct arena *a,
              struct stub_log *log, struct cairn_err *err);

/* Remove the stubs from the tree again; directories the step put something into stay. The
 * times of their parents come back unless the step changed them. The tree is
 * hostile by now: nothing is followed out of it. Things that are gone are fine. */
void stub_undo(int treefd, const struct stub_log *log);

/* Make the components of rest ("a/b") in dirfd: directories 0755, the last one a
 * directory or an empty file. */
int stub_make_rest(int dirfd, const char *rest, bool dir, struct cairn_err *err);

#endif
