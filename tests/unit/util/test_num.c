#include "harness.h"

#include "util/clock.h"
#include "util/mem.h"
#include "util/num.h"

void test_num__bytes(void **state)
{
	static const struct {
		const char *in;
		uint64_t want; /* UINT64_MAX = refused */
	} cases[] = {
		{ "0", 0 },           { "12", 12 },          { "64m", 64u << 20 },
		{ "2g", 2ull << 30 }, { "1KiB", 1024 },      { "1kb", 1024 },
		{ "5b", 5 },          { "", UINT64_MAX },    { "m", UINT64_MAX },
		{ "-1", UINT64_MAX }, { "1x", UINT64_MAX },  { "99999999999999999999", UINT64_MAX },
		{ "1 g", 1 << 30 },   { "1bb", UINT64_MAX }, { "17000000t", UINT64_MAX },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = UINT64_MAX;

		if (num_bytes(str_of(cases[i].in), &v, &err) < 0)
			v = UINT64_MAX;
		if (v != cases[i].want)
			fail_msg("'%s' gave %llu", cases[i].in, (unsigned long long)v);
	}
}

void test_num__hex(void **state)
{
	static const struct {
		const char *in;
		unsigned digits;
		uint64_t want; /* UINT64_MAX = refused */
	} cases[] = {
		{ "0", 1, 0 },
		{ "fF", 2, 255 },
		{ "fff", 2, UINT64_MAX },
		{ "", 4, UINT64_MAX },
		{ "g", 4, UINT64_MAX },
		{ "0x1", 4, UINT64_MAX },
		{ "-1", 4, UINT64_MAX },
		{ "0123456789abcdef", 16, 0x0123456789abcdef },
	};
	struct cairn_err err;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = UINT64_MAX;

		if (num_hex(str_of(cases[i].in), cases[i].digits, &v, &err) < 0)
			v = UINT64_MAX;
		if (v != cases[i].want)
			fail_msg("'%s' gave %llu", cases[i].in, (unsigned long long)v);
	}
}

void test_num__duration(void **state)
{
	uint64_t ns;
	struct cairn_err err;

	(void)state;
	assert_ok(num_duration(S("1h30m"), &ns, &err));
	assert_int_equal(ns, 5400 * 1000000000ull);
	assert_ok(num_duration(S("1.5s"), &ns, &err));
	assert_int_equal(ns, 1500000000ull);
	assert_ok(num_duration(S("100ms"), &ns, &err));
	assert_int_equal(ns, 100000000ull);
	assert_fails(num_duration(S("5"), &ns, &err), CAIRN_E_SYNTAX);
	assert_fails(num_duration(S(""), &ns, &err), CAIRN_E_SYNTAX);
}

void test_num__human(void **state)
{
	char b[32];

	(void)state;
	assert_string_equal(num_human_bytes(999, b, sizeof(b)), "999 B");
	assert_string_equal(num_human_bytes(1500, b, sizeof(b)), "1.50 KB");
	assert_string_equal(num_human_bytes(859000000, b, sizeof(b)), "859 MB");
	assert_string_equal(num_human_ns(12340000000ull, b, sizeof(b)), "12.3s");
	assert_string_equal(num_human_ns(125 * 1000000000ull, b, sizeof(b)), "2m05s");
}

void test_clock__round_trip(void **state)
{
	static const char *const texts[] = { "1970-01-01T00:00:00Z", "2026-11-22T15:01:02.5Z",
		                             "2024-02-29T23:59:59.000000001Z" };
	struct cairn_err err;
	int64_t ns;
	char b[CLOCK_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_ok(clock_parse(str_of(texts[i]), &ns, &err));
		assert_string_equal(clock_text(ns, b), texts[i]);
	}
	assert_ok(clock_parse(S("2026-01-01T02:00:00+02:00"), &ns, &err));
	assert_string_equal(clock_text(ns, b), "2026-01-01T00:00:00Z");
	assert_fails(clock_parse(S("yesterday"), &ns, &err), CAIRN_E_SYNTAX);
}
