/* util/mem.h - allocation that cannot fail, and ownership made visible.
 *
 * Running out of memory aborts: no caller has a better answer.  Every length
 * that comes from outside must therefore be bounded before it is allocated.
 */
#ifndef CAIRN_UTIL_MEM_H
#define CAIRN_UTIL_MEM_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

void *xmalloc(size_t n);                           /* never NULL, also for n == 0 */
void *xcalloc(size_t n, size_t size);              /* zeroed; checks n * size */
void *xrealloc(void *p, size_t n);                 /* as realloc */
void *xreallocarray(void *p, size_t n, size_t sz); /* checks n * sz */
char *xstrdup(const char *s);                      /* owned copy; s is not NULL */
char *xstrndup(const char *s, size_t n);           /* owned copy of at most n bytes */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* free() for a `cleanup_free` variable; keeps errno. */
static inline void mem_cleanup_(void *p)
{
	int saved = errno;

	free(*(void **)p);
	*(void **)p = NULL;
	errno = saved;
}
#define cleanup_free __attribute__((cleanup(mem_cleanup_)))

/* Define `cleanup_NAME`-able functions: DEFINE_CLEANUP(struct arena *, arena_free)
 * gives arena_free_p_, to be used as __attribute__((cleanup(arena_free_p_))). */
#define DEFINE_CLEANUP(type, fn)            \
	static inline void fn##_p_(type *p) \
	{                                   \
		int saved_ = errno;         \
		fn(*p);                     \
		*p = NULL;                  \
		errno = saved_;             \
	}                                   \
	struct cleanup_semicolon_

/* Hand a pointer over: returns *p and sets it to NULL. */
#define steal_ptr(p)                        \
	({                                  \
		__typeof__(*(p)) s_ = *(p); \
		*(p) = NULL;                \
		s_;                         \
	})

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
