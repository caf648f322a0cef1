#include "util/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Control characters in names from outside must not break the one line. */
static void one_line(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = ' ';
}

PRINTF(3, 0)
static void fill(struct cairn_err *err, enum cairn_code code, const char *fmt, va_list ap)
{
	char msg[sizeof(err->msg)];

	(void)vsnprintf(msg, sizeof(msg), fmt, ap); /* may print err->msg itself */
	one_line(msg);
	memset(err, 0, sizeof(*err));
	err->code = code;
	memcpy(err->msg, msg, sizeof(msg));
}

int cairn_fail(struct cairn_err *err, enum cairn_code code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int cairn_fail_sys(struct cairn_err *err, const char *fmt, ...)
{
	int sys = errno;
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	fill(err, CAIRN_E_SYSTEM, fmt, ap);
	va_end(ap);
	err->sys = sys;
	n = strlen(err->msg);
	(void)snprintf(err->msg + n, sizeof(err->msg) - n, ": %s", strerror(sys));
	return CAIRN_E_SYSTEM;
}

int cairn_fail_at(struct cairn_err *err, const char *path, unsigned line, unsigned col,
                  const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, CAIRN_E_SYNTAX, fmt, ap);
	va_end(ap);
	(void)snprintf(err->path, sizeof(err->path), "%s", path);
	err->line = line;
	err->col = col;
	return CAIRN_E_SYNTAX;
}

int cairn_wrap(struct cairn_err *err, const char *fmt, ...)
{
	char msg[sizeof(err->msg)];
	size_t n;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	one_line(msg);
	n = strlen(msg);
	(void)snprintf(msg + n, sizeof(msg) - n, ": %s", err->msg);
	memcpy(err->msg, msg, sizeof(msg));
	return err->code;
}

void cairn_bug(const char *file, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)fprintf(stderr, "cairn: bug at %s:%d: ", file, line);
	(void)vfprintf(stderr, fmt, ap);
	(void)fputc('\n', stderr);
	va_end(ap);
	abort();
}
