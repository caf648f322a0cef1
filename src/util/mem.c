#include "util/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/err.h"

static void *check(void *p, size_t n)
{
	if (!p)
		CAIRN_BUG("out of memory allocating %zu bytes", n);
	return p;
}

void *xmalloc(size_t n)
{
	return check(malloc(n ? n : 1), n);
}

void *xcalloc(size_t n, size_t size)
{
	return check(calloc(n ? n : 1, size ? size : 1), n);
}

void *xrealloc(void *p, size_t n)
{
	return check(realloc(p, n ? n : 1), n);
}

void *xreallocarray(void *p, size_t n, size_t sz)
{
	return check(reallocarray(p, n ? n : 1, sz), n);
}

char *xstrdup(const char *s)
{
	return check(strdup(s), strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
	return check(strndup(s, n), n);
}

char *xasprintf(const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) < 0)
		CAIRN_BUG("out of memory formatting");
	va_end(ap);
	return s;
}
