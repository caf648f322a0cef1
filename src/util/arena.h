/* util/arena.h - memory that is freed all at once.
 *
 * A tree (a parsed Dockerfile, a graph, an index) owns its nodes through one
 * arena.  Not thread-safe.  Pointers die with the arena.
 */
#ifndef CAIRN_UTIL_ARENA_H
#define CAIRN_UTIL_ARENA_H

#include "util/err.h"
#include "util/mem.h"
#include "util/str.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *a); /* NULL is fine */
DEFINE_CLEANUP(struct arena *, arena_free);
#define cleanup_arena __attribute__((cleanup(arena_free_p_)))

void *arena_alloc(struct arena *a, size_t n); /* zeroed, aligned for any type */
str arena_str(struct arena *a, str s);        /* copy, NUL-terminated */
char *arena_cstr(struct arena *a, str s);     /* the same as a C string */
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);

/* path as an absolute one without "", "." and "..", which end at "/"; NUL-terminated. No file
 * system is asked: links are names like others. */
str arena_clean_path(struct arena *a, str path);

#define arena_new_of(a, type)   ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), sizeof(type) * (n)))

#endif
