/* util/vec.h - growable arrays of any type, as macros.
 *
 *	VEC(struct layer) v = { 0 };       a struct { struct layer *ptr; size_t len, cap; }
 *	vec_push(&v, layer);
 *	vec_foreach (l, &v) use(l);        l is a pointer to the element
 *	vec_free(&v);
 *
 * The array owns its storage, not what its elements point to.
 */
#ifndef CAIRN_UTIL_VEC_H
#define CAIRN_UTIL_VEC_H

#include "util/mem.h"

#define VEC(type)                \
	struct {                 \
		type *ptr;       \
		size_t len, cap; \
	}

#define vec_reserve(v, n)                                                                          \
	do {                                                                                       \
		size_t need_ = (n);                                                                \
		if (need_ > (v)->cap) {                                                            \
			size_t cap_ = (v)->cap ? (v)->cap * 2 : 8;                                 \
			if (cap_ < need_)                                                          \
				cap_ = need_;                                                      \
			/* elements may be pointers: NOLINTNEXTLINE(bugprone-sizeof-expression) */ \
			(v)->ptr = xreallocarray((v)->ptr, cap_, sizeof(*(v)->ptr));               \
			(v)->cap = cap_;                                                           \
		}                                                                                  \
	} while (0)

#define vec_push(v, ...)                              \
	do {                                          \
		vec_reserve((v), (v)->len + 1);       \
		(v)->ptr[(v)->len++] = (__VA_ARGS__); \
	} while (0)

#define vec_last(v) (&(v)->ptr[(v)->len - 1])

#define vec_foreach(it, v) \
	for (__typeof__(*(v)->ptr) *it = (v)->ptr; it && it < (v)->ptr + (v)->len; it++)

#define vec_free(v)                      \
	do {                             \
		free((v)->ptr);          \
		(v)->ptr = NULL;         \
		(v)->len = (v)->cap = 0; \
	} while (0)

#endif
