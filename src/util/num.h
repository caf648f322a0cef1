/* util/num.h - numbers from text, with bounds. */
#ifndef CAIRN_UTIL_NUM_H
#define CAIRN_UTIL_NUM_H

#include <stdint.h>

#include "util/err.h"
#include "util/str.h"

/* Decimal digits only, no sign, no blanks, at most max. Fails with CAIRN_E_SYNTAX. */
int num_u64(str s, uint64_t max, uint64_t *ret, struct cairn_err *err);

/* Octal digits only ("0755", "644"), at most max. Fails with CAIRN_E_SYNTAX. */
int num_octal(str s, uint32_t max, uint32_t *ret, struct cairn_err *err);

/* Hexadecimal digits only, at most max_digits (<= 16) of them. Fails with CAIRN_E_SYNTAX. */
int num_hex(str s, unsigned max_digits, uint64_t *ret, struct cairn_err *err);

/* Bytes with an optional suffix b, k, m, g, t (powers of 1024, any case,
 * "kb" and "kib" too), as Docker's --shm-size takes them. Fails with CAIRN_E_SYNTAX. */
int num_bytes(str s, uint64_t *ret, struct cairn_err *err);

/* Go's time.ParseDuration for non-negative values ("1h30m", "1.5s", "0"), in ns.
 * Fails with CAIRN_E_SYNTAX. */
int num_duration(str s, uint64_t *ret_ns, struct cairn_err *err);

/* Money: "0.0034" in 1e-6 of its unit, at most six places after the point, at most a thousand.
 * Fails with CAIRN_E_SYNTAX. */
int num_money(str s, uint64_t *ret_micro, struct cairn_err *err);

/* A size for people, three significant digits: "812 B", "1.50 KB", "859 MB" (powers of 1000).
 * Returns buf. */
const char *num_human_bytes(uint64_t n, char *buf, size_t size);

/* A duration for people: "0.4s", "12.3s", "2m05s", "1h02m". Returns buf. */
const char *num_human_ns(uint64_t ns, char *buf, size_t size);

#endif
