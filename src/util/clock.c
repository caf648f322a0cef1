#include "util/clock.h"

#include <stdio.h>
#include <time.h>

#include "util/num.h"

static int64_t read_clock(clockid_t id)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * CLOCK_SEC + ts.tv_nsec;
}

int64_t clock_now(void)
{
	return read_clock(CLOCK_REALTIME);
}

int64_t clock_monotonic(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

const char *clock_text(int64_t ns, char buf[CLOCK_TEXT_MAX])
{
	int64_t frac = ns % CLOCK_SEC;
	time_t sec = (time_t)(ns / CLOCK_SEC);
	struct tm tm;
	size_t n;

	if (frac < 0) {
		frac += CLOCK_SEC;
		sec--;
	}
	(void)gmtime_r(&sec, &tm);
	n = strftime(buf, CLOCK_TEXT_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	if (frac) {
		n += (size_t)snprintf(buf + n, CLOCK_TEXT_MAX - n, ".%09d", (int)frac);
		while (buf[n - 1] == '0')
			n--;
	}
	(void)snprintf(buf + n, CLOCK_TEXT_MAX - n, "Z");
	return buf;
}

/* n digits at s[at..] as a number in [min, max]. */
static bool field(str s, size_t at, size_t n, int min, int max, int *ret)
{
	uint64_t v;
	struct cairn_err err;

	if (at + n > s.len || num_u64(str_n(s.ptr + at, n), (uint64_t)max, &v, &err) < 0 ||
	    (int)v < min)
		return false;
	*ret = (int)v;
	return true;
}

/* "Z" or "+hh:mm" or "-hh:mm" as seconds east of UTC. */
static bool offset(str s, int *ret)
{
	int h, m;

	if (str_eq_nocase(s, S("z"))) {
		*ret = 0;
		return true;
	}
	if (s.len != 6 || (s.ptr[0] != '+' && s.ptr[0] != '-') || s.ptr[3] != ':' ||
	    !field(s, 1, 2, 0, 23, &h) || !field(s, 4, 2, 0, 59, &m))
		return false;
	*ret = (h * 3600 + m * 60) * (s.ptr[0] == '-' ? -1 : 1);
	return true;
}

static bool parse(str s, struct tm *tm, int64_t *frac, int *off)
{
	size_t i = 19;
	int64_t scale = CLOCK_SEC;

	if (s.len < 20 || s.ptr[4] != '-' || s.ptr[7] != '-' || (s.ptr[10] | 32) != 't' ||
	    s.ptr[13] != ':' || s.ptr[16] != ':')
		return false;
	if (!field(s, 0, 4, 1, 9999, &tm->tm_year) || !field(s, 5, 2, 1, 12, &tm->tm_mon) ||
	    !field(s, 8, 2, 1, 31, &tm->tm_mday) || !field(s, 11, 2, 0, 23, &tm->tm_hour) ||
	    !field(s, 14, 2, 0, 59, &tm->tm_min) || !field(s, 17, 2, 0, 60, &tm->tm_sec))
		return false;
	tm->tm_year -= 1900;
	tm->tm_mon -= 1;
	*frac = 0;
	if (s.ptr[i] == '.')
		for (i++; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++) {
			scale /= 10;
			*frac += (s.ptr[i] - '0') * scale;
		}
	return offset(str_skip(s, i), off);
}

int clock_parse(str s, int64_t *ret_ns, struct cairn_err *err)
{
	struct tm tm = { 0 };
	int64_t frac, ns;
	int off;

	if (!parse(s, &tm, &frac, &off) ||
	    __builtin_mul_overflow((int64_t)timegm(&tm) - off, CLOCK_SEC, &ns) ||
	    __builtin_add_overflow(ns, frac, &ns))
		return cairn_fail(err, CAIRN_E_SYNTAX, "'%.*s' is not a time (RFC 3339)", STR(s));
	*ret_ns = ns;
	return 0;
}
