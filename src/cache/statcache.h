/* statcache.h - digests of files that have not changed since they were read.
 *
 * One file per context root, contexts/HEX in the store, HEX = digest of the root's path:
 *
 *	header    "cairnctx", u32 version, u32 zero, u64 number of records, u64 bytes of
 *	          paths, SHA-256 over all that follows the header
 *	records   u64 dev, ino, size; i64 mtime_ns, ctime_ns; 32 bytes digest; u32 offset and
 *	          length of the path; u32 day last used (since 1970), u32 zero
 *	paths     bytes
 *
 * Numbers are little-endian; records are sorted by path (layer/entry.h).  A file that
 * is damaged or of another version counts as empty.
 *
 * A record is believed when all five numbers are equal.  It is written only when mtime
 * and ctime lie more than STATCACHE_RACY_NS before the moment the reading began:
 * a later change within one tick of the file system's clock could otherwise have left
 * them as they were (git: "racy git").
 */
#ifndef CAIRN_CACHE_STATCACHE_H
#define CAIRN_CACHE_STATCACHE_H

#include <stdint.h>
#include <sys/stat.h>

#include "store/store.h"

#define STATCACHE_RACY_NS   2000000000ll
#define STATCACHE_BYTES_MAX (1 << 30)
#define STATCACHE_KEEP_DAYS 30 /* records that no build used for so long are dropped */

/* What identifies a state of a file. */
struct stat_id {
	uint64_t dev, ino, size;
	int64_t mtime_ns, ctime_ns; /* ns since 1970 */
};

struct stat_id stat_id_of(const struct stat *st);
bool stat_id_eq(const struct stat_id *a, const struct stat_id *b);

/* Was a file in this state unchanged for long enough when reading it began at `now`? */
bool stat_id_settled(const struct stat_id *id, int64_t now);

struct statcache;

/* Read the cache of a root. Never fails: what cannot be read is empty. store may be NULL. */
struct statcache *statcache_open(struct store *store, const char *root);
void statcache_free(struct statcache *c); /* NULL is fine */

/* The digest of a file in this state; false when not known. Asking in the order of
 * paths is fastest. */
bool statcache_find(struct statcache *c, str path, const struct stat_id *id,
                    struct digest *ret_digest);

/* Remember one more; path is borrowed until statcache_save(). */
void statcache_add(struct statcache *c, str path, const struct stat_id *id,
                   const struct digest *digest);

/* Write the cache when something was added. Failure is silent. */
void statcache_save(struct statcache *c);

#endif
