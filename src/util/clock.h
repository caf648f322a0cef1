/* util/clock.h - time, and the texts it is written as. */
#ifndef CAIRN_UTIL_CLOCK_H
#define CAIRN_UTIL_CLOCK_H

#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

#define CLOCK_SEC 1000000000ll /* ns */

/* Longest RFC 3339 text with nanoseconds, with its NUL. */
#define CLOCK_TEXT_MAX 36

int64_t clock_now(void);       /* ns since 1970, UTC */
int64_t clock_monotonic(void); /* ns since some fixed moment; for durations */

/* RFC 3339 in UTC as Go's time.RFC3339Nano writes it: no fraction when it is
 * zero, else without trailing zeros. Returns buf. */
const char *clock_text(int64_t ns, char buf[CLOCK_TEXT_MAX]);

/* Parse RFC 3339 with any offset and up to nine digits of fraction.
 * Fails with CAIRN_E_SYNTAX. */
int clock_parse(str s, int64_t *ret_ns, struct cairn_err *err);

#endif
