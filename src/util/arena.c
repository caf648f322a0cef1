#include "util/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CHUNK_MIN 8192

struct chunk {
	struct chunk *next;
	size_t used, cap;
	alignas(max_align_t) char data[];
};

struct arena {
	struct chunk *head; /* the one being filled; full ones follow */
};

struct arena *arena_new(void)
{
	return xcalloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	for (struct chunk *c = a->head, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(a);
}

/* Sanitizer builds give each allocation a chunk of its own, so that an
 * overrun between neighbours is seen. */
#ifdef __SANITIZE_ADDRESS__
#define ONE_EACH true
#else
#define ONE_EACH false
#endif

void *arena_alloc(struct arena *a, size_t n)
{
	struct chunk *c = a->head;
	const size_t align = alignof(max_align_t);
	void *p;

	if (n > SIZE_MAX - sizeof(*c) - CHUNK_MIN)
		CAIRN_BUG("arena allocation of %zu bytes", n);
	n = (n + align - 1) / align * align;
	if (ONE_EACH || !c || c->cap - c->used < n) {
		size_t cap = ONE_EACH || n > CHUNK_MIN / 4 ? n : CHUNK_MIN;

		c = xmalloc(sizeof(*c) + cap);
		c->used = 0;
		c->cap = cap;
		if (a->head && cap == n && !ONE_EACH) { /* keep filling the old one */
			c->next = a->head->next;
			a->head->next = c;
		} else {
			c->next = a->head;
			a->head = c;
		}
	}
	p = c->data + c->used;
	c->used += n;
	return n ? memset(p, 0, n) : p;
}

str arena_str(struct arena *a, str s)
{
	char *p = arena_alloc(a, s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	return str_n(p, s.len);
}

char *arena_cstr(struct arena *a, str s)
{
	char *p = arena_alloc(a, s.len + 1);

	if (s.len)
		memcpy(p, s.ptr, s.len);
	return p;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap;
	char *p;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	p = arena_alloc(a, (size_t)n + 1);
	va_start(ap, fmt);
	(void)vsnprintf(p, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return p;
}

str arena_clean_path(struct arena *a, str path)
{
	char *out = arena_alloc(a, path.len + 2);
	size_t n = 0;
	str rest = path, part;

	while (str_next(&rest, '/', &part)) {
		if (!part.len || str_is(part, "."))
			continue;
		if (str_is(part, "..")) {
			while (n && out[--n] != '/')
				;
			continue;
		}
		out[n++] = '/';
		memcpy(out + n, part.ptr, part.len);
		n += part.len;
	}
	if (!n)
		out[n++] = '/';
	out[n] = '\0';
	return str_n(out, n);
}
