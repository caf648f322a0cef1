#include "util/strbuf.h"

#include <stdarg.h>
#include <stdio.h>

static char empty[1]; /* never written: cap is 0 while ptr points here */

void strbuf_init(struct strbuf *b, size_t max)
{
	*b = (struct strbuf){ .ptr = empty, .max = max };
}

void strbuf_done(struct strbuf *b)
{
	int saved = errno;

	if (b->cap)
		free(b->ptr);
	strbuf_init(b, b->max);
	errno = saved;
}

void strbuf_clear(struct strbuf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->cap)
		b->ptr[0] = '\0';
}

static bool reserve(struct strbuf *b, size_t n)
{
	size_t need, cap;

	if (n > b->max - b->len) {
		b->overflow = true;
		return false;
	}
	need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	b->ptr = xrealloc(b->cap ? b->ptr : NULL, cap);
	b->cap = cap;
	return true;
}

void strbuf_add(struct strbuf *b, const void *p, size_t n)
{
	if (!n || !reserve(b, n))
		return;
	memcpy(b->ptr + b->len, p, n);
	b->len += n;
	b->ptr[b->len] = '\0';
}

void strbuf_str(struct strbuf *b, str s)
{
	strbuf_add(b, s.ptr, s.len);
}

void strbuf_cstr(struct strbuf *b, const char *s)
{
	strbuf_add(b, s, strlen(s));
}

void strbuf_char(struct strbuf *b, char c)
{
	strbuf_add(b, &c, 1);
}

void strbuf_printf(struct strbuf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n > 0 && reserve(b, (size_t)n)) {
		(void)vsnprintf(b->ptr + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

void strbuf_u32le(struct strbuf *b, uint32_t v)
{
	uint8_t p[4];

	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
	strbuf_add(b, p, sizeof(p));
}

void strbuf_u64le(struct strbuf *b, uint64_t v)
{
	strbuf_u32le(b, (uint32_t)v);
	strbuf_u32le(b, (uint32_t)(v >> 32));
}

char *strbuf_steal(struct strbuf *b)
{
	char *p = b->cap ? b->ptr : xstrdup("");

	strbuf_init(b, b->max);
	return p;
}

int strbuf_check(const struct strbuf *b, const char *what, struct cairn_err *err)
{
	if (b->overflow)
		return cairn_fail(err, CAIRN_E_SYNTAX, "%s is larger than %zu bytes", what, b->max);
	return 0;
}
