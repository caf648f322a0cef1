/* util/strbuf.h - a growable byte buffer with a maximum.
 *
 * Adding beyond the maximum sets `overflow` and drops the bytes; the owner
 * checks once, at the end, with strbuf_check().  `ptr` is always followed by a
 * NUL that is not counted in `len`.
 */
#ifndef CAIRN_UTIL_STRBUF_H
#define CAIRN_UTIL_STRBUF_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"
#include "util/str.h"

struct strbuf {
	char *ptr;     /* owned; "" when nothing was added */
	size_t len;    /* bytes used */
	size_t cap;    /* bytes allocated, 0 while ptr is static */
	size_t max;    /* most bytes that may be added */
	bool overflow; /* something was dropped */
};

void strbuf_init(struct strbuf *b, size_t max); /* empty; allocates nothing yet */
void strbuf_done(struct strbuf *b);             /* frees; b is empty again, with the same maximum */
void strbuf_clear(struct strbuf *b);            /* empty, the memory is kept */

/* Append; what does not fit is dropped whole and sets `overflow`. */
void strbuf_add(struct strbuf *b, const void *p, size_t n);
void strbuf_str(struct strbuf *b, str s);
void strbuf_cstr(struct strbuf *b, const char *s);
void strbuf_char(struct strbuf *b, char c);
void strbuf_printf(struct strbuf *b, const char *fmt, ...) PRINTF(2, 3);
void strbuf_u32le(struct strbuf *b, uint32_t v); /* four bytes, little-endian */
void strbuf_u64le(struct strbuf *b, uint64_t v); /* eight bytes, little-endian */

/* What is in the buffer; dies with the next change. */
static inline str strbuf_view(const struct strbuf *b)
{
	return str_n(b->ptr, b->len);
}

/* The bytes as an owned C string; the buffer is empty afterwards. */
char *strbuf_steal(struct strbuf *b);

/* Fails with CAIRN_E_SYNTAX "WHAT is larger than N bytes" when something was dropped. */
int strbuf_check(const struct strbuf *b, const char *what, struct cairn_err *err);

/* For a variable that was strbuf_init()ed: released at the end of its scope. */
#define cleanup_strbuf __attribute__((cleanup(strbuf_done)))

#endif
