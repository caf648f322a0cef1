#include "util/num.h"

#include <stdio.h>

int num_u64(str s, uint64_t max, uint64_t *ret, struct cairn_err *err)
{
	uint64_t v = 0;

	if (!s.len || s.len > 20)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a number", STR(s));
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(s.ptr[i] - '0');

		if (d > 9)
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a number", STR(s));
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, d, &v))
			v = UINT64_MAX;
		if (v == UINT64_MAX || v > max)
			return cairn_fail(err, CAIRN_E_SYNTAX, "%.*s is more than %llu", STR(s),
			                  (unsigned long long)max);
	}
	*ret = v;
	return 0;
}

int num_octal(str s, uint32_t max, uint32_t *ret, struct cairn_err *err)
{
	uint32_t v = 0;

	if (!s.len || s.len > 10)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not an octal number", STR(s));
	for (size_t i = 0; i < s.len; i++) {
		unsigned d = (unsigned)(s.ptr[i] - '0');

		if (d > 7)
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not an octal number",
			                  STR(s));
		v = v * 8 + d;
		if (v > max)
			return cairn_fail(err, CAIRN_E_SYNTAX, "%.*s is more than 0%o", STR(s),
			                  max);
	}
	*ret = v;
	return 0;
}

int num_hex(str s, unsigned max_digits, uint64_t *ret, struct cairn_err *err)
{
	static const char digits[] = "0123456789abcdef";
	uint64_t v = 0;

	if (!s.len || s.len > max_digits)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a hexadecimal number",
		                  STR(s));
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.ptr[i];
		const char *d = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 32 : c) : NULL;

		if (!d)
			return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a hexadecimal number",
			                  STR(s));
		v = v << 4 | (unsigned)(d - digits);
	}
	*ret = v;
	return 0;
}

int num_money(str s, uint64_t *ret_micro, struct cairn_err *err)
{
	struct cairn_err ignored;
	uint64_t w = 0, p = 0;
	str whole, part;

	(void)str_cut(s, '.', &whole, &part);
	if (part.len > 6 || num_u64(whole, 1000, &w, &ignored) < 0 ||
	    (part.len && num_u64(part, 999999, &p, &ignored) < 0))
		return cairn_fail(err, CAIRN_E_SYNTAX,
		                  "'%.*s' is no amount of money; write USD, as 0.005 (at most six "
		                  "places after the point)",
		                  STR(s));
	for (size_t i = part.len; i < 6; i++)
		p *= 10;
	*ret_micro = w * 1000000 + p;
	return 0;
}

int num_bytes(str s, uint64_t *ret, struct cairn_err *err)
{
	static const char units[] = "bkmgt";
	size_t digits = 0;
	uint64_t v;
	unsigned shift = 0;
	str unit;

	while (digits < s.len && s.ptr[digits] >= '0' && s.ptr[digits] <= '9')
		digits++;
	if (digits == 0)
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a size (like 64m or 2g)",
		                  STR(s));
	TRY(num_u64(str_n(s.ptr, digits), UINT64_MAX - 1, &v, err));
	unit = str_trim(str_skip(s, digits));
	if (unit.len) {
		const char *u = strchr(units, unit.ptr[0] | 32);
		str rest = str_skip(unit, 1);

		if (!u || !(rest.len == 0 || (u != units && (str_eq_nocase(rest, S("b")) ||
		                                             str_eq_nocase(rest, S("ib"))))))
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "'%.*s' is not a size (like 64m or 2g)", STR(s));
		shift = 10 * (unsigned)(u - units);
	}
	if (shift && v >> (64 - shift))
		return cairn_fail(err, CAIRN_E_SYNTAX, "%.*s is too large", STR(s));
	*ret = v << shift;
	return 0;
}

/* The unit at the head of s, longest name first; NULL when there is none. */
static const struct unit {
	const char *name;
	uint64_t ns;
} * unit_at(str s)
{
	static const struct unit units[] = {
		{ "ns", 1 },
		{ "us", 1000 },
		{ "µs", 1000 },
		{ "ms", 1000000 },
		{ "s", 1000000000 },
		{ "m", 60 * 1000000000ull },
		{ "h", 3600 * 1000000000ull },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (str_starts(s, str_of(units[i].name)))
			return &units[i];
	return NULL;
}

static bool take_digit(str *s, unsigned *ret)
{
	if (!s->len || s->ptr[0] < '0' || s->ptr[0] > '9')
		return false;
	*ret = (unsigned)(s->ptr[0] - '0');
	*s = str_skip(*s, 1);
	return true;
}

/* One "<number><unit>" off *s. */
static bool take_part(str *s, uint64_t *ns)
{
	const struct unit *u;
	uint64_t whole = 0, frac = 0, scale = 1;
	unsigned d;
	bool any = false;

	while (take_digit(s, &d)) {
		any = true;
		if (whole > 1000000000000ull)
			return false;
		whole = whole * 10 + d;
	}
	if (s->len && s->ptr[0] == '.') {
		*s = str_skip(*s, 1);
		while (take_digit(s, &d)) {
			any = true;
			if (scale >= 1000000)
				continue;
			frac = frac * 10 + d;
			scale *= 10;
		}
	}
	u = unit_at(*s);
	if (!any || !u || __builtin_mul_overflow(whole, u->ns, &whole))
		return false;
	*s = str_skip(*s, strlen(u->name));
	return !__builtin_add_overflow(*ns, whole, ns) &&
	       !__builtin_add_overflow(*ns, frac * u->ns / scale, ns);
}

int num_duration(str s, uint64_t *ret_ns, struct cairn_err *err)
{
	uint64_t ns = 0;
	str rest = s;

	if (str_eq(s, S("0"))) {
		*ret_ns = 0;
		return 0;
	}
	do {
		if (!take_part(&rest, &ns))
			return cairn_fail(err, CAIRN_E_SYNTAX,
			                  "'%.*s' is not a duration (like 30s or 1m30s)", STR(s));
	} while (rest.len);
	*ret_ns = ns;
	return 0;
}

const char *num_human_bytes(uint64_t n, char *buf, size_t size)
{
	static const char *const units[] = { "B", "KB", "MB", "GB", "TB", "PB", "EB" };
	double v = (double)n;
	unsigned u = 0;

	for (; v >= 999.5; u++)
		v /= 1000;
	if (u == 0)
		(void)snprintf(buf, size, "%u B", (unsigned)n);
	else
		(void)snprintf(buf, size, "%.*f %s",
		               v < 9.995   ? 2
		               : v < 99.95 ? 1
		                           : 0,
		               v, units[u]);
	return buf;
}

const char *num_human_ns(uint64_t ns, char *buf, size_t size)
{
	uint64_t ds = (ns + 50000000) / 100000000, s = (ns + 500000000) / 1000000000;

	if (ds < 600)
		(void)snprintf(buf, size, "%u.%us", (unsigned)(ds / 10), (unsigned)(ds % 10));
	else if (s < 3600)
		(void)snprintf(buf, size, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
	else
		(void)snprintf(buf, size, "%lluh%02um", (unsigned long long)(s / 3600),
		               (unsigned)(s / 60 % 60));
	return buf;
}
