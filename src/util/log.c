#include "util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool enabled(void)
{
	const char *v = getenv("CAIRN_DEBUG");

	return v && *v && strcmp(v, "0") != 0;
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (!enabled())
		return;
	va_start(ap, fmt);
	flockfile(stderr);
	(void)fputs("cairn: debug: ", stderr);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	funlockfile(stderr);
	va_end(ap);
}
