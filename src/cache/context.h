/* cache/context.h - the files of a build context: what is there, and its digests.
 *
 * A scan looks at names, types, modes and sizes only; contents are read when somebody asks
 * for their digests (context_hash), so that files no COPY reaches are never read.  Digests
 * of earlier builds come from the stat cache (statcache.h).
 *
 * Symbolic links are entries; nothing follows them out of the context.  All files belong
 * to root, as in Docker; extended attributes, sockets and special files do not
 * travel.
 */
#ifndef CAIRN_CACHE_CONTEXT_H
#define CAIRN_CACHE_CONTEXT_H

#include "layer/layer.h"
#include "store/store.h"
#include "util/pool.h"

#define CONTEXT_ENTRIES_MAX 4000000u /* files in one context */

struct context;

/* What is left out (.dockerignore). Both are called from several threads at once. A
 * directory that is excluded but holds files that are not is an entry. */
struct context_filter {
	/* Is the path left out? NULL: nothing is. */
	bool (*excluded)(void *ctx, str path, bool is_dir);
	/* dir is excluded: is everything below it, too? NULL: yes. */
	bool (*may_skip_dir)(void *ctx, str dir);
	void *ctx;
};

struct context_opts {
	int dirfd;        /* the root directory; duplicated */
	const char *name; /* for messages: "the build context" */
	struct context_filter filter;
	/* Look only at these paths and what is below them; with none, at everything. A link in
	 * such a path is followed inside the context, and what it leads to is looked
	 * at too. Of a path that does not exist nothing is said here. */
	const str *needed;
	size_t n_needed;
	struct pool *pool;
	struct store *store; /* where the stat cache is; NULL: without one */
	/* Something is left out that the user may miss. Main thread; may be NULL. */
	void (*warn)(void *ctx, const char *text);
	void *warn_ctx;
};

/* Walk the context.
 *
 * Fails with CAIRN_E_SYSTEM naming a directory that cannot be read, and with CAIRN_E_SYNTAX
 * when there are more than CONTEXT_ENTRIES_MAX files. A file that vanishes
 * meanwhile was never there. */
int context_scan(const struct context_opts *opts, struct context **ret, struct cairn_err *err);

/* Keeps new digests for the next build (context_save), then frees. NULL is fine. */
void context_free(struct context *c);
DEFINE_CLEANUP(struct context *, context_free);
#define cleanup_context __attribute__((cleanup(context_free_p_)))

/* All entries, sorted as layer/entry.h says, the root left out; every parent directory is
 * among them. FILE, DIR and SYMLINK only; mtime in ns; digest all zero until hashed. They
 * live as long as c. */
const struct layer_entry *context_entries(const struct context *c, size_t *ret_n);

/* The entry of exactly this path, or NULL. */
const struct layer_entry *context_find(const struct context *c, str path);

/* Fill in the digests of these entries of c; those that have one and those that are no
 * files are passed over. Reads in the pool. Size, mode and mtime become those of
 * what was read.
 *
 * Fails with CAIRN_E_SYSTEM naming a file that cannot be read, with CAIRN_E_TRANSIENT
 * naming one that is being written or was replaced. */
int context_hash(struct context *c, const struct layer_entry *const *entries, size_t n,
                 struct cairn_err *err);

/* Open a file of the context for reading, without following any link. Any thread. */
int context_open(const struct context *c, const struct layer_entry *e, int *ret_fd,
                 struct cairn_err *err);

int context_dirfd(const struct context *c); /* the root; owned by c */

/* Write the stat cache when there is something new. Failure is no error: it is a cache. */
void context_save(struct context *c);

struct context_stats {
	uint64_t files;  /* FILE entries found by the scan */
	uint64_t hashed; /* files read by context_hash() */
	uint64_t hashed_bytes;
	uint64_t known; /* digests that came from the stat cache */
};

struct context_stats context_stats(const struct context *c);

#endif
